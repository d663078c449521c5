//! What is told of a run: what the script made and said as it goes, its figures at the end; as text or as JSON.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use heka_plugin_sandbox::{Called, Made, SandboxConfig, Trial};
use heka_sandbox::{Ended, Line, Outcome, Report, Usage};
use serde_json::{Value, json};

use crate::lua_command::TestOptions;
use crate::lua_command::subject::{Subject, source_of};
use crate::lua_command::trial::Figures;
use crate::printer::{Format, Printer, one_line};
use crate::{put_out, say, tell};

/// Lines of a profile.
const PROFILE_LINES: usize = 20;
/// Longest source line in a profile, in characters.
const SOURCE_CHARACTERS: usize = 60;

/// Tells of one run.
pub(super) struct Teller<'a> {
    subject: &'a Subject,
    options: &'a TestOptions,
    printer: Printer,
    /// Things told, and those that were left out.
    told: u64,
    left_out: u64,
    events: Vec<Value>,
    error: Value,
}

impl<'a> Teller<'a> {
    pub(super) fn new(subject: &'a Subject, options: &'a TestOptions) -> anyhow::Result<Self> {
        let format = if options.json { Format::Json } else { Format::Rst };
        let context = &subject.context;
        let printer = Printer::new(format, &context.names, context.max_message_size)?;
        let teller = Self {
            subject,
            options,
            printer,
            told: 0,
            left_out: 0,
            events: Vec::new(),
            error: Value::Null,
        };
        if !options.json {
            let (script, plugin) = (&subject.config.filename, subject.kind.plugin());
            say(&format!("{script} as {plugin} ({})\n\n", subject.kind_from))?;
        }
        Ok(teller)
    }

    /// Tells something of the run as a whole.
    pub(super) fn note(&mut self, text: &str) -> anyhow::Result<()> {
        if self.options.json {
            self.events.push(json!({"note": text}));
            return Ok(());
        }
        say(&format!("{text}\n"))
    }

    /// Tells what a call made and said; nothing of one that did neither.
    pub(super) fn called(&mut self, what: &str, called: &Called) -> anyhow::Result<()> {
        for line in &called.printed {
            self.tell(
                what,
                json!({"printed": line}),
                &format!("prints: {}", one_line(line.as_bytes())),
                b"",
            )?;
        }
        for made in &called.made {
            self.made(what, made)?;
        }
        let (status, text) = match &called.outcome {
            Ok(Outcome::Refused { status, text }) | Err(Ended::Status { status, text }) => {
                (*status, text)
            }
            Ok(Outcome::Done) | Err(Ended::Failed(_)) => return Ok(()),
        };
        let shown = match text.is_empty() {
            true => format!("status {status}"),
            false => format!("status {status}: {}", one_line(text.as_bytes())),
        };
        self.tell(what, json!({"status": status, "text": text}), &shown, b"")
    }

    fn made(&mut self, what: &str, made: &Made) -> anyhow::Result<()> {
        match made {
            Made::Payload { payload_type, name, text } => {
                let [payload_type, name] = [payload_type, name].map(|it| one_line(it));
                let event = json!({
                    "payload_type": payload_type,
                    "payload_name": name,
                    "payload": String::from_utf8_lossy(text),
                });
                let bytes = text.len();
                let shown = format!("injects payload {payload_type} \"{name}\", {bytes} B");
                self.tell(what, event, &shown, text)
            }
            Made::Messages(batch) => {
                for record in batch.records() {
                    let bytes = self.printer.bytes(batch, &record)?;
                    let event = match self.options.json {
                        true => json!({"message": serde_json::from_slice::<Value>(&bytes)?}),
                        false => Value::Null,
                    };
                    self.tell(what, event, "makes message", bytes.trim_ascii_start())?;
                }
                Ok(())
            }
            Made::Bytes(bytes) => {
                let event = json!({"encoded": String::from_utf8_lossy(bytes)});
                self.tell(what, event, &format!("encodes to {} B", bytes.len()), bytes)
            }
            Made::Place(place) => self.tell(what, json!({"place": place}), place, b""),
        }
    }

    fn tell(
        &mut self,
        what: &str,
        mut event: Value,
        head: &str,
        body: &[u8],
    ) -> anyhow::Result<()> {
        if self.told >= self.options.show {
            self.left_out += 1;
            return Ok(());
        }
        self.told += 1;
        if self.options.json {
            event["in"] = json!(what);
            self.events.push(event);
            return Ok(());
        }
        let mut out = format!("{what} {head}\n");
        let lines = body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        for line in lines.clone().take(self.options.lines) {
            let parts: Vec<String> = line.split(|&byte| byte == b'\t').map(one_line).collect();
            writeln!(out, "    {}", parts.join("\t"))?;
        }
        let more = lines.count().saturating_sub(self.options.lines);
        if more > 0 {
            writeln!(out, "    .. {more} more lines, see --lines")?;
        }
        put_out(out.as_bytes()).map(|_there| ())
    }

    /// Tells that the script failed in a call.
    pub(super) fn failed_in(&mut self, what: &str, report: &Report) -> anyhow::Result<()> {
        if !self.options.json {
            tell(&format!("{what}: "));
        }
        self.failed(report)
    }

