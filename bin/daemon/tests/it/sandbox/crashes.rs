//! A filter's data over crashes: nothing is lost and nothing counted twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{COUNT, assert_counted, filter};
use crate::harness::sections::{APP_LOG, file_out};
use crate::harness::{Numbered, World, number_of, wait};

/// Crashes unless the environment says otherwise.
const ROUNDS: u64 = 8;
/// Lines written at once, and how often.
const LINES_AT_ONCE: usize = 50;
const PAUSE: Duration = Duration::from_millis(5);

/// Appends numbered lines to `logs/app.log` until it is told to end.
pub(super) struct Appender {
    ending: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Appender {
    pub(super) fn start(world: Arc<World>) -> Self {
        world.write("logs/app.log", "");
        let (ending, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (end, written) = (Arc::clone(&ending), Arc::clone(&count));
        let thread = std::thread::spawn(move || {
            let mut numbered = Numbered::default();
            while !end.load(Ordering::SeqCst) {
                world.append("logs/app.log", numbered.lines(LINES_AT_ONCE));
                written.store(numbered.count(), Ordering::SeqCst);
                std::thread::sleep(PAUSE);
            }
        });
        Self { ending, count, thread: Some(thread) }
    }

    pub(super) fn lines(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Ends it; the lines that it wrote.
    pub(super) fn finish(mut self) -> usize {
        self.end();
        self.lines()
    }

    fn end(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            println!("the appender panicked");
        }
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tells the count now and then.
const TELLS: &str = r#"
function timer_event(ns)
    inject_payload("txt", "count", count, "\n")
end
"#;

#[test]
fn a_count_is_exact_after_any_number_of_crashes() {
    let seed = number_of("HEKA_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("HEKA_CRASH_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let world = Arc::new(World::new());
    let appender = Appender::start(Arc::clone(&world));
    let counts =
        "message_matcher = \"Type == 'logfile'\"\nuse_buffering = true\npreserve_data = true\n";
    // One of them is behind, so that it reads from the log, and fails now and then, with what it has just counted.
    let slow = COUNT
        .replace("count = count + 1", "count = count + 1 for i = 1, 10000 do end")
        .replace("return 0\n", "if number % 5000 == 4999 then error('poison') end return 0\n");
    let config = [
        APP_LOG,
        &filter(
            &world,
            "count",
            &format!("{COUNT}{TELLS}"),
            &format!("{counts}ticker_interval = 1"),
        ),
        &filter(
            &world,
            "slow",
            &format!("{slow}{TELLS}"),
            &format!("{counts}ticker_interval = 1\non_termination = 'restart'"),
        ),
        "[text]\ntype = 'PayloadEncoder'\nappend_newlines = false\n",
        &file_out("told", "Type == 'heka.sandbox-output' && Logger == 'count'", "count.log"),
        &file_out("told_slow", "Type == 'heka.sandbox-output' && Logger == 'slow'", "slow.log"),
    ]
    .concat();
    for round in 0..number_of("HEKA_CRASH_ROUNDS").unwrap_or(ROUNDS) {
        let daemon = if rng.u64(..4) == 0 { world.spawn(&config) } else { world.start(&config) };
        std::thread::sleep(Duration::from_millis(rng.u64(100..1_500)));
        if round % 4 == 3 {
            daemon.stop_well();
        } else {
            daemon.crash();
        }
    }
    let daemon = world.start(&config);
    let lines = appender.finish();
    let told = |name: &str| {
        let text = world.read_text(name);
        text.lines().last().and_then(|line| line.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let all = wait(|| ["count.log", "slow.log"].iter().all(|name| told(name) >= lines as f64));
    let found = [told("count.log"), told("slow.log")];
    assert!(all, "{found:?} of {lines}\n{}", daemon.log());
    daemon.stop_well();
    // In whichever run its line came.
    let failures =
        std::fs::read_dir(world.path("base/sandbox_postmortem")).map_or(0, Iterator::count);
    assert!(failures > 0 || lines < 5000, "{lines} lines and no failure");
    assert_counted(&world, "count", lines);
    assert_counted(&world, "slow", lines);
}
