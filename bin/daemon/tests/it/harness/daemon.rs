//! A running process, what it says, and how it ends.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{ReportText, wait};

/// What says that all plugins run.
const STARTED: &str = " INFO started";
/// What ends a report.
const REPORT_END: &str = "\n========\n";

/// A stream of the process, as it was written so far.
#[derive(Debug)]
struct Captured {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Captured {
    fn new(mut stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut block = [0; 8192];
            while let Ok(read @ 1..) = stream.read(&mut block) {
                let mut text = sink.lock().unwrap_or_else(PoisonError::into_inner);
                text.extend_from_slice(&block[..read]);
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        let text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }

    /// All of it; the process has ended.
    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}

/// A running daemon; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Its exit code; fails if a signal ended it.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{:?}\n{}", self.status, self.stderr))
    }
}

/// Runs the binary with these arguments to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    Daemon::spawn(arguments).ended()
}

impl Daemon {
    pub(crate) fn spawn(arguments: &[&str]) -> Self {
        Self::spawn_in(arguments, None)
    }

    pub(crate) fn spawn_in(arguments: &[&str], directory: Option<&Path>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hekad"));
        command.args(arguments).env_remove("HEKA_LOG").env("TZ", "UTC");
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        // Given up without a word the standard input would end at once; kept open it never does.
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let stdout = Captured::new(child.stdout.take().unwrap());
        let stderr = Captured::new(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Its standard input; dropped, it ends.
    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub(crate) fn log(&self) -> String {
        self.stderr.text()
    }

    /// True once it runs, false if it ended instead.
    pub(crate) fn is_started(&mut self) -> bool {
        let mut alive = true;
        let known = wait(|| {
            alive = self.child.try_wait().unwrap().is_none();
            !alive || self.stderr.text().contains(STARTED)
        });
        assert!(known, "neither started nor ended:\n{}", self.log());
        alive || self.stderr.finish().contains(STARTED)
    }

    /// Waits until `holds`; fails with the log at the deadline, or if the daemon ends first.
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let mut ended = None;
        let reached = wait(|| {
            if holds() {
                return true;
            }
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        if let Some(status) = ended {
            let log = self.stderr.finish();
            assert!(holds(), "ended ({status}) before {what}:\n{log}");
        }
        assert!(reached, "waited in vain for {what}:\n{}", self.log());
    }

    /// Waits until the log says `text`.
    pub(crate) fn until_logged(&mut self, text: &str) {
        let log = Arc::clone(&self.stderr.text);
        self.until(&format!("the log to say {text:?}"), || {
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            String::from_utf8_lossy(&log).contains(text)
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Asks for a report and reads it.
    pub(crate) fn report(&mut self) -> ReportText {
        let before = self.log().len();
        self.signal(Signal::SIGUSR1);
        let log = Arc::clone(&self.stderr.text);
        let report = move || {
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            let new = String::from_utf8_lossy(&log[before..]).into_owned();
            let begin = new.find("========[heka.all-report]")?;
            let end = new[begin..].find(REPORT_END)? + REPORT_END.len();
            Some(new[begin..begin + end].to_owned())
        };
        self.until("a report", || report().is_some());
        ReportText::parse(&report().unwrap())
    }

    /// Asks for reports until one is as wanted.
    pub(crate) fn until_report(
        &mut self,
        what: &str,
        holds: impl Fn(&ReportText) -> bool,
    ) -> ReportText {
        let mut last = None;
        let reached = wait(|| {
            let report = self.report();
            let reached = holds(&report);
            last = Some(report);
            reached
        });
        let last = last.unwrap();
        assert!(reached, "no report with {what}, but {last:#?}\n{}", self.log());
        last
    }

    /// Asks for reports until two in a row say the same; `last` is then the last one.
    pub(crate) fn until_settled(&mut self, last: &mut ReportText) {
        let reached = wait(|| {
            let next = self.report();
            let same = next == *last;
            *last = next;
            same
        });
        assert!(reached, "never comes to rest: {}", last.text);
    }

    /// A figure of `/proc/PID/status` in bytes: `VmRSS`, or `VmHWM` for the most there ever was.
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes << 10
    }

    /// Time on the processor so far, in clock ticks (10 ms).
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        let numbers: Vec<&str> = after_name.split_whitespace().collect();
        numbers[11].parse::<u64>().unwrap() + numbers[12].parse::<u64>().unwrap()
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Ended {
        let mut status = None;
        let ended = wait(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "does not end:\n{}", self.log());
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        Ended { status: status.unwrap(), stdout, stderr }
    }

    /// Stops it in order.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.ended()
    }

    /// Stops it in order, which must work out.
    pub(crate) fn stop_well(self) -> Ended {
        let ended = self.stop();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        ended
    }

    /// Kills it as a crash would.
    pub(crate) fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended long since; then both say so, and there is nothing left to do.
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            println!("process {} is left behind", self.child.id());
        }
    }
}