    /// Tells how the script failed.
    pub(super) fn failed(&mut self, report: &Report) -> anyhow::Result<()> {
        let share_dir = Arc::clone(&self.subject.context.share_dir);
        let config = &self.subject.config;
        let place = Place::of(&report.text);
        let source = place.as_ref().and_then(|place| place.source(config, &share_dir));
        let source = source.or_else(|| report.source_line.clone());
        if self.options.json {
            self.error = json!({
                "text": report.text,
                "file": place.as_ref().map(|place| place.file),
                "line": place.as_ref().map(|place| place.line),
                "source": source,
                "traceback": report.traceback.lines().collect::<Vec<_>>(),
            });
            return Ok(());
        }
        let mut text = format!("error: {}\n", report.text);
        if let (Some(place), Some(source)) = (&place, &source) {
            let line = place.line.to_string();
            let (margin, mark) = (" ".repeat(line.len()), mark(source, &report.text));
            writeln!(text, "{margin}--> {}:{line}", place.file)?;
            writeln!(text, "{line} | {source}\n{margin} | {mark}")?;
        }
        if !report.traceback.is_empty() {
            text.push_str("traceback, innermost first:\n");
            report.traceback.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
        }
        tell(&text);
        Ok(())
    }

    /// Tells the figures.
    pub(super) fn finish(
        &mut self,
        trial: Option<&Trial>,
        figures: &Figures,
    ) -> anyhow::Result<()> {
        if self.options.json {
            return self.finish_json(trial, figures);
        }
        let mut text = String::new();
        if self.left_out > 0 {
            writeln!(text, "{} more not shown, see --show", self.left_out)?;
        }
        if let Some(trial) = trial {
            figures_text(&mut text, figures, &trial.usage(), &self.subject.config)?;
            if let Some(profile) = trial.profile() {
                self.profile_text(&mut text, &profile.lines())?;
            }
        }
        say(&text)
    }

    fn profile_text(&self, text: &mut String, lines: &[Line]) -> anyhow::Result<()> {
        let total: u128 = lines.iter().map(|line| line.time.as_nanos()).sum();
        writeln!(text, "\n{:>10}  {:>6}  {:>10}  line", "time", "share", "count")?;
        for line in lines.iter().take(PROFILE_LINES) {
            let share = line.time.as_nanos() as f64 * 100.0 / total.max(1) as f64;
            let time = time_text(u64::try_from(line.time.as_nanos()).unwrap_or(u64::MAX));
            let place = Place { file: &line.source, line: usize::try_from(line.number)? };
            let source = place.source(&self.subject.config, &self.subject.context.share_dir);
            let source: String =
                source.unwrap_or_default().trim().chars().take(SOURCE_CHARACTERS).collect();
            let file = short_name(&line.source);
            let (count, number) = (line.count, line.number);
            writeln!(text, "{time:>10}  {share:>4.1} %  {count:>10}  {file}:{number}: {source}")?;
        }
        Ok(())
    }

    fn finish_json(&mut self, trial: Option<&Trial>, figures: &Figures) -> anyhow::Result<()> {
        let usage = trial.map(Trial::usage).unwrap_or_default();
        let lines = trial.and_then(Trial::profile).map(|profile| {
            let lines = profile.lines();
            let lines = lines.iter().take(PROFILE_LINES).map(|line| self.line_json(line));
            lines.collect::<Vec<_>>()
        });
        let report = json!({
            "script": self.subject.config.filename,
            "kind": self.subject.kind.plugin(),
            "events": std::mem::take(&mut self.events),
            "events_left_out": self.left_out,
            "error": self.error.take(),
            "messages": figures.messages,
            "unmatched": figures.unmatched,
            "ticks": figures.ticks,
            "statuses": figures.statuses,
            "payloads": figures.payloads,
            "made_messages": figures.made_messages,
            "encoded": figures.texts,
            "memory": usage.memory,
            "memory_max": usage.memory_max,
            "instructions_mean": mean(figures),
            "instructions_max": figures.instructions_most,
            "time_ns_mean": figures.times.mean_ns(),
            "time_ns_p99": figures.times.percentile_ns(99),
            "output_max": usage.output_max,
            "profile": lines,
        });
        say(&format!("{report:#}\n"))
    }

    fn line_json(&self, line: &Line) -> Value {
        let place = Place { file: &line.source, line: usize::try_from(line.number).unwrap_or(0) };
        let source = place.source(&self.subject.config, &self.subject.context.share_dir);
        json!({
            "file": line.source,
            "line": line.number,
            "source": source,
            "count": line.count,
            "time_ns": u64::try_from(line.time.as_nanos()).unwrap_or(u64::MAX),
        })
    }
}

fn mean(figures: &Figures) -> u64 {
    let calls: u64 = figures.statuses.values().sum();
    figures.instructions / calls.max(1)
}

