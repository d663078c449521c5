//! Scripts that want too much.

use heka_sandbox::{Kind, Outcome};

use crate::harness::{Run, settings};

#[test]
fn a_breach_can_be_caught_once() {
    let mut set = settings(Kind::Filter);
    set.limits.instructions = 1000;
    let text = "function process_message()
        local a = pcall(function() while true do end end)
        inject_payload('txt', '', tostring(a))
        while true do end
      end";
    let mut run = Run::start(&set, text).unwrap();
    assert_eq!(run.ends(), "process_message() instruction_limit exceeded");
    assert_eq!(run.take(), ["P(txt,) false"]);
}

#[test]
fn a_loop_that_catches_everything_ends() {
    let mut run = Run::of(
        "function process_message()
           while true do pcall(function() while true do end end) end
         end",
    );
    assert_eq!(run.ends(), "process_message() instruction_limit exceeded");
}

#[test]
fn instructions_are_counted_exactly() {
    let mut run = Run::of("function process_message() for i = 1, 100 do end return 0 end");
    assert_eq!(run.process(), Ok(Outcome::Done));
    let first = run.sandbox.usage().instructions;
    assert!((100..150).contains(&first), "{first}");
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(run.sandbox.usage().instructions, first);
}

#[test]
fn memory_is_limited() {
    let mut run = Run::of("t = {} function process_message() while true do t[#t + 1] = {} end end");
    assert_eq!(run.ends(), "process_message() not enough memory");
    assert!(run.sandbox.usage().memory_max <= 8 << 20);
}

#[test]
fn a_breach_where_memory_is_full_is_told_as_what_it_is() {
    let mut run = Run::of(
        "require 'cjson' local s = '[],' for i = 1, 16 do s = s .. s end s = '[' .. s .. '1]'
         function process_message() while true do pcall(cjson.decode, s) end end",
    );
    let text = run.ends();
    assert!(text.starts_with("process_message() instruction_limit exceeded"), "{text}");
}

/// As many results as the stack has room for leave none for what `pcall` adds.
#[test]
fn protected_calls_make_room_for_their_own_result() {
    let mut run = Run::of(
        "require 'string'
         function process_message()
           local text = string.rep('x', 8000)
           for count = 1, 7990, 7 do
             local seen = select('#', pcall(string.byte, text, 1, count))
             assert(seen == count + 1 or seen == 2, seen)
             local seen = select('#', xpcall(function() return string.byte(text, 1, count) end, error))
             assert(seen == count + 1 or seen == 2, seen)
           end
           return 0
         end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
}
