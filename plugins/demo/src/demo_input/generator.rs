//! Makes the lines: who asks, for what, and how it is answered.
//!
//! Here: the behaviour of visitors and of the site, and writing a line. Not here: when lines are due (`pacer`). A line
//! is put together from parts that were made at the start; per line nothing is allocated. Invariants: the same seed and
//! the same calls give the same bytes; no line is longer than [`LINE_BYTES_MAX`].

use heka_datetime::{Civil, NS_PER_SECOND};

use super::clients::{Client, Role, clients};
use super::incidents::{Incident, Incidents};
use super::site::{Kind, REFERERS, RESOURCES, Resource, SITE, Wheel};

/// No line is longer, its newline included.
pub(super) const LINE_BYTES_MAX: usize = 1024;

/// Digits of the longest number in a path.
const NUMBER_DIGITS_MAX: usize = 10;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Makes combined access-log lines.
#[derive(Debug)]
pub(super) struct Generator {
    rng: fastrand::Rng,
    clients: Vec<Client>,
    scanners: Vec<usize>,
    requests: Vec<Request>,
    referers: Vec<Box<[u8]>>,
    wheels: Wheels,
    incidents: Incidents,
    incident: Option<Incident>,
    stamp: Stamp,
    /// The rest of a line that did not fit into the space.
    rest: Vec<u8>,
}

#[derive(Debug)]
struct Wheels {
    clients: Wheel,
    pages: Wheel,
    assets: Wheel,
    calls: Wheel,
    downloads: Wheel,
    probes: Wheel,
    referers: Wheel,
    health: usize,
}

/// The parts of a line that a resource makes.
#[derive(Debug)]
struct Request {
    /// `"GET /path`.
    head: Box<[u8]>,
    /// `"https://shop.example/path`, the referer of what its page needs.
    referer: Box<[u8]>,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
enum Referer {
    /// One of [`REFERERS`].
    Outside(usize),
    /// A page of the site.
    Page(usize),
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub(super) bytes: usize,
    /// Lines begun; the last one may end in the next call.
    pub(super) lines: u64,
}

impl Generator {
    /// A generator whose run begins at `now_ns`.
    pub(super) fn new(seed: u64, incidents: bool, now_ns: i64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (clients, crowd, scanners) = clients(&mut rng);
        let referer = |text: &str| format!("\"{text}\" ").into_bytes().into();
        let request = |resource: &Resource| Request {
            head: format!("\"{} {}", resource.method, resource.path).into_bytes().into(),
            referer: format!("\"{SITE}{}", resource.path).into_bytes().into(),
        };
        let weights = REFERERS.iter().enumerate().map(|(index, it)| (index as u16, it.1));
        let wheels = Wheels {
            clients: crowd,
            pages: Wheel::of_kind(Kind::Page),
            assets: Wheel::of_kind(Kind::Asset),
            calls: Wheel::of_kind(Kind::Api),
            downloads: Wheel::of_kind(Kind::Download),
            probes: Wheel::of_kind(Kind::Probe),
            referers: Wheel::new(weights),
            health: RESOURCES.iter().position(|it| it.kind == Kind::Health).unwrap_or(0),
        };
        let incidents = if incidents { Incidents::new(seed, now_ns) } else { Incidents::never() };
        Self {
            rng,
            clients,
            scanners,
            requests: RESOURCES.iter().map(request).collect(),
            referers: REFERERS.iter().map(|(text, _)| referer(text)).collect(),
            wheels,
            incidents,
            incident: None,
            stamp: Stamp::at(now_ns),
            rest: Vec::new(),
        }
    }

    /// The incident at the time of the last call of [`fill`](Self::fill).
    pub(super) fn incident(&self) -> Option<Incident> {
        self.incident
    }

