//! What must be true of a value for a test to hold, in forms that an index can look up.
//!
//! Invariant: whenever a test holds for a value, at least one of its triggers fires for it; if the trigger is
//! exact, the test holds whenever it fires.

use crate::ast::{Literal, Relation, Shortcut, Test, Variable};

/// Shortest text worth a search for it.
const CONTAINS_BYTES_MIN: usize = 2;
/// Longest text that still improves the rank of a search for it.
const CONTAINS_BYTES_GOOD: usize = 8;

/// A condition on a variable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Trigger {
    pub(crate) variable: u32,
    pub(crate) kind: TriggerKind,
}

/// A condition on a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TriggerKind {
    Equal(Box<[u8]>),
    Prefix(Box<[u8]>),
    Suffix(Box<[u8]>),
    Contains(Box<[u8]>),
    /// The bits of a number that is not −0.
    EqualNumber(u64),
    Above {
        bound: u64,
        inclusive: bool,
    },
    Below {
        bound: u64,
        inclusive: bool,
    },
    /// A text that this pattern, which needs no plain text, may match.
    Pattern(String),
    /// The batch has fields of this name.
    Present,
}

/// The triggers of a test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Triggers {
    pub(crate) kinds: Vec<TriggerKind>,
    pub(crate) exact: bool,
}

impl Triggers {
    fn exact(kind: TriggerKind) -> Self {
        Self { kinds: vec![kind], exact: true }
    }

    /// A header is always there: nothing can be said.
    fn present(variable: &Variable) -> Self {
        let kinds = if variable.is_field() { vec![TriggerKind::Present] } else { Vec::new() };
        Self { kinds, exact: false }
    }

    /// The triggers of a test; none if it can hold for any value or for none at all.
    pub(crate) fn of(test: &Test) -> Self {
        match &test.literal {
            Literal::Nil if test.relation == Relation::Equal => Self::default(),
            Literal::Text(text) if test.relation == Relation::Equal => {
                Self::exact(TriggerKind::Equal(text.clone()))
            }
            Literal::Number(number) => Self::of_number(test, *number + 0.0),
            Literal::Regex(regex) if test.relation == Relation::Match => match &regex.shortcut {
                Some(shortcut) => Self::of_shortcut(test, shortcut),
                None => Self::of_pattern(&regex.pattern),
            },
            _ => Self::present(&test.variable),
        }
    }

    fn of_number(test: &Test, number: f64) -> Self {
        let bound = number.to_bits();
        Self::exact(match test.relation {
            Relation::Equal => TriggerKind::EqualNumber(bound),
            Relation::Less => TriggerKind::Below { bound, inclusive: false },
            Relation::LessOrEqual => TriggerKind::Below { bound, inclusive: true },
            Relation::Greater => TriggerKind::Above { bound, inclusive: false },
            Relation::GreaterOrEqual => TriggerKind::Above { bound, inclusive: true },
            Relation::NotEqual | Relation::Match | Relation::NotMatch => {
                return Self::present(&test.variable);
            }
        })
    }

    fn of_shortcut(test: &Test, shortcut: &Shortcut) -> Self {
        Self::exact(match shortcut {
            Shortcut::Exact(text) => TriggerKind::Equal(text.clone()),
            Shortcut::Prefix(text) if !text.is_empty() => TriggerKind::Prefix(text.clone()),
            Shortcut::Suffix(text) if !text.is_empty() => TriggerKind::Suffix(text.clone()),
            Shortcut::Contains(finder) if !finder.needle().is_empty() => {
                TriggerKind::Contains(finder.needle().into())
            }
            _ => return Self::present(&test.variable),
        })
    }

    fn of_pattern(pattern: &heka_goregex::Pattern) -> Self {
        let longest = pattern.required_literals().iter().map(String::len).min().unwrap_or(0);
        if let Some(prefix) = pattern.anchored_prefix()
            && prefix.len() >= longest.max(1)
        {
            return Self {
                kinds: vec![TriggerKind::Prefix(prefix.as_bytes().into())],
                exact: false,
            };
        }
        if longest < CONTAINS_BYTES_MIN {
            let kinds = vec![TriggerKind::Pattern(pattern.as_str().to_owned())];
            return Self { kinds, exact: false };
        }
        let texts = pattern.required_literals().iter();
        let kinds = texts.map(|text| TriggerKind::Contains(text.as_bytes().into())).collect();
        Self { kinds, exact: false }
    }
}

impl TriggerKind {
    /// How well it guards an expression: low is rare and cheap to look up.
    pub(crate) fn rank(&self, variable: &Variable) -> u32 {
        let place = match variable {
            Variable::Payload => 2,
            Variable::Field { .. } => 1,
            _ => 0,
        };
        match self {
            Self::Equal(_) => place,
            Self::EqualNumber(_) => 2 + place,
            Self::Prefix(_) | Self::Suffix(_) => 4 + place,
            Self::Contains(text) => {
                6 + 4 * place + (CONTAINS_BYTES_GOOD - text.len().min(CONTAINS_BYTES_GOOD)) as u32
            }
            Self::Above { .. } | Self::Below { .. } => 20 + place,
            Self::Pattern(_) => 24 + place,
            Self::Present => 30,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Expr;
    use crate::matcher::Matcher;

    fn triggers(text: &str) -> Triggers {
        let (matcher, _) = Matcher::parse(text).unwrap();
        let Expr::Test(test) = matcher.expr() else { panic!("{text} is more than a test") };
        Triggers::of(test)
    }

    fn contains(text: &str) -> TriggerKind {
        TriggerKind::Contains(text.as_bytes().into())
    }

    #[test]
    fn plain_patterns_have_exact_triggers() {
        for (pattern, kind) in [
            ("^ab$", TriggerKind::Equal(b"ab".as_slice().into())),
            ("^ab", TriggerKind::Prefix(b"ab".as_slice().into())),
            ("ab$", TriggerKind::Suffix(b"ab".as_slice().into())),
            ("a", contains("a")),
        ] {
            let expected = Triggers { kinds: vec![kind], exact: true };
            assert_eq!(triggers(&format!("Type =~ /{pattern}/")), expected, "{pattern}");
        }
    }

    #[test]
    fn other_patterns_are_screened_by_the_text_that_they_need() {
        let screened = |kinds| Triggers { kinds, exact: false };
        assert_eq!(triggers(r"Type =~ /ab\d/"), screened(vec![contains("ab")]));
        assert_eq!(triggers("Type =~ /ab|cdx*/"), screened(vec![contains("ab"), contains("cd")]));
        let prefix = TriggerKind::Prefix(b"ab".as_slice().into());
        assert_eq!(triggers(r"Type =~ /^ab\d/"), screened(vec![prefix]));
        let pattern = TriggerKind::Pattern("a.".to_owned());
        assert_eq!(triggers("Type =~ /a./"), screened(vec![pattern]));
        assert_eq!(triggers("Type =~ //"), screened(Vec::new()));
        assert_eq!(triggers("Fields[a] =~ //"), screened(vec![TriggerKind::Present]));
    }

    #[test]
    fn negative_tests_have_no_trigger_but_the_presence_of_their_field() {
        for text in ["Type != 'a'", "Type !~ /a/", "Pid != 1", "Fields[a] == NIL"] {
            assert_eq!(triggers(text), Triggers::default(), "{text}");
        }
        for text in ["Fields[a] != 'a'", "Fields[a] !~ /a/", "Fields[a] != NIL", "Fields[a] < 'b'"]
        {
            assert_eq!(triggers(text).kinds, [TriggerKind::Present], "{text}");
        }
    }
}
