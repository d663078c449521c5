//! The worked examples of the functions that scripts have.

use heka_message::Value;
use heka_sandbox::{Ended, Kind, Outcome, Refusal, StartError};

use crate::harness::{Draft, Run, World, batch, eval, field, script, settings};

#[test]
fn numbers_in_payloads_are_heka_texts() {
    let mut run = Run::of(
        "function process_message()
           add_to_payload(1, '|', 2.5, '|', -0.25, '|', 1e-9, '|', 1/3, '|', nil, '|', true)
           inject_payload('txt', 'nums')
           inject_payload('', 'ts', 1500000000123456789, ' ', 2147483647, ' ', 2147483648, ' ', 0/0, ' ', -1/0)
           return 0 end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(
        run.take(),
        [
            "P(txt,nums) 1|2.5|-0.25|0|0.33333333|nil|true",
            "P(txt,ts) 1.5000000001234568e+18 2147483647 2147483648 nan -inf"
        ]
    );
}

#[test]
fn the_payload_buffer_lasts_until_it_is_injected() {
    let mut run = Run::of(
        "function process_message()
           inject_payload(); inject_payload('txt', 'n', ''); add_to_payload('kept') return 0 end
         function timer_event(ns) inject_payload('txt', 'late', '-and sent') end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert!(run.take().is_empty());
    run.timer(1).unwrap();
    assert_eq!(run.take(), ["P(txt,late) kept-and sent"]);
}

#[test]
fn a_table_becomes_the_bytes_of_the_specification() {
    let mut run = Run::of(
        "function process_message()
          inject_message{Uuid = 'ABCDEFGHIJKLMNOP', Timestamp = 1e9, Type = 'demo', Severity = '5', Pid = 42,
            Fields = {{name = 'n', value = 7},
                      {name = 'n', value = {1, 2}, value_type = 2, representation = 'ms'},
                      {name = 'b', value = '\\0\\1', value_type = 1},
                      {name = 'ok', value = {true, false}}}}
          inject_message{Uuid='ABCDEFGHIJKLMNOP', Timestamp='5', Type=12, Severity=-1, Payload=true}
          return 0 end",
    );
    assert_eq!(run.process(), Ok(Outcome::Done));
    assert_eq!(
        run.take(),
        [
            "M \\x0a\\x10ABCDEFGHIJKLMNOP\\x10\\x80\\x94\\xeb\\xdc\\x03\\x1a\\x04demo(\\x05@*R\\x0e\\x0a\\x01n\\x10\\x039\
             \\x00\\x00\\x00\\x00\\x00\\x00\\x1c@R\\x0d\\x0a\\x01n\\x10\\x02\\x1a\\x02ms2\\x02\\x01\\x02R\\x09\\x0a\\x01b\
             \\x10\\x01*\\x02\\x00\\x01R\\x0a\\x0a\\x02ok\\x10\\x04B\\x02\\x01\\x00"
                .replace("\\x0a", "\\n")
                .replace("\\x09", "\\t"),
            "M \\n\\x10ABCDEFGHIJKLMNOP\\x10\\x05\\x1a\\x0212(\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x01"
                .to_owned()
        ]
    );
}

#[test]
fn tables_that_are_no_message_are_refused_with_hekas_words() {
    for (table, error) in [
        ("{Fields={a={}}}", "unsupported type: nil"),
        ("{Fields={a={1,'x'}}}", "array has mixed types"),
        ("{Fields={a={value='x',value_type=2}}}", "invalid string value_type: 2"),
        ("{Fields={a={value=1,value_type=4}}}", "invalid numeric value_type: 4"),
        ("{Fields={a={value=true,value_type=0}}}", "invalid boolean value_type: 0"),
        ("{Fields={{value=1}}}", "field name must be a string"),
        ("{Fields={a={{1}}}}", "unsupported array type: table"),
    ] {
        let found = eval(&format!("local ok, e = pcall(inject_message, {table}) return e"));
        assert!(
            found.ends_with(&format!("inject_message() could not encode protobuf - {error}")),
            "{table}: {found}"
        );
    }
    let found = eval("local ok, e = pcall(inject_message, nil) return e");
    assert!(found.ends_with("inject_message() takes a single string or table argument"), "{found}");
}

#[test]
fn messages_are_decoded_to_tables() {
    let good = eval(
        "local m = decode_message('\\10\\16ABCDEFGHIJKLMNOP\\16\\128\\148\\235\\220\\3\\26\\1T\\82\\13\\10\\1n\\16\\2\\26\\2ms\\50\\2\\1\\2')
         local f = m.Fields[1]
         return m.Uuid .. m.Timestamp .. m.Type .. f.name .. f.value_type .. f.representation .. f.value[1] .. f.value[2] .. #f.value",
    );
    assert_eq!(good, "ABCDEFGHIJKLMNOP1000000000Tn2ms122");
    for (bytes, error) in [
        ("'tiny'", "invalid message, too short"),
        ("'\\10\\16ABCDEFGHIJKLMNOP\\16\\1\\200\\1'", "error in tag: 25 wiretype: 0 offset: 20"),
        (
            "'\\10\\16ABCDEFGHIJKLMNOP\\26\\1T'",
            "missing required field uuid: found timestamp: not found",
        ),
    ] {
        let found = eval(&format!("local ok, e = pcall(decode_message, {bytes}) return e"));
        assert!(found.ends_with(error), "{found}");
    }
    let found = eval("local ok, e = pcall(decode_message) return e");
    assert_eq!(found, "bad argument #0 to '?' (must have one string argument)");
}

#[test]
fn statuses_and_errors_end_or_do_not_end_a_script() {
    let mut run = Run::of("function process_message() return -1, 'bad line' end");
    let refused = Outcome::Refused { status: -1, text: "bad line".to_owned() };
    assert_eq!(run.process(), Ok(refused));
    let mut run = Run::of("function process_message() return -1.9 end");
    assert_eq!(run.process(), Ok(Outcome::Refused { status: -1, text: String::new() }));
    let mut run = Run::of("function process_message() return 3, 'done' end");
    assert_eq!(run.process(), Err(Ended::Status { status: 3, text: "done".to_owned() }));
    assert!(!run.sandbox.is_closed());

    for (body, text) in [
        ("return", "process_message() must return a numeric status code"),
        ("return '0'", "process_message() must return a numeric status code"),
        ("return 0, 5", "process_message() must return a nil or string error message"),
        ("\n\n\n\n\n\nerror('boom')", "process_message() f.lua:7: boom"),
        ("error({})", "process_message() (null)"),
        (
            "local s = 'abc' return s:len()",
            "process_message() f.lua:1: attempt to index local 's' (a string value)",
        ),
    ] {
        let mut run = Run::of(&format!("function process_message() {body} end"));
        assert_eq!(run.ends(), text);
        assert!(run.sandbox.is_closed());
        assert_eq!(run.ends(), "the script has ended");
    }
    assert_eq!(Run::of("x = 1").ends(), "process_message() function was not found");
    let mut run = Run::of("function process_message() return 0 end");
    let Err(Ended::Failed(report)) = run.timer(1) else { panic!("it did not end") };
    assert_eq!(report.text, "timer_event() function was not found");
}

#[test]
fn a_failure_tells_the_line_and_who_called() {
    let mut run = Run::of(
        "local function inner(x)\n  local y = nil\n  return y.field\nend\nfunction process_message()\n  inner(1)\n  return 0\nend",
    );
    let Err(Ended::Failed(report)) = run.process() else { panic!("it did not end") };
    assert_eq!(report.text, "process_message() f.lua:3: attempt to index local 'y' (a nil value)");
    assert_eq!(report.source_line.as_deref(), Some("  return y.field"));
    assert!(
        report.traceback.starts_with("f.lua:3: in function 'inner'\nf.lua:6: in "),
        "{report:?}"
    );
    let Err(StartError::Script(report)) =
        Run::start(&settings(Kind::Filter), "x = = 1").map(|_| ())
    else {
        panic!("it started")
    };
    assert_eq!(report.text, "f.lua:1: unexpected symbol near '='");
    assert_eq!(report.source_line.as_deref(), Some("x = = 1"));
}

#[test]
fn missing_parts_of_a_message_read_as_heka_has_it() {
    let text = "function process_message()
        add_to_payload('[', read_message('Payload'), ']', read_message('Severity'), read_message('Fields[x]'),
            read_message('Nope'), read_message('Hostname'), read_message('Timestamp'),
            #read_message('Uuid') == nil)
        inject_payload() return 0 end
      function timer_event() add_to_payload(read_message('Payload'), read_message('Hostname')) inject_payload() end";
    let mut run = Run::of(text);
    let message = batch(|_| ());
    assert_eq!(run.with(&message), Ok(Outcome::Done));
    run.timer(1).unwrap();
    assert_eq!(run.take(), ["P(txt,) []nilnilnilh15false", "P(txt,) nilnil"]);
}

#[test]
fn fields_are_read_by_name_and_indices() {
    let message = batch(|record| {
        record.payload("p").severity(3).pid(9);
        field(record, "a", Value::Str(b"one\0two"));
        field(record, "a", Value::Int(-4));
        field(record, "", Value::Double(0.5));
        field(record, "flag", Value::Bool(false));
        field(record, "none", Value::Bytes(b""));
    });
    let mut run = Run::of(
        "function process_message()
           add_to_payload(read_message('Fields[a]'), '|', read_message('Fields[a]', 1), '|', read_message('Fields[]'), '|',
             read_message('Fields[flag]', 0, 0), '|', read_message('Fields[none]'), '|', read_message('Fields[a]', 2), '|',
             read_message('Fields[a]', 0, 1), '|', read_message('Severity'), read_message('Pid', 7, 7))
           inject_payload()
           for i = 1, 6 do
             local t, name, value, representation, count = read_next_field()
             add_to_payload(t, name, value, representation, count, ';')
           end
           inject_payload()
           return 0 end",
    );
    assert_eq!(run.with(&message), Ok(Outcome::Done));
    assert_eq!(
        run.take(),
        [
            "P(txt,) one\\x00two|-4|0.5|false|nil|nil|nil|39",
            "P(txt,) 0aone\\x00two1;2a-41;30.51;4flagfalse1;1nonenil1;nilnilnilnilnil;"
        ]
    );
    for (call, error) in [
        ("read_message()", "read_message() incorrect number of arguments"),
        ("read_message('a', -1)", "bad argument #2 to 'read_message' (field index must be >= 0)"),
        (
            "read_message('a', 0, -1)",
            "bad argument #3 to 'read_message' (array index must be >= 0)",
        ),
        ("read_next_field(1)", "read_next_field() takes no arguments"),
        ("read_config()", "read_config() must have a single argument"),
        (
            "add_to_payload()",
            "bad argument #0 to 'add_to_payload' (must have at least one argument)",
        ),
        ("add_to_payload({})", "bad argument #1 to 'add_to_payload' (unsupported type)"),
    ] {
        let found = eval(&format!("local ok, e = pcall(function() {call} end) return e"));
        assert_eq!(found, format!("f.lua:1: {error}"));
    }
}

#[test]
fn a_decoders_message_can_be_changed() {
    let text = "function process_message()
        local function try(...) local ok, e = pcall(write_message, ...) return ok and '' or e end
        write_message('Fields[n]', 1, 'B') write_message('Fields[n]', 2)
        add_to_payload(try('Fields[n]', 'x'), try('Hostname', 99), try('Nope', 'x'))
        write_message('Type', 'changed') write_message('Severity', '0x3') write_message('Timestamp', '1970-01-01T00:00:01Z')
        write_message('Uuid', '8e414f01-9d7f-4a48-a5e1-ae92e5954df5')
        write_message('Fields[list]', 'a') write_message('Fields[list]', 'b', '', 0, 1) write_message('Fields[list]', 'c', '', 0, 2)
        write_message('Fields[list]', nil, '', 0, 0)
        write_message('Fields[gone]', true) write_message('Fields[gone]', nil) write_message('Fields[never]', nil)
        add_to_payload(read_message('Fields[n]'), read_message('Type'), read_message('Fields[list]', 0, 1))
        inject_payload()
        return 0 end";
    let mut run = Run::start(&settings(Kind::Decoder), text).unwrap();
    let message = batch(|record| {
        record.payload("p");
        let mut world = World::default();
        let done = {
            let mut draft = Draft { record, world: &mut world };
            run.sandbox.process_message(None, &mut draft)
        };
        assert_eq!(done, Ok(Outcome::Done));
        let failed = "write_message() failed";
        assert_eq!(world.made, [format!("P(txt,) {failed}{failed}{failed}2changedc")]);
    });
    let record = message.record(0).unwrap();
    assert_eq!((record.message_type(), record.severity()), (&b"changed"[..], 3));
    assert_eq!(record.timestamp(), 1_000_000_000);
    assert_eq!(record.uuid().unwrap().to_string(), "8e414f01-9d7f-4a48-a5e1-ae92e5954df5");
    let fields = format!("{:?}", record.fields().collect::<Vec<_>>());
    assert_eq!(fields, "[n=[Double(2.0)], list=[Str([98]), Str([99])]]");
}

#[test]
fn refusals_are_errors_of_the_script() {
    let mut run = Run::of(
        "function process_message()
           local ok, e = pcall(inject_message, {Payload = 'x'})
           local ok, f = pcall(inject_payload, 'txt', 'n', 'text')
           return -1, e .. f end",
    );
    run.world.refusal = Some(Refusal::Count);
    let text = "inject_message() exceeded InjectMessage countinject_payload() exceeded InjectMessage count";
    assert_eq!(run.process(), Ok(Outcome::Refused { status: -1, text: text.to_owned() }));
}

#[test]
fn the_output_buffer_has_a_limit() {
    let mut limited = settings(Kind::Filter);
    limited.limits.output = 10;
    let text = "function process_message() add_to_payload('123456789') inject_payload()
        local ok, e = pcall(add_to_payload, '1234567890')
        local ok, f = pcall(inject_message, {Payload = 'x'})
        return -1, e .. f end";
    let mut run = Run::start(&limited, text).unwrap();
    let text = "output_limit exceededinject_message() output_limit exceeded";
    assert_eq!(run.process(), Ok(Outcome::Refused { status: -1, text: text.to_owned() }));
    assert_eq!(run.take(), ["P(txt,) 123456789"]);
}

#[test]
fn what_a_kind_does_not_have_is_nil() {
    let names = [
        "inject_message",
        "inject_payload",
        "add_to_payload",
        "read_message",
        "read_next_field",
        "write_message",
        "collectgarbage",
        "coroutine",
        "newproxy",
        "is_running",
        "update_checkpoint",
    ];
    let list: Vec<String> = names
        .iter()
        .map(|name| format!("if {name} ~= nil then has = has .. ' {name}' end"))
        .collect();
    for (kind, expected) in [
        (Kind::Input, " inject_message collectgarbage coroutine newproxy is_running"),
        (
            Kind::Decoder,
            " inject_message inject_payload add_to_payload read_message read_next_field write_message",
        ),
        (
            Kind::Filter,
            " inject_message inject_payload add_to_payload read_message read_next_field",
        ),
        (
            Kind::Encoder,
            " inject_message inject_payload add_to_payload read_message read_next_field write_message",
        ),
        (
            Kind::Output,
            " read_message read_next_field collectgarbage coroutine newproxy update_checkpoint",
        ),
    ] {
        let text = format!("has = '' {} error(has, 0)", list.join("\n"));
        let error = Run::start(&settings(kind), &text).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{kind:?}");
        for absent in ["dofile", "load", "loadfile", "loadstring", "debug"] {
            let text = format!("assert({absent} == nil)");
            Run::start(&settings(kind), &text).unwrap();
        }
    }
}

#[test]
fn require_finds_says_what_it_looked_for_and_refuses() {
    let mut set = settings(Kind::Filter);
    set.modules = vec!["/m".into()];
    for (name, error) in [
        ("io", "module 'io' disabled"),
        ("../x", "invalid module name '../x'"),
        (
            "no.such",
            "module 'no.such' not found:\n\tno file '/m/no/such.lua'\n\tno file '/m/no/such.so'\n\tno file '/m/no.so'",
        ),
    ] {
        let text = format!("local ok, e = pcall(require, '{name}') error(e, 0)");
        let found = Run::start(&set, &text).map(|_| ()).unwrap_err().to_string();
        assert_eq!(found, error);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.lua"), "#!shebang\nlocal M = {x = ...} return M").unwrap();
    std::fs::write(
        folder.path().join("old.lua"),
        "local g = type\nmodule('old')\nfunction f() return g(1) end",
    )
    .unwrap();
    std::fs::write(folder.path().join("bad.lua"), "error('no', 0)").unwrap();
    std::fs::write(folder.path().join("wrong.lua"), "x = = 1").unwrap();
    std::fs::write(folder.path().join("code.lua"), b"\x1bLua").unwrap();
    set.modules = vec![folder.path().into()];
    let text = "local m = require 'm' assert(m == require 'm' and m.x == 'm' and getmetatable(m)) assert(old == nil)
        require 'old' assert(old.f() == 'number')
        local ok, e = pcall(require, 'bad') assert(e == 'no', e)
        ok, e = pcall(require, 'wrong') assert(not ok)
        ok, f = pcall(require, 'code') assert(not ok)
        require 'math' assert(math.floor(1.5) == 1 and os == nil)
        os = require 'os' assert(os.time{year=1970, month=1, day=2, hour=0} == 86400 and os.exit == nil and os.getenv == nil)
        assert(os.date('%Y-%m-%d %H:%M:%S %Z|%s', 86400) == '1970-01-02 00:00:00 UTC|86400')
        assert(os.date('*t', 0).year == 1970) assert(not pcall(os.date, '%Q') and not pcall(os.date, '%'))
        error(e, 0)";
    let found = Run::start(&set, text).map(|_| ()).unwrap_err().to_string();
    assert!(found.starts_with("error loading module 'wrong' from file '"), "{found}");
    assert!(
        found.ends_with("wrong.lua':\n\t".to_owned().as_str())
            || found.contains("unexpected symbol near '='"),
        "{found}"
    );
}

#[test]
fn precompiled_scripts_are_refused() {
    let error = Run::start(&settings(Kind::Filter), "\x1bLua").map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "f.lua: precompiled scripts are not loaded");
    assert_eq!(script("x").name, "f.lua");
}
