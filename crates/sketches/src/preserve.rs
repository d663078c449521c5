//! Statements of Lua that make a structure again.

use std::fmt::Arguments;
use std::io::Write;

use heka_luatext::append_escaped;

/// Appends `if KEY == nil then KEY = `, the expression, and the end of that statement.
pub(crate) fn append_new(out: &mut Vec<u8>, key: &[u8], expression: Arguments<'_>) {
    out.extend_from_slice(b"if ");
    out.extend_from_slice(key);
    out.extend_from_slice(b" == nil then ");
    out.extend_from_slice(key);
    out.extend_from_slice(b" = ");
    append(out, expression);
    out.extend_from_slice(b" end\n");
}

/// Appends `KEY:fromstring(`, with a count if there is one, and the bytes.
pub(crate) fn append_state(out: &mut Vec<u8>, key: &[u8], count: Option<u64>, bytes: &[u8]) {
    out.extend_from_slice(key);
    out.extend_from_slice(b":fromstring(");
    if let Some(count) = count {
        append(out, format_args!("{count}, "));
    }
    out.push(b'"');
    append_escaped(out, bytes);
    out.extend_from_slice(b"\")\n");
}

pub(crate) fn append(out: &mut Vec<u8>, text: Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes all bytes");
}
