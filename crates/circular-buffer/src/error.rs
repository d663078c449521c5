//! What can be wrong with an argument or a text. Scripts see these texts; they are Heka's where it has one.

/// An argument out of range, or a text that does not fit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fewer than two rows.
    #[error("rows must be > 1")]
    Rows,
    /// No column.
    #[error("columns must be > 0")]
    Columns,
    /// A row of no seconds, or of more than 2^31-1.
    #[error("seconds_per_row is out of range")]
    SecondsPerRow,
    /// More memory than there is.
    #[error("not enough memory")]
    Memory,
    /// A column that the buffer does not have.
    #[error("column out of range")]
    ColumnOutOfRange,
    /// A word that is none of those allowed.
    #[error("invalid option '{option}'")]
    InvalidOption {
        /// The word.
        option: String,
    },
    /// A range that ends before it starts.
    #[error("end must be >= start")]
    EndBeforeStart,
    /// The same of the first sample.
    #[error("end_1 must be >= start_1")]
    End1BeforeStart1,
    /// The same of the second sample.
    #[error("end_2 must be >= start_2")]
    End2BeforeStart2,
    /// Samples that share a part.
    #[error("ranges must not overlap")]
    RangesOverlap,
    /// Preserved state of a smaller buffer.
    #[error("fromstring() too few values: {found}, expected {expected}")]
    TooFewValues {
        /// Numbers of the text.
        found: usize,
        /// Cells of the buffer.
        expected: usize,
    },
    /// Preserved state of a larger buffer, or bytes that are no number behind it.
    #[error("fromstring() too many values, more than: {expected}")]
    TooManyValues {
        /// Cells of the buffer.
        expected: usize,
    },
    /// Preserved deltas that are no groups of a time and a number for each column.
    #[error("fromstring() invalid delta")]
    InvalidDelta,
    /// Preserved state that starts with no time and row.
    #[error("fromstring() invalid time/row")]
    InvalidTimeRow,
    /// A text longer than its reader allows.
    #[error("output_limit exceeded")]
    OutputLimit,
    /// More bytes of annotations than [`ANNOTATIONS_BYTES_MAX`](crate::ANNOTATIONS_BYTES_MAX).
    #[error("too many annotations")]
    TooManyAnnotations,
    /// The first line is no header of a circular buffer.
    #[error("invalid circular buffer header")]
    Header {
        /// What is wrong with it as JSON.
        source: serde_json::Error,
    },
    /// A header whose time is beyond all reason.
    #[error("circular buffer header has an invalid time")]
    HeaderTime,
    /// A header whose columns are not as many as it says.
    #[error("circular buffer header has {found} columns, not {expected}")]
    HeaderColumns {
        /// Columns described.
        found: usize,
        /// Columns announced.
        expected: usize,
    },
    /// A row that does not fit the header.
    #[error("invalid circular buffer row in line {line}")]
    Row {
        /// Number of the line; the header is line 1.
        line: usize,
    },
}

/// The error for a word that is none of those allowed.
pub(crate) fn invalid_option(option: &[u8]) -> Error {
    Error::InvalidOption { option: String::from_utf8_lossy(option).into_owned() }
}
