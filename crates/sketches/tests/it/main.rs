//! The sketches against counts and words of Heka's libraries, and at their limits.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod property;
mod sax;
mod sets;

/// What `preserve` wrote.
fn preserved(preserve: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    preserve(&mut out);
    out
}

/// The bytes that Lua reads between the quotes behind `start`.
fn unquoted(text: &[u8], start: &[u8]) -> Vec<u8> {
    let at = text.windows(start.len()).position(|window| window == start).unwrap() + start.len();
    let mut bytes = text[at..].iter();
    assert_eq!(bytes.next(), Some(&b'"'));
    let mut read = Vec::new();
    loop {
        match *bytes.next().unwrap() {
            b'"' => return read,
            b'\\' => read.push(match *bytes.next().unwrap() {
                b'n' => b'\n',
                b'r' => b'\r',
                byte => byte,
            }),
            byte => {
                assert!(byte != b'\n' && byte != b'\r');
                read.push(byte);
            }
        }
    }
}
