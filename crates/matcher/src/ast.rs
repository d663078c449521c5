//! The tree of a matcher expression.

use std::sync::Arc;

use heka_goregex::{LiteralForm, Pattern};
use memchr::memmem::Finder;

/// What a test reads from a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Variable {
    Uuid,
    Type,
    Logger,
    Payload,
    EnvVersion,
    Hostname,
    Timestamp,
    Severity,
    Pid,
    /// Value `value_index` of the `field_index`-th field with this name.
    Field {
        name: Arc<[u8]>,
        field_index: usize,
        value_index: usize,
    },
}

/// Names of the variables and constants, as they are written.
pub(crate) const WORDS: &[&str] = &[
    "Uuid",
    "Type",
    "Logger",
    "Payload",
    "EnvVersion",
    "Hostname",
    "Timestamp",
    "Severity",
    "Pid",
    "Fields",
    "TRUE",
    "FALSE",
    "NIL",
];

impl Variable {
    /// The header variable with this name.
    pub(crate) fn header(name: &str) -> Option<Self> {
        Some(match name {
            "Uuid" => Self::Uuid,
            "Type" => Self::Type,
            "Logger" => Self::Logger,
            "Payload" => Self::Payload,
            "EnvVersion" => Self::EnvVersion,
            "Hostname" => Self::Hostname,
            "Timestamp" => Self::Timestamp,
            "Severity" => Self::Severity,
            "Pid" => Self::Pid,
            _ => return None,
        })
    }

    pub(crate) fn is_numeric_header(&self) -> bool {
        matches!(self, Self::Timestamp | Self::Severity | Self::Pid)
    }

    pub(crate) fn is_field(&self) -> bool {
        matches!(self, Self::Field { .. })
    }
}

/// How a test compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Match,
    NotMatch,
}

/// What a test compares with.
#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Text(Box<[u8]>),
    Number(f64),
    Bool(bool),
    Nil,
    Regex(Box<Regex>),
}

/// A pattern with the short cut that it allows.
#[derive(Clone, Debug)]
pub(crate) struct Regex {
    pub(crate) pattern: Pattern,
    pub(crate) shortcut: Option<Shortcut>,
}

/// A comparison that does what a search for the pattern would do.
#[derive(Clone, Debug)]
pub(crate) enum Shortcut {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<Finder<'static>>),
}

impl Regex {
    pub(crate) fn new(pattern: Pattern) -> Self {
        let shortcut = pattern.literal_form().map(|form| match form {
            LiteralForm::Exact(text) => Shortcut::Exact(text.as_bytes().into()),
            LiteralForm::Prefix(text) => Shortcut::Prefix(text.as_bytes().into()),
            LiteralForm::Suffix(text) => Shortcut::Suffix(text.as_bytes().into()),
            LiteralForm::Contains(text) => {
                Shortcut::Contains(Box::new(Finder::new(text.as_bytes()).into_owned()))
            }
        });
        Self { pattern, shortcut }
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        match &self.shortcut {
            None => self.pattern.is_match(text),
            Some(Shortcut::Exact(wanted)) => *text == **wanted,
            Some(Shortcut::Prefix(wanted)) => text.starts_with(wanted),
            Some(Shortcut::Suffix(wanted)) => text.ends_with(wanted),
            Some(Shortcut::Contains(finder)) => finder.find(text).is_some(),
        }
    }
}

/// One comparison.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) variable: Variable,
    pub(crate) relation: Relation,
    pub(crate) literal: Literal,
}

/// What makes two tests the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LiteralKey {
    Text(Box<[u8]>),
    Number(u64),
    Bool(bool),
    Nil,
    Regex(String),
}

impl Test {
    /// Equal for equal tests.
    pub(crate) fn key(&self) -> (Variable, Relation, LiteralKey) {
        let literal = match &self.literal {
            Literal::Text(text) => LiteralKey::Text(text.clone()),
            Literal::Number(number) => LiteralKey::Number(number.to_bits()),
            Literal::Bool(flag) => LiteralKey::Bool(*flag),
            Literal::Nil => LiteralKey::Nil,
            Literal::Regex(regex) => LiteralKey::Regex(regex.pattern.as_str().to_owned()),
        };
        (self.variable.clone(), self.relation, literal)
    }
}

/// An expression; `And` and `Or` have at least two operands.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Constant(bool),
    Test(Arc<Test>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}
