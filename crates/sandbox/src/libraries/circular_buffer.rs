//! The library `circular_buffer`: rings of time series as values of Lua.
//!
//! Here: arguments, results and errors. Not here: the ring (`heka_circular_buffer`). Invariants: `add` and `set` allocate
//! nothing; what a ring holds is charged to the sandbox, its deltas too, which Heka kept in the global table of the
//! library. Methods that Heka's own version did not have are those of its successor. Source of texts: sandbox.md of Heka's
//! behaviour, section 8.1.

use std::borrow::Cow;
use std::ffi::c_int;

use heka_circular_buffer::{
    Aggregation, AnnotationKind, CircularBuffer, DEFAULT_UNIT, Error, Format, Statistic, VERSION,
};
use mlua_sys::lua_CFunction;

use crate::error::Raise;
use crate::function::entry;
use crate::lua::{Lua, Type};
use crate::object::{Object, Written};

/// Nanoseconds of a second.
const SECOND_NS: f64 = 1e9;
/// Cells that are as much work to clear as an instruction.
const CELLS_A_STEP: usize = 16;
/// Bytes of a text that are as much work to read as an instruction.
const BYTES_A_STEP: usize = 8;
/// Bytes of the memory of a rank-sum test for each row.
const RANKED_BYTES: usize = 16;

/// The error of a call with too few or too many arguments, as Heka has it: of no argument.
const ARGUMENTS: Raise = Raise::Argument(0, Cow::Borrowed("incorrect number of arguments"));

impl Object for CircularBuffer {
    const NAME: &'static str = "mozsvc.circular_buffer";
    const PRESERVED: bool = true;

    fn methods() -> Vec<(&'static str, lua_CFunction)> {
        vec![
            ("add", entry(add)),
            ("set", entry(set)),
            ("get", entry(get)),
            ("get_delta", entry(get_delta)),
            ("get_range", entry(get_range)),
            ("get_range_delta", entry(get_range_delta)),
            ("get_configuration", entry(get_configuration)),
            ("set_header", entry(set_header)),
            ("get_header", entry(get_header)),
            ("compute", entry(compute)),
            ("mannwhitneyu", entry(mann_whitney_u)),
            ("current_time", entry(current_time)),
            ("format", entry(format)),
            ("annotate", entry(annotate)),
            ("reset_delta", entry(reset_delta)),
            ("fromstring", entry(from_string)),
        ]
    }

    fn memory(&self) -> usize {
        self.memory()
    }

    fn output(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> Written {
        match self.write_text(out, bytes_max) {
            Ok(()) => Written::Done,
            Err(_) => Written::TooLong,
        }
    }

    fn preserve(&mut self, key: &[u8], out: &mut Vec<u8>) {
        Self::preserve(self, key, out);
    }
}

pub(super) fn open(lua: Lua<'_>) -> Result<(), Raise> {
    lua.push_table(0, 2);
    lua.set_functions(&[("new", entry(new)), ("version", entry(version))]);
    Ok(())
}

fn version(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_bytes(VERSION.as_bytes());
    Ok(1)
}

/// `new(rows, columns, seconds_per_row [, enable_delta])`.
fn new(lua: Lua<'_>) -> Result<c_int, Raise> {
    if !(3..=4).contains(&lua.top()) {
        return Err(ARGUMENTS);
    }
    let rows = lua.check_integer(1)?;
    if rows < 2 {
        return Err(wrong(1, &Error::Rows));
    }
    let columns = lua.check_integer(2)?;
    if columns < 1 {
        return Err(wrong(2, &Error::Columns));
    }
    let seconds_per_row = lua.check_integer(3)?;
    if !(1..=i64::from(i32::MAX)).contains(&seconds_per_row) {
        return Err(wrong(3, &Error::SecondsPerRow));
    }
    let deltas = lua.boolean(4);
    let count = |number: i64| usize::try_from(number).ok();
    let bytes = count(rows).zip(count(columns));
    let bytes = bytes.and_then(|(rows, columns)| CircularBuffer::memory_for(rows, columns, deltas));
    let bytes = bytes.ok_or(Raise::Memory)?;
    lua.ask_memory(bytes)?;
    lua.charge(bytes / (8 * CELLS_A_STEP))?;
    let buffer = CircularBuffer::new(rows, columns, seconds_per_row, deltas);
    lua.push_object(buffer.map_err(|error| wrong(3, &error))?)?;
    Ok(1)
}

/// The error of an argument.
#[cold]
fn wrong(index: c_int, error: &Error) -> Raise {
    match error {
        Error::Memory => Raise::Memory,
        _ => Raise::argument(index, error.to_string()),
    }
}

/// The buffer that a method was called on, with so many arguments after it at least.
#[inline]
fn check<'a>(lua: Lua<'a>, arguments: c_int) -> Result<&'a mut CircularBuffer, Raise> {
    let buffer = lua.check_object::<CircularBuffer>(1)?;
    if lua.top() <= arguments { Err(ARGUMENTS) } else { Ok(buffer) }
}

