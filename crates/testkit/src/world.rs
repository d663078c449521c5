//! What plugins are started in: nothing of the machine.

use std::path::Path;
use std::sync::Arc;

use heka_engine::EngineSettings;
use heka_message::NameRegistry;
use heka_plugin::{MakeDecoder, Reload, StartContext};
use heka_stream::{ManualClock, MemoryStorage};

/// Time of the clock: 2014-02-10 12:00 in UTC.
pub(crate) const NOW_NS: i64 = 1_392_033_600_000_000_000;
/// Longest message.
const MESSAGE_BYTES_MAX: usize = 65_536;

pub(crate) fn engine_settings() -> EngineSettings {
    EngineSettings {
        clock: Arc::new(ManualClock::new(NOW_NS)),
        storage: Arc::new(MemoryStorage::default()),
        hostname: "host".to_owned(),
        pid: 1,
    }
}

/// What one plugin is started with; `decoders` makes those that it contains.
pub(crate) fn context(decoders: Arc<dyn MakeDecoder>) -> StartContext {
    StartContext {
        name: "tested".into(),
        names: NameRegistry::new(),
        hostname: "host".into(),
        pid: 1,
        base_dir: Path::new("/nonexistent").into(),
        share_dir: Path::new("/nonexistent").into(),
        max_message_size: MESSAGE_BYTES_MAX,
        log_flags: 0,
        clock: Arc::new(ManualClock::new(NOW_NS)),
        storage: Arc::new(MemoryStorage::default()),
        decoders,
        log: None,
        letters: None,
        reload: Reload::default(),
        filters: None,
    }
}