fn figures_text(
    text: &mut String,
    figures: &Figures,
    usage: &Usage,
    config: &SandboxConfig,
) -> std::fmt::Result {
    let statuses = &figures.statuses;
    let of_status: Vec<String> =
        statuses.iter().map(|(status, count)| format!("{count} with status {status}")).collect();
    write!(text, "\nmessages      {}", figures.messages)?;
    if !of_status.is_empty() {
        write!(text, ": {}", of_status.join(", "))?;
    }
    if figures.unmatched > 0 {
        write!(text, "; {} more did not match", figures.unmatched)?;
    }
    writeln!(text, "\nticks         {}", figures.ticks)?;
    let made = [
        (figures.payloads, "payloads"),
        (figures.made_messages, "messages"),
        (figures.texts, "encoded messages"),
    ];
    let made: Vec<String> = made
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let made = if made.is_empty() { "nothing".to_owned() } else { made.join(", ") };
    writeln!(text, "made          {made}")?;
    let of = |limit: u64| if limit == 0 { "no limit".to_owned() } else { format!("of {limit}") };
    let (memory, limit) = (usage.memory, of(config.memory_limit));
    writeln!(text, "memory        {memory} B now, {} B at most, {limit}", usage.memory_max)?;
    if figures.instructions_most > 0 {
        let (most, limit) = (figures.instructions_most, of(config.instruction_limit));
        let mean = mean(figures);
        writeln!(text, "instructions  {mean} a call in the mean, {most} at most, {limit}")?;
    }
    let [mean, p99] = [figures.times.mean_ns(), figures.times.percentile_ns(99)].map(time_text);
    writeln!(text, "time          {mean} a call in the mean, 99 % took at most {p99}")?;
    writeln!(text, "output        {} B at most, {}", usage.output_max, of(config.output_limit))
}

/// A time of some nanoseconds with three digits.
fn time_text(ns: u64) -> String {
    let ns = ns as f64;
    match ns {
        0.0..1e3 => format!("{ns} ns"),
        1e3..1e6 => format!("{:.1} µs", ns / 1e3),
        1e6..1e9 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.2} s", ns / 1e9),
    }
}

fn short_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A line of a script that an error names.
struct Place<'a> {
    file: &'a str,
    line: usize,
}

impl<'a> Place<'a> {
    /// The first `FILE:LINE:` of an error's text.
    fn of(text: &'a str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let (file, line) = word.strip_suffix(':')?.rsplit_once(':')?;
            let line = line.parse().ok()?;
            (!file.is_empty()).then_some(Self { file, line })
        })
    }

    fn source(&self, config: &SandboxConfig, share_dir: &Arc<Path>) -> Option<String> {
        let source = source_of(self.file, config, share_dir)?;
        let line = source.split(|&byte| byte == b'\n').nth(self.line.checked_sub(1)?)?;
        Some(String::from_utf8_lossy(line).trim_end().replace('\t', "    "))
    }
}

/// A line of `^` below what an error's text names, if it stands there once, or else below all of the source line.
fn mark(source: &str, text: &str) -> String {
    let begin = source.len() - source.trim_start().len();
    let named = text.split('\'').nth(1).and_then(|name| only_place(source, name));
    let range = named.unwrap_or(begin..source.len());
    let before = source[..range.start].chars().count();
    let under = source[range].chars().count().max(1);
    format!("{}{}", " ".repeat(before), "^".repeat(under))
}

/// Where a word stands in a line, if that is one place.
fn only_place(source: &str, word: &str) -> Option<std::ops::Range<usize>> {
    let in_word =
        |byte: Option<&u8>| byte.is_some_and(|it| it.is_ascii_alphanumeric() || *it == b'_');
    let mut places = source.match_indices(word).map(|(at, found)| at..at + found.len());
    let is_whole = |range: &std::ops::Range<usize>| {
        let bytes = source.as_bytes();
        let before = range.start.checked_sub(1).and_then(|at| bytes.get(at));
        let inner = in_word(bytes.get(range.start));
        !word.is_empty() && !(inner && (in_word(before) || in_word(bytes.get(range.end))))
    };
    let first = places.by_ref().find(is_whole)?;
    places.find(is_whole).is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_s_place_is_found_wherever_it_stands() {
        let place = Place::of("process_message() /a/b.lua:12: attempt to index").unwrap();
        assert_eq!((place.file, place.line), ("/a/b.lua", 12));
        assert!(Place::of("instruction_limit exceeded").is_none());
        assert!(Place::of("a: b :3: x").is_none());
    }

    #[test]
    fn the_mark_lies_below_what_the_error_names() {
        let source = "    local y = x.grün";
        assert_eq!(mark(source, "attempt to index global 'x' (a nil value)"), "              ^");
        assert_eq!(mark(source, "field 'grün'"), "                ^^^^");
        assert_eq!(mark("nn = n + 1", "global 'n'"), "     ^");
        assert_eq!(mark("n = n + 1", "global 'n'"), "^^^^^^^^^");
        assert_eq!(mark(source, "not enough memory"), "    ^^^^^^^^^^^^^^^^");
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time_text(999), "999 ns");
        assert_eq!(time_text(1_500), "1.5 µs");
        assert_eq!(time_text(2_000_000_000), "2.00 s");
    }
}
