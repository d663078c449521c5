//! The stack of a running function, made safe to use.
//!
//! Here: what functions of ours may do with Lua. Not here: how they are entered and left (`function`). Invariants: while
//! one runs, no operation here raises an error of Lua's: memory is not refused ([`Memory`](crate::memory::Memory)), tables
//! are read and written raw, functions are called protected. So a function may own what it likes. Bytes of a string are
//! valid while it is on the stack; functions leave their arguments where they are.

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::slice;

use mlua_sys::{
    LUA_GCCOLLECT, LUA_GLOBALSINDEX, LUA_REGISTRYINDEX, LUA_TBOOLEAN, LUA_TFUNCTION,
    LUA_TLIGHTUSERDATA, LUA_TNIL, LUA_TNUMBER, LUA_TSTRING, LUA_TTABLE, LUA_TTHREAD, LUA_TUSERDATA,
    lua_CFunction, lua_State,
};

use crate::error::Raise;
use crate::host::Host;

/// What kind of value is at an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    None,
    Nil,
    Boolean,
    LightUserdata,
    Number,
    String,
    Table,
    Function,
    Userdata,
    Thread,
}

impl Type {
    fn of(number: c_int) -> Self {
        match number {
            LUA_TNIL => Self::Nil,
            LUA_TBOOLEAN => Self::Boolean,
            LUA_TLIGHTUSERDATA => Self::LightUserdata,
            LUA_TNUMBER => Self::Number,
            LUA_TSTRING => Self::String,
            LUA_TTABLE => Self::Table,
            LUA_TFUNCTION => Self::Function,
            LUA_TUSERDATA => Self::Userdata,
            LUA_TTHREAD => Self::Thread,
            _ => Self::None,
        }
    }

    /// Lua's name for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::Nil => "nil",
            Self::Boolean => "boolean",
            Self::LightUserdata | Self::Userdata => "userdata",
            Self::Number => "number",
            Self::String => "string",
            Self::Table => "table",
            Self::Function => "function",
            Self::Thread => "thread",
        }
    }
}

/// The index of the table of globals.
pub(crate) const GLOBALS: c_int = LUA_GLOBALSINDEX;
/// The index of the registry, a table that scripts cannot reach.
pub(crate) const REGISTRY: c_int = LUA_REGISTRYINDEX;

/// The stack of a running function.
#[derive(Clone, Copy)]
pub(crate) struct Lua<'a> {
    state: *mut lua_State,
    host: *mut Host,
    life: PhantomData<&'a ()>,
}

impl<'a> Lua<'a> {
    /// The stack of a state.
    ///
    /// # Safety
    /// The state is one of a sandbox, valid for `'a`, and its memory is exempt from the limit while this is used.
    #[inline]
    pub(crate) unsafe fn new(state: *mut lua_State) -> Self {
        // SAFETY: by contract, the state is one of a sandbox.
        let host = unsafe { Host::at(state) };
        Self { state, host, life: PhantomData }
    }

    /// The state.
    pub(crate) fn state(&self) -> *mut lua_State {
        self.state
    }

