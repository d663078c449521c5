//! The daemon under measurement: building, starting, watching and ending it.
//!
//! Here: the process and what the system counts for it. Not here: what is sent to it. Invariant: the process
//! does not outlive the value that stands for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::workspace::{Workspace, cargo};

/// Package and program.
const DAEMON: &str = "hekad";
/// Feature that counts allocations and prints their number at the end.
const COUNTING: &str = "count-allocations";
/// What the daemon prints before that number.
const COUNTED: &str = "allocations=";
/// What the daemon logs once everything runs.
const STARTED: &str = "started";
/// How long a start may take.
const START_TIME: Duration = Duration::from_secs(30);
/// How long an orderly end may take.
const STOP_TIME: Duration = Duration::from_secs(30);
/// How often files and processes are looked at.
const POLL: Duration = Duration::from_millis(5);

/// Builds the daemon; `None` if it is to count allocations and does not know how.
///
/// # Errors
/// If it does not compile.
pub(crate) fn build(
    workspace: &Workspace,
    profile: &str,
    counting: bool,
) -> Result<Option<PathBuf>> {
    let package = workspace.packages.iter().find(|package| package.name == DAEMON);
    let package = package.context("the workspace has no daemon")?;
    if counting && !package.features.iter().any(|feature| feature == COUNTING) {
        return Ok(None);
    }
    let mut command = cargo();
    command.args(["build", "--package", DAEMON, "--bin", DAEMON, "--profile", profile]);
    if counting {
        command.args(["--features", COUNTING]);
    }
    let status = command.status().context("cannot run cargo build")?;
    ensure!(status.success(), "cargo build: {status}");
    let built = workspace.target.join(profile).join(DAEMON);
    // The two builds have one name; a copy keeps them apart.
    let name = if counting { "hekad-counting" } else { "hekad-plain" };
    let folder = workspace.target.join("bench");
    let copy = folder.join(name);
    fs::create_dir_all(&folder)
        .and_then(|()| fs::copy(&built, &copy))
        .with_context(|| format!("cannot copy {}", built.display()))?;
    Ok(Some(copy))
}

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `binary` in the folder `run` with the configuration `config`.
    ///
    /// # Errors
    /// If the folder cannot be written, or the program not be started.
    pub(crate) fn start(binary: &Path, run: &Path, config: &str) -> Result<Self> {
        let (file, log) = (run.join("hekad.toml"), run.join("log"));
        fs::write(&file, config).context("cannot write the configuration")?;
        let out = File::create(&log).context("cannot write the log")?;
        let child = Command::new(binary)
            .arg(format!("-config={}", file.display()))
            .current_dir(run)
            .env("HEKA_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        Ok(Self { child, log })
    }

    /// Waits until all its plugins run.
    ///
    /// # Errors
    /// If it ends, or takes too long.
    pub(crate) fn wait_until_started(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_TIME;
        while !self.said()?.contains(STARTED) {
            ensure!(self.is_running()?, "the daemon ended:\n{}", self.said()?);
            ensure!(Instant::now() < deadline, "the daemon does not start:\n{}", self.said()?);
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// True while the process is there.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().context("cannot wait for the daemon")?.is_none())
    }

    /// What it logged so far.
    pub(crate) fn said(&self) -> Result<String> {
        let bytes = fs::read(&self.log).context("cannot read the log")?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Seconds of processor time so far, user and system, all threads.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        // To the nanosecond, which /proc does not tell: fast cases take only a few of its ticks.
        let clock = clock_getcpuclockid(self.id()?).context("cannot find the processor clock")?;
        let time = clock_gettime(clock).context("cannot read the processor time")?;
        Ok(Duration::from(time).as_secs_f64())
    }

    /// Most memory that it ever held, in KiB.
    ///
    /// # Errors
    /// If the system does not tell.
    pub(crate) fn peak_kib(&self) -> Result<u64> {
        peak(&self.proc_file("status")?).context("cannot read the peak of memory")
    }

    /// Asks it to end in order and returns the number of its allocations, if it counted them.
    ///
    /// # Errors
    /// If it does not end in time.
    pub(crate) fn stop(mut self) -> Result<Option<u64>> {
        kill(self.id()?, Signal::SIGTERM).context("cannot signal the daemon")?;
        let deadline = Instant::now() + STOP_TIME;
        while self.is_running()? {
            if Instant::now() > deadline {
                bail!("the daemon does not end:\n{}", self.said()?);
            }
            std::thread::sleep(POLL);
        }
        Ok(allocations(&self.said()?))
    }

    fn id(&self) -> Result<Pid> {
        let id = i32::try_from(self.child.id()).context("the process id is no number")?;
        Ok(Pid::from_raw(id))
    }

    fn proc_file(&self, name: &str) -> Result<String> {
        let path = format!("/proc/{}/{name}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // An error says that it ended before.
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            eprintln!("process {} could not be waited for", self.child.id());
        }
    }
}

/// Peak of resident memory in KiB, from `status`.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn allocations(log: &str) -> Option<u64> {
    let text = log.rsplit_once(COUNTED)?.1;
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_of_memory_is_read() {
        assert_eq!(peak("VmPeak:\t 9 kB\nVmHWM:\t  5120 kB\nVmRSS:\t 1 kB\n"), Some(5120));
        assert_eq!(peak("VmRSS:\t 1 kB\n"), None);
    }

    #[test]
    fn the_last_number_of_allocations_counts() {
        assert_eq!(allocations("allocations=1\nINFO x\nallocations=234\n"), Some(234));
        assert_eq!(allocations("no number"), None);
    }
}
