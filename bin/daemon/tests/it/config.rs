//! Configurations: those that Heka's users have are taken, and all faults of a bad one are told at once.

use serde_json::Value;

use crate::harness::{World, run};

/// Configurations as Heka's documentation shows them.
const FROM_HEKAS_DOCUMENTATION: [(&str, &str); 16] = [
    (
        "nginx files",
        r#"
[nginx_access]
type = "LogstreamerInput"
log_directory = "/var/log/nginx"
file_match = 'access\.log\.?(?P<Index>\d+)?(.gz)?'
priority = ["^Index"]
decoder = "access"

[access]
type = "ScribbleDecoder"
    [access.message_fields]
    Type = "nginx.access"

[out]
type = "LogOutput"
message_matcher = "TRUE"
encoder = "RstEncoder"

[RstEncoder]
"#,
    ),
    (
        "files of many hosts with years and months",
        r#"
[accesslogs]
type = "LogstreamerInput"
log_directory = "/var/log"
file_match = '(?P<DomainName>[^/]+)/(?P<Year>\d+)/(?P<Month>\d+)/access\.log'
priority = ["Year", "Month"]
differentiator = ["nginx-", "DomainName", "-access"]
oldest_duration = "168h"
rescan_interval = "1m"

[CounterFilter]
[LogOutput]
message_matcher = "Type == 'heka.counter-output'"
encoder = "PayloadEncoder"
[PayloadEncoder]
"#,
    ),
    (
        "translated month names",
        r#"
[custom]
type = "LogstreamerInput"
log_directory = "/var/log"
file_match = 'system/(?P<MonthName>\w+)/access\.log'
priority = ["MonthName"]

[custom.translation.MonthName]
"january" = 1
"february" = 2
missing = 9999

[out]
type = "NullOutput"
message_matcher = "TRUE"
"#,
    ),
    (
        "TcpInput with signers",
        r#"
[TcpInput]
address = ":5565"
splitter = "acl"

[acl]
type = "HekaFramingSplitter"

[acl.signer.ops_0]
hmac_key = "4865ey9urgkidls xtb0[7lf9rzcivthkm"
[acl.signer.ops_1]
hmac_key = "xdd908lfcgikauexdi8elogusridaxoalf"

[acl.signer.dev_1]
hmac_key = "haeoufyaiofeugdsnzaogpi.ua,dp.804u"

[tcp_control]
type = "TcpInput"
address = ":5566"

[out]
type = "LogOutput"
message_matcher = "Type !~ /^heka/"
message_signer = "ops"
encoder = "ProtobufEncoder"
"#,
    ),
    (
        "UdpInput with syslog",
        r#"
[syslog]
type = "UdpInput"
address = "127.0.0.1:514"
splitter = "NullSplitter"
decoder = "rsyslog"
set_hostname = true

[rsyslog]
type = "SyslogDecoder"
tz = "America/Los_Angeles"

[out]
type = "LogOutput"
message_matcher = "TRUE"
encoder = "PayloadEncoder"

[PayloadEncoder]
append_newlines = false
"#,
    ),
    (
        "a socket of the journal",
        r#"
[syslog]
type = "UdpInput"
net = "unixgram"
address = "/var/run/heka/syslog.sock"

[NullOutput]
message_matcher = "TRUE"
"#,
    ),
    (
        "Apache lines by expression",
        r#"
[UdpInput]
address = "127.0.0.1:4880"
decoder = "apache_transform_decoder"

[apache_transform_decoder]
type = "PayloadRegexDecoder"
match_regex = '^(?P<RemoteIP>\S+) \S+ \S+ \[(?P<Timestamp>[^\]]+)\] "(?P<Method>[A-Z]+) (?P<Url>[^\s]+)[^"]*" (?P<StatusCode>\d+) (?P<RequestSize>\d+) "(?P<Referer>[^"]*)" "(?P<Browser>[^"]*)"'
timestamp_layout = "02/Jan/2006:15:04:05 -0700"

# severities in this case would work only if a (?P<Severity>...) matching
# group was present in the regex, and the log file contained this information.
[apache_transform_decoder.severity_map]
DEBUG = 7
INFO = 6
WARNING = 4

[apache_transform_decoder.message_fields]
Type = "ApacheLogfile"
Logger = "apache"
Url|uri = "%Url%"
Method = "%Method%"
Status = "%StatusCode%"
RequestSize|B = "%RequestSize%"
Referer = "%Referer%"
Browser = "%Browser%"

[LogOutput]
message_matcher = "Type == 'ApacheLogfile'"
encoder = "RstEncoder"
"#,
    ),
    (
        "MultiDecoder",
        r#"
[shared_decoder]
type = "MultiDecoder"
subs = ['access-json-decoder', 'access-regex-decoder']
cascade_strategy = "first-wins"
log_sub_errors = true

[access-json-decoder]
type = "JsonDecoder"

[access-regex-decoder]
type = "PayloadRegexDecoder"
match_regex = '(?P<Line>.*)'
    [access-regex-decoder.message_fields]
    Type = "plain"

[StdinInput]
decoder = "shared_decoder"

[LogOutput]
message_matcher = "TRUE"
encoder = "RstEncoder"
"#,
    ),
    (
        "CounterFilter",
        r#"
[CounterFilter]
message_matcher = "Type != 'heka.counter-output'"
ticker_interval = 5

[LogOutput]
message_matcher = "Type == 'heka.counter-output'"
encoder = "PayloadEncoder"

[PayloadEncoder]

[UdpInput]
address = "127.0.0.1:5565"
"#,
    ),
    (
        "FileOutput",
        r#"
[counter_file]
type = "FileOutput"
message_matcher = "Type == 'heka.counter-output'"
path = "/var/log/heka/counter-output.log"
perm = "666"
flush_count = 100
flush_operator = "OR"
encoder = "PayloadEncoder"

[rotated]
type = "FileOutput"
message_matcher = "TRUE"
path = "/var/log/heka/%Y/%m/%d.log"
rotation_interval = 24
folder_perm = "755"
use_framing = true
encoder = "ProtobufEncoder"

[PayloadEncoder]
prefix_ts = true
ts_from_message = false
ts_format = "2006/01/02 3:04:05PM"

[TcpInput]
address = "127.0.0.1:5565"
"#,
    ),
    (
        "TcpOutput with buffering and retries",
        r#"
[aggregator_output]
type = "TcpOutput"
address = "heka-aggregator.mydomain.com:55"
local_address = "127.0.0.1"
message_matcher = "Type != 'logfile' && Type !~ /^heka\\./"
keep_alive = true
keep_alive_period = 7200
reconnect_after = 1000

[aggregator_output.retries]
max_jitter = "500ms"
max_delay = "30s"
delay = "250ms"
max_retries = -1

[aggregator_output.buffering]
max_file_size = 134217728
max_buffer_size = 1073741824
full_action = "block"
cursor_update_count = 1

[TcpInput]
address = "127.0.0.1:5565"
"#,
    ),
    (
        "UdpOutput",
        r#"
[PayloadEncoder]

[UdpOutput]
address = "myserver.example.com:34567"
message_matcher = "Type == 'syslog'"
encoder = "PayloadEncoder"

[TcpInput]
address = "127.0.0.1:5565"
"#,
    ),
    (
        "splitters",
        r#"
[split_on_space]
type = "TokenSplitter"
delimiter = " "

[split_on_line_pairs]
type = "TokenSplitter"
count = 2

[mysql_slow_query]
type = "RegexSplitter"
delimiter = '\n(# User@Host:)'
delimiter_eol = false

[stacks]
type = "PatternGroupingSplitter"
delimiter = '\n'
grouping = '(\])\s*$|^\s+at'

[one]
type = "TcpInput"
address = ":5001"
splitter = "split_on_space"
decoder = ""
[two]
type = "TcpInput"
address = ":5002"
splitter = "split_on_line_pairs"
decoder = ""
[three]
type = "TcpInput"
address = ":5003"
splitter = "mysql_slow_query"
decoder = ""
[four]
type = "TcpInput"
address = ":5004"
splitter = "stacks"
decoder = ""
[NullOutput]
message_matcher = "TRUE"
"#,
    ),
    (
        "retired settings of the daemon",
        r#"
[hekad]
maxprocs = 4
poolsize = 100
plugin_chansize = 30
max_message_loops = 4
max_process_inject = 10
max_timer_inject = 10
sample_denominator = 1000
max_message_size = 65536
log_flags = 3
full_buffer_max_retries = 10
hostname = "myhost"

[StdinInput]
[NullOutput]
message_matcher = "TRUE"
"#,
    ),
    (
        "framed messages are kept and read again",
        r#"
[StdinInput]
splitter = "HekaFramingSplitter"
decoder = "ProtobufDecoder"

[FileOutput]
message_matcher = "TRUE"
path = "/tmp/archive.heka"
encoder = "ProtobufEncoder"
"#,
    ),
    (
        "matchers of the documentation",
        r#"
[StdinInput]
[a]
type = "NullOutput"
message_matcher = "Type == 'test' && Severity == 6"
[b]
type = "NullOutput"
message_matcher = "(Severity == 7 || Payload == 'Test Payload') && Type == 'test'"
[c]
type = "NullOutput"
message_matcher = "Fields[foo] != 'bar'"
[d]
type = "NullOutput"
message_matcher = "Fields[foo][1][0] == 'alternate'"
[e]
type = "NullOutput"
message_matcher = "Fields[MyBool] == TRUE"
[f]
type = "NullOutput"
message_matcher = "TRUE"
[g]
type = "NullOutput"
message_matcher = "Fields[created] =~ /%TIMESTAMP%/"
[h]
type = "NullOutput"
message_matcher = "Fields[widget] != NIL"
[i]
type = "NullOutput"
message_matcher = "Type =~ /^hekad?\\.(?:all|memory)-report/ && Pid > 10 && EnvVersion <= '1'"
"#,
    ),
];