    /// The owner of the state. The reference must not be kept over a call into Lua.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub(crate) fn host(&self) -> &'a mut Host {
        // SAFETY: the state has a host that lives as long; callers hold no reference over a call of this.
        unsafe { &mut *self.host }
    }

    /// Number of values.
    #[inline]
    pub(crate) fn top(&self) -> c_int {
        // SAFETY: the state is valid, as in all of this file.
        unsafe { mlua_sys::lua_gettop(self.state) }
    }

    /// Removes values, or fills up with nil.
    #[inline]
    pub(crate) fn set_top(&self, top: c_int) {
        // SAFETY: callers made room for what they push.
        unsafe { mlua_sys::lua_settop(self.state, top) }
    }

    /// Removes the topmost values.
    #[inline]
    pub(crate) fn pop(&self, count: c_int) {
        self.set_top(-count - 1);
    }

    /// Makes room for so many values more than the twenty that are always there.
    pub(crate) fn reserve_stack(&self, count: usize) -> Result<(), Raise> {
        // Lua allows eight thousand.
        let count = c_int::try_from(count).unwrap_or(c_int::MAX);
        // SAFETY: memory is not refused, so that this does not raise.
        match unsafe { mlua_sys::lua_checkstack(self.state, count) } {
            0 => Err(Raise::text("stack overflow")),
            _ => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn type_of(&self, index: c_int) -> Type {
        // SAFETY: any index is allowed here.
        Type::of(unsafe { mlua_sys::lua_type(self.state, index) })
    }

    pub(crate) fn is_none_or_nil(&self, index: c_int) -> bool {
        matches!(self.type_of(index), Type::None | Type::Nil)
    }

    /// A number, or a string that reads as one.
    #[inline]
    pub(crate) fn number(&self, index: c_int) -> Option<f64> {
        // SAFETY: any index is allowed; nothing is changed.
        unsafe {
            let number = mlua_sys::lua_tonumber(self.state, index);
            (number != 0.0 || mlua_sys::lua_isnumber(self.state, index) != 0).then_some(number)
        }
    }

    /// False for false and nil.
    pub(crate) fn boolean(&self, index: c_int) -> bool {
        // SAFETY: any index is allowed.
        unsafe { mlua_sys::lua_toboolean(self.state, index) != 0 }
    }

    /// The bytes of a string. Valid while it is on the stack.
    #[inline]
    pub(crate) fn bytes(&self, index: c_int) -> Option<&'a [u8]> {
        if self.type_of(index) != Type::String {
            return None;
        }
        self.text(index)
    }

    /// The bytes of a string, or of a number, which becomes a string where it is. Valid while it is on the stack.
    #[inline]
    pub(crate) fn text(&self, index: c_int) -> Option<&'a [u8]> {
        let mut len = 0;
        // SAFETY: memory is not refused; Lua gives null or so many bytes, which live as long as the value is reachable.
        unsafe {
            let start = mlua_sys::lua_tolstring(self.state, index, &raw mut len);
            (!start.is_null()).then(|| slice::from_raw_parts(start.cast(), len))
        }
    }

    /// Length of a string, or of a table as `#` gives it, or bytes of userdata.
    pub(crate) fn len(&self, index: c_int) -> usize {
        // SAFETY: any index is allowed; memory is not refused.
        unsafe { mlua_sys::lua_objlen(self.state, index) }
    }

    /// Address of a table, function, thread or userdata; null for others.
    pub(crate) fn pointer(&self, index: c_int) -> *const () {
        // SAFETY: any index is allowed.
        unsafe { mlua_sys::lua_topointer(self.state, index).cast() }
    }

    /// The memory of userdata, or the address of light userdata; null for others.
    #[inline]
    pub(crate) fn userdata(&self, index: c_int) -> *mut () {
        // SAFETY: any index is allowed.
        unsafe { mlua_sys::lua_touserdata(self.state, index).cast() }
    }

    /// Address of a function of C's; 0 for all else.
    #[inline]
    pub(crate) fn c_function(&self, index: c_int) -> usize {
        // SAFETY: any index is allowed.
        let function = unsafe { mlua_sys::lua_tocfunction(self.state, index) };
        function.map_or(0, |function| function as usize)
    }

    pub(crate) fn thread(&self, index: c_int) -> *mut lua_State {
        // SAFETY: any index is allowed.
        unsafe { mlua_sys::lua_tothread(self.state, index) }
    }

    #[inline]
    pub(crate) fn push_nil(&self) {
        // SAFETY: callers made room; so for all that push.
        unsafe { mlua_sys::lua_pushnil(self.state) }
    }

    #[inline]
    pub(crate) fn push_boolean(&self, value: bool) {
        // SAFETY: as above.
        unsafe { mlua_sys::lua_pushboolean(self.state, c_int::from(value)) }
    }

    #[inline]
    pub(crate) fn push_number(&self, value: f64) {
        // SAFETY: as above.
        unsafe { mlua_sys::lua_pushnumber(self.state, value) }
    }

    #[inline]
    pub(crate) fn push_bytes(&self, bytes: &[u8]) {
        // SAFETY: the bytes are valid; memory is not refused.
        unsafe { mlua_sys::lua_pushlstring_(self.state, bytes.as_ptr().cast(), bytes.len()) }
    }

    #[inline]
    pub(crate) fn push_value(&self, index: c_int) {
        // SAFETY: callers name an index that is there.
        unsafe { mlua_sys::lua_pushvalue(self.state, index) }
    }

    /// Pushes an address as light userdata.
    pub(crate) fn push_address<T>(&self, address: *const T) {
        // SAFETY: any address is allowed, it is only compared.
        unsafe { mlua_sys::lua_pushlightuserdata(self.state, address.cast_mut().cast()) }
    }

    pub(crate) fn push_table(&self, items: usize, fields: usize) {
        let limit = |count: usize| c_int::try_from(count).unwrap_or(c_int::MAX).min(1 << 24);
        // SAFETY: memory is not refused; the sizes are small enough.
        unsafe { mlua_sys::lua_createtable(self.state, limit(items), limit(fields)) }
    }

    /// Pushes a function with the topmost values as its upvalues.
    pub(crate) fn push_function(&self, function: lua_CFunction, upvalues: c_int) {
        // SAFETY: the values are there, by contract.
        unsafe { mlua_sys::lua_pushcclosure(self.state, function, upvalues) }
    }

    /// Pushes new userdata without a metatable, and gives its memory, aligned to eight bytes.
    pub(crate) fn push_userdata(&self, bytes: usize) -> *mut () {
        // SAFETY: memory is not refused.
        unsafe { mlua_sys::lua_newuserdata(self.state, bytes).cast() }
    }

    /// Pushes a new thread.
    pub(crate) fn push_thread(&self) -> *mut lua_State {
        // SAFETY: memory is not refused.
        unsafe { mlua_sys::lua_newthread(self.state) }
    }

    pub(crate) fn insert(&self, index: c_int) {
        // SAFETY: callers name an index that is there.
        unsafe { mlua_sys::lua_insert(self.state, index) }
    }

    pub(crate) fn remove(&self, index: c_int) {
        // SAFETY: as above.
        unsafe { mlua_sys::lua_remove(self.state, index) }
    }

    pub(crate) fn replace(&self, index: c_int) {
        // SAFETY: as above.
        unsafe { mlua_sys::lua_replace(self.state, index) }
    }

    /// Replaces the topmost value, a key, by the table's entry. No metamethods.
    #[inline]
    pub(crate) fn raw_get(&self, table: c_int) {
        debug_assert_eq!(self.type_of(table), Type::Table);
        // SAFETY: it is a table, by contract.
        unsafe { mlua_sys::lua_rawget_(self.state, table) }
    }

    #[inline]
    pub(crate) fn raw_get_index(&self, table: c_int, index: c_int) {
        debug_assert_eq!(self.type_of(table), Type::Table);
        // SAFETY: it is a table, by contract.
        unsafe { mlua_sys::lua_rawgeti_(self.state, table, index) }
    }

    /// Pushes the entry of a table for a text.
    pub(crate) fn raw_get_text(&self, table: c_int, key: &str) {
        let table = self.absolute(table);
        self.push_bytes(key.as_bytes());
        self.raw_get(table);
    }

    /// Takes a value and below it a key, which is neither nil nor NaN, and sets the table's entry.
    #[inline]
    pub(crate) fn raw_set(&self, table: c_int) {
        debug_assert_eq!(self.type_of(table), Type::Table);
        // SAFETY: it is a table and the key is one that does not raise, by contract; memory is not refused.
        unsafe { mlua_sys::lua_rawset(self.state, table) }
    }

    #[inline]
    pub(crate) fn raw_set_index(&self, table: c_int, index: c_int) {
        debug_assert_eq!(self.type_of(table), Type::Table);
        // SAFETY: as above.
        unsafe { mlua_sys::lua_rawseti_(self.state, table, index) }
    }

    /// Takes a value and sets the table's entry for a text.
    pub(crate) fn raw_set_text(&self, table: c_int, key: &str) {
        let table = self.absolute(table);
        self.push_bytes(key.as_bytes());
        self.insert(-2);
        self.raw_set(table);
    }

    /// Replaces a key on top by the next key and its value; false at the end, with nothing left. The key must be one
    /// that this gave, or nil to begin, and the table may not get new keys meanwhile.
    #[inline]
    pub(crate) fn next(&self, table: c_int) -> bool {
        debug_assert_eq!(self.type_of(table), Type::Table);
        // SAFETY: it is a table and the key is in it, by contract.
        unsafe { mlua_sys::lua_next(self.state, table) != 0 }
    }

    pub(crate) fn raw_equal(&self, one: c_int, other: c_int) -> bool {
        // SAFETY: any indices are allowed.
        unsafe { mlua_sys::lua_rawequal(self.state, one, other) != 0 }
    }

    /// Pushes a value's metatable; false and nothing if it has none.
    pub(crate) fn metatable(&self, index: c_int) -> bool {
        // SAFETY: any index is allowed.
        unsafe { mlua_sys::lua_getmetatable(self.state, index) != 0 }
    }

    /// Takes a table or nil as the metatable of a value.
    pub(crate) fn set_metatable(&self, index: c_int) {
        // SAFETY: a table or nil is on top, by contract.
        unsafe { mlua_sys::lua_setmetatable(self.state, index) };
    }

    /// Pushes the environment of a function or of userdata; nil for others.
    #[inline]
    pub(crate) fn push_environment(&self, index: c_int) {
        // SAFETY: any index is allowed.
        unsafe { mlua_sys::lua_getfenv(self.state, index) };
    }

    /// Takes a table as the environment of a function, or of userdata, which keeps it alive.
    pub(crate) fn set_environment(&self, index: c_int) {
        // SAFETY: a table is on top and a function or userdata at the index, by contract.
        unsafe { mlua_sys::lua_setfenv(self.state, index) };
    }

    /// An index that stays the same while values are pushed.
    #[inline]
    pub(crate) fn absolute(&self, index: c_int) -> c_int {
        if index < 0 && index > REGISTRY { self.top() + index + 1 } else { index }
    }

    /// The index of an upvalue of the running function, from 1.
    pub(crate) fn upvalue(index: c_int) -> c_int {
        LUA_GLOBALSINDEX - index
    }

    /// Calls the function below so many arguments; -1 results: all.
    ///
    /// # Errors
    /// What the function raised; it is on top of the stack in place of function and arguments.
    pub(crate) fn call(&self, arguments: c_int, results: c_int) -> Result<(), Raise> {
        self.host().memory.exempt = false;
        // SAFETY: function and arguments are there, by contract; errors do not come past this.
        let status = unsafe { mlua_sys::lua_pcall(self.state, arguments, results, 0) };
        self.host().memory.exempt = true;
        if status == 0 { Ok(()) } else { Err(Raise::Value) }
    }

    /// Collects all garbage.
    pub(crate) fn collect(&self) {
        // SAFETY: finalizers are ours and raise nothing; scripts can set none (`base`).
        unsafe { mlua_sys::lua_gc(self.state, LUA_GCCOLLECT, 0) };
    }

    /// Charges steps.
    ///
    /// # Errors
    /// If there are no more; the error takes its text from what ended them.
    #[inline]
    pub(crate) fn charge(&self, steps: usize) -> Result<(), Raise> {
        self.host().meter.budget.charge(steps).map_err(|_| Raise::Breach)
    }

    /// Asks for memory that is going to be taken, collecting garbage where that helps.
    ///
    /// # Errors
    /// [`Raise::Memory`] if there is not so much.
    pub(crate) fn ask_memory(&self, bytes: usize) -> Result<(), Raise> {
        if self.host().memory.has_room(bytes) {
            return Ok(());
        }
        let used = self.host().memory.used;
        if bytes > self.host().memory.limit {
            return Err(Raise::Memory);
        }
        // A collection looks at all that is in use.
        self.charge(used / 256)?;
        self.collect();
        if self.host().memory.has_room(bytes) { Ok(()) } else { Err(Raise::Memory) }
    }

    /// Looks whether what was taken is still within the limit; in loops that make values.
    ///
    /// # Errors
    /// As [`ask_memory`](Self::ask_memory).
    #[inline]
    pub(crate) fn check_memory(&self) -> Result<(), Raise> {
        if self.host().memory.is_over() { self.ask_memory(0) } else { Ok(()) }
    }

    /// Text of where the function's caller stands: `chunk:line: `, or nothing.
    pub(crate) fn position(&self, level: c_int) -> String {
        // SAFETY: an all-zero activation record is valid to be filled.
        let mut record: mlua_sys::lua_Debug = unsafe { std::mem::zeroed() };
        // SAFETY: the record is filled by the first before the second looks at it; neither raises for these letters.
        unsafe {
            if mlua_sys::lua_getstack(self.state, level, &raw mut record) == 0
                || mlua_sys::lua_getinfo(self.state, c"Sl".as_ptr(), &raw mut record) == 0
                || record.currentline <= 0
            {
                return String::new();
            }
            let source = CStr::from_ptr(record.short_src.as_ptr()).to_string_lossy();
            format!("{source}:{}: ", record.currentline)
        }
    }

    /// Text of the function at a level of the call stack: where it stands and what it is called.
    pub(crate) fn function_at(&self, level: c_int) -> Option<String> {
        // SAFETY: as in `position`; the texts are strings once they were asked for.
        unsafe {
            let mut record: mlua_sys::lua_Debug = std::mem::zeroed();
            if mlua_sys::lua_getstack(self.state, level, &raw mut record) == 0 {
                return None;
            }
            mlua_sys::lua_getinfo(self.state, c"Snl".as_ptr(), &raw mut record);
            let source = CStr::from_ptr(record.short_src.as_ptr()).to_string_lossy();
            let mut text = match record.currentline {
                1.. => format!("{source}:{}: in ", record.currentline),
                _ => format!("{source}: in "),
            };
            let what = CStr::from_ptr(record.what).to_bytes();
            if !record.name.is_null() && *record.namewhat != 0 {
                let name = CStr::from_ptr(record.name).to_string_lossy();
                text.push_str(&format!("function '{name}'"));
            } else {
                match what {
                    b"main" => text.push_str("main chunk"),
                    b"C" | b"tail" => text.push('?'),
                    _ => {
                        text.push_str(&format!("function <{source}:{}>", record.linedefined));
                    }
                }
            }
            Some(text)
        }
    }

    /// Compiles a chunk and pushes it as a function; `name` is Lua's: `@` and a file's path.
    ///
    /// # Errors
    /// [`Raise::Value`]: what is wrong is on top of the stack instead.
    pub(crate) fn load(&self, source: &[u8], name: &str) -> Result<(), Raise> {
        let name = name.replace('\0', " ");
        let Ok(name) = std::ffi::CString::new(name) else { return Err(Raise::text("bad name")) };
        let before = std::mem::replace(&mut self.host().memory.exempt, false);
        // SAFETY: the bytes are valid; errors are returned. The name is only leaked if Lua raised, which it does not.
        let status = unsafe {
            let start = source.as_ptr().cast();
            mlua_sys::luaL_loadbuffer(self.state, start, source.len(), name.as_ptr())
        };
        self.host().memory.exempt = before;
        if status == 0 { Ok(()) } else { Err(Raise::Value) }
    }

    /// The name by which the running function was called, and whether as a method.
    pub(crate) fn called_as(&self) -> (String, bool) {
        // SAFETY: as in `position`; names are null or strings.
        unsafe {
            let mut record: mlua_sys::lua_Debug = std::mem::zeroed();
            if mlua_sys::lua_getstack(self.state, 0, &raw mut record) == 0 {
                return ("?".to_owned(), false);
            }
            mlua_sys::lua_getinfo(self.state, c"n".as_ptr(), &raw mut record);
            let text = |start: *const std::ffi::c_char| {
                if start.is_null() {
                    "?".to_owned()
                } else {
                    CStr::from_ptr(start).to_string_lossy().into_owned()
                }
            };
            (text(record.name), text(record.namewhat) == "method")
        }
    }
}
