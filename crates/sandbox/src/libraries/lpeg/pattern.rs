//! Patterns as objects: how values of Lua's become one, and how a new one is pushed.
//!
//! Here: the object, coercion, compiling at the first match. Not here: operators (`build`), what keys are (`keys`).
//! Invariants: the environment of a pattern is its holder, or nothing of ours where it has no keys; once it is compiled,
//! the holder is the list of the program's values, with the holder before at index 0.

use std::collections::HashMap;
use std::ffi::c_int;
use std::rc::Rc;

use heka_lpeg::{Error, Pattern, Program};
use mlua_sys::lua_CFunction;

use super::keys::{self, Key};
use super::{build, functions, grammar};
use crate::error::Raise;
use crate::lua::{Lua, Type};
use crate::object::Object;

/// Nodes visited or copied for one step.
const NODES_PER_STEP: usize = 8;
/// Steps that making a pattern and compiling one take at least.
const MAKE_STEPS: usize = 8;
const COMPILE_STEPS: usize = 16;
/// Bytes that a node takes, roughly.
const NODE_BYTES: usize = 32;
/// Bytes that compiling takes for each node while it runs.
const COMPILE_BYTES: usize = 128;

/// A pattern of a script.
pub(super) struct PatternObject {
    pattern: Rc<Pattern<Key>>,
    /// What is matched, once it was.
    program: Option<Rc<Program<c_int>>>,
    /// Links between the tables that hold its values, at most; 0 if there are none.
    links: usize,
}

impl Object for PatternObject {
    const NAME: &'static str = "lpeg-pattern";

    fn methods() -> Vec<(&'static str, lua_CFunction)> {
        functions()
    }

    fn operators() -> Vec<(&'static str, lua_CFunction)> {
        build::operators()
    }

    fn memory(&self) -> usize {
        self.pattern.memory() + self.program.as_ref().map_or(0, |program| program.memory())
    }
}

/// What the engine refuses, as LPeg says it.
pub(super) fn raise(error: Error) -> Raise {
    match error {
        Error::OutOfBudget => Raise::Breach,
        Error::OutOfMemory => Raise::Memory,
        Error::NoFixedLength | Error::HasCaptures | Error::TooLongToLookBehind => {
            Raise::argument(1, error.to_string())
        }
        Error::CodePoints => Raise::argument(2, error.to_string()),
        error => Raise::text(error.to_string()),
    }
}

/// Charges and asks for a new pattern of so many nodes.
pub(super) fn ask(lua: Lua<'_>, nodes: usize) -> Result<(), Raise> {
    let nodes = nodes.min(heka_lpeg::NODES_MAX);
    lua.charge(MAKE_STEPS + nodes / NODES_PER_STEP)?;
    lua.ask_memory(nodes * NODE_BYTES)
}

/// The pattern at an index, which a value that stands for one becomes.
pub(super) fn coerce(lua: Lua<'_>, index: c_int) -> Result<Rc<Pattern<Key>>, Raise> {
    match lua.type_of(index) {
        Type::String => {
            let text = lua.bytes(index).unwrap_or_default();
            lua.charge(text.len() / 16)?;
            lua.ask_memory(text.len())?;
            push_plain(lua, Pattern::literal(text))?;
        }
        Type::Number => {
            let count = lua.number(index).unwrap_or_default();
            // A count beyond the range is as good as its end.
            push_plain(lua, Pattern::any(count as i32))?;
        }
        Type::Boolean => push_plain(lua, Pattern::boolean(lua.boolean(index)))?,
        Type::Table => grammar::push(lua, index)?,
        Type::Function => {
            let key = keys::intern(lua, index);
            push(lua, Pattern::function(key).map_err(raise)?, 1)?;
        }
        _ => return Ok(Rc::clone(&lua.check_object::<PatternObject>(index)?.pattern)),
    }
    lua.replace(index);
    Ok(Rc::clone(&lua.check_object::<PatternObject>(index)?.pattern))
}

/// The pattern at an index, if it is one, with its links.
pub(super) fn at(lua: Lua<'_>, index: c_int) -> Option<(Rc<Pattern<Key>>, usize)> {
    lua.object::<PatternObject>(index).map(|it| (Rc::clone(&it.pattern), it.links))
}

