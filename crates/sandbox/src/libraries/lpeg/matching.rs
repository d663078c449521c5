//! Matching, and the values of captures on the stack of Lua.
//!
//! Here: `match`, and the host of the engine. Not here: the engine. Invariants: the subject and the extra arguments
//! stay where they are; the values of a match lie behind them and behind the list of the pattern's values; the steps of
//! the meter are with the match while no other function runs.

use std::ffi::c_int;
use std::ops::Range;

use heka_lpeg::{Budget, CAPTURES_MAX, Error, Host, Limits, MatchError, STACK_MAX, Verdict};
use mlua_sys::LUA_MULTRET;

use super::pattern;
use super::{Buffers, get};
use crate::error::Raise;
use crate::lua::{Lua, Type};

/// Where a match has its subject, the position to begin at, and the arguments before the extra ones.
const SUBJECT: c_int = 2;
const START: c_int = 3;

/// Slots of the stack that a method needs beside the values that it pushes.
const SLOTS_SPARE: usize = 6;
/// Values that fit on the stack before more room is asked for.
const VALUES_FREE: usize = 20 - SLOTS_SPARE - 1;
/// Slots to ask for at once.
const SLOTS_MORE: usize = 40;

/// Bytes of values that are made between two looks at the memory.
const BYTES_PER_LOOK: usize = 16 << 10;
/// Bytes that values take beside their contents, roughly.
const STRING_BYTES: usize = 32;
const TABLE_BYTES: usize = 64;
const ITEM_BYTES: usize = 16;
const FIELD_BYTES: usize = 40;
/// Bytes that an entry of the list of captures, and of the stack of choices, takes while the list grows.
const ENTRY_BYTES: usize = 32;

/// Fewest captures that are allowed, however little memory there is.
const CAPTURES_MIN: usize = 1024;

/// Bytes of each buffer that are kept for the next match.
const KEPT_BYTES: usize = 64 << 10;
/// Buffers that are kept: matches in functions of matches.
const KEPT_MAX: usize = 4;

/// Looks of the engine at its steps for one look at who wants the script to stop.
const LOOKS_PER_STOP: u32 = 16;

/// Digits of the largest numbers that are exact.
const DIGITS_EXACT: usize = 15;

/// Bytes of the thread's stack after which no match begins: captures of a match go some deeper.
const STACK_BYTES_MAX: usize = 512 << 10;

/// `lpeg.match(pattern, subject, start, ...)`.
pub(super) fn match_pattern(lua: Lua<'_>) -> Result<c_int, Raise> {
    let program = pattern::program(lua, 1)?;
    let subject = lua.check_text(SUBJECT)?;
    let start = start(lua, subject.len())?;
    let here = 0_u8;
    if lua.host().stack_base.abs_diff((&raw const here).addr()) > STACK_BYTES_MAX {
        return Err(Raise::text("C stack overflow"));
    }
    let mut buffers = lua.host().lpeg.matchers.pop().unwrap_or_default();
    let limits = limits(lua);
    let mut host = Match::begin(lua, subject);
    let found = buffers.matcher.run(&program, subject, start, limits, &mut host);
    host.settle();
    keep(lua, buffers);
    match found {
        Ok(Some(matched)) => Ok(c_int::try_from(matched.values).unwrap_or(c_int::MAX)),
        Ok(None) => {
            lua.push_nil();
            Ok(1)
        }
        Err(MatchError::Host(raise)) => Err(raise),
        Err(MatchError::Engine(error)) => Err(engine_error(lua, &limits, error)),
    }
}

/// Where the match begins, counted from 0; the third argument counts from 1, or from the end if it is negative.
#[inline]
fn start(lua: Lua<'_>, length: usize) -> Result<usize, Raise> {
    let first = lua.optional_integer(START, 1)?;
    let distance = usize::try_from(first.unsigned_abs()).unwrap_or(usize::MAX);
    Ok(if first > 0 { (distance - 1).min(length) } else { length.saturating_sub(distance) })
}

