//! Values of ours in Lua's userdata.
//!
//! Here: how they are made, found and dropped. Not here: what they are (`libraries`). Invariants: all userdata that is as
//! large as a head is ours, since the C libraries that are loaded make none, or smaller ones; a value is dropped once,
//! whoever calls its finalizer; scripts cannot reach the finalizer's table.

use std::any::TypeId;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mlua_sys::{lua_CFunction, lua_State};

use crate::error::Raise;
use crate::lua::{Lua, REGISTRY, Type};

/// A value that scripts have.
pub(crate) trait Object: Sized + 'static {
    /// Its type's name in errors, and of its metatable.
    const NAME: &'static str;

    /// True if it can be preserved.
    const PRESERVED: bool = false;

    /// What scripts may call on it.
    fn methods() -> Vec<(&'static str, lua_CFunction)>;

    /// Operators, `__add` and so on.
    fn operators() -> Vec<(&'static str, lua_CFunction)> {
        Vec::new()
    }

    /// Bytes that it holds outside of Lua's memory.
    fn memory(&self) -> usize {
        0
    }

    /// Appends its text form, if it has one; `out` may then have so many bytes. Too long a form leaves `out` and the object
    /// as they were.
    fn output(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> Written {
        let _unused = (out, bytes_max);
        Written::NoForm
    }

    /// Appends statements that make `key` equal to it, where it can be preserved.
    fn preserve(&mut self, key: &[u8], out: &mut Vec<u8>) {
        let _unused = (key, out);
    }
}

/// What became of the text form of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It was appended.
    Done,
    /// The object has none.
    NoForm,
    /// It is longer than allowed.
    TooLong,
}

type OutputFn = unsafe fn(*mut (), &mut Vec<u8>, usize) -> Written;
type PreserveFn = unsafe fn(*mut (), &[u8], &mut Vec<u8>);

/// What stands before the value.
#[repr(C)]
struct Head {
    type_id: TypeId,
    output: OutputFn,
    preserve: Option<PreserveFn>,
    /// Bytes that were charged for it.
    charged: usize,
}

#[repr(C)]
struct Cell<T> {
    head: Head,
    value: T,
}

/// Stands for the type of a value that was dropped.
struct Dropped;

/// # Safety
/// `value` points to a `T`.
unsafe fn output<T: Object>(value: *mut (), out: &mut Vec<u8>, bytes_max: usize) -> Written {
    // SAFETY: by contract.
    unsafe { (*value.cast::<T>()).output(out, bytes_max) }
}

/// # Safety
/// `value` points to a `T`.
unsafe fn preserve<T: Object>(value: *mut (), key: &[u8], out: &mut Vec<u8>) {
    // SAFETY: by contract.
    unsafe { (*value.cast::<T>()).preserve(key, out) }
}

/// Where the value lies in userdata.
const fn value_offset<T>() -> usize {
    std::mem::offset_of!(Cell<T>, value)
}

impl<'a> Lua<'a> {
    /// Pushes a value, after its memory was asked for.
    ///
    /// # Errors
    /// [`Raise::Memory`].
    pub(crate) fn push_object<T: Object>(&self, value: T) -> Result<(), Raise> {
        const { assert!(align_of::<Cell<T>>() <= 8, "userdata is aligned to eight bytes") };
        let charged = value.memory();
        self.ask_memory(charged + size_of::<Cell<T>>())?;
        let place = self.push_userdata(size_of::<Cell<T>>()).cast::<Cell<T>>();
        let head = Head {
            type_id: TypeId::of::<T>(),
            output: output::<T>,
            preserve: T::PRESERVED.then_some(preserve::<T>),
            charged,
        };
        // SAFETY: the place is new, large enough and aligned.
        unsafe { place.write(Cell { head, value }) };
        self.host().memory.take(charged);
        self.push_metatable::<T>();
        self.set_metatable(-2);
        Ok(())
    }

