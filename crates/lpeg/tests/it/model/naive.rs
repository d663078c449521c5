//! Matches an expression in the plainest way: recursion over the expression, captures as trees.

use super::expr::Expr;
use super::host::Outcome;
use super::value::{Function, Value, map_entry, set};

/// A capture that matched.
#[derive(Debug, Clone)]
struct Tree<'a> {
    expr: &'a Expr,
    start: usize,
    end: usize,
    inner: Vec<Tree<'a>>,
    /// Values of a match-time capture.
    values: Option<Vec<Value>>,
}

/// The captures before one, innermost list first.
struct Before<'a, 'b> {
    list: &'b [Tree<'a>],
    around: Option<&'b Before<'a, 'b>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Stop {
    /// An error that the engine must give too.
    Error(String),
    /// Too deep or too long for this matcher: there is nothing to compare.
    Gave,
}

type Answer<T> = Result<T, Stop>;

/// Deepest recursion into rules in search of a length.
const LENGTH_DEPTH: u32 = 40;

/// Deepest recursion.
const DEPTH_MAX: u32 = 300;

struct Naive<'a> {
    subject: &'a [u8],
    arguments: Vec<Value>,
    grammars: Vec<&'a [(Value, Expr)]>,
    lists: Vec<Vec<Tree<'a>>>,
    depth: u32,
    steps: u32,
}

/// Matches an expression that the engine has accepted.
pub(crate) fn outcome(expr: &Expr, subject: &[u8], start: usize, steps: u32) -> Option<Outcome> {
    let mut naive = Naive {
        subject,
        arguments: super::host::arguments(),
        grammars: vec![],
        lists: vec![vec![]],
        depth: 0,
        steps,
    };
    let answer = naive.outcome(expr, start);
    match answer {
        Ok(values) => Some(Ok(values)),
        Err(Stop::Error(text)) => Some(Err(text)),
        Err(Stop::Gave) => None,
    }
}

impl<'a> Naive<'a> {
    fn outcome(&mut self, expr: &'a Expr, start: usize) -> Answer<Option<Vec<Value>>> {
        let Some(end) = self.at(expr, start)? else { return Ok(None) };
        let list = self.lists.pop().unwrap();
        let mut values = self.all(&list, None)?;
        if values.is_empty() {
            values.push(Value::Int(end as i64 + 1));
        }
        Ok(Some(values))
    }

    /// Matches; without a match no captures are left.
    fn at(&mut self, expr: &'a Expr, at: usize) -> Answer<Option<usize>> {
        if self.depth > DEPTH_MAX || self.steps == 0 {
            return Err(Stop::Gave);
        }
        self.depth += 1;
        self.steps -= 1;
        let count = self.lists.last().unwrap().len();
        let end = self.expr(expr, at)?;
        if end.is_none() {
            self.lists.last_mut().unwrap().truncate(count);
        }
        self.depth -= 1;
        Ok(end)
    }

