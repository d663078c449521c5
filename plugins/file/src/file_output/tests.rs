//! The output against real files, with a clock that stands until it is moved.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::test_support::{Rig, problems};

const MS: i64 = 1_000_000;
const HOUR: i64 = 3_600_000 * MS;

/// 2015-06-01T10:37:00Z.
const START: i64 = 1_433_155_020_000 * MS;

const RULES: Rules = Rules { file_mode: 0o644, folder_mode: 0o700, bytes_max: 0, old_max: 1 };

/// An output and what it needs.
struct Bench {
    rig: Rig,
    folder: TempDir,
    output: FileOutput,
    context: OutputContext,
}

impl Bench {
    fn new(change: impl FnOnce(&mut FileOutputConfig)) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), change)
    }

    /// `path` is taken below the folder, unless it is absolute.
    fn in_folder(folder: TempDir, change: impl FnOnce(&mut FileOutputConfig)) -> Self {
        let rig = Rig::new(START);
        let mut config = FileOutputConfig { path: "out.log".into(), ..FileOutputConfig::default() };
        change(&mut config);
        config.path = folder.path().join(&config.path).to_str().unwrap().to_owned();
        let output = FileOutput::start_in(&config, &rig.start, Location::utc()).unwrap();
        let context = rig.output();
        Self { rig, folder, output, context }
    }

    async fn write(&mut self, payloads: &[&str]) {
        let payloads: Vec<&[u8]> = payloads.iter().map(|payload| payload.as_bytes()).collect();
        let delivery = self.rig.delivery(&payloads).await;
        self.output.write(delivery, &mut self.context).await.unwrap();
    }

    async fn flush(&mut self, why: Flush) {
        self.output.flush(why, &mut self.context).await.unwrap();
    }

    /// A message, after which no other one waits.
    async fn message(&mut self, payload: &str) {
        self.write(&[payload]).await;
        self.flush(Flush::Idle).await;
    }

    /// The runner's timer, `ms` after the moment before.
    async fn tick_after(&mut self, ms: i64) {
        self.rig.clock.advance(ms * MS);
        self.flush(Flush::Timer).await;
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn out(&self) -> String {
        self.file("out.log")
    }
}

#[tokio::test]
async fn a_message_after_silence_is_written_at_once_and_a_busy_stream_once_an_interval() {
    let mut bench = Bench::new(|_| {});
    bench.rig.clock.advance(1_000 * MS);
    bench.message("1").await;
    assert_eq!(bench.out(), "1\n");
    assert_eq!(bench.rig.delivered(), (1, 0));

    bench.rig.clock.advance(400 * MS);
    bench.message("2").await;
    bench.rig.clock.advance(599 * MS);
    bench.message("3").await;
    assert_eq!((bench.out().as_str(), bench.rig.delivered()), ("1\n", (1, 0)));
    bench.rig.clock.advance(MS);
    bench.message("4").await;
    assert_eq!((bench.out().as_str(), bench.rig.delivered()), ("1\n2\n3\n4\n", (4, 0)));
}

#[tokio::test]
async fn the_timer_writes_what_waits() {
    let mut bench = Bench::new(|_| {});
    bench.message("1").await;
    assert_eq!(bench.out(), "");
    bench.tick_after(1_000).await;
    assert_eq!((bench.out().as_str(), bench.rig.delivered()), ("1\n", (1, 0)));
    // A tick of the runner's steady timer right after a write is none.
    bench.rig.clock.advance(1_000 * MS);
    bench.message("2").await;
    bench.message("3").await;
    bench.tick_after(100).await;
    assert_eq!(bench.out(), "1\n2\n");
    bench.tick_after(1_000).await;
    assert_eq!(bench.out(), "1\n2\n3\n");
}

