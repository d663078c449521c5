//! `cargo xtask bench`: throughput and cost of the daemon as a whole, case by case.
//!
//! Here: the command line and the order of runs. Runs of the cases are interleaved, so that a machine whose
//! speed drifts hits all alike; medians are told. Not here: benches of single crates, which lie in them.

mod case;
mod corpus;
mod daemon;
mod figures;
mod traffic;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::case::{CASES, Case, Feed, Places, Sink};
use self::corpus::{Corpus, Data};
use self::daemon::Daemon;
use self::figures::{Figures, Run, TITLES, read_baseline, write_baseline};
use self::traffic::{Counter, free_port, send_datagrams, send_file};
use crate::workspace::Workspace;

/// Lines of a case unless it is told otherwise.
const LINES: usize = 1_000_000;
/// Runs of a case unless it is told otherwise.
const RUNS: usize = 3;
/// Lines of the shorter of the two runs that tell allocations per record.
const COUNTING_LINES: usize = 50_000;
/// A sink that gets nothing for so long has got all that will come.
const QUIET: Duration = Duration::from_secs(20);
/// The same where losses are normal.
const QUIET_LOSSY: Duration = Duration::from_millis(700);

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    cases: Vec<&'static str>,
    lines: usize,
    runs: usize,
    data: Option<PathBuf>,
    profile: String,
    binary: Option<PathBuf>,
    counting: bool,
    save: bool,
}

const USAGE: &str = "\
usage: cargo xtask bench [CASE…] [OPTIONS]

  --lines N          lines a run, 1000000 unless told otherwise; some cases take half
  --runs N           runs a case, 3 unless told otherwise; medians are shown
  --data PATH        file of lines, or folder with access_combined.log; also HEKA_BENCH_DATA
  --profile NAME     cargo profile, release unless told otherwise; bench-fast builds faster
  --binary PATH      measures this program instead of building one; counts no allocations
  --no-allocations   leaves out the extra build that counts allocations
  --save             makes the result the new baseline
";

/// Builds the daemon, runs the cases, shows the figures, compares them with the baseline.
///
/// # Errors
/// If the daemon does not compile, or a case does not work.
pub(crate) fn bench(words: &[&str]) -> Result<()> {
    let Some(options) = Options::parse(words)? else {
        let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        print!("{USAGE}\ncases: {}\n", names.join(", "));
        return Ok(());
    };
    let workspace = Workspace::load()?;
    let folder = workspace.target.join("bench");
    let corpus = Corpus::open(options.data.as_deref(), &workspace.root, folder.join("data"))?;
    let cases: Vec<&Case> =
        CASES.iter().filter(|case| options.cases.contains(&case.name)).collect();
    let allocations = match &options.binary {
        None if options.counting => count_allocations(&workspace, &options, &cases, &corpus)?,
        _ => vec![None; cases.len()],
    };
    let binary = match &options.binary {
        Some(binary) => fs::canonicalize(binary).context("cannot find the program")?,
        None => daemon::build(&workspace, &options.profile, false)?.context("nothing was built")?,
    };
    println!("{} lines a run of {}, median of {}", options.lines, corpus.origin, options.runs);
    let mut runs = vec![Vec::new(); cases.len()];
    for _ in 0..options.runs {
        for (case, runs) in cases.iter().zip(&mut runs) {
            let lines = (options.lines / case.lines_divisor).max(1);
            let bench = Bench { case, binary: &binary, folder: &folder, corpus: &corpus, lines };
            let measured = bench.run().with_context(|| format!("case {}", case.name))?;
            runs.push(measured.0);
        }
    }
    let path = workspace.target.join("bench-baseline.json");
    let baseline = read_baseline(&path)?;
    println!("{TITLES}");
    let mut measured = Vec::new();
    for ((case, runs), allocations) in cases.iter().zip(&runs).zip(allocations) {
        let figures = Figures::of(runs, allocations).context("no run")?;
        println!("{}", figures.line(case.name, baseline.get(case.name)));
        measured.push((case.name, figures));
    }
    if options.save || baseline.is_empty() {
        write_baseline(&path, baseline, &measured)?;
        println!("saved as baseline {}", path.display());
    }
    Ok(())
}

impl Options {
    /// Reads the command line; `None` if it asks for help.
    fn parse(words: &[&str]) -> Result<Option<Self>> {
        let mut options = Self {
            cases: Vec::new(),
            lines: LINES,
            runs: RUNS,
            data: None,
            profile: "release".to_owned(),
            binary: None,
            counting: true,
            save: false,
        };
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word {
                "--help" | "-h" => return Ok(None),
                "--lines" => options.lines = number(value()?)?,
                "--runs" => options.runs = number(value()?)?,
                "--data" => options.data = Some(value()?.into()),
                "--profile" => options.profile = value()?.to_owned(),
                "--binary" => options.binary = Some(value()?.into()),
                "--no-allocations" => options.counting = false,
                "--save" => options.save = true,
                name => match CASES.iter().find(|case| case.name == name) {
                    Some(case) => options.cases.push(case.name),
                    None => bail!("there is no case or option {name}\n{USAGE}"),
                },
            }
        }
        if options.cases.is_empty() {
            options.cases = CASES.iter().map(|case| case.name).collect();
        }
        Ok(Some(options))
    }
}

fn number(text: &str) -> Result<usize> {
    let number = text.parse().with_context(|| format!("{text} is no number"))?;
    ensure!(number > 0, "a number above 0 is needed");
    Ok(number)
}

