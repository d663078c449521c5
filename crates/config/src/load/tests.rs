//! Files and directories, merging, globals.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Problems of the configuration in the folder, file names without the folder.
fn check(folder: &TempDir) -> (Config, Vec<String>) {
    let (config, problems) = load_with_environment(folder.path(), &|name| {
        (name == "PORT").then(|| OsString::from("5565"))
    });
    let prefix = format!("{}/", folder.path().display());
    let shown = problems.iter().map(|problem| problem.to_string().replace(&prefix, ""));
    (config, shown.collect())
}

fn names(config: &Config) -> Vec<&str> {
    config.sections.iter().map(|section| section.name.as_str()).collect()
}

#[test]
fn a_directory_is_read_in_byte_order_and_not_below() {
    let folder = folder(&[
        ("b.toml", "[bInput]"),
        ("B.toml", "[BInput]"),
        ("a.toml", "[aInput]"),
        ("c.toml.bak", "junk"),
        ("d.conf", "junk"),
    ]);
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("sub/x.toml"), "junk").unwrap();
    let (config, problems) = check(&folder);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(names(&config), ["BInput", "aInput", "bInput"]);
}

#[test]
fn a_directory_named_like_a_file_is_an_error() {
    let folder = folder(&[("a.toml", "[aInput]")]);
    fs::create_dir(folder.path().join("x.toml")).unwrap();
    assert_eq!(check(&folder).1, ["x.toml: is a directory, expected a file"]);
}

