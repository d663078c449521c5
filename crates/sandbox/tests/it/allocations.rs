//! Memory that is refused at each allocation in turn: nothing may crash, nor be lost.
#![allow(clippy::print_stderr, reason = "figures are shown to who asks for them")]

use heka_sandbox::{Ended, Kind, Outcome, Sandbox, Settings};

use crate::harness::{Run, settings};

/// Uses the libraries of texts and tables, with all that calls back, and counts what it finds.
const SCRIPT: &str = r#"
require 'string' require 'table' require 'struct' require 'math' require 'os'
local less = {__lt = function(a, b) return a.v < b.v end}
local function texts()
  local s = ("key=value, other=2; "):rep(20)
  local out = {}
  for key, value in s:gmatch("(%w+)=(%w+)") do out[#out + 1] = key .. value end
  out[#out + 1] = s:gsub("%w+", {key = "k"})
  out[#out + 1] = s:gsub("(%w+)=(%w+)", "%2=%1")
  out[#out + 1] = s:gsub("%w+", function(w) return w:upper():reverse() end, 7)
  out[#out + 1] = s:gsub("%w+", setmetatable({}, {__index = function(t, key) return key .. "!" end}), 5)
  out[#out + 1] = ("%s|%q|%5d|%.3f"):format(s, s, 12, 1.5)
  out[#out + 1] = s:lower() .. s:sub(5, 90) .. string.char(s:byte(1, 30))
  out[#out + 1] = s:find("()other()") .. (s:match("%d.*") or "")
  return table.concat(out, "\n")
end
local function tables()
  local t = {}
  for i = 1, 60 do table.insert(t, 1 + i % 7 % #t, tostring((i * 37) % 61)) end
  table.sort(t)
  table.sort(t, function(a, b) return a .. "x" > b .. "x" end)
  local objects = {}
  for i = 1, 20 do objects[i] = setmetatable({v = (i * 7) % 21}, less) end
  table.sort(objects)
  table.foreach(objects, function(k, o) t[#t + 1] = k .. o.v end)
  table.foreachi(t, function(i, v) return i > 30 and v .. i or nil end)
  for i = 1, 10 do table.remove(t, i) end
  return table.concat(t, ",") .. table.maxn(t)
end
local function packed()
  local s = struct.pack(">I2i4sBc0", 258, -2, "ab", 3, "xyz"):rep(3)
  return table.concat({struct.unpack(">I2i4sBc0", s)}, " ")
end
function process_message()
  local one, ok = texts(), nil
  local two = tables() .. packed() .. os.date("%c", 0)
  ok = pcall(function() return texts() .. tables() end)
  return -1, tostring(#one + #two) .. tostring(ok)
end
"#;

/// Settings with time enough for a run under a checker of memory.
fn patient() -> Settings {
    let mut set = settings(Kind::Filter);
    set.limits.instructions = 1 << 30;
    set
}

#[test]
fn each_allocation_may_be_refused() {
    let set = patient();
    let whole = match Run::start(&set, SCRIPT).unwrap().process() {
        Ok(Outcome::Refused { text, .. }) => text,
        other => panic!("{other:?}"),
    };
    assert!(whole.ends_with("true"), "{whole}");
    let mut refused = 0_u64;
    let mut number = 0_u64;
    loop {
        let mut run = Run::start(&set, SCRIPT).unwrap();
        Sandbox::fail_allocation(&mut run.sandbox, number);
        match run.process() {
            Err(Ended::Failed(report)) => {
                assert_eq!(report.text, "process_message() not enough memory", "{number}");
                refused += 1;
            }
            // What is within `pcall` was refused.
            Ok(Outcome::Refused { text, .. }) if text != whole => {
                assert!(text.ends_with("false"), "{number}: {text}");
                refused += 1;
            }
            Ok(Outcome::Refused { .. }) => break,
            other => panic!("{number}: {other:?}"),
        }
        number += 1;
    }
    eprintln!("{refused} allocations refused, up to number {number}");
    assert!(refused > 200, "{refused}");
}

#[test]
fn each_limit_of_memory_is_kept() {
    let (mut refused, mut passed) = (0, 0);
    for limit in (30_000..300_000).step_by(997) {
        let mut set = patient();
        set.limits.memory = limit;
        let Ok(mut run) = Run::start(&set, SCRIPT) else {
            refused += 1;
            continue;
        };
        match run.process() {
            Err(Ended::Failed(report)) => {
                assert_eq!(report.text, "process_message() not enough memory", "{limit}");
                refused += 1;
            }
            Ok(Outcome::Refused { text, .. }) if text.ends_with("false") => refused += 1,
            Ok(Outcome::Refused { .. }) => passed += 1,
            other => panic!("{limit}: {other:?}"),
        }
    }
    eprintln!("{refused} refused, {passed} passed");
    assert!(refused > 20 && passed > 20, "{refused} {passed}");
}