#[tokio::test]
async fn with_and_too_few_messages_are_never_written_before_the_end() {
    let mut bench = Bench::new(|config| config.flush_count = 3);
    bench.message("1").await;
    bench.message("2").await;
    bench.tick_after(5_000).await;
    bench.tick_after(3_600_000).await;
    assert_eq!(bench.out(), "");
    // The timer has fired: the third message is written at once.
    bench.message("3").await;
    assert_eq!(bench.out(), "1\n2\n3\n");
    bench.message("4").await;
    bench.flush(Flush::Stop).await;
    assert_eq!(bench.out(), "1\n2\n3\n4\n");
    assert_eq!(bench.rig.delivered(), (4, 0));
}

#[tokio::test]
async fn with_and_enough_messages_wait_for_the_timer() {
    let mut bench = Bench::new(|config| config.flush_count = 2);
    bench.write(&["1", "2", "3"]).await;
    bench.flush(Flush::Full).await;
    assert_eq!(bench.out(), "");
    bench.tick_after(1_000).await;
    assert_eq!(bench.out(), "1\n2\n3\n");
}

#[tokio::test]
async fn with_or_either_enough_messages_or_the_timer_write() {
    let mut bench = Bench::new(|config| {
        config.flush_count = 3;
        config.flush_operator = FlushOperator::Or;
    });
    bench.message("1").await;
    bench.message("2").await;
    assert_eq!(bench.out(), "");
    bench.message("3").await;
    assert_eq!(bench.out(), "1\n2\n3\n");
    bench.message("4").await;
    bench.tick_after(1_000).await;
    assert_eq!(bench.out(), "1\n2\n3\n4\n");
    bench.tick_after(1_000).await;
    assert_eq!(bench.rig.delivered(), (4, 0));
}

#[tokio::test]
async fn without_interval_only_the_count_counts() {
    for operator in [FlushOperator::And, FlushOperator::Or] {
        let mut bench = Bench::new(|config| {
            config.flush_count = 2;
            config.flush_interval = Milliseconds::ZERO;
            config.flush_operator = operator;
        });
        assert_eq!(bench.output.flush_interval(), None);
        bench.message("1").await;
        bench.tick_after(60_000).await;
        assert_eq!(bench.out(), "");
        bench.message("2").await;
        assert_eq!(bench.out(), "1\n2\n");
    }
}

#[tokio::test]
async fn pressure_and_the_end_write_all_whatever_the_rules_say() {
    for why in [Flush::Pressure, Flush::Stop, Flush::Reopen] {
        let mut bench = Bench::new(|config| config.flush_count = 1_000);
        bench.write(&["1", "bad"]).await;
        bench.flush(Flush::Idle).await;
        assert_eq!(bench.rig.delivered(), (0, 0));
        bench.flush(why).await;
        assert_eq!((bench.out().as_str(), bench.rig.delivered()), ("1\n", (1, 1)), "{why:?}");
        assert_eq!(bench.context.counts.bytes.get(), 2);
    }
}

#[tokio::test]
async fn a_full_buffer_is_written_whatever_the_rules_say() {
    let mut bench = Bench::new(|config| config.flush_count = 1_000_000);
    let payload = "x".repeat((1 << 20) - 1);
    for written in 1..=8 {
        bench.write(&[&payload]).await;
        assert_eq!(bench.output.pending_bytes(), written << 20);
        bench.flush(Flush::Full).await;
        let expected = if written < 8 { 0 } else { 8 << 20 };
        assert_eq!(bench.out().len(), expected);
    }
    assert_eq!(bench.rig.delivered(), (8, 0));
}

#[tokio::test]
async fn messages_that_write_nothing_are_answered_for_at_once() {
    let mut bench = Bench::new(|config| config.flush_count = 100);
    bench.message("bad").await;
    assert_eq!(bench.rig.delivered(), (0, 1));
    bench.message("good").await;
    bench.message("bad").await;
    assert_eq!(bench.rig.delivered(), (0, 1));
    bench.flush(Flush::Stop).await;
    assert_eq!(bench.rig.delivered(), (1, 2));
}

