//! How functions of ours are entered and left.
//!
//! Here: the one function that Lua calls, for each function of ours; how errors are raised. Invariants: an error is
//! raised only where no frame between here and Lua owns anything; a panic ends the sandbox and nothing else.

use std::borrow::Cow;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use mlua_sys::{lua_CFunction, lua_State, lua_error, lua_yield};

use crate::error::Raise;
use crate::limits;
use crate::lua::{Lua, Type};

/// How a function ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With so many results on top of the stack.
    Return(c_int),
    /// The running coroutine is left, with so many values on top of the stack.
    Yield(c_int),
}

impl From<c_int> for Outcome {
    fn from(results: c_int) -> Self {
        Self::Return(results)
    }
}

/// What became of a call, for the outermost frame.
enum Left {
    Return(c_int),
    Yield(c_int),
    Raise,
}

/// The C function that calls `function`, which must be a function itself or a closure that captures nothing.
pub(crate) const fn entry<F, O>(_: F) -> lua_CFunction
where
    F: Fn(Lua<'_>) -> Result<O, Raise> + Copy + 'static,
    O: Into<Outcome>,
{
    const { assert!(size_of::<F>() == 0, "only functions without captures") };
    enter::<F, O>
}

/// What Lua calls.
///
/// # Safety
/// As Lua calls it, with a state of a sandbox.
unsafe extern "C-unwind" fn enter<F, O>(state: *mut lua_State) -> c_int
where
    F: Fn(Lua<'_>) -> Result<O, Raise> + Copy + 'static,
    O: Into<Outcome>,
{
    // SAFETY: a type without size has one value, which any aligned address holds.
    let function: F = unsafe { NonNull::<F>::dangling().read() };
    let left = run(state, function);
    // Nothing lives here that has a destructor.
    match left {
        Left::Return(results) => results,
        // SAFETY: as a C function that ends so; the values are on the stack.
        Left::Yield(results) => unsafe { lua_yield(state, results) },
        // SAFETY: the error is on top of the stack.
        Left::Raise => unsafe { lua_error(state) },
    }
}

#[inline]
fn run<F, O>(state: *mut lua_State, function: F) -> Left
where
    F: Fn(Lua<'_>) -> Result<O, Raise>,
    O: Into<Outcome>,
{
    // SAFETY: Lua passes a valid state, and nothing is refused from here on.
    let lua = unsafe { Lua::new(state) };
    let before = std::mem::replace(&mut lua.host().memory.exempt, true);
    let result = catch_unwind(AssertUnwindSafe(|| function(lua)));
    let host = lua.host();
    let left = match result {
        Ok(Ok(outcome)) if !host.memory.is_over() => match outcome.into() {
            Outcome::Return(results) => Left::Return(results),
            Outcome::Yield(results) => Left::Yield(results),
        },
        Ok(Ok(outcome)) => over(lua, outcome.into()),
        Ok(Err(raise)) => push_error(lua, raise),
        Err(panic) => push_panic(lua, &*panic),
    };
    lua.host().memory.exempt = before;
    left
}

/// More memory is in use than may be: garbage is collected, and if that does not help, there is an error.
#[cold]
fn over(lua: Lua<'_>, outcome: Outcome) -> Left {
    match (lua.ask_memory(0), outcome) {
        (Ok(()), Outcome::Return(results)) => Left::Return(results),
        (Ok(()), Outcome::Yield(results)) => Left::Yield(results),
        (Err(raise), _) => push_error(lua, raise),
    }
}

#[cold]
fn push_error(lua: Lua<'_>, raise: Raise) -> Left {
    match raise {
        Raise::Value => {}
        Raise::Text(text) => lua.push_bytes(format!("{}{text}", lua.position(1)).as_bytes()),
        Raise::Memory => lua.push_bytes(b"not enough memory"),
        Raise::Argument(number, how) => {
            let text = argument_text(lua, number, &how);
            lua.push_bytes(format!("{}{text}", lua.position(1)).as_bytes());
        }
        Raise::Breach => {
            let breach = limits::breach_of(lua.host(), lua.state());
            lua.push_bytes(breach.text().as_bytes());
        }
    }
    Left::Raise
}

/// Gives the entry of a table, argument 2, for a key, argument 1, with metamethods.
///
/// # Safety
/// As Lua calls it. Nothing here has a destructor, so that errors may pass.
unsafe extern "C-unwind" fn get(state: *mut lua_State) -> c_int {
    // SAFETY: both are on the stack.
    unsafe {
        mlua_sys::lua_pushvalue(state, 1);
        mlua_sys::lua_gettable(state, 2);
    }
    1
}

/// As `luaL_argerror` has it.
fn argument_text(lua: Lua<'_>, number: c_int, how: &str) -> String {
    let (name, is_method) = lua.called_as();
    let number = if is_method { number - 1 } else { number };
    if is_method && number == 0 {
        return format!("calling '{name}' on bad self ({how})");
    }
    format!("bad argument #{number} to '{name}' ({how})")
}

#[cold]
fn push_panic(lua: Lua<'_>, panic: &(dyn std::any::Any + Send)) -> Left {
    let text = panic.downcast_ref::<&str>().map(|text| Cow::Borrowed(*text));
    let text = text.or_else(|| panic.downcast_ref::<String>().map(|text| Cow::Owned(text.clone())));
    let text = text.unwrap_or(Cow::Borrowed("a panic without words"));
    lua.host().panicked = Some(text.clone().into_owned());
    lua.push_bytes(format!("internal error: {text}").as_bytes());
    Left::Raise
}

impl Lua<'_> {
    /// Sets functions as fields of the table on top.
    pub(crate) fn set_functions(&self, functions: &[(&str, lua_CFunction)]) {
        for &(name, function) in functions {
            self.push_function(function, 0);
            self.raw_set_text(-2, name);
        }
    }

    /// Replaces a key on top by a table's entry, with metamethods; the table's index is counted from below.
    ///
    /// # Errors
    /// What a metamethod raised.
    pub(crate) fn index(&self, table: c_int) -> Result<(), Raise> {
        debug_assert!(table > 0);
        self.push_value(-1);
        self.raw_get(table);
        if self.type_of(-1) == Type::Nil && self.metatable(table) {
            self.pop(2);
            self.push_function(get, 0);
            self.insert(-2);
            self.push_value(table);
            return self.call(2, 1);
        }
        self.replace(-2);
        Ok(())
    }

    /// Argument `index` as a number.
    ///
    /// # Errors
    /// As `luaL_checknumber`.
    #[inline]
    pub(crate) fn check_number(&self, index: c_int) -> Result<f64, Raise> {
        self.number(index).ok_or_else(|| self.wrong_type(index, "number"))
    }

    /// Argument `index` as a number without its fraction, as `luaL_checkinteger` has it: what does not fit is the least
    /// integer.
    ///
    /// # Errors
    /// If it is no number.
    #[inline]
    pub(crate) fn check_integer(&self, index: c_int) -> Result<i64, Raise> {
        self.check_number(index).map(heka_luatext::to_signed)
    }

    /// Argument `index` as C's `int`, as `luaL_checkint` has it: the low 32 bits.
    ///
    /// # Errors
    /// If it is no number.
    #[inline]
    pub(crate) fn check_int(&self, index: c_int) -> Result<c_int, Raise> {
        self.check_integer(index).map(|integer| integer as c_int)
    }

    /// As [`check_integer`](Self::check_integer), with a default for none and nil.
    ///
    /// # Errors
    /// If it is there and no number.
    pub(crate) fn optional_integer(&self, index: c_int, default: i64) -> Result<i64, Raise> {
        if self.is_none_or_nil(index) { Ok(default) } else { self.check_integer(index) }
    }

    /// Argument `index` as bytes; a number becomes its text.
    ///
    /// # Errors
    /// As `luaL_checklstring`.
    #[inline]
    pub(crate) fn check_text(&self, index: c_int) -> Result<&[u8], Raise> {
        self.text(index).ok_or_else(|| self.wrong_type(index, "string"))
    }

    /// Argument `index` must be a table.
    ///
    /// # Errors
    /// As `luaL_checktype`.
    pub(crate) fn check_table(&self, index: c_int) -> Result<(), Raise> {
        self.check_type(index, Type::Table)
    }

    /// Argument `index` must be of a type.
    ///
    /// # Errors
    /// As `luaL_checktype`.
    pub(crate) fn check_type(&self, index: c_int, wanted: Type) -> Result<(), Raise> {
        if self.type_of(index) == wanted {
            Ok(())
        } else {
            Err(self.wrong_type(index, wanted.name()))
        }
    }

    /// There must be an argument `index`.
    ///
    /// # Errors
    /// As `luaL_checkany`.
    pub(crate) fn check_any(&self, index: c_int) -> Result<(), Raise> {
        match self.type_of(index) {
            Type::None => Err(Raise::argument(index, "value expected")),
            _ => Ok(()),
        }
    }

    /// The error of an argument of another type than expected.
    #[cold]
    pub(crate) fn wrong_type(&self, index: c_int, expected: &str) -> Raise {
        Raise::argument(index, format!("{expected} expected, got {}", self.type_of(index).name()))
    }
}
