//! A host with plain values.

use std::ops::Range;

use heka_lpeg::{Budget, Host, Limits, MatchError, Matcher, Program, Verdict};

use super::expr::{Expr, describe};
use super::value::{Key, Value, map_entry, set};

/// A match in the making.
pub(crate) struct Plain<'a> {
    pub(crate) subject: &'a [u8],
    pub(crate) arguments: Vec<Value>,
    pub(crate) stack: Vec<Value>,
    pub(crate) budget: Budget,
}

/// What a match gave: values, nothing, or an error's text.
pub(crate) type Outcome = Result<Option<Vec<Value>>, String>;

/// Steps of a match unless said otherwise.
pub(crate) const STEPS: u64 = 50_000_000;

/// The extra arguments of all matches.
pub(crate) fn arguments() -> Vec<Value> {
    vec![Value::Text(b"first".to_vec()), Value::Int(2)]
}

/// Builds, compiles, matches.
pub(crate) fn outcome(expr: &Expr, subject: &[u8], start: usize, limits: Limits) -> Outcome {
    let pattern = expr.pattern().map_err(|error| error.to_string())?;
    let mut budget = Budget::new(STEPS);
    let program =
        pattern.compile(&mut budget, usize::MAX, &describe).map_err(|error| error.to_string())?;
    let mut matcher = Matcher::new();
    run(&mut matcher, &program, subject, start, limits)
}

/// Matches; a second time with the same buffers, which must make no difference.
pub(crate) fn run(
    matcher: &mut Matcher,
    program: &Program<Key>,
    subject: &[u8],
    start: usize,
    limits: Limits,
) -> Outcome {
    let mut once = || {
        let budget = Budget::new(STEPS);
        let mut host = Plain { subject, arguments: arguments(), stack: vec![Value::Nil], budget };
        let matched = matcher.run(program, subject, start, limits, &mut host);
        let matched = matched.map_err(|error| match error {
            MatchError::Engine(error) => error.to_string(),
            MatchError::Host(error) => error,
        })?;
        let values = host.stack.split_off(1);
        assert_eq!(values.len(), matched.map_or(0, |it| it.values), "values left on the stack");
        Ok(matched.map(|_| values))
    };
    let first = once();
    assert_eq!(first, once(), "the same again");
    first
}

impl Plain<'_> {
    fn take(&mut self) -> Value {
        self.stack.pop().expect("the engine takes what it pushed")
    }

    fn take_many(&mut self, count: usize) -> Vec<Value> {
        self.stack.split_off(self.stack.len() - count)
    }

    fn table(&mut self) -> &mut Vec<(Value, Value)> {
        match self.stack.last_mut() {
            Some(Value::Table(items)) => items,
            other => panic!("no table but {other:?}"),
        }
    }
}

impl Host for Plain<'_> {
    type Key = Key;
    type Error = String;

    fn budget(&mut self) -> &mut Budget {
        &mut self.budget
    }

    fn describe(&mut self, key: &Key) -> String {
        describe(key)
    }

    fn push_substring(&mut self, range: Range<usize>) -> Result<(), String> {
        self.stack.push(Value::Text(self.subject[range].to_vec()));
        Ok(())
    }

    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stack.push(Value::Text(bytes.to_vec()));
        Ok(())
    }

    fn push_position(&mut self, position: usize) -> Result<(), String> {
        self.stack.push(Value::Int(position as i64));
        Ok(())
    }

    fn push_subject(&mut self) -> Result<(), String> {
        self.push_substring(0..self.subject.len())
    }

    fn push_key(&mut self, key: &Key) -> Result<(), String> {
        self.stack.push(match key {
            Key::Value(value) => value.clone(),
            // Shown as its number in the list; only `call` takes it.
            Key::Function(function) => Value::Int(*function as i64),
            Key::Map => Value::Table(vec![]),
        });
        Ok(())
    }

    fn push_argument(&mut self, number: u32) -> Result<bool, String> {
        let value = self.arguments.get(number as usize - 1).cloned();
        let found = value.is_some();
        self.stack.extend(value);
        Ok(found)
    }

    fn push_copy(&mut self, index: usize) -> Result<(), String> {
        self.stack.push(self.stack[1 + index].clone());
        Ok(())
    }

    fn push_table(&mut self, _: usize, _: usize) -> Result<(), String> {
        self.stack.push(Value::Table(vec![]));
        Ok(())
    }

    fn set_field(&mut self) -> Result<(), String> {
        let value = self.take();
        let key = self.take();
        set(self.table(), key, value);
        Ok(())
    }

    fn set_items(&mut self, first: usize, count: usize) -> Result<(), String> {
        let values = self.take_many(count);
        for (index, value) in values.into_iter().enumerate() {
            set(self.table(), Value::Int((first + index) as i64), value);
        }
        Ok(())
    }

    fn call(&mut self, arguments: usize) -> Result<usize, String> {
        let arguments = self.take_many(arguments);
        let Value::Int(function) = self.take() else { panic!("no function") };
        let results = super::value::FUNCTIONS[function as usize].1.call(arguments)?;
        let count = results.len();
        self.stack.extend(results);
        Ok(count)
    }

    fn fold(&mut self, function: &Key, arguments: usize) -> Result<(), String> {
        let arguments = self.take_many(arguments);
        let Key::Function(function) = function else { panic!("no function") };
        let results = function.call(arguments)?;
        self.stack.push(results.into_iter().next().unwrap_or(Value::Nil));
        Ok(())
    }

    fn query(&mut self, table: &Key) -> Result<bool, String> {
        assert_eq!(*table, Key::Map);
        let key = self.take();
        let entry = map_entry(&key);
        let found = entry != Value::Nil;
        self.stack.extend(found.then_some(entry));
        Ok(found)
    }

    fn take_verdict(&mut self, results: usize) -> Result<Verdict, String> {
        let first = self.stack.len() - results;
        Ok(match self.stack.remove(first) {
            Value::Nil | Value::Bool(false) => Verdict::Fail,
            Value::Bool(true) => Verdict::Stay,
            Value::Int(position) => Verdict::To(position as f64),
            Value::Text(text) => {
                Verdict::To(String::from_utf8_lossy(&text).parse().unwrap_or_default())
            }
            Value::Table(_) => Verdict::To(0.0),
        })
    }

    fn pop_text(&mut self, out: &mut Vec<u8>) -> Result<Option<&'static str>, String> {
        let value = self.take();
        match value.text() {
            Some(text) => out.extend_from_slice(&text),
            None => return Ok(Some(value.kind())),
        }
        Ok(None)
    }

    fn ask_text(&mut self, _: usize) -> Result<(), String> {
        Ok(())
    }

    fn pop(&mut self, count: usize) {
        self.take_many(count);
    }

    fn keep(&mut self, count: usize, index: usize) {
        let mut values = self.take_many(count);
        self.stack.push(values.swap_remove(index));
    }

    fn remove(&mut self, index: usize, count: usize) {
        self.stack.drain(1 + index..1 + index + count);
    }
}
