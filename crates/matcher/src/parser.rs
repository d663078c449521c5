//! From tokens to the tree.
//!
//! Invariants: accepts what Heka accepts; expressions side by side are legal, and the last one counts.

use std::sync::Arc;

use crate::ast::{Expr, Literal, Relation, Test, Variable, WORDS};
use crate::error::ParseError;
use crate::lexer::{End, Kind, Lexer, Token};
use crate::warning::{Warning, WarningKind};

/// Greatest depth of parentheses within parentheses: bounds the recursion here and in evaluation.
pub(crate) const DEPTH_MAX: usize = 100;
/// Longest expression, in bytes.
pub(crate) const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most edits between an unknown word and the name that is proposed for it.
const EDITS_MAX: usize = 2;

const OPERAND: &str = "a variable, TRUE, FALSE or (";
const OPERATOR: &str = "&&, || or the end";
const OPERATOR_OR_CLOSE: &str = "&&, || or )";

/// Reads a whole expression.
pub(crate) fn parse(text: &str) -> Result<(Expr, Vec<Warning>), ParseError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ParseError::TooLong { bytes: text.len(), max: TEXT_BYTES_MAX });
    }
    let mut lexer = Lexer::new(text);
    let token = lexer.token();
    let mut parser = Parser { lexer, token, text, depth: 0 };
    let mut previous: Option<(Expr, usize)> = None;
    loop {
        let start = parser.token.start;
        let expr = parser.or()?;
        if let Some((_, earlier)) = previous.replace((expr, start)) {
            parser.warn(earlier, start, WarningKind::EarlierExpression);
        }
        match parser.token.kind {
            Kind::End(_) => break,
            Kind::Open | Kind::Bool(_) | Kind::Variable(_) => {}
            _ => return Err(parser.error(OPERATOR)),
        }
    }
    let expr = previous.map_or(Expr::Constant(false), |(expr, _)| expr);
    Ok((expr, parser.finish()))
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    token: Token,
    text: &'t str,
    depth: usize,
}

impl Parser<'_> {
    fn advance(&mut self) -> Token {
        let next = self.lexer.token();
        std::mem::replace(&mut self.token, next)
    }

    fn warn(&mut self, start: usize, end: usize, kind: WarningKind) {
        let text = self.lexer.slice(start, end).trim_end().to_owned();
        self.lexer.warnings.push(Warning { position: start, text, kind });
    }

    /// The warnings, in order, with one for what lies behind an early end.
    fn finish(mut self) -> Vec<Warning> {
        let (kind, start) = match &self.token.kind {
            Kind::End(End::Early(kind)) => (Some(*kind), self.token.end),
            Kind::End(End::Regex(_)) => (Some(WarningKind::InvalidRegex), self.token.start),
            _ => (None, self.token.end),
        };
        let ignored = self.text.get(start..).unwrap_or("");
        let ignored = ignored.trim_start_matches(['\n', '\0']);
        if let Some(kind) = kind
            && !ignored.trim().is_empty()
        {
            self.warn(self.text.len() - ignored.len(), self.text.len(), kind);
        }
        self.lexer.warnings.sort_by_key(|warning| warning.position);
        self.lexer.warnings
    }

    fn or(&mut self) -> Result<Expr, ParseError> {
        let mut operands = vec![self.and()?];
        while matches!(self.token.kind, Kind::Or) {
            self.advance();
            operands.push(self.and()?);
        }
        Ok(join(operands, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, ParseError> {
        let mut operands = vec![self.operand()?];
        while matches!(self.token.kind, Kind::And) {
            self.advance();
            operands.push(self.operand()?);
        }
        Ok(join(operands, Expr::And))
    }

    fn operand(&mut self) -> Result<Expr, ParseError> {
        match &self.token.kind {
            Kind::Bool(value) => {
                let value = *value;
                self.advance();
                Ok(Expr::Constant(value))
            }
            Kind::Variable(_) => self.test(),
            Kind::Open => self.parenthesis(),
            _ => Err(self.error(OPERAND)),
        }
    }

    fn parenthesis(&mut self) -> Result<Expr, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::TooDeep { position: self.token.end, max: DEPTH_MAX });
        }
        self.advance();
        let expr = self.or()?;
        if !matches!(self.token.kind, Kind::Close) {
            return Err(self.error(OPERATOR_OR_CLOSE));
        }
        self.advance();
        self.depth -= 1;
        Ok(expr)
    }

    fn test(&mut self) -> Result<Expr, ParseError> {
        let Kind::Variable(variable) = self.advance().kind else {
            return Err(self.error(OPERAND));
        };
        let Kind::Relation(relation) = self.token.kind else {
            return Err(self.error("==, !=, <, <=, >, >=, =~ or !~"));
        };
        self.advance();
        let expected = expected_literal(&variable, relation);
        if !accepts(&variable, relation, &self.token.kind) {
            return Err(self.error(expected));
        }
        let literal = match self.advance().kind {
            Kind::Text(text) => Literal::Text(text),
            Kind::Number(number) => Literal::Number(number),
            Kind::Bool(flag) => Literal::Bool(flag),
            Kind::Nil => Literal::Nil,
            Kind::Regex(regex) => Literal::Regex(regex),
            _ => return Err(self.error(expected)),
        };
        Ok(Expr::Test(Arc::new(Test { variable, relation, literal })))
    }

    /// The error for the current token.
    fn error(&mut self, expected: &'static str) -> ParseError {
        let (position, read) = (self.token.start, self.token.end);
        let word = self.word_at(position);
        let token = match &self.token.kind {
            Kind::End(End::Early(_)) | Kind::Stray if !word.is_empty() => word,
            _ => self.lexer.slice(position, read),
        };
        let token = token.trim_end().to_owned();
        let kind = std::mem::replace(&mut self.token.kind, Kind::Stray);
        match kind {
            Kind::End(End::Regex(source)) => ParseError::Regex { token, position, read, source },
            kind => {
                let hint = hint(&kind, &token);
                let read = read.max(position + token.len());
                ParseError::Syntax { token, position, read, expected, hint }
            }
        }
    }

    fn word_at(&self, position: usize) -> &str {
        let rest = self.text.get(position..).unwrap_or("");
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        rest.get(..length).unwrap_or("")
    }
}