#[tokio::test]
async fn an_existing_file_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("out.log"), "old\n").unwrap();
    let mut bench = Bench::in_folder(folder, |_| {});
    bench.write(&["new"]).await;
    bench.flush(Flush::Stop).await;
    assert_eq!(bench.out(), "old\nnew\n");
}

#[tokio::test]
async fn modes_are_those_asked_for() {
    let bench = Bench::new(|config| {
        config.path = "a/b/out.log".into();
        config.perm = Octal::new(0o640);
        config.folder_perm = Octal::new(0o750);
    });
    let mode = |path: &str| {
        fs::metadata(bench.folder.path().join(path)).unwrap().permissions().mode() & 0o777
    };
    // Whatever the umask is, it takes bits away and adds none.
    for (path, asked) in [("a", 0o750), ("a/b", 0o750), ("a/b/out.log", 0o640)] {
        assert_eq!(mode(path) & !asked, 0, "{path}");
        assert_eq!(mode(path) & 0o700, asked & 0o700, "{path}");
    }
    // The probe left nothing.
    let names: Vec<_> = fs::read_dir(bench.folder.path().join("a/b")).unwrap().collect();
    assert_eq!(names.len(), 1);
}

#[tokio::test]
async fn after_a_rename_a_hangup_begins_a_new_file() {
    let mut bench = Bench::new(|_| {});
    bench.message("1").await;
    fs::rename(bench.folder.path().join("out.log"), bench.folder.path().join("out.log.1")).unwrap();
    bench.message("2").await;
    bench.flush(Flush::Reopen).await;
    assert_eq!(bench.file("out.log.1"), "1\n2\n");
    assert_eq!(bench.out(), "");
    bench.write(&["3"]).await;
    bench.flush(Flush::Stop).await;
    assert_eq!((bench.file("out.log.1").as_str(), bench.out().as_str()), ("1\n2\n", "3\n"));
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_anew_is_tried_again() {
    let mut bench = Bench::new(|_| {});
    bench.message("1").await;
    let path = bench.folder.path().join("out.log");
    fs::rename(&path, bench.folder.path().join("moved")).unwrap();
    fs::create_dir(&path).unwrap();
    let error = bench.output.flush(Flush::Reopen, &mut bench.context).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot open "), "{error}");
    assert!(matches!(error, OutputError::Retry { .. }));
    assert_eq!(bench.rig.delivered(), (1, 0));
    bench.write(&["2"]).await;
    assert!(bench.output.flush(Flush::Retry, &mut bench.context).await.is_err());
    fs::remove_dir(&path).unwrap();
    bench.flush(Flush::Retry).await;
    assert_eq!((bench.file("moved").as_str(), bench.out().as_str()), ("1\n", "2\n"));
    assert_eq!(bench.rig.delivered(), (2, 0));
}

#[tokio::test]
async fn files_change_at_their_boundary_and_messages_stay_on_their_side_of_it() {
    let mut bench = Bench::new(|config| {
        config.path = "%Y/%m-%d_%H.log".into();
        config.rotation_interval = 4;
        config.flush_count = 100;
    });
    bench.message("before").await;
    assert_eq!(bench.file("2015/06-01_10.log"), "");
    bench.rig.clock.advance(83 * 60_000 * MS);
    bench.message("after").await;
    assert_eq!(bench.file("2015/06-01_10.log"), "before\n");
    assert_eq!(bench.file("2015/06-01_12.log"), "");
    // Without a message the timer changes the file.
    bench.tick_after(4 * HOUR / MS).await;
    assert_eq!(bench.file("2015/06-01_12.log"), "after\n");
    assert_eq!(bench.file("2015/06-01_16.log"), "");
    assert_eq!(bench.rig.delivered(), (2, 0));
}

#[tokio::test]
async fn a_full_file_is_moved_away_and_only_so_many_are_kept() {
    let mut bench = Bench::new(|config| {
        config.max_file_size = Size::new(6);
        config.max_old_files = 2;
    });
    // Two fill it exactly, the third would be too much.
    for text in ["1a", "1b", "2a", "longer than a file", "4a", "4b", "5a"] {
        bench.write(&[text]).await;
        bench.flush(Flush::Pressure).await;
    }
    assert_eq!(bench.out(), "5a\n");
    assert_eq!(bench.file("out.log.1"), "4a\n4b\n");
    assert_eq!(bench.file("out.log.2"), "longer than a file\n");
    assert!(!bench.folder.path().join("out.log.3").exists());
    assert_eq!(bench.rig.delivered(), (7, 0));
}

#[tokio::test]
async fn a_full_file_that_cannot_be_moved_away_grows_on() {
    let mut bench = Bench::new(|config| {
        config.max_file_size = Size::new(6);
        config.max_old_files = 1;
    });
    fs::create_dir(bench.folder.path().join("out.log.1")).unwrap();
    for text in ["1a", "1b", "2a"] {
        bench.write(&[text]).await;
        bench.flush(Flush::Pressure).await;
    }
    assert_eq!((bench.out().as_str(), bench.rig.delivered()), ("1a\n1b\n2a\n", (3, 0)));
}

#[tokio::test]
async fn without_rotation_codes_are_taken_as_they_stand() {
    let mut bench = Bench::new(|config| config.path = "%Y.log".into());
    bench.write(&["1"]).await;
    bench.flush(Flush::Stop).await;
    assert_eq!(bench.file("%Y.log"), "1\n");
}

#[tokio::test]
async fn rotation_without_flush_timer_is_looked_after_all_the_same() {
    let bench = Bench::new(|config| {
        config.rotation_interval = 1;
        config.flush_interval = Milliseconds::ZERO;
    });
    assert_eq!(bench.output.flush_interval(), Some(ROTATION_CHECK));
}

#[tokio::test]
async fn a_full_disk_drops_and_acknowledges_nothing() {
    let mut bench = Bench::new(|config| config.path = "/dev/full".into());
    bench.write(&["1"]).await;
    for why in [Flush::Stop, Flush::Retry, Flush::Idle] {
        let error = bench.output.flush(why, &mut bench.context).await.unwrap_err();
        assert!(matches!(error, OutputError::Retry { .. }));
        assert!(error.to_string().starts_with("cannot write to /dev/full: "), "{error}");
        assert_eq!(bench.rig.delivered(), (0, 0));
        assert_eq!(bench.output.pending_bytes(), 2);
    }
    // There is room again.
    let path = bench.folder.path().join("elsewhere.log");
    bench.output.writer = Some(Writer::new(path, RULES));
    bench.write(&["2"]).await;
    bench.flush(Flush::Retry).await;
    assert_eq!(bench.file("elsewhere.log"), "1\n2\n");
    assert_eq!(bench.rig.delivered(), (2, 0));
}

/// In a process of its own, whose limit of file sizes it may lower.
#[tokio::test]
async fn a_write_that_stops_in_the_middle_leaves_no_trace_and_is_repeated() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use nix::sys::signal::{SigSet, Signal};
    const CHILD: &str = "HEKA_TEST_FILE_SIZE";
    if std::env::var_os(CHILD).is_none() {
        let name =
            "file_output::tests::a_write_that_stops_in_the_middle_leaves_no_trace_and_is_repeated";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let output = child.args(["--exact", name]).env(CHILD, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    // The writer's thread inherits this: it gets an error instead of the signal.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    signals.thread_block().unwrap();
    let mut bench = Bench::new(|_| {});
    bench.write(&["good"]).await;
    bench.flush(Flush::Pressure).await;
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 10, hard).unwrap();
    bench.write(&["far too long"]).await;
    let error = bench.output.flush(Flush::Pressure, &mut bench.context).await.unwrap_err();
    setrlimit(Resource::RLIMIT_FSIZE, soft, hard).unwrap();
    assert!(error.to_string().contains("out.log: "), "{error}");
    assert_eq!((bench.out().as_str(), bench.rig.delivered()), ("good\n", (1, 0)));
    bench.write(&["next"]).await;
    bench.flush(Flush::Retry).await;
    assert_eq!(bench.out(), "good\nfar too long\nnext\n");
    assert_eq!(bench.rig.delivered(), (3, 0));
}

#[tokio::test]
async fn a_cancelled_flush_is_finished_by_the_next_one() {
    let mut bench = Bench::new(|_| {});
    bench.write(&["1"]).await;
    {
        let mut flush = bench.output.flush(Flush::Stop, &mut bench.context);
        let waker = std::task::Waker::noop();
        let polled = flush.as_mut().poll(&mut std::task::Context::from_waker(waker));
        assert!(polled.is_pending(), "the writer is another thread");
    }
    assert_eq!(bench.rig.delivered(), (0, 0));
    bench.write(&["2"]).await;
    bench.flush(Flush::Stop).await;
    assert_eq!(bench.out(), "1\n2\n");
    assert_eq!(bench.rig.delivered(), (2, 0));
}

#[tokio::test]
async fn what_a_cancelled_flush_could_not_write_goes_before_what_came_since() {
    let mut bench = Bench::new(|config| config.path = "/dev/full".into());
    bench.write(&["1"]).await;
    {
        let mut flush = bench.output.flush(Flush::Stop, &mut bench.context);
        let waker = std::task::Waker::noop();
        assert!(flush.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
    }
    bench.write(&["2"]).await;
    assert!(bench.output.flush(Flush::Retry, &mut bench.context).await.is_err());
    assert_eq!(bench.output.pending_bytes(), 4);
    let path = bench.folder.path().join("elsewhere.log");
    bench.output.writer = Some(Writer::new(path, RULES));
    bench.flush(Flush::Retry).await;
    assert_eq!((bench.file("elsewhere.log").as_str(), bench.rig.delivered()), ("1\n2\n", (2, 0)));
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_of_the_start() {
    let rig = Rig::new(START);
    let config =
        FileOutputConfig { path: "/proc/no/out.log".into(), ..FileOutputConfig::default() };
    let error = FileOutput::start(&config, &rig.start).unwrap_err().to_string();
    assert!(error.starts_with("cannot make folder /proc/no: "), "{error}");
}

#[test]
fn settings_are_checked() {
    let wrong = |change: fn(&mut FileOutputConfig)| {
        let mut config = FileOutputConfig { path: "/x".into(), ..FileOutputConfig::default() };
        change(&mut config);
        problems(&config)
    };
    assert!(!wrong(|_| {}).contains("key"));
    assert!(wrong(|config| config.path.clear()).contains("must not be empty"));
    assert!(wrong(|config| config.flush_count = 0).contains("must be at least 1"));
    assert!(wrong(|config| config.max_old_files = 0).contains("must lie in 1..=1000"));
    for hours in [0, 1, 4, 12, 24] {
        let config = FileOutputConfig {
            path: "/x".into(),
            rotation_interval: hours,
            ..FileOutputConfig::default()
        };
        assert!(!problems(&config).contains("key"));
    }
    assert!(wrong(|config| config.rotation_interval = 2).contains("must be 0, 1, 4, 12 or 24"));
    assert!(wrong(|config| config.path = "/%Y".into()).contains("taken as it stands"));
    let read = |text: &str| serde_json::from_str::<FileOutputConfig>(text);
    assert_eq!(read(r#"{"flush_operator":"OR"}"#).unwrap().flush_operator, FlushOperator::Or);
    assert!(read(r#"{"flush_operator":"or"}"#).is_err());
    assert!(read(r#"{"perm":"9"}"#).is_err());
}

#[test]
fn the_example_of_the_page_loads() {
    crate::test_support::check_page::<heka_config::CommonConsumer, FileOutputConfig>(
        FileOutput::PAGE,
        FileOutput::NAME,
    );
}
