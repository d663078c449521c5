//! Lists of options for the reference and `--describe`, made from schema and default value.
//!
//! Here: walking a schema, type names in words. Not here: the page around it. Invariant: the
//! order is that of the struct's fields.

use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::parse::MAX_DEPTH;
use crate::plugin::PluginConfig;

/// One option of a settings struct, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OptionDoc {
    /// The key.
    pub name: String,
    /// Other accepted spellings.
    pub aliases: Vec<String>,
    /// Its type in words: `string`, `duration`, `array of string`, `"drop" | "block"`.
    pub type_text: String,
    /// Its default as it would be written; none if there is none or it is a table.
    pub default_text: Option<String>,
    /// What it does, as written at the field.
    pub doc: String,
    /// True if leaving it out is an error.
    pub required: bool,
    /// Why it no longer has an effect, if so.
    pub retired: Option<String>,
    /// The options of a nested table, or of each table in an array or free-form table.
    pub children: Vec<OptionDoc>,
}

/// The options of a settings struct in the order of its fields.
pub fn describe<T: PluginConfig>() -> Vec<OptionDoc> {
    let schema = schema_of::<T>();
    let defaults = serde_json::to_value(T::default()).unwrap_or(Json::Null);
    options(&schema, &schema, &defaults, 0)
}

/// The schema of a type as plain JSON.
pub(crate) fn schema_of<T: PluginConfig>() -> Json {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

/// The properties of an object schema; none for others.
pub(crate) fn properties(schema: &Json) -> impl Iterator<Item = (&String, &Json)> {
    schema.get("properties").and_then(Json::as_object).into_iter().flatten()
}

/// The property of that name, which must be exact.
pub(crate) fn property<'a>(schema: &'a Json, name: &str) -> Option<&'a Json> {
    schema.get("properties")?.get(name)
}

/// True if leaving the property out is an error.
pub(crate) fn is_required(schema: &Json, name: &str, property: &Json) -> bool {
    let listed = schema.get("required").and_then(Json::as_array).into_iter().flatten();
    let marked = property.get("x-required").and_then(Json::as_bool) == Some(true);
    marked || listed.into_iter().any(|required| required.as_str() == Some(name))
}

/// Follows references and leaves the `null` of optional settings out.
pub(crate) fn resolve<'a>(root: &'a Json, mut schema: &'a Json) -> &'a Json {
    for _ in 0..MAX_DEPTH {
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let name = reference.strip_prefix("#/$defs/").unwrap_or_default();
            match root.get("$defs").and_then(|definitions| definitions.get(name)) {
                Some(target) => schema = target,
                None => return schema,
            }
            continue;
        }
        match alternatives(schema, "anyOf").as_slice() {
            [only] => schema = only,
            _ => return schema,
        }
    }
    schema
}

/// A schema that stands on its own: with the definitions of the root it comes from.
pub(crate) fn with_definitions(schema: &Json, root: &Json) -> Json {
    let mut schema = schema.clone();
    if let (Some(members), Some(definitions)) = (schema.as_object_mut(), root.get("$defs")) {
        members.insert("$defs".to_owned(), definitions.clone());
    }
    schema
}

/// The alternatives under `keyword`, `null` left out.
fn alternatives<'a>(schema: &'a Json, keyword: &str) -> Vec<&'a Json> {
    let all = schema.get(keyword).and_then(Json::as_array).into_iter().flatten();
    all.filter(|schema| schema.get("type").and_then(Json::as_str) != Some("null")).collect()
}

fn options(root: &Json, schema: &Json, defaults: &Json, depth: usize) -> Vec<OptionDoc> {
    if depth > MAX_DEPTH {
        return Vec::new();
    }
    let option = |(name, property): (&String, &Json)| {
        let target = resolve(root, property);
        let default = defaults.get(name).unwrap_or(&Json::Null);
        let text =
            |schema: &Json, key: &str| schema.get(key).and_then(Json::as_str).map(str::to_owned);
        let doc = text(property, "description").or_else(|| text(target, "description"));
        OptionDoc {
            name: name.clone(),
            aliases: strings(property.get("x-aliases")),
            type_text: type_text(root, target, depth),
            default_text: default_text(default),
            doc: doc.unwrap_or_default(),
            required: is_required(schema, name, property),
            retired: text(property, "x-retired"),
            children: children(root, target, default, depth),
        }
    };
    properties(schema).map(option).collect()
}

