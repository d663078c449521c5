//! Writes the tree in the syntax of the Rust regex crates.
//!
//! How an invalid byte acts as U+FFFD: a set that holds U+FFFD also takes one byte that is not the next character.
//! Which bytes must not depend on what follows, and yet no part of a valid character may be taken for invalid:
//! - a set that lacks some character beyond ASCII: bytes that occur in no valid character;
//! - a set with all of them: bytes from 0xC0 up, since a parse that splits a valid character then gets stuck on
//!   its second byte;
//! - such a set in a loop that may run once or never, where no wrong count can arise: any byte from 0x80 up.
//!
//! A plain greedy loop over a set with all of Unicode beyond ASCII is written as a loop over bytes: the same
//! matches from a far smaller automaton. The price: such a set right before such a loop (`.+.+`, `\W.+`) can share
//! one character beyond ASCII with it, where Go wants two characters.

use std::fmt::Write;

use regex_automata::util::syntax;

use crate::ast::{Assert, Ast, Node};
use crate::class::{Class, Item, REPLACEMENT};

/// Extra members of a set that holds U+FFFD.
const BYTES_IN_LOOP: &str = r"(?-u:[\x80-\xFF])";
const BYTES_ELSEWHERE: &str = r"(?-u:[\xC0-\xFF])";
const BYTES_NEVER_VALID: &str = r"(?-u:[\xC0\xC1\xF5-\xFF])";
/// A class without members: what `\p{Cs}` is for text that cannot hold surrogates.
const NOTHING: &str = r"[^\x00-\x{10FFFF}]";

/// A pattern as written by this module.
pub(crate) struct Emitted {
    pub(crate) text: String,
    /// Some invalid bytes are not taken everywhere where Go takes them.
    pub(crate) approximates_invalid: bool,
}

/// Writes a whole pattern.
pub(crate) fn emit(ast: &Ast) -> Emitted {
    let mut emitter = Emitter {
        emitted: Emitted { text: String::new(), approximates_invalid: false },
        group_names: &ast.group_names,
    };
    emitter.node(&ast.root, false);
    emitter.emitted
}

/// True if the name is a category or a script.
pub(crate) fn is_unicode_class(name: &str) -> bool {
    name == "Any" || name == "Cs" || syntax::parse(&format!("\\p{{{name}}}")).is_ok()
}

struct Emitter<'a> {
    emitted: Emitted,
    group_names: &'a [Option<String>],
}

impl Emitter<'_> {
    fn push(&mut self, text: &str) {
        self.emitted.text.push_str(text);
    }

    fn node(&mut self, node: &Node, in_loop: bool) {
        match node {
            Node::Empty => self.push("(?:)"),
            Node::Literal { character, fold } => self.literal(*character, *fold),
            Node::Class(class) => self.class(class, in_loop),
            Node::Assert(assert) => self.push(assert_text(*assert)),
            Node::Group { capture, node } => {
                self.group_head(*capture);
                self.node(node, in_loop);
                self.push(")");
            }
            Node::Repeat { node, min, max, greedy } => {
                self.repeat(node, *min, *max, *greedy, in_loop);
            }
            Node::Concat(nodes) => nodes.iter().for_each(|node| self.node(node, in_loop)),
            Node::Alternate(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    if index > 0 {
                        self.push("|");
                    }
                    self.node(node, in_loop);
                }
            }
        }
    }

    fn literal(&mut self, character: char, fold: bool) {
        if character == REPLACEMENT {
            self.push("(?:");
            push_character(&mut self.emitted.text, character);
            self.invalid_byte(BYTES_NEVER_VALID);
            self.push(")");
        } else if fold && (character.is_alphabetic() || !character.is_ascii()) {
            self.push("(?i:");
            push_character(&mut self.emitted.text, character);
            self.push(")");
        } else {
            push_character(&mut self.emitted.text, character);
        }
    }

    fn invalid_byte(&mut self, bytes: &str) {
        self.emitted.approximates_invalid |= bytes != BYTES_IN_LOOP;
        self.push("|");
        self.push(bytes);
    }

    fn class(&mut self, class: &Class, in_loop: bool) {
        if class.has_replacement() {
            self.push("(?:");
            push_class(&mut self.emitted.text, class);
            self.invalid_byte(match (class.has_all_beyond_ascii(), in_loop) {
                (true, true) => BYTES_IN_LOOP,
                (true, false) => BYTES_ELSEWHERE,
                (false, _) => BYTES_NEVER_VALID,
            });
            self.push(")");
        } else {
            push_class(&mut self.emitted.text, class);
        }
    }

    fn group_head(&mut self, capture: Option<usize>) {
        let Some(index) = capture else { return self.push("(?:") };
        match self.group_names.get(index) {
            Some(Some(name)) if is_writable_name(self.group_names, index, name) => {
                let name = format!("(?P<{name}>");
                self.push(&name);
            }
            _ => self.push("("),
        }
    }

    fn repeat(&mut self, node: &Node, min: u32, max: Option<u32>, greedy: bool, in_loop: bool) {
        let flexible = min <= 1 && max != Some(1);
        match node {
            Node::Class(class)
                if max.is_none()
                    && min <= 1
                    && greedy
                    && class.has_all_beyond_ascii()
                    && class.is_writable_as_bytes() =>
            {
                self.push("(?-u:");
                push_class(&mut self.emitted.text, class);
                self.push(")");
            }
            Node::Literal { .. } | Node::Class(_) | Node::Group { .. } => {
                self.node(node, in_loop || flexible);
            }
            _ => {
                self.push("(?:");
                self.node(node, in_loop || flexible);
                self.push(")");
            }
        }
        let operator = match (min, max) {
            (0, None) => "*".to_owned(),
            (1, None) => "+".to_owned(),
            (0, Some(1)) => "?".to_owned(),
            (min, None) => format!("{{{min},}}"),
            (min, Some(max)) => format!("{{{min},{max}}}"),
        };
        self.push(&operator);
        if !greedy {
            self.push("?");
        }
    }
}

