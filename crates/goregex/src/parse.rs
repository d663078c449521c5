//! Reads Go's pattern syntax (package `regexp/syntax`, Perl flags) into the tree.
//!
//! Invariant: accepts what Go accepts, and besides only `(?<name>…)` and a repeated group name.

use crate::ast::{Assert, Ast, Node, concat};
use crate::class::{self, Class, Item};
use crate::error::Error;

/// Greatest repetition count, nested counts multiplied; Go's limit.
pub(crate) const REPEAT_MAX: u32 = 1000;
/// Greatest depth of groups within groups: bounds the recursion here and in the regex engine.
pub(crate) const DEPTH_MAX: usize = 100;
/// Longest pattern, in bytes.
pub(crate) const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Longest count, in digits, that is read as a number; a longer one is too large anyway.
const COUNT_DIGITS_MAX: usize = 8;

/// Reads a whole pattern.
pub(crate) fn parse(text: &str) -> Result<Ast, Error> {
    if text.len() > PATTERN_BYTES_MAX {
        return Err(Error::TooLong { bytes: text.len(), max: PATTERN_BYTES_MAX });
    }
    let mut parser =
        Parser { text, position: 0, flags: Flags::default(), depth: 0, group_names: vec![None] };
    let root = parser.alternation()?;
    if parser.peek() == Some(')') {
        return Err(Error::UnopenedGroup { position: parser.position });
    }
    Ok(Ast { root, group_names: parser.group_names })
}

#[derive(Clone, Copy, Default)]
struct Flags {
    /// `i`
    fold: bool,
    /// `m`
    multi_line: bool,
    /// `s`
    dot_newline: bool,
    /// `U`
    swap_greed: bool,
}

struct Parser<'t> {
    text: &'t str,
    position: usize,
    flags: Flags,
    depth: usize,
    group_names: Vec<Option<String>>,
}

/// The head of a repetition operator.
struct Count {
    min: u32,
    max: Option<u32>,
    valid: bool,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
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

    fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.position += prefix.len();
        }
        found
    }

    fn since(&self, start: usize) -> String {
        self.text.get(start..self.position).unwrap_or("").to_owned()
    }

    /// Up to the end or the `)` that closes the group.
    fn alternation(&mut self) -> Result<Node, Error> {
        let mut branches = vec![self.concatenation()?];
        while self.eat("|") {
            branches.push(self.concatenation()?);
        }
        Ok(match branches.len() {
            1 => branches.pop().unwrap_or(Node::Empty),
            _ => Node::Alternate(branches),
        })
    }

    fn concatenation(&mut self) -> Result<Node, Error> {
        let mut nodes = Vec::new();
        let mut after_repeat = false;
        while let Some(character) = self.peek() {
            let start = self.position;
            match character {
                '|' | ')' => break,
                '*' | '+' | '?' | '{' => {
                    if let Some(count) = self.count(character) {
                        self.repeat(&mut nodes, count, start, after_repeat)?;
                        after_repeat = true;
                        continue;
                    }
                    self.position += 1;
                    nodes.push(self.literal('{'));
                }
                '(' => nodes.extend(self.group()?),
                '\\' if self.eat("\\Q") => self.quoted(&mut nodes),
                '\\' => nodes.push(self.escape()?),
                '[' => nodes.push(Node::Class(self.bracket_class()?)),
                _ => {
                    self.position += character.len_utf8();
                    nodes.push(self.plain(character));
                }
            }
            after_repeat = false;
        }
        Ok(concat(nodes))
    }

    fn literal(&self, character: char) -> Node {
        Node::Literal { character, fold: self.flags.fold }
    }

    fn plain(&self, character: char) -> Node {
        match character {
            '.' => Node::Class(Class::dot(self.flags.dot_newline)),
            '^' if self.flags.multi_line => Node::Assert(Assert::LineStart),
            '^' => Node::Assert(Assert::TextStart),
            '$' if self.flags.multi_line => Node::Assert(Assert::LineEnd),
            '$' => Node::Assert(Assert::TextEnd),
            _ => self.literal(character),
        }
    }

    /// The text up to `\E` or the end, literally.
    fn quoted(&mut self, nodes: &mut Vec<Node>) {
        while !self.eat("\\E") {
            let Some(character) = self.next() else { return };
            nodes.push(self.literal(character));
        }
    }

    /// Reads a repetition operator without its `?`; `None`, with nothing read, if a brace forms none.
    fn count(&mut self, operator: char) -> Option<Count> {
        let start = self.position;
        self.position += 1;
        match operator {
            '*' => return Some(Count { min: 0, max: None, valid: true }),
            '+' => return Some(Count { min: 1, max: None, valid: true }),
            '?' => return Some(Count { min: 0, max: Some(1), valid: true }),
            _ => {}
        }
        let count = self.braced_count();
        if count.is_none() {
            self.position = start;
        }
        count
    }

    fn braced_count(&mut self) -> Option<Count> {
        let min = self.number()?;
        let max = match (self.eat(","), self.peek()) {
            (false, _) => Some(min),
            (true, Some('}')) => None,
            (true, _) => Some(self.number()?),
        };
        if !self.eat("}") {
            return None;
        }
        let ordered = max.is_none_or(|max| min <= max && max <= REPEAT_MAX);
        Some(Count { min, max, valid: ordered && min <= REPEAT_MAX })
    }

    /// Digits without a leading zero.
    fn number(&mut self) -> Option<u32> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let text = self.rest().get(..digits)?.to_owned();
        if digits == 0 || (digits > 1 && text.starts_with('0')) {
            return None;
        }
        self.position += digits;
        Some(if digits > COUNT_DIGITS_MAX { u32::MAX } else { text.parse().ok()? })
    }

    fn repeat(
        &mut self,
        nodes: &mut Vec<Node>,
        count: Count,
        start: usize,
        after_repeat: bool,
    ) -> Result<(), Error> {
        let lazy = self.eat("?");
        let text = self.since(start);
        if !count.valid {
            return Err(Error::RepeatCount { position: start, text, max: REPEAT_MAX });
        }
        if after_repeat {
            return Err(Error::NestedRepeat { position: start, text });
        }
        let Some(node) = nodes.pop() else {
            return Err(Error::NothingToRepeat { position: start, text });
        };
        let times = count.max.unwrap_or(count.min).max(1);
        if times > 1 && !fits(&node, REPEAT_MAX / times) {
            return Err(Error::RepeatCount { position: start, text, max: REPEAT_MAX });
        }
        nodes.push(Node::Repeat {
            node: Box::new(node),
            min: count.min,
            max: count.max,
            greedy: lazy == self.flags.swap_greed,
        });
        Ok(())
    }

    /// A group, or flags for what follows (then there is no node).
    fn group(&mut self) -> Result<Option<Node>, Error> {
        let start = self.position;
        self.position += 1;
        let outer = self.flags;
        let capture = if self.eat("?P<") || (!self.is_look_behind() && self.eat("?<")) {
            Some(self.group_name(start)?)
        } else if self.eat("?") {
            if self.flag_list(start)? == ')' {
                return Ok(None);
            }
            None
        } else {
            self.group_names.push(None);
            Some(self.group_names.len() - 1)
        };
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error::TooDeep { position: start, max: DEPTH_MAX });
        }
        let node = self.alternation()?;
        if !self.eat(")") {
            return Err(Error::UnclosedGroup { position: start });
        }
        self.depth -= 1;
        self.flags = outer;
        Ok(Some(Node::Group { capture, node: Box::new(node) }))
    }

    fn is_look_behind(&self) -> bool {
        self.rest().starts_with("?<=") || self.rest().starts_with("?<!")
    }

    fn group_name(&mut self, start: usize) -> Result<usize, Error> {
        let Some(length) = self.rest().find('>') else {
            return Err(Error::GroupName { position: start, text: self.rest().to_owned() });
        };
        let name = self.rest().get(..length).unwrap_or("").to_owned();
        if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
            return Err(Error::GroupName { position: start, text: name });
        }
        self.position += length + 1;
        self.group_names.push(Some(name));
        Ok(self.group_names.len() - 1)
    }

    /// Flags up to `:` or `)`, which is returned.
    fn flag_list(&mut self, start: usize) -> Result<char, Error> {
        let mut flags = self.flags;
        let mut on = true;
        let mut dangling = false;
        loop {
            let character = self.next();
            match character {
                Some('i') => flags.fold = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_newline = on,
                Some('U') => flags.swap_greed = on,
                Some('-') if on => on = false,
                Some(end @ (':' | ')')) if !dangling => {
                    self.flags = flags;
                    return Ok(end);
                }
                _ => {
                    return Err(Error::GroupSyntax { position: start, text: self.since(start) });
                }
            }
            dangling = character == Some('-');
        }
    }

    fn escape(&mut self) -> Result<Node, Error> {
        let start = self.position;
        if let Some(item) = self.set_escape()? {
            let fold = self.flags.fold;
            return Ok(Node::Class(Class { items: vec![item], negated: false, fold }));
        }
        for (text, assert) in [
            ("\\A", Assert::TextStart),
            ("\\z", Assert::TextEnd),
            ("\\b", Assert::WordBoundary),
            ("\\B", Assert::NotWordBoundary),
        ] {
            if self.eat(text) {
                return Ok(Node::Assert(assert));
            }
        }
        self.position = start;
        let character = self.character_escape()?;
        Ok(self.literal(character))
    }

    /// `\d`, `\pL` and the like; `None`, with nothing read, if it is another escape.
    fn set_escape(&mut self) -> Result<Option<Item>, Error> {
        let letter = self.rest().chars().nth(1);
        match letter {
            Some('p' | 'P') => self.unicode_class().map(Some),
            Some(letter) => {
                let item = class::perl(letter);
                if item.is_some() {
                    self.position += 2;
                }
                Ok(item)
            }
            None => Ok(None),
        }
    }

    fn unicode_class(&mut self) -> Result<Item, Error> {
        let start = self.position;
        let mut negated = self.rest().starts_with("\\P");
        self.position += 2;
        let mut name = String::new();
        if self.eat("{") {
            let length = self.rest().find('}').unwrap_or(self.rest().len());
            name.push_str(self.rest().get(..length).unwrap_or(""));
            self.position = (self.position + length + 1).min(self.text.len());
        } else {
            name.extend(self.next());
        }
        if let Some(rest) = name.strip_prefix('^') {
            name = rest.to_owned();
            negated = !negated;
        }
        let plain = !name.is_empty() && name.bytes().all(|b| b == b'_' || b.is_ascii_alphabetic());
        if !plain || !crate::emit::is_unicode_class(&name) {
            let text = self.since(start);
            return Err(Error::UnicodeClass { position: start, text });
        }
        Ok(Item::Unicode { name, negated })
    }

    /// An escape that stands for one character.
    fn character_escape(&mut self) -> Result<char, Error> {
        let start = self.position;
        self.position += 1;
        let Some(letter) = self.next() else {
            return Err(Error::TrailingBackslash { position: start });
        };
        let character = match letter {
            'a' => Some('\x07'),
            'f' => Some('\x0C'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\x0B'),
            'x' => self.hexadecimal(),
            '0'..='7' => {
                let single = !matches!(self.peek(), Some('0'..='7'));
                if letter != '0' && single {
                    let text = self.since(start);
                    return Err(Error::BackReference { position: start, text });
                }
                self.octal(letter)
            }
            _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => Some(letter),
            _ => None,
        };
        character.ok_or_else(|| Error::Escape { position: start, text: self.since(start) })
    }

    fn octal(&mut self, first: char) -> Option<char> {
        let mut value = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.position += 1;
        }
        char::from_u32(value)
    }

    fn hexadecimal(&mut self) -> Option<char> {
        let braced = self.eat("{");
        let mut value = 0_u32;
        let mut digits = 0;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) {
            value = value.checked_mul(16)?.checked_add(digit)?;
            digits += 1;
            self.position += 1;
            if !braced && digits == 2 {
                return char::from_u32(value);
            }
        }
        // Go takes surrogates too, but no text holds one: better an error than a pattern that never matches.
        if braced && digits > 0 && self.eat("}") { char::from_u32(value) } else { None }
    }

    fn bracket_class(&mut self) -> Result<Class, Error> {
        let start = self.position;
        self.position += 1;
        let negated = self.eat("^");
        let mut items = Vec::new();
        loop {
            if !items.is_empty() && self.eat("]") {
                return Ok(Class { items, negated, fold: self.flags.fold });
            }
            let item = match self.peek() {
                None => return Err(Error::UnclosedClass { position: start }),
                Some('[') if self.rest().starts_with("[:") => self.posix_class()?,
                Some('\\') => self.set_escape()?,
                Some(_) => None,
            };
            let item = match item {
                Some(item) => item,
                None => self.class_range(start)?,
            };
            items.push(item);
        }
    }

    /// `[:alpha:]`; `None`, with nothing read, if there is no `:]`.
    fn posix_class(&mut self) -> Result<Option<Item>, Error> {
        let start = self.position;
        let after = self.rest().get(2..).unwrap_or("");
        let Some(length) = after.find(":]") else { return Ok(None) };
        let item = class::posix(after.get(..length).unwrap_or(""));
        self.position += length + 4;
        match item {
            Some(item) => Ok(Some(item)),
            None => Err(Error::ClassRange { position: start, text: self.since(start) }),
        }
    }

    fn class_range(&mut self, class_start: usize) -> Result<Item, Error> {
        let start = self.position;
        let low = self.class_character(class_start)?;
        let mut high = low;
        let rest = self.rest().as_bytes();
        if rest.first() == Some(&b'-') && rest.len() >= 2 && rest.get(1) != Some(&b']') {
            self.position += 1;
            high = self.class_character(class_start)?;
        }
        if high < low {
            return Err(Error::ClassRange { position: start, text: self.since(start) });
        }
        Ok(Item::Range(low, high))
    }

    fn class_character(&mut self, class_start: usize) -> Result<char, Error> {
        if self.peek() == Some('\\') {
            return self.character_escape();
        }
        self.next().ok_or(Error::UnclosedClass { position: class_start })
    }
}

/// True if all counts below `node`, multiplied, stay within `budget`.
fn fits(node: &Node, budget: u32) -> bool {
    match node {
        Node::Repeat { node, min, max, .. } => {
            let times = max.unwrap_or(*min);
            if *max == Some(0) {
                return true;
            }
            times <= budget && fits(node, budget / times.max(1))
        }
        Node::Group { node, .. } => fits(node, budget),
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().all(|node| fits(node, budget)),
        _ => true,
    }
}