/// Argument `index` as the number of a column; one that is out of every range becomes 0.
#[inline]
fn check_column(lua: Lua<'_>, index: c_int) -> Result<usize, Raise> {
    Ok(usize::try_from(lua.check_integer(index)?).unwrap_or(0))
}

/// `add(ns, column, value)`: the new value, or nil.
fn add(lua: Lua<'_>) -> Result<c_int, Raise> {
    change(lua, CircularBuffer::add)
}

/// `set(ns, column, value)`: the new value, or nil.
fn set(lua: Lua<'_>) -> Result<c_int, Raise> {
    change(lua, CircularBuffer::set)
}

#[inline]
fn change(
    lua: Lua<'_>,
    change: impl Fn(&mut CircularBuffer, f64, usize, f64) -> Result<Option<f64>, Error>,
) -> Result<c_int, Raise> {
    let buffer = check(lua, 3)?;
    let ns = lua.check_number(2)?;
    let column = check_column(lua, 3)?;
    let Some(value) = lua.number(4) else { return Err(no_value(lua, buffer, column)) };
    let before = buffer.current_time();
    let changed = change(buffer, ns, column, value);
    if buffer.current_time() != before {
        advanced(lua, before)?;
    }
    match changed {
        Ok(Some(value)) => lua.push_number(value),
        Ok(None) => lua.push_nil(),
        Err(error) => return Err(wrong(3, &error)),
    }
    Ok(1)
}

/// What is wrong with a call whose value is no number: a wrong column comes first.
#[cold]
fn no_value(lua: Lua<'_>, buffer: &CircularBuffer, column: usize) -> Raise {
    match buffer.get_header(column) {
        Ok(_) => lua.wrong_type(4, "number"),
        Err(error) => wrong(3, &error),
    }
}

/// The window moved on from where it stood: charges what was cleared.
#[cold]
fn advanced(lua: Lua<'_>, before: f64) -> Result<(), Raise> {
    let buffer = lua.check_object::<CircularBuffer>(1)?;
    let (rows, columns, seconds) = buffer.configuration();
    let steps = (buffer.current_time() - before) / (seconds as f64 * SECOND_NS);
    let cleared = (steps as usize).min(rows);
    lua.charge(cleared.saturating_mul(columns) / CELLS_A_STEP + cleared / 4)?;
    // Annotations of rows that left the window are gone.
    lua.recharge::<CircularBuffer>(1)
}

/// `get(ns, column)`: the value, or nil.
fn get(lua: Lua<'_>) -> Result<c_int, Raise> {
    look(lua, CircularBuffer::get)
}

/// `get_delta(ns, column)`: the change, or nil.
fn get_delta(lua: Lua<'_>) -> Result<c_int, Raise> {
    look(lua, CircularBuffer::get_delta)
}

fn look(
    lua: Lua<'_>,
    look: impl Fn(&CircularBuffer, f64, usize) -> Result<Option<f64>, Error>,
) -> Result<c_int, Raise> {
    let buffer = check(lua, 2)?;
    let ns = lua.check_number(2)?;
    let column = check_column(lua, 3)?;
    match look(buffer, ns, column).map_err(|error| wrong(3, &error))? {
        Some(value) => lua.push_number(value),
        None => lua.push_nil(),
    }
    Ok(1)
}

/// Optional bounds of a range: arguments `first` and the next one.
fn check_bounds(lua: Lua<'_>, first: c_int) -> Result<(Option<f64>, Option<f64>), Raise> {
    let bound = |index| match lua.is_none_or_nil(index) {
        true => Ok(None),
        false => lua.check_number(index).map(Some),
    };
    Ok((bound(first)?, bound(first + 1)?))
}

