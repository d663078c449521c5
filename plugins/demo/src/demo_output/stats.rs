//! What the view knows: figures of the seconds past, and what came lately.
//!
//! Here: counting. Not here: reading messages (`demo_output`) and showing (`view`). Invariant: bounded, whatever comes
//! and however long.

use std::collections::{BTreeMap, VecDeque};

use heka_datetime::{Civil, NS_PER_SECOND};

use super::tally::Tally;

/// Seconds of which each has its own figures.
pub(super) const SECONDS_SHOWN: usize = 60;
/// Errors kept.
const ERRORS_MAX: usize = 3;
/// Longest request kept of an error, in bytes.
const REQUEST_BYTES_MAX: usize = 256;
/// Counters kept; more are left out.
const COUNTERS_MAX: usize = 8;
/// Longest text of a counter, in bytes.
const COUNTER_BYTES_MAX: usize = 128;

/// A parsed request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Request<'a> {
    /// Time of the message.
    pub(super) timestamp_ns: i64,
    pub(super) status: u16,
    /// `GET /path HTTP/1.1`.
    pub(super) request: &'a [u8],
    pub(super) client: &'a [u8],
    /// Bytes that the site sent.
    pub(super) sent_bytes: u64,
    /// Bytes of the log line; 0 if it was not kept.
    pub(super) line_bytes: u64,
}

/// Figures of a second, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) requests: u64,
    pub(super) line_bytes: u64,
    pub(super) sent_bytes: u64,
    /// By the first digit of the status; 0: any other.
    pub(super) classes: [u64; 6],
    /// Longest time from reading to here.
    pub(super) latency_ns: u64,
}

/// An error as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ErrorLine {
    pub(super) timestamp_ns: i64,
    pub(super) status: u16,
    pub(super) request: Vec<u8>,
    pub(super) client: Vec<u8>,
}

/// All that the view shows.
#[derive(Debug)]
pub(super) struct Stats {
    start_ns: i64,
    pub(super) current: Figures,
    /// Finished seconds, the last one at the end.
    pub(super) past: VecDeque<Figures>,
    pub(super) total: Figures,
    /// Number of finished seconds.
    pub(super) seconds: u64,
    pub(super) peak: u64,
    pub(super) paths: Tally,
    pub(super) clients: Tally,
    pub(super) errors: VecDeque<ErrorLine>,
    /// Last text of each counter, by its name.
    pub(super) counters: BTreeMap<Box<str>, Box<str>>,
    path: Vec<u8>,
}

impl Stats {
    /// Nothing yet.
    pub(super) fn new(start_ns: i64) -> Self {
        Self {
            start_ns,
            current: Figures::default(),
            past: VecDeque::with_capacity(SECONDS_SHOWN),
            total: Figures::default(),
            seconds: 0,
            peak: 0,
            paths: Tally::default(),
            clients: Tally::default(),
            errors: VecDeque::with_capacity(ERRORS_MAX),
            counters: BTreeMap::new(),
            path: Vec::new(),
        }
    }

    /// Seconds since the start, with their fraction.
    pub(super) fn elapsed(&self, now_ns: i64) -> f64 {
        now_ns.saturating_sub(self.start_ns).max(0) as f64 / NS_PER_SECOND as f64
    }

    /// When the last finished second ended.
    pub(super) fn second_ns(&self) -> i64 {
        let seconds = i64::try_from(self.seconds).unwrap_or(i64::MAX);
        self.start_ns.saturating_add(seconds.saturating_mul(NS_PER_SECOND))
    }

    /// Ends the seconds that are over; says how many.
    pub(super) fn advance(&mut self, now_ns: i64) -> u64 {
        let since = now_ns.saturating_sub(self.start_ns).max(0) / NS_PER_SECOND;
        let ended = (since as u64).saturating_sub(self.seconds);
        // After a long sleep only as many seconds as are shown need to be gone through.
        for _ in 0..ended.min(SECONDS_SHOWN as u64) {
            self.peak = self.peak.max(self.current.requests);
            if self.past.len() == SECONDS_SHOWN {
                self.past.pop_front();
            }
            self.past.push_back(std::mem::take(&mut self.current));
            self.paths.end_second();
            self.clients.end_second();
        }
        self.seconds += ended;
        ended
    }

    /// Counts a request.
    pub(super) fn request(&mut self, request: &Request<'_>) {
        let is_error = request.status >= 500;
        for figures in [&mut self.current, &mut self.total] {
            figures.requests += 1;
            figures.line_bytes += request.line_bytes;
            figures.sent_bytes += request.sent_bytes;
            let class = usize::from(request.status / 100);
            figures.classes[if class < 6 { class } else { 0 }] += 1;
        }
        shape(path_of(request.request), &mut self.path);
        self.paths.add(&self.path, is_error);
        self.clients.add(request.client, is_error);
        if is_error {
            self.error(request);
        }
    }

    /// Notes the time that a batch took to come here.
    pub(super) fn latency(&mut self, ns: i64) {
        let ns = u64::try_from(ns).unwrap_or(0);
        for figures in [&mut self.current, &mut self.total] {
            figures.latency_ns = figures.latency_ns.max(ns);
        }
    }

