//! The daemon's own log: lines for people or JSON, on standard error.

use heka_config::LogFormat;
use tracing_subscriber::EnvFilter;

/// Environment variable that sets the level (`debug`, `heka_engine=trace`, …); `info` if unset.
const LEVEL_VARIABLE: &str = "HEKA_LOG";

/// Begins to log, from `info` on.
pub(crate) fn start(format: LogFormat) {
    start_at(format, "info");
}

/// Begins to log from a level on, unless the environment says another one.
pub(crate) fn start_at(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_env(LEVEL_VARIABLE).unwrap_or_else(|_| EnvFilter::new(level));
    // Where standard error is gone there is nobody to tell that, and a daemon does not end for it.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Text => builder.with_target(false).with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // A second call, as tests make it, keeps the first log.
    if let Err(error) = started {
        tracing::debug!(error, "the log was started before");
    }
}
