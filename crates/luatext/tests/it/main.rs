//! Texts beside Lua 5.1, within their limits, and for any bytes.

mod cases;
mod limits;
mod property;
