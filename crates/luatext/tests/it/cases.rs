//! Recorded answers of Lua 5.1.5.
//!
//! `lua5.1 testdata/expect.lua testdata` makes the cases and says how they are written; the tests do not need it.

use heka_luatext::{
    Cache, Capture, Directives, Error, Found, Kind, Matcher, Piece, Substitution, lua_number,
};

/// Steps that no case needs.
const BUDGET: u64 = 1_000_000;

/// A value in a file.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(f64),
    Text(Vec<u8>),
}

impl Value {
    fn read(column: &str) -> Self {
        match column.strip_prefix('"') {
            Some(text) => Self::Text(unescape(text)),
            None => Self::Number(match column {
                "-nan" => -f64::NAN,
                text => text.parse().expect("a number"),
            }),
        }
    }

    fn text(&self) -> &[u8] {
        let Self::Text(text) = self else { panic!("{self:?} is no text") };
        text
    }

    fn integer(&self) -> i64 {
        let Self::Number(number) = self else { panic!("{self:?} is no number") };
        *number as i64
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let code = (byte == b'\\').then(|| std::str::from_utf8(&behind[..3]).expect("digits"));
        bytes.push(code.map_or(byte, |code| code.parse().expect("a byte")));
        rest = &behind[if code.is_some() { 3 } else { 0 }..];
    }
    bytes
}

fn quote(text: &[u8]) -> String {
    let escaped = text.iter().map(|byte| match byte {
        b' '..=b'~' if *byte != b'\\' => char::from(*byte).to_string(),
        byte => format!("\\{byte:03}"),
    });
    format!("\"{}", escaped.collect::<String>())
}

fn show(found: &Found<'_>, index: usize, text: &[u8]) -> Result<String, Error> {
    Ok(match found.capture(index)? {
        Capture::Position(position) => position.to_string(),
        Capture::Text { start, end } => quote(&text[start..end]),
    })
}

/// Where Lua's third argument of `find` begins.
fn start(init: i64, length: usize) -> usize {
    match init {
        1.. => (init as usize - 1).min(length),
        0 => 0,
        _ => length.saturating_sub(init.unsigned_abs() as usize),
    }
}

fn find(text: &[u8], pattern: &[u8], init: i64, kind: Kind) -> Result<String, Error> {
    let (mut budget, mut cache, mut matcher) = (BUDGET, Cache::new(), Matcher::new());
    let pattern = cache.get(pattern, kind, &mut budget)?;
    let from = start(init, text.len());
    let Some(found) = matcher.find(pattern, text, from, &mut budget)? else {
        return Ok("none".to_owned());
    };
    let mut values = Vec::new();
    let mut count = found.values();
    if kind == Kind::Find {
        values.extend([(found.start + 1).to_string(), found.end.to_string()]);
        count = found.captures();
    }
    for index in 0..count {
        values.push(show(&found, index, text)?);
    }
    Ok(format!("= {}", values.join(" ")))
}

fn each(text: &[u8], pattern: &[u8]) -> Result<String, Error> {
    let (mut budget, mut cache, mut matcher) = (BUDGET, Cache::new(), Matcher::new());
    let pattern = cache.get(pattern, Kind::Each, &mut budget)?;
    let mut matches = Vec::new();
    let mut next = 0;
    while let Some(found) = matcher.each(pattern, text, &mut next, &mut budget)? {
        // All of them, since one may raise; the file has the first three.
        let values: Result<Vec<String>, Error> =
            (0..found.values()).map(|index| show(&found, index, text)).collect();
        let mut values = values?;
        values.resize(3, "nil".to_owned());
        matches.push(values.join(","));
    }
    Ok(format!("= {}", quote(matches.join(";").as_bytes())))
}

fn gsub(text: &[u8], pattern: &[u8], replacement: &[u8], max: u64) -> Result<String, Error> {
    let (mut budget, mut cache, mut matcher) = (BUDGET, Cache::new(), Matcher::new());
    let pattern = cache.take(pattern, Kind::Match, &mut budget)?;
    let mut out = Vec::new();
    let mut substitution = Substitution::new(max);
    while let Some(found) =
        substitution.next(&mut matcher, &pattern, text, &mut out, &mut budget)?
    {
        found.expand(replacement, text, &mut out, 10_000, &mut budget)?;
    }
    let count = substitution.finish(text, &mut out);
    Ok(format!("= {} {count}", quote(&out)))
}

fn format(format: &[u8], argument: &Value) -> Result<String, Error> {
    let mut out = Vec::new();
    let mut directives = Directives::new(format);
    let mut argument = Some(argument);
    while let Some(piece) = directives.next(argument.is_some())? {
        match piece {
            Piece::Literal(literal) => out.extend_from_slice(literal),
            Piece::Directive(directive) => match argument.take().expect("was asked for") {
                Value::Number(number) => directive.write_number(*number, &mut out),
                Value::Text(text) => directive.write_text(text, &mut out),
            },
        }
    }
    Ok(format!("= {}", quote(&out)))
}

fn tostring(number: &Value) -> String {
    let Value::Number(number) = number else { panic!("{number:?} is no number") };
    let mut out = Vec::new();
    lua_number(*number, &mut out);
    format!("= {}", quote(&out))
}

fn run(name: &str, arguments: &[Value]) -> String {
    let result = match (name, arguments) {
        ("find", [text, pattern, init]) => {
            find(text.text(), pattern.text(), init.integer(), Kind::Find)
        }
        ("match", [text, pattern, init]) => {
            find(text.text(), pattern.text(), init.integer(), Kind::Match)
        }
        ("gmatch", [text, pattern]) => each(text.text(), pattern.text()),
        ("gsub", [text, pattern, replacement]) => {
            gsub(text.text(), pattern.text(), replacement.text(), u64::MAX)
        }
        ("gsubn", [text, pattern, replacement, max]) => {
            let max = u64::try_from(max.integer()).unwrap_or(0);
            gsub(text.text(), pattern.text(), replacement.text(), max)
        }
        ("format", [form, argument]) => format(form.text(), argument),
        ("tostring", [number]) => Ok(tostring(number)),
        _ => panic!("{name} with {} arguments", arguments.len()),
    };
    result.unwrap_or_else(|error| format!("! {error}"))
}

fn check(cases: &str, at_least: usize) {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in cases.lines().filter(|line| !line.starts_with("--")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, arguments @ .., wanted] = columns.as_slice() else { panic!("{line}") };
        // `gsubn` is `gsub` with its fourth argument.
        let arguments: Vec<Value> = arguments.iter().map(|column| Value::read(column)).collect();
        let found = run(name, &arguments);
        if found != *wanted {
            wrong.push(format!("{line}\n  ours: {found}"));
        }
        count += 1;
    }
    let shown = wrong.len().min(20);
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong[..shown].join("\n"));
    assert!(count >= at_least, "{count} cases");
}

#[test]
fn patterns_match_as_in_lua() {
    check(include_str!("../../testdata/patterns.tsv"), 3_000);
}

#[test]
fn formats_write_what_lua_writes() {
    check(include_str!("../../testdata/formats.tsv"), 2_000);
}