/// Which argument an error of a range is about: the column, or the end behind it.
fn wrong_range(column: c_int, error: &Error) -> Raise {
    let index = if matches!(error, Error::ColumnOutOfRange) { column } else { column + 2 };
    wrong(index, error)
}

/// `get_range(column [, start [, end]])`: an array of values, or nil.
fn get_range(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 1)?;
    let column = check_column(lua, 2)?;
    let (start, end) = check_bounds(lua, 3)?;
    let range = buffer.get_range(column, start, end);
    push_range(lua, range.map_err(|error| wrong_range(2, &error))?)
}

/// `get_range_delta(column [, start [, end]])`: an array of changes, or nil.
fn get_range_delta(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 1)?;
    let column = check_column(lua, 2)?;
    let (start, end) = check_bounds(lua, 3)?;
    let range = buffer.get_range_delta(column, start, end);
    push_range(lua, range.map_err(|error| wrong_range(2, &error))?)
}

fn push_range(lua: Lua<'_>, range: Option<impl Iterator<Item = f64>>) -> Result<c_int, Raise> {
    let Some(range) = range else {
        lua.push_nil();
        return Ok(1);
    };
    lua.push_table(0, 0);
    for (index, value) in (1..).zip(range) {
        lua.charge(1)?;
        lua.push_number(value);
        lua.raw_set_index(-2, index);
        lua.check_memory()?;
    }
    Ok(1)
}

/// `get_configuration()`: rows, columns, seconds of a row.
fn get_configuration(lua: Lua<'_>) -> Result<c_int, Raise> {
    let (rows, columns, seconds) = check(lua, 0)?.configuration();
    lua.push_number(rows as f64);
    lua.push_number(columns as f64);
    lua.push_number(seconds as f64);
    Ok(3)
}

/// `set_header(column, name [, unit [, aggregation]])`: the column.
fn set_header(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 2)?;
    let column = check_column(lua, 2)?;
    buffer.get_header(column).map_err(|error| wrong(2, &error))?;
    let name = lua.check_text(3)?;
    let given = |index| !lua.is_none_or_nil(index);
    let unit = if given(4) { lua.check_text(4)? } else { DEFAULT_UNIT.as_bytes() };
    let aggregation = match given(5) {
        true => Aggregation::parse(lua.check_text(5)?).map_err(|error| wrong(5, &error))?,
        false => Aggregation::default(),
    };
    let set = buffer.set_header(column, name, unit, aggregation);
    set.map_err(|error| wrong(2, &error))?;
    lua.push_number(column as f64);
    Ok(1)
}

/// `get_header(column)`: name, unit, aggregation.
fn get_header(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 1)?;
    let column = check_column(lua, 2)?;
    let header = buffer.get_header(column).map_err(|error| wrong(2, &error))?;
    lua.push_bytes(header.name().as_bytes());
    lua.push_bytes(header.unit().as_bytes());
    lua.push_bytes(header.aggregation().as_str().as_bytes());
    Ok(3)
}

/// `compute(function, column [, start [, end]])`: the value and the number of rows that have one; nil and 0 outside.
fn compute(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 2)?;
    let statistic = Statistic::parse(lua.check_text(2)?).map_err(|error| wrong(2, &error))?;
    let column = check_column(lua, 3)?;
    buffer.get_header(column).map_err(|error| wrong(3, &error))?;
    let (start, end) = check_bounds(lua, 4)?;
    lua.charge(rows_between(buffer, start, end) / 2)?;
    let computed = buffer.compute(statistic, column, start, end);
    let rows = match computed.map_err(|error| wrong_range(3, &error))? {
        Some(computed) => {
            lua.push_number(computed.value);
            computed.rows
        }
        None => {
            lua.push_nil();
            0
        }
    };
    lua.push_number(rows as f64);
    Ok(2)
}

/// Rows between two times at most, by default those of the window.
fn rows_between(buffer: &CircularBuffer, start: Option<f64>, end: Option<f64>) -> usize {
    let (rows, _, seconds) = buffer.configuration();
    let start = start.unwrap_or(buffer.start_seconds() as f64 * SECOND_NS);
    let end = end.unwrap_or(buffer.current_time());
    // Conversions from floating point saturate.
    (((end - start) / (seconds as f64 * SECOND_NS)) as usize).saturating_add(2).min(rows)
}

