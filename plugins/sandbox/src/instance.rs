//! A plugin's sandbox over its life: started, restarted after failures, replaced when its script changed.
//!
//! Here: what all kinds do alike. Not here: what a kind makes of a call. Invariants: data outlives the instance that
//! gathered it wherever the policy lets the plugin go on; a script that does not start replaces nothing.

use std::collections::VecDeque;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use heka_message::Record;
use heka_plugin::{LimitedLog, StartContext, StartError};
use heka_sandbox::{Ended, Exchange, Injected, Kind, Refusal, Sandbox, Script, Settings, embedded};

use crate::config::{OnTermination, SandboxConfig};
use crate::postmortem;
use crate::preservation::PreservedFile;
use crate::stats::Stats;

/// Longest script in bytes.
const SCRIPT_BYTES_MAX: u64 = 16 << 20;
/// So many failures within [`FAILURE_WINDOW_NS`] set a script aside, unless most of its calls between them went well.
const FAILURES_MAX: usize = 5;
const FAILURE_WINDOW_NS: i64 = 60_000_000_000;
/// Calls for each failure that make it one of a few: what a new instance costs is then little beside them.
const CALLS_PER_FAILURE: u64 = 100;
/// So long is it set aside.
const QUARANTINE_NS: i64 = 60_000_000_000;
/// Calls between two looks at the clock, for data that is saved while the plugin works.
const CALLS_PER_LOOK: u32 = 1024;
/// How often that is, by default.
const SAVE_INTERVAL_NS: i64 = 60_000_000_000;
/// The error that data is not carried over after, since it may be what takes the memory.
const OUT_OF_MEMORY: &str = "not enough memory";

/// What becomes of a plugin whose script failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    /// A new instance is there.
    Restarted,
    /// The script is set aside for some time.
    Quarantined,
    /// The plugin is to end.
    Exit,
}

/// A plugin's sandbox.
pub(crate) struct Instance {
    kind: Kind,
    config: SandboxConfig,
    context: StartContext,
    settings: Settings,
    script: Script,
    /// None while it is set aside.
    sandbox: Option<Sandbox>,
    file: Option<PreservedFile>,
    /// The generation of scripts that was looked at.
    generation: u64,
    /// When the last ones were, and calls before them.
    failures: VecDeque<(i64, u64)>,
    quarantined_until_ns: i64,
    /// What the script had gathered when it was set aside.
    aside: Option<Vec<u8>>,
    /// Failures that get no line of their own are counted.
    log: LimitedLog,
    all_calls: u64,
    calls: u32,
    saved_at_ns: i64,
    unsaved: bool,
    pub(crate) stats: Arc<Stats>,
}

/// What a script's chunk injects goes to the log.
struct AtStart<'a>(&'a str);

impl Exchange for AtStart<'_> {
    fn inject(&mut self, injected: Injected<'_>) -> Result<(), Refusal> {
        let text = match injected {
            Injected::Payload { text, .. } => String::from_utf8_lossy(text).into_owned(),
            Injected::Message(bytes) | Injected::Encoded(bytes) => format!("{} bytes", bytes.len()),
        };
        tracing::info!(plugin = self.0, text, "injected while it starts, not sent");
        Ok(())
    }
}

impl Instance {
    /// Loads and starts the script, with the data that was preserved.
    ///
    /// # Errors
    /// If the script cannot be read or run, or its data cannot be restored.
    pub(crate) fn start(
        kind: Kind,
        config: &SandboxConfig,
        context: &StartContext,
    ) -> Result<Self, StartError> {
        let settings = config.settings(kind, context);
        let script = load_script(config, context)?;
        let file = config.preserve_data.then(|| PreservedFile::new(kind, context));
        let preserved = match &file {
            Some(file) => file
                .read()
                .map_err(|error| StartError::because("read the preserved data", error))?,
            None => None,
        };
        let mut instance = Self {
            kind,
            config: config.clone(),
            context: context.clone(),
            settings,
            script,
            sandbox: None,
            file,
            generation: context.reload.generation(),
            failures: VecDeque::new(),
            quarantined_until_ns: i64::MIN,
            aside: None,
            log: LimitedLog::default(),
            all_calls: 0,
            calls: 0,
            saved_at_ns: context.clock.now_ns(),
            unsaved: false,
            stats: Arc::default(),
        };
        instance.sandbox = Some(instance.make(preserved.as_deref())?);
        Ok(instance)
    }