    /// True if the last line was written in part only.
    pub(super) fn is_inside_line(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Writes at most `lines_max` lines of the time `now_ns`, as many as fit into `out`. A space too small for any line
    /// gets the beginning of one.
    pub(super) fn fill(&mut self, out: &mut [u8], lines_max: u64, now_ns: i64) -> Filled {
        self.incident = self.incidents.at(now_ns);
        self.stamp.move_to(now_ns);
        let mut line = Line { out, len: 0 };
        let taken = self.rest.len().min(line.free());
        line.push(&self.rest[..taken]);
        self.rest.drain(..taken);
        let mut lines = 0;
        while lines < lines_max && line.free() >= LINE_BYTES_MAX {
            self.line(&mut line);
            lines += 1;
        }
        if line.len == 0 && lines < lines_max && self.rest.is_empty() {
            let mut whole = [0; LINE_BYTES_MAX];
            let mut long = Line { out: &mut whole, len: 0 };
            self.line(&mut long);
            lines += 1;
            let cut = long.len.min(line.free());
            line.push(&long.out[..cut]);
            self.rest.extend_from_slice(&long.out[cut..long.len]);
        }
        Filled { bytes: line.len, lines }
    }

    fn line(&mut self, line: &mut Line<'_>) {
        let place = self.visitor();
        let (index, referer) = self.request(place);
        let resource = &RESOURCES[index];
        let number = match resource.numbers {
            0 => None,
            // The first ones are asked for most.
            most => Some(self.rng.u32(..most).min(self.rng.u32(..most)) + 1),
        };
        let (status, bytes) = self.answer(resource, place);
        let client = &self.clients[place];
        line.push(&client.head);
        line.push(&self.stamp.text);
        line.push(&self.requests[index].head);
        if let Some(number) = number {
            line.number(number);
        }
        line.push(client.protocol);
        line.number(u32::from(status));
        line.push(b" ");
        line.number(bytes);
        line.push(b" ");
        match referer {
            Referer::Outside(index) => line.push(&self.referers[index]),
            Referer::Page(page) => {
                line.push(&self.requests[page].referer);
                if RESOURCES[page].numbers > 0 {
                    // Which one is not remembered; the most visited stands for all.
                    line.push(b"1");
                }
                line.push(b"\" ");
            }
        }
        line.push(&client.agent);
    }

    /// Place of the client that asks next.
    fn visitor(&mut self) -> usize {
        match self.incident {
            Some(Incident::Scan) if self.rng.u8(..100) < 30 => {
                self.scanners.first().copied().unwrap_or(0)
            }
            _ => self.wheels.clients.pick(&mut self.rng),
        }
    }

    /// What the client asks for, and where from.
    fn request(&mut self, place: usize) -> (usize, Referer) {
        const NOWHERE: Referer = Referer::Outside(0);
        let rng = &mut self.rng;
        match self.clients[place].role {
            Role::Monitor => (self.wheels.health, NOWHERE),
            Role::Scanner => (self.wheels.probes.pick(rng), NOWHERE),
            Role::Program => (self.wheels.calls.pick(rng), NOWHERE),
            Role::Crawler => (self.wheels.pages.pick(rng), NOWHERE),
            Role::Browser => self.browse(place),
        }
    }

    /// A person loads a page, then what it needs, then the page's script calls, then goes on or leaves.
    fn browse(&mut self, place: usize) -> (usize, Referer) {
        let rng = &mut self.rng;
        let client = &mut self.clients[place];
        let dice = rng.u8(..100);
        match client.page {
            Some(page) if client.assets_left > 0 => {
                client.assets_left -= 1;
                (self.wheels.assets.pick(rng), Referer::Page(page.into()))
            }
            Some(page) if dice < 45 => (self.wheels.calls.pick(rng), Referer::Page(page.into())),
            Some(page) if dice < 46 => {
                (self.wheels.downloads.pick(rng), Referer::Page(page.into()))
            }
            before => {
                let index = self.wheels.pages.pick(rng);
                client.page = Some(index as u16);
                client.assets_left = rng.u8(..5);
                let referer = match before {
                    Some(page) if dice < 90 => Referer::Page(page.into()),
                    _ => Referer::Outside(self.wheels.referers.pick(rng)),
                };
                (index, referer)
            }
        }
    }

    /// Status and length of the answer.
    fn answer(&mut self, resource: &Resource, place: usize) -> (u16, u32) {
        let dice = self.rng.u16(..1000);
        if let Some(status) = self.broken(resource, dice) {
            return (status, body_bytes(status));
        }
        let client = &self.clients[place];
        let dice = self.rng.u16(..1000);
        let status = match (resource.kind, dice) {
            (Kind::Page | Kind::Api, 0..15) if client.slow => 408,
            (Kind::Download | Kind::Asset, 0..60) if client.slow => 499,
            (Kind::Page, 0..2) => 500,
            (Kind::Page, 2..10) if resource.numbers > 0 => 404,
            (Kind::Page, 10..25) => 301,
            (Kind::Page, 25..120) if resource.path == "/checkout" => 302,
            (Kind::Asset, 0..460) if client.returning => 304,
            (Kind::Asset, 998..) => 404,
            (Kind::Api, 0..2) => 500,
            (Kind::Api, 2..130) if resource.path == "/api/v2/login" => 401,
            (Kind::Api, 2..40) if resource.method == "POST" => 422,
            (Kind::Api, 990..) => 429,
            (Kind::Download, 0..350) => 206,
            (Kind::Probe, 0..150) => 403,
            (Kind::Probe, _) => 404,
            (Kind::Api, _) if resource.path == "/api/v2/events" => 204,
            (Kind::Api, _) if resource.method == "POST" => 201,
            _ => 200,
        };
        let usual = resource.bytes;
        let bytes = match (status, resource.kind) {
            (206 | 499, _) => self.rng.u32(..usual.max(1)),
            (200 | 201, Kind::Page) => usual + self.rng.u32(..usual / 8),
            (200 | 201, Kind::Api) => usual / 2 + self.rng.u32(..usual.max(1)),
            (200 | 201, _) => usual,
            _ => body_bytes(status),
        };
        (status, bytes)
    }

    /// The status that the incident of the moment makes of the answer.
    fn broken(&self, resource: &Resource, dice: u16) -> Option<u16> {
        let made = matches!(resource.kind, Kind::Page | Kind::Api);
        match self.incident? {
            Incident::BackendDown if made => match dice {
                0..420 => Some(502),
                420..560 => Some(504),
                560..620 => Some(499),
                _ => None,
            },
            Incident::BadRelease if resource.path.contains("cart") => (dice < 850).then_some(500),
            Incident::MissingFiles if resource.kind == Kind::Asset => (dice < 500).then_some(404),
            _ => None,
        }
    }
}

/// Bytes of the page that nginx makes for a status.
fn body_bytes(status: u16) -> u32 {
    match status {
        301 => 162,
        302 => 138,
        401 => 172,
        403 | 404 => 146,
        422 | 429 => 162,
        500 => 170,
        502 => 150,
        504 => 160,
        _ => 0,
    }
}

/// The time as access logs write it, remade when the second changes.
#[derive(Debug)]
struct Stamp {
    second: i64,
    text: Vec<u8>,
}

impl Stamp {
    fn at(now_ns: i64) -> Self {
        let mut stamp = Self { second: i64::MIN, text: Vec::new() };
        stamp.move_to(now_ns);
        stamp
    }