/// Allocations per record of each case: the difference of two runs, so that start and end do not count.
fn count_allocations(
    workspace: &Workspace,
    options: &Options,
    cases: &[&Case],
    corpus: &Corpus,
) -> Result<Vec<Option<f64>>> {
    let Some(binary) = daemon::build(workspace, &options.profile, true)? else {
        println!("this daemon cannot count allocations");
        return Ok(vec![None; cases.len()]);
    };
    let folder = workspace.target.join("bench");
    let few = options.lines.min(COUNTING_LINES);
    let count = |case: &Case, lines: usize| -> Result<Option<(u64, u64)>> {
        let bench = Bench { case, binary: &binary, folder: &folder, corpus, lines };
        let (run, allocations) = bench.run().with_context(|| format!("case {}", case.name))?;
        Ok(allocations.map(|allocations| (allocations, run.records)))
    };
    let per_record = |case: &&Case| -> Result<Option<f64>> {
        let (few, many) = (count(case, few)?, count(case, 3 * few)?);
        let (Some((few, few_records)), Some((many, many_records))) = (few, many) else {
            return Ok(None);
        };
        let records = many_records.saturating_sub(few_records);
        Ok((records > 0).then(|| many.saturating_sub(few) as f64 / records as f64))
    };
    cases.iter().map(per_record).collect()
}

/// One run to be.
struct Bench<'a> {
    case: &'a Case,
    binary: &'a Path,
    folder: &'a Path,
    corpus: &'a Corpus,
    lines: usize,
}

impl Bench<'_> {
    /// Runs and measures; the second result is the number of allocations, if the program counts them.
    fn run(&self) -> Result<(Run, Option<u64>)> {
        let run = self.folder.join(format!("run-{}", self.case.name));
        if run.exists() {
            fs::remove_dir_all(&run).context("cannot clear the folder of the run")?;
        }
        fs::create_dir_all(&run).context("cannot make the folder of the run")?;
        let data = match self.case.feed {
            Feed::Framed => self.corpus.framed(self.lines)?,
            Feed::File | Feed::Tcp | Feed::Udp => self.corpus.lines(self.lines)?,
        };
        let sink = Counter::start(matches!(self.case.sink, Sink::Lines | Sink::Lossy))?;
        let places =
            Places { run: &run, input: &data.path, in_port: free_port()?, out_port: sink.port() };
        let config = self.case.config(&places)?;
        let mut began = Instant::now();
        let mut daemon = Daemon::start(self.binary, &run, &config)?;
        let mut cpu_before = 0.0;
        if self.case.feed != Feed::File {
            daemon.wait_until_started()?;
            cpu_before = daemon.cpu_seconds()?;
            began = Instant::now();
        }
        let (ended, records) = self.feed_and_wait(&data, places.in_port, &sink)?;
        ensure!(daemon.is_running()?, "the daemon ended:\n{}", daemon.said()?);
        let cpu_seconds = daemon.cpu_seconds()? - cpu_before;
        let peak_kib = daemon.peak_kib()?;
        let missing = data.records.saturating_sub(records);
        if missing > 0 && self.case.sink != Sink::Lossy {
            bail!("{missing} of {} records are missing:\n{}", data.records, daemon.said()?);
        }
        let seconds = (ended - began).as_secs_f64();
        let share = records as f64 / data.records as f64;
        let bytes = (data.bytes as f64 * share) as u64;
        let run = Run { seconds, bytes, records, sent: data.records, cpu_seconds, peak_kib };
        Ok((run, daemon.stop()?))
    }

    /// Sends the data and waits for its end: when that was, and how many records came through.
    fn feed_and_wait(&self, data: &Data, port: u16, sink: &Counter) -> Result<(Instant, u64)> {
        match self.case.feed {
            Feed::File => {}
            Feed::Tcp | Feed::Framed => send_file(&data.path, port)?,
            Feed::Udp => send_datagrams(self.corpus.iter(self.lines), port)?,
        }
        let now = Instant::now();
        let all = data.records;
        Ok(match self.case.sink {
            Sink::Nothing => (now, all),
            Sink::Lines => {
                let got = sink.wait(QUIET, |got| got.lines >= all);
                got.map_or((now, 0), |got| (got.at, got.lines))
            }
            Sink::Lossy => {
                let got = sink.wait(QUIET_LOSSY, |got| got.lines >= all);
                got.map_or((now, 0), |got| (got.at, got.lines))
            }
            Sink::Bytes => {
                let got = sink.wait(QUIET, |got| got.bytes >= data.bytes);
                let records = |bytes: u64| if bytes >= data.bytes { all } else { 0 };
                got.map_or((now, 0), |got| (got.at, records(got.bytes)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_cases_may_stand_in_any_order() {
        let options = Options::parse(&["--lines", "10", "udp", "--save", "--runs", "1"]).unwrap();
        let options = options.unwrap();
        assert_eq!((options.cases, options.lines, options.runs), (vec!["udp"], 10, 1));
        assert!(options.save && options.counting);
        assert_eq!(Options::parse(&[]).unwrap().unwrap().cases.len(), CASES.len());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for words in [["--lines", "0"], ["--lines", "x"], ["nocase", "udp"], ["udp", "--runs"]] {
            assert!(Options::parse(&words).is_err(), "{words:?}");
        }
        assert_eq!(Options::parse(&["udp", "--help"]).unwrap(), None);
    }
}
