//! Tables as grammars.
//!
//! Here: which entries of a table are rules, in what order, and which one is first. Not here: what is checked of them
//! (`heka_lpeg`).

use std::ffi::c_int;
use std::rc::Rc;

use heka_lpeg::{Error, Pattern, RULES_MAX};

use super::keys::{self, Key};
use super::pattern::{self, ask, raise};
use crate::error::Raise;
use crate::lua::{Lua, Type};

/// The rules of a grammar in the making.
struct Rules {
    list: Vec<(Key, Rc<Pattern<Key>>)>,
    /// The table with the holders of the rules and the boxes of their names.
    holder: c_int,
    /// Entries of the holder.
    held: c_int,
    links: usize,
    nodes: usize,
}

/// Pushes the grammar of the table at an index.
pub(super) fn push(lua: Lua<'_>, index: c_int) -> Result<(), Raise> {
    lua.push_table(0, 0);
    let holder = lua.top();
    let mut rules = Rules { list: Vec::new(), holder, held: 0, links: 0, nodes: 1 };
    rules.add_first(lua, index)?;
    rules.add_others(lua, index)?;
    lua.set_top(holder);
    ask(lua, rules.nodes)?;
    let list: Vec<_> = rules.list.iter().map(|(name, rule)| (*name, &**rule)).collect();
    let mut budget = lua.host().meter.budget;
    let made = Pattern::grammar(&list, &mut budget, &|key| keys::describe(lua, *key));
    lua.host().meter.budget = budget;
    let made = made.map_err(|error| match error {
        Error::TooManyRules => Raise::argument(index, error.to_string()),
        error => raise(error),
    })?;
    pattern::push(lua, made, rules.links)
}

impl Rules {
    /// The entry under 1, or that whose name is there. Leaves its name behind the holder.
    fn add_first(&mut self, lua: Lua<'_>, table: c_int) -> Result<(), Raise> {
        lua.raw_get_index(table, 1);
        if matches!(lua.type_of(-1), Type::String | Type::Number) {
            lua.push_value(-1);
            super::get(lua, table)?;
        } else {
            lua.push_number(1.0);
            lua.insert(-2);
        }
        if lua.type_of(-1) == Type::Nil {
            return Err(raise(Error::NoInitialRule));
        }
        self.add(lua, "initial rule")
    }

    /// All other entries, in the order in which Lua has them. The first one's name is on top.
    fn add_others(&mut self, lua: Lua<'_>, table: c_int) -> Result<(), Raise> {
        let first = lua.top();
        lua.push_nil();
        // One more than allowed is enough to be refused.
        while self.list.len() <= RULES_MAX && lua.next(table) {
            lua.charge(1)?;
            // As in LPeg, also the text "1".
            if lua.number(-2) == Some(1.0) || lua.raw_equal(-2, first) {
                lua.pop(1);
            } else {
                self.add(lua, "rule")?;
            }
        }
        Ok(())
    }

    /// Takes the rule on top; its name is below.
    fn add(&mut self, lua: Lua<'_>, what: &str) -> Result<(), Raise> {
        let Some((rule, links)) = pattern::at(lua, -1) else {
            lua.push_value(-2);
            let name = keys::text_of(lua, -1);
            return Err(Raise::text(format!("{what} '{name}' is not a pattern")));
        };
        self.nodes = self.nodes.saturating_add(rule.size() + 1);
        pattern::push_holder(lua, -1);
        self.hold(lua, links);
        let name = keys::intern(lua, -2);
        self.hold(lua, 1);
        self.list.push((name, rule));
        lua.pop(1);
        Ok(())
    }

    /// Takes a holder.
    fn hold(&mut self, lua: Lua<'_>, links: usize) {
        self.held += 1;
        self.links += links + 1;
        lua.raw_set_index(self.holder, self.held);
    }
}