#[test]
fn an_unreadable_path_is_an_error() {
    let (_, problems) = load(Path::new("/nonexistent/hekad.toml"));
    assert!(problems.to_string().starts_with("/nonexistent/hekad.toml: cannot read: "));
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_configuration_without_sections_is_an_error() {
    let empty = folder(&[]);
    assert!(check(&empty).1[0].contains("empty configuration"));
    let globals_only = folder(&[("a.toml", "[hekad]\nmaxprocs = 2")]);
    assert!(check(&globals_only).1[0].contains("empty configuration"));
}

#[test]
fn a_file_that_is_too_long_is_an_error() {
    let length = usize::try_from(MAX_FILE_BYTES).unwrap();
    let fits = format!("[aInput]\n#{}", "x".repeat(length - 10));
    let folder = folder(&[("a.toml", &fits)]);
    assert_eq!(check(&folder).1, Vec::<String>::new());
    fs::write(folder.path().join("a.toml"), format!("{fits}x")).unwrap();
    let expected = format!("a.toml: cannot read: the file is longer than {MAX_FILE_BYTES} bytes");
    assert_eq!(check(&folder).1, [expected]);
}

#[test]
fn variables_are_put_in_and_places_stay_those_of_the_file() {
    let text = "[aInput]\naddress = \"%ENV[PORT]\" x\n";
    let folder = folder(&[("a.toml", text)]);
    assert_eq!(check(&folder).1, ["a.toml:2:24: unexpected 'x' after the value"]);
    let (config, _) = check(&folder);
    let address = config.sections[0].table.get("address").unwrap();
    assert_eq!(address.value.as_str(), Some("5565"));
}

#[test]
fn the_later_table_replaces_the_earlier_one_whole() {
    let folder = folder(&[
        (
            "a.toml",
            "[hekad]\nmaxprocs = 7\nlog_flags = 0\n[x]\ntype = 'TcpInput'\na = 1\n[y]\ntype = 'UdpInput'",
        ),
        ("b.toml", "[x]\ntype = 'UdpInput'\nb = 1\n[hekad]\nlog_flags = 1"),
    ]);
    let (config, problems) = check(&folder);
    assert_eq!(
        problems,
        [
            "b.toml:1:1: warning: [x] replaces all of [x] of a.toml:4, settings are not merged",
            "b.toml:4:1: warning: [hekad] replaces all of [hekad] of a.toml:1, settings are not merged",
        ]
    );
    assert_eq!((config.globals.maxprocs, config.globals.log_flags), (0, 1));
    assert_eq!(names(&config), ["y", "x"]);
    assert!(config.sections[1].table.get("a").is_none());
}

#[test]
fn one_name_in_two_kinds_coexists() {
    let folder =
        folder(&[("a.toml", "[x]\ntype = 'TcpInput'"), ("b.toml", "[x]\ntype = 'TcpOutput'")]);
    let (config, problems) = check(&folder);
    assert_eq!(problems, Vec::<String>::new());
    let kinds: Vec<_> = config.sections.iter().filter_map(Section::category).collect();
    assert_eq!(kinds, [Category::Input, Category::Output]);
}

#[test]
fn the_type_is_the_name_unless_given() {
    let text = "[TcpInput]\n[a]\nTYPE = 'UdpInput'\n[TcpOutput]\ntype = ''\n[b]\ntype = 3";
    let (config, problems) = parse_config(text, "t.toml");
    let types: Vec<&str> =
        config.sections.iter().map(|section| section.plugin_type.as_str()).collect();
    assert_eq!(types, ["TcpInput", "UdpInput", "TcpOutput"]);
    assert_eq!(problems.to_string(), "t.toml:7:1: [b] 'type' must be a string, found an integer\n");
}

#[test]
fn what_is_no_section_is_an_error() {
    let (_, problems) = parse_config("x = 1\n[[a]]\n[Hekad]\n", "t.toml");
    let expected = "t.toml:1:1: setting 'x' stands outside of any section\n\
        t.toml:2:1: 'a' is an array, expected a section\n\
        t.toml:3:1: unknown section [Hekad], did you mean 'hekad'?\n";
    assert_eq!(problems.to_string(), expected);
}

#[test]
fn problems_of_all_files_are_found_together() {
    let folder = folder(&[
        ("a.toml", "[a"),
        ("b.toml", "[hekad]\nmaxproc = 1\nsample_denominator = 0"),
        ("c.toml", "x"),
    ]);
    fs::write(folder.path().join("d.toml"), b"\xff").unwrap();
    assert_eq!(
        check(&folder).1,
        [
            "a.toml:1:1: the section name is not closed, ']' is missing",
            "b.toml:2:1: [hekad] unknown option 'maxproc', did you mean 'maxprocs'?",
            "b.toml:3:1: [hekad] 'sample_denominator' must be at least 1",
            "c.toml:1:1: expected '=' after the key 'x'",
            "d.toml:1:1: the file is not valid UTF-8 from here on",
        ]
    );
}

fn globals(text: &str) -> (Globals, String) {
    let (config, problems) = parse_config(&format!("[hekad]\n{text}"), "t");
    (config.globals, problems.to_string())
}

#[test]
fn globals_have_the_defaults_of_heka_or_better_ones() {
    let (globals, problems) = globals("");
    assert_eq!(problems, "");
    assert_eq!(globals, Globals::default());
    assert!(globals.workers() >= 1);
    assert_eq!((globals.message_size(), globals.message_loops()), (65536, 4));
    assert_eq!((globals.max_process_inject, globals.max_timer_inject), (1, 10));
    assert_eq!((globals.max_process_duration, globals.full_buffer_max_retries), (100_000, 10));
    assert_eq!((globals.sample_denominator, globals.log_flags), (1000, 3));
    assert_eq!(globals.memory_limit, crate::Size::mib(128));
    assert_eq!(globals.shutdown_timeout.get(), Duration::from_secs(30));
    assert_eq!(globals.in_base_dir("x"), Path::new("/var/cache/hekad/x"));
    assert_eq!(globals.in_share_dir("/x"), Path::new("/x"));
}

#[test]
fn globals_are_read() {
    let (globals, problems) = globals(
        "maxprocs = 3\nbase_dir = '/b'\nMax_Message_Size = 1025\nlog_format = 'json'\n\
         memory_limit = '1GiB'\nshutdown_timeout = '5s'\nmax_message_loops = 0\nhostname = 'h'",
    );
    assert_eq!(problems, "");
    assert_eq!((globals.workers(), globals.message_size()), (3, 1025));
    assert_eq!(globals.log_format, crate::LogFormat::Json);
    assert_eq!((globals.message_loops(), globals.hostname.as_str()), (1, "h"));
}

#[test]
fn retired_globals_warn_that_they_have_no_effect() {
    let text =
        "poolsize = 1\nplugin_chansize = 1\ncpuprof = 'x'\nmemprof = 'x'\nmax_pack_idle = '2m'";
    let (_, problems) = globals(text);
    assert_eq!(problems.lines().count(), 5);
    for line in problems.lines() {
        assert!(line.contains(": warning: [hekad] '") && line.contains("no effect here, because"));
    }
    assert!(globals("max_pack_idle = 'x'").1.contains("'x' is no duration"));
}

#[test]
fn globals_outside_their_range_are_errors() {
    for (text, expected) in [
        ("max_message_size = 1024", "must lie in 1025..=4294967295"),
        ("max_message_size = 4294967296", "must lie in 1025..=4294967295"),
        ("max_message_size = -1", "-1 must not be negative"),
        ("max_message_loops = -1", "-1 must not be negative"),
        ("max_message_loops = 4294967296", "is out of range, expected 0..=4294967295"),
        ("memory_limit = '1023KiB'", "must be at least 1MiB"),
        ("maxprocs = 4097", "must not be above 4096"),
        ("base_dir = ''", "must not be empty"),
        ("log_flags = 'x'", "'log_flags': expected an integer, found a string"),
    ] {
        let (globals, problems) = globals(text);
        assert!(problems.contains(expected), "{text}: {problems}");
        assert_eq!(globals, Globals::default(), "{text}");
    }
    assert_eq!(globals("memory_limit = '1MiB'\nmax_message_size = 0").1, "");
    assert_eq!(globals("max_message_size = 4294967295\nmemory_limit = '64GiB'").1, "");
}

#[test]
fn implicit_sections_yield_to_given_ones_of_that_name() {
    let (mut config, _) = parse_config("[TokenSplitter]\ntype = 'LogOutput'", "t");
    assert!(!config.add_implicit("TokenSplitter"));
    assert!(config.add_implicit("NullSplitter"));
    assert_eq!(config.sections[1].category(), Some(Category::Splitter));
}

#[test]
fn a_directory_of_too_many_files_is_an_error() {
    let folder = folder(&[]);
    for index in 0..MAX_DIRECTORY_FILES {
        fs::write(folder.path().join(format!("{index:05}.toml")), "").unwrap();
    }
    fs::write(folder.path().join("00000.toml"), "[aInput]").unwrap();
    assert_eq!(check(&folder).1, Vec::<String>::new());
    fs::write(folder.path().join("z.toml"), "[zInput]").unwrap();
    let (config, problems) = check(&folder);
    assert!(problems[0].contains("more than 4096 configuration files"));
    assert_eq!(names(&config), ["aInput"]);
}

#[test]
fn text_that_came_from_a_variable_is_not_shown() {
    let text = "[a%ENV[KEY]Input]\na = \"%ENV[KEY]\"\nb = %ENV[KEY]\nc = 1 %ENV[KEY]\n%ENV[KEY]x\n";
    let folder = folder(&[("a.toml", text)]);
    let (_, problems) = load_with_environment(folder.path(), &|_| Some("hunter2\nhunter3".into()));
    assert!(problems.error_count() > 3);
    for problem in &problems {
        assert!(!problem.message.contains("hunter"), "{problem}");
    }
}

#[test]
fn many_sections_are_merged_in_time_that_grows_with_their_number() {
    let text: String = (0..100_000).map(|index| format!("[s{index}]\n")).collect();
    assert_eq!(parse_config(&text, "t").0.sections.len(), 100_000);
}
