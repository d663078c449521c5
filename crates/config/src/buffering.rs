//! The `buffering` table: limits of a durable route. Not here: the log itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plugin::PluginConfig;
use crate::units::Size;

/// Size of a queue file where none is given.
const DEFAULT_FILE_SIZE: Size = Size::mib(512);

/// What happens when a buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FullAction {
    /// The daemon shuts down in order; until it does the inputs wait.
    #[default]
    #[serde(alias = "")]
    Shutdown,
    /// New messages are dropped for this plugin, and counted.
    Drop,
    /// The inputs wait until there is room.
    Block,
}

/// Limits of what is kept on disk for a plugin that is behind.
///
/// A table given in part takes these defaults for what it leaves out, never the plugin's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Buffering {
    /// Largest file of the log; 0 means the default. All plugins share one log, the smallest size of all is used, and
    /// never more than 64 MiB.
    pub max_file_size: Size,
    /// Most that waits on disk for this plugin; 0 means no limit.
    pub max_buffer_size: Size,
    /// What happens when `max_buffer_size` is reached, or the disk is full.
    pub full_action: Option<FullAction>,
    /// Deliveries after which the plugin's position is written down, at the next commit; 0 counts as 1.
    pub cursor_update_count: u32,
}

impl Default for Buffering {
    fn default() -> Self {
        Self {
            max_file_size: DEFAULT_FILE_SIZE,
            max_buffer_size: Size::new(0),
            full_action: None,
            cursor_update_count: 1,
        }
    }
}

impl Buffering {
    /// Size at which a new queue file is begun, never 0.
    pub fn file_size(&self) -> Size {
        if self.max_file_size.bytes() == 0 { DEFAULT_FILE_SIZE } else { self.max_file_size }
    }

    /// Most bytes kept on disk; none means no limit.
    pub fn buffer_limit(&self) -> Option<u64> {
        (self.max_buffer_size.bytes() > 0).then(|| self.max_buffer_size.bytes())
    }

    /// What happens when the buffer is full; `shutdown` where nothing was said.
    pub fn action(&self) -> FullAction {
        self.full_action.unwrap_or_default()
    }

    /// Deliveries per written position, at least 1.
    pub fn update_count(&self) -> u32 {
        self.cursor_update_count.max(1)
    }
}

impl PluginConfig for Buffering {}
