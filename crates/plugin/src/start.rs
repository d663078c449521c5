//! What every plugin is given when it starts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heka_message::{NameId, NameRegistry};
use heka_stream::{Clock, DeadLetters, DurableLog, Storage};

use crate::{Decoder, ManageFilters, Reload, StartError};

/// Makes decoders by section name, for decoders that contain others.
pub trait MakeDecoder: Send + Sync {
    /// A new instance of the decoder with this section name.
    ///
    /// # Errors
    /// If there is no such section, or it cannot start.
    fn make_decoder(
        &self,
        name: &str,
        context: &StartContext,
    ) -> Result<Box<dyn Decoder>, StartError>;
}

/// What a plugin may know of the daemon around it.
#[derive(Clone)]
pub struct StartContext {
    /// Section name of the plugin.
    pub name: Arc<str>,
    /// Field names.
    pub names: Arc<NameRegistry>,
    /// Host name that messages made here carry.
    pub hostname: Arc<str>,
    /// Process id that messages made here carry.
    pub pid: i32,
    /// Where plugins keep what must last.
    pub base_dir: Arc<Path>,
    /// Where read-only resources lie.
    pub share_dir: Arc<Path>,
    /// Longest message in bytes.
    pub max_message_size: usize,
    /// Bits of `log_flags`: prefix of LogOutput's lines.
    pub log_flags: u32,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Small files that last.
    pub storage: Arc<dyn Storage>,
    /// Makes decoders.
    pub decoders: Arc<dyn MakeDecoder>,
    /// The log of the stream, where a consumer is durable.
    pub log: Option<DurableLog>,
    /// Where messages go that are given up for good; `None`: nowhere.
    pub letters: Option<DeadLetters>,
    /// Says when files are to be looked at again.
    pub reload: Reload,
    /// Loads other filters; only filters have it.
    pub filters: Option<Arc<dyn ManageFilters>>,
}

impl StartContext {
    /// The global id of a field name.
    #[must_use]
    pub fn name_id(&self, name: &str) -> NameId {
        self.names.intern(name.as_bytes())
    }

    /// A path as given, or below `base_dir` if relative.
    #[must_use]
    pub fn in_base_dir(&self, path: &str) -> PathBuf {
        self.base_dir.join(path)
    }

    /// A path as given, or below `share_dir` if relative.
    #[must_use]
    pub fn in_share_dir(&self, path: &str) -> PathBuf {
        self.share_dir.join(path)
    }

    /// A decoder of its own for a plugin that contains decoders.
    ///
    /// # Errors
    /// If there is no such section, or it cannot start.
    pub fn make_decoder(&self, name: &str) -> Result<Box<dyn Decoder>, StartError> {
        self.decoders.make_decoder(name, self)
    }

    /// Bytes of the longest record that a splitter delivers: a message with its frame.
    #[must_use]
    pub fn max_record_size(&self) -> usize {
        self.max_message_size + FRAME_BYTES_MAX
    }
}

/// Bytes that a frame adds to a message: separators, header length, longest header.
const FRAME_BYTES_MAX: usize = 3 + 255;

impl fmt::Debug for StartContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StartContext").field("name", &self.name).finish_non_exhaustive()
    }
}
