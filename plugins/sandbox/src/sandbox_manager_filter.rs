//! Loads and unloads sandbox filters while the daemon runs, as signed messages say.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use heka_config::{CommonConsumer, Data, Entry, Problems, Section, Span, parse_config};
use heka_message::{Record, Value};
use heka_plugin::{
    Defaults, Delivery, DynamicFilter, FieldProblems, Filter, FilterContext, FilterError,
    ManageFilters, Matcher, NO_DEFAULTS, Plugin, PluginConfig, Prepared, StartContext, StartError,
};
use heka_sandbox::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::SandboxConfig;
use crate::preservation::plain_name;
use crate::sandbox_filter::SandboxFilter;

/// Key of a filter's section for the script.
const FILENAME: &str = "filename";
/// Type of the messages that say what to do.
const CONTROL_MATCHER: &str = "Type == 'heka.control.sandbox'";
/// Type of the message that tells that a filter could not be loaded.
const TERMINATED_TYPE: &str = "heka.sandbox-terminated";
/// Who tells it.
const DAEMON: &str = "hekad";
/// So far the time of a control message may be from now, in ns: an old one must not be played again.
const SKEW_NS: u64 = 5_000_000_000;
/// Longest file that is read at the start, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Permissions of the files and their folder: scripts may hold secrets.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Loads and unloads sandbox filters while the daemon runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxManagerFilterConfig {
    /// Folder of the loaded filters, below `base_dir` if relative. They are loaded again at the next start.
    pub working_directory: String,
    /// Folders where the filters' `require` looks for modules, separated by `;`. It replaces what a filter says.
    pub module_directory: Option<String>,
    /// Most memory of a filter, in bytes; 0 is no limit. It replaces what a filter says.
    pub memory_limit: u64,
    /// Most instructions of one call of a filter; 0 is no limit. It replaces what a filter says.
    pub instruction_limit: u64,
    /// Most bytes of a filter's output buffer; 0 is no limit. It replaces what a filter says.
    pub output_limit: u64,
    /// Most filters that may be loaded at once; with 0 none can.
    pub max_filters: u32,
}

impl Default for SandboxManagerFilterConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            working_directory: "sbxmgrs".to_owned(),
            module_directory: None,
            memory_limit: limits.memory as u64,
            instruction_limit: limits.instructions,
            output_limit: limits.output as u64,
            max_filters: 0,
        }
    }
}

impl PluginConfig for SandboxManagerFilterConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        if self.max_filters == 0 {
            problems.warn("max_filters", "is 0, so that no filter can be loaded");
        }
    }
}

impl Plugin for SandboxManagerFilter {
    const NAME: &'static str = "SandboxManagerFilter";
    const PAGE: &'static str = include_str!("sandbox_manager_filter.md");
    const DEFAULTS: Defaults = Defaults { message_matcher: Some(CONTROL_MATCHER), ..NO_DEFAULTS };
    type Config = SandboxManagerFilterConfig;

    fn start(config: &Self::Config, context: &StartContext) -> Result<Self, StartError> {
        let Some(filters) = context.filters.clone() else {
            return Err(StartError::new("filters cannot be loaded here"));
        };
        let manager = Self {
            config: config.clone(),
            folder: context.in_base_dir(&config.working_directory),
            name: Arc::clone(&context.name),
            filters,
            running: Arc::default(),
            handled: Arc::default(),
        };
        manager.make_folder()?;
        manager.load_saved();
        Ok(manager)
    }
}

/// See [`SandboxManagerFilterConfig`].
pub struct SandboxManagerFilter {
    config: SandboxManagerFilterConfig,
    folder: PathBuf,
    name: Arc<str>,
    filters: Arc<dyn ManageFilters>,
    running: Arc<AtomicU32>,
    handled: Arc<AtomicU32>,
}

impl std::fmt::Debug for SandboxManagerFilter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SandboxManagerFilter({})", self.name)
    }
}

/// A filter's section, read; makes instances.
struct Loaded(SandboxConfig);

impl Prepared<dyn Filter> for Loaded {
    fn start(&self, context: &StartContext) -> Result<Box<dyn Filter>, StartError> {
        Ok(Box::new(SandboxFilter::new(&self.0, context, true)?))
    }

    fn references(&self) -> Vec<String> {
        Vec::new()
    }

