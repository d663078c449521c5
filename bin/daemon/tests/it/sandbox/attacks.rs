//! Scripts that try to take the daemon with them.

use std::time::{Duration, Instant};

use super::{COUNT, assert_counted, filter, sandbox};
use crate::harness::sections::{APP_LOG, TEXT, file_out};
use crate::harness::{Numbered, World, assert_all_in_order};

/// How long the slowest may take on a busy machine, all of them together.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// What the daemon may use of memory with all of them: limits of 8 MiB each, and what it needs itself.
const RSS_BYTES_MAX: u64 = 256 << 20;
const LINES: usize = 2_000;

/// Filters, and what ends them.
const FILTERS: [(&str, &str, &str); 11] = [
    ("loops", "while true do end", "instruction_limit exceeded"),
    (
        "catches",
        "while true do pcall(function() while true do end end) end",
        "instruction_limit exceeded",
    ),
    ("hogs", "local t = {} while true do t[#t + 1] = string.rep('x', 1000) end", ""),
    ("doubles", "local s = 'x' while true do s = s .. s end", "not enough memory"),
    ("recurses", "local function f() return 1 + f() end f()", "stack overflow"),
    ("patterns", "string.find(string.rep('a', 300000), string.rep('a?', 300000))", ""),
    (
        "backtracks",
        "string.find(string.rep('a', 40), string.rep('a*', 25) .. 'b')",
        "instruction_limit exceeded",
    ),
    ("substitutes", "string.gsub(string.rep('a', 1e6), '.', string.rep('b', 1e6))", ""),
    (
        "handles",
        "while true do xpcall(function() error('a') end, function() error('b') end) end",
        "",
    ),
    ("joins", "local s = string.rep('x', 3e6) while true do local t = s .. 'y' end", ""),
    ("sorts", "local t = {} for i = 1, 1e5 do t[i] = i end while true do table.sort(t) end", ""),
];

/// Inputs have no limit of instructions; what they take of memory has one.
const INPUTS: [(&str, &str); 2] = [
    (
        "storm",
        "local t = {} while true do local c = coroutine.create(function() coroutine.yield(1) end) \
      coroutine.resume(c) t[#t + 1] = c end",
    ),
    ("nests", "local function f() return coroutine.wrap(f)() end f()"),
];

#[test]
fn scripts_that_attack_end_and_harm_nobody() {
    let world = World::new();
    let mut numbered = Numbered::default();
    world.write("logs/app.log", numbered.lines(LINES));
    let lines_only = "message_matcher = \"Type == 'logfile'\"\n";
    let mut config = [
        APP_LOG,
        TEXT,
        "[rst]\ntype = 'RstEncoder'\n",
        &file_out("out", "Type == 'logfile'", "out.log"),
        &file_out("ends", "Type =~ /terminated$/", "ends.log").replace("'text'", "'rst'"),
        &filter(&world, "good", COUNT, &format!("{lines_only}preserve_data = true")),
    ]
    .concat();
    for (name, body, _) in FILTERS {
        let script = format!(
            "require 'string' require 'table'\nfunction process_message()\n{body}\nreturn 0 end"
        );
        config.push_str(&filter(&world, name, &script, lines_only));
    }
    for (name, body) in INPUTS {
        let script = format!("function process_message()\n{body}\nreturn 0 end");
        world.write(&format!("scripts/{name}.lua"), script);
        config.push_str(&sandbox("Input", name, ""));
    }
    let began = Instant::now();
    let mut daemon = world.start(&config);
    let names = FILTERS.iter().map(|it| it.0).chain(INPUTS.iter().map(|it| it.0));
    for name in names {
        let told = format!("value:\"{name}\"");
        daemon.until(&format!("the end of {name}"), || world.read_text("ends.log").contains(&told));
        println!("{name} {:?}", began.elapsed());
    }
    assert!(began.elapsed() < ENDS_WITHIN, "{:?}", began.elapsed());
    world.append("logs/app.log", numbered.lines(LINES));
    daemon.until_report("all lines elsewhere", |report| {
        report.output("out", "ProcessMessageCount") == 2 * LINES as u64
            && report.number("Filters", "good", "ProcessMessageCount") == 2 * LINES as u64
    });
    let most = daemon.memory("VmHWM");
    println!("{} MiB at most, {} at the end", most >> 20, daemon.memory("VmRSS") >> 20);
    assert!(most < RSS_BYTES_MAX, "{} MiB", most >> 20);
    let ended = daemon.stop_well();
    assert!(!ended.stderr.contains("panic"), "{}", ended.stderr);
    assert_counted(&world, "good", 2 * LINES);
    assert_all_in_order(&world.read_text("out.log"), 2 * LINES);
    let ends = world.read_text("ends.log");
    for (name, _, why) in FILTERS {
        let told = ends.split("\n:Timestamp").find(|it| it.contains(&format!("value:\"{name}\"")));
        assert!(told.is_some_and(|told| told.contains(why)), "{name}: {told:?}");
    }
}