    fn move_to(&mut self, now_ns: i64) {
        let second = now_ns.div_euclid(NS_PER_SECOND);
        if second == self.second {
            return;
        }
        self.second = second;
        let civil = Civil::from_ns(now_ns, 0);
        let month = MONTHS[usize::from(civil.month - 1) % MONTHS.len()];
        let (day, year) = (civil.day, civil.year);
        let (hour, minute, second) = (civil.hour, civil.minute, civil.second);
        let text = format!("{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000] ");
        self.text = text.into_bytes();
    }
}

/// The space that lines are written into.
struct Line<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl Line<'_> {
    fn free(&self) -> usize {
        self.out.len() - self.len
    }

    fn push(&mut self, part: &[u8]) {
        // The caller saw to it that a whole line fits.
        self.out[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn number(&mut self, number: u32) {
        let mut digits = [0; NUMBER_DIGITS_MAX];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[at..]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NOW: i64 = 1_763_841_251_000_000_000;

    fn text(seed: u64, incidents: bool, seconds: i64) -> String {
        let mut generator = Generator::new(seed, incidents, NOW);
        let mut text = Vec::new();
        let mut space = vec![0; 64 << 10];
        for second in 0..seconds {
            let filled = generator.fill(&mut space, 200, NOW + second * NS_PER_SECOND);
            assert_eq!(filled.lines, 200);
            text.extend_from_slice(&space[..filled.bytes]);
        }
        String::from_utf8(text).unwrap()
    }

    /// Takes a line of the combined format apart: status, bytes, request; `None` if it is none.
    fn combined(line: &str) -> Option<(u16, u64, &str)> {
        let (address, rest) = line.split_once(" - ")?;
        address.parse::<std::net::IpAddr>().ok()?;
        let (user, rest) = rest.split_once(" [")?;
        let (time, rest) = rest.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let (status, rest) = rest.split_once(' ')?;
        let (bytes, rest) = rest.split_once(" \"")?;
        let (referer, rest) = rest.split_once("\" \"")?;
        let agent = rest.strip_suffix('"')?;
        let shape: String =
            time.chars().map(|it| if it.is_ascii_digit() { '9' } else { it }).collect();
        let words: Vec<&str> = request.split(' ').collect();
        let well = !user.contains(' ')
            && shape.replace("Nov", "Mon") == "99/Mon/9999:99:99:99 +9999"
            && matches!(words[..], ["GET" | "POST", path, "HTTP/1.1" | "HTTP/2.0"] if path.starts_with('/'))
            && (referer == "-" || referer.starts_with("https://"))
            && !agent.is_empty()
            && !agent.contains('"');
        well.then_some((status.parse().ok()?, bytes.parse().ok()?, request))
    }

    #[test]
    fn every_line_is_of_the_combined_format_and_fits() {
        let text = text(1, true, 200);
        assert_eq!(text.lines().count(), 40_000);
        for line in text.lines() {
            let (status, bytes, request) = combined(line).unwrap_or_else(|| panic!("{line}"));
            assert!(line.len() < LINE_BYTES_MAX / 2, "{line}");
            if matches!(status, 204 | 304 | 408) {
                assert_eq!(bytes, 0, "{line}");
            }
            if matches!(status, 400..=407 | 409..=498 | 500..) {
                assert!((100..300).contains(&bytes), "{line}");
            }
            assert!(!request.contains("/img/p/") || status != 200 || bytes == 61_440, "{line}");
        }
    }

    #[test]
    fn the_time_of_a_line_is_that_of_the_call() {
        assert!(
            text(1, true, 1).lines().all(|line| line.contains(" [22/Nov/2025:19:54:11 +0000] "))
        );
        assert!(text(1, true, 3).lines().last().unwrap().contains(":19:54:13 "));
    }

    #[test]
    fn the_same_seed_makes_the_same_lines() {
        assert_eq!(text(9, true, 30), text(9, true, 30));
        assert_ne!(text(9, true, 2), text(10, true, 2));
    }

    fn classes(text: &str) -> BTreeMap<u16, usize> {
        let mut classes = BTreeMap::new();
        for line in text.lines() {
            *classes.entry(combined(line).unwrap().0 / 100).or_default() += 1;
        }
        classes
    }

    #[test]
    fn without_incidents_errors_are_rare_and_with_them_they_come_in_bursts() {
        let calm = classes(&text(1, false, 100));
        assert!(calm[&2] > 14_000 && calm[&3] > 500 && calm[&4] > 300, "{calm:?}");
        assert!((1..150).contains(&calm[&5]), "{calm:?}");

        let wild = text(1, true, 100);
        let lines: Vec<&str> = wild.lines().collect();
        let errors = |second: usize| {
            let lines = lines[second * 200..][..200].iter();
            lines.filter(|line| combined(line).unwrap().0 >= 500).count()
        };
        assert!((0..6).all(|second| errors(second) < 8), "nothing is wrong at first");
        assert!((6..10).all(|second| errors(second) > 40), "the first incident is a burst");
        assert!((0..100).filter(|&second| errors(second) < 8).count() > 60, "most time is calm");
    }

    #[test]
    fn assets_follow_pages_and_name_them() {
        let text = text(1, false, 50);
        let styles = text.lines().filter(|line| line.contains("GET /assets/site"));
        let (named, all) = styles.fold((0, 0), |(named, all), line| {
            (named + usize::from(line.contains("\"https://shop.example/")), all + 1)
        });
        assert!(all > 100);
        assert_eq!(named, all);
    }

    #[test]
    fn a_line_is_continued_where_the_space_ended() {
        let mut whole = Generator::new(1, true, NOW);
        let mut space = vec![0; 16 << 10];
        let filled = whole.fill(&mut space, 5, NOW);
        let mut pieces = Generator::new(1, true, NOW);
        let mut joined = Vec::new();
        let mut lines = 0;
        while lines < 5 || pieces.is_inside_line() {
            let mut small = [0; 7];
            let filled = pieces.fill(&mut small, 5 - lines, NOW);
            assert!(filled.bytes > 0);
            joined.extend_from_slice(&small[..filled.bytes]);
            lines += filled.lines;
        }
        assert_eq!(String::from_utf8(joined).unwrap().as_bytes(), &space[..filled.bytes]);
        assert_eq!(whole.fill(&mut space, 0, NOW), Filled::default());
    }

    #[test]
    fn numbers_are_written_whole() {
        let mut space = [0; 20];
        let mut line = Line { out: &mut space, len: 0 };
        line.number(u32::MAX);
        line.number(0);
        line.number(10);
        assert_eq!(&line.out[..line.len], b"4294967295010");
    }
}