/// The buffers of a match may not take more than there is.
#[inline]
fn limits(lua: Lua<'_>) -> Limits {
    let host = lua.host();
    // As in LPeg, what is there at first is never taken away.
    let stack = host.lpeg.stack_max.max(STACK_MAX);
    if host.memory.limit == 0 {
        return Limits { stack, captures: CAPTURES_MAX };
    }
    let entries = host.memory.limit.saturating_sub(host.memory.used) / ENTRY_BYTES;
    Limits {
        stack: stack.min(entries.max(STACK_MAX)),
        captures: CAPTURES_MAX.min(entries.max(CAPTURES_MIN)),
    }
}

#[cold]
fn engine_error(lua: Lua<'_>, limits: &Limits, error: Error) -> Raise {
    let is_memory = match error {
        Error::TooManyCaptures => limits.captures < CAPTURES_MAX,
        Error::StackOverflow { limit } => limit < lua.host().lpeg.stack_max,
        _ => false,
    };
    if is_memory { Raise::Memory } else { pattern::raise(error) }
}

/// Keeps buffers for the next match, and charges what they hold.
#[inline]
fn keep(lua: Lua<'_>, mut buffers: Buffers) {
    let bytes = buffers.matcher.memory();
    if bytes != buffers.charged {
        buffers.matcher.shrink(KEPT_BYTES);
        let bytes = buffers.matcher.memory();
        let memory = &mut lua.host().memory;
        memory.give(buffers.charged);
        memory.take(bytes);
        buffers.charged = bytes;
    }
    let host = lua.host();
    if host.lpeg.matchers.len() < KEPT_MAX {
        host.lpeg.matchers.push(buffers);
    } else {
        host.memory.give(buffers.charged);
    }
}

/// The host of a match.
struct Match<'a> {
    lua: Lua<'a>,
    subject: &'a [u8],
    /// The last extra argument.
    last_argument: c_int,
    /// The list of the pattern's values lies there, and what the match pushes behind it.
    values: c_int,
    /// Values pushed.
    count: usize,
    /// Values that there is room for.
    room: usize,
    /// Bytes of values made since the last look at the memory.
    unseen: usize,
    /// Steps that the meter has lent.
    lent: u64,
    /// Looks at the steps.
    looks: u32,
    /// Address of Lua's own `tonumber`, or 0.
    tonumber: usize,
    budget: Budget,
}

impl<'a> Match<'a> {
    #[inline]
    fn begin(lua: Lua<'a>, subject: &'a [u8]) -> Self {
        let last_argument = lua.top();
        lua.push_environment(1);
        let mut host = Self {
            lua,
            subject,
            last_argument,
            values: last_argument + 1,
            count: 0,
            room: VALUES_FREE,
            unseen: 0,
            lent: 0,
            looks: 0,
            tonumber: lua.host().lpeg.tonumber,
            budget: Budget::new(0),
        };
        host.borrow();
        host
    }

    /// Takes the meter's steps.
    #[inline]
    fn borrow(&mut self) {
        self.budget = self.lua.host().meter.budget;
        self.lent = self.budget.left();
    }

    /// Gives the steps that are left back to the meter.
    #[inline]
    fn settle(&mut self) {
        let taken = self.lent - self.budget.left();
        let meter = &mut self.lua.host().meter;
        meter.budget = Budget::new(meter.budget.left().saturating_sub(taken));
        self.lent = 0;
        self.budget = Budget::new(0);
    }

    /// If the script is to stop, the steps are taken away: there may be no other limit.
    fn heed_stop(&mut self) {
        if self.lua.host().watch.is_stopping() {
            self.lent -= self.budget.left();
            self.budget = Budget::new(0);
        }
    }

    /// Before a value of so many bytes is pushed.
    #[inline]
    fn make_room(&mut self, bytes: usize) -> Result<(), Raise> {
        if self.count >= self.room {
            self.grow()?;
        }
        self.count += 1;
        self.made(bytes)
    }

    #[cold]
    fn grow(&mut self) -> Result<(), Raise> {
        let more = self.lua.reserve_stack(SLOTS_MORE + SLOTS_SPARE);
        more.map_err(|_| Raise::text("stack overflow (too many captures)"))?;
        self.room = self.count + SLOTS_MORE;
        Ok(())
    }

