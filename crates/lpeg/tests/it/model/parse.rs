//! Reads expressions as the case files have them: the part of Lua that writes patterns.

use super::expr::Expr;
use super::value::{FUNCTIONS, Function, Value};

/// Reads an expression.
///
/// # Panics
/// If it is none.
pub(crate) fn parse(text: &str) -> Expr {
    let mut parser = Parser { rest: text.as_bytes(), all: text };
    let item = parser.expression(0);
    parser.space();
    assert!(parser.rest.is_empty(), "{text}: unread {:?}", parser.rest.escape_ascii().to_string());
    item.pattern()
}

/// Reads a text with escapes, up to a delimiter or the end.
pub(crate) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut parser = Parser { rest: text, all: "" };
    let mut out = Vec::new();
    while let Some(byte) = parser.next() {
        out.push(if byte == b'\\' { parser.escape() } else { byte });
    }
    out
}

/// A value of the expression language.
enum Item {
    Value(Value),
    Function(Function),
    Map,
    Pattern(Expr),
    /// Fields of a table constructor, those without a key numbered.
    Fields(Vec<(Value, Item)>),
}

struct Parser<'a> {
    rest: &'a [u8],
    all: &'a str,
}

impl Item {
    fn pattern(self) -> Expr {
        match self {
            Self::Pattern(expr) => expr,
            Self::Value(Value::Text(text)) => Expr::Literal(text),
            Self::Value(Value::Int(count)) => Expr::Any(count as i32),
            Self::Value(Value::Bool(value)) => Expr::Bool(value),
            Self::Function(function) => Expr::Call(function),
            Self::Fields(fields) => grammar(fields),
            Self::Value(_) | Self::Map => panic!("no pattern"),
        }
    }

    fn value(self) -> Value {
        match self {
            Self::Value(value) => value,
            _ => panic!("no value"),
        }
    }

    fn function(self) -> Function {
        match self {
            Self::Function(function) => function,
            _ => panic!("no function"),
        }
    }
}

fn grammar(mut fields: Vec<(Value, Item)>) -> Expr {
    let first = fields.iter().position(|(key, _)| *key == Value::Int(1)).expect("a first rule");
    let initial = match &fields[first].1 {
        Item::Value(name) => {
            let name = name.clone();
            fields.remove(first);
            name
        }
        _ => Value::Int(1),
    };
    let mut rules: Vec<_> = fields.into_iter().map(|(key, rule)| (key, rule.pattern())).collect();
    let first = rules.iter().position(|(key, _)| *key == initial).expect("the initial rule");
    let rule = rules.remove(first);
    rules.insert(0, rule);
    Expr::Grammar(rules)
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn peek(&mut self) -> u8 {
        self.space();
        self.rest.first().copied().unwrap_or(0)
    }

    fn eat(&mut self, wanted: u8) -> bool {
        let found = self.peek() == wanted;
        if found {
            self.next();
        }
        found
    }

    fn need(&mut self, wanted: u8) {
        let rest = self.rest.escape_ascii().to_string();
        assert!(self.eat(wanted), "{}: no {} before {rest}", self.all, char::from(wanted));
    }

    /// Operators that bind at least so strongly.
    fn expression(&mut self, least: u8) -> Item {
        let mut left = self.unary();
        loop {
            let operator = self.peek();
            let strength = match operator {
                b'+' | b'-' => 1,
                b'*' | b'/' => 2,
                _ => return left,
            };
            if strength < least {
                return left;
            }
            self.next();
            let right = self.expression(strength + 1);
            left = Item::Pattern(binary(operator, left.pattern(), right));
        }
    }

    fn unary(&mut self) -> Item {
        match self.peek() {
            b'-' => {
                self.next();
                match self.unary() {
                    Item::Value(Value::Int(number)) => Item::Value(Value::Int(-number)),
                    other => Item::Pattern(Expr::Not(Box::new(other.pattern()))),
                }
            }
            b'#' => {
                self.next();
                Item::Pattern(Expr::And(Box::new(self.unary().pattern())))
            }
            _ => self.power(),
        }
    }

    fn power(&mut self) -> Item {
        let base = self.atom();
        if !self.eat(b'^') {
            return base;
        }
        let Value::Int(count) = self.unary().value() else { panic!("{}: no count", self.all) };
        Item::Pattern(Expr::Repeat(Box::new(base.pattern()), count as i32))
    }

    fn atom(&mut self) -> Item {
        match self.peek() {
            b'(' => {
                self.next();
                let inner = self.expression(0);
                self.need(b')');
                inner
            }
            b'{' => self.fields(),
            b'"' | b'\'' => Item::Value(Value::Text(self.text())),
            b'0'..=b'9' => Item::Value(Value::Int(self.number())),
            _ => self.word(),
        }
    }

    fn number(&mut self) -> i64 {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        String::from_utf8_lossy(digits).parse().unwrap()
    }

    fn text(&mut self) -> Vec<u8> {
        self.space();
        let end = self.next().unwrap();
        let mut out = Vec::new();
        loop {
            match self.next().expect("an end of the text") {
                byte if byte == end => return out,
                b'\\' => out.push(self.escape()),
                byte => out.push(byte),
            }
        }
    }

    fn escape(&mut self) -> u8 {
        match self.rest[0] {
            b'0'..=b'9' => {
                let digits = &self.rest[..3];
                let value = String::from_utf8_lossy(digits).parse().unwrap();
                self.rest = &self.rest[3..];
                value
            }
            b'n' => {
                self.next();
                b'\n'
            }
            b't' => {
                self.next();
                b'\t'
            }
            _ => self.next().unwrap(),
        }
    }

    fn fields(&mut self) -> Item {
        self.need(b'{');
        let mut fields = Vec::new();
        let mut number = 0;
        while !self.eat(b'}') {
            let key = self.key();
            let key = key.unwrap_or_else(|| {
                number += 1;
                Value::Int(number)
            });
            fields.push((key, self.expression(0)));
            self.eat(b',');
        }
        Item::Fields(fields)
    }

    fn key(&mut self) -> Option<Value> {
        if self.eat(b'[') {
            let key = self.expression(0).value();
            self.need(b']');
            self.need(b'=');
            return Some(key);
        }
        self.space();
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let after = self.rest[count..].trim_ascii_start();
        if count == 0 || after.first() != Some(&b'=') {
            return None;
        }
        let key = Value::Text(self.rest[..count].to_vec());
        self.rest = &after[1..];
        Some(key)
    }

    fn word(&mut self) -> Item {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let (word, rest) = self.rest.split_at(count);
        self.rest = rest;
        let word = String::from_utf8_lossy(word).into_owned();
        match word.as_str() {
            "nil" => return Item::Value(Value::Nil),
            "true" => return Item::Value(Value::Bool(true)),
            "false" => return Item::Value(Value::Bool(false)),
            "map" => return Item::Map,
            _ => {}
        }
        if let Some((_, function)) = FUNCTIONS.iter().find(|(name, _)| *name == word) {
            return Item::Function(*function);
        }
        let arguments = self.arguments();
        Item::Pattern(call(&word, arguments))
    }

    fn arguments(&mut self) -> Vec<Item> {
        match self.peek() {
            b'"' | b'\'' => return vec![Item::Value(Value::Text(self.text()))],
            b'{' => return vec![self.fields()],
            _ => self.need(b'('),
        }
        let mut arguments = Vec::new();
        while !self.eat(b')') {
            arguments.push(self.expression(0));
            self.eat(b',');
        }
        arguments
    }
}

