//! What arrives of several numbered sources, judged while it comes, so that no amount of it needs memory.
//!
//! Lines have one length, [`LINE_BYTES`], so that a number of bytes is a number of lines.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Bytes of a line with its newline.
pub(crate) const LINE_BYTES: usize = 100;
/// Bytes of the name, the number, and the blanks behind them.
const HEAD_BYTES: usize = 13;
/// What follows, whatever the number.
const TAIL: &[u8; LINE_BYTES - HEAD_BYTES] =
    b"GET /some/page HTTP/1.1 200 and what else an ordinary line of a web server has to tell\n";
/// Lines of a source whose time of arrival is remembered: some seconds' worth.
const REMEMBERED: usize = 2_000_000;
/// Faults that are kept: the first ones say what happened.
const FAULTS_MAX: usize = 10;

/// Appends the line with this number to `out`.
pub(crate) fn put_line(name: u8, number: usize, out: &mut Vec<u8>) {
    let mut head = *b"? 0000000000 ";
    head[0] = name;
    let mut rest = number;
    for digit in head[2..12].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&head);
    out.extend_from_slice(TAIL);
}

/// The lines `from..from + count`.
pub(crate) fn line_block(name: u8, from: usize, count: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(count * LINE_BYTES);
    (from..from + count).for_each(|number| put_line(name, number, &mut block));
    block
}

/// Name and number of a line without its newline.
fn parse(line: &[u8]) -> Option<(u8, usize)> {
    if line.len() != LINE_BYTES - 1 || line[HEAD_BYTES..] != TAIL[..TAIL.len() - 1] {
        return None;
    }
    let number = line[2..12].iter().try_fold(0, |number, digit| {
        digit.is_ascii_digit().then(|| number * 10 + usize::from(digit - b'0'))
    })?;
    Some((line[0], number))
}

/// What is expected of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Every line, in order.
    All,
    /// Lines may be missing, but only right before one that a connection began with.
    ConnectionsFromTheirBegin,
    /// Any line may be missing.
    Some,
}

/// How an instance of the daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Killed at this time.
    Killed(Instant),
    /// Stopped in order: nothing that it delivered may come again.
    InOrder,
}

/// Lines of one source.
#[derive(Debug)]
struct Origin {
    name: u8,
    expect: Expect,
    /// Number behind the highest that arrived.
    next: usize,
    arrived: usize,
    missing: usize,
    most_missing: usize,
    /// Numbers that connections began with.
    begins: BTreeSet<usize>,
    /// Instance of the daemon, and time of the last arrival, of the lines before `next`.
    last: VecDeque<(u32, u32)>,
}

/// What arrived at one place.
#[derive(Debug)]
pub(crate) struct Arrivals {
    place: &'static str,
    began: Instant,
    origins: Vec<Origin>,
    ends: Vec<End>,
    /// Begin of a line whose rest did not come yet.
    torn: Vec<u8>,
    /// A line came again that had arrived longer than so before the crash.
    oldest_allowed: Duration,
    pub(crate) lines: usize,
    pub(crate) repeated: usize,
    /// Since the last crash.
    repeated_now: usize,
    pub(crate) most_repeated: usize,
    /// How long before the crash the oldest line had arrived that came again.
    pub(crate) oldest_repeated: Duration,
    /// Lines of which a crash left the begin.
    pub(crate) torn_lines: usize,
    faults: Vec<String>,
}

impl Arrivals {
    pub(crate) fn new(
        place: &'static str,
        sources: &[(u8, Expect)],
        oldest_allowed: Duration,
    ) -> Self {
        let origin = |&(name, expect): &(u8, Expect)| Origin {
            name,
            expect,
            next: 0,
            arrived: 0,
            missing: 0,
            most_missing: 0,
            begins: BTreeSet::new(),
            last: VecDeque::new(),
        };
        Self {
            place,
            began: Instant::now(),
            origins: sources.iter().map(origin).collect(),
            ends: Vec::new(),
            torn: Vec::new(),
            oldest_allowed,
            lines: 0,
            repeated: 0,
            repeated_now: 0,
            most_repeated: 0,
            oldest_repeated: Duration::ZERO,
            torn_lines: 0,
            faults: Vec::new(),
        }
    }

