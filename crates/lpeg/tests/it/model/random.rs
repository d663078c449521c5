//! Expressions from bytes: whatever the bytes are, they give an expression.

use super::expr::Expr;
use super::value::{FUNCTIONS, Function, Value};

/// Reads choices from bytes; at their end all choices are the first one.
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
}

/// Names of rules and groups.
const NAMES: [&[u8]; 3] = [b"x", b"y", b"z"];

/// Functions to choose from; the first ones.
const COMMON: usize = 14;

/// Deepest nesting.
const DEPTH_MAX: u32 = 7;

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        match self.bytes.split_first() {
            Some((first, rest)) => {
                self.bytes = rest;
                usize::from(*first) % count
            }
            None => 0,
        }
    }

    /// A subject of few letters, so that much matches.
    pub(crate) fn subject(&mut self) -> Vec<u8> {
        let length = self.below(14);
        (0..length).map(|_| b"aaabbbcc\xe9\0"[self.below(10)]).collect()
    }

    pub(crate) fn expr(&mut self) -> Expr {
        self.node(0, false)
    }

    fn boxed(&mut self, depth: u32, in_grammar: bool) -> Box<Expr> {
        Box::new(self.node(depth + 1, in_grammar))
    }

    fn name(&mut self) -> Value {
        Value::Text(NAMES[self.below(NAMES.len())].to_vec())
    }

    fn function(&mut self) -> Function {
        // Errors are rare enough not to hide all else.
        let function = FUNCTIONS[self.below(COMMON)].1;
        let is_rare = matches!(function, Function::Boom | Function::Back | Function::Here);
        if is_rare && self.below(6) > 0 { Function::Count } else { function }
    }

    fn decider(&mut self) -> Function {
        use Function::{Ahead, Back, Boom, Here, Keep, NilToo, No, None, Odd};
        let common = [Keep, Odd, NilToo, Here, Keep, No, None];
        let rare = [Ahead, Back, Boom];
        if self.below(8) == 7 { rare[self.below(3)] } else { common[self.below(7)] }
    }

    fn leaf(&mut self, in_grammar: bool) -> Expr {
        match self.below(if in_grammar { 14 } else { 10 }) {
            0 => Expr::Literal(b"a".to_vec()),
            1 => Expr::Literal(b"b".to_vec()),
            2 => Expr::Literal([&b"ab"[..], b"abc", b"ca", b""][self.below(4)].to_vec()),
            3 => Expr::Any([1, 1, 2, -1, 0, 3, -2][self.below(7)]),
            4 => {
                Expr::Range([vec![(b'a', b'b')], vec![(b'b', b'c')], vec![]][self.below(3)].clone())
            }
            5 => Expr::Set([&b"ac"[..], b"b", b"\xe9\0", b""][self.below(4)].to_vec()),
            6 => Expr::Position,
            7 => Expr::Constants((0..self.below(3)).map(|it| Value::Int(it as i64)).collect()),
            8 => match self.below(4) {
                0 => Expr::Argument(1 + self.below(3) as u16),
                1 => Expr::Call(self.decider()),
                _ => Expr::Bool(self.below(2) == 1),
            },
            9 => Expr::Back(self.name()),
            _ => Expr::Reference(self.name()),
        }
    }

    fn node(&mut self, depth: u32, in_grammar: bool) -> Expr {
        if depth >= DEPTH_MAX {
            return self.leaf(in_grammar);
        }
        let g = in_grammar;
        match self.below(40) {
            0..8 => self.leaf(g),
            8..14 => Expr::Sequence(self.boxed(depth, g), self.boxed(depth, g)),
            14..19 => Expr::Choice(self.boxed(depth, g), self.boxed(depth, g)),
            19 | 20 => Expr::Difference(self.boxed(depth, g), self.boxed(depth, g)),
            21..24 => {
                let count = [0, 1, -1, 0, 2, -3][self.below(6)];
                Expr::Repeat(self.boxed(depth, g), count)
            }
            24 => Expr::And(self.boxed(depth, g)),
            25 => Expr::Not(self.boxed(depth, g)),
            26 => Expr::Behind(self.boxed(depth, g)),
            27 | 28 => Expr::Simple(self.boxed(depth, g)),
            29 => Expr::Group(self.boxed(depth, g), None),
            30 | 31 => Expr::Group(self.boxed(depth, g), Some(self.name())),
            32 => Expr::Table(self.boxed(depth, g)),
            33 => Expr::Substitution(self.boxed(depth, g)),
            34 => Expr::Fold(self.boxed(depth, g), self.function()),
            35 => Expr::MatchTime(self.boxed(depth, g), self.decider()),
            36 => {
                let text = [&b"<%0>"[..], b"%1", b"%2%1", b"%%", b"x"][self.below(5)];
                Expr::Replace(self.boxed(depth, g), text.to_vec())
            }
            37 => match self.below(3) {
                0 => Expr::Select(self.boxed(depth, g), self.below(3) as u16),
                1 => Expr::Query(self.boxed(depth, g)),
                _ => Expr::Apply(self.boxed(depth, g), self.function()),
            },
            _ => self.grammar(depth),
        }
    }

    fn grammar(&mut self, depth: u32) -> Expr {
        let rules = NAMES.iter().map(|name| {
            let name = Value::Text(name.to_vec());
            (name, self.node(depth + 1, true))
        });
        let mut rules: Vec<_> = rules.collect();
        // A grammar's first rule has the number 1 in Lua unless it is given by name.
        rules.insert(0, (Value::Int(1), Expr::Reference(Value::Text(b"x".to_vec()))));
        Expr::Grammar(rules)
    }
}