/// Joins operands of one operator; nested ones of the same operator are opened.
fn join(mut operands: Vec<Expr>, operator: fn(Vec<Expr>) -> Expr) -> Expr {
    match operands.len() {
        1 => operands.pop().unwrap_or(Expr::Constant(false)),
        _ => operator(operands),
    }
}

fn accepts(variable: &Variable, relation: Relation, kind: &Kind) -> bool {
    let search = matches!(relation, Relation::Match | Relation::NotMatch);
    let equality = matches!(relation, Relation::Equal | Relation::NotEqual);
    match kind {
        Kind::Regex(_) => search && !variable.is_numeric_header(),
        Kind::Text(_) => !search && !variable.is_numeric_header(),
        Kind::Number(_) => !search && (variable.is_numeric_header() || variable.is_field()),
        Kind::Bool(_) => relation == Relation::Equal && variable.is_field(),
        Kind::Nil => equality && variable.is_field(),
        _ => false,
    }
}

fn expected_literal(variable: &Variable, relation: Relation) -> &'static str {
    match (relation, variable.is_numeric_header(), variable.is_field()) {
        (Relation::Match | Relation::NotMatch, true, _) => {
            "==, !=, <, <=, > or >=: a numeric variable has no text to search"
        }
        (Relation::Match | Relation::NotMatch, false, _) => "a regular expression such as /text/",
        (_, true, _) => "a number without a sign",
        (_, false, false) => "a string such as 'text'",
        (Relation::Equal, _, true) => "a string, a number without a sign, TRUE, FALSE or NIL",
        (Relation::NotEqual, _, true) => "a string, a number without a sign or NIL",
        (_, _, true) => "a string or a number without a sign",
    }
}

fn hint(kind: &Kind, token: &str) -> String {
    match kind {
        Kind::End(End::Early(WarningKind::UnterminatedString)) => {
            return "; the string has no closing quote".to_owned();
        }
        Kind::End(End::Early(WarningKind::UnterminatedRegex)) => {
            return "; the regular expression has no closing slash".to_owned();
        }
        Kind::End(End::Early(WarningKind::MalformedField)) => {
            return "; a field is written Fields[name], Fields[name][0] or Fields[name][0][0]"
                .to_owned();
        }
        Kind::End(End::Early(WarningKind::AfterNewline)) => {
            return "; a line break ends the expression".to_owned();
        }
        _ => {}
    }
    let first = token.chars().next();
    match (token.to_ascii_lowercase().as_str(), first) {
        ("and", _) | (_, Some('&')) => "; did you mean &&?".to_owned(),
        ("or", _) | (_, Some('|')) => "; did you mean ||?".to_owned(),
        (_, Some('=')) => "; did you mean ==?".to_owned(),
        ("not", _) | (_, Some('!')) => "; there is no negation but != and !~".to_owned(),
        (word, Some('a'..='z' | 'A'..='Z')) => closest(token, word),
        _ => String::new(),
    }
}

/// The known word that is nearest to an unknown one.
fn closest(token: &str, lower: &str) -> String {
    if WORDS.contains(&token) {
        return String::new();
    }
    let distances = WORDS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(lower, &known.to_ascii_lowercase()), *known));
    match distances.min() {
        Some((edits, known)) if edits <= EDITS_MAX && edits < known.len() => {
            format!("; did you mean {known}?")
        }
        _ => String::new(),
    }
}