    fn expr(&mut self, expr: &'a Expr, at: usize) -> Answer<Option<usize>> {
        let rest = &self.subject[at..];
        Ok(match expr {
            Expr::Literal(text) => rest.starts_with(text).then_some(at + text.len()),
            Expr::Any(count @ 0..) => {
                (rest.len() >= *count as usize).then_some(at + *count as usize)
            }
            Expr::Any(count) => (rest.len() < count.unsigned_abs() as usize).then_some(at),
            Expr::Bool(value) => value.then_some(at),
            Expr::Range(_) | Expr::Set(_) => {
                rest.first().filter(|byte| expr.set().contains(**byte)).map(|_| at + 1)
            }
            Expr::Reference(name) => {
                let rules = *self.grammars.last().unwrap();
                let rule = &rules.iter().find(|(it, _)| it == name).unwrap().1;
                self.at(rule, at)?
            }
            Expr::Sequence(a, b) => match self.at(a, at)? {
                Some(middle) => self.at(b, middle)?,
                None => None,
            },
            Expr::Choice(a, b) => match self.at(a, at)? {
                Some(end) => Some(end),
                None => self.at(b, at)?,
            },
            Expr::Difference(a, b) => match self.look(b, at)? {
                Some(_) => None,
                None => self.at(a, at)?,
            },
            Expr::Repeat(it, count) => self.repeat(it, *count, at)?,
            Expr::And(it) => self.look(it, at)?.map(|_| at),
            Expr::Not(it) => match self.look(it, at)? {
                Some(_) => None,
                None => Some(at),
            },
            Expr::Behind(it) => {
                let rules = self.grammars.last().copied().unwrap_or_default();
                let length = it.length(rules, LENGTH_DEPTH).ok_or(Stop::Gave)?;
                match at.checked_sub(length) {
                    Some(before) => self.at(it, before)?,
                    None => None,
                }
            }
            Expr::Grammar(rules) => {
                self.grammars.push(rules);
                let end = self.at(&rules[0].1, at)?;
                self.grammars.pop();
                end
            }
            Expr::MatchTime(it, function) => self.match_time(expr, Some(it), *function, at)?,
            Expr::Call(function) => self.match_time(expr, None, *function, at)?,
            _ => self.capture(expr, at)?,
        })
    }

    /// Matches and drops the captures.
    fn look(&mut self, expr: &'a Expr, at: usize) -> Answer<Option<usize>> {
        let count = self.lists.last().unwrap().len();
        let end = self.at(expr, at)?;
        self.lists.last_mut().unwrap().truncate(count);
        Ok(end)
    }

    fn repeat(&mut self, it: &'a Expr, count: i32, at: usize) -> Answer<Option<usize>> {
        let mut end = at;
        let mut times = 0;
        while count >= 0 || times < -count {
            match self.at(it, end)? {
                Some(next) => end = next,
                None => break,
            }
            times += 1;
        }
        Ok((times >= count).then_some(end))
    }

