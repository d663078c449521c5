//! `find`, `match`, `gmatch` and `gsub`.
//!
//! Here: arguments, captures as values, and what replaces a match. Not here: matching (`heka-luatext`). Invariant: the
//! patterns are in their place whenever Lua is called, so that functions which it calls find them.

use std::ffi::c_int;

use heka_luatext::{Cache, Capture, Error, Found, Kind, Matcher, Substitution, find_plain};

use super::super::text::{BYTES_PER_STEP, raise};
use super::position;
use crate::error::Raise;
use crate::function::entry;
use crate::lua::{Lua, Type};

/// What matching works with; one for each sandbox.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    cache: Cache,
    matcher: Matcher,
}

/// Stack that captures may use without asking for more.
const CAPTURES_FREE: usize = 16;

/// Longest text without special bytes that is searched for as it stands, without a compiled pattern.
const LITERAL_BYTES_MAX: usize = 16;

/// The patterns, until it is dropped. Lua functions are not to be called meanwhile: they would begin with an empty cache.
struct Lent<'a> {
    lua: Lua<'a>,
    patterns: Option<Box<Patterns>>,
}

impl<'a> Lent<'a> {
    #[inline]
    fn of(lua: Lua<'a>) -> Self {
        Self { lua, patterns: lua.host().patterns.take() }
    }

    #[inline]
    fn parts(&mut self) -> &mut Patterns {
        self.patterns.get_or_insert_default()
    }
}

impl Drop for Lent<'_> {
    #[inline]
    fn drop(&mut self) {
        self.lua.host().patterns = self.patterns.take();
    }
}

#[inline]
fn budget(lua: Lua<'_>) -> &mut u64 {
    lua.host().meter.budget.left_mut()
}

/// Index from which argument 3 tells to search.
#[inline]
fn start(lua: Lua<'_>, top: c_int, len: usize) -> Result<usize, Raise> {
    if top < 3 {
        return Ok(0);
    }
    let start = position(lua.optional_integer(3, 1)?, len);
    Ok(start.saturating_sub(1).min(len))
}

pub(super) fn find(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    let wanted = lua.check_text(2)?;
    let top = lua.top();
    let from = start(lua, top, text.len())?;
    if is_literal(wanted) || top > 3 && lua.boolean(4) {
        return match find_plain(text, wanted, from, budget(lua)).map_err(raise)? {
            Some(at) => Ok(push_span(lua, at, at + wanted.len())),
            None => Ok(push_nil(lua)),
        };
    }
    let mut lent = Lent::of(lua);
    let Patterns { cache, matcher } = lent.parts();
    let pattern = cache.get(wanted, Kind::Find, budget(lua)).map_err(raise)?;
    let Some(found) = matcher.find(pattern, text, from, budget(lua)).map_err(raise)? else {
        return Ok(push_nil(lua));
    };
    let span = push_span(lua, found.start, found.end);
    match found.captures() {
        0 => Ok(span),
        _ => Ok(span + push_captures(lua, text, &found)?),
    }
}

/// True for a short pattern of which all bytes stand for themselves.
#[inline]
fn is_literal(pattern: &[u8]) -> bool {
    // Those with a meaning, and the one at which a pattern ends.
    let is_special = |byte: &u8| {
        matches!(byte, b'^' | b'$' | b'*' | b'+' | b'?' | b'.' | b'(' | b'[' | b'%' | b'-' | 0)
    };
    pattern.len() <= LITERAL_BYTES_MAX && !pattern.iter().any(is_special)
}

pub(super) fn match_(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    let wanted = lua.check_text(2)?;
    let from = start(lua, lua.top(), text.len())?;
    let mut lent = Lent::of(lua);
    let Patterns { cache, matcher } = lent.parts();
    let pattern = cache.get(wanted, Kind::Match, budget(lua)).map_err(raise)?;
    match matcher.find(pattern, text, from, budget(lua)).map_err(raise)? {
        Some(found) => push_captures(lua, text, &found),
        None => Ok(push_nil(lua)),
    }
}

#[inline]
fn push_nil(lua: Lua<'_>) -> c_int {
    lua.push_nil();
    1
}

#[inline]
fn push_span(lua: Lua<'_>, start: usize, end: usize) -> c_int {
    lua.push_index(start + 1);
    lua.push_index(end);
    2
}

/// Pushes all captures, or the match if there are none.
#[inline]
fn push_captures(lua: Lua<'_>, text: &[u8], found: &Found<'_>) -> Result<c_int, Raise> {
    let count = found.values();
    if count > CAPTURES_FREE {
        lua.reserve_stack(count).map_err(|_| Raise::text("stack overflow (too many captures)"))?;
    }
    for index in 0..count {
        push_capture(lua, text, found, index)?;
    }
    // Thirty-two at most.
    Ok(count as c_int)
}

#[inline]
fn push_capture(lua: Lua<'_>, text: &[u8], found: &Found<'_>, index: usize) -> Result<(), Raise> {
    match found.capture(index).map_err(raise)? {
        Capture::Text { start, end } => lua.push_part(&text[start..end]),
        Capture::Position(position) => {
            lua.push_index(position);
            Ok(())
        }
    }
}

/// Upvalues of the function that `gmatch` gives.
const SUBJECT: c_int = 1;
const PATTERN: c_int = 2;
const NEXT: c_int = 3;