    #[inline]
    fn made(&mut self, bytes: usize) -> Result<(), Raise> {
        self.unseen += bytes;
        if self.unseen > BYTES_PER_LOOK { self.look() } else { Ok(()) }
    }

    #[cold]
    fn look(&mut self) -> Result<(), Raise> {
        self.unseen = 0;
        self.ask_memory(0)
    }

    fn ask_memory(&mut self, bytes: usize) -> Result<(), Raise> {
        self.settle();
        let answer = self.lua.ask_memory(bytes);
        self.borrow();
        answer
    }

    /// True if what is below the topmost value is Lua's `tonumber`, which most functions of patterns are.
    #[inline]
    fn calls_tonumber(&self) -> bool {
        let function = self.lua.c_function(-2);
        function != 0 && function == self.tonumber
    }

    /// What a call of `tonumber` with the topmost value does.
    fn convert_to_number(&mut self) {
        let digits = self.lua.bytes(-1).and_then(whole_number);
        match digits.or_else(|| self.lua.number(-1)) {
            Some(number) => self.lua.push_number(number),
            None => self.lua.push_nil(),
        }
        self.lua.replace(-3);
        self.pop(1);
    }

    /// Calls what lies below so many arguments; its results take their place.
    fn call_lua(&mut self, arguments: usize, results: c_int) -> Result<usize, Raise> {
        let below = self.lua.top() - slots(arguments) - 1;
        self.settle();
        let called = self.lua.call(slots(arguments), results);
        self.borrow();
        called?;
        let results = usize::try_from(self.lua.top() - below).unwrap_or_default();
        self.count = self.count + results - arguments - 1;
        self.room = self.room.max(self.count);
        Ok(results)
    }
}

/// The number that a text of digits is, if it is so short that it is exact.
fn whole_number(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text.len() > DIGITS_EXACT {
        return None;
    }
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    let number = text.iter().try_fold(0, |sum, byte| Some(sum * 10 + digit(byte)?))?;
    Some(number as f64)
}

/// Values on the stack are less than what a `c_int` holds.
#[inline]
fn slots(count: usize) -> c_int {
    c_int::try_from(count).unwrap_or(c_int::MAX)
}