/// Writes the text as it stands, without anything before it, so that lines are those of the text.
fn check(world: &World, text: &str) -> (i32, Vec<String>) {
    world.write("a.toml", text);
    check_path(world, "a.toml")
}

fn check_path(world: &World, name: &str) -> (i32, Vec<String>) {
    let path = world.text_path(name);
    let ended = run(&["check", &path]);
    assert_eq!(ended.stderr, "", "{name}");
    let directory = format!("{}/", world.directory().display());
    let lines = ended.stdout.lines().map(|line| line.replace(&directory, "")).collect();
    (ended.code(), lines)
}

#[test]
fn configurations_of_hekas_documentation_are_taken() {
    let world = World::new();
    for (name, text) in FROM_HEKAS_DOCUMENTATION {
        let (code, lines) = check(&world, text);
        assert_eq!(code, 0, "{name}: {lines:#?}");
        assert!(lines.last().unwrap().starts_with("0 errors"), "{name}: {lines:#?}");
    }
}

const STDIN_IN_MEMORY: &str = "    from StdinInput: best-effort: StdinInput cannot ask again for what \
                               was in memory at a crash (use_buffering is off)";

#[test]
fn check_says_what_is_promised_on_each_route() {
    let text = "[StdinInput]\n[LogstreamerInput]\nfile_match = 'x'\n\
                [TcpOutput]\nmessage_matcher = 'TRUE'\n\
                [NullOutput]\nmessage_matcher = 'TRUE'\n\
                [UdpOutput]\nmessage_matcher = 'TRUE'\naddress = '127.0.0.1:9'\nencoder = 'PayloadEncoder'\n\
                [UdpOutput.buffering]\nfull_action = 'drop'\n";
    let (code, lines) = check(&World::new(), text);
    assert_eq!(code, 0, "{lines:#?}");
    let routes: Vec<&str> = lines.iter().map(|line| line.trim_start()).collect();
    assert_eq!(
        routes,
        [
            "TcpOutput (TcpOutput) gets TRUE",
            "from StdinInput: best-effort: StdinInput cannot ask again for what it took in the 10ms \
             before a crash",
            "from LogstreamerInput: at-least-once",
            "NullOutput (NullOutput) gets TRUE",
            STDIN_IN_MEMORY.trim_start(),
            "from LogstreamerInput: at-least-once",
            "UdpOutput (UdpOutput) gets TRUE",
            "from StdinInput: best-effort: StdinInput cannot ask again for what was in memory at a crash \
             (use_buffering is off); full_action = \"drop\" loses what its window has no room for; UDP \
             gives no answer",
            "from LogstreamerInput: best-effort: full_action = \"drop\" loses what its window has no room \
             for; UDP gives no answer",
            "0 errors, 0 warnings",
        ]
    );
}

