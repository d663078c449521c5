//! What can go wrong with layouts, formats, zones and stamps.

/// Longest piece of an unreadable stamp that an error quotes, in bytes.
const QUOTED_BYTES_MAX: usize = 64;

/// Why a layout, a format, a zone name or a stamp was refused.
#[derive(Debug, thiserror::Error)]
pub enum DatetimeError {
    /// A layout that starts with `Epoch` but is none of the four known ones.
    #[error("unknown layout {layout:?}: known are Epoch, EpochMilli, EpochMicro and EpochNano")]
    EpochLayout {
        /// The layout as configured.
        layout: String,
    },
    /// A zone name that the zone database does not hold.
    #[error("unknown time zone {name:?}")]
    Location {
        /// The name as configured.
        name: String,
        /// What the database said.
        source: jiff::Error,
    },
    /// A conversion that reading by strftime format does not know.
    #[error("unknown conversion %{code} at byte {offset} of time format {format:?}")]
    Conversion {
        /// The whole format.
        format: String,
        /// The character after the `%`.
        code: char,
        /// Where its `%` stands.
        offset: usize,
    },
    /// A format whose last byte is a lone `%`.
    #[error("time format {format:?} ends with a lone %")]
    LonePercent {
        /// The whole format.
        format: String,
    },
    /// Text that fits neither the layout nor any fallback.
    #[error("don't recognize Timestamp: '{text}'")]
    Unrecognized {
        /// The text, cut to a bounded length.
        text: String,
    },
    /// A stamp without year, month or day, read by a format that demands them.
    #[error("time stamp '{text}' lacks year, month or day")]
    NoDate {
        /// The text, cut to a bounded length.
        text: String,
    },
    /// A stamp that does not fit into nanoseconds since the epoch.
    #[error("time stamp '{text}' lies outside of the years 1678 to 2261")]
    Range {
        /// The text, cut to a bounded length.
        text: String,
    },
}

impl DatetimeError {
    pub(crate) fn unrecognized(text: &[u8]) -> Self {
        Self::Unrecognized { text: quoted(text) }
    }

    pub(crate) fn no_date(text: &[u8]) -> Self {
        Self::NoDate { text: quoted(text) }
    }

    pub(crate) fn range(text: &[u8]) -> Self {
        Self::Range { text: quoted(text) }
    }
}

fn quoted(text: &[u8]) -> String {
    let end = text.len().min(QUOTED_BYTES_MAX);
    String::from_utf8_lossy(&text[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_stamp_is_bounded() {
        let error = DatetimeError::unrecognized(&[b'x'; 1000]);
        assert_eq!(error.to_string().len(), "don't recognize Timestamp: ''".len() + 64);
    }
}