    fn inner(&self, expr: &'a Expr) -> Option<&'a Expr> {
        match expr {
            Expr::Simple(it)
            | Expr::Group(it, _)
            | Expr::Table(it)
            | Expr::Substitution(it)
            | Expr::Fold(it, _)
            | Expr::Replace(it, _)
            | Expr::Select(it, _)
            | Expr::Apply(it, _)
            | Expr::Query(it) => Some(it),
            _ => None,
        }
    }

    fn capture(&mut self, expr: &'a Expr, at: usize) -> Answer<Option<usize>> {
        if matches!(expr, Expr::Constants(values) if values.is_empty()) {
            return Ok(Some(at));
        }
        self.lists.push(vec![]);
        let end = match self.inner(expr) {
            Some(it) => self.at(it, at)?,
            None => Some(at),
        };
        let inner = self.lists.pop().unwrap();
        if let Some(end) = end {
            let tree = Tree { expr, start: at, end, inner, values: None };
            self.lists.last_mut().unwrap().push(tree);
        }
        Ok(end)
    }

    fn match_time(
        &mut self,
        expr: &'a Expr,
        it: Option<&'a Expr>,
        function: Function,
        at: usize,
    ) -> Answer<Option<usize>> {
        self.lists.push(vec![]);
        let end = match it {
            Some(it) => self.at(it, at)?,
            None => Some(at),
        };
        let inner = self.lists.pop().unwrap();
        let Some(end) = end else { return Ok(None) };
        let lists = std::mem::take(&mut self.lists);
        let values = self.in_lists(&lists, None, &inner);
        self.lists = lists;
        let mut values = values?;
        if values.is_empty() {
            values.push(Value::Text(self.subject[at..end].to_vec()));
        }
        let mut arguments = vec![Value::Text(self.subject.to_vec()), Value::Int(end as i64 + 1)];
        arguments.extend(values);
        let mut results = function.call(arguments).map_err(Stop::Error)?.into_iter();
        let to = match results.next() {
            None | Some(Value::Nil | Value::Bool(false)) => return Ok(None),
            Some(Value::Bool(true)) => end as i64 + 1,
            Some(Value::Int(position)) => position,
            Some(Value::Text(text)) => String::from_utf8_lossy(&text).parse().unwrap_or_default(),
            Some(Value::Table(_)) => 0,
        };
        if to <= end as i64 || to > self.subject.len() as i64 + 1 {
            let text = "invalid position returned by match-time capture";
            return Err(Stop::Error(text.to_owned()));
        }
        let values: Vec<Value> = results.collect();
        let end = to as usize - 1;
        if !values.is_empty() {
            let tree = Tree { expr, start: at, end, inner: vec![], values: Some(values) };
            self.lists.last_mut().unwrap().push(tree);
        }
        Ok(Some(end))
    }

    /// The values of a list inside all that is still open.
    fn in_lists(
        &mut self,
        lists: &[Vec<Tree<'a>>],
        around: Option<&Before<'a, '_>>,
        inner: &[Tree<'a>],
    ) -> Answer<Vec<Value>> {
        match lists.split_first() {
            Some((list, rest)) => self.in_lists(rest, Some(&Before { list, around }), inner),
            None => self.all(inner, around),
        }
    }

    fn all(&mut self, list: &[Tree<'a>], around: Option<&Before<'a, '_>>) -> Answer<Vec<Value>> {
        let mut values = Vec::new();
        for (index, tree) in list.iter().enumerate() {
            values.extend(self.tree(tree, &Before { list: &list[..index], around })?);
        }
        Ok(values)
    }

    /// The values in a capture, or what it matched.
    fn nested(&mut self, tree: &Tree<'a>, before: &Before<'a, '_>) -> Answer<Vec<Value>> {
        let mut values = self.all(&tree.inner, Some(before))?;
        if values.is_empty() {
            values.push(Value::Text(self.subject[tree.start..tree.end].to_vec()));
        }
        Ok(values)
    }

    fn tree(&mut self, tree: &Tree<'a>, before: &Before<'a, '_>) -> Answer<Vec<Value>> {
        if self.depth > DEPTH_MAX || self.steps == 0 {
            return Err(Stop::Gave);
        }
        self.depth += 1;
        self.steps -= 1;
        let values = self.values(tree, before)?;
        self.depth -= 1;
        Ok(values)
    }

    fn values(&mut self, tree: &Tree<'a>, before: &Before<'a, '_>) -> Answer<Vec<Value>> {
        if let Some(values) = &tree.values {
            return Ok(values.clone());
        }
        Ok(match tree.expr {
            Expr::Simple(_) => {
                let whole = Value::Text(self.subject[tree.start..tree.end].to_vec());
                let mut values = vec![whole];
                values.extend(self.all(&tree.inner, Some(before))?);
                values
            }
            Expr::Group(_, None) => self.nested(tree, before)?,
            Expr::Group(_, Some(_)) => vec![],
            Expr::Table(_) => vec![self.table(tree, before)?],
            Expr::Substitution(_) | Expr::Replace(..) => {
                let mut text = Vec::new();
                self.append(tree, before, &mut text, "")?;
                vec![Value::Text(text)]
            }
            Expr::Fold(_, function) => vec![self.fold(tree, before, *function)?],
            Expr::Select(_, 0) => vec![],
            Expr::Select(_, number) => {
                let values = self.nested(tree, before)?;
                let value = values.into_iter().nth(usize::from(*number) - 1);
                vec![value.ok_or_else(|| Stop::Error(format!("no capture '{number}'")))?]
            }
            Expr::Apply(_, function) => {
                function.call(self.nested(tree, before)?).map_err(Stop::Error)?
            }
            Expr::Query(_) => {
                let entry = map_entry(&self.nested(tree, before)?[0]);
                if entry == Value::Nil { vec![] } else { vec![entry] }
            }
            Expr::Position => vec![Value::Int(tree.start as i64 + 1)],
            // Several constants are an anonymous group.
            Expr::Constants(values) => values.clone(),
            Expr::Argument(number) => {
                let value = self.arguments.get(usize::from(*number) - 1).cloned();
                let error = format!("reference to absent extra argument #{number}");
                vec![value.ok_or(Stop::Error(error))?]
            }
            Expr::Back(name) => self.back(name, before)?,
            other => panic!("no capture: {other}"),
        })
    }

    fn table(&mut self, tree: &Tree<'a>, before: &Before<'a, '_>) -> Answer<Value> {
        let mut items = Vec::new();
        let mut next = 1;
        for (index, inner) in tree.inner.iter().enumerate() {
            let here = Before { list: &tree.inner[..index], around: Some(before) };
            if let Expr::Group(_, Some(name)) = inner.expr {
                let value = self.nested(inner, &here)?.swap_remove(0);
                set(&mut items, name.clone(), value);
                continue;
            }
            for value in self.tree(inner, &here)? {
                set(&mut items, Value::Int(next), value);
                next += 1;
            }
        }
        Ok(Value::Table(items))
    }

    fn fold(
        &mut self,
        tree: &Tree<'a>,
        before: &Before<'a, '_>,
        function: Function,
    ) -> Answer<Value> {
        let none = || Stop::Error("no initial value for fold capture".to_owned());
        let mut sum = None;
        for (index, inner) in tree.inner.iter().enumerate() {
            let here = Before { list: &tree.inner[..index], around: Some(before) };
            let mut values = self.tree(inner, &here)?;
            sum = Some(match sum {
                None if values.is_empty() => return Err(none()),
                None => values.swap_remove(0),
                Some(sum) => {
                    values.insert(0, sum);
                    let results = function.call(values).map_err(Stop::Error)?;
                    results.into_iter().next().unwrap_or(Value::Nil)
                }
            });
        }
        sum.ok_or_else(none)
    }

    fn back(&mut self, name: &Value, before: &Before<'a, '_>) -> Answer<Vec<Value>> {
        let mut place = Some(before);
        while let Some(here) = place {
            for (index, tree) in here.list.iter().enumerate().rev() {
                if matches!(tree.expr, Expr::Group(_, Some(it)) if it == name) {
                    let before = Before { list: &here.list[..index], around: here.around };
                    return self.nested(tree, &before);
                }
            }
            place = here.around;
        }
        let name = super::expr::describe(&super::value::Key::Value(name.clone()));
        Err(Stop::Error(format!("back reference '{name}' not found")))
    }

    fn append(
        &mut self,
        tree: &Tree<'a>,
        before: &Before<'a, '_>,
        out: &mut Vec<u8>,
        what: &str,
    ) -> Answer<bool> {
        if tree.values.is_none() {
            match tree.expr {
                Expr::Substitution(_) => return self.substitution(tree, before, out),
                Expr::Replace(_, text) => return self.replacement(tree, before, text, out),
                _ => {}
            }
        }
        let values = self.tree(tree, before)?;
        let Some(first) = values.first() else { return Ok(false) };
        let error = || Stop::Error(format!("invalid {what} value (a {})", first.kind()));
        out.extend(first.text().ok_or_else(error)?);
        Ok(true)
    }

    fn substitution(
        &mut self,
        tree: &Tree<'a>,
        before: &Before<'a, '_>,
        out: &mut Vec<u8>,
    ) -> Answer<bool> {
        let mut done = tree.start;
        for (index, inner) in tree.inner.iter().enumerate() {
            let here = Before { list: &tree.inner[..index], around: Some(before) };
            out.extend_from_slice(self.subject.get(done..inner.start).unwrap_or_default());
            done = inner.start;
            if self.append(inner, &here, out, "replacement")? {
                done = inner.end;
            }
        }
        out.extend_from_slice(self.subject.get(done..tree.end).unwrap_or_default());
        Ok(true)
    }

    fn replacement(
        &mut self,
        tree: &Tree<'a>,
        before: &Before<'a, '_>,
        text: &[u8],
        out: &mut Vec<u8>,
    ) -> Answer<bool> {
        let mut known = Vec::new();
        references(tree, before, &mut known, &mut |known, tree, before| {
            let is_text = known.is_empty() || matches!(tree.expr, Expr::Simple(_));
            let text = is_text.then(|| self.subject[tree.start..tree.end].to_vec());
            let mut value = Ok(text.clone());
            if text.is_none() {
                let mut text = Vec::new();
                let found = self.append(tree, before, &mut text, "capture");
                value = found.map(|found| found.then_some(text));
            }
            known.push(value);
        });
        known.truncate(10);
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            if *byte != b'%' {
                out.push(*byte);
                continue;
            }
            let escaped = bytes.next().copied().unwrap_or(0);
            if !escaped.is_ascii_digit() {
                out.push(escaped);
                continue;
            }
            let index = usize::from(escaped - b'0');
            match known.get(index) {
                None => return Err(Stop::Error(format!("invalid capture index ({index})"))),
                Some(Ok(Some(text))) => out.extend_from_slice(text),
                Some(Ok(None)) => {
                    return Err(Stop::Error(format!("no values in capture index {index}")));
                }
                Some(Err(Stop::Gave)) => return Err(Stop::Gave),
                Some(Err(Stop::Error(text))) => return Err(Stop::Error(text.clone())),
            }
        }
        Ok(true)
    }
}

/// A text that a replacement may refer to: none without a value.
type Known = Answer<Option<Vec<u8>>>;

/// Visits the captures that a replacement may refer to, those in texts after them.
fn references<'a>(
    tree: &Tree<'a>,
    before: &Before<'a, '_>,
    known: &mut Vec<Known>,
    add: &mut dyn FnMut(&mut Vec<Known>, &Tree<'a>, &Before<'a, '_>),
) {
    let is_first = known.is_empty();
    add(known, tree, before);
    if is_first || (tree.values.is_none() && matches!(tree.expr, Expr::Simple(_))) {
        for (index, inner) in tree.inner.iter().enumerate() {
            let here = Before { list: &tree.inner[..index], around: Some(before) };
            references(inner, &here, known, add);
        }
    }
}

impl Expr {
    /// The length of all matches, given the rules around; none if it is not plain to see.
    fn length(&self, rules: &[(Value, Expr)], depth: u32) -> Option<usize> {
        let deeper = depth.checked_sub(1)?;
        match self {
            Self::Literal(text) => Some(text.len()),
            Self::Any(count) => Some((*count).max(0) as usize),
            Self::Range(_) | Self::Set(_) => Some(1),
            Self::Sequence(a, _) if a.never_matches() => Some(0),
            Self::Sequence(a, b) => Some(a.length(rules, deeper)? + b.length(rules, deeper)?),
            Self::Choice(a, b) => match (&**a, &**b) {
                (Self::Bool(false), other) | (other, Self::Bool(false)) => {
                    other.length(rules, deeper)
                }
                _ => a
                    .length(rules, deeper)
                    .filter(|it| Some(*it) == b.length(rules, deeper) || a.never_fails()),
            },
            Self::Difference(a, _) => a.length(rules, deeper),
            Self::Bool(_) | Self::And(_) | Self::Not(_) | Self::Behind(_) => Some(0),
            Self::Repeat(it, count) if *count < 0 => it.length(rules, deeper).filter(|it| *it == 0),
            Self::Reference(name) => {
                rules.iter().find(|(it, _)| it == name)?.1.length(rules, deeper)
            }
            Self::Grammar(rules) => rules[0].1.length(rules, deeper),
            _ => None,
        }
    }

    /// Whether this is `P(false)`, perhaps with something after it that is left out.
    fn never_matches(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Sequence(a, _) => a.never_matches(),
            _ => false,
        }
    }

    /// Whether an alternative after this one is never tried, and so left out.
    fn never_fails(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Literal(text) => text.is_empty(),
            Self::Any(count) => *count == 0,
            Self::Sequence(a, b) => a.never_fails() && b.never_fails(),
            Self::Choice(a, b) => a.never_fails() || b.never_fails(),
            Self::Repeat(_, count) => *count <= 0,
            Self::And(it) => it.never_fails(),
            _ => false,
        }
    }
}