#[test]
fn check_says_what_each_consumer_gets() {
    let text = "[StdinInput]\n[a]\ntype = 'NullOutput'\nmessage_matcher = 'Severity < 3'\n[CounterFilter]\n";
    let (code, lines) = check(&World::new(), text);
    assert_eq!(code, 0);
    assert_eq!(
        lines,
        [
            "CounterFilter (CounterFilter) gets Type != 'heka.counter-output'",
            STDIN_IN_MEMORY,
            "a (NullOutput) gets Severity < 3",
            STDIN_IN_MEMORY,
            "0 errors, 0 warnings",
        ]
    );
}

/// A configuration with one fault of each sort.
const BAD: &str = r#"[hekad]
maxproc = 2

[in]
type = "TcpInput"
adress = "127.0.0.1:5565"
splitter = "linse"
decoder = "acess"

[lines]
type = "RegexSplitter"
delimiter = '(\n'

[access]
type = "PayloadRegexDecoder"
match_regex = '(?P<a>.*'

[other]
type = "UdpImput"

[ring]
type = "MultiDecoder"
subs = ["gnir"]

[gnir]
type = "MultiDecoder"
subs = ["ring"]

[alone]
type = "MultiDecoder"
subs = ["nobody"]

[out]
type = "TcpOutput"
message_matcher = "Type = 'x'"
address = "127.0.0.1"

