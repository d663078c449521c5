//! What plain text a pattern needs: lets a caller replace a search by a comparison, or skip it.
//!
//! Invariant: folded characters and U+FFFD (which also matches invalid bytes) are never taken for plain text.

use crate::ast::{Assert, Node};
use crate::class::REPLACEMENT;

/// Most alternatives that `required` lists.
const ALTERNATIVES_MAX: usize = 32;

/// A pattern that is nothing but plain text, anchored or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiteralForm {
    /// `^text$`: the value is this text.
    Exact(String),
    /// `^text`: the value starts with it.
    Prefix(String),
    /// `text$`: the value ends with it.
    Suffix(String),
    /// `text`: the value contains it. Empty text: matches all.
    Contains(String),
}

/// The plain form of a pattern, if it has one.
pub(crate) fn form(root: &Node) -> Option<LiteralForm> {
    let mut flat = Vec::new();
    flatten(root, &mut flat);
    let mut nodes = flat.as_slice();
    let mut at_start = false;
    let mut at_end = false;
    while let [Node::Assert(Assert::TextStart), rest @ ..] = nodes {
        at_start = true;
        nodes = rest;
    }
    while let [rest @ .., Node::Assert(Assert::TextEnd)] = nodes {
        at_end = true;
        nodes = rest;
    }
    let text = nodes.iter().map(|node| plain(node)).collect::<Option<String>>()?;
    Some(match (at_start, at_end) {
        (true, true) => LiteralForm::Exact(text),
        (true, false) => LiteralForm::Prefix(text),
        (false, true) => LiteralForm::Suffix(text),
        (false, false) => LiteralForm::Contains(text),
    })
}

/// The plain text with which every match starts, if matches start at the start of the text; may be empty.
pub(crate) fn anchored_prefix(root: &Node) -> Option<String> {
    let mut flat = Vec::new();
    flatten(root, &mut flat);
    match flat.as_slice() {
        [Node::Assert(Assert::TextStart), rest @ ..] => {
            Some(rest.iter().map_while(|node| plain(node)).collect())
        }
        _ => None,
    }
}

/// Texts of which at least one occurs in every match; empty if nothing is known.
pub(crate) fn required(root: &Node) -> Vec<String> {
    match root {
        Node::Literal { .. } => plain(root).map(|c| vec![c.to_string()]).unwrap_or_default(),
        Node::Group { node, .. } => required(node),
        Node::Repeat { node, min, .. } if *min > 0 => required(node),
        Node::Concat(_) => required_of_concat(root),
        Node::Alternate(nodes) => required_of_alternatives(nodes),
        Node::Empty | Node::Class(_) | Node::Assert(_) | Node::Repeat { .. } => Vec::new(),
    }
}

fn required_of_concat(root: &Node) -> Vec<String> {
    let mut flat = Vec::new();
    flatten(root, &mut flat);
    let mut best = Vec::new();
    let mut run = String::new();
    for node in flat {
        if let Some(character) = plain(node) {
            run.push(character);
            continue;
        }
        best = better(best, vec![std::mem::take(&mut run)]);
        best = better(best, required(node));
    }
    better(best, vec![run])
}

fn required_of_alternatives(nodes: &[Node]) -> Vec<String> {
    let mut all = Vec::new();
    for node in nodes {
        let of_branch = required(node);
        if of_branch.is_empty() || all.len() + of_branch.len() > ALTERNATIVES_MAX {
            return Vec::new();
        }
        all.extend(of_branch);
    }
    all
}

/// The list whose shortest text is longer.
fn better(one: Vec<String>, other: Vec<String>) -> Vec<String> {
    let worth = |list: &[String]| list.iter().map(String::len).min().unwrap_or(0);
    if worth(&other) > worth(&one) { other } else { one }
}

/// The nodes in order, plain groups opened.
fn flatten<'n>(node: &'n Node, out: &mut Vec<&'n Node>) {
    match node {
        Node::Empty => {}
        Node::Concat(nodes) => nodes.iter().for_each(|node| flatten(node, out)),
        Node::Group { node, .. } => flatten(node, out),
        _ => out.push(node),
    }
}

fn plain(node: &Node) -> Option<char> {
    match node {
        Node::Literal { character, fold } => {
            let foldable = *fold && (character.is_alphabetic() || !character.is_ascii());
            (*character != REPLACEMENT && !foldable).then_some(*character)
        }
        _ => None,
    }
}