/// The options below a table, an array of tables or a free-form table of tables.
fn children(root: &Json, target: &Json, default: &Json, depth: usize) -> Vec<OptionDoc> {
    if target.get("properties").is_some() {
        // An optional table has no default value of its own; the type's schema knows its defaults.
        let own = default_of(target);
        let default = if default.is_object() { default } else { &own };
        return options(root, target, default, depth + 1);
    }
    let inner = target.get("items").or_else(|| target.get("additionalProperties"));
    let Some(inner) = inner.filter(|inner| inner.is_object()) else { return Vec::new() };
    let inner = resolve(root, inner);
    if depth > MAX_DEPTH { Vec::new() } else { children(root, inner, &Json::Null, depth + 1) }
}

/// The defaults that a struct's schema names for its properties.
fn default_of(schema: &Json) -> Json {
    let member = |(name, property): (&String, &Json)| {
        property.get("default").map(|default| (name.clone(), default.clone()))
    };
    Json::Object(properties(schema).filter_map(member).collect::<Map<String, Json>>())
}

fn strings(list: Option<&Json>) -> Vec<String> {
    let list = list.and_then(Json::as_array).into_iter().flatten();
    list.filter_map(Json::as_str).map(str::to_owned).collect()
}

/// The type in words.
fn type_text(root: &Json, schema: &Json, depth: usize) -> String {
    if depth > MAX_DEPTH {
        return "any".to_owned();
    }
    if let Some(name) = schema.get("x-type").and_then(Json::as_str) {
        return name.to_owned();
    }
    let values = enum_values(schema);
    if !values.is_empty() {
        let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        return quoted.join(" | ");
    }
    let inner = |keyword: &str| {
        let inner = schema.get(keyword).filter(|inner| inner.is_object());
        inner.map_or("any".to_owned(), |inner| type_text(root, resolve(root, inner), depth + 1))
    };
    match plain_type(schema) {
        Some("array") => format!("array of {}", inner("items")),
        Some("object") if schema.get("properties").is_none() => {
            format!("table of {}", inner("additionalProperties"))
        }
        Some("object") => "table".to_owned(),
        Some("number") => "float".to_owned(),
        Some(name) => name.to_owned(),
        None => union_text(root, schema, depth),
    }
}

/// The alternatives of a type that can be one of several.
fn union_text(root: &Json, schema: &Json, depth: usize) -> String {
    let mut choices = alternatives(schema, "anyOf");
    choices.extend(alternatives(schema, "oneOf"));
    let texts: Vec<String> =
        choices.iter().map(|choice| type_text(root, resolve(root, choice), depth + 1)).collect();
    if texts.is_empty() { "any".to_owned() } else { texts.join(" | ") }
}

/// The one type of a schema, `null` left out.
fn plain_type(schema: &Json) -> Option<&str> {
    match schema.get("type")? {
        Json::String(name) => Some(name),
        Json::Array(names) => names.iter().filter_map(Json::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

/// The values of an enum, in whichever way the schema lists them.
fn enum_values(schema: &Json) -> Vec<String> {
    let mut values = strings(schema.get("enum"));
    for choice in alternatives(schema, "oneOf") {
        match choice.get("const").and_then(Json::as_str) {
            Some(value) => values.push(value.to_owned()),
            None if choice.get("enum").is_some() => values.extend(strings(choice.get("enum"))),
            None => return Vec::new(),
        }
    }
    values
}

/// A default as it would be written.
fn default_text(default: &Json) -> Option<String> {
    match default {
        Json::Null | Json::Object(_) => None,
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests;