    fn options(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

/// What a control message asks to load, read and checked.
struct Wanted {
    /// Name of filter and files.
    name: String,
    config: SandboxConfig,
    common: CommonConsumer,
    matcher: Matcher,
}

impl SandboxManagerFilter {
    fn make_folder(&self) -> Result<(), StartError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made =
            std::fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(&self.folder);
        let tried = || format!("make the folder {}", self.folder.display());
        made.map_err(|error| StartError::because(tried(), error))
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }

    /// Loads what was loaded when the daemon stopped. What cannot be loaded any more is told and removed.
    fn load_saved(&self) {
        let prefix = format!("{}-", plain_name(&self.name));
        let listed = match std::fs::read_dir(&self.folder) {
            Ok(listed) => listed,
            Err(error) => {
                tracing::error!(plugin = &*self.name, %error, "saved filters cannot be listed");
                return;
            }
        };
        let mut names: Vec<String> = listed
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
            .filter(|name| name.starts_with(&prefix))
            .collect();
        names.sort();
        for name in names {
            let loaded = read_file(&self.file(&name, "toml"))
                .map_err(|error| error.to_string())
                .and_then(|text| self.read(&text))
                .and_then(|wanted| self.start_filter(wanted).map_err(|error| error.to_string()));
            if let Err(error) = loaded {
                tracing::error!(
                    plugin = &*self.name,
                    filter = name,
                    error,
                    "saved filter not loaded"
                );
                self.remove_files(&name);
            }
        }
    }

    fn remove_files(&self, name: &str) {
        for extension in ["toml", "lua"] {
            let path = self.file(name, extension);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::error!(path = %path.display(), %error, "file not removed");
                }
                _ => {}
            }
        }
    }

    /// Reads and checks the configuration of a filter: its first section.
    fn read(&self, text: &str) -> Result<Wanted, String> {
        let (mut read, mut problems) = parse_config(text, "config");
        if problems.has_errors() {
            return Err(first_error(&problems));
        }
        if read.sections.is_empty() {
            return Err("there is no section".to_owned());
        }
        let mut section: Section = read.sections.remove(0);
        if section.plugin_type != SandboxFilter::NAME {
            let found = &section.plugin_type;
            return Err(format!("Plugin must be a SandboxFilter, received {found}"));
        }
        let name = format!("{}-{}", plain_name(&self.name), plain_name(&section.name));
        self.set_filename(&mut section, &name);
        let decoded = section.decode::<CommonConsumer, SandboxConfig>(&mut problems);
        let Some((common, mut config)) = decoded.filter(|_| !problems.has_errors()) else {
            return Err(first_error(&problems));
        };
        let matcher = common.message_matcher.as_deref().ok_or("missing message_matcher")?;
        let matcher = Matcher::parse(matcher)
            .map(|(matcher, _)| matcher)
            .map_err(|error| format!("cannot read message_matcher: {error}"))?;
        config.module_directory.clone_from(&self.config.module_directory);
        config.memory_limit = self.config.memory_limit;
        config.instruction_limit = self.config.instruction_limit;
        config.output_limit = self.config.output_limit;
        Ok(Wanted { name, config, common, matcher })
    }

    /// The script comes with the message, whatever the section says.
    fn set_filename(&self, section: &mut Section, name: &str) {
        let table = &mut section.table;
        let given: Vec<String> = table
            .iter()
            .map(|entry| entry.key.clone())
            .filter(|key| key.eq_ignore_ascii_case(FILENAME))
            .collect();
        for key in given {
            table.remove(&key);
        }
        let path = self.file(name, "lua").display().to_string();
        let value = heka_config::Value { data: Data::String(path), span: Span::NONE };
        let entry = Entry { key: FILENAME.to_owned(), key_span: Span::NONE, value };
        if table.insert(entry).is_err() {
            tracing::debug!(plugin = &*self.name, "the section keeps its filename");
        }
    }

    fn start_filter(&self, wanted: Wanted) -> Result<(), StartError> {
        let running = Arc::clone(&self.running);
        running.fetch_add(1, Ordering::Relaxed);
        let ended = Arc::clone(&self.running);
        let filter = DynamicFilter {
            name: wanted.name,
            type_name: SandboxFilter::NAME,
            matcher: wanted.matcher,
            common: wanted.common,
            defaults: SandboxFilter::DEFAULTS,
            prepared: Arc::new(Loaded(wanted.config)),
            // Its files stay, so that it is loaded again at the next start.
            on_end: Some(Box::new(move |_| {
                ended.fetch_sub(1, Ordering::Relaxed);
            })),
        };
        self.filters.load(filter).inspect_err(|_| {
            running.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Loads a filter; gives what is wrong, and whether it is to be announced.
    fn load(&self, script: &[u8], config: &str) -> Result<(), (String, bool)> {
        let wanted = self.read(config).map_err(|error| match error.starts_with("Plugin must") {
            true => (error, true),
            false => (format!("loadSandbox failed: {error}"), true),
        })?;
        if self.running.load(Ordering::Relaxed) >= self.config.max_filters {
            let (name, most) = (&self.name, self.config.max_filters);
            return Err((format!("{name} attempted to load more than {most} filters"), false));
        }
        let name = wanted.name.clone();
        // Found out here, so that its files are not touched.
        if self.filters.is_running(&name) {
            return Err((format!("loadSandbox failed: {name} is already running"), true));
        }
        let loaded = write_file(&self.file(&name, "toml"), config.as_bytes())
            .and_then(|()| write_file(&self.file(&name, "lua"), script))
            .map_err(|error| error.to_string())
            .and_then(|()| self.start_filter(wanted).map_err(|error| error.to_string()));
        loaded.map_err(|error| {
            self.remove_files(&name);
            (error, true)
        })
    }

    fn unload(&self, section: &str) {
        let name = format!("{}-{}", plain_name(&self.name), plain_name(section));
        if self.filters.unload(&name) {
            self.running.fetch_sub(1, Ordering::Relaxed);
            self.remove_files(&name);
        } else {
            tracing::error!(plugin = &*self.name, filter = name, "no such filter is loaded");
        }
    }

    fn control(&self, record: &Record<'_>, context: &mut FilterContext) {
        let now_ns = context.clock.now_ns();
        let skew_ns = now_ns.abs_diff(record.timestamp());
        if skew_ns >= SKEW_NS {
            let seconds = skew_ns / 1_000_000_000;
            let error = format!("Discarded control message: {seconds} seconds skew");
            tracing::error!(plugin = &*context.name, error, "control message");
            return;
        }
        let text = |name: &str| {
            let value = record.field_named(name.as_bytes()).and_then(|field| field.first());
            let bytes = value.and_then(Value::as_bytes).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        match text("action").as_str() {
            "load" => {
                if let Err((error, announced)) = self.load(record.payload(), &text("config")) {
                    tracing::error!(plugin = &*context.name, error, "filter not loaded");
                    if announced {
                        announce(&error, record.loops(), context);
                    }
                }
            }
            "unload" => self.unload(&text("name")),
            other => tracing::warn!(plugin = &*context.name, action = other, "unknown action"),
        }
    }
}

fn first_error(problems: &Problems) -> String {
    let is_error = |it: &&heka_config::Problem| it.severity == heka_config::Severity::Error;
    problems.iter().find(is_error).map(ToString::to_string).unwrap_or_default()
}

fn read_file(path: &PathBuf) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn write_file(path: &PathBuf, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Injects what tells that a filter could not be loaded.
fn announce(error: &str, loops: u8, context: &mut FilterContext) {
    let (matcher, name) = (Arc::clone(&context.matcher), Arc::clone(&context.name));
    let Some(mut record) = context.inject(loops) else { return };
    record.message_type(TERMINATED_TYPE).logger(DAEMON).payload(error);
    let id = record.name_id(b"plugin");
    record.field(id, Value::Str(name.as_bytes()));
    if matcher.matches(&record.view().record()) {
        return;
    }
    if let Err(error) = record.commit() {
        tracing::error!(plugin = &*name, %error, "message not injected");
    }
}

impl Filter for SandboxManagerFilter {
    fn begin(&mut self, context: &mut FilterContext) {
        let (running, handled) = (Arc::clone(&self.running), Arc::clone(&self.handled));
        context.reporter.set(move |report| {
            report.count("RunningFilters", running.load(Ordering::Relaxed).into());
            report.count("ProcessMessageCount", handled.load(Ordering::Relaxed).into());
        });
    }

    fn process(
        &mut self,
        delivery: &Delivery,
        context: &mut FilterContext,
    ) -> Result<(), FilterError> {
        for record in delivery.records() {
            self.handled.fetch_add(1, Ordering::Relaxed);
            self.control(&record, context);
        }
        Ok(())
    }
}
