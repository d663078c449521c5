//! Bytes between the quotes of a Lua string.

/// Appends bytes as they stand in a Lua string between double quotes: LF, CR, `"` and `\` are escaped, all others,
/// NUL too, stand for themselves.
pub fn append_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len());
    let mut rest = bytes;
    while let Some(position) =
        rest.iter().position(|byte| matches!(byte, b'\n' | b'\r' | b'"' | b'\\'))
    {
        let (plain, special) = rest.split_at(position);
        out.extend_from_slice(plain);
        let letter = match special[0] {
            b'\n' => b'n',
            b'\r' => b'r',
            byte => byte,
        };
        out.extend_from_slice(&[b'\\', letter]);
        rest = &special[1..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_four_bytes_are_escaped() {
        let mut out = b"x".to_vec();
        append_escaped(&mut out, b"\na\r\0\"\\\xff\\");
        assert_eq!(out, b"x\\na\\r\0\\\"\\\\\xff\\\\");
    }

    #[test]
    fn plain_bytes_stay() {
        let mut out = Vec::new();
        append_escaped(&mut out, b"plain \t");
        append_escaped(&mut out, b"");
        assert_eq!(out, b"plain \t");
    }
}
