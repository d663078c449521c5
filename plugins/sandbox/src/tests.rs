//! Scripts as the daemon's plugins.

use heka_message::{Value, Variables};
use heka_plugin::{Encoded, EncoderRunner, Filter, FilterError, LimitedLog, Plugin};

use crate::config::OnTermination;
use crate::sandbox_encoder::SandboxEncoder;
use crate::test_support::{Decoding, Filtering, NOW_NS, World, config};

#[test]
fn an_injected_message_takes_the_headers_that_it_does_not_set_from_the_record() {
    let script = "function process_message()
        inject_message{Payload = 'x', Type = 't', Fields = {a = 1}}
        inject_message{Timestamp = 7, Logger = 'own', Hostname = 'other', Pid = 3}
        return 0 end";
    let mut decoding = Decoding::of(script, &config());
    let batch = decoding.decode("line").unwrap();
    let (one, two) = (batch.record(0).unwrap(), batch.record(1).unwrap());
    assert_eq!((one.payload(), one.message_type()), (&b"x"[..], &b"t"[..]));
    assert_eq!((one.logger(), one.hostname(), one.severity()), (&b"in"[..], &b"h1"[..], 3));
    assert_eq!(one.field_named(b"a").unwrap().first(), Some(Value::Double(1.0)));
    assert_eq!(one.timestamp() % 1_000_000_000, 0, "now, in whole seconds");
    assert_eq!((two.logger(), two.hostname(), two.pid()), (&b"own"[..], &b"other"[..], 3));
    assert_eq!((two.timestamp(), two.payload(), two.field_count()), (7, &b""[..], 0));
    assert!(!two.is_set(Variables::PAYLOAD));
    assert_ne!(one.uuid(), two.uuid());
}

#[test]
fn a_record_without_injection_is_the_message_as_it_was_changed() {
    let script =
        "function process_message() write_message('Type', read_message('Payload')) return 0 end";
    let batch = Decoding::of(script, &config()).decode("line").unwrap();
    let record = batch.record(0).unwrap();
    assert_eq!(
        (batch.len(), record.message_type(), record.payload()),
        (1, &b"line"[..], &b"line"[..])
    );
}

#[test]
fn inject_payload_sets_payload_and_names_it() {
    let script = "function process_message() inject_payload('json', 'n', '{}') return 0 end";
    let batch = Decoding::of(script, &config()).decode("line").unwrap();
    let record = batch.record(0).unwrap();
    let field = record.field_named(b"payload_type").unwrap();
    assert_eq!(
        (field.first(), field.representation()),
        (Some(Value::Str(b"json")), &b"file-extension"[..])
    );
    assert_eq!(record.payload(), b"{}");
}

#[test]
fn a_refused_record_leaves_nothing_and_says_why() {
    let script = "function process_message()
        local p = read_message('Payload')
        if p == 'after' then inject_message{Payload = 'gone'} end
        if p ~= 'good' then return -1, 'bad line' end
        return 0 end";
    let mut decoding = Decoding::of(script, &config());
    assert_eq!(
        decoding.decode("x").unwrap_err().to_string(),
        "Failed parsing: bad line payload: x"
    );
    let text = "Failed after a successful inject_message call: bad line";
    assert_eq!(decoding.decode("after").unwrap_err().to_string(), text);
    assert_eq!(decoding.decode("good").unwrap().len(), 1);
}

#[test]
fn a_decoder_that_fails_goes_on_with_its_data_and_is_set_aside_in_the_end() {
    let script = "count = 0
        function process_message()
          count = count + 1
          if read_message('Payload') == 'bad' then error('no') end
          write_message('Fields[count]', count)
          return 0 end";
    let mut decoding = Decoding::of(script, &config());
    decoding.decode("good").unwrap();
    let error = decoding.decode("bad").unwrap_err().to_string();
    assert!(
        error.starts_with("FATAL: process_message() ") && error.ends_with("f.lua:4: no"),
        "{error}"
    );
    let batch = decoding.decode("good").unwrap();
    let count = batch.record(0).unwrap().field_named(b"count").unwrap().first();
    assert_eq!(count, Some(Value::Double(3.0)), "the data of the failed instance goes on");
    let files = decoding.world.files("sandbox_postmortem");
    assert_eq!(files.len(), 1);
    for part in [
        "reason: process_message()",
        "source:           if read_message",
        "traceback:",
        "message:",
        "instructions:",
    ] {
        assert!(files[0].1.contains(part), "{part} {}", files[0].1);
    }
    for _ in 0..4 {
        decoding.decode("bad").unwrap_err();
    }
    let aside = "the script failed too often and is set aside";
    assert_eq!(decoding.decode("good").unwrap_err().to_string(), aside);
    decoding.world.clock.advance(61_000_000_000);
    decoding.decode("good").unwrap();
}

