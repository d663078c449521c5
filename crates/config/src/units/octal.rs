//! File permissions as octal text.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::ConfigError;

/// Permission bits and the set-id and sticky bits.
const MAX_MODE: u32 = 0o7777;

/// File permissions, written as text of octal digits: `"644"`, at most `"7777"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Octal(u32);

impl Octal {
    /// The given mode; bits above 0o7777 are cut off.
    pub const fn new(mode: u32) -> Self {
        Self(mode & MAX_MODE)
    }

    /// The mode as the system calls want it.
    pub const fn mode(self) -> u32 {
        self.0
    }
}

impl FromStr for Octal {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= MAX_MODE);
        mode.map(Self).ok_or_else(|| ConfigError::Octal { text: text.to_owned() })
    }
}

impl fmt::Display for Octal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:o}", self.0)
    }
}

impl Serialize for Octal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Octal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(OctalVisitor)
    }
}

struct OctalVisitor;

impl Visitor<'_> for OctalVisitor {
    type Value = Octal;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("octal digits in quotes such as '644'")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Octal, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Octal {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Octal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-type": "octal" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_digits_are_a_permission() {
        assert_eq!("644".parse::<Octal>().unwrap(), Octal::new(0o644));
        assert_eq!("0700".parse::<Octal>().unwrap().to_string(), "700");
        assert_eq!("7777".parse::<Octal>().unwrap().mode(), 0o7777);
    }

    #[test]
    fn other_texts_and_numbers_are_no_permission() {
        for text in ["", "8", "-1", "+7", "10000", "0o644", "rw"] {
            assert!(text.parse::<Octal>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Octal>("644").is_err());
    }
}
