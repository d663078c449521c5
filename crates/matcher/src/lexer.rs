//! Tokens of the matcher language.
//!
//! Invariant: whatever Heka's lexer takes for the end of the input ends it here too, but says why.

use std::sync::Arc;

use heka_goregex::Pattern;

use crate::ast::{Regex, Relation, Variable};
use crate::warning::{Warning, WarningKind};

/// Why the input ends.
#[derive(Debug)]
pub(crate) enum End {
    /// It does.
    Text,
    /// Something that Heka takes for the end.
    Early(WarningKind),
    /// A pattern that does not compile.
    Regex(heka_goregex::Error),
}

/// A token.
#[derive(Debug)]
pub(crate) enum Kind {
    End(End),
    Open,
    Close,
    And,
    Or,
    Relation(Relation),
    Variable(Variable),
    Bool(bool),
    Nil,
    Text(Box<[u8]>),
    Number(f64),
    Regex(Box<Regex>),
    /// A character that begins no token.
    Stray,
}

/// A token and where it stands.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Reads tokens off an expression.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    position: usize,
    pub(crate) warnings: Vec<Warning>,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, position: 0, warnings: Vec::new() }
    }

    pub(crate) fn slice(&self, start: usize, end: usize) -> &'t str {
        self.text.get(start..end).unwrap_or("")
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.position += character.len_utf8();
        Some(character)
    }

    fn take_while(&mut self, accept: fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.position += length;
        rest.get(..length).unwrap_or("")
    }

    fn warn(&mut self, start: usize, end: usize, kind: WarningKind) {
        let text = self.slice(start, end).trim_end().to_owned();
        self.warnings.push(Warning { position: start, text, kind });
    }

    /// The next token; after an end, an end again.
    pub(crate) fn token(&mut self) -> Token {
        self.take_while(|c| c == ' ' || c == '\t');
        let start = self.position;
        let kind = match self.next() {
            None => Kind::End(End::Text),
            Some(character) => self.kind(character, start),
        };
        Token { kind, start, end: self.position }
    }

    fn kind(&mut self, first: char, start: usize) -> Kind {
        match first {
            '\n' => self.end(start, WarningKind::AfterNewline),
            '\0' => self.end(start, WarningKind::AfterNul),
            '(' => Kind::Open,
            ')' => Kind::Close,
            '<' if self.eat('=') => Kind::Relation(Relation::LessOrEqual),
            '<' => Kind::Relation(Relation::Less),
            '>' if self.eat('=') => Kind::Relation(Relation::GreaterOrEqual),
            '>' => Kind::Relation(Relation::Greater),
            '=' | '!' | '|' | '&' => self.double(first, start),
            '\'' | '"' => self.string(first, start),
            '/' => self.regex(start),
            '0'..='9' | '.' => self.number(start),
            'A'..='Z' => self.word(start),
            _ => Kind::Stray,
        }
    }

    fn eat(&mut self, character: char) -> bool {
        let found = self.peek() == Some(character);
        if found {
            self.position += character.len_utf8();
        }
        found
    }

    /// Ends the input at `start`: what is left will not be read.
    fn end(&mut self, start: usize, kind: WarningKind) -> Kind {
        self.position = start;
        Kind::End(End::Early(kind))
    }

    /// An operator of two characters. If it is not completed, Heka drops the first and takes the second.
    fn double(&mut self, first: char, start: usize) -> Kind {
        let Some(second) = self.next() else {
            self.warn(start, self.position, WarningKind::LoneOperator);
            return Kind::End(End::Text);
        };
        match (first, second) {
            ('=', '=') => Kind::Relation(Relation::Equal),
            ('=', '~') => Kind::Relation(Relation::Match),
            ('!', '=') => Kind::Relation(Relation::NotEqual),
            ('!', '~') => Kind::Relation(Relation::NotMatch),
            ('|', '|') => Kind::Or,
            ('&', '&') => Kind::And,
            (_, '(' | ')' | '\n' | '\0') => {
                let second_start = self.position - second.len_utf8();
                self.warn(start, second_start, WarningKind::LoneOperator);
                self.kind(second, second_start)
            }
            _ => Kind::Stray,
        }
    }

    /// A backslash before the quote yields the quote; before anything else it stands for itself.
    fn string(&mut self, quote: char, start: usize) -> Kind {
        let mut value = String::new();
        while let Some(character) = self.next() {
            match character {
                '\n' => break,
                '\\' => {
                    let Some(escaped) = self.next().filter(|c| *c != '\n') else { break };
                    if escaped != quote {
                        value.push('\\');
                    }
                    value.push(escaped);
                }
                _ if character == quote => return Kind::Text(value.into_bytes().into()),
                _ => value.push(character),
            }
        }
        self.end(start, WarningKind::UnterminatedString)
    }

    /// A backslash before the slash yields the slash; every other pair is the pattern's business.
    fn regex(&mut self, start: usize) -> Kind {
        let mut pattern = String::new();
        while let Some(character) = self.next() {
            match character {
                '\n' => break,
                '\\' => {
                    let Some(escaped) = self.next().filter(|c| *c != '\n') else { break };
                    if escaped != '/' {
                        pattern.push('\\');
                    }
                    pattern.push(escaped);
                }
                '/' => {
                    return match Pattern::new(&pattern) {
                        Ok(pattern) => Kind::Regex(Box::new(Regex::new(pattern))),
                        Err(error) => Kind::End(End::Regex(error)),
                    };
                }
                _ => pattern.push(character),
            }
        }
        self.end(start, WarningKind::UnterminatedRegex)
    }

    fn number(&mut self, start: usize) -> Kind {
        self.take_while(|c| matches!(c, '0'..='9' | '.' | 'e' | '+' | '-'));
        let text = self.slice(start, self.position);
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Kind::Number(value),
            _ => {
                self.warn(start, self.position, WarningKind::InvalidNumber);
                Kind::Number(0.0)
            }
        }
    }

    fn word(&mut self, start: usize) -> Kind {
        self.take_while(|c| c.is_ascii_alphabetic());
        match self.slice(start, self.position) {
            "TRUE" => Kind::Bool(true),
            "FALSE" => Kind::Bool(false),
            "NIL" => Kind::Nil,
            "Fields" => match self.field() {
                Some(variable) => Kind::Variable(variable),
                None => self.end(start, WarningKind::MalformedField),
            },
            name => match Variable::header(name) {
                Some(variable) => Kind::Variable(variable),
                None => self.end(start, WarningKind::UnknownWord),
            },
        }
    }

    /// The brackets of a field.
    fn field(&mut self) -> Option<Variable> {
        let name: Arc<[u8]> = self.bracket()?.as_bytes().into();
        let mut indexes = [0_usize; 2];
        for index in &mut indexes {
            if self.peek() != Some('[') {
                break;
            }
            *index = self.index()?;
        }
        let [field_index, value_index] = indexes;
        Some(Variable::Field { name, field_index, value_index })
    }

    fn bracket(&mut self) -> Option<&'t str> {
        let inside = self.rest().strip_prefix('[')?;
        let length = inside.find(']')?;
        let content = inside.get(..length)?;
        self.position += length + 2;
        (!content.is_empty() && !content.contains(['\n', '\0'])).then_some(content)
    }

    /// A position that fits no machine is malformed, as in Heka.
    fn index(&mut self) -> Option<usize> {
        let digits = self.bracket()?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let index: i64 = digits.parse().ok()?;
        usize::try_from(index).ok()
    }
}
