//! The options that all sandbox plugins share.

use std::collections::BTreeMap;
use std::path::PathBuf;

use heka_plugin::{FieldProblems, PluginConfig, StartContext};
use heka_sandbox::{ConfigValue, Kind, Limits, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Folder of modules below the share directory.
const MODULES: &str = "lua_modules";

/// What happens when a script fails, by an error or at a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnTermination {
    /// The plugin ends, as in Heka.
    Exit,
    /// It goes on with a new instance that has the old one's data; the message at fault is left out. One that fails again
    /// and again is set aside for a minute.
    Restart,
}

/// Runs a Lua script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// Language of the script; `lua` is the only one.
    pub script_type: String,
    /// Path of the script, below `share_dir` if relative. Scripts that ship with the daemon are found there even where no
    /// such file exists.
    #[schemars(extend("x-required" = true))]
    pub filename: String,
    /// Folders where `require` looks for modules, separated by `;`. By default `lua_modules` below `share_dir`, and after it
    /// the modules that ship with the daemon.
    pub module_directory: Option<String>,
    /// Keeps the script's global data over restarts of the daemon.
    pub preserve_data: bool,
    /// Most memory of the script, in bytes; 0 is no limit.
    pub memory_limit: u64,
    /// Most instructions of one call; 0 is no limit. Inputs and outputs have none.
    pub instruction_limit: u64,
    /// Most bytes of the output buffer, of which one is not used; 0 is no limit.
    pub output_limit: u64,
    /// Calls `timer_event` once more when the plugin is stopped. Filters and outputs only.
    pub timer_event_on_shutdown: bool,
    /// Measures the time of every message instead of one in a thousand. Filters only.
    pub profile: bool,
    /// What happens when the script fails; by default `exit` for filters and inputs, `restart` for others.
    pub on_termination: Option<OnTermination>,
    /// Values that the script reads with `read_config`.
    pub config: BTreeMap<String, Json>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            script_type: "lua".to_owned(),
            filename: String::new(),
            module_directory: None,
            preserve_data: false,
            memory_limit: limits.memory as u64,
            instruction_limit: limits.instructions,
            output_limit: limits.output as u64,
            timer_event_on_shutdown: false,
            profile: false,
            on_termination: None,
            config: BTreeMap::new(),
        }
    }
}

impl PluginConfig for SandboxConfig {
    fn validate(&self, problems: &mut FieldProblems) {
        let text = format!("unsupported script type: {}", self.script_type);
        problems.require(self.script_type == "lua", "script_type", text);
        problems.require(!self.filename.is_empty(), "filename", "must not be empty");
    }
}

impl SandboxConfig {
    /// What a sandbox of this configuration is made with.
    pub(crate) fn settings(&self, kind: Kind, context: &StartContext) -> Settings {
        let to_usize = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let instructions = if kind.is_open() { 0 } else { self.instruction_limit };
        Settings {
            modules: self.modules(context),
            library: true,
            limits: Limits {
                memory: to_usize(self.memory_limit),
                instructions,
                output: to_usize(self.output_limit),
            },
            config: self.config.iter().filter_map(entry).collect(),
            salvage: self.on_termination(kind) == OnTermination::Restart
                || kind == Kind::Input && self.preserve_data,
            ..Settings::new(kind, &context.name)
        }
    }

    fn modules(&self, context: &StartContext) -> Vec<PathBuf> {
        match &self.module_directory {
            Some(folders) => {
                folders.split(';').filter(|it| !it.is_empty()).map(PathBuf::from).collect()
            }
            None => vec![context.in_share_dir(MODULES)],
        }
    }

    pub(crate) fn on_termination(&self, kind: Kind) -> OnTermination {
        self.on_termination.unwrap_or(match kind {
            Kind::Filter | Kind::Input => OnTermination::Exit,
            Kind::Decoder | Kind::Encoder | Kind::Output => OnTermination::Restart,
        })
    }
}

fn entry((name, value): (&String, &Json)) -> Option<(Box<[u8]>, ConfigValue)> {
    Some((name.as_bytes().into(), value_of(value)?))
}

/// A value as scripts see it; integers become doubles.
fn value_of(value: &Json) -> Option<ConfigValue> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(flag) => ConfigValue::Boolean(*flag),
        Json::Number(number) => ConfigValue::Number(number.as_f64()?),
        Json::String(text) => ConfigValue::Text(text.as_bytes().into()),
        Json::Array(items) => ConfigValue::Array(items.iter().filter_map(value_of).collect()),
        Json::Object(fields) => ConfigValue::Table(fields.iter().filter_map(entry).collect()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_file_but_for_numbers() {
        let json = serde_json::json!({"a": 1, "b": [true, "x"], "c": {"d": 0.5}, "e": null});
        let fields = json.as_object().unwrap();
        let values: Vec<_> = fields.iter().filter_map(entry).collect();
        assert_eq!(values[0], (b"a"[..].into(), ConfigValue::Number(1.0)));
        let array = vec![ConfigValue::Boolean(true), ConfigValue::Text(b"x"[..].into())];
        assert_eq!(values[1].1, ConfigValue::Array(array));
        let inner = (b"d"[..].into(), ConfigValue::Number(0.5));
        assert_eq!(values[2].1, ConfigValue::Table(vec![inner]));
        assert_eq!(values.len(), 3);
    }

    #[test]
    fn only_lua_is_a_script_type() {
        let config = SandboxConfig { script_type: "js".to_owned(), ..SandboxConfig::default() };
        let mut problems = FieldProblems::new();
        config.validate(&mut problems);
        let texts: Vec<&str> = problems.iter().map(|(_, _, text)| text).collect();
        assert_eq!(texts, ["unsupported script type: js", "must not be empty"]);
    }
}
