//! What a syslog message is made of, and reading it, in both of its formats.

use heka_datetime::{Location, NS_PER_SECOND, Rfc3164Cache, Rfc3339Cache};
use memchr::{memchr, memchr2};

use crate::number::leading_digits;

/// Largest priority: facility 23, severity 7.
const PRIORITY_MAX: u16 = 191;
/// Longest process id in brackets that is looked for, in bytes; RFC 5424's limit.
const PROCESS_BYTES_MAX: usize = 128;
/// What RFC 5424 puts before UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// What the classic daemon writes, without a tag, for messages that it leaves out.
const REPEATED: &[u8] = b"last message repeated ";

/// Why the bytes are no syslog message, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: usize,
    pub(super) expected: &'static str,
}

/// The parts of a message; what is missing is empty or `None`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Parts<'a> {
    pub(super) priority: Option<u16>,
    pub(super) stamp: Option<i64>,
    pub(super) hostname: &'a [u8],
    pub(super) program: &'a [u8],
    pub(super) pid: Option<i32>,
    /// A process id that is no number.
    pub(super) process: &'a [u8],
    pub(super) message_id: &'a [u8],
    pub(super) message: &'a [u8],
}

/// A parameter of structured data: offsets into the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) id: (usize, usize),
    /// Empty for an element without parameters.
    pub(super) name: (usize, usize),
    pub(super) value: (usize, usize),
    /// The value has backslashes to be taken out.
    pub(super) escaped: bool,
}

/// Which formats are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accept {
    Both,
    Classic,
    Structured,
}

/// Reads messages; remembers stamps, which repeat.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) accept: Accept,
    pub(super) location: Location,
    pub(super) parameters: Vec<Parameter>,
    classic: Rfc3164Cache,
    iso: Rfc3339Cache,
}

impl Reader {
    pub(super) fn new(accept: Accept, location: Location) -> Self {
        let (classic, iso) = (Rfc3164Cache::default(), Rfc3339Cache::default());
        Self { accept, location, parameters: Vec::new(), classic, iso }
    }

