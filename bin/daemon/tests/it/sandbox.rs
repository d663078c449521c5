//! Scripts in the running daemon: all kinds in a pipeline, crashes, failures, reloads, filters loaded on the way, attacks.
//!
//! Here: what all of these share. Not here: what a script sees (`crates/sandbox`), plugins by themselves
//! (`plugins/sandbox`).

mod attacks;
mod crashes;
mod failures;
mod inputs;
mod managed;
mod outputs;
mod pipeline;
mod reload;
mod trial;

use std::collections::BTreeMap;

use crate::harness::World;

/// Counts messages and adds their numbers up, in data that lasts and in a ring.
const COUNT: &str = r#"
require "string"
require "circular_buffer"
count = 0
sum = 0
ring = circular_buffer.new(10, 1, 60)

function process_message()
    local number = tonumber(string.match(read_message("Payload"), "^(%d+) "))
    if not number then return -1, "no number" end
    count = count + 1
    sum = sum + number
    ring:add(0, 1, 1)
    return 0
end
"#;

/// A section of a sandbox plugin whose script is `scripts/NAME.lua`.
fn sandbox(kind: &str, name: &str, more: &str) -> String {
    format!("\n[{name}]\ntype = 'Sandbox{kind}'\nfilename = '$DIR/scripts/{name}.lua'\n{more}\n")
}

/// A section of a filter, and its script.
fn filter(world: &World, name: &str, script: &str, more: &str) -> String {
    world.write(&format!("scripts/{name}.lua"), script);
    sandbox("Filter", name, more)
}

/// Preserved data of a plugin after a stop: the scalars by their names.
fn preserved(world: &World, name: &str) -> BTreeMap<String, String> {
    let text = world.read_text(&format!("base/sandbox_preservation/{name}.data"));
    let scalar = |line: &str| {
        let (name, value) = line.strip_prefix("_G[\"")?.split_once("\"] = ")?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(scalar).collect()
}

/// A number of the preserved data; 0 if it has none of the name.
fn preserved_number(world: &World, plugin: &str, name: &str) -> f64 {
    preserved(world, plugin).get(name).map_or(0.0, |text| text.parse().unwrap())
}

/// Asserts that [`COUNT`] counted each of so many lines once.
fn assert_counted(world: &World, plugin: &str, lines: usize) {
    let number = |name| preserved_number(world, plugin, name);
    let sum = lines as f64 * (lines as f64 - 1.0) / 2.0;
    assert_eq!((number("count"), number("sum")), (lines as f64, sum), "{plugin}");
    let text = world.read_text(&format!("base/sandbox_preservation/{plugin}.data"));
    let ring = text.split("[\"ring\"]:fromstring(\"").nth(1).unwrap_or_else(|| panic!("{text}"));
    let (ring, _) = ring.split_once('"').unwrap();
    // Behind the newest row's time and place.
    let cells = ring.split(' ').skip(2).map(|cell| cell.parse::<f64>().unwrap());
    let in_ring: f64 = cells.filter(|value| !value.is_nan()).sum();
    assert_eq!(in_ring, lines as f64, "{ring}");
}