    /// The value at an index, if it is one of this type. It must not be asked for again while this reference is used
    /// to change it.
    #[inline]
    pub(crate) fn object<T: Object>(&self, index: c_int) -> Option<&'a mut T> {
        let head = self.head(index)?;
        // SAFETY: all userdata of that size is ours and begins with a head.
        if unsafe { (*head).type_id } != TypeId::of::<T>() {
            return None;
        }
        // SAFETY: the head says what follows it; it lives as long as it is on the stack.
        Some(unsafe { &mut (*head.cast::<Cell<T>>()).value })
    }

    /// Argument `index` as an object.
    ///
    /// # Errors
    /// As `luaL_checkudata`.
    #[inline]
    pub(crate) fn check_object<T: Object>(&self, index: c_int) -> Result<&'a mut T, Raise> {
        self.object(index).ok_or_else(|| self.wrong_type(index, T::NAME))
    }

    /// The value's memory has changed: charges the difference.
    ///
    /// # Errors
    /// [`Raise::Memory`].
    pub(crate) fn recharge<T: Object>(&self, index: c_int) -> Result<(), Raise> {
        let (Some(head), Some(value)) = (self.head(index), self.object::<T>(index)) else {
            return Ok(());
        };
        let now = value.memory();
        // SAFETY: as in `object`.
        let before = unsafe { std::mem::replace(&mut (*head).charged, now) };
        self.host().memory.give(before);
        self.host().memory.take(now);
        self.check_memory()
    }

    /// Appends the text form of an object; `out` may then have so many bytes. What is no object has none.
    pub(crate) fn object_output(
        &self,
        index: c_int,
        out: &mut Vec<u8>,
        bytes_max: usize,
    ) -> Written {
        let Some(head) = self.head(index) else { return Written::NoForm };
        // SAFETY: as in `object`; a dropped value's functions do nothing.
        unsafe { ((*head).output)(value_place(head), out, bytes_max) }
    }

    /// True for an object that can be preserved.
    pub(crate) fn is_preserved(&self, index: c_int) -> bool {
        // SAFETY: as above.
        self.head(index).is_some_and(|head| unsafe { (*head).preserve }.is_some())
    }

    /// Appends statements that make the object, if it is one that can be preserved.
    pub(crate) fn object_preserve(&self, index: c_int, key: &[u8], out: &mut Vec<u8>) {
        let Some(head) = self.head(index) else { return };
        // SAFETY: as above.
        unsafe {
            if let Some(preserve) = (*head).preserve {
                preserve(value_place(head), key, out);
            }
        }
    }

    #[inline]
    fn head(&self, index: c_int) -> Option<*mut Head> {
        let place = self.userdata(index);
        // Light userdata has no length.
        if place.is_null() || self.len(index) < size_of::<Head>() {
            return None;
        }
        Some(place.cast())
    }

    /// Pushes the metatable of a type, made at its first use.
    pub(crate) fn push_metatable<T: Object>(&self) {
        self.raw_get_text(REGISTRY, T::NAME);
        if self.type_of(-1) == Type::Table {
            return;
        }
        self.pop(1);
        self.push_table(0, 8);
        self.set_operators(&T::operators());
        self.push_table(0, 16);
        self.set_functions(&T::methods());
        self.raw_set_text(-2, "__index");
        // What scripts get as its metatable: all but the finalizer.
        self.push_table(0, 8);
        self.set_operators(&T::operators());
        self.raw_get_text(-2, "__index");
        self.raw_set_text(-2, "__index");
        self.raw_set_text(-2, "__metatable");
        self.push_function(finalize::<T>, 0);
        self.raw_set_text(-2, "__gc");
        self.push_value(-1);
        self.raw_set_text(REGISTRY, T::NAME);
    }

    /// Sets operators in the table on top. One that several types share is one value of Lua's, since Lua compares values of
    /// two types only if they have the same `__eq`.
    fn set_operators(&self, operators: &[(&str, lua_CFunction)]) {
        for &(name, operator) in operators {
            let key = operator as *const ();
            self.push_address(key);
            self.raw_get(REGISTRY);
            if self.type_of(-1) == Type::Nil {
                self.pop(1);
                self.push_address(key);
                self.push_function(operator, 0);
                self.raw_set(REGISTRY);
                self.push_address(key);
                self.raw_get(REGISTRY);
            }
            self.raw_set_text(-2, name);
        }
    }
}

/// Where the value of a head lies: all values are aligned to eight bytes.
///
/// # Safety
/// `head` is one of ours.
unsafe fn value_place(head: *mut Head) -> *mut () {
    const { assert!(value_offset::<u64>() == size_of::<Head>()) };
    // SAFETY: the value stands right behind the head.
    unsafe { head.add(1).cast() }
}

/// # Safety
/// None is needed: it touches nothing.
unsafe fn no_output(_: *mut (), _: &mut Vec<u8>, _: usize) -> Written {
    Written::NoForm
}

/// Drops a value. It raises nothing, since Lua calls it whenever it collects garbage.
///
/// # Safety
/// As Lua calls it, with a state of a sandbox.
unsafe extern "C-unwind" fn finalize<T: Object>(state: *mut lua_State) -> c_int {
    // SAFETY: nothing that follows makes values of Lua's.
    let lua = unsafe { Lua::new(state) };
    let dropped = catch_unwind(AssertUnwindSafe(|| drop_value::<T>(lua)));
    if dropped.is_err() {
        lua.host().panicked = Some(format!("dropping a {}", T::NAME));
    }
    0
}

fn drop_value<T: Object>(lua: Lua<'_>) {
    let Some(value) = lua.object::<T>(1) else { return };
    let value: *mut T = value;
    if let Some(head) = lua.head(1) {
        // SAFETY: the value is there; from here on nobody finds it any more.
        unsafe {
            (*head).type_id = TypeId::of::<Dropped>();
            (*head).output = no_output;
            (*head).preserve = None;
            lua.host().memory.give((*head).charged);
            std::ptr::drop_in_place(value);
        }
    }
}