impl Host for Match<'_> {
    type Key = c_int;
    type Error = Raise;

    #[inline]
    fn budget(&mut self) -> &mut Budget {
        self.looks = self.looks.wrapping_add(1);
        if self.looks.is_multiple_of(LOOKS_PER_STOP) {
            self.heed_stop();
        }
        &mut self.budget
    }

    fn describe(&mut self, key: &c_int) -> String {
        self.lua.raw_get_index(self.values, *key);
        let text = self.lua.text(-1).map(|text| String::from_utf8_lossy(text).into_owned());
        self.lua.pop(1);
        text.unwrap_or_else(|| "(null)".to_owned())
    }

    #[inline]
    fn push_substring(&mut self, range: Range<usize>) -> Result<(), Raise> {
        let subject = self.subject;
        self.push_bytes(subject.get(range).unwrap_or_default())
    }

    #[inline]
    fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), Raise> {
        self.make_room(STRING_BYTES + bytes.len())?;
        self.lua.push_bytes(bytes);
        Ok(())
    }

    #[inline]
    fn push_position(&mut self, position: usize) -> Result<(), Raise> {
        self.make_room(0)?;
        self.lua.push_number(position as f64);
        Ok(())
    }

    #[inline]
    fn push_subject(&mut self) -> Result<(), Raise> {
        self.make_room(0)?;
        self.lua.push_value(SUBJECT);
        Ok(())
    }

    #[inline]
    fn push_key(&mut self, key: &c_int) -> Result<(), Raise> {
        self.make_room(0)?;
        match *key {
            0 => self.lua.push_nil(),
            key => self.lua.raw_get_index(self.values, key),
        }
        Ok(())
    }

    fn push_argument(&mut self, number: u32) -> Result<bool, Raise> {
        let index = START.saturating_add_unsigned(number);
        if index > self.last_argument {
            return Ok(false);
        }
        self.make_room(0)?;
        self.lua.push_value(index);
        Ok(true)
    }

    fn push_copy(&mut self, index: usize) -> Result<(), Raise> {
        self.make_room(0)?;
        self.lua.push_value(self.values + 1 + slots(index));
        Ok(())
    }

    #[inline]
    fn push_table(&mut self, items: usize, fields: usize) -> Result<(), Raise> {
        self.make_room(TABLE_BYTES + items * ITEM_BYTES + fields * FIELD_BYTES)?;
        self.lua.push_table(items, fields);
        Ok(())
    }

    #[inline]
    fn set_field(&mut self) -> Result<(), Raise> {
        self.made(FIELD_BYTES)?;
        self.count -= 2;
        // A name is neither nil nor no number.
        self.lua.raw_set(-3);
        Ok(())
    }

    #[inline]
    fn set_items(&mut self, first: usize, count: usize) -> Result<(), Raise> {
        self.made(count * FIELD_BYTES)?;
        self.count -= count;
        for item in (0..count).rev() {
            self.lua.raw_set_index(-slots(item) - 2, slots(first + item));
        }
        Ok(())
    }

    #[inline]
    fn call(&mut self, arguments: usize) -> Result<usize, Raise> {
        if arguments == 1 && self.calls_tonumber() {
            self.convert_to_number();
            return Ok(1);
        }
        self.call_lua(arguments, LUA_MULTRET)
    }

    fn fold(&mut self, function: &c_int, arguments: usize) -> Result<(), Raise> {
        self.push_key(function)?;
        self.lua.insert(-slots(arguments) - 1);
        self.call_lua(arguments, 1).map(drop)
    }

    fn query(&mut self, table: &c_int) -> Result<bool, Raise> {
        self.lua.raw_get_index(self.values, *table);
        self.lua.insert(-2);
        self.settle();
        let found = get(self.lua, -2);
        self.borrow();
        found?;
        if self.lua.type_of(-1) == Type::Nil {
            self.lua.pop(2);
            self.count -= 1;
            return Ok(false);
        }
        self.lua.remove(-2);
        Ok(true)
    }

    fn take_verdict(&mut self, results: usize) -> Result<Verdict, Raise> {
        let first = -slots(results);
        let verdict = match self.lua.type_of(first) {
            Type::Boolean if self.lua.boolean(first) => Verdict::Stay,
            Type::Nil | Type::Boolean => Verdict::Fail,
            // What is no number counts as 0, which is no position.
            _ => Verdict::To(self.lua.number(first).unwrap_or_default()),
        };
        self.lua.remove(first);
        self.count -= 1;
        Ok(verdict)
    }

    fn pop_text(&mut self, out: &mut Vec<u8>) -> Result<Option<&'static str>, Raise> {
        let Some(text) = self.lua.text(-1) else {
            let found = self.lua.type_of(-1).name();
            self.pop(1);
            return Ok(Some(found));
        };
        if text.len() > BYTES_PER_LOOK {
            self.ask_memory(out.len() + text.len())?;
        }
        if self.budget().charge(text.len() / 16).is_err() {
            return Err(Raise::Breach);
        }
        out.extend_from_slice(text);
        self.pop(1);
        Ok(None)
    }

    fn ask_text(&mut self, bytes: usize) -> Result<(), Raise> {
        self.ask_memory(bytes)
    }

    #[inline]
    fn pop(&mut self, count: usize) {
        self.lua.pop(slots(count));
        self.count -= count;
    }

    fn keep(&mut self, count: usize, index: usize) {
        let first = self.lua.top() - slots(count) + 1;
        self.lua.push_value(first + slots(index));
        self.lua.replace(first);
        self.lua.set_top(first);
        self.count = self.count + 1 - count;
    }

    fn remove(&mut self, index: usize, count: usize) {
        let first = self.values + 1 + slots(index);
        let (top, count_slots) = (self.lua.top(), slots(count));
        for from in first + count_slots..=top {
            self.lua.push_value(from);
            self.lua.replace(from - count_slots);
        }
        self.lua.set_top(top - count_slots);
        self.count -= count;
    }
}
