//! `table.sort`.
//!
//! Here: a quick sort that compares in the order in which Lua 5.1 does, so that equal elements come out as they do there
//! and a function that is no order is found where it is found there; but one that is led astray goes on as a heap sort.
//! Numbers and strings without a function are sorted in Rust. Invariants: what compares may raise, so that no frame
//! above it owns anything; elements are read and written by the table's own functions, so that whatever compares may do
//! with the table, nothing is out of bounds.

use std::ffi::c_int;

use mlua_sys::{
    lua_State, lua_call, lua_insert, lua_lessthan, lua_pushboolean, lua_pushvalue, lua_rawgeti_,
    lua_rawseti_, lua_settop, lua_toboolean, lua_type,
};

use super::border;
use crate::error::Raise;
use crate::limits::charge_or_raise;
use crate::lua::{Lua, Type};

/// Partitions in a row, for each doubling of the length, that may be bad ones.
const DEPTH_PER_DOUBLING: u32 = 4;

/// Comparisons for a step, where Rust compares.
const COMPARISONS_PER_STEP: usize = 4;

pub(super) fn sort(lua: Lua<'_>) -> Result<c_int, Raise> {
    let count = border(lua)?;
    if !lua.is_none_or_nil(2) {
        lua.check_type(2, Type::Function)?;
    }
    lua.set_top(2);
    if lua.type_of(2) == Type::Nil && sort_plain(lua, count)? {
        return Ok(0);
    }
    lua.set_top(2);
    lua.push_function(sort_any, 0);
    lua.push_value(1);
    lua.push_value(2);
    lua.push_number(count.into());
    lua.call(3, 1)?;
    match lua.boolean(-1) {
        true => Ok(0),
        false => Err(Raise::text("invalid order function for sorting")),
    }
}

/// A string to be sorted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a> {
    /// Its first bytes: most comparisons need no more.
    head: u64,
    bytes: &'a [u8],
    /// Where it was, from 0.
    index: usize,
}

impl<'a> Text<'a> {
    fn new(bytes: &'a [u8], index: usize) -> Self {
        let mut head = [0; 8];
        let len = bytes.len().min(head.len());
        head[..len].copy_from_slice(&bytes[..len]);
        Self { head: u64::from_be_bytes(head), bytes, index }
    }
}

