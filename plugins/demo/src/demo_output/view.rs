//! How the figures look: a screen, a line a second, the table at the end.
//!
//! Here: text from figures. Not here: writing it (`demo_output`). Invariants: a screen is as high as the one before and
//! fits 80 columns; nothing that came in a message reaches the terminal as a control character.

use std::fmt::Write;

use super::stats::{Figures, Stats, time_of_day};
use super::tally::Ranked;

/// Columns of a full bar.
const BAR_COLUMNS: usize = 40;
/// Columns of a path.
const PATH_COLUMNS: usize = 34;
/// Columns of a client.
const CLIENT_COLUMNS: usize = 20;
/// Rows of the lists.
const TOP: usize = 5;
/// Counters on the screen.
const COUNTERS_SHOWN: usize = 2;
/// Errors on the screen.
const ERRORS_SHOWN: usize = 3;
/// From this part of server errors on, the site is in trouble.
const TROUBLE_PART: f64 = 0.05;

const SPARKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Eighths of a column.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// Escape sequences of colours, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    classes: [&'static str; 6],
    bold: &'static str,
    dim: &'static str,
    good: &'static str,
    bad: &'static str,
    end: &'static str,
}

impl Palette {
    /// Colours of any terminal.
    pub(super) const COLOUR: Self = Self {
        classes: ["\x1b[35m", "\x1b[35m", "\x1b[32m", "\x1b[36m", "\x1b[33m", "\x1b[31m"],
        bold: "\x1b[1m",
        dim: "\x1b[2m",
        good: "\x1b[32m",
        bad: "\x1b[1;31m",
        end: "\x1b[0m",
    };
    /// No colours.
    pub(super) const PLAIN: Self =
        Self { classes: [""; 6], bold: "", dim: "", good: "", bad: "", end: "" };
}

/// The whole screen, each line with its newline; always the same number of lines.
pub(super) fn screen(stats: &Stats, now_ns: i64, palette: &Palette) -> String {
    let mut text = String::new();
    let shown = stats.past.back().unwrap_or(&stats.current);
    title(&mut text, stats, shown, now_ns, palette);
    rates(&mut text, stats, shown, now_ns);
    put(&mut text, format_args!("last minute  {}", sparkline(stats)));
    put(&mut text, format_args!(""));
    for class in 2..6 {
        let (bar, part) = (bar(shown.part(class)), shown.part(class) * 100.0);
        let (colour, end) = (palette.classes[class], palette.end);
        let count = grouped(shown.classes[class]);
        put(&mut text, format_args!("{class}xx {colour}{bar}{end} {part:>5.1} % {count:>12}/s"));
    }
    put(&mut text, format_args!(""));
    lists(&mut text, stats, palette);
    put(&mut text, format_args!(""));
    counters(&mut text, stats);
    errors(&mut text, stats, palette);
    text
}

fn title(text: &mut String, stats: &Stats, shown: &Figures, now_ns: i64, palette: &Palette) {
    let up = stats.elapsed(now_ns) as u64;
    let (hours, minutes, seconds) = (up / 3600, up / 60 % 60, up % 60);
    let failing = shown.part(5);
    let (colour, state) = if failing >= TROUBLE_PART {
        (palette.bad, format!("● {:.0} % of requests fail", failing * 100.0))
    } else {
        (palette.good, "● all is well".to_owned())
    };
    let (bold, end) = (palette.bold, palette.end);
    put(
        text,
        format_args!(
            "{bold}hekad demo{end}   {hours:02}:{minutes:02}:{seconds:02}   {colour}{state}{end}"
        ),
    );
}