pub(super) fn gmatch(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.check_text(1)?;
    lua.check_text(2)?;
    lua.set_top(2);
    lua.push_number(0.0);
    lua.push_function(entry(next_match), 3);
    Ok(1)
}

fn next_match(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.text(Lua::upvalue(SUBJECT)).unwrap_or_default();
    let wanted = lua.text(Lua::upvalue(PATTERN)).unwrap_or_default();
    let mut next = lua.number(Lua::upvalue(NEXT)).unwrap_or_default() as usize;
    let mut lent = Lent::of(lua);
    let Patterns { cache, matcher } = lent.parts();
    let pattern = cache.get(wanted, Kind::Each, budget(lua)).map_err(raise)?;
    let found = matcher.each(pattern, text, &mut next, budget(lua)).map_err(raise)?;
    let Some(found) = found else { return Ok(0) };
    lua.push_index(next);
    lua.replace(Lua::upvalue(NEXT));
    push_captures(lua, text, &found)
}

pub(super) fn gsub(lua: Lua<'_>) -> Result<c_int, Raise> {
    let text = lua.check_text(1)?;
    let wanted = lua.check_text(2)?;
    let count_max = match lua.is_none_or_nil(4) {
        true => u64::MAX,
        false => u64::try_from(lua.check_int(4)?).unwrap_or(0),
    };
    let kind = lua.type_of(3);
    lua.ask_text(text.len())?;
    let substitution = Substitution::new(count_max);
    let count = lua.with_scratch(|out| {
        let count = match kind {
            Type::String | Type::Number => by_text(lua, text, wanted, substitution, out)?,
            Type::Table | Type::Function => by_value(lua, kind, text, wanted, substitution, out)?,
            _ => return Err(Raise::argument(3, "string/function/table expected")),
        };
        match count {
            0 => lua.push_value(1),
            _ => lua.push_bytes(out),
        }
        Ok(count)
    })?;
    lua.push_number(count as f64);
    Ok(2)
}

/// Most bytes of a result.
fn room(lua: Lua<'_>) -> usize {
    let memory = &lua.host().memory;
    match memory.limit {
        0 => isize::MAX as usize,
        limit => limit.saturating_sub(memory.used),
    }
}

fn by_text(
    lua: Lua<'_>,
    text: &[u8],
    wanted: &[u8],
    mut substitution: Substitution,
    out: &mut Vec<u8>,
) -> Result<u64, Raise> {
    let replacement = lua.text(3).unwrap_or_default();
    let mut bytes_max = room(lua);
    let mut lent = Lent::of(lua);
    let Patterns { cache, matcher } = lent.parts();
    let pattern = cache.get(wanted, Kind::Match, budget(lua)).map_err(raise)?;
    while let Some(found) =
        substitution.next(matcher, pattern, text, out, budget(lua)).map_err(raise)?
    {
        let start = out.len();
        let expanded = found.expand(replacement, text, out, bytes_max, budget(lua));
        if expanded != Err(Error::TooLong) {
            expanded.map_err(raise)?;
            continue;
        }
        // Once more, with what a collection leaves.
        out.truncate(start);
        lua.ask_memory(bytes_max.saturating_add(1))?;
        bytes_max = room(lua);
        found.expand(replacement, text, out, bytes_max, budget(lua)).map_err(raise)?;
    }
    Ok(substitution.finish(text, out))
}

/// Finds the next match to be replaced and pushes what its replacement is asked with.
fn next_replaced(
    lua: Lua<'_>,
    kind: Type,
    text: &[u8],
    wanted: &[u8],
    substitution: &mut Substitution,
    out: &mut Vec<u8>,
) -> Result<Option<(usize, usize)>, Raise> {
    let mut lent = Lent::of(lua);
    let Patterns { cache, matcher } = lent.parts();
    let pattern = cache.get(wanted, Kind::Match, budget(lua)).map_err(raise)?;
    let found = substitution.next(matcher, pattern, text, out, budget(lua)).map_err(raise)?;
    let Some(found) = found else { return Ok(None) };
    if kind == Type::Function {
        lua.push_value(3);
        push_captures(lua, text, &found)?;
    } else {
        push_capture(lua, text, &found, 0)?;
    }
    Ok(Some((found.start, found.end)))
}

/// Replaces each match by what a table or a function has for it.
fn by_value(
    lua: Lua<'_>,
    kind: Type,
    text: &[u8],
    wanted: &[u8],
    mut substitution: Substitution,
    out: &mut Vec<u8>,
) -> Result<u64, Raise> {
    let before = lua.top();
    while let Some((start, end)) = next_replaced(lua, kind, text, wanted, &mut substitution, out)? {
        match kind {
            Type::Function => lua.call(lua.top() - before - 1, 1)?,
            _ => lua.index(3)?,
        }
        let replacement = match lua.boolean(-1) {
            false => &text[start..end],
            true => lua.text(-1).ok_or_else(|| {
                let name = lua.type_of(-1).name();
                Raise::text(format!("invalid replacement value (a {name})"))
            })?,
        };
        lua.charge(1 + replacement.len() / BYTES_PER_STEP)?;
        lua.ask_memory(out.len() + replacement.len())?;
        out.extend_from_slice(replacement);
        lua.set_top(before);
    }
    Ok(substitution.finish(text, out))
}