    /// Notes what a counter says.
    pub(super) fn counter(&mut self, name: &[u8], said: &[u8]) {
        let text = |bytes: &[u8]| -> Box<str> {
            String::from_utf8_lossy(&bytes[..bytes.len().min(COUNTER_BYTES_MAX)]).into()
        };
        let name = text(name);
        if self.counters.len() < COUNTERS_MAX || self.counters.contains_key(&name) {
            self.counters.insert(name, text(said));
        }
    }

    fn error(&mut self, request: &Request<'_>) {
        // The strings of the oldest one are used again: errors may come a million a second.
        let mut line = match self.errors.len() {
            ERRORS_MAX.. => self.errors.pop_front().unwrap_or_default(),
            _ => ErrorLine::default(),
        };
        line.timestamp_ns = request.timestamp_ns;
        line.status = request.status;
        line.request.clear();
        let cut = request.request.len().min(REQUEST_BYTES_MAX);
        line.request.extend_from_slice(&request.request[..cut]);
        line.client.clear();
        let cut = request.client.len().min(REQUEST_BYTES_MAX);
        line.client.extend_from_slice(&request.client[..cut]);
        self.errors.push_back(line);
    }
}

impl Figures {
    /// Part of the requests of a status class, from 0 to 1.
    pub(super) fn part(&self, class: usize) -> f64 {
        let count = self.classes.get(class).copied().unwrap_or(0);
        if self.requests == 0 { 0.0 } else { count as f64 / self.requests as f64 }
    }
}

/// Hours, minutes and seconds of a time, in UTC.
pub(super) fn time_of_day(ns: i64) -> String {
    let civil = Civil::from_ns(ns, 0);
    format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second)
}

/// The path of `GET /path HTTP/1.1`; all of it if it is no such line.
fn path_of(request: &[u8]) -> &[u8] {
    let mut words = request.split(|&byte| byte == b' ');
    match (words.next(), words.next()) {
        (Some(_), Some(path)) if !path.is_empty() => path,
        _ => request,
    }
}

/// What pages of the same kind have in common: no query, `*` for parts that are numbers.
fn shape(path: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let path = path.split(|&byte| byte == b'?').next().unwrap_or(path);
    for (index, part) in path.split(|&byte| byte == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        if !part.is_empty() && part.iter().all(u8::is_ascii_digit) {
            out.push(b'*');
        } else {
            out.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shaped(path: &str) -> String {
        let mut out = Vec::new();
        shape(path_of(path.as_bytes()), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn paths_are_told_apart_by_kind() {
        assert_eq!(shaped("GET /products/17 HTTP/1.1"), "/products/*");
        assert_eq!(shaped("GET /a/1/b2/3?x=/9 HTTP/2.0"), "/a/*/b2/*");
        assert_eq!(shaped("GET / HTTP/1.1"), "/");
        assert_eq!(shaped("\\x16\\x03"), "\\x16\\x03");
        assert_eq!(shaped(""), "");
    }

    fn request(status: u16) -> Request<'static> {
        Request { status, request: b"GET /x HTTP/1.1", client: b"198.18.0.1", ..Default::default() }
    }

    #[test]
    fn seconds_end_on_time_and_only_a_minute_of_them_is_kept() {
        let mut stats = Stats::new(500);
        stats.request(&request(200));
        stats.request(&request(404));
        assert_eq!(stats.advance(500 + NS_PER_SECOND - 1), 0);
        assert_eq!(stats.advance(500 + NS_PER_SECOND), 1);
        assert_eq!(stats.past[0].classes, [0, 0, 1, 0, 1, 0]);
        assert_eq!(stats.peak, 2);
        assert_eq!(stats.advance(i64::MAX), stats.seconds - 1);
        assert_eq!(stats.past.len(), SECONDS_SHOWN);
        assert_eq!(stats.total.requests, 2);
        assert_eq!(stats.advance(0), 0, "a clock that is set back ends nothing");
    }

    #[test]
    fn the_last_errors_are_kept_with_bounded_texts() {
        let mut stats = Stats::new(0);
        for status in [500, 404, 502, 503, 599] {
            stats.request(&Request { client: &[b'c'; 5000], ..request(status) });
        }
        let statuses: Vec<u16> = stats.errors.iter().map(|error| error.status).collect();
        assert_eq!(statuses, [502, 503, 599]);
        assert!(stats.errors.iter().all(|error| error.client.len() == REQUEST_BYTES_MAX));
    }

    #[test]
    fn statuses_of_no_class_are_counted_apart() {
        let mut stats = Stats::new(0);
        stats.request(&request(0));
        stats.request(&request(u16::MAX));
        assert_eq!(stats.total.classes, [2, 0, 0, 0, 0, 0]);
        assert_eq!((stats.total.part(0), Figures::default().part(2)), (1.0, 0.0));
    }

    #[test]
    fn counters_are_few_and_their_texts_short() {
        let mut stats = Stats::new(0);
        for number in 0..2 * COUNTERS_MAX {
            stats.counter(format!("c{number:02}").as_bytes(), &[b'x'; 5000]);
        }
        stats.counter(b"c00", b"Got 7 messages. 1.40 msg/sec");
        assert_eq!(stats.counters.len(), COUNTERS_MAX);
        assert_eq!(&*stats.counters["c00"], "Got 7 messages. 1.40 msg/sec");
        assert_eq!(stats.counters["c01"].len(), COUNTER_BYTES_MAX);
    }
}
