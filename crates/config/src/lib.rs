//! Heka's TOML dialect with positions, sections and problems.