/// Sorts elements that are all numbers or all strings; false if they are not, or there is no memory for it.
fn sort_plain(lua: Lua<'_>, count: c_int) -> Result<bool, Raise> {
    let length = usize::try_from(count).unwrap_or(0);
    if length < 2 {
        return Ok(true);
    }
    if !lua.host().memory.has_room(length * size_of::<Text<'_>>()) {
        return Ok(false);
    }
    lua.raw_get_index(1, 1);
    let kind = lua.type_of(-1);
    lua.pop(1);
    let comparisons = length * length.ilog2() as usize;
    let charge = || lua.charge(comparisons / COMPARISONS_PER_STEP);
    match kind {
        Type::Number => {
            let Some(mut numbers) = numbers(lua, count) else { return Ok(false) };
            charge()?;
            numbers.sort_unstable_by(f64::total_cmp);
            for (index, number) in (1..).zip(numbers) {
                lua.push_number(number);
                lua.raw_set_index(1, index);
            }
        }
        Type::String => {
            let Some(mut texts) = texts(lua, count) else { return Ok(false) };
            charge()?;
            texts.sort_unstable();
            place(lua, texts.into_iter().map(|text| text.index).collect());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// All elements, if they are numbers that have an order.
fn numbers(lua: Lua<'_>, count: c_int) -> Option<Vec<f64>> {
    let mut numbers = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for index in 1..=count {
        lua.raw_get_index(1, index);
        let is_number = lua.type_of(-1) == Type::Number;
        let number = lua.number(-1).filter(|number| is_number && !number.is_nan())?;
        lua.pop(1);
        numbers.push(number);
    }
    Some(numbers)
}

/// All elements, if they are strings. They are valid while they are in the table and nothing of the script's runs.
fn texts(lua: Lua<'_>, count: c_int) -> Option<Vec<Text<'_>>> {
    let mut texts = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for index in 1..=count {
        lua.raw_get_index(1, index);
        let bytes = lua.bytes(-1)?;
        lua.pop(1);
        texts.push(Text::new(bytes, texts.len()));
    }
    Some(texts)
}

/// Puts elements where they belong: at each index, from 0, the one that `order` tells.
fn place(lua: Lua<'_>, mut order: Vec<usize>) {
    let element = |index: usize| index as c_int + 1;
    for first in 0..order.len() {
        if order[first] == first {
            continue;
        }
        lua.raw_get_index(1, element(first));
        let mut index = first;
        loop {
            let from = std::mem::replace(&mut order[index], index);
            if from == first {
                break;
            }
            lua.raw_get_index(1, element(from));
            lua.raw_set_index(1, element(index));
            index = from;
        }
        lua.raw_set_index(1, element(index));
    }
}

/// Sorts the table of argument 1 by argument 2, a function or nil; argument 3 is the number of elements. Gives whether
/// the function is an order, as far as was seen.
///
/// # Safety
/// As Lua calls it. No frame here owns anything, so that errors may pass.
unsafe extern "C-unwind" fn sort_any(state: *mut lua_State) -> c_int {
    // SAFETY: the arguments are there; there is room for some values more.
    unsafe {
        let count = mlua_sys::lua_tonumber(state, 3) as c_int;
        lua_settop(state, 2);
        let by_function = lua_type(state, 2) != mlua_sys::LUA_TNIL;
        let elements = Elements { state, by_function };
        let depth = DEPTH_PER_DOUBLING * (count.max(1).ilog2() + 1);
        let is_order = elements.sort(1, count, depth);
        lua_pushboolean(state, c_int::from(is_order));
    }
    1
}

/// The elements of a table at index 1, with a function at index 2 that compares them.
#[derive(Clone, Copy)]
struct Elements {
    state: *mut lua_State,
    by_function: bool,
}

/// All functions here raise what comparing raises. They are safe to call while the state is as `sort_any` made it, which
/// is what `SAFETY` refers to.
impl Elements {
    unsafe fn push(self, index: c_int) {
        // SAFETY: by contract.
        unsafe { lua_rawgeti_(self.state, 1, index) }
    }

    /// Takes the topmost value as an element.
    unsafe fn set(self, index: c_int) {
        // SAFETY: by contract.
        unsafe { lua_rawseti_(self.state, 1, index) }
    }

    unsafe fn pop(self, count: c_int) {
        // SAFETY: by contract.
        unsafe { lua_settop(self.state, -count - 1) }
    }

    /// Whether a value on the stack is less than another one; indices are counted from the top.
    #[inline]
    unsafe fn is_less(self, one: c_int, other: c_int) -> bool {
        let Self { state, by_function } = self;
        // SAFETY: by contract.
        unsafe {
            charge_or_raise(state, 1);
            if !by_function {
                return lua_lessthan(state, one, other) != 0;
            }
            lua_pushvalue(state, 2);
            lua_pushvalue(state, one - 1);
            lua_pushvalue(state, other - 2);
            lua_call(state, 2, 1);
            let is_less = lua_toboolean(state, -1) != 0;
            lua_settop(state, -2);
            is_less
        }
    }

    unsafe fn swap(self, one: c_int, other: c_int) {
        // SAFETY: by contract.
        unsafe {
            self.push(one);
            self.push(other);
            self.set(one);
            self.set(other);
        }
    }

    /// Puts two elements in order; true if they were not.
    unsafe fn order(self, low: c_int, high: c_int) -> bool {
        // SAFETY: by contract.
        unsafe {
            self.push(low);
            self.push(high);
            let swaps = self.is_less(-1, -2);
            if swaps {
                self.set(low);
                self.set(high);
            } else {
                self.pop(2);
            }
            swaps
        }
    }

    /// Sorts the elements from `low` to `high`; false if the function is no order.
    unsafe fn sort(self, mut low: c_int, mut high: c_int, mut depth: u32) -> bool {
        while low < high {
            if depth == 0 {
                // SAFETY: by contract, as below.
                unsafe { self.sort_heap(low, high) };
                return true;
            }
            depth -= 1;
            // SAFETY: by contract.
            let Some(border) = (unsafe { self.part(low, high) }) else { return false };
            // The shorter part first, so that calls do not pile up.
            let left_is_shorter = border - low < high - border;
            let (from, to) = if left_is_shorter { (low, border - 1) } else { (border + 1, high) };
            (low, high) = if left_is_shorter { (border + 1, high) } else { (low, border - 1) };
            // SAFETY: by contract.
            if !unsafe { self.sort(from, to, depth) } {
                return false;
            }
        }
        true
    }

    /// Brings an element to its place, with none that is greater before it and none that is less behind it; gives the
    /// place, or none if the function is no order.
    unsafe fn part(self, low: c_int, high: c_int) -> Option<c_int> {
        let middle = low + (high - low) / 2;
        // SAFETY: by contract.
        unsafe {
            self.order(low, high);
            if high - low == 1 {
                return Some(low);
            }
            if !self.order(low, middle) {
                self.order(middle, high);
            }
            if high - low == 2 {
                return Some(middle);
            }
            self.push(middle);
            self.swap(middle, high - 1);
            let border = self.meet(low, high)?;
            self.pop(1);
            self.swap(high - 1, border);
            Some(border)
        }
    }

    /// Exchanges elements that are on the wrong side, from both ends, until the two meet; the element to compare with is
    /// on top and next to the last.
    unsafe fn meet(self, low: c_int, high: c_int) -> Option<c_int> {
        let (mut up, mut down) = (low, high - 1);
        // SAFETY: by contract.
        unsafe {
            loop {
                up += 1;
                self.push(up);
                while self.is_less(-1, -2) {
                    if up > high {
                        return None;
                    }
                    self.pop(1);
                    up += 1;
                    self.push(up);
                }
                down -= 1;
                self.push(down);
                while self.is_less(-3, -1) {
                    if down < low {
                        return None;
                    }
                    self.pop(1);
                    down -= 1;
                    self.push(down);
                }
                if down < up {
                    self.pop(2);
                    return Some(up);
                }
                self.set(up);
                self.set(down);
            }
        }
    }

    /// Sorts in a number of comparisons that has a bound.
    unsafe fn sort_heap(self, low: c_int, high: c_int) {
        let count = high - low + 1;
        // SAFETY: by contract.
        unsafe {
            for root in (0..count / 2).rev() {
                self.sift(low, root, count);
            }
            for end in (1..count).rev() {
                self.swap(low, low + end);
                self.sift(low, 0, end);
            }
        }
    }

    /// Lets an element sink in a heap of so many elements.
    unsafe fn sift(self, low: c_int, root: c_int, count: c_int) {
        let mut root = root;
        // SAFETY: by contract.
        unsafe {
            self.push(low + root);
            // Without overflow: a child of an element that has one lies below `count`.
            while root < count / 2 {
                let mut child = 2 * root + 1;
                self.push(low + child);
                if child + 1 < count {
                    self.push(low + child + 1);
                    if self.is_less(-2, -1) {
                        child += 1;
                        lua_insert(self.state, -2);
                    }
                    self.pop(1);
                }
                if !self.is_less(-2, -1) {
                    self.pop(1);
                    break;
                }
                self.set(low + root);
                root = child;
            }
            self.set(low + root);
        }
    }
}