    /// Takes what was read next.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let now = u32::try_from(self.began.elapsed().as_millis()).unwrap();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            if self.torn.is_empty() {
                self.line(&rest[..end], now);
            } else {
                let mut line = std::mem::take(&mut self.torn);
                line.extend_from_slice(&rest[..end]);
                self.line(&line, now);
            }
            rest = &rest[end + 1..];
        }
        self.torn.extend_from_slice(rest);
    }

    /// The connection or the file is at its end: what a torn line lacks will not come.
    pub(crate) fn forget_torn(&mut self) {
        self.torn_lines += usize::from(!self.torn.is_empty());
        self.torn.clear();
    }

    fn line(&mut self, line: &[u8], now: u32) {
        if let Some((name, number)) = parse(line) {
            return self.count(name, number, now);
        }
        // A crash can leave part of a line, behind which the next one is written.
        let whole = line.len().saturating_sub(LINE_BYTES - 1);
        match parse(&line[whole..]) {
            Some((name, number)) if whole < LINE_BYTES && !self.ends.is_empty() => {
                self.torn_lines += 1;
                self.count(name, number, now);
            }
            _ => self.fault(format!("no line: {:?}", String::from_utf8_lossy(line))),
        }
    }

    fn count(&mut self, name: u8, number: usize, now: u32) {
        let instance = self.ends.len() as u32;
        let Some(origin) = self.origins.iter_mut().find(|it| it.name == name) else {
            return self.fault(format!("line {number} of nobody"));
        };
        self.lines += 1;
        if number < origin.next {
            return self.again(name, number, now);
        }
        let hole = number - origin.next;
        let begins = origin.begins.contains(&number);
        let allowed = match origin.expect {
            Expect::All => hole == 0,
            Expect::ConnectionsFromTheirBegin => hole == 0 || begins,
            Expect::Some => true,
        };
        let from = origin.next;
        origin.missing += hole;
        origin.most_missing = origin.most_missing.max(hole);
        origin.arrived += 1;
        origin.next = number + 1;
        let skipped = std::iter::repeat_n((u32::MAX, 0), hole.min(REMEMBERED));
        origin.last.extend(skipped.chain([(instance, now)]));
        let old = origin.last.len().saturating_sub(REMEMBERED);
        origin.last.drain(..old);
        if !allowed {
            self.fault(format!("of {} line {number} instead of {from}", name as char));
        }
    }

    /// A line below one that arrived.
    fn again(&mut self, name: u8, number: usize, now: u32) {
        let instance = self.ends.len() as u32;
        let Some(origin) = self.origins.iter_mut().find(|it| it.name == name) else { return };
        let from_end = origin.next - number;
        let place = origin.last.len().checked_sub(from_end);
        let next = origin.next;
        let before = place.map(|place| std::mem::replace(&mut origin.last[place], (instance, now)));
        let text = format!("line {number} of {} before {next}", name as char);
        let Some((earlier, at)) = before else {
            return self.fault(format!("{text} came again, which is long gone"));
        };
        if earlier == u32::MAX {
            return self.fault(format!("{text} came although later ones had arrived"));
        }
        self.repeated += 1;
        self.repeated_now += 1;
        match self.ends.get(earlier as usize) {
            None => self.fault(format!("{text} came again without a crash")),
            Some(End::InOrder) => self.fault(format!("{text} came again after a stop in order")),
            Some(End::Killed(killed)) => {
                let arrived = self.began + Duration::from_millis(at.into());
                let age = killed.saturating_duration_since(arrived);
                self.oldest_repeated = self.oldest_repeated.max(age);
                if age > self.oldest_allowed {
                    let instance = earlier + 1;
                    self.fault(format!(
                        "{text} came again, {age:?} old when instance {instance} was killed"
                    ));
                }
            }
        }
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < FAULTS_MAX {
            let place = self.place;
            let (instance, at) = (self.ends.len() + 1, self.began.elapsed());
            self.faults.push(format!("{place}, instance {instance}, {at:?}: {text}"));
        }
    }

    /// The daemon was killed, and all that it had sent has been taken.
    pub(crate) fn killed(&mut self, at: Instant) {
        self.end(End::Killed(at));
    }

    /// The daemon was stopped in order, and all that it had sent has been taken.
    pub(crate) fn stopped(&mut self) {
        self.end(End::InOrder);
    }

    fn end(&mut self, end: End) {
        self.ends.push(end);
        self.most_repeated = self.most_repeated.max(self.repeated_now);
        self.repeated_now = 0;
    }

    /// A connection of this source begins with line `number`.
    pub(crate) fn begins(&mut self, name: u8, number: usize) {
        let origin = self.origins.iter_mut().find(|it| it.name == name).unwrap();
        origin.begins.insert(number);
    }

    fn origin(&self, name: u8) -> &Origin {
        self.origins.iter().find(|it| it.name == name).unwrap()
    }

    /// Number behind the highest that arrived of a source.
    pub(crate) fn next(&self, name: u8) -> usize {
        self.origin(name).next
    }

    /// Of every source the number behind the highest that arrived.
    pub(crate) fn progress(&self) -> Vec<(char, usize)> {
        self.origins.iter().map(|origin| (origin.name as char, origin.next)).collect()
    }

    /// Different lines that arrived of a source.
    pub(crate) fn arrived(&self, name: u8) -> usize {
        self.origin(name).arrived
    }

    /// Lines of a source that never arrived, and the most of them in a row; those at the end are not known.
    pub(crate) fn missing(&self, name: u8) -> (usize, usize) {
        let origin = self.origin(name);
        (origin.missing, origin.most_missing)
    }

    /// What should not have happened.
    pub(crate) fn faults(&self) -> &[String] {
        &self.faults
    }

    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{}: {} lines, {} came again ({} at most after a crash, {:?} old at most), {} torn",
            self.place,
            self.lines,
            self.repeated,
            self.most_repeated.max(self.repeated_now),
            self.oldest_repeated,
            self.torn_lines
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: Duration = Duration::from_secs(1);

    fn arrivals(expect: Expect) -> Arrivals {
        Arrivals::new("here", &[(b'a', expect)], ALLOWED)
    }

    fn assert_fault(arrivals: &Arrivals, text: &str) {
        let faults = arrivals.faults();
        assert!(faults.iter().any(|fault| fault.contains(text)), "{text:?} is not in {faults:?}");
    }

    #[test]
    fn lines_in_order_are_no_fault_however_they_are_cut() {
        let mut arrivals = arrivals(Expect::All);
        line_block(b'a', 0, 20).chunks(7).for_each(|part| arrivals.take(part));
        assert_eq!((arrivals.next(b'a'), arrivals.faults().len()), (20, 0));
    }

    #[test]
    fn a_missing_line_is_a_fault_unless_a_connection_begins_behind_it() {
        let mut all = arrivals(Expect::All);
        all.take(&line_block(b'a', 1, 1));
        assert_fault(&all, "line 1 instead of 0");
        let mut connections = arrivals(Expect::ConnectionsFromTheirBegin);
        connections.begins(b'a', 5);
        connections.take(&line_block(b'a', 5, 1));
        assert_eq!((connections.missing(b'a'), connections.faults().len()), ((5, 5), 0));
        connections.take(&line_block(b'a', 7, 1));
        assert_fault(&connections, "line 7 instead of 6");
        connections.take(&line_block(b'a', 3, 1));
        assert_fault(&connections, "line 3 of a before 8 came although later ones had arrived");
    }

    #[test]
    fn a_line_that_comes_again_is_a_fault_but_right_after_a_crash() {
        let mut arrivals = arrivals(Expect::All);
        arrivals.take(&line_block(b'a', 0, 9));
        arrivals.killed(Instant::now());
        arrivals.take(&line_block(b'a', 0, 9));
        assert_eq!((arrivals.repeated, arrivals.faults().len()), (9, 0));
        arrivals.killed(Instant::now() + 2 * ALLOWED);
        arrivals.take(&line_block(b'a', 2, 1));
        assert_fault(&arrivals, "line 2 of a before 9 came again, ");
        arrivals.take(&line_block(b'a', 2, 1));
        assert_fault(&arrivals, "line 2 of a before 9 came again without a crash");
        arrivals.stopped();
        arrivals.take(&line_block(b'a', 2, 1));
        assert_fault(&arrivals, "line 2 of a before 9 came again after a stop in order");
    }

    #[test]
    fn a_torn_line_is_a_fault_but_after_a_crash() {
        let torn = [&line_block(b'a', 0, 1)[..40], &line_block(b'a', 0, 1)].concat();
        let mut arrivals = arrivals(Expect::All);
        arrivals.take(&torn);
        assert_fault(&arrivals, "no line: ");
        arrivals.killed(Instant::now());
        arrivals.take(&torn);
        assert_eq!((arrivals.torn_lines, arrivals.faults().len()), (1, 1));
    }
}
