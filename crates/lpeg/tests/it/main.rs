//! The engine against recorded answers of LPeg 1.0.2, against a plain model, and at its limits.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cases;
mod limits;
mod model;
mod property;