[log]
type = "LogOutput"
message_matcher = "TRUE"

[file]
type = "FileOutput"
message_matcher = "TRUE"
path = "/tmp/x"
encoder = "PaylodEncoder"
flush_count = "many"

[silent]
type = "NullOutput"
"#;

/// Whether some line begins with the place and holds each part.
fn assert_told(lines: &[String], place: &str, parts: &[&str]) {
    let told = lines
        .iter()
        .any(|line| line.starts_with(place) && parts.iter().all(|part| line.contains(part)));
    assert!(told, "nothing at {place} says {parts:?}:\n{}", lines.join("\n"));
}

#[test]
fn all_faults_are_told_at_once_with_their_places() {
    let (code, lines) = check(&World::new(), BAD);
    assert_eq!(code, 1);
    for line in [
        "a.toml:2:1: [hekad] unknown option 'maxproc', did you mean 'maxprocs'?",
        "a.toml:4:1: [in] missing required option 'address'",
        "a.toml:6:1: [in] unknown option 'adress', did you mean 'address'?",
        "a.toml:19:1: [other] no registered plugin type: UdpImput, did you mean 'UdpInput'?",
        "a.toml:38:1: [log] LogOutput needs an encoder",
        "a.toml:49:1: [silent] missing message_matcher",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line}\nis not in\n{}", lines.join("\n"));
    }
    assert_told(&lines, "a.toml:12:1: [lines]", &["delimiter"]);
    assert_told(&lines, "a.toml:16:1: [access]", &["match_regex"]);
    assert_told(&lines, "a.toml:35:1: [out]", &["message_matcher"]);
    assert_told(&lines, "a.toml:36:1: [out]", &["address", "has no port"]);
    assert_told(&lines, "a.toml:47:15: [file]", &["flush_count", "integer"]);
    let places = lines.iter().filter(|line| line.starts_with("a.toml:")).count();
    assert_eq!(lines.last().unwrap(), &format!("{places} errors, 0 warnings"), "{lines:#?}");
}

/// References are checked too where the section that holds them, or the one that is meant, has faults of its own.
#[test]
fn references_are_checked_in_sections_with_other_faults() {
    let (_, lines) = check(&World::new(), BAD);
    assert_told(&lines, "a.toml:7:1: [in]", &["no splitter section 'linse'", "mean 'lines'?"]);
    assert_told(&lines, "a.toml:8:1: [in]", &["no decoder section 'acess'", "mean 'access'?"]);
    let encoder = ["no encoder section 'PaylodEncoder'", "mean 'PayloadEncoder'?"];
    assert_told(&lines, "a.toml:46:1: [file]", &encoder);
}

#[test]
fn decoders_that_contain_others_are_told_with_their_places() {
    let (_, lines) = check(&World::new(), BAD);
    assert_told(&lines, "a.toml:23:1: [ring]", &["circular dependency detected"]);
    assert_told(&lines, "a.toml:27:1: [gnir]", &["circular dependency detected"]);
    assert_told(&lines, "a.toml:31:1: [alone]", &["non-existent subdecoder: nobody"]);
}

/// A section with a fault is there all the same: who names it does nothing wrong.
#[test]
fn a_faulty_section_is_not_missing() {
    let text = "[StdinInput]\nsplitter = 'a'\ndecoder = 'b'\n\
                [a]\ntype = 'TokenSplitter'\ncuont = 1\n\
                [b]\ntype = 'JsonDecoder'\nmaximum_dept = 1\n\
                [LogOutput]\nmessage_matcher = 'TRUE'\nencoder = 'c'\n\
                [c]\ntype = 'PayloadEncoder'\nprefix_t = true\n";
    let (code, lines) = check(&World::new(), text);
    assert_eq!(code, 1);
    assert_eq!(
        lines,
        [
            "a.toml:6:1: [a] unknown option 'cuont', did you mean 'count'?",
            "a.toml:9:1: [b] unknown option 'maximum_dept', did you mean 'maximum_depth'?",
            "a.toml:15:1: [c] unknown option 'prefix_t', did you mean 'prefix_ts'?",
            "3 errors, 0 warnings",
        ]
    );
}