fn binary(operator: u8, left: Expr, right: Item) -> Expr {
    let left = Box::new(left);
    match operator {
        b'*' => Expr::Sequence(left, Box::new(right.pattern())),
        b'+' => Expr::Choice(left, Box::new(right.pattern())),
        b'-' => Expr::Difference(left, Box::new(right.pattern())),
        _ => match right {
            Item::Value(Value::Text(text)) => Expr::Replace(left, text),
            Item::Value(Value::Int(number)) => Expr::Select(left, number as u16),
            Item::Function(function) => Expr::Apply(left, function),
            Item::Map => Expr::Query(left),
            _ => panic!("no replacement"),
        },
    }
}

fn call(word: &str, arguments: Vec<Item>) -> Expr {
    let mut arguments = arguments.into_iter();
    let mut next = || arguments.next().expect("an argument");
    let boxed = |item: Item| Box::new(item.pattern());
    match word {
        "P" => next().pattern(),
        "R" => Expr::Range(arguments.map(|item| pair(&item.value())).collect()),
        "S" => match next().value() {
            Value::Text(text) => Expr::Set(text),
            other => panic!("no set: {other}"),
        },
        "V" => Expr::Reference(next().value()),
        "B" => Expr::Behind(boxed(next())),
        "C" => Expr::Simple(boxed(next())),
        "Ct" => Expr::Table(boxed(next())),
        "Cs" => Expr::Substitution(boxed(next())),
        "Cg" => Expr::Group(boxed(next()), arguments.next().map(Item::value)),
        "Cf" => Expr::Fold(boxed(next()), next().function()),
        "Cmt" => Expr::MatchTime(boxed(next()), next().function()),
        "Cp" => Expr::Position,
        "Cc" => Expr::Constants(arguments.map(Item::value).collect()),
        "Cb" => Expr::Back(next().value()),
        "Carg" => match next().value() {
            Value::Int(number) => Expr::Argument(number as u16),
            other => panic!("no number: {other}"),
        },
        other => panic!("unknown: {other}"),
    }
}

fn pair(value: &Value) -> (u8, u8) {
    match value {
        Value::Text(text) => (text[0], text[1]),
        other => panic!("no range: {other}"),
    }
}
