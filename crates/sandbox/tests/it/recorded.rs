//! Chunks with what Lua 5.1 made of them: the files of `testdata`, which `testdata/record.lua` writes.

use heka_sandbox::{Kind, Settings};

use crate::harness::{Run, settings};

/// Shows values as the recorder does.
const LIST: &str = "local function list(...)
  local out = ''
  for index = 1, select('#', ...) do
    local value = select(index, ...)
    value = type(value) == 'string' and '[' .. value .. ']' or tostring(value)
    out = out .. (index > 1 and ' ' or '') .. value
  end
  return out
end ";

/// What a chunk returns or raises.
pub(crate) fn outcome(settings: &Settings, requires: &str, chunk: &str) -> String {
    // The chunk stands on the first line, where the recorder has it too.
    let list = LIST.replace('\n', " ");
    let settings = Settings { keep_printed: true, ..settings.clone() };
    // Open kinds have no payload; what is printed is text.
    let show = if settings.kind.is_open() { "print(text)" } else { "inject_payload('', '', text)" };
    let text = format!(
        "{requires} {list} function process_message() \
         local text = list(pcall(function() {chunk} end)) {show} return 0 end"
    );
    let mut run = match Run::start(&settings, &text) {
        Ok(run) => run,
        Err(error) => return format!("start: {error}"),
    };
    match run.process() {
        Ok(_) => {
            let mut made = run.take();
            made.extend(run.sandbox.take_printed());
            made.concat().trim_start_matches("P(txt,) ").to_owned()
        }
        Err(ended) => format!("ended: {}", ended.text()),
    }
}

/// Compares all chunks of a file; says all that differ.
pub(crate) fn check(kind: Kind, requires: &str, file: &str) {
    let settings = settings(kind);
    let mut lines = file.lines().peekable();
    let mut wrong = Vec::new();
    let mut count = 0;
    while let Some(chunk) = lines.next() {
        let Some(expected) = lines.next_if(|line| line.starts_with("=> ")) else { continue };
        count += 1;
        let found = outcome(&settings, requires, chunk);
        if found != expected[3..] {
            wrong.push(format!("{chunk}\n  lua: {}\n  is:  {found}", &expected[3..]));
        }
    }
    assert!(count > 0, "no chunks");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