#[test]
fn problems_are_also_there_for_programs() {
    let world = World::new();
    world.write("a.toml", BAD);
    let ended = run(&["check", "--json", &world.text_path("a.toml")]);
    assert_eq!(ended.code(), 1);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let problems = report["problems"].as_array().unwrap();
    let adress = problems.iter().find(|problem| problem["line"] == 6).unwrap();
    assert_eq!(adress["section"], "in");
    assert_eq!(adress["suggestion"], "address");
    assert_eq!(adress["severity"], "error");
    assert_eq!(adress["column"], 1);
}

#[test]
fn running_a_bad_configuration_tells_the_same_and_ends() {
    let world = World::new();
    world.write("a.toml", BAD);
    let path = world.text_path("a.toml");
    let checked = run(&["check", &path]);
    let ended = run(&["-config", &path]);
    assert_eq!(ended.code(), 1);
    let problems: Vec<&str> = checked.stdout.lines().filter(|it| it.starts_with('/')).collect();
    assert!(problems.len() > 10, "{problems:?}");
    for problem in problems {
        assert!(ended.stderr.contains(problem), "{problem}\nis not in\n{}", ended.stderr);
    }
}

#[test]
fn a_directory_is_one_configuration_and_later_files_win() {
    let world = World::new();
    world.write("conf/20_out.toml", "[out]\ntype = 'NullOutput'\nmessage_matcher = 'FALSE'\n");
    world
        .write("conf/10_in.toml", "[StdinInput]\n[out]\ntype = 'NullOutput'\nmesage_matcher = 1\n");
    world.write("conf/notes.txt", "no configuration");
    world.write("conf/deeper/30_other.toml", "[nonsense]\n");
    let (code, lines) = check_path(&world, "conf");
    assert_eq!(code, 0, "{lines:#?}");
    assert_eq!(
        lines,
        [
            "conf/20_out.toml:1:1: warning: [out] replaces all of [out] of conf/10_in.toml:2, \
             settings are not merged",
            "out (NullOutput) gets FALSE",
            STDIN_IN_MEMORY,
            "0 errors, 1 warnings",
        ]
    );
}

#[test]
fn a_section_twice_in_one_file_is_an_error() {
    let text = "[StdinInput]\n[out]\ntype = 'NullOutput'\nmessage_matcher = 'TRUE'\n[out]\n";
    let (code, lines) = check(&World::new(), text);
    assert_eq!(code, 1);
    assert_told(&lines, "a.toml:5:", &["out", "already"]);
}

#[test]
fn files_that_cannot_be_read_and_empty_ones_are_errors() {
    let world = World::new();
    let (code, lines) = check_path(&world, "missing.toml");
    assert_eq!(code, 1);
    assert_told(&lines, "missing.toml: cannot read", &["No such file"]);
    let (code, lines) = check(&world, "# nothing\n");
    assert_eq!(code, 1);
    assert_told(&lines, "a.toml: ", &["empty configuration"]);
    world.write("a.toml", b"[a]\nb = '\xff'\n");
    let (code, lines) = check_path(&world, "a.toml");
    assert_eq!(code, 1);
    assert_told(&lines, "a.toml:2:6: ", &["UTF-8"]);
}

#[test]
fn a_secret_is_never_shown() {
    let world = World::new();
    let text = "[in]\ntype = 'TcpInput'\naddress = ':5565'\nsplitter = 'signed'\n\
                [signed]\ntype = 'HekaFramingSplitter'\n\
                [signed.signer.ops_0]\nhmac_key = 'hush-hush'\nhmac_ky = 'hush-hush'\n\
                [NullOutput]\nmessage_matcher = 'TRUE'\n";
    world.write("a.toml", text);
    let path = world.text_path("a.toml");
    for arguments in [&["check", &path][..], &["check", "--json", &path], &["-config", &path]] {
        let ended = run(arguments);
        assert_eq!(ended.code(), 1);
        assert!(!(ended.stdout + &ended.stderr).contains("hush-hush"), "{arguments:?}");
    }
}
