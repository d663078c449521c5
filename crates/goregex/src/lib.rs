//! Go regular expressions, translated for the regex crates.
