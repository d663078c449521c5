//! The library `math`: Lua's own, with random numbers of the sandbox's.
//!
//! Lua's `random` has one state for the process, so that one script could foresee or set another one's numbers.

use std::ffi::c_int;

use crate::environment::open_native;
use crate::error::Raise;
use crate::function::entry;
use crate::lua::{GLOBALS, Lua};

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    open_native(lua, mlua_sys::luaopen_math)?;
    lua.raw_get_text(GLOBALS, "math");
    lua.set_functions(&[("random", entry(random)), ("randomseed", entry(seed))]);
    Ok(())
}

/// Texts and results are those of Lua's own.
fn random(lua: Lua<'_>) -> Result<c_int, Raise> {
    let random = lua.host().random.f64();
    let (low, high) = match lua.top() {
        0 => {
            lua.push_number(random);
            return Ok(1);
        }
        1 => {
            let high = lua.check_int(1)?;
            if high < 1 {
                return Err(Raise::argument(1, "interval is empty"));
            }
            (1, high)
        }
        2 => {
            let (low, high) = (lua.check_int(1)?, lua.check_int(2)?);
            if low > high {
                return Err(Raise::argument(2, "interval is empty"));
            }
            (low, high)
        }
        _ => return Err(Raise::text("wrong number of arguments")),
    };
    let (low, high) = (f64::from(low), f64::from(high));
    lua.push_number((random * (high - low + 1.0)).floor() + low);
    Ok(1)
}

fn seed(lua: Lua<'_>) -> Result<c_int, Raise> {
    let seed = lua.check_int(1)?;
    lua.host().random = fastrand::Rng::with_seed(seed as u64);
    Ok(0)
}