#[test]
fn times_are_those_of_the_zone_that_the_script_names() {
    let mut config = config();
    config.config.insert("tz".to_owned(), "America/New_York".into());
    let script = "function process_message() inject_message{Timestamp = 0} return 0 end";
    let batch = Decoding::of(script, &config).decode("x").unwrap();
    assert_eq!(batch.record(0).unwrap().timestamp(), 5 * 3600 * 1_000_000_000);
}

#[test]
fn what_a_filter_injects_carries_its_name_and_types_of_its_own() {
    let script = "function process_message()
          local kind = read_message('Type')
          if kind == 'payload' then inject_payload('txt', 'n', 'text')
          elseif kind == 'message' then inject_message{Type = 'x', Logger = 'l', Hostname = 'o', Payload = 'p'}
          elseif kind == 'two' then inject_payload('', '', '1') inject_payload('', '', '2') end
          return 0 end
        function timer_event(ns) for i = 1, 11 do inject_payload('', '', i) end end";
    let mut filtering = Filtering::of(script, &config());
    filtering
        .process(|record| {
            record.message_type("payload");
        })
        .unwrap();
    assert_eq!(filtering.injected(), ["heka.sandbox-output tested host text 2"]);
    filtering
        .process(|record| {
            record.message_type("message");
        })
        .unwrap();
    assert_eq!(filtering.injected(), ["heka.sandbox.x tested host p 0"]);
    filtering
        .process(|record| {
            record.message_type("message").loops(4);
        })
        .unwrap_err();

    let mut filtering = Filtering::of(script, &config());
    let error = filtering
        .process(|record| {
            record.message_type("two");
        })
        .unwrap_err();
    let FilterError::Exit { why, announced } = error else { panic!("{error:?}") };
    assert!(why.ends_with("inject_payload() exceeded InjectMessage count") && announced, "{why}");
    let injected = filtering.injected();
    assert_eq!(injected[0], "heka.sandbox-output tested host 1 2");
    assert!(
        injected[1].starts_with("heka.sandbox-terminated hekad host process_message() "),
        "{injected:?}"
    );

    let mut filtering = Filtering::of(script, &config());
    filtering.filter.timer(&mut filtering.context).unwrap_err();
    assert_eq!(filtering.injected().len(), 11, "ten, and the end");
}

#[test]
fn a_filter_may_not_feed_itself() {
    let script = "function process_message()
        local ok, e = pcall(inject_message, {Type = 'mine'})
        return ok and 0 or -1, e end";
    let mut filtering = Filtering::of(script, &config());
    let matcher = heka_matcher::Matcher::parse("Type == 'heka.sandbox.mine'").unwrap().0;
    filtering.context.matcher = matcher.into();
    filtering.process(|_| ()).unwrap();
    assert!(filtering.injected().is_empty());
    let mut report = heka_plugin::Report::default();
    report.count("none", 0);
    assert_eq!(filtering.context.reporter.report().metrics().len(), 12);
}

