//! The plugin contracts.
//!
//! Here: the traits of the six kinds, what a plugin is given to work with, how it answers, and how it is listed.
//! Not here: who runs plugins (`heka-engine`), nor any plugin. Invariants: a plugin names no other plugin; what
//! it does not answer for is handed out again; nothing here allocates per message.

mod counts;
mod decoder;
mod def;
mod encoded;
mod encoder;
mod error;
mod feed;
mod filter;
mod input;
mod limited;
mod manage;
mod message_feed;
mod output;
mod reload;
mod report;
mod splitter;
mod start;
mod template;

pub use counts::{Counter, InputCounts, PluginCounts};
pub use decoder::{Decode, DecodeError, Decoder};
pub use def::{Defaults, Framing, Maker, NO_DEFAULTS, Plugin, PluginDef, Prepare, Prepared};
pub use encoded::{EncodeBuffer, Encoded};
pub use encoder::{Encode, EncodeError, Encoder, EncoderRunner};
pub use error::{FilterError, InputError, OutputError, StartError};
pub use feed::{Feed, FeedMaker, FeedSettings, Pools};
pub use filter::{Filter, FilterContext};
pub use heka_config::{Category, FieldProblems, PluginConfig, UnknownKeys};
pub use heka_matcher::Matcher;
pub use heka_stream::{
    Ack, Clock, DeadLetters, Delivery, Durability, DurableLog, Keep, Settled, Storage,
};
pub use input::{Input, InputContext, Reporter, Stop, StopSwitch};
pub use limited::LimitedLog;
pub use manage::{DynamicFilter, ManageFilters, OnEnd};
pub use message_feed::MessageFeed;
pub use output::{Flush, Output, OutputContext};
pub use reload::Reload;
pub use report::{Metric, Report};
pub use splitter::{Frame, Frames, Oversize, Scan, Splitter};
pub use start::{MakeDecoder, StartContext};
pub use template::{MessageTemplate, TemplateError};

/// A boxed future, for traits that are used as objects.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