    fn make(&self, data: Option<&[u8]>) -> Result<Sandbox, StartError> {
        let mut exchange = AtStart(&self.context.name);
        Sandbox::start(&self.settings, &self.script, data, &mut exchange).map_err(start_error)
    }

    /// As [`make`](Self::make), but that data which cannot be restored does not keep the script from starting.
    fn make_with(&self, data: Option<&[u8]>) -> Result<Sandbox, StartError> {
        match self.make(data) {
            Err(error) if data.is_some() => {
                tracing::error!(plugin = &*self.context.name, %error, "data not taken over");
                self.make(None)
            }
            made => made,
        }
    }

    /// The sandbox, after a look whether its script is to be loaded anew; `None` while it is set aside.
    #[inline]
    pub(crate) fn ready(&mut self) -> Option<&mut Sandbox> {
        if self.context.reload.generation() != self.generation {
            self.reload();
        }
        if self.sandbox.is_none() {
            self.end_quarantine();
        }
        self.unsaved = true;
        self.all_calls += 1;
        self.sandbox.as_mut()
    }

    pub(crate) fn sandbox(&self) -> Option<&Sandbox> {
        self.sandbox.as_ref()
    }

    pub(crate) fn context(&self) -> &StartContext {
        &self.context
    }

    /// Loads the script again if its text has changed; if that fails, the old one goes on.
    #[cold]
    pub(crate) fn reload(&mut self) {
        self.generation = self.context.reload.generation();
        let plugin = &*self.context.name;
        let script = match load_script(&self.config, &self.context) {
            Ok(script) if script.source != self.script.source => script,
            Ok(_) => return,
            Err(error) => {
                tracing::error!(plugin, %error, "script not loaded anew, the old one goes on");
                return;
            }
        };
        let data = match self.sandbox.as_mut().map(Sandbox::preserve) {
            Some(Ok(data)) => Some(data),
            Some(Err(error)) => {
                tracing::warn!(plugin, %error, "data is not taken over to the new script");
                None
            }
            None => self.aside.take(),
        };
        let old = std::mem::replace(&mut self.script, script);
        match self.make(data.as_deref()) {
            Ok(sandbox) => {
                self.sandbox = Some(sandbox);
                self.failures.clear();
                self.quarantined_until_ns = i64::MIN;
                tracing::info!(plugin, script = self.script.name, "script loaded anew");
            }
            Err(error) => {
                self.script = old;
                tracing::error!(plugin, %error, "script not loaded anew, the old one goes on");
            }
        }
    }

    /// The plugin ends its script: tells it, and keeps what is left of it.
    pub(crate) fn end(&mut self, ended: &Ended) {
        self.stats.terminate();
        self.tell(ended, None);
        self.sandbox = None;
    }

    fn tell(&self, ended: &Ended, record: Option<&Record<'_>>) {
        let Some(sandbox) = &self.sandbox else { return };
        let usage = sandbox.usage();
        self.stats.set_usage(&usage);
        // The first few of a series are all told: then a script is set aside, or fails now and then only.
        let now_ns = self.context.clock.now_ns();
        let missed = match self.failures.len() < FAILURES_MAX {
            true => 0,
            false => match self.log.event(now_ns) {
                Some(missed) => missed,
                None => return,
            },
        };
        let path = postmortem::write(&self.context, &self.script.name, ended, &usage, record);
        let path = path.map(|path| path.display().to_string()).unwrap_or_default();
        let plugin = &*self.context.name;
        let error = ended.text();
        tracing::error!(plugin, error, postmortem = path, missed, "script terminated");
    }

