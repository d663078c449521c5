//! Rotated sets of log files, read as streams with a journal.