/// Pushes the holder of the pattern at an index, or nil; gives its links.
pub(super) fn push_holder(lua: Lua<'_>, index: c_int) -> usize {
    let links = lua.object::<PatternObject>(index).map_or(0, |it| it.links);
    match links {
        0 => lua.push_nil(),
        _ => lua.push_environment(index),
    }
    links
}

/// Pushes a pattern without keys.
pub(super) fn push_plain(lua: Lua<'_>, pattern: Pattern<Key>) -> Result<(), Raise> {
    lua.push_object(PatternObject { pattern: Rc::new(pattern), program: None, links: 0 })
}

/// Replaces the holder on top, or nil, by a pattern that it holds.
pub(super) fn push(lua: Lua<'_>, pattern: Pattern<Key>, mut links: usize) -> Result<(), Raise> {
    if links > 2 * pattern.size() {
        lua.pop(1);
        links = push_flat_holder(lua, &pattern);
    }
    let has_holder = lua.type_of(-1) == Type::Table;
    let links = if has_holder { links.max(1) } else { 0 };
    lua.push_object(PatternObject { pattern: Rc::new(pattern), program: None, links })?;
    if has_holder {
        lua.push_value(-2);
        lua.set_environment(-2);
    }
    lua.remove(-2);
    Ok(())
}

/// Pushes a holder of just what a pattern uses; gives its links.
fn push_flat_holder(lua: Lua<'_>, pattern: &Pattern<Key>) -> usize {
    lua.push_table(0, 0);
    let mut links = 0;
    for key in pattern.keys() {
        links += 1;
        keys::push_box(lua, *key);
        lua.raw_set_index(-2, c_int::try_from(links).unwrap_or(c_int::MAX));
    }
    links
}

/// The program of the pattern at an index, compiled at its first use.
#[inline]
pub(super) fn program(lua: Lua<'_>, index: c_int) -> Result<Rc<Program<c_int>>, Raise> {
    match lua.object::<PatternObject>(index) {
        Some(PatternObject { program: Some(program), .. }) => Ok(Rc::clone(program)),
        _ => compile(lua, index),
    }
}

#[cold]
fn compile(lua: Lua<'_>, index: c_int) -> Result<Rc<Program<c_int>>, Raise> {
    let pattern = coerce(lua, index)?;
    lua.charge(COMPILE_STEPS + pattern.size() / NODES_PER_STEP)?;
    lua.ask_memory(pattern.size() * COMPILE_BYTES)?;
    let memory = &lua.host().memory;
    let room = match memory.limit {
        0 => usize::MAX,
        limit => limit.saturating_sub(memory.used),
    };
    // Describing a key makes values of Lua's, so that the meter may be looked at by others meanwhile.
    let mut budget = lua.host().meter.budget;
    let compiled = pattern.compile(&mut budget, room, &|key| keys::describe(lua, *key));
    lua.host().meter.budget = budget;
    let program = Rc::new(number_keys(lua, index, compiled.map_err(raise)?));
    if let Some(object) = lua.object::<PatternObject>(index) {
        object.program = Some(Rc::clone(&program));
    }
    lua.recharge::<PatternObject>(index)?;
    Ok(program)
}

/// Gives the keys of a program numbers from 1 on, and makes the list of their values the holder of its pattern.
fn number_keys(lua: Lua<'_>, index: c_int, program: Program<Key>) -> Program<c_int> {
    let before = push_holder(lua, index);
    if before == 0 {
        lua.pop(1);
        return program.map_keys(|_| 0);
    }
    lua.push_table(0, 0);
    lua.insert(-2);
    lua.raw_set_index(-2, 0);
    let mut numbers = HashMap::new();
    let program = program.map_keys(|key| {
        let next = c_int::try_from(numbers.len() + 1).unwrap_or(c_int::MAX);
        *numbers.entry(key).or_insert_with(|| {
            keys::push_value(lua, key);
            lua.raw_set_index(-2, next);
            next
        })
    });
    lua.set_environment(index);
    if let Some(object) = lua.object::<PatternObject>(index) {
        object.links = before + numbers.len() + 1;
    }
    program
}
