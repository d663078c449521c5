//! Which script is tried out, as what kind of plugin, with which settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use heka_config::{
    CommonConsumer, CommonInput, Data, Entry, Globals, NoCommon, Problem, Problems, Scope, Section,
    Span, Table, Value, nearest,
};
use heka_matcher::Matcher;
use heka_message::NameRegistry;
use heka_plugin::{PluginConfig, StartContext};
use heka_plugin_sandbox::{SandboxConfig, TrialOptions};

use crate::lua_command::{KindName, TestOptions};
use crate::{printer, tell};

/// Folder of scripts' modules beside the folders of scripts.
const MODULES: &str = "lua_modules";
/// Longest file of values, in bytes.
const VALUES_BYTES_MAX: u64 = 1 << 20;

/// What is tried out.
pub(crate) struct Subject {
    pub(crate) kind: KindName,
    /// Where the kind is known from.
    pub(crate) kind_from: String,
    pub(crate) config: SandboxConfig,
    pub(crate) context: StartContext,
    pub(crate) options: TrialOptions,
    /// Messages that it gets.
    pub(crate) matcher: Option<Matcher>,
}

/// What a section of the configuration says.
struct Configured {
    kind: KindName,
    config: SandboxConfig,
    matcher: Option<String>,
    globals: Globals,
}

