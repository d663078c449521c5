//! Who visits the site.
//!
//! Here: addresses, programs, how often each one comes. Not here: what they ask for (`generator`). Addresses are of the
//! ranges set aside for documentation and benchmarks (RFC 5737, 2544, 3849), so that no line accuses a real machine.

use super::site::Wheel;

/// Number of visitors.
const CLIENTS: u16 = 4_000;
/// How fast the frequency falls with the rank: that of rank n is 1 / n^this.
const ZIPF_EXPONENT: f64 = 0.85;

/// What a client is, which decides what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A person: pages, then what they are made of.
    Browser,
    /// A search engine: pages one after another.
    Crawler,
    /// A partner's program.
    Program,
    /// Checks that the site is alive.
    Monitor,
    /// Looks for holes.
    Scanner,
}

/// A client and where it is on the site.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) role: Role,
    /// Address and user up to the time: `198.18.0.1 - - [`.
    pub(super) head: Box<[u8]>,
    /// The request behind its path: ` HTTP/2.0" `.
    pub(super) protocol: &'static [u8],
    /// The user agent and the end of the line: `"curl/8.9.1"\n`.
    pub(super) agent: Box<[u8]>,
    /// Has been here before: has a filled cache.
    pub(super) returning: bool,
    /// On a slow line.
    pub(super) slow: bool,
    /// The resource that it looks at.
    pub(super) page: Option<u16>,
    /// What its page still needs.
    pub(super) assets_left: u8,
}

const BROWSERS: [&str; 8] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1",
];
const CRAWLERS: [&str; 4] = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
];
const PROGRAMS: [&str; 4] =
    ["okhttp/4.12.0", "python-requests/2.32.4", "Go-http-client/2.0", "ShopApp/5.21 (iOS 18.6)"];
const MONITORS: [&str; 2] = ["kube-probe/1.33", "Blackbox Exporter/0.27.0"];
const SCANNERS: [&str; 2] = ["Mozilla/5.0 zgrab/0.x", "-"];

/// All visitors and how often each one comes; places of scanners among them.
pub(super) fn clients(rng: &mut fastrand::Rng) -> (Vec<Client>, Wheel, Vec<usize>) {
    let clients: Vec<Client> = (0..CLIENTS).map(|rank| client(rank, rng)).collect();
    let weights = (0..CLIENTS).map(|rank| (rank, f64::from(rank + 1).powf(-ZIPF_EXPONENT)));
    let scanners = clients.iter().enumerate().filter(|(_, it)| it.role == Role::Scanner);
    let scanners = scanners.map(|(index, _)| index).collect();
    (clients, Wheel::new(weights), scanners)
}

fn client(rank: u16, rng: &mut fastrand::Rng) -> Client {
    // Those that come most are machines, each role has some whatever the seed.
    let role = match rank {
        3 | 40 => Role::Monitor,
        1 | 9 | 25 => Role::Crawler,
        5 | 14 => Role::Program,
        _ => match rng.u32(..1000) {
            0..890 => Role::Browser,
            890..940 => Role::Crawler,
            940..990 => Role::Program,
            _ => Role::Scanner,
        },
    };
    let agents: &[&str] = match role {
        Role::Browser => &BROWSERS,
        Role::Crawler => &CRAWLERS,
        Role::Program => &PROGRAMS,
        Role::Monitor => &MONITORS,
        Role::Scanner => &SCANNERS,
    };
    let agent = agents[skewed(agents.len(), rng)];
    let user = if role == Role::Program && rng.u8(..2) == 0 { "partner" } else { "-" };
    let protocol: &[u8] = match (role, rng.u8(..100)) {
        (Role::Browser, 0..88) | (Role::Crawler, 0..30) => b" HTTP/2.0\" ",
        _ => b" HTTP/1.1\" ",
    };
    Client {
        role,
        head: format!("{} - {user} [", address(rank, role, rng)).into_bytes().into(),
        protocol,
        agent: format!("\"{agent}\"\n").into_bytes().into(),
        returning: rng.u8(..100) < 55,
        slow: rng.u8(..100) < 4,
        page: None,
        assets_left: 0,
    }
}

/// The first ones more often than the last.
fn skewed(len: usize, rng: &mut fastrand::Rng) -> usize {
    rng.usize(..len).min(rng.usize(..len))
}

/// An address of its own for each rank.
fn address(rank: u16, role: Role, rng: &mut fastrand::Rng) -> String {
    let [high, low] = rank.to_be_bytes();
    match role {
        Role::Monitor => format!("192.0.2.{}", rank % 254 + 1),
        _ if rank < 250 && rng.bool() => format!("203.0.113.{}", rank + 1),
        Role::Browser if rng.u8(..100) < 18 => {
            format!("2001:db8:{:x}::{:x}", rng.u16(1..), u32::from(rank) + 0x1000)
        }
        // The offset keeps the last part from 0, which looks like a network.
        _ => format!("198.{}.{}.{}", 18 + rng.u8(..2), high.wrapping_mul(16) + 3, low.max(1)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_clients_of_all_roles() {
        let heads = |seed| {
            let (clients, _, _) = clients(&mut fastrand::Rng::with_seed(seed));
            clients.into_iter().map(|client| client.head).collect::<Vec<_>>()
        };
        assert_eq!(heads(1), heads(1));
        assert_ne!(heads(1), heads(2));
        let (all, _, scanners) = clients(&mut fastrand::Rng::with_seed(3));
        assert!(!scanners.is_empty());
        for role in [Role::Browser, Role::Crawler, Role::Program, Role::Monitor, Role::Scanner] {
            assert!(all.iter().any(|client| client.role == role), "{role:?}");
        }
    }

    #[test]
    fn addresses_are_of_ranges_that_nobody_has() {
        let (all, _, _) = clients(&mut fastrand::Rng::with_seed(1));
        let mut distinct = BTreeSet::new();
        for client in &all {
            let head = std::str::from_utf8(&client.head).unwrap();
            let address = head.split(' ').next().unwrap();
            distinct.insert(address);
            match address.parse().unwrap() {
                IpAddr::V4(ip) => assert!(
                    matches!(ip.octets(), [203, 0, 113, _] | [192, 0, 2, _] | [198, 18 | 19, _, _]),
                    "{ip}"
                ),
                IpAddr::V6(ip) => assert_eq!(ip.segments()[..2], [0x2001, 0xdb8], "{ip}"),
            }
        }
        assert!(distinct.len() > 3_500, "{}", distinct.len());
    }

    #[test]
    fn a_few_clients_make_much_of_the_traffic() {
        let mut rng = fastrand::Rng::with_seed(1);
        let (_, wheel, _) = clients(&mut rng);
        let first = (0..100_000).filter(|_| wheel.pick(&mut rng) < 40).count();
        assert!((15_000..50_000).contains(&first), "{first}");
    }
}
