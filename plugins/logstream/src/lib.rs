//! LogstreamerInput.
