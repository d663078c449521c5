//! The functions that Heka gives scripts.
//!
//! Here: which kind has which, `read_config`, and how the current message is reached. Source: sandbox.md of Heka's
//! behaviour, section 7.

use std::ffi::c_int;

use heka_message::Record;

use crate::error::Raise;
use crate::function::entry;
use crate::lua::{Lua, Type};
use crate::settings::{ConfigValue, Kind};

mod decode;
mod encode;
mod inject;
mod read;
mod variable;
mod wire;
mod write;

/// Sets the functions of the sandbox's kind in the table on top.
pub(crate) fn open(lua: Lua<'_>) {
    let kind = lua.host().kind;
    lua.set_functions(&[
        ("read_config", entry(read_config)),
        ("decode_message", entry(decode::decode_message)),
    ]);
    let encode = [("encode_message", entry(encode::encode_message))];
    lua.set_functions_with(&encode, &encode::KEYS);
    if kind != Kind::Output {
        let inject = [("inject_message", entry(inject::inject_message))];
        lua.set_functions_with(&inject, &encode::KEYS);
    }
    if matches!(kind, Kind::Decoder | Kind::Filter | Kind::Encoder) {
        lua.set_functions(&[
            ("inject_payload", entry(inject::inject_payload)),
            ("add_to_payload", entry(inject::add_to_payload)),
        ]);
    }
    if kind != Kind::Input {
        lua.set_functions(&[
            ("read_message", entry(read::read_message)),
            ("read_next_field", entry(read::read_next_field)),
        ]);
    }
    if matches!(kind, Kind::Decoder | Kind::Encoder) {
        lua.set_functions(&[("write_message", entry(write::write_message))]);
    }
    if kind == Kind::Output {
        lua.set_functions(&[("update_checkpoint", entry(inject::update_checkpoint))]);
    }
    if kind == Kind::Input {
        lua.set_functions(&[("is_running", entry(is_running))]);
    }
}

/// Shows the current message, if there is one.
fn with_message<R>(lua: Lua<'_>, look: impl FnOnce(&Record<'_>) -> R) -> Option<R> {
    if let Some(record) = &lua.host().record {
        return Some(look(record));
    }
    let mut exchange = lua.host().exchange?;
    let (mut look, mut seen) = (Some(look), None);
    // SAFETY: it is lent for the call that runs.
    unsafe { exchange.as_mut() }.read(&mut |record| {
        if let Some(look) = look.take() {
            seen = Some(look(record));
        }
    });
    seen
}

/// `read_config(key)`.
fn read_config(lua: Lua<'_>) -> Result<c_int, Raise> {
    if lua.top() != 1 {
        return Err(Raise::text("read_config() must have a single argument"));
    }
    let key = lua.check_text(1)?;
    let value = lua.host().config.iter().find(|(name, _)| **name == *key);
    match value {
        Some((_, value)) => {
            lua.charge(1)?;
            push_config_value(lua, value);
        }
        None => lua.push_nil(),
    }
    lua.check_memory()?;
    Ok(1)
}

/// Pushes a value of the configuration; tables become tables.
pub(crate) fn push_config_value(lua: Lua<'_>, value: &ConfigValue) {
    match value {
        ConfigValue::Text(text) => lua.push_bytes(text),
        ConfigValue::Number(number) => lua.push_number(*number),
        ConfigValue::Boolean(flag) => lua.push_boolean(*flag),
        ConfigValue::Array(items) => {
            lua.push_table(items.len(), 0);
            for (index, item) in (1..).zip(items) {
                push_nested(lua, item);
                lua.raw_set_index(-2, index);
            }
        }
        ConfigValue::Table(fields) => {
            lua.push_table(0, fields.len());
            for (name, value) in fields {
                lua.push_bytes(name);
                push_nested(lua, value);
                lua.raw_set(-3);
            }
        }
    }
}

/// As [`push_config_value`], where the stack may be short: configurations nest as deep as their file.
fn push_nested(lua: Lua<'_>, value: &ConfigValue) {
    match lua.reserve_stack(4) {
        Ok(()) => push_config_value(lua, value),
        Err(_) => lua.push_nil(),
    }
}

/// `is_running()`: false once the plugin is to stop.
fn is_running(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_boolean(!lua.host().watch.is_stopping());
    Ok(1)
}

/// An optional index argument, from 0.
fn index_argument(lua: Lua<'_>, index: c_int, what: &'static str) -> Result<usize, Raise> {
    if lua.type_of(index) == Type::None {
        return Ok(0);
    }
    let number = lua.optional_integer(index, 0)?;
    usize::try_from(number).map_err(|_| Raise::argument(index, what))
}
