//! Patterns as a script writes them.

use std::fmt;

use heka_lpeg::{Budget, CharSet, Error, Pattern};

use super::value::{Function, Key, Value, quote};

/// A pattern expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Literal(Vec<u8>),
    Any(i32),
    Bool(bool),
    Range(Vec<(u8, u8)>),
    Set(Vec<u8>),
    Reference(Value),
    Call(Function),
    Sequence(Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>),
    Difference(Box<Expr>, Box<Expr>),
    Repeat(Box<Expr>, i32),
    And(Box<Expr>),
    Not(Box<Expr>),
    Behind(Box<Expr>),
    Simple(Box<Expr>),
    Group(Box<Expr>, Option<Value>),
    Table(Box<Expr>),
    Substitution(Box<Expr>),
    Fold(Box<Expr>, Function),
    MatchTime(Box<Expr>, Function),
    Replace(Box<Expr>, Vec<u8>),
    Select(Box<Expr>, u16),
    Apply(Box<Expr>, Function),
    Query(Box<Expr>),
    Position,
    Constants(Vec<Value>),
    Argument(u16),
    Back(Value),
    Grammar(Vec<(Value, Expr)>),
}

/// A name in an error, as LPeg writes it.
pub(crate) fn describe(key: &Key) -> String {
    match key {
        Key::Value(value) => {
            let text = value.text().map(|text| text.escape_ascii().to_string());
            text.unwrap_or_else(|| format!("(a {})", value.kind()))
        }
        Key::Function(_) => "(a function)".to_owned(),
        Key::Map => "(a table)".to_owned(),
    }
}

impl Expr {
    /// The engine's pattern.
    pub(crate) fn pattern(&self) -> Result<Pattern<Key>, Error> {
        let function = |function: &Function| Key::Function(*function);
        let value = |value: &Value| Key::Value(value.clone());
        Ok(match self {
            Self::Literal(text) => Pattern::literal(text),
            Self::Any(count) => Pattern::any(*count),
            Self::Bool(value) => Pattern::boolean(*value),
            Self::Range(_) | Self::Set(_) => Pattern::set(&self.set()),
            Self::Reference(name) => Pattern::reference(value(name)),
            Self::Call(it) => Pattern::function(function(it))?,
            Self::Sequence(a, b) => Pattern::sequence(&a.pattern()?, &b.pattern()?)?,
            Self::Choice(a, b) => Pattern::choice(&a.pattern()?, &b.pattern()?)?,
            Self::Difference(a, b) => Pattern::difference(&a.pattern()?, &b.pattern()?)?,
            Self::Repeat(it, count) => it.pattern()?.repeat(*count)?,
            Self::And(it) => it.pattern()?.and()?,
            Self::Not(it) => it.pattern()?.not()?,
            Self::Behind(it) => it.pattern()?.behind()?,
            Self::Simple(it) => it.pattern()?.capture()?,
            Self::Group(it, name) => it.pattern()?.group(name.as_ref().map(value))?,
            Self::Table(it) => it.pattern()?.table()?,
            Self::Substitution(it) => it.pattern()?.substitution()?,
            Self::Fold(it, by) => it.pattern()?.fold(function(by))?,
            Self::MatchTime(it, by) => it.pattern()?.match_time(function(by))?,
            Self::Replace(it, text) => it.pattern()?.replace(text)?,
            Self::Select(it, number) => it.pattern()?.select(*number)?,
            Self::Apply(it, by) => it.pattern()?.apply(function(by))?,
            Self::Query(it) => it.pattern()?.query(Key::Map)?,
            Self::Position => Pattern::position(),
            Self::Constants(values) => Pattern::constants(values.iter().map(value))?,
            Self::Argument(number) => Pattern::argument(*number),
            Self::Back(name) => Pattern::back(value(name)),
            Self::Grammar(rules) => {
                let built: Result<Vec<_>, Error> =
                    rules.iter().map(|(name, rule)| Ok((value(name), rule.pattern()?))).collect();
                let built = built?;
                let rules: Vec<_> = built.iter().map(|(name, it)| (name.clone(), it)).collect();
                Pattern::grammar(&rules, &mut Budget::new(1 << 20), &describe)?
            }
        })
    }

    /// The set of a range or set expression.
    pub(crate) fn set(&self) -> CharSet {
        match self {
            Self::Range(ranges) => {
                let sets = ranges.iter().map(|(first, last)| CharSet::range(*first..=*last));
                sets.fold(CharSet::EMPTY, |sum, set| sum.union(&set))
            }
            Self::Set(bytes) => bytes.iter().copied().collect(),
            _ => CharSet::EMPTY,
        }
    }
}

/// As Lua reads it, with more parentheses than needed.
impl fmt::Display for Expr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => write!(out, "P({})", quote(text)),
            Self::Any(count) => write!(out, "P({count})"),
            Self::Bool(value) => write!(out, "P({value})"),
            Self::Range(ranges) => {
                let ranges: Vec<_> = ranges.iter().map(|(a, b)| quote(&[*a, *b])).collect();
                write!(out, "R({})", ranges.join(","))
            }
            Self::Set(bytes) => write!(out, "S({})", quote(bytes)),
            Self::Reference(name) => write!(out, "V({name})"),
            Self::Call(function) => write!(out, "P({})", function.name()),
            Self::Sequence(a, b) => write!(out, "({a}*{b})"),
            Self::Choice(a, b) => write!(out, "({a}+{b})"),
            Self::Difference(a, b) => write!(out, "({a} - {b})"),
            Self::Repeat(it, count) => write!(out, "({it})^{count}"),
            Self::And(it) => write!(out, "#({it})"),
            Self::Not(it) => write!(out, "-({it})"),
            Self::Behind(it) => write!(out, "B({it})"),
            Self::Simple(it) => write!(out, "C({it})"),
            Self::Group(it, None) => write!(out, "Cg({it})"),
            Self::Group(it, Some(name)) => write!(out, "Cg({it},{name})"),
            Self::Table(it) => write!(out, "Ct({it})"),
            Self::Substitution(it) => write!(out, "Cs({it})"),
            Self::Fold(it, by) => write!(out, "Cf({it},{})", by.name()),
            Self::MatchTime(it, by) => write!(out, "Cmt({it},{})", by.name()),
            Self::Replace(it, text) => write!(out, "(({it})/{})", quote(text)),
            Self::Select(it, number) => write!(out, "(({it})/{number})"),
            Self::Apply(it, by) => write!(out, "(({it})/{})", by.name()),
            Self::Query(it) => write!(out, "(({it})/map)"),
            Self::Position => write!(out, "Cp()"),
            Self::Constants(values) => write!(out, "Cc({})", super::value::list(values)),
            Self::Argument(number) => write!(out, "Carg({number})"),
            Self::Back(name) => write!(out, "Cb({name})"),
            Self::Grammar(rules) => {
                let rules: Vec<_> =
                    rules.iter().map(|(name, rule)| format!("[{name}]={rule}")).collect();
                write!(out, "P{{{}}}", rules.join(","))
            }
        }
    }
}
