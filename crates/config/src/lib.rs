//! Configuration: Heka's TOML dialect with positions, sections, globals, units and problems.
//!
//! Here: reading files and directories, `%ENV[...]`, the parser, typed decoding of a section, the
//! settings that all plugins of a kind share, and option lists for the reference. Not here: which
//! plugin types exist, and what an implicit section means; this crate knows no plugin.
//! Invariants: nothing stops at the first problem, every problem says where, no input panics.

mod buffering;
mod common;
mod decode;
mod describe;
mod env;
mod error;
mod globals;
mod load;
mod parse;
mod plugin;
mod problem;
mod retries;
mod section;
mod source;
mod suggest;
mod tls;
mod units;
mod value;

pub use buffering::{Buffering, FullAction};
pub use common::{CommonConsumer, CommonInput, CommonSplitter, NoCommon, Oversize};
pub use decode::{Scope, decode_table};
pub use describe::{OptionDoc, describe};
pub use error::ConfigError;
pub use globals::{Globals, LogFormat, StreamOptions};
pub use load::{
    Config, MAX_DIRECTORY_FILES, MAX_FILE_BYTES, load, load_with_environment, parse_config,
};
pub use parse::{MAX_DEPTH, MAX_FILE_PROBLEMS, parse, parse_bytes};
pub use plugin::{FieldProblems, PluginConfig, UnknownKeys};
pub use problem::{Problem, Problems, Severity};
pub use retries::Retries;
pub use section::{Category, Section};
pub use source::Span;
pub use suggest::nearest;
pub use tls::{CipherSuite, ClientAuth, Tls, TlsVersion};
pub use units::{GoDuration, Interval, Milliseconds, Octal, Seconds, Secret, Size, empty_is_none};
pub use value::{Data, Entry, Table, Value};