impl Subject {
    /// Puts together what the command line and the configuration say.
    ///
    /// # Errors
    /// If they cannot be read, or do not fit together.
    pub(crate) fn new(configs: &[PathBuf], options: &TestOptions) -> anyhow::Result<Self> {
        let configured = match &options.section {
            Some(name) => Some(section(configs, name)?),
            None => None,
        };
        let mut config = match &configured {
            Some(configured) => configured.config.clone(),
            None => SandboxConfig { config: values(configs)?, ..SandboxConfig::default() },
        };
        let share_dir = share_dir(options, configured.as_ref())?;
        if let Some(script) = &options.script {
            config.filename = script_name(script)?;
        }
        apply(options, &mut config);
        let (kind, kind_from) = kind_of(options, configured.as_ref(), &config, &share_dir)?;
        let globals = configured.as_ref().map_or_else(Globals::default, |it| it.globals.clone());
        let stated = options.matcher.as_deref();
        let own = configured.as_ref().and_then(|it| it.matcher.as_deref());
        let own = own.map(parse_matcher).transpose()?;
        let matcher = stated.map(parse_matcher).transpose()?.or_else(|| own.clone());
        let name = options.section.as_deref().unwrap_or("test");
        let context = StartContext {
            name: name.into(),
            hostname: hostname(options, &globals)?.into(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            share_dir: share_dir.into(),
            ..printer::context(&NameRegistry::new(), globals.message_size())
        };
        let options = TrialOptions {
            profile: options.profile,
            process_inject_max: globals.max_process_inject,
            timer_inject_max: globals.max_timer_inject,
            loops_max: u8::try_from(globals.message_loops()).unwrap_or(u8::MAX),
            matcher: own,
        };
        Ok(Self { kind, kind_from, config, context, options, matcher })
    }
}

fn hostname(options: &TestOptions, globals: &Globals) -> anyhow::Result<String> {
    if let Some(name) = &options.headers.hostname {
        return Ok(name.clone());
    }
    if !globals.hostname.is_empty() {
        return Ok(globals.hostname.clone());
    }
    let name = nix::unistd::gethostname().context("cannot read the host name")?;
    Ok(name.to_string_lossy().into_owned())
}

fn parse_matcher(text: &str) -> anyhow::Result<Matcher> {
    let (matcher, warnings) = Matcher::parse(text).context("the matcher")?;
    for warning in &warnings {
        tell(&format!("the matcher: {warning}\n"));
    }
    Ok(matcher)
}

/// What the command line says goes before what the section says.
fn apply(options: &TestOptions, config: &mut SandboxConfig) {
    let limits = &options.limits;
    config.memory_limit = limits.memory_limit.unwrap_or(config.memory_limit);
    config.instruction_limit = limits.instruction_limit.unwrap_or(config.instruction_limit);
    config.output_limit = limits.output_limit.unwrap_or(config.output_limit);
    if options.module_directory.is_some() {
        config.module_directory.clone_from(&options.module_directory);
    }
}

/// A file's path goes from here; what ships with the daemon is found by its name.
fn script_name(script: &Path) -> anyhow::Result<String> {
    let Some(name) = script.to_str() else {
        bail!("the script's path {} is no text", script.display());
    };
    if !script.exists() && heka_sandbox::embedded(name).is_some() {
        return Ok(name.to_owned());
    }
    let path = std::path::absolute(script).with_context(|| format!("no such path: {name}"))?;
    // As it was given, where that means the same: errors are then as short as can be.
    Ok(if script.is_absolute() { name.to_owned() } else { path.display().to_string() })
}

/// The folder that `lua_filters` and `lua_modules` lie in.
fn share_dir(options: &TestOptions, configured: Option<&Configured>) -> anyhow::Result<PathBuf> {
    if let Some(configured) = configured {
        return Ok(configured.globals.share_dir.clone());
    }
    let here = std::env::current_dir().context("no current folder")?;
    let script = options.script.as_deref().unwrap_or(Path::new(""));
    let folder = here.join(script.parent().unwrap_or(Path::new("")));
    let beside = folder.parent().filter(|parent| parent.join(MODULES).is_dir());
    Ok(beside.map_or(folder.clone(), Path::to_owned))
}

fn kind_of(
    options: &TestOptions,
    configured: Option<&Configured>,
    config: &SandboxConfig,
    share_dir: &Path,
) -> anyhow::Result<(KindName, String)> {
    if let Some(kind) = options.kind {
        return Ok((kind, "by --kind".to_owned()));
    }
    if let Some(configured) = configured {
        return Ok((configured.kind, "by its section".to_owned()));
    }
    if let Some(guess) = guess_by_path(&config.filename) {
        return Ok(guess);
    }
    // One that cannot be read is told by whoever loads it.
    let source = std::fs::read(share_dir.join(&config.filename)).unwrap_or_default();
    Ok(guess_by_text(&String::from_utf8_lossy(&source)))
}

/// Names of kinds, as paths have them.
const KIND_NAMES: [(&str, KindName); 5] = [
    ("decoder", KindName::Decoder),
    ("encoder", KindName::Encoder),
    ("filter", KindName::Filter),
    ("output", KindName::Output),
    ("input", KindName::Input),
];

fn guess_by_path(path: &str) -> Option<(KindName, String)> {
    // The nearest name decides: a filter may lie in a project called decoders.
    path.rsplit('/').find_map(|part| {
        let found = KIND_NAMES.iter().find(|(name, _)| part.to_lowercase().contains(name))?;
        Some((found.1, format!("by '{part}' in its path")))
    })
}

/// What only some kinds do, the surest first.
const HABITS: [(&str, KindName); 7] = [
    ("update_checkpoint", KindName::Output),
    ("is_running", KindName::Input),
    ("write_message", KindName::Decoder),
    ("timer_event", KindName::Filter),
    ("inject_message", KindName::Decoder),
    ("inject_payload", KindName::Encoder),
    ("io.", KindName::Output),
];

fn guess_by_text(source: &str) -> (KindName, String) {
    let code: String = source
        .lines()
        .filter_map(|line| line.split("--").next())
        .flat_map(|it| [it, "\n"])
        .collect();
    let opens_files = code.contains("\"io\"") || code.contains("'io'");
    if opens_files {
        let kind = match code.contains("inject_message") {
            true => KindName::Input,
            false => KindName::Output,
        };
        return (kind, "since it uses io".to_owned());
    }
    let found = HABITS.iter().find(|(word, _)| code.contains(word));
    match found {
        Some((word, kind)) => (*kind, format!("since it uses {word}")),
        None => (KindName::Filter, "a guess".to_owned()),
    }
}

/// Reads one section of the daemon's configuration.
fn section(configs: &[PathBuf], name: &str) -> anyhow::Result<Configured> {
    let path = match configs {
        [path] => path,
        [] => Path::new(crate::args::CONFIG),
        _ => bail!("with --section, --config is one file or directory"),
    };
    let (mut config, problems) = heka_config::load(path);
    told(&problems)?;
    let Some(index) = config.sections.iter().position(|section| section.name == name) else {
        let names = config.sections.iter().map(|section| section.name.as_str());
        let hint = nearest(name, names).map(|it| format!(", did you mean '{it}'?"));
        bail!("{} has no section '{name}'{}", path.display(), hint.unwrap_or_default());
    };
    let section = config.sections.swap_remove(index);
    let kinds =
        [KindName::Decoder, KindName::Filter, KindName::Encoder, KindName::Output, KindName::Input];
    let kind = kinds.into_iter().find(|kind| kind.plugin() == section.plugin_type);
    let Some(kind) = kind else {
        bail!("section '{name}' is a {}, which runs no script", section.plugin_type);
    };
    let (config_of, matcher) = match kind {
        KindName::Decoder | KindName::Encoder => (decode::<NoCommon>(&section)?.1, None),
        KindName::Input => (decode::<CommonInput>(&section)?.1, None),
        KindName::Filter | KindName::Output => {
            let (common, config) = decode::<CommonConsumer>(&section)?;
            (config, common.message_matcher)
        }
    };
    Ok(Configured { kind, config: config_of, matcher, globals: config.globals })
}

fn decode<C: PluginConfig>(section: &Section) -> anyhow::Result<(C, SandboxConfig)> {
    let mut problems = Problems::new();
    let decoded = section.decode::<C, SandboxConfig>(&mut problems);
    told(&problems)?;
    decoded.context("the section cannot be used")
}

fn told(problems: &Problems) -> anyhow::Result<()> {
    tell(&problems.to_string());
    if problems.has_errors() {
        bail!("the configuration has errors");
    }
    Ok(())
}

/// Values for `read_config`, from texts and files; later ones go before earlier ones.
fn values(
    configs: &[PathBuf],
) -> anyhow::Result<std::collections::BTreeMap<String, serde_json::Value>> {
    let mut values = Table::new();
    for config in configs {
        for entry in read_values(config)?.iter() {
            values.remove(&entry.key);
            if values.insert(entry.clone()).is_err() {
                bail!("{} is given twice", entry.key);
            }
        }
    }
    let value = Value { data: Data::Table(values), span: Span::NONE };
    let entry = Entry { key: "config".to_owned(), key_span: Span::NONE, value };
    let mut table = Table::new();
    if table.insert(entry).is_err() {
        bail!("config is given twice");
    }
    let mut problems = Problems::new();
    let filename = Value { data: Data::String("-".to_owned()), span: Span::NONE };
    let entry = Entry { key: "filename".to_owned(), key_span: Span::NONE, value: filename };
    if table.insert(entry).is_err() {
        bail!("filename is given twice");
    }
    let scope = Scope { file: None, section: "--config", span: Span::NONE };
    let decoded = heka_config::decode_table::<SandboxConfig>(&table, &scope, &mut problems);
    told(&problems)?;
    Ok(decoded.context("the values of --config cannot be used")?.config)
}

/// The table that one `--config` holds.
fn read_values(config: &Path) -> anyhow::Result<Table> {
    let shown = config.display();
    let is_text = !config.exists() && config.to_str().is_some_and(|text| text.contains('='));
    let text = match is_text {
        true => config.to_string_lossy().into_owned(),
        false => read_text(config)?,
    };
    let (mut table, problems) = heka_config::parse(&text);
    let mut placed = Problems::new();
    let file = (!is_text).then(|| shown.to_string());
    for problem in &problems {
        placed.push(Problem { file: file.clone(), section: None, ..problem.clone() });
    }
    told(&placed)?;
    let inner = table.remove("config").map(|entry| entry.value.data);
    match inner {
        Some(Data::Table(inner)) => Ok(inner),
        Some(_) => bail!("{shown}: config is no table"),
        None => Ok(table),
    }
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    use std::io::Read as _;
    let shown = path.display();
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
    file.take(VALUES_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read {shown}"))?;
    if text.len() as u64 > VALUES_BYTES_MAX {
        bail!("{shown} is longer than {VALUES_BYTES_MAX} bytes");
    }
    Ok(text)
}

/// The text of a script or module that an error or a profile names, which Lua may have cut at its beginning.
pub(crate) fn source_of(
    name: &str,
    config: &SandboxConfig,
    share_dir: &Arc<Path>,
) -> Option<Vec<u8>> {
    let end = name.strip_prefix("...").unwrap_or(name);
    if let Some((_, source)) = heka_sandbox::embedded_files()
        .find(|file| *file == name)
        .and_then(|file| Some((file, heka_sandbox::embedded(file)?)))
    {
        return Some(source.into_owned());
    }
    let script = share_dir.join(&config.filename);
    if script.display().to_string().ends_with(end) {
        return std::fs::read(script).ok();
    }
    std::fs::read(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_in_the_path_says_the_kind() {
        for (path, kind) in [
            ("/usr/share/heka/lua_decoders/x.lua", KindName::Decoder),
            ("/home/decoders/lua_filters/x.lua", KindName::Filter),
            ("my_encoder.lua", KindName::Encoder),
            ("inputs/x.lua", KindName::Input),
        ] {
            assert_eq!(guess_by_path(path).unwrap().0, kind, "{path}");
        }
        assert!(guess_by_path("/tmp/x.lua").is_none());
    }

    #[test]
    fn what_a_script_does_says_its_kind() {
        for (text, kind) in [
            ("function timer_event(ns) inject_payload() end", KindName::Filter),
            (
                "-- has no timer_event\nfunction process_message() inject_message(m) end",
                KindName::Decoder,
            ),
            ("function process_message() inject_payload('txt', '', 1) end", KindName::Encoder),
            ("require 'io' function process_message() f:write(1) end", KindName::Output),
            ("require \"io\" function process_message() inject_message(m) end", KindName::Input),
            ("", KindName::Filter),
        ] {
            assert_eq!(guess_by_text(text).0, kind, "{text}");
        }
    }

    #[test]
    fn values_are_read_from_texts_later_ones_first() {
        let configs = ["a = 1\nb = 'x'", "a = [2, 3]", "c = 'd = e'"].map(PathBuf::from);
        let values = values(&configs).unwrap();
        let json = serde_json::json!({"a": [2, 3], "b": "x", "c": "d = e"});
        assert_eq!(serde_json::to_value(values).unwrap(), json);
    }
}