    /// Reads a whole message; structured data goes to `parameters`.
    pub(super) fn read<'a>(&mut self, data: &'a [u8], now_ns: i64) -> Result<Parts<'a>, Fault> {
        self.parameters.clear();
        let data = without_end(data);
        let (priority, at) = match data.first() {
            Some(b'<') => priority(data)?,
            _ => (None, 0),
        };
        let structured = priority.and(version_bytes(&data[at..]));
        let mut parts = match (structured, self.accept) {
            (Some(version), Accept::Both | Accept::Structured) => {
                self.structured(data, at + version)?
            }
            (None, Accept::Structured) => {
                return Err(Fault { offset: at, expected: "priority and version of RFC 5424" });
            }
            _ => self.classic(data, at, priority.is_some(), now_ns)?,
        };
        parts.priority = priority;
        Ok(parts)
    }

    /// RFC 3164, and what is written to files in its manner.
    fn classic<'a>(
        &mut self,
        data: &'a [u8],
        start: usize,
        has_priority: bool,
        now_ns: i64,
    ) -> Result<Parts<'a>, Fault> {
        let mut parts = Parts::default();
        let mut at = start + usize::from(data.get(start) == Some(&b' ') && has_priority);
        match self.classic_stamp(&data[at..], now_ns) {
            Some((ns, taken)) => {
                parts.stamp = Some(ns);
                at += taken;
                if data.get(at).is_some_and(|&byte| byte != b' ') {
                    return Err(Fault { offset: at, expected: "space after time stamp" });
                }
                at = data.len().min(at + 1);
                let host = hostname_bytes(&data[at..]);
                if host > 0 {
                    parts.hostname = not_nil(&data[at..at + host]);
                    at += host + 1;
                }
            }
            // The standard takes all of a message without a stamp as its content. So its first word is a program
            // only where it is marked as one.
            None if has_priority => {
                tagged(&data[at..], true, &mut parts);
                return Ok(parts);
            }
            None => return Err(Fault { offset: at, expected: "priority or time stamp" }),
        }
        tagged(data.get(at..).unwrap_or(&[]), false, &mut parts);
        Ok(parts)
    }

    fn classic_stamp(&mut self, rest: &[u8], now_ns: i64) -> Option<(i64, usize)> {
        if rest.first()?.is_ascii_digit() {
            return self.iso.parse(rest);
        }
        let (ns, taken) = self.classic.parse(rest, &self.location, now_ns)?;
        let Some(fraction) = rest[taken..].strip_prefix(b".") else { return Some((ns, taken)) };
        let count = leading_digits(fraction);
        if count == 0 {
            return Some((ns, taken));
        }
        let kept = count.min(9);
        let value = fraction[..kept].iter().fold(0, |sum, &byte| sum * 10 + i64::from(byte - b'0'));
        let below = value * NS_PER_SECOND / 10_i64.pow(kept as u32);
        Some((ns.checked_add(below)?, taken + 1 + count))
    }

    /// RFC 5424, from behind its version on.
    fn structured<'a>(&mut self, data: &'a [u8], start: usize) -> Result<Parts<'a>, Fault> {
        let mut parts = Parts::default();
        let mut at = start;
        let stamp = word(data, &mut at, "time stamp")?;
        if stamp != b"-" {
            let (ns, taken) =
                self.iso.parse(stamp).ok_or(Fault { offset: start, expected: "time stamp" })?;
            if taken != stamp.len() {
                return Err(Fault { offset: start + taken, expected: "space after time stamp" });
            }
            parts.stamp = Some(ns);
        }
        parts.hostname = not_nil(word(data, &mut at, "hostname")?);
        parts.program = not_nil(word(data, &mut at, "application name")?);
        process(not_nil(word(data, &mut at, "process id")?), &mut parts);
        parts.message_id = not_nil(word(data, &mut at, "message id")?);
        at = self.structured_data(data, at)?;
        parts.message = match data.get(at..) {
            None | Some([]) => b"",
            Some([b' ', message @ ..]) => without_mark(message),
            Some(_) => {
                return Err(Fault { offset: at, expected: "space after structured data" });
            }
        };
        Ok(parts)
    }

    /// Reads `-` or elements; the offset behind them.
    fn structured_data(&mut self, data: &[u8], start: usize) -> Result<usize, Fault> {
        let mut at = start;
        match data.get(at) {
            Some(b'-') => return Ok(at + 1),
            Some(b'[') => {}
            _ => return Err(Fault { offset: at, expected: "structured data" }),
        }
        while data.get(at) == Some(&b'[') {
            at = self.element(data, at + 1)?;
        }
        Ok(at)
    }

    /// Reads an element from behind its `[`; the offset behind its `]`.
    fn element(&mut self, data: &[u8], start: usize) -> Result<usize, Fault> {
        let id_bytes = name_bytes(&data[start..]);
        if id_bytes == 0 {
            return Err(Fault { offset: start, expected: "name of structured data" });
        }
        let id = (start, start + id_bytes);
        let mut at = id.1;
        let none_before = self.parameters.len();
        loop {
            match data.get(at) {
                Some(b' ') => at += 1,
                Some(b']') => break,
                _ => at = self.parameter(data, id, at)?,
            }
        }
        if self.parameters.len() == none_before {
            let (name, value) = ((at, at), (at, at));
            self.parameters.push(Parameter { id, name, value, escaped: false });
        }
        Ok(at + 1)
    }

    /// Reads `name="value"`; the offset behind it.
    fn parameter(&mut self, data: &[u8], id: (usize, usize), start: usize) -> Result<usize, Fault> {
        let name_bytes = name_bytes(data.get(start..).unwrap_or(&[]));
        let name = (start, start + name_bytes);
        if name_bytes == 0 {
            return Err(Fault { offset: start, expected: "name of a parameter" });
        }
        if data.get(name.1..name.1 + 2) != Some(b"=\"") {
            return Err(Fault { offset: name.1, expected: "=\"" });
        }
        let first = name.1 + 2;
        let mut at = first;
        let mut escaped = false;
        while let Some(found) = memchr2(b'"', b'\\', data.get(at..).unwrap_or(&[])) {
            at += found;
            if data[at] == b'"' {
                self.parameters.push(Parameter { id, name, value: (first, at), escaped });
                return Ok(at + 1);
            }
            escaped = true;
            at += 2;
        }
        Err(Fault { offset: data.len(), expected: "\" after the value of a parameter" })
    }
}

