//! Sections into structs: every kind of problem, all at once, each at its place.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    Buffering, ClientAuth, CommonConsumer, CommonInput, CommonSplitter, FullAction, GoDuration,
    Milliseconds, NoCommon, Octal, Oversize, Retries, Seconds, Secret, Size, Tls, TlsVersion,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Fast,
    Slow,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Command {
    bin: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Everything {
    #[schemars(extend("x-required" = true))]
    address: String,
    /// Also a common key of inputs.
    splitter: String,
    ratio: f64,
    count: u16,
    offset: i8,
    flag: bool,
    wait: GoDuration,
    tick: Seconds,
    timeout: Milliseconds,
    limit: Size,
    perm: Octal,
    password: Secret,
    path: PathBuf,
    mode: Mode,
    list: Vec<String>,
    headers: BTreeMap<String, String>,
    command: BTreeMap<String, Command>,
    free: BTreeMap<String, Json>,
    maybe: Option<u32>,
    tls: Tls,
    #[schemars(extend("x-retired" = "it is done elsewhere"))]
    old: Option<bool>,
}

impl Default for Everything {
    fn default() -> Self {
        Self {
            address: String::new(),
            splitter: "TokenSplitter".into(),
            ratio: 1.0,
            count: 0,
            offset: 0,
            flag: false,
            wait: GoDuration::ZERO,
            tick: Seconds::new(5),
            timeout: Milliseconds::ZERO,
            limit: Size::new(0),
            perm: Octal::new(0o644),
            password: Secret::default(),
            path: PathBuf::new(),
            mode: Mode::Fast,
            list: vec!["default".into()],
            headers: BTreeMap::new(),
            command: BTreeMap::new(),
            free: BTreeMap::new(),
            maybe: None,
            tls: Tls { prefer_server_ciphers: true, ..Tls::default() },
            old: None,
        }
    }
}

impl PluginConfig for Everything {
    fn validate(&self, problems: &mut FieldProblems) {
        problems.require(!self.address.is_empty(), "address", "must not be empty");
        problems.require(self.count < 1000, "count", "must lie in 0..=999");
        problems.nested("tls", |problems| self.tls.validate(problems));
    }
}

fn decode<C: PluginConfig, T: PluginConfig>(text: &str) -> (Option<(C, T)>, Vec<String>) {
    let (config, parsed) = crate::parse_config(&format!("[s]\n{text}"), "t");
    assert!(parsed.is_empty(), "{parsed}");
    let mut problems = Problems::new();
    let decoded = config.sections[0].decode::<C, T>(&mut problems);
    assert_eq!(decoded.is_none(), problems.has_errors());
    problems.sort();
    (decoded, problems.iter().map(ToString::to_string).collect())
}

/// The struct read from settings without problems; an address is added.
fn good(text: &str) -> Everything {
    let (decoded, problems) = decode::<NoCommon, Everything>(&format!("address = 'a'\n{text}"));
    assert_eq!(problems, Vec::<String>::new());
    decoded.unwrap().1
}

/// The problems of settings below an address in line 2, without file and section.
fn bad(text: &str) -> Vec<String> {
    let (_, problems) = decode::<NoCommon, Everything>(&format!("address = 'a'\n{text}"));
    problems.iter().map(|text| text.replacen("t:", "", 1).replacen("[s] ", "", 1)).collect()
}

#[test]
fn settings_left_out_keep_their_defaults() {
    assert_eq!(good(""), Everything { address: "a".into(), ..Everything::default() });
}

#[test]
fn settings_of_all_types_are_read() {
    let all = good(
        "ratio = 0.5\ncount = 3\noffset = -3\nflag = true\nwait = '1m'\ntick = 7\ntimeout = 8\n\
         limit = '1KiB'\nperm = '600'\npassword = 'p'\npath = '/x'\nmode = 'slow'\nlist = ['x']\n\
         maybe = 9\n[s.headers]\nX-A|b = 'c'\n[s.command.0]\nbin = 'ls'\n[s.tls]\nmin_version = 'TLS12'",
    );
    assert_eq!((all.ratio, all.count, all.offset, all.flag), (0.5, 3, -3, true));
    assert_eq!((all.wait, all.tick), (GoDuration::from_secs(60), Seconds::new(7)));
    assert_eq!((all.timeout, all.limit), (Milliseconds::new(8), Size::kib(1)));
    assert_eq!((all.perm, all.password.expose()), (Octal::new(0o600), "p"));
    assert_eq!((all.path, all.mode, all.maybe), (PathBuf::from("/x"), Mode::Slow, Some(9)));
    assert_eq!(all.list, ["x"]);
    assert_eq!(all.headers["X-A|b"], "c");
    assert_eq!(all.command["0"].bin, "ls");
    assert_eq!(all.tls.min_version, Some(TlsVersion::Tls12));
}

#[test]
fn a_free_form_table_takes_everything() {
    let free = good("[s.free]\na = 1\nb = [1.5, 'x']\nc = 1979-05-27\nd = {e = true}").free;
    let expected = r#"{"a":1,"b":[1.5,"x"],"c":"1979-05-27","d":{"e":true}}"#;
    assert_eq!(serde_json::to_string(&free).unwrap(), expected);
}

#[test]
fn keys_match_exactly_or_without_regard_to_case() {
    assert_eq!(good("COUNT = 3\n[s.TLS]\nServer_Name = 'x'").tls.server_name, "x");
    assert_eq!(bad("count = 1\nCount = 2"), ["4:1: 'Count' is set twice"]);
    assert_eq!(bad("[s.tls]\nkey_file = ''\nKEY_FILE = ''"), ["5:1: 'KEY_FILE' is set twice"]);
}

#[test]
fn an_unknown_key_names_its_neighbour_only_if_one_is_near() {
    assert_eq!(bad("cuont = 3"), ["3:1: unknown option 'cuont', did you mean 'count'?"]);
    assert_eq!(bad("zzzzzz = 3"), ["3:1: unknown option 'zzzzzz'"]);
    assert_eq!(
        bad("[s.tls]\nserver_nam = 'x'"),
        ["4:1: unknown option 'server_nam', did you mean 'server_name'?"]
    );
}

#[test]
fn all_problems_of_a_section_are_found_at_once() {
    let (_, problems) = decode::<CommonInput, Everything>(
        "cuont = 1\nflag = 'x'\ncount = 70000\noffset = -129\nmode = 'fsat'\nwait = '5'\n\
         splitter = 5\ncan_exit = 'no'\nold = true\n[s.tls]\nciphers = ['RC4']\nkey_fil = ''\n\
         [s.retries]\ndelay = 'x'\nmax_delay = 'y'\n[s.command.0]\nbin = 5\nargs = [1]\n[s.command.1]",
    );
    let expected = [
        "t:1:1: [s] missing required option 'address'",
        "t:2:1: [s] unknown option 'cuont', did you mean 'count'?",
        "t:3:8: [s] 'flag': expected a boolean, found a string",
        "t:4:9: [s] 'count': 70000 is out of range, expected 0..=65535",
        "t:5:10: [s] 'offset': -129 is out of range, expected -128..=127",
        "t:6:8: [s] 'mode': unknown value 'fsat', expected one of fast, slow, did you mean 'fast'?",
        "t:7:8: [s] 'wait': duration '5' has no unit, expected for example '5s' or '5ms'",
        "t:8:12: [s] 'splitter': expected a string, found the integer 5",
        "t:9:12: [s] 'can_exit': expected a boolean, found a string",
        "t:10:1: [s] warning",
        "t:12:12: [s] 'tls.ciphers.0': unknown value 'RC4'",
        "t:13:1: [s] unknown option 'key_fil', did you mean 'key_file'?",
        "t:15:9: [s] 'retries.delay': 'x' is no duration",
        "t:16:13: [s] 'retries.max_delay': 'y' is no duration",
        "t:18:7: [s] 'command.0.bin': expected a string, found the integer 5",
        "t:19:9: [s] 'command.0.args.0': expected a string, found the integer 1",
        "t:20:1: [s] 'command.1': missing required option 'bin'",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        let warning = "t:10:1: warning: [s] 'old' has no effect here, because it is done elsewhere";
        let expected = if expected.ends_with("[s] warning") { warning } else { expected };
        assert!(problem.starts_with(expected), "{problem}\n{expected}");
    }
}

#[test]
fn types_are_strict_but_an_integer_is_a_float() {
    assert_eq!(good("ratio = 2").ratio, 2.0);
    for (text, expected) in [
        ("count = 1.0", "'count': expected an integer, found the float 1.0"),
        ("count = '1'", "'count': expected an integer, found a string"),
        ("tick = 1.5", "'tick': expected a number of seconds, found the float 1.5"),
        ("address2 = 1", "unknown option 'address2', did you mean 'address'?"),
        ("list = 'x'", "'list': expected an array, found a string"),
        ("tls = true", "'tls': expected a table, found the boolean true"),
        ("headers = [1]", "'headers': expected a table, found an array"),
        ("mode = 1", "'mode': expected a string, found the integer 1"),
        (
            "perm = 644",
            "'perm': expected octal digits in quotes such as '644', found the integer 644",
        ),
        ("path = 3", "'path': expected a string, found the integer 3"),
        ("splitter = 1979-05-27", "'splitter': expected a string, found a date"),
        ("flag = 1", "'flag': expected a boolean, found the integer 1"),
        ("ratio = 'x'", "'ratio': expected a number, found a string"),
        ("headers = {a = 1}", "'headers.a': expected a string, found the integer 1"),
    ] {
        let found = bad(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(&format!(": {expected}")), "{found:?}");
    }
}

#[test]
fn a_negative_number_is_refused_for_an_unsigned_setting() {
    assert_eq!(bad("count = -1"), ["3:9: 'count': -1 must not be negative"]);
    assert_eq!(bad("tick = -1"), ["3:8: 'tick': -1 must not be negative"]);
    assert_eq!(bad("limit = -1"), ["3:9: 'limit': -1 must not be negative"]);
}

#[test]
fn a_mistyped_secret_is_not_shown() {
    assert_eq!(bad("password = 12345"), ["3:12: 'password': expected a string, found an integer"]);
}

#[test]
fn remarks_of_a_plugin_stand_at_their_setting() {
    assert_eq!(bad("count = 1000"), ["3:1: 'count' must lie in 0..=999"]);
    assert_eq!(
        bad("[s.tls]\nsesion_ticket_key = 'zz'\nMIN_VERSION = 'TLS12'\nmax_version = 'SSL30'"),
        [
            "4:1: 'tls.session_ticket_key' must be 64 hexadecimal digits",
            "6:1: 'tls.max_version' is older than min_version",
        ]
    );
    let (_, problems) = decode::<NoCommon, Everything>("address = ''");
    assert_eq!(problems, ["t:2:1: [s] 'address' must not be empty"]);
}

#[test]
fn a_required_setting_that_is_faulty_is_not_called_missing() {
    let (_, problems) = decode::<NoCommon, Everything>("address = 1");
    assert_eq!(problems, ["t:2:11: [s] 'address': expected a string, found the integer 1"]);
}

#[test]
fn a_nested_table_given_in_part_keeps_the_plugins_own_defaults() {
    assert!(good("[s.tls]\nserver_name = 'x'").tls.prefer_server_ciphers);
    assert!(!good("[s.tls]\nprefer_server_ciphers = false").tls.prefer_server_ciphers);
    assert!(!good("[s.tls]\nPREFER_server_ciphers = false").tls.prefer_server_ciphers);
}

#[test]
fn a_buffering_table_given_in_part_takes_the_general_defaults() {
    let (decoded, problems) =
        decode::<CommonConsumer, NoCommon>("[s.buffering]\nmax_buffer_size = 5\nfull_action = ''");
    assert_eq!(problems, Vec::<String>::new());
    let buffering = decoded.unwrap().0.buffering.unwrap();
    assert_eq!(buffering.file_size(), Size::mib(512));
    assert_eq!((buffering.buffer_limit(), buffering.update_count()), (Some(5), 1));
    assert_eq!(buffering.action(), FullAction::Shutdown);
    let zeros = Buffering { max_file_size: Size::new(0), cursor_update_count: 0, ..buffering };
    assert_eq!((zeros.file_size(), zeros.update_count()), (Size::mib(512), 1));
    assert_eq!(Buffering::default().buffer_limit(), None);
}

#[test]
fn a_key_that_common_and_own_settings_know_goes_to_both() {
    let (decoded, _) =
        decode::<CommonInput, Everything>("address = 'a'\nsplitter = 'X'\ntype = ''");
    let (common, own) = decoded.unwrap();
    assert_eq!((common.splitter.as_deref(), own.splitter.as_str()), (Some("X"), "X"));
    let (decoded, _) = decode::<CommonInput, Everything>("address = 'a'");
    let (common, own) = decoded.unwrap();
    assert_eq!((common.splitter, own.splitter.as_str()), (None, "TokenSplitter"));
}

#[test]
fn common_input_settings_have_their_defaults() {
    let (decoded, _) = decode::<CommonInput, NoCommon>("decoder = ''\nticker_interval = 3");
    let common = decoded.unwrap().0;
    assert_eq!(common.decoder.as_deref(), Some(""));
    assert_eq!(common.ticker_interval, Some(Seconds::new(3)));
    assert!(common.log_decode_failures && !common.send_decode_failures);
    assert_eq!((common.can_exit, common.retries), (None, Retries::default()));
}

#[test]
fn retries_take_empty_texts_as_defaults() {
    let (decoded, problems) = decode::<CommonConsumer, NoCommon>(
        "[s.retries]\ndelay = ''\nmax_delay = ''\nmax_jitter = '0s'\nmax_retries = 3",
    );
    assert_eq!(problems, Vec::<String>::new());
    let retries = decoded.unwrap().0.retries;
    assert_eq!(
        (retries.delay, retries.max_delay),
        (GoDuration::from_millis(250), GoDuration::from_secs(30))
    );
    assert_eq!((retries.max_jitter, retries.limit()), (GoDuration::ZERO, Some(3)));
    assert_eq!(Retries::default().limit(), None);
    assert_eq!(Retries { max_retries: -2, ..retries }.limit(), Some(0));
}

#[test]
fn keep_truncated_means_truncate_and_must_not_contradict_oversize() {
    let oversize = |text: &str| {
        let (decoded, problems) = decode::<CommonSplitter, NoCommon>(text);
        decoded.map(|(common, _)| common.oversize()).ok_or(problems)
    };
    assert_eq!(oversize(""), Ok(Oversize::Drop));
    assert_eq!(oversize("keep_truncated = true"), Ok(Oversize::Truncate));
    assert_eq!(oversize("oversize = 'keep'"), Ok(Oversize::Keep));
    assert_eq!(oversize("keep_truncated = true\noversize = 'truncate'"), Ok(Oversize::Truncate));
    assert!(oversize("keep_truncated = true\noversize = 'drop'").is_err());
}

#[test]
fn tls_takes_every_name_that_heka_took() {
    let key = "0123456789abcdefABCDEF0123456789".repeat(2);
    let ciphers = [
        "RSA_WITH_RC4_128_SHA",
        "RSA_WITH_3DES_EDE_CBC_SHA",
        "RSA_WITH_AES_128_CBC_SHA",
        "RSA_WITH_AES_256_CBC_SHA",
        "ECDHE_ECDSA_WITH_RC4_128_SHA",
        "ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        "ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        "ECDHE_RSA_WITH_RC4_128_SHA",
        "ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
        "ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "ECDHE_RSA_WITH_AES_256_CBC_SHA",
        "ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    ];
    let tls = good(&format!(
        "[s.tls]\ncert_file = 'c'\nkey_file = 'k'\nclient_auth = 'RequireAnyClientCert'\n\
         ciphers = {ciphers:?}\nmin_version = ''\nmax_version = 'TLS11'\n\
         session_tickets_disabled = true\nsesion_ticket_key = '{key}'\nclient_cafile = 'a'\n\
         root_cafile = 'b'"
    ))
    .tls;
    assert!(tls.has_certificate());
    assert_eq!(tls.ciphers.len(), ciphers.len());
    assert!(tls.ciphers[0].is_obsolete() && !tls.ciphers[11].is_obsolete());
    assert_eq!(tls.client_auth, ClientAuth::RequireAnyClientCert);
    assert_eq!((tls.min_version, tls.max_version), (None, Some(TlsVersion::Tls11)));
    assert_eq!(tls.ticket_key().unwrap()[..3], [0x01, 0x23, 0x45]);
    assert_eq!(
        good(&format!("[s.tls]\nsession_ticket_key = '{key}'")).tls.ticket_key(),
        tls.ticket_key()
    );
    assert!(bad("[s.tls]\nmin_version = 'tls12'")[0].contains("did you mean 'TLS12'?"));
    assert_eq!(bad("[s.tls]\nkey_file = 'k'").len(), 1);
    assert!(bad("[s.tls]\nmin_version = 'TLS11'\nmax_version = 'TLS11'").is_empty());
}

#[test]
fn common_keys_in_nested_tables_are_let_pass_as_in_heka() {
    let found = bad("[s.tls]\ndecoder = 'x'");
    assert_eq!(found, ["4:1: warning: unknown option 'decoder', it has no effect here"]);
}

#[test]
fn problems_name_the_whole_path_of_their_setting() {
    let text =
        "[s]\naddress = 'a'\nlist = [1]\n[s.command.0]\nbin = 'x'\nbni = 'x'\n[s.tls]\nx = 1";
    let (config, _) = crate::parse_config(text, "t");
    let mut problems = Problems::new();
    assert!(config.sections[0].decode::<NoCommon, Everything>(&mut problems).is_none());
    problems.sort();
    let options: Vec<_> = problems.iter().filter_map(|problem| problem.option.as_deref()).collect();
    assert_eq!(options, ["list.0", "command.0.bni", "tls.x"]);
}

/// Enums that carry a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Choice {
    None,
    Count(u8),
    Pair(u8, u8),
    Inner { bin: String },
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Choices {
    choice: Choice,
}

impl Default for Choices {
    fn default() -> Self {
        Self { choice: Choice::None }
    }
}

impl PluginConfig for Choices {}

#[test]
fn an_enum_may_carry_a_value() {
    let choice = |text: &str| {
        let (decoded, problems) = decode::<NoCommon, Choices>(&format!("choice = {text}"));
        decoded.map(|(_, choices)| choices.choice).ok_or(problems)
    };
    assert_eq!(choice("'none'"), Ok(Choice::None));
    assert_eq!(choice("{count = 3}"), Ok(Choice::Count(3)));
    assert_eq!(choice("{pair = [1, 2]}"), Ok(Choice::Pair(1, 2)));
    assert_eq!(choice("{inner = {BIN = 'x'}}"), Ok(Choice::Inner { bin: "x".into() }));
    for text in ["{none = 1}", "{count = 300}", "{}", "{count = 1, pair = [1, 2]}", "'count'"] {
        assert_eq!(choice(text).unwrap_err().len(), 1, "{text}");
    }
    assert!(choice("{cuont = 1}").unwrap_err()[0].contains("did you mean 'count'?"));
}

/// A type for which Heka accepted anything.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Lenient {
    known: bool,
}

impl PluginConfig for Lenient {
    const UNKNOWN_KEYS: UnknownKeys = UnknownKeys::Warn;
}

#[test]
fn unknown_keys_of_a_lenient_type_are_warnings() {
    let (decoded, problems) = decode::<NoCommon, Lenient>("knwon = 1\nknown = true");
    assert!(decoded.unwrap().1.known);
    let expected =
        "t:2:1: warning: [s] unknown option 'knwon', it has no effect, did you mean 'known'?";
    assert_eq!(problems, [expected]);
}

#[test]
fn the_number_of_errors_of_a_section_is_limited() {
    let headers: String = (0..1000).map(|index| format!("h{index} = 1\n")).collect();
    let found = bad(&format!("[s.headers]\n{headers}"));
    assert_eq!(found.len(), MAX_SECTION_ERRORS + 1);
    assert!(found.iter().any(|problem| problem.contains("too many errors")));
}

#[test]
fn problems_of_an_implicit_section_have_no_file() {
    let mut problems = Problems::new();
    let section = Section::implicit("EverythingInput");
    assert!(section.decode::<CommonInput, Everything>(&mut problems).is_none());
    let expected = "[EverythingInput] missing required option 'address'\n";
    assert_eq!(problems.to_string(), expected);
}

#[test]
fn a_section_makes_problems_at_its_settings() {
    let (config, _) = crate::parse_config("[s]\n[s.tls]\n a = 1", "t");
    let section = &config.sections[0];
    assert_eq!(section.error("x").to_string(), "t:1:1: [s] x");
    assert_eq!(section.error_at("tls.a", "x").to_string(), "t:3:2: [s] x");
    assert_eq!(section.error_at("tls.b", "x").to_string(), "t:2:1: [s] x");
    assert_eq!(section.warning("x").to_string(), "t:1:1: warning: [s] x");
}

proptest::proptest! {
    #[test]
    fn no_settings_panic(
        settings in proptest::collection::vec(
            (
                proptest::sample::select(vec![
                    "address", "Splitter", "ratio", "count", "wait", "tick", "limit", "perm",
                    "password", "mode", "list", "headers", "command", "maybe", "tls", "old", "x",
                ]),
                proptest::sample::select(vec![
                    "1", "-1", "1.5", "true", "''", "'x'", "[]", "[1]", "['x']", "{}", "{a = 1}",
                    "{a = {bin = 1}}", "{server_name = 1, x = 2}", "9223372036854775807", "nan",
                    "1979-05-27", "[[]]", "[{}]",
                ]),
            ),
            0..12,
        )
    ) {
        let text: String = settings.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        let (config, _) = crate::parse_config(&format!("[s]\n{text}"), "t");
        let mut problems = Problems::new();
        let decoded = config.sections[0].decode::<CommonInput, Everything>(&mut problems);
        proptest::prop_assert_eq!(decoded.is_none(), problems.has_errors());
        for problem in &problems {
            proptest::prop_assert!(problem.line >= 1 && problem.section.is_some());
        }
    }
}