    /// The script has ended: tells it, keeps what is left of it, and does what the policy says.
    #[cold]
    pub(crate) fn fail(&mut self, ended: &Ended, record: Option<&Record<'_>>) -> After {
        self.stats.terminate();
        let data = self.data_after(ended);
        self.tell(ended, record);
        if self.config.on_termination(self.kind) == OnTermination::Exit {
            // A plugin that cannot end by itself is without its script from now on.
            self.sandbox = None;
            self.quarantined_until_ns = i64::MAX;
            return After::Exit;
        }
        let now_ns = self.context.clock.now_ns();
        if self.fails_too_often(now_ns) {
            self.quarantine(now_ns, data);
            return After::Quarantined;
        }
        match self.make_with(data.as_deref()) {
            Ok(sandbox) => {
                self.sandbox = Some(sandbox);
                After::Restarted
            }
            Err(error) => {
                tracing::error!(plugin = &*self.context.name, %error, "script not restarted");
                self.quarantine(now_ns, data);
                After::Quarantined
            }
        }
    }

    /// Notes a failure; true if there were too many of late.
    fn fails_too_often(&mut self, now_ns: i64) -> bool {
        self.failures.push_back((now_ns, self.all_calls));
        self.failures.retain(|(at, _)| now_ns.saturating_sub(*at) < FAILURE_WINDOW_NS);
        if self.failures.len() > FAILURES_MAX {
            self.failures.pop_front();
        }
        let Some((_, calls)) = self.failures.front() else { return false };
        self.failures.len() >= FAILURES_MAX
            && self.all_calls - calls < CALLS_PER_FAILURE * (FAILURES_MAX as u64 - 1)
    }

    /// What the ended script had gathered, for the next instance.
    fn data_after(&mut self, ended: &Ended) -> Option<Vec<u8>> {
        let sandbox = self.sandbox.as_mut()?;
        match ended {
            Ended::Failed(report) if report.text.ends_with(OUT_OF_MEMORY) => None,
            Ended::Failed(_) => sandbox.take_salvaged(),
            Ended::Status { .. } => sandbox.preserve().ok(),
        }
    }

    /// The plugin was told to stop while the script ran: its data is kept as that call left it.
    pub(crate) fn keep_salvaged(&mut self, ended: &Ended) {
        let data = self.data_after(ended);
        if let (Some(data), Some(file)) = (data, &self.file)
            && let Err(error) = file.write(&data)
        {
            tracing::error!(plugin = &*self.context.name, %error, "data not preserved");
        }
    }

    /// Sets the script aside; its data waits with it.
    fn quarantine(&mut self, now_ns: i64, data: Option<Vec<u8>>) {
        self.sandbox = None;
        self.aside = data;
        self.failures.clear();
        self.quarantined_until_ns = now_ns.saturating_add(QUARANTINE_NS);
        let seconds = QUARANTINE_NS / 1_000_000_000;
        tracing::error!(plugin = &*self.context.name, seconds, "script set aside");
    }

    #[cold]
    fn end_quarantine(&mut self) {
        let now_ns = self.context.clock.now_ns();
        if now_ns < self.quarantined_until_ns {
            return;
        }
        let data = self.aside.take();
        match self.make_with(data.as_deref()) {
            Ok(sandbox) => {
                tracing::info!(plugin = &*self.context.name, "script started again");
                self.sandbox = Some(sandbox);
            }
            Err(error) => {
                tracing::error!(plugin = &*self.context.name, %error, "script not restarted");
                self.quarantine(now_ns, data);
            }
        }
    }

