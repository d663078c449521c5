//! One comparison on one value: what each pair of operator and type means. Source: the message matcher's rules.

use std::cmp::Ordering;

use heka_message::{Field, Record, Value, ValueType};

use crate::ast::{Literal, Relation, Test, Variable};

/// Length of the text of a uuid.
const UUID_TEXT_LEN: usize = heka_message::Uuid::TEXT_LEN;

/// What a variable reads as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operand<'a> {
    /// No such field or value.
    Missing,
    /// A value of an unknown type: every test on it is false.
    Opaque,
    Text(&'a [u8]),
    Uuid([u8; UUID_TEXT_LEN]),
    Number(f64),
    Bool(bool),
}

impl<'a> Operand<'a> {
    /// The value of a variable; a field is looked up by its name's bytes.
    pub(crate) fn read(variable: &Variable, record: &Record<'a>) -> Self {
        match variable {
            Variable::Field { name, field_index, value_index } => {
                let mut named = record.fields().filter(|field| field.name() == &**name);
                Self::of_field(named.nth(*field_index), *value_index)
            }
            header => Self::of_header(header, record),
        }
    }

    /// The value of a header variable; nothing for a field.
    pub(crate) fn of_header(variable: &Variable, record: &Record<'a>) -> Self {
        match variable {
            Variable::Uuid => match record.uuid() {
                Some(uuid) => Self::Uuid(uuid.text()),
                None => Self::Text(b""),
            },
            Variable::Type => Self::Text(record.message_type()),
            Variable::Logger => Self::Text(record.logger()),
            Variable::Payload => Self::Text(record.payload()),
            Variable::EnvVersion => Self::Text(record.env_version()),
            Variable::Hostname => Self::Text(record.hostname()),
            Variable::Timestamp => Self::Number(record.timestamp() as f64),
            Variable::Severity => Self::Number(record.severity().into()),
            Variable::Pid => Self::Number(record.pid().into()),
            Variable::Field { .. } => Self::Missing,
        }
    }

    /// A value of a field.
    pub(crate) fn of_field(field: Option<Field<'a>>, value_index: usize) -> Self {
        let Some(field) = field else { return Self::Missing };
        if field.value_type() == ValueType::Unknown {
            return Self::Opaque;
        }
        match field.value(value_index) {
            None => Self::Missing,
            Some(Value::Str(text) | Value::Bytes(text)) => Self::Text(text),
            Some(Value::Int(number)) => Self::Number(number as f64),
            Some(Value::Double(number)) => Self::Number(number),
            Some(Value::Bool(flag)) => Self::Bool(flag),
        }
    }
}

impl Test {
    /// True if the test holds for a value of its variable.
    pub(crate) fn holds(&self, operand: &Operand<'_>) -> bool {
        match operand {
            Operand::Missing => {
                matches!(self.literal, Literal::Nil) && self.relation == Relation::Equal
            }
            Operand::Opaque => false,
            _ if matches!(self.literal, Literal::Nil) => self.relation == Relation::NotEqual,
            Operand::Text(text) => self.holds_for_text(text),
            Operand::Uuid(text) => self.holds_for_text(text),
            Operand::Number(number) => self.holds_for_number(*number),
            Operand::Bool(flag) => matches!(self.literal, Literal::Bool(true)) == *flag,
        }
    }

    fn holds_for_text(&self, text: &[u8]) -> bool {
        match &self.literal {
            Literal::Text(wanted) => self.relation.holds(text.cmp(wanted)),
            Literal::Regex(regex) => regex.is_match(text) == (self.relation == Relation::Match),
            Literal::Bool(true) => text == b"TRUE",
            Literal::Bool(false) => text == b"FALSE",
            Literal::Number(_) | Literal::Nil => false,
        }
    }

    fn holds_for_number(&self, number: f64) -> bool {
        let Literal::Number(wanted) = self.literal else { return false };
        match number.partial_cmp(&wanted) {
            Some(ordering) => self.relation.holds(ordering),
            None => self.relation == Relation::NotEqual,
        }
    }
}

impl Relation {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            // Searches have no order: the parser pairs them with patterns only.
            Self::Match | Self::NotMatch => false,
        }
    }
}