/// The regex crates want names that start with a letter and are unique; of equal names the last one is kept.
fn is_writable_name(names: &[Option<String>], index: usize, name: &str) -> bool {
    let later = names.get(index + 1..).unwrap_or(&[]);
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !later.iter().any(|other| other.as_deref() == Some(name))
}

fn assert_text(assert: Assert) -> &'static str {
    match assert {
        Assert::TextStart => r"\A",
        Assert::TextEnd => r"\z",
        Assert::LineStart => "(?m:^)",
        Assert::LineEnd => "(?m:$)",
        Assert::WordBoundary => r"(?-u:\b)",
        Assert::NotWordBoundary => r"(?-u:\B)",
    }
}

fn push_character(text: &mut String, character: char) {
    if matches!(
        character,
        '\\' | '.'
            | '+'
            | '*'
            | '?'
            | '('
            | ')'
            | '|'
            | '['
            | ']'
            | '{'
            | '}'
            | '^'
            | '$'
            | '#'
            | '&'
            | '-'
            | '~'
    ) {
        text.extend(['\\', character]);
    } else if character.is_alphanumeric() || character.is_ascii_graphic() || character == ' ' {
        // Not escaped on purpose: `\<` and `\>` are word boundaries there.
        text.push(character);
    } else {
        push_code(text, character);
    }
}

fn push_code(text: &mut String, character: char) {
    write!(text, "\\x{{{:X}}}", u32::from(character)).expect("writing to a string cannot fail");
}

/// Writes a class; the same text serves for characters and, within `(?-u:…)`, for bytes.
fn push_class(text: &mut String, class: &Class) {
    if let [Item::Range('\0', char::MAX)] = class.items.as_slice() {
        return text.push_str(if class.negated { NOTHING } else { "(?s:.)" });
    }
    text.push_str(if class.fold { "(?i:[" } else { "[" });
    if class.negated {
        text.push('^');
    }
    for item in &class.items {
        push_item(text, item);
    }
    text.push_str(if class.fold { "])" } else { "]" });
}

fn push_item(text: &mut String, item: &Item) {
    match item {
        Item::Range(low, high) => push_range(text, *low, *high),
        Item::Ascii { ranges, negated } => {
            if *negated {
                text.push_str("[^");
            }
            ranges.iter().for_each(|(low, high)| push_range(text, *low, *high));
            if *negated {
                text.push(']');
            }
        }
        Item::Unicode { name, negated } if name == "Cs" => {
            text.push_str(if *negated { r"\x00-\x{10FFFF}" } else { NOTHING });
        }
        Item::Unicode { name, negated } => {
            let letter = if *negated { 'P' } else { 'p' };
            write!(text, "\\{letter}{{{name}}}").expect("writing to a string cannot fail");
        }
    }
}

fn push_range(text: &mut String, low: char, high: char) {
    for (index, character) in [low, high].into_iter().enumerate() {
        if index == 1 && low == high {
            return;
        }
        if index == 1 {
            text.push('-');
        }
        if character.is_ascii_alphanumeric() {
            text.push(character);
        } else {
            push_code(text, character);
        }
    }
}