    /// Replaces the state by one with this data.
    ///
    /// # Errors
    /// If it cannot be restored; the old state stays.
    pub(crate) fn restore(&mut self, data: &[u8]) -> Result<(), StartError> {
        self.sandbox = Some(self.make(Some(data))?);
        Ok(())
    }

    /// The script's data.
    ///
    /// # Errors
    /// If it cannot be saved.
    pub(crate) fn data(&mut self) -> Result<Vec<u8>, String> {
        match (&mut self.sandbox, &self.aside) {
            (Some(sandbox), _) => sandbox.preserve().map_err(|error| error.to_string()),
            (None, Some(data)) => Ok(data.clone()),
            (None, None) => Err("the script has ended".to_owned()),
        }
    }

    /// Writes the script's data to its file, where it is preserved and something happened since.
    pub(crate) fn preserve(&mut self) {
        let Some(file) = self.file.clone().filter(|_| self.unsaved) else { return };
        if self.sandbox.as_ref().is_none_or(Sandbox::is_closed) && self.aside.is_none() {
            return; // What was preserved before stays.
        }
        let plugin = Arc::clone(&self.context.name);
        let written = self.data().and_then(|data| file.write(&data).map_err(|it| it.to_string()));
        match written {
            Ok(()) => self.unsaved = false,
            Err(error) => tracing::error!(plugin = &*plugin, error, "data not preserved"),
        }
    }

    /// Takes over figures, and preserves the data now and then; called after each call of a plugin whose runner does not.
    #[inline]
    pub(crate) fn count_call(&mut self) {
        self.calls += 1;
        if self.calls >= CALLS_PER_LOOK {
            self.look();
        }
    }

    #[cold]
    fn look(&mut self) {
        self.calls = 0;
        self.update_usage();
        let now_ns = self.context.clock.now_ns();
        if self.file.is_some() && now_ns.saturating_sub(self.saved_at_ns) >= SAVE_INTERVAL_NS {
            self.saved_at_ns = now_ns;
            self.preserve();
        }
    }

    pub(crate) fn update_usage(&self) {
        if let Some(sandbox) = &self.sandbox {
            self.stats.set_usage(&sandbox.usage());
        }
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Instance({}, {})", self.context.name, self.script.name)
    }
}

fn start_error(error: heka_sandbox::StartError) -> StartError {
    match &error {
        heka_sandbox::StartError::Script(report) => {
            let mut text = report.text.clone();
            if let Some(line) = &report.source_line {
                text.push_str(&format!("\n    {}", line.trim()));
            }
            if !report.traceback.is_empty() {
                text.push_str("\n  traceback:");
                report.traceback.lines().for_each(|line| text.push_str(&format!("\n    {line}")));
            }
            StartError::new(text)
        }
        _ => StartError::new(error.to_string()),
    }
}

fn load_script(config: &SandboxConfig, context: &StartContext) -> Result<Script, StartError> {
    find_script(config, context).map_err(start_error)
}

/// The script's text: of its file, or what ships with the daemon.
pub(crate) fn find_script(
    config: &SandboxConfig,
    context: &StartContext,
) -> Result<Script, heka_sandbox::StartError> {
    let path = context.in_share_dir(&config.filename);
    let error = match read_script(&path) {
        Ok(source) => {
            return Ok(Script { name: path.display().to_string(), source: source.into() });
        }
        Err(error) => error,
    };
    if error.kind() == std::io::ErrorKind::NotFound
        && let Some(source) = embedded(&config.filename)
    {
        return Ok(Script { name: config.filename.clone(), source: source.into_owned().into() });
    }
    Err(heka_sandbox::StartError::Open { path, source: error })
}

fn read_script(path: &PathBuf) -> std::io::Result<Vec<u8>> {
    let mut source = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(SCRIPT_BYTES_MAX + 1).read_to_end(&mut source)?;
    if source.len() as u64 > SCRIPT_BYTES_MAX {
        return Err(std::io::Error::other("the script is too large"));
    }
    Ok(source)
}
