//! A nested table given in part keeps the plugin's own defaults for what it leaves out.
//!
//! Serde takes the defaults of the nested type; where the plugin's differ, they are put into the
//! table before it is decoded. Not for optional tables: these have no default to keep.

use serde_json::Value as Json;

use super::keys;
use crate::describe;
use crate::source::Span;
use crate::value::{Data, Entry, Origin, Table, Value};

/// Adds to the tables in `table` what they leave out and the plugin's `defaults` say otherwise
/// than those of the nested type. Runs through nested tables as far as the schema goes.
pub(super) fn fill(table: &mut Table, schema: &Json, defaults: &Json, span: Span) {
    for (name, property) in describe::properties(schema) {
        let nested = describe::resolve(schema, property);
        let Some(wanted) = defaults.get(name).and_then(Json::as_object) else { continue };
        if nested.get("properties").is_none() {
            continue;
        }
        let Some(key) = table.get_any_case(name).map(|entry| entry.key.clone()) else { continue };
        let Some(value) = table.get_mut(&key) else { continue };
        let Data::Table(inner) = &mut value.data else { continue };
        let nested = describe::with_definitions(nested, schema);
        for (member, property) in describe::properties(&nested) {
            let given = keys::given_name(inner, member, property).is_some();
            let Some(json) = wanted.get(member).filter(|_| !given) else { continue };
            if property.get("default") == Some(json) {
                continue;
            }
            if let Some(value) = from_json(json, span) {
                let added = inner.insert(Entry { key: member.clone(), key_span: span, value });
                debug_assert!(added.is_ok(), "the setting is not given");
            }
        }
        fill(inner, &nested, &Json::Object(wanted.clone()), span);
    }
}

/// A default value as if it had been written; none for what has no written form.
pub(super) fn from_json(json: &Json, span: Span) -> Option<Value> {
    let data = match json {
        Json::Null => return None,
        Json::Bool(value) => Data::Boolean(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Data::Integer(integer),
            None => Data::Float(number.as_f64()?),
        },
        Json::String(text) => Data::String(text.clone()),
        Json::Array(values) => {
            Data::Array(values.iter().filter_map(|value| from_json(value, span)).collect())
        }
        Json::Object(members) => {
            let mut table = Table::with_origin(Origin::Value);
            for (key, member) in members {
                if let Some(value) = from_json(member, span) {
                    let added = table.insert(Entry { key: key.clone(), key_span: span, value });
                    debug_assert!(added.is_ok(), "the keys of an object differ");
                }
            }
            Data::Table(table)
        }
    };
    Some(Value { data, span })
}
