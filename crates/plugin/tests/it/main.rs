//! Feeds and encoded records, from outside.

mod encoded;
mod feed;
