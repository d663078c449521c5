//! Values, the functions that patterns call, and how both are written.

use std::fmt;

/// A Lua value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Text(Vec<u8>),
    Table(Vec<(Value, Value)>),
}

/// What a pattern keeps of the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Value(Value),
    Function(Function),
    /// The only table: `map`.
    Map,
}

/// The functions; `testdata/expect.lua` has them in Lua.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Function {
    /// The first argument in upper case if it is a text.
    Upper,
    /// The number of arguments, then the arguments.
    Count,
    /// Nothing.
    None,
    /// The arguments with the first two swapped.
    Swap,
    /// The texts of the arguments with commas between.
    Join,
    /// A table of the arguments.
    Pack,
    /// An error.
    Boom,
    /// Goes on, keeps the captures.
    Keep,
    /// Goes on one byte later, keeps the captures.
    Ahead,
    /// Goes on at odd positions.
    Odd,
    /// True, nil, the position.
    NilToo,
    /// The position as a text.
    Here,
    /// The position before.
    Back,
    /// False.
    No,
    /// The first argument as a number.
    Number,
}

pub(crate) const FUNCTIONS: [(&str, Function); 15] = [
    ("upper", Function::Upper),
    ("count", Function::Count),
    ("none", Function::None),
    ("swap", Function::Swap),
    ("join", Function::Join),
    ("pack", Function::Pack),
    ("boom", Function::Boom),
    ("keep", Function::Keep),
    ("ahead", Function::Ahead),
    ("odd", Function::Odd),
    ("niltoo", Function::NilToo),
    ("here", Function::Here),
    ("back", Function::Back),
    ("no", Function::No),
    ("tonumber", Function::Number),
];

impl Function {
    pub(crate) fn name(self) -> &'static str {
        FUNCTIONS.iter().find(|(_, it)| *it == self).map(|(name, _)| *name).unwrap()
    }

    pub(crate) fn call(self, mut arguments: Vec<Value>) -> Result<Vec<Value>, String> {
        let position = match arguments.get(1) {
            Some(Value::Int(position)) => *position,
            _ => 0,
        };
        let rest: Vec<Value> = arguments.iter().skip(2).cloned().collect();
        let answer = |first: Value| std::iter::once(first).chain(rest.iter().cloned()).collect();
        Ok(match self {
            Self::Upper => {
                let first = arguments.drain(..).next().unwrap_or(Value::Nil);
                vec![match first {
                    Value::Text(text) => Value::Text(text.to_ascii_uppercase()),
                    other => other,
                }]
            }
            Self::Count => {
                let count = Value::Int(arguments.len() as i64);
                std::iter::once(count).chain(arguments).collect()
            }
            Self::None => vec![],
            Self::Swap => {
                if arguments.len() > 1 {
                    arguments.swap(0, 1);
                }
                arguments
            }
            Self::Join => {
                let texts: Vec<String> = arguments.iter().map(Value::plain).collect();
                vec![Value::Text(texts.join(",").into_bytes())]
            }
            Self::Pack => {
                let mut items = Vec::new();
                for (index, value) in arguments.into_iter().enumerate() {
                    set(&mut items, Value::Int(index as i64 + 1), value);
                }
                vec![Value::Table(items)]
            }
            Self::Boom => return Err("boom".to_owned()),
            Self::Keep => answer(Value::Bool(true)),
            Self::Ahead => answer(Value::Int(position + 1)),
            Self::Odd => answer(Value::Bool(position % 2 == 1)),
            Self::NilToo => vec![Value::Bool(true), Value::Nil, Value::Int(position)],
            Self::Here => vec![Value::Text(position.to_string().into_bytes())],
            Self::Back => vec![Value::Int(position - 1)],
            Self::No => vec![Value::Bool(false), Value::Int(1)],
            Self::Number => {
                let text = arguments.first().and_then(Value::text).unwrap_or_default();
                let number = String::from_utf8_lossy(&text).parse();
                vec![number.map_or(Value::Nil, Value::Int)]
            }
        })
    }
}

/// The entry of `map`.
pub(crate) fn map_entry(key: &Value) -> Value {
    match key {
        Value::Text(text) if text == b"a" => Value::Text(b"A".to_vec()),
        Value::Text(text) if text == b"b" => Value::Int(7),
        Value::Text(text) if text == b"ab" => Value::Bool(false),
        Value::Int(1) => Value::Text(b"one".to_vec()),
        _ => Value::Nil,
    }
}

/// Sets a field of a table.
pub(crate) fn set(table: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    table.retain(|(it, _)| *it != key);
    if value != Value::Nil {
        table.push((key, value));
    }
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "number",
            Self::Text(_) => "string",
            Self::Table(_) => "table",
        }
    }

    /// As part of a text.
    pub(crate) fn text(&self) -> Option<Vec<u8>> {
        match self {
            Self::Int(number) => Some(number.to_string().into_bytes()),
            Self::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// As `join` shows it.
    fn plain(&self) -> String {
        match self {
            Self::Table(_) => "table".to_owned(),
            other => match other.text() {
                Some(text) => text.iter().map(|byte| char::from(*byte)).collect(),
                None => other.to_string(),
            },
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => write!(out, "nil"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(number) => write!(out, "{number}"),
            Self::Text(text) => write!(out, "{}", quote(text)),
            Self::Table(items) => {
                let mut items: Vec<String> =
                    items.iter().map(|(key, value)| format!("{key}={value}")).collect();
                items.sort();
                write!(out, "{{{}}}", items.join(";"))
            }
        }
    }
}

/// A text as Lua reads it.
pub(crate) fn quote(text: &[u8]) -> String {
    let mut out = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\{byte:03}")),
        }
    }
    out.push('"');
    out
}

/// Values as the case files have them.
pub(crate) fn list(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}