/// `mannwhitneyu(column, start_1, end_1, start_2, end_2 [, use_continuity])`: U and p, or nothing.
fn mann_whitney_u(lua: Lua<'_>) -> Result<c_int, Raise> {
    const LAST: c_int = 7;
    let buffer = check(lua, 5)?;
    if lua.top() > LAST {
        return Err(Raise::argument(0, "too many arguments"));
    }
    let column = check_column(lua, 2)?;
    buffer.get_header(column).map_err(|error| wrong(2, &error))?;
    let first = (lua.check_number(3)?, lua.check_number(4)?);
    if first.1 < first.0 {
        return Err(wrong(4, &Error::End1BeforeStart1));
    }
    let second = (lua.check_number(5)?, lua.check_number(6)?);
    if second.1 < second.0 {
        return Err(wrong(6, &Error::End2BeforeStart2));
    }
    let use_continuity = match lua.type_of(LAST) {
        Type::None => true,
        Type::Boolean => lua.boolean(LAST),
        _ => return Err(Raise::argument(LAST, "use_continuity must be a boolean")),
    };
    let rows = |(start, end)| rows_between(buffer, Some(start), Some(end));
    let rows = rows(first) + rows(second);
    lua.ask_memory(rows * RANKED_BYTES)?;
    // Sorting compares each row with as many others as the count has bits.
    lua.charge(rows / 4 * (rows.max(1).ilog2() as usize + 1))?;
    let ranked = buffer.mann_whitney_u(column, first, second, use_continuity);
    let Some(ranked) = ranked.map_err(|error| wrong_samples(&error))? else { return Ok(0) };
    lua.push_number(ranked.u1);
    lua.push_number(ranked.p);
    Ok(2)
}

/// Which argument an error of two samples is about.
fn wrong_samples(error: &Error) -> Raise {
    match error {
        Error::ColumnOutOfRange => wrong(2, error),
        Error::End2BeforeStart2 => wrong(6, error),
        _ => wrong(4, error),
    }
}

/// `current_time()`: nanoseconds at which the newest row starts.
fn current_time(lua: Lua<'_>) -> Result<c_int, Raise> {
    lua.push_number(check(lua, 0)?.current_time());
    Ok(1)
}

/// `format(form)`: the buffer itself.
fn format(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 1)?;
    if lua.top() != 2 {
        return Err(ARGUMENTS);
    }
    buffer.set_format(Format::parse(lua.check_text(2)?).map_err(|error| wrong(2, &error))?);
    lua.push_value(1);
    Ok(1)
}

/// `annotate(ns, column, kind, text [, delta])`.
fn annotate(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 4)?;
    let ns = lua.check_number(2)?;
    let column = check_column(lua, 3)?;
    buffer.get_header(column).map_err(|error| wrong(3, &error))?;
    let kind = AnnotationKind::parse(lua.check_text(4)?).map_err(|error| wrong(4, &error))?;
    let text = lua.check_text(5)?;
    let delta = match lua.type_of(6) {
        Type::None | Type::Nil => true,
        Type::Boolean => lua.boolean(6),
        _ => return Err(Raise::argument(6, "delta must be boolean")),
    };
    lua.charge(text.len().min(heka_circular_buffer::ANNOTATION_BYTES_MAX) / BYTES_A_STEP)?;
    let annotated = buffer.annotate(ns, column, kind, text, delta);
    annotated.map_err(|error| Raise::text(error.to_string()))?;
    lua.recharge::<CircularBuffer>(1)?;
    Ok(0)
}

/// `reset_delta()`.
fn reset_delta(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 0)?;
    lua.charge(buffer.configuration().0 / CELLS_A_STEP)?;
    buffer.reset_delta();
    Ok(0)
}

/// `fromstring(text)`: takes over preserved state.
fn from_string(lua: Lua<'_>) -> Result<c_int, Raise> {
    let buffer = check(lua, 1)?;
    let text = lua.check_text(2)?;
    lua.charge(text.len() / BYTES_A_STEP)?;
    buffer.restore(text).map_err(|error| Raise::text(error.to_string()))?;
    lua.recharge::<CircularBuffer>(1)?;
    Ok(0)
}
