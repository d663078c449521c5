//! One matcher, tested directly: for single messages, and as the measure of what a set must select.

use heka_message::Record;

use crate::ast::{Expr, Variable};
use crate::error::ParseError;
use crate::parser;
use crate::test::Operand;
use crate::warning::Warning;

/// A parsed `message_matcher` expression.
#[derive(Clone, Debug)]
pub struct Matcher {
    source: String,
    expr: Expr,
}

impl Matcher {
    /// Reads an expression; the warnings name the parts that have no effect.
    ///
    /// # Errors
    /// If it is no expression, with the position and what was expected there.
    pub fn parse(text: &str) -> Result<(Self, Vec<Warning>), ParseError> {
        let (expr, warnings) = parser::parse(text)?;
        Ok((Self { source: text.to_owned(), expr }, warnings))
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// True if the expression holds for a message. For many messages or matchers use a [`crate::MatcherSet`].
    #[must_use]
    pub fn matches(&self, record: &Record<'_>) -> bool {
        holds(&self.expr, record)
    }

    /// The names of the fields that it mentions, each once, in order.
    #[must_use]
    pub fn required_names(&self) -> Vec<&[u8]> {
        let mut names = Vec::new();
        collect_names(&self.expr, &mut names);
        names
    }

    pub(crate) fn expr(&self) -> &Expr {
        &self.expr
    }
}

impl std::fmt::Display for Matcher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.source)
    }
}

fn holds(expr: &Expr, record: &Record<'_>) -> bool {
    match expr {
        Expr::Constant(value) => *value,
        Expr::Test(test) => test.holds(&Operand::read(&test.variable, record)),
        Expr::And(operands) => operands.iter().all(|operand| holds(operand, record)),
        Expr::Or(operands) => operands.iter().any(|operand| holds(operand, record)),
    }
}

fn collect_names<'m>(expr: &'m Expr, names: &mut Vec<&'m [u8]>) {
    match expr {
        Expr::Constant(_) => {}
        Expr::Test(test) => {
            if let Variable::Field { name, .. } = &test.variable
                && !names.contains(&&**name)
            {
                names.push(name);
            }
        }
        Expr::And(operands) | Expr::Or(operands) => {
            operands.iter().for_each(|operand| collect_names(operand, names));
        }
    }
}
