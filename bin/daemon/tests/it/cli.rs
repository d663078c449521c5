//! The command line: versions, lists and descriptions of plugins, wrong flags.

use serde_json::Value;

use crate::harness::run;

/// Runs it; it must work.
fn output(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{arguments:?}");
    ended.stdout
}

#[test]
fn the_version_is_printed_in_all_spellings() {
    for flag in ["-version", "--version"] {
        assert_eq!(output(&[flag]), format!("{}\n", hekad::VERSION));
    }
}

#[test]
fn all_plugins_are_listed_below_their_kinds() {
    let list = output(&["plugins"]);
    let mut kind = "";
    let mut found = Vec::new();
    for line in list.lines() {
        match line.strip_prefix("  ") {
            Some(plugin) => {
                let (name, summary) = plugin.split_once(' ').unwrap();
                assert!(format!("{name}s").ends_with(kind), "{name} stands below {kind}");
                assert!(summary.trim().ends_with('.'), "{name} is summed up as {summary:?}");
                found.push(name);
            }
            None => kind = line,
        }
    }
    let expected: Vec<&str> = hekad::PLUGINS.iter().map(|def| def.name).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_list_is_also_there_for_programs() {
    let list: Value = serde_json::from_str(&output(&["plugins", "--json"])).unwrap();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), hekad::PLUGINS.len());
    for (entry, def) in list.iter().zip(hekad::PLUGINS) {
        assert_eq!(entry["name"], def.name);
        assert_eq!(entry["kind"], def.kind.name());
        let options = entry["options"].as_array().unwrap();
        assert_eq!(options.len(), (def.options)().len(), "{}", def.name);
        assert!(options.iter().all(|option| option["doc"].is_string()), "{}", def.name);
    }
}

#[test]
fn every_plugin_is_described() {
    for def in hekad::PLUGINS {
        let page = output(&["plugins", "--describe", def.name]);
        assert!(page.starts_with(&format!("# {}\n", def.name)), "{page}");
        for option in (def.options)() {
            assert!(page.contains(&format!("\n| `{}` |", option.name)), "{} {page}", option.name);
        }
        let json: Value =
            serde_json::from_str(&output(&["plugins", "--json", "--describe", def.name])).unwrap();
        assert_eq!(json["name"], def.name);
    }
}

#[test]
fn an_unknown_plugin_is_refused_with_the_nearest_name() {
    let ended = run(&["plugins", "--describe", "TcpImput"]);
    assert_eq!(ended.code(), 1);
    assert_eq!(ended.stderr, "hekad: there is no plugin 'TcpImput', did you mean 'TcpInput'?\n");
}

#[test]
fn wrong_flags_are_refused_and_help_is_offered() {
    for arguments in [&["-confg=x"][..], &["nonsense"], &["check", "a", "b"], &["-config"]] {
        let ended = run(arguments);
        assert_eq!(ended.code(), 2, "{arguments:?}");
        assert!(ended.stderr.contains("try '--help'"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    let help = output(&["-help"]);
    assert!(help.contains("Usage: hekad"), "{help}");
}