/// Appends a value of structured data without the backslashes before `"`, `\` and `]`.
pub(super) fn unescape(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    while let Some(found) = memchr(b'\\', rest) {
        let covers = matches!(rest.get(found + 1), Some(b'"' | b'\\' | b']'));
        out.extend_from_slice(&rest[..found + usize::from(!covers)]);
        rest = &rest[found + 1..];
        if let ([first, after @ ..], true) = (rest, covers) {
            out.push(*first);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
}

/// Reads `<n>`; the offset behind it.
fn priority(data: &[u8]) -> Result<(Option<u16>, usize), Fault> {
    let fault = Fault { offset: 1, expected: "priority" };
    let digits = leading_digits(&data[1..]);
    if !(1..=3).contains(&digits) || data.get(1 + digits) != Some(&b'>') {
        return Err(fault);
    }
    let number = data[1..1 + digits].iter().fold(0, |sum, &byte| sum * 10 + u16::from(byte - b'0'));
    if number > PRIORITY_MAX { Err(fault) } else { Ok((Some(number), digits + 2)) }
}

/// Length of RFC 5424's version and the space behind it, if they are there.
fn version_bytes(rest: &[u8]) -> Option<usize> {
    let digits = leading_digits(rest);
    let is_version = (1..=3).contains(&digits) && rest[0] != b'0';
    (is_version && rest.get(digits) == Some(&b' ')).then_some(digits + 1)
}

fn without_end(mut data: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r' | 0] = data {
        data = rest;
    }
    data
}

fn without_mark(message: &[u8]) -> &[u8] {
    message.strip_prefix(BYTE_ORDER_MARK).unwrap_or(message)
}

fn not_nil(word: &[u8]) -> &[u8] {
    if word == b"-" { b"" } else { word }
}

/// The bytes up to the next space, which is taken too.
fn word<'a>(data: &'a [u8], at: &mut usize, expected: &'static str) -> Result<&'a [u8], Fault> {
    let rest = data.get(*at..).unwrap_or(&[]);
    match memchr(b' ', rest) {
        Some(length) if length > 0 => {
            *at += length + 1;
            Ok(&rest[..length])
        }
        _ => Err(Fault { offset: *at, expected }),
    }
}

/// Length of a name of structured data at the start of `rest`.
fn name_bytes(rest: &[u8]) -> usize {
    let ends = |byte: &u8| matches!(byte, b' ' | b']' | b'=' | b'"');
    rest.iter().position(ends).unwrap_or(rest.len())
}

/// Length of the host name at the start of `rest`; 0 if that is a tag, as in messages of local programs.
fn hostname_bytes(rest: &[u8]) -> usize {
    match memchr(b' ', rest) {
        Some(length) if !matches!(rest[..length].last(), Some(b':' | b']')) => length,
        _ => 0,
    }
}

/// Reads `program[pid]: ` and takes the rest as the message. `marked`: a colon or a process id must be there.
fn tagged<'a>(content: &'a [u8], marked: bool, parts: &mut Parts<'a>) {
    let ends = |byte: &u8| matches!(byte, b' ' | b':' | b'[');
    let program = content.iter().position(ends).unwrap_or(content.len());
    let mut rest = &content[program..];
    let process_id = bracketed(rest);
    let is_marked = process_id.is_some() || rest.first() == Some(&b':');
    let is_tag = program > 0 && !rest.is_empty() && (is_marked || !marked);
    if !is_tag || content.starts_with(REPEATED) {
        parts.message = without_mark(content);
        return;
    }
    parts.program = &content[..program];
    if let Some((inner, after)) = process_id {
        process(inner, parts);
        rest = after;
    }
    rest = rest.strip_prefix(b":").unwrap_or(rest);
    parts.message = without_mark(rest.strip_prefix(b" ").unwrap_or(rest));
}

/// The process id in brackets at the start of `rest`, and what follows. One that is no number needs a colon.
fn bracketed(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = rest.strip_prefix(b"[")?;
    let near = &inner[..inner.len().min(PROCESS_BYTES_MAX + 1)];
    let length = memchr(b']', near).filter(|&length| length > 0)?;
    let (process, after) = (&inner[..length], &inner[length + 1..]);
    let is_number = leading_digits(process) == length;
    (is_number || after.first() == Some(&b':')).then_some((process, after))
}

