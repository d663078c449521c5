//! Time stamps: Go layouts, strftime in both directions, epoch forms, and the fixed forms of log files.
//!
//! Here: reading and writing of time stamps as bytes; every stamp is an `i64` of nanoseconds since the Unix
//! epoch. Not here: clocks (callers pass `now_ns`) and durations (`heka-config`). Invariants: nothing panics on
//! any input; what a layout or format means is decided once, when it is compiled; the calendar arithmetic is
//! our own, the zone rules are jiff's.

mod civil;
mod clf;
mod digits;
mod epoch;
mod error;
mod go_layout;
mod location;
mod names;
mod rfc3164;
mod rfc3339;
mod strftime;
mod strptime;
mod write;
mod year;

pub use civil::{Civil, NS_PER_SECOND};
pub use clf::{CLF_BYTES, ClfCache, parse_clf};
pub use epoch::EpochUnit;
pub use error::DatetimeError;
pub use go_layout::GoLayout;
pub use location::Location;
pub use rfc3164::{Rfc3164Cache, parse_rfc3164};
pub use rfc3339::{Rfc3339Cache, parse_rfc3339};
pub use strftime::{Strftime, StrftimeCache};
pub use strptime::StrptimeGrammar;
pub use write::{Rfc3339Writer, write_go_utc, write_rfc3339};
pub use year::{FUTURE_NS_MAX, with_guessed_day, with_guessed_year};
