//! Scripts of all kinds in one pipeline, and many of one kind.

use serde_json::Value;

use super::{filter, preserved_number, sandbox};
use crate::harness::sections::{APP_LOG, file_out};
use crate::harness::{Numbered, World};

const DECODER: &str = r#"
require "string"

local line = '^(%S+) %S+ %S+ %[(%d+)%] "(%u+) (%S+) [^"]*" (%d+) (%d+)'

function process_message()
    local host, time, method, path, status, bytes = string.match(read_message("Payload"), line)
    if not host then return -1, "no line of an access log" end
    inject_message({
        Timestamp = tonumber(time) * 1e9,
        Type = "access",
        Hostname = host,
        Fields = {
            path = path,
            method = method,
            status = {value = tonumber(status), value_type = 2},
            bytes = {value = tonumber(bytes), value_type = 2, representation = "B"},
        },
    })
    return 0
end
"#;

const FILTER: &str = r#"
require "circular_buffer"
local ring = circular_buffer.new(read_config("rows"), 2, 60)
ring:set_header(1, "Requests")
ring:set_header(2, "Errors")

function process_message()
    local time = read_message("Timestamp")
    ring:add(time, 1, 1)
    if read_message("Fields[status]") >= 500 then ring:add(time, 2, 1) end
    return 0
end

function timer_event(ns)
    inject_payload("cbuf", "status", ring)
end
"#;

const ENCODER: &str = r#"
function process_message()
    if read_message("Type") == "access" then
        add_to_payload(read_message("Fields[status]"), " ", read_message("Fields[path]"), " ")
        add_to_payload(read_message("Hostname"), " ", read_message("Fields[bytes]"), "\n")
    else
        add_to_payload(read_message("Fields[payload_name]"), ":", read_message("Payload"))
    end
    inject_payload()
    return 0
end
"#;

/// Seconds since 1970 of the first line, which begins a minute.
const BEGIN: usize = 1_200_000_000;
const LINES: usize = 2_000;
const ROWS: usize = 40;

fn status(number: usize) -> usize {
    [200, 200, 304, 404, 500][number % 5]
}

fn access_line(number: usize) -> String {
    let (host, time, status) = (number % 7, BEGIN + number, status(number));
    format!("10.0.0.{host} - - [{time}] \"GET /{number} HTTP/1.1\" {status} {}\n", number * 3)
}

#[test]
fn access_logs_pass_scripts_of_three_kinds() {
    let world = World::new();
    let mut text: String = (0..LINES).map(access_line).collect();
    text.insert_str(0, "neither here\n");
    text.push_str("nor there\n");
    world.write("logs/app.log", text);
    world.write("scripts/access.lua", DECODER);
    world.write("scripts/lines.lua", ENCODER);
    let config = [
        APP_LOG,
        "decoder = 'access'\nlog_decode_failures = false\n",
        &sandbox("Decoder", "access", ""),
        &filter(
            &world,
            "graph",
            FILTER,
            &format!(
                "message_matcher = \"Type == 'access'\"\nticker_interval = 3600\n\
                 timer_event_on_shutdown = true\n[graph.config]\nrows = {ROWS}"
            ),
        ),
        &sandbox("Encoder", "lines", ""),
        &file_out("out", "Type == 'access'", "out.log").replace("'text'", "'lines'"),
        &file_out("graphs", "Type == 'heka.sandbox-output'", "graph.log")
            .replace("'text'", "'lines'"),
    ]
    .concat();
    let mut daemon = world.start(&config);
    let report = daemon.until_report("all lines", |report| {
        report.output("out", "ProcessMessageCount") == LINES as u64
            && report.number("Filters", "graph", "ProcessMessageCount") == LINES as u64
    });
    assert_eq!(report.input("app", "ProcessMessageFailures"), 2, "{}", report.text);
    daemon.stop_well();

    let expected: String = (0..LINES)
        .map(|number| {
            let (status, host) = (status(number), number % 7);
            format!("{status} /{number} 10.0.0.{host} {}\n", number * 3)
        })
        .collect();
    assert_eq!(world.read_text("out.log"), expected);
    assert_graph(&world.read_text("graph.log"));
}

fn assert_graph(text: &str) {
    let mut lines = text.strip_prefix("status:").unwrap().lines();
    let header: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    let minutes = LINES.div_ceil(60);
    assert_eq!(header["time"], BEGIN + minutes * 60 - ROWS * 60);
    assert_eq!((&header["rows"], &header["seconds_per_row"]), (&ROWS.into(), &60.into()));
    assert_eq!(header["column_info"][1]["name"], "Errors");
    let rows: Vec<&str> = lines.collect();
    assert_eq!(rows.len(), ROWS);
    for (index, row) in rows.iter().enumerate() {
        let Some(minute) = (index + minutes).checked_sub(ROWS) else {
            assert_eq!(*row, "nan\tnan");
            continue;
        };
        let numbers = minute * 60..(minute * 60 + 60).min(LINES);
        let errors = numbers.clone().filter(|number| status(*number) >= 500).count();
        assert_eq!(*row, format!("{}\t{errors}", numbers.len()), "minute {minute}");
    }
}

/// Each gets a tenth of the messages; ten of them the same.
#[test]
fn a_hundred_filters_see_what_their_matchers_say() {
    const FILTERS: usize = 100;
    const LINES: usize = 3_000;
    let world = World::new();
    world.write("logs/app.log", Numbered::default().lines(LINES));
    let script = "seen = 0\nfunction process_message() seen = seen + 1 return 0 end\n";
    let mut config = APP_LOG.to_owned();
    for number in 0..FILTERS {
        let digit = number % 10;
        let more =
            format!("preserve_data = true\nmessage_matcher = 'Payload =~ /^[0-9]*{digit} /'");
        config.push_str(&filter(&world, &format!("f{number}"), script, &more));
    }
    let mut daemon = world.start(&config);
    daemon.until_report("all messages", |report| {
        let seen = |number| report.number("Filters", &format!("f{number}"), "ProcessMessageCount");
        (0..FILTERS).all(|number| seen(number) >= LINES as u64 / 10)
    });
    daemon.stop_well();
    for number in 0..FILTERS {
        assert_eq!(preserved_number(&world, &format!("f{number}"), "seen"), LINES as f64 / 10.0);
    }
}
