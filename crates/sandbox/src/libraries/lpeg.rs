//! The library `lpeg`.

/// What the binding keeps for a sandbox.
#[derive(Debug, Default)]
pub(crate) struct LpegState {
    /// Buffers of matches, taken while one runs.
    pub(crate) matcher: Option<heka_lpeg::Matcher>,
}
