//! TCP and UDP inputs and outputs.
