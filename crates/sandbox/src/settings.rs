//! What a sandbox is made with.

use std::path::PathBuf;
use std::sync::Arc;

/// What kind of plugin a script is: which functions it has, and whether it may reach files and processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Makes messages from anything; may use `io` and all of `os`.
    Input,
    /// Turns a record into messages.
    Decoder,
    /// Looks at messages and makes others.
    Filter,
    /// Turns a message into bytes.
    Encoder,
    /// Delivers messages; may use `io` and all of `os`.
    Output,
}

impl Kind {
    /// True if its scripts may reach files and processes.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Input | Self::Output)
    }
}

/// A value of the script's `config` table.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigValue {
    /// A string.
    Text(Box<[u8]>),
    /// An integer or a float.
    Number(f64),
    /// A boolean.
    Boolean(bool),
    /// An array.
    Array(Vec<ConfigValue>),
    /// A table.
    Table(Vec<(Box<[u8]>, ConfigValue)>),
}

/// The limits of a sandbox; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: usize,
    /// Instructions of a call.
    pub instructions: u64,
    /// Bytes of the output buffer, which holds one byte less.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 8 << 20, instructions: 1_000_000, output: 63 << 10 }
    }
}

/// A script.
#[derive(Debug, Clone)]
pub struct Script {
    /// What its errors call it: its path, usually.
    pub name: String,
    /// Its text.
    pub source: Arc<[u8]>,
}

/// What a sandbox is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What kind of plugin it is.
    pub kind: Kind,
    /// Name of the plugin.
    pub name: String,
    /// Where `require` looks, in this order; after that among what is built in, if `library` says so.
    pub modules: Vec<PathBuf>,
    /// `require` finds the modules that are built in.
    pub library: bool,
    /// Its limits.
    pub limits: Limits,
    /// What `read_config` reads.
    pub config: Vec<(Box<[u8]>, ConfigValue)>,
    /// Keeps the script's data as it was when the script failed, for another instance that goes on.
    pub salvage: bool,
    /// Counts what each line costs.
    pub profile: bool,
    /// Keeps what the script prints, instead of logging it.
    pub keep_printed: bool,
}

impl Settings {
    /// Settings without modules, configuration or deviations from the usual limits.
    pub fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: name.to_owned(),
            modules: Vec::new(),
            library: true,
            limits: Limits::default(),
            config: Vec::new(),
            salvage: false,
            profile: false,
            keep_printed: false,
        }
    }
}