/// Takes a process id as a number if it is one.
fn process<'a>(text: &'a [u8], parts: &mut Parts<'a>) {
    let number = crate::number::parse_i64(text).and_then(|number| i32::try_from(number).ok());
    match number.filter(|&number| number >= 0) {
        Some(number) => parts.pid = Some(number),
        None => parts.process = text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2014-05-07 22:12:24.
    const NOW: i64 = 1_399_500_744 * NS_PER_SECOND;

    fn read(text: &[u8]) -> Result<Parts<'_>, Fault> {
        Reader::new(Accept::Both, Location::utc()).read(text, NOW)
    }

    fn seconds(parts: &Parts<'_>) -> Option<i64> {
        parts.stamp.map(|ns| ns / NS_PER_SECOND)
    }

    #[test]
    fn the_classic_form_is_read() {
        let parts = read(b"<34>Feb 10 12:58:58 testhost widget[4322]: test message.\n").unwrap();
        assert_eq!((parts.priority, seconds(&parts)), (Some(34), Some(1_392_037_138)));
        assert_eq!((parts.hostname, parts.program), (&b"testhost"[..], &b"widget"[..]));
        assert_eq!((parts.pid, parts.message), (Some(4322), &b"test message."[..]));
    }

    #[test]
    fn files_have_no_priority() {
        let parts = read(b"Jun 14 15:16:01 combo sshd(pam_unix)[19939]: check  pass; ").unwrap();
        assert_eq!((parts.priority, parts.hostname), (None, &b"combo"[..]));
        assert_eq!((parts.program, parts.pid), (&b"sshd(pam_unix)"[..], Some(19_939)));
        assert_eq!(parts.message, b"check  pass; ");
    }

    #[test]
    fn stamps_may_be_of_rfc_3339_or_have_fractions() {
        let parts = read(b"<28>2014-02-10T12:58:59.123456-08:00 h app: m x\r\n").unwrap();
        assert_eq!(parts.stamp, Some(1_392_065_939_123_456_000));
        assert_eq!((parts.hostname, parts.program), (&b"h"[..], &b"app"[..]));
        assert_eq!(parts.message, b"m x");
        let parts = read(b"Feb 10 12:58:58.250 h app: m").unwrap();
        assert_eq!(parts.stamp, Some(1_392_037_138_250_000_000));
    }

    #[test]
    fn tags_come_in_many_shapes() {
        for (content, program, pid, process, message) in [
            ("app: m", "app", None, "", "m"),
            ("app:m", "app", None, "", "m"),
            ("app[1]: m", "app", Some(1), "", "m"),
            ("app[1] m", "app", Some(1), "", "m"),
            ("app[main]: m", "app", None, "main", "m"),
            ("app[main] m", "app", None, "", "[main] m"),
            ("app[99999999999]: m", "app", None, "99999999999", "m"),
            ("app[1: m", "app", None, "", "[1: m"),
            ("app[]: m", "app", None, "", "[]: m"),
            ("syslogd 1.4.1: restart.", "syslogd", None, "", "1.4.1: restart."),
            ("last message repeated 3 times", "", None, "", "last message repeated 3 times"),
            ("word", "", None, "", "word"),
            (":: x", "", None, "", ":: x"),
            ("app:  indented", "app", None, "", " indented"),
            ("", "", None, "", ""),
        ] {
            let mut parts = Parts::default();
            tagged(content.as_bytes(), false, &mut parts);
            let expected = (program.as_bytes(), pid, process.as_bytes(), message.as_bytes());
            let got = (parts.program, parts.pid, parts.process, parts.message);
            assert_eq!(got, expected, "{content}");
        }
    }

    #[test]
    fn a_local_program_needs_no_host_and_a_device_no_stamp() {
        let parts = read(b"<13>Feb 10 12:58:58 app[7]: m").unwrap();
        assert_eq!((parts.hostname, parts.program, parts.pid), (&b""[..], &b"app"[..], Some(7)));
        let parts = read(b"<13>app: m").unwrap();
        assert_eq!((parts.stamp, parts.program, parts.message), (None, &b"app"[..], &b"m"[..]));
        let parts = read(b"<13>Use the BFG!").unwrap();
        assert_eq!((parts.program, parts.message), (&b""[..], &b"Use the BFG!"[..]));
        let parts = read(b"<13>app[1] m").unwrap();
        assert_eq!((parts.program, parts.pid), (&b"app"[..], Some(1)));
    }

    #[test]
    fn the_examples_of_rfc_5424_are_read() {
        let text = b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8";
        let parts = read(text).unwrap();
        assert_eq!((parts.priority, parts.stamp), (Some(34), Some(1_065_910_455_003_000_000)));
        assert_eq!(parts.hostname, b"mymachine.example.com");
        assert_eq!((parts.program, parts.message_id), (&b"su"[..], &b"ID47"[..]));
        assert_eq!(parts.message, b"'su root' failed for lonvick on /dev/pts/8");

        let text = b"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.";
        let parts = read(text).unwrap();
        assert_eq!(parts.stamp, Some(1_061_727_255_000_003_000));
        assert_eq!((parts.pid, parts.process), (Some(8710), &b""[..]));
        assert_eq!(parts.message, b"%% It's time to make the do-nuts.");
    }

    #[test]
    fn structured_data_of_rfc_5424_is_read() {
        let text = br#"<165>1 2003-10-11T22:14:15.003Z m evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"][examplePriority@32473 class="high"]"#;
        let mut reader = Reader::new(Accept::Both, Location::utc());
        let parts = reader.read(text, NOW).unwrap();
        assert_eq!(parts.message, b"");
        let of = |(start, end): (usize, usize)| std::str::from_utf8(&text[start..end]).unwrap();
        let list: Vec<_> = reader
            .parameters
            .iter()
            .map(|parameter| (of(parameter.id), of(parameter.name), of(parameter.value)))
            .collect();
        let first = "exampleSDID@32473";
        assert_eq!(
            list,
            [
                (first, "iut", "3"),
                (first, "eventSource", "Application"),
                (first, "eventID", "1011"),
                ("examplePriority@32473", "class", "high"),
            ]
        );
        reader.read(br#"<1>1 - - - - - [a][b c="\"\\\]\n]"] m"#, NOW).unwrap();
        assert_eq!(reader.parameters.len(), 2);
        let mut value = Vec::new();
        unescape(br#"\"\\\]\n]"#, &mut value);
        assert_eq!(value, br#""\]\n]"#);
    }

    #[test]
    fn faults_say_where() {
        for (text, offset) in [
            (&b""[..], 0),
            (b"hello", 0),
            (b"<>x", 1),
            (b"<192>x", 1),
            (b"<1234>x", 1),
            (b"<13", 1),
            (b"Feb 10 12:58:58host", 15),
            (b"<1>1 ", 5),
            (b"<1>1 2003 h a p m - x", 5),
            (b"<1>1 2003-10-11T22:14:15Zx h a p m - x", 25),
            (b"<1>1 - h a p m", 13),
            (b"<1>1 - h a p m x", 15),
            (b"<1>1 - h a p m -x", 16),
            (b"<1>1 - h a p m []", 16),
            (b"<1>1 - h a p m [a b]", 19),
            (b"<1>1 - h a p m [a b=\"c]", 23),
            (b"<1>1 - h a p m [a b=\"c\\", 23),
            (b"<1>1 - h a p m [a", 17),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.offset, offset, "{} {fault:?}", text.escape_ascii());
        }
    }

    #[test]
    fn a_format_can_be_demanded() {
        let classic = b"<13>Feb 10 12:58:58 h app: m";
        let structured = b"<13>1 - h a p m - x";
        let mut reader = Reader::new(Accept::Structured, Location::utc());
        assert!(reader.read(classic, NOW).is_err());
        assert!(reader.read(structured, NOW).is_ok());
        let mut reader = Reader::new(Accept::Classic, Location::utc());
        assert_eq!(reader.read(structured, NOW).unwrap().message, b"1 - h a p m - x");
    }

    #[test]
    fn damaged_messages_never_panic() {
        let whole: &[u8] =
            br#"<165>1 2003-10-11T22:14:15.003Z m e 7 I [a@1 b="c\"d" e="f"][g] message"#;
        for end in 0..whole.len() {
            for byte in [b' ', b'"', b'\\', b']', b'[', 0xff] {
                let mut damaged = whole.to_vec();
                damaged[end] = byte;
                let lengths = [end, whole.len()];
                for length in lengths {
                    if let Ok(parts) = read(&damaged[..length]) {
                        assert!(parts.message.len() <= length);
                    }
                }
            }
        }
    }
}
