//! Every plugin of the daemon keeps the contracts.

/// Random bytes are the same each time; another number tries others.
const SEED: u64 = 0x6865_6b61;

#[test]
fn all_plugins_keep_the_contracts() {
    let faults = heka_testkit::check(hekad::PLUGINS, SEED);
    let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{}", shown.join("\n\n"));
}