#[test]
fn a_filters_data_lasts_and_a_changed_script_takes_it_over() {
    let counting = |step: u32| {
        format!(
            "count = 0 function process_message() count = count + {step} return 0 end
             function timer_event() inject_payload('', '', count) end"
        )
    };
    let preserving = crate::SandboxConfig { preserve_data: true, ..config() };
    let mut filtering = Filtering::of(&counting(1), &preserving);
    filtering.process(|_| ()).unwrap();
    filtering.world.change(&counting(10));
    filtering.process(|_| ()).unwrap();
    filtering.world.change("this is = no script");
    filtering.process(|_| ()).unwrap();
    filtering.filter.timer(&mut filtering.context).unwrap();
    assert_eq!(filtering.injected(), ["heka.sandbox-output tested host 21 2"]);

    assert!(filtering.filter.keeps_state());
    let saved = filtering.filter.save().unwrap();
    filtering.filter.stop(&mut filtering.context).unwrap();
    let files = filtering.world.files("sandbox_preservation");
    assert_eq!((files[0].0.as_str(), files[0].1.as_bytes()), ("tested.data", &*saved));

    filtering.world.change(&counting(1));
    let mut next = crate::SandboxFilter::start(&preserving, &filtering.world.context).unwrap();
    next.timer(&mut filtering.context).unwrap();
    assert_eq!(filtering.injected(), ["heka.sandbox-output tested host 21 2"]);
    next.restore(b"_G[\"count\"] = 5\n").unwrap();
    next.timer(&mut filtering.context).unwrap();
    assert_eq!(filtering.injected(), ["heka.sandbox-output tested host 5 2"]);
}

#[test]
fn a_filter_that_may_restart_goes_on() {
    let config = crate::SandboxConfig { on_termination: Some(OnTermination::Restart), ..config() };
    let script = "count = 0 function process_message() count = count + 1
          if count == 2 then error('once') end inject_payload('', '', count) return 0 end";
    let mut filtering = Filtering::of(script, &config);
    (0..3).for_each(|_| filtering.process(|_| ()).unwrap());
    let injected = filtering.injected();
    assert_eq!(injected[0], "heka.sandbox-output tested host 1 2");
    assert!(injected[1].starts_with("heka.sandbox-terminated hekad host "), "{injected:?}");
    assert_eq!(injected[2], "heka.sandbox-output tested host 3 2");
}

#[test]
fn an_encoder_writes_what_was_injected_last_or_the_message() {
    let script = "function process_message()
          local kind = read_message('Type')
          if kind == 'text' then inject_payload('a', 'b', 'gone') inject_payload('a', 'b', 'text') return 0 end
          if kind == 'changed' then write_message('Type', 'new') write_message('Fields[a]', 1) return 0 end
          if kind == 'nothing' then return -2 end
          if kind == 'refused' then return -1, 'why' end
          error('end') end";
    let world = World::new(script);
    let encoder = SandboxEncoder::start(&config(), &world.context).unwrap();
    let mut runner = EncoderRunner {
        encoder: Box::new(encoder),
        frame: None,
        max_message_size: 65_536,
        names: std::sync::Arc::clone(&world.context.names),
        counts: std::sync::Arc::default(),
        log: LimitedLog::default(),
        letters: None,
    };
    let batch_of = |kind: &str| {
        let names = world.context.names.snapshot();
        let envelope = std::sync::Arc::new(heka_message::Envelope::new("in"));
        let raw = heka_message::Buffer::empty();
        let mut builder = heka_message::BatchBuilder::new(names, envelope, raw, NOW_NS);
        let mut record = builder.record();
        record.message_type(kind).uuid(&[7; 16]);
        record.commit().unwrap();
        builder.finish()
    };
    let mut encode = |kind: &str| {
        let batch = batch_of(kind);
        runner.encode_one(&batch, &batch.record(0).unwrap())
    };
    assert_eq!(encode("text").unwrap().unwrap(), b"text");
    assert_eq!(encode("nothing").unwrap(), None);
    assert_eq!(encode("refused").unwrap_err().to_string(), "Failed serializing: why");
    let fatal = encode("end").unwrap_err().to_string();
    assert!(fatal.starts_with("FATAL: process_message() "), "{fatal}");
    let changed = encode("changed").unwrap().unwrap();
    assert!(changed.windows(3).any(|part| part == b"new"), "{changed:?}");
    assert!(!changed.windows(7).any(|part| part == b"changed"), "{changed:?}");
    assert_eq!(Encoded::new().len(), 0);
}
