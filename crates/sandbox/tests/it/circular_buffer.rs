//! The library `circular_buffer`, as scripts see it.

use heka_sandbox::{Ended, Kind, Outcome};

use crate::harness::{Run, eval, settings};

const HEADER: &str = "{\"time\":0,\"rows\":3,\"columns\":2,\"seconds_per_row\":60,\"column_info\":[{\"name\":\"Requests\",\
    \"unit\":\"count\",\"aggregation\":\"sum\"},{\"name\":\"peak_latency\",\"unit\":\"ms/req\",\"aggregation\":\"max\"}]}";

/// What a script makes of a new buffer.
fn with(text: &str) -> String {
    eval(&format!("require 'circular_buffer' local cb = circular_buffer.new(3, 2, 60) {text}"))
}

/// The error of a call.
fn error(call: &str) -> String {
    let text = eval(&format!(
        "require 'circular_buffer' local cb = circular_buffer.new(3, 2, 60, true)
         local ok, e = pcall(function() local r = {call} end) return e"
    ));
    text.rsplit_once("f.lua:2: ").map_or(text.clone(), |(_, text)| text.to_owned())
}

#[test]
fn a_buffer_is_written_as_the_specification_has_it() {
    let mut run = Run::of(
        "require 'circular_buffer'
         cb = circular_buffer.new(3, 2, 60)
         cb:set_header(1, 'Requests'); cb:set_header(2, 'peak latency', 'ms/req', 'max')
         function process_message()
           cb:add(0, 1, 2); cb:add(0, 1, 3); cb:set(70e9, 2, 9); cb:set(70e9, 2, 4)
           inject_payload('cbuf', 'web', cb) return 0
         end
         function timer_event()
           local r = {cb:add(181e9, 1, 1), cb:current_time(), tostring(cb:get(0, 1)), tostring(cb:get(240e9, 1))}
           add_to_payload(r[1], ' ', r[2], ' ', r[3], ' ', r[4], '|', cb)
           inject_payload('cbuf', 'web')
         end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    let expected = format!("P(cbuf,web) {HEADER}\\n5\\tnan\\nnan\\t9\\nnan\\tnan\\n");
    assert_eq!(run.take(), [expected]);
    run.timer(1).unwrap();
    let header = HEADER.replace("\"time\":0", "\"time\":60");
    let expected =
        format!("P(cbuf,web) 1 180000000000 nil nil|{header}\\nnan\\t9\\nnan\\tnan\\n1\\tnan\\n");
    assert_eq!(run.take(), [expected]);
}

#[test]
fn changes_are_written_once() {
    let mut run = Run::of(
        "require 'circular_buffer'
         cb = circular_buffer.new(3, 2, 60, true); cb:set_header(2, 'Min', 'count', 'min')
         function process_message()
           cb:add(0, 1, 2); cb:set(0, 1, 10); cb:set(0, 2, 5); cb:set(0, 2, 8); cb:add(60e9, 1, 0)
           inject_payload('cbufd', 'd', cb:format('cbufd'))
           inject_payload('cbufd', 'd', cb)
           return 0
         end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    let made = run.take();
    assert_eq!(made.len(), 1);
    assert!(made[0].starts_with("P(cbufd,d) {\"time\":0,\"rows\":3,"), "{made:?}");
    assert!(made[0].ends_with("}]}\\n0\\t10\\t5\\n"), "{made:?}");
}

#[test]
fn statistics_are_those_of_the_specification() {
    let found = eval(
        "require 'circular_buffer' local cb = circular_buffer.new(5, 1, 1)
         for i = 1, 4 do cb:set(i * 1e9, 1, i) end
         local r = ''
         for _, f in ipairs{'sum', 'avg', 'variance', 'sd', 'min', 'max'} do
           local v, n = cb:compute(f, 1) r = r .. f .. ' ' .. v .. '/' .. n .. ' '
         end
         local v, n = cb:compute('sum', 1, 3e9, 9e9)
         return r .. tostring(v) .. ' ' .. n",
    );
    assert_eq!(
        found,
        "sum 10/4 avg 2.5/4 variance 1.25/4 sd 1.1180339887499/4 min 1/4 max 4/4 nil 0"
    );
    let found = eval(
        "require 'circular_buffer' local cb = circular_buffer.new(40, 1, 1)
         for i = 0, 19 do cb:set(i * 1e9, 1, i % 7); cb:set((i + 20) * 1e9, 1, i % 5 + 1) end
         local u, p = cb:mannwhitneyu(1, 0, 19e9, 20e9, 39e9)
         local r = u .. ' ' .. p
         u, p = cb:mannwhitneyu(1, 0, 19e9, 20e9, 39e9, false)
         local c = circular_buffer.new(4, 1, 1)
         return r .. '|' .. u .. ' ' .. p .. '|' .. select('#', c:mannwhitneyu(1, 0, 1e9, 2e9, 3e9))",
    );
    assert_eq!(found, "190 0.39724619886931|190 0.39196890917447|0");
}

#[test]
fn methods_give_what_heka_gave() {
    assert_eq!(with("return circular_buffer.version()"), "0.2.0");
    assert_eq!(with("return circular_buffer == require 'circular_buffer'"), "true");
    assert_eq!(with("return table == nil"), "true");
    assert_eq!(with("local a, b, c = cb:get_configuration() return a .. b .. c"), "3260");
    assert_eq!(with("return cb:set_header(2, 'a b', 'x', 'min')"), "2");
    assert_eq!(with("local a, b, c = cb:get_header(2) return a .. b .. c"), "Column_2countsum");
    assert_eq!(with("return cb:format('cbuf') == cb"), "true");
    assert_eq!(with("return cb:current_time()"), "120000000000");
    assert_eq!(with("return cb:add(0, '1', '5')"), "5");
    assert_eq!(with("return cb:add(-61e9, 1, 5)"), "nil");
    assert_eq!(with("cb:set(0, 1, 7) return #cb:get_range(1) .. cb:get_range(1)[1]"), "37");
    assert_eq!(with("return cb:get_range(1, 0, 600e9)"), "nil");
    let deltas = "local d = circular_buffer.new(3, 1, 60, true) d:add(0, 1, 5) d:add(0, 1, 2)";
    assert_eq!(with(&format!("{deltas} return d:get_delta(0, 1)")), "7");
    assert_eq!(with(&format!("{deltas} return d:get_range_delta(1)[1]")), "7");
    assert_eq!(with(&format!("{deltas} d:reset_delta() return d:get_delta(0, 1)")), "nan");
}

#[test]
fn wrong_arguments_are_refused_with_hekas_words() {
    for (call, text) in [
        ("circular_buffer.new(3, 2)", "bad argument #0 to 'new' (incorrect number of arguments)"),
        ("circular_buffer.new(1, 2, 60)", "bad argument #1 to 'new' (rows must be > 1)"),
        ("circular_buffer.new(2, 0, 60)", "bad argument #2 to 'new' (columns must be > 0)"),
        (
            "circular_buffer.new(2, 1, 0)",
            "bad argument #3 to 'new' (seconds_per_row is out of range)",
        ),
        (
            "circular_buffer.new('x', 1, 0)",
            "bad argument #1 to 'new' (number expected, got string)",
        ),
        ("cb:add(0, 1)", "bad argument #-1 to 'add' (incorrect number of arguments)"),
        ("cb:add(0, 3, 1)", "bad argument #2 to 'add' (column out of range)"),
        ("cb:add(0, 0, 1)", "bad argument #2 to 'add' (column out of range)"),
        ("cb:add(0, 3, {})", "bad argument #2 to 'add' (column out of range)"),
        ("cb:add(0, 1, {})", "bad argument #3 to 'add' (number expected, got table)"),
        ("cb:add({}, 1, 1)", "bad argument #1 to 'add' (number expected, got table)"),
        ("cb.set(cb, 0, 3, 1)", "bad argument #3 to 'set' (column out of range)"),
        (
            "cb.add({}, 0, 1, 1)",
            "bad argument #1 to 'add' (mozsvc.circular_buffer expected, got table)",
        ),
        ("cb:get(0)", "bad argument #-1 to 'get' (incorrect number of arguments)"),
        ("cb:get(0, 3)", "bad argument #2 to 'get' (column out of range)"),
        ("cb:set_header(3, 'x')", "bad argument #1 to 'set_header' (column out of range)"),
        ("cb:set_header(1, 'x', 'y', 'z')", "bad argument #4 to 'set_header' (invalid option 'z')"),
        ("cb:get_header(9)", "bad argument #1 to 'get_header' (column out of range)"),
        ("cb:compute('mean', 1)", "bad argument #1 to 'compute' (invalid option 'mean')"),
        ("cb:compute('sum', 3)", "bad argument #2 to 'compute' (column out of range)"),
        ("cb:compute('sum', 1, 5e9, 1e9)", "bad argument #4 to 'compute' (end must be >= start)"),
        ("cb:format('x')", "bad argument #1 to 'format' (invalid option 'x')"),
        ("cb:format()", "bad argument #-1 to 'format' (incorrect number of arguments)"),
        ("cb:format('cbuf', 1)", "bad argument #-1 to 'format' (incorrect number of arguments)"),
        (
            "cb:mannwhitneyu(1, 5, 1, 7, 8)",
            "bad argument #3 to 'mannwhitneyu' (end_1 must be >= start_1)",
        ),
        (
            "cb:mannwhitneyu(1, 1, 5, 8, 7)",
            "bad argument #5 to 'mannwhitneyu' (end_2 must be >= start_2)",
        ),
        (
            "cb:mannwhitneyu(1, 1, 5, 5, 7)",
            "bad argument #3 to 'mannwhitneyu' (ranges must not overlap)",
        ),
        (
            "cb:mannwhitneyu(1, 1, 2, 3, 4, 5)",
            "bad argument #6 to 'mannwhitneyu' (use_continuity must be a boolean)",
        ),
        (
            "cb:mannwhitneyu(1, 1, 2, 3, 4, true, 5)",
            "bad argument #-1 to 'mannwhitneyu' (too many arguments)",
        ),
        ("cb:fromstring('1 1 2')", "fromstring() too few values: 1, expected 6"),
        ("cb:fromstring('1 1 1 2 3 4 5 6 7')", "fromstring() invalid delta"),
        (
            "circular_buffer.new(2, 1, 1):fromstring('1 1 1 2 3')",
            "fromstring() too many values, more than: 2",
        ),
        ("cb:annotate(0, 1, 'x', 'y')", "bad argument #3 to 'annotate' (invalid option 'x')"),
    ] {
        assert_eq!(error(call), text, "{call}");
    }
    let found = with(
        "local add = cb.add local o = {add = add} return select(2, pcall(function() o:add(1, 1, 1) end))",
    );
    assert!(
        found.ends_with("calling 'add' on bad self (mozsvc.circular_buffer expected, got table)"),
        "{found}"
    );
}

#[test]
fn buffers_that_are_too_large_are_refused_and_not_made() {
    for size in
        ["2^31 - 1, 2^31 - 1, 1", "1e15, 1, 1", "2, 1e15, 1", "1048577, 1, 1", "3e5, 2, 1, true"]
    {
        let found = eval(&format!(
            "require 'circular_buffer' local ok, e = pcall(circular_buffer.new, {size}) return e"
        ));
        assert_eq!(found, "not enough memory", "{size}");
    }
}

#[test]
fn buffers_are_charged_and_given_back() {
    let mut run = Run::of(
        "require 'circular_buffer'
         function process_message() cb = circular_buffer.new(100000, 2, 1) return 0 end
         function timer_event() cb = nil end",
    );
    let before = run.sandbox.usage().memory;
    for _ in 0..20 {
        assert_eq!(run.process(), Ok(Outcome::Done));
    }
    assert!(run.sandbox.usage().memory >= before + 1_600_000);
    run.timer(1).unwrap();
    assert!(run.sandbox.usage().memory < before + 10_000);
    assert!(run.sandbox.usage().memory_max <= 8 << 20);
}

#[test]
fn a_million_adds_end_with_the_call() {
    let mut run = Run::of(
        "require 'circular_buffer' cb = circular_buffer.new(1440, 3, 60)
         function process_message() for i = 1, 1e6 do cb:add(i * 1e9, 1, 1) end return 0 end",
    );
    assert_eq!(run.ends(), "process_message() instruction_limit exceeded");

    // Each add clears the whole buffer: that costs more.
    let mut run = Run::of(
        "require 'circular_buffer' cb = circular_buffer.new(100000, 5, 1) n = 0
         function process_message()
           pcall(function() for i = 1, 1e6 do cb:add(i * 1e15, 1, 1) n = n + 1 end end)
           inject_payload('', '', n) return 0
         end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(run.take(), ["P(txt,) 17"]);
}

#[test]
fn a_text_beyond_the_limit_is_refused_and_changes_stay() {
    let mut set = settings(Kind::Filter);
    set.limits.output = 250;
    let text = "require 'circular_buffer'
        cb = circular_buffer.new(200, 1, 1, true)
        function process_message()
          local ok, e = pcall(add_to_payload, 'x', cb)
          for i = 1, 60 do cb:add(i * 1e9, 1, 1) end
          cb:format('cbufd')
          local ok2, e2 = pcall(add_to_payload, cb)
          local has = cb:get_delta(5e9, 1)
          inject_payload('', '', e, '|', e2, '|', has)
          return 0
        end";
    let mut run = Run::start(&set, text).unwrap();
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(run.take(), ["P(txt,) xoutput_limit exceeded|output_limit exceeded|1"]);
}

#[test]
fn messages_have_buffers_as_bytes() {
    let mut run = Run::of(
        "require 'circular_buffer' cb = circular_buffer.new(2, 1, 60)
         function process_message()
           inject_message{Uuid='ABCDEFGHIJKLMNOP', Timestamp=1, Fields={data=cb}} return 0
         end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    let made = run.take().concat();
    assert!(made.contains("data\\x10\\x01*"), "{made}");
    assert!(made.contains("\"seconds_per_row\":60"), "{made}");
}

/// A filter with a buffer and sets, whose every allocation fails once.
#[test]
fn no_failed_allocation_breaks_a_sandbox() {
    let text = "require 'circular_buffer' require 'bloom_filter' require 'cjson' require 'sax'
        cb = circular_buffer.new(10, 1, 1, true)
        function process_message()
          local b = bloom_filter.new(10, 0.1) b:add('x')
          local t = cjson.decode('{\"a\":[1,2,{\"b\":\"c\\\\n\"}]}')
          t.more = {tostring(sax.word.new('AB', 4)), 1, 2, 3}
          cb:annotate(1e9, 1, 'info', 'text') cb:add(20e9, 1, 1)
          inject_payload('', '', cb, cjson.encode(t))
          return 0
        end";
    let mut failed = 0;
    for number in 0..200 {
        let mut run = Run::of(text);
        run.sandbox.fail_allocation(number);
        match run.process() {
            Ok(Outcome::Done) => {}
            Err(Ended::Failed(report)) => {
                assert_eq!(report.text, "process_message() not enough memory");
                failed += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(failed > 0);
}
