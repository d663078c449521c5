//! Fixed figures and the text that they must give.

use super::super::stats::Request;
use super::*;

const SECOND: i64 = 1_000_000_000;
/// 2025-11-22 19:54:11.
const START: i64 = 1_763_841_251 * SECOND;

fn request(status: u16, request: &'static str, client: &'static str) -> Request<'static> {
    Request {
        timestamp_ns: START,
        status,
        request: request.as_bytes(),
        client: client.as_bytes(),
        sent_bytes: 20_000,
        line_bytes: 200,
    }
}

/// Three seconds: ten, twenty and thirty requests.
fn stats() -> Stats {
    let mut stats = Stats::new(START);
    for second in 1..=3 {
        for number in 0..second * 10 {
            stats.request(&match number % 10 {
                0 => request(404, "GET /.env HTTP/1.1", "198.18.3.9"),
                1 if second == 3 => request(502, "GET /cart HTTP/1.1", "2001:db8:1::1a"),
                2 => request(304, "GET /img/p/12 HTTP/2.0", "203.0.113.7"),
                _ => request(200, "GET /products/17 HTTP/2.0", "203.0.113.7"),
            });
        }
        stats.latency(second * 400_000);
        stats.advance(START + second * SECOND);
    }
    stats.counter(b"errors", b"Got 3 messages. 0.60 msg/sec");
    stats
}

#[test]
fn the_screen_shows_the_second_that_ended_last() {
    let expected = "\
hekad demo   00:00:03   ● 10 % of requests fail
requests              30/s   mean 20/s   peak 30/s   in all 60
log               6.0 kB/s   in all 12.0 kB   the site sent 1.2 MB
read to here        1.2 ms   longest 1.2 ms
last minute  ▄▆█

2xx ████████████████████████████              70.0 %           21/s
3xx ████                                      10.0 %            3/s
4xx ████                                      10.0 %            3/s
5xx ████                                      10.0 %            3/s

path                                      /s   5xx/s   client                 /s
/products/*                             16.0           203.0.113.7          18.1
/.env                                    2.1           198.18.3.9            2.1
/img/p/*                                 2.1           2001:db8:1::1a        1.2
/cart                                    1.2     1.2


counter errors       Got 3 messages. 0.60 msg/sec

19:54:11 502 GET /cart HTTP/1.1 2001:db8:1::1a
19:54:11 502 GET /cart HTTP/1.1 2001:db8:1::1a
19:54:11 502 GET /cart HTTP/1.1 2001:db8:1::1a
";
    let shown = screen(&stats(), START + 3 * SECOND, &Palette::PLAIN);
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn a_line_tells_of_a_second() {
    let line = second_line(&stats());
    let expected = "19:54:14          30 req/s     6.0 kB/s  2xx 70.0 %  3xx 10.0 %  4xx 10.0 %  5xx 10.0 %  latency 1.2 ms\n";
    assert_eq!(line, expected);
}

#[test]
fn the_summary_tells_of_the_whole_run() {
    let expected = "
time                  4.0 s
requests               60   mean 15/s   peak 30/s
log               12.0 kB   mean 3.0 kB/s
site sent          1.2 MB
read to here       1.2 ms   at the longest
status 2xx             45   75.0 %
status 3xx              6   10.0 %
status 4xx              6   10.0 %
status 5xx              3   5.0 %
path                   45   /products/*   0 failed
path                    6   /.env   0 failed
path                    6   /img/p/*   0 failed
path                    3   /cart   3 failed
client                 51   203.0.113.7
client                  6   198.18.3.9
client                  3   2001:db8:1::1a
counter            errors   Got 3 messages. 0.60 msg/sec
";
    let shown = summary(&stats(), START + 4 * SECOND);
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn screens_are_of_one_height_fit_and_are_the_same_with_colours() {
    let mut full = stats();
    for number in 0..20_000 {
        let path = format!("GET /{}{number} HTTP/1.1", "long".repeat(50));
        let client = format!("client-{}-{number}", "x".repeat(100));
        let request = Request {
            status: 500 + number % 100,
            request: path.as_bytes(),
            client: client.as_bytes(),
            sent_bytes: u64::MAX >> 20,
            line_bytes: u64::MAX >> 20,
            ..Default::default()
        };
        full.request(&request);
    }
    for number in 0..20 {
        full.counter(format!("{number}{}", "n".repeat(50)).as_bytes(), &[b'm'; 500]);
    }
    full.latency(i64::MAX);
    full.advance(START + 100 * SECOND);
    for stats in [Stats::new(START), stats(), full] {
        let plain = screen(&stats, START + 360_000 * SECOND, &Palette::PLAIN);
        assert_eq!(plain.lines().count(), 23, "{plain}");
        for line in plain.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let mut coloured = screen(&stats, START + 360_000 * SECOND, &Palette::COLOUR);
        for code in ["0", "1", "2", "31", "32", "33", "35", "36", "1;31"] {
            coloured = coloured.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(coloured, plain);
    }
}

/// Log lines come from strangers: what they hold must not steer the terminal.
#[test]
fn escape_sequences_of_messages_are_not_shown() {
    let mut stats = Stats::new(START);
    let hostile = "GET /\x1b]0;x\x07\u{202e}\u{9b}2J HTTP/1.1";
    for _ in 0..3 {
        stats.request(&Request {
            status: 500,
            request: hostile.as_bytes(),
            client: b"\x1b[2J\xff\n\r",
            ..Default::default()
        });
    }
    stats.counter(b"\x1b[31m", b"\x1b[2J\x08");
    stats.advance(START + SECOND);
    let all = screen(&stats, START + SECOND, &Palette::PLAIN)
        + &second_line(&stats)
        + &summary(&stats, START + SECOND);
    assert!(all.contains("/?]0;x???2J") && all.contains("?[2J???"), "{all}");
    assert!(!all.contains(|it: char| it.is_control() && it != '\n' || it == '\u{202e}'));
}

#[test]
fn bars_and_numbers_are_rounded_so_that_nothing_disappears() {
    assert_eq!(bar(0.0), " ".repeat(BAR_COLUMNS));
    assert_eq!(bar(1e-9), format!("▏{}", " ".repeat(BAR_COLUMNS - 1)));
    assert_eq!(bar(1.0), "█".repeat(BAR_COLUMNS));
    assert_eq!(bar(f64::MAX), "█".repeat(BAR_COLUMNS));
    assert_eq!(
        (grouped(0), grouped(999), grouped(1_000)),
        ("0".into(), "999".into(), "1,000".into())
    );
    assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    assert_eq!((megabytes(999), megabytes(1_000)), ("999 B".into(), "1.0 kB".into()));
    assert_eq!((time(999_000), time(1_000_000)), ("999 µs".into(), "1.0 ms".into()));
    assert_eq!((time(0), time(1_500_000_000)), ("-".into(), "1.50 s".into()));
    assert_eq!((rate(99.94), rate(1234.5)), ("99.9".into(), "1,235".into()));
}