fn rates(text: &mut String, stats: &Stats, shown: &Figures, now_ns: i64) {
    let elapsed = stats.elapsed(now_ns).max(1.0);
    let mean = grouped((stats.total.requests as f64 / elapsed).round() as u64);
    let (now, peak) = (grouped(shown.requests), grouped(stats.peak));
    let all = grouped(stats.total.requests);
    put(
        text,
        format_args!("requests     {now:>11}/s   mean {mean}/s   peak {peak}/s   in all {all}"),
    );
    let (log, log_all) = (megabytes(shown.line_bytes), megabytes(stats.total.line_bytes));
    let served = megabytes(stats.total.sent_bytes);
    put(text, format_args!("log          {log:>11}/s   in all {log_all}   the site sent {served}"));
    let (latency, longest) = (time(shown.latency_ns), time(stats.total.latency_ns));
    put(text, format_args!("read to here {latency:>13}   longest {longest}"));
}

fn lists(text: &mut String, stats: &Stats, palette: &Palette) {
    let (dim, end) = (palette.dim, palette.end);
    let (path, client) = ("path", "client");
    put(
        text,
        format_args!(
            "{dim}{path:<PATH_COLUMNS$} {:>9} {:>7}   {client:<CLIENT_COLUMNS$}{:>5}{end}",
            "/s", "5xx/s", "/s"
        ),
    );
    let (paths, clients) = (stats.paths.lately(TOP), stats.clients.lately(TOP));
    for row in 0..TOP {
        let mut line = match paths.get(row) {
            Some(Ranked { name, count, errors }) => {
                let name = fitted(name, PATH_COLUMNS);
                let errors = if *errors >= 0.05 { format!("{errors:.1}") } else { String::new() };
                let count = rate(*count);
                format!("{name:<PATH_COLUMNS$} {count:>9} {errors:>7}   ")
            }
            None => " ".repeat(PATH_COLUMNS + 21),
        };
        if let Some(Ranked { name, count, .. }) = clients.get(row) {
            let (name, count) = (fitted(name, CLIENT_COLUMNS - 2), rate(*count));
            line.push_str(&format!("{name:<width$}{count:>7}", width = CLIENT_COLUMNS - 2));
        }
        put(text, format_args!("{}", line.trim_end()));
    }
}

fn counters(text: &mut String, stats: &Stats) {
    let mut counters = stats.counters.iter();
    for _ in 0..COUNTERS_SHOWN {
        match counters.next() {
            Some((name, said)) => {
                let (name, said) = (fitted(name.as_bytes(), 12), fitted(said.as_bytes(), 58));
                put(text, format_args!("counter {name:<12} {said}"));
            }
            None => put(text, format_args!("")),
        }
    }
}

fn errors(text: &mut String, stats: &Stats, palette: &Palette) {
    let (bad, end) = (palette.classes[5], palette.end);
    for row in 0..ERRORS_SHOWN {
        match stats.errors.get(row) {
            Some(error) => {
                let time = time_of_day(error.timestamp_ns);
                let (status, request) = (error.status, fitted(&error.request, 46));
                let client = fitted(&error.client, 18);
                put(text, format_args!("{time} {bad}{status}{end} {request} {client}"));
            }
            None => put(text, format_args!("")),
        }
    }
}

/// One line about the second that ended last.
pub(super) fn second_line(stats: &Stats) -> String {
    let none = Figures::default();
    let shown = stats.past.back().unwrap_or(&none);
    let mut text = String::new();
    let (requests, log) = (grouped(shown.requests), megabytes(shown.line_bytes));
    let latency = time(shown.latency_ns);
    text.push_str(&time_of_day(stats.second_ns()));
    text.push_str(&format!(" {requests:>11} req/s {log:>10}/s"));
    for class in 2..6 {
        text.push_str(&format!("  {class}xx {:.1} %", shown.part(class) * 100.0));
    }
    put(&mut text, format_args!("  latency {latency}"));
    text
}

