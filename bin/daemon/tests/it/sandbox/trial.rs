//! `hekad lua test`.

use serde_json::Value;

use crate::harness::{Ended, World, framed_messages, run};

/// Runs `hekad lua test` in the world; `$DIR` stands for its directory, `~` for a blank.
fn test(world: &World, words: &str) -> Ended {
    let directory = world.directory().to_str().unwrap();
    let words = format!("lua test {words}");
    let words: Vec<String> =
        words.split(' ').map(|word| word.replace('~', " ").replace("$DIR", directory)).collect();
    run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn json(world: &World, words: &str) -> Value {
    let ended = test(world, &format!("{words} --json"));
    serde_json::from_str(&ended.stdout)
        .unwrap_or_else(|_| panic!("{}{}", ended.stdout, ended.stderr))
}

const FILTER: &str = r#"
require "string"
local wanted = read_config("wanted")
n = 0
function process_message()
    n = n + 1
    if read_message("Payload") == "bad" then return -1, "not this one" end
    if n == wanted then inject_payload("txt", "found", read_message("Payload"), "\n") end
    return 0
end
function timer_event(ns)
    print("tick", ns)
    inject_message({Type = "count", Fields = {n = n}})
end
"#;

#[test]
fn a_filter_shows_what_it_makes_and_what_it_costs() {
    let world = World::new();
    world.write("filter.lua", FILTER);
    world.write("lines.txt", "one\nbad\nthree\n");
    let words = "$DIR/filter.lua --messages $DIR/lines.txt --config wanted~=~3 --ticks 1 --now 1970-01-01T00:00:01Z";
    let ended = test(&world, words);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    for text in [
        "filter.lua as SandboxFilter (by 'filter.lua' in its path)",
        "message 2 status -1: not this one\n",
        "message 3 injects payload txt \"found\", 6 B\n    three\n",
        "tick 1 prints: tick\\t1000000000\n",
        "tick 1 makes message\n",
        "    :Type: heka.sandbox.count\n",
        "name:\"n\" type:double value:3\n",
        "messages      3: 1 with status -1, 2 with status 0\n",
        "made          1 payloads, 1 messages\n",
        "of 8388608\n",
    ] {
        assert!(ended.stdout.contains(text), "{text:?} is not in\n{}", ended.stdout);
    }
    let report = json(&world, words);
    assert_eq!((&report["messages"], &report["ticks"]), (&3.into(), &1.into()));
    assert_eq!(report["events"][0]["status"], -1);
    assert_eq!(report["events"][3]["message"]["Type"], "heka.sandbox.count", "{report:#}");
    assert!(report["instructions_max"].as_u64().unwrap() > 5);
    assert!(report["profile"].is_null());
}

#[test]
fn decoders_and_encoders_get_messages_of_files_and_of_lines() {
    let world = World::new();
    world.write("messages.pb", framed_messages(20));
    let decoder = "function process_message() inject_message({Type = 'a', Payload = read_message('Type')}) inject_message({Type = 'b'}) return 0 end";
    world.write("lua_decoders/two.lua", decoder);
    let report = json(&world, "$DIR/lua_decoders/two.lua --messages $DIR/messages.pb --show 2");
    assert_eq!(report["kind"], "SandboxDecoder");
    assert_eq!((&report["messages"], &report["made_messages"]), (&20.into(), &40.into()));
    assert_eq!(report["events"][0]["message"]["Payload"], "TEST", "{report:#}");
    assert_eq!(report["events_left_out"], 38);

    world.write("encode.lua", "function process_message() inject_payload('txt', '', read_message('Type'), ' ', read_message('Payload')) return 0 end");
    world.write("lines.txt", "x\r\ny");
    let words = "$DIR/encode.lua --kind encoder --payloads $DIR/lines.txt --type mine";
    let report = json(&world, words);
    let texts: Vec<&str> = report["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["encoded"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["mine x", "mine y"]);
    let matched = json(&world, &format!("{words} --matcher Payload=='y'"));
    assert_eq!((&matched["messages"], &matched["unmatched"]), (&1.into(), &1.into()));
}

#[test]
fn a_section_of_the_configuration_is_tried_out_with_what_it_says() {
    let world = World::new();
    world.write("filter.lua", FILTER);
    world.write("lines.txt", "one\nbad\nthree\n");
    let config = world.configure(
        "[some]\ntype = 'SandboxFilter'\nfilename = '$DIR/filter.lua'\ninstruction_limit = 5000\n\
         message_matcher = \"Type == 'logfile' && Payload != 'bad'\"\n[some.config]\nwanted = 2\n",
    );
    let report =
        json(&world, &format!("--section some --config {config} --messages $DIR/lines.txt"));
    assert_eq!((&report["messages"], &report["unmatched"]), (&2.into(), &1.into()));
    assert_eq!(report["events"][0]["payload"], "three\n", "{report:#}");
    let other = test(&world, &format!("--section sone --config {config}"));
    assert_eq!(other.code(), 2);
    assert!(other.stderr.contains("did you mean 'some'?"), "{}", other.stderr);
}

#[test]
fn a_failing_script_shows_where() {
    let world = World::new();
    world.write("lines.txt", "one\n");
    let script = "local function inner()\n    return nothing.here\nend\nfunction process_message()\n    inner()\n    return 0\nend\n";
    world.write("broken.lua", script);
    let ended = test(&world, "$DIR/broken.lua --messages $DIR/lines.txt");
    assert_eq!(ended.code(), 1);
    let at = world.text_path("broken.lua");
    for text in [
        format!("message 1: error: process_message() {at}:2: attempt to index global 'nothing'"),
        format!(" --> {at}:2\n2 |     return nothing.here\n  |            ^^^^^^^\n"),
        "traceback, innermost first:\n".to_owned(),
        "inner".to_owned(),
    ] {
        assert!(ended.stderr.contains(&text), "{text:?} is not in\n{}", ended.stderr);
    }
    world.write("syntax.lua", "x = = 1\n");
    let ended = test(&world, "$DIR/syntax.lua");
    assert_eq!(ended.code(), 1);
    assert!(ended.stderr.contains("1 | x = = 1\n  | ^^^^^^^\n"), "{}", ended.stderr);
    let report = json(&world, "$DIR/broken.lua --messages $DIR/lines.txt");
    assert_eq!(
        (&report["error"]["line"], &report["error"]["source"]),
        (&2.into(), &"    return nothing.here".into())
    );
}

#[test]
fn usage_errors_are_told_apart_from_failing_scripts() {
    let world = World::new();
    for words in [
        "",
        "$DIR/none.lua --kind x",
        "$DIR/none.lua --config a~=",
        "$DIR/none.lua --config $DIR/no.toml",
    ] {
        let ended = test(&world, words);
        assert_eq!(ended.code(), 2, "{words}: {}", ended.stderr);
    }
    let ended = test(&world, "$DIR/none.lua");
    assert_eq!(ended.code(), 1);
    assert!(ended.stderr.contains("cannot open"), "{}", ended.stderr);
}

#[test]
fn scripts_that_ship_with_the_daemon_are_known_by_name_and_profiled() {
    let world = World::new();
    world.write("messages.pb", framed_messages(50));
    let words =
        "lua_filters/heka_message_schema.lua --messages $DIR/messages.pb --ticks 1 --profile";
    let ended = test(&world, words);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("Message Schema"), "{}", ended.stdout);
    assert!(ended.stdout.contains("heka_message_schema.lua:"), "{}", ended.stdout);
    assert!(ended.stdout.contains("share"), "{}", ended.stdout);
}

#[test]
fn an_input_that_goes_on_for_ever_is_stopped() {
    let world = World::new();
    let script = "function process_message() local n = 0 while true do n = n + 1 if n < 4 then inject_message({Payload = n .. ''}) end end end";
    world.write("input.lua", script);
    let report = json(&world, "$DIR/input.lua --seconds 1");
    assert_eq!(report["made_messages"], 3, "{report:#}");
    assert!(report["error"].is_null());
}

#[test]
fn an_input_is_told_where_it_is() {
    let world = World::new();
    let script = "function process_message(place) local n = (place or 0) + 1 inject_message({Payload = n .. ''}, n) return 0 end";
    world.write("input.lua", script);
    let report = json(&world, "$DIR/input.lua --ticks 3");
    assert_eq!(report["events"][4]["message"]["Payload"], "3", "{report:#}");
    assert_eq!(report["events"][5]["place"], "place 3");
}