/// The table of the whole run.
pub(super) fn summary(stats: &Stats, now_ns: i64) -> String {
    let total = &stats.total;
    let elapsed = stats.elapsed(now_ns);
    let per_second = |count: u64| (count as f64 / elapsed.max(0.001)).round() as u64;
    let mut text = String::new();
    put(&mut text, format_args!(""));
    put(&mut text, format_args!("time         {elapsed:>12.1} s"));
    let (all, mean) = (grouped(total.requests), grouped(per_second(total.requests)));
    let peak = grouped(stats.peak.max(stats.current.requests));
    put(&mut text, format_args!("requests     {all:>12}   mean {mean}/s   peak {peak}/s"));
    let (log, mean) = (megabytes(total.line_bytes), megabytes(per_second(total.line_bytes)));
    put(&mut text, format_args!("log          {log:>12}   mean {mean}/s"));
    put(&mut text, format_args!("site sent    {:>12}", megabytes(total.sent_bytes)));
    put(&mut text, format_args!("read to here {:>12}   at the longest", time(total.latency_ns)));
    for class in (1..6).chain([0]).filter(|&class| total.classes[class] > 0) {
        let name = if class == 0 { "none".to_owned() } else { format!("{class}xx") };
        let (count, part) = (grouped(total.classes[class]), total.part(class) * 100.0);
        put(&mut text, format_args!("status {name:<5} {count:>12}   {part:.1} %"));
    }
    for path in stats.paths.in_all(TOP) {
        let (count, errors) = (grouped(path.count as u64), grouped(path.errors as u64));
        let name = fitted(&path.name, PATH_COLUMNS);
        put(&mut text, format_args!("path         {count:>12}   {name}   {errors} failed"));
    }
    for client in stats.clients.in_all(TOP) {
        let (count, name) = (grouped(client.count as u64), fitted(&client.name, PATH_COLUMNS));
        put(&mut text, format_args!("client       {count:>12}   {name}"));
    }
    for (name, said) in &stats.counters {
        let (name, said) = (fitted(name.as_bytes(), 12), fitted(said.as_bytes(), 52));
        put(&mut text, format_args!("counter      {name:>12}   {said}"));
    }
    text
}

/// Appends a line.
fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok());
}

/// A minute of requests a second, the highest one full.
fn sparkline(stats: &Stats) -> String {
    let most = stats.past.iter().map(|second| second.requests).max().unwrap_or(0).max(1);
    let spark = |second: &Figures| {
        let step = second.requests.saturating_mul(SPARKS.len() as u64 - 1).div_ceil(most);
        SPARKS[usize::try_from(step).unwrap_or(0).min(SPARKS.len() - 1)]
    };
    stats.past.iter().map(spark).collect()
}

/// A bar of a part from 0 to 1, padded to its full width.
fn bar(part: f64) -> String {
    let eighths = (part.clamp(0.0, 1.0) * (BAR_COLUMNS * EIGHTHS.len()) as f64).round() as usize;
    // What is there at all can be seen.
    let eighths = if part > 0.0 { eighths.max(1) } else { 0 };
    let (full, rest) = (eighths / EIGHTHS.len(), EIGHTHS[eighths % EIGHTHS.len()]);
    let used = full + usize::from(!rest.is_empty());
    format!("{}{rest}{}", "█".repeat(full), " ".repeat(BAR_COLUMNS - used))
}

/// Text of a message, safe to show, cut to so many columns.
fn fitted(bytes: &[u8], columns: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let safe = |it: char| if is_safe(it) { it } else { '?' };
    if text.chars().count() <= columns {
        return text.chars().map(safe).collect();
    }
    let mut cut: String = text.chars().take(columns.saturating_sub(1)).map(safe).collect();
    cut.push('…');
    cut
}

/// Neither moves the cursor nor turns the direction of writing, and takes one column: Latin letters and signs.
fn is_safe(it: char) -> bool {
    matches!(it, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{24f}')
}

/// A number with commas.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate in few digits.
fn rate(number: f64) -> String {
    if number < 100.0 { format!("{number:.1}") } else { grouped(number.round() as u64) }
}

/// Bytes in the unit that fits.
fn megabytes(bytes: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let number = bytes as f64;
    match UNITS.iter().find(|(unit, _)| number >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", number / unit),
        None => format!("{bytes} B"),
    }
}

/// A time in the unit that fits.
fn time(ns: u64) -> String {
    match ns {
        0 => "-".to_owned(),
        1..1_000_000 => format!("{:.0} µs", ns as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests;
