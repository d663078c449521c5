//! Browser and operating system, guessed from a user agent string.
//!
//! The tests are plain searches, and the first hit wins; both tables are Heka's.

use memchr::memmem::Finder;

use crate::number::read_integer;

/// Marks of operating systems, and what they are called.
const SYSTEMS: [(&str, &str); 15] = [
    ("iPod", "iPod"),
    ("iPad", "iPad"),
    ("iPhone", "iPhone"),
    ("Android", "Android"),
    ("BlackBerry", "BlackBerry"),
    ("Linux", "Linux"),
    ("Macintosh", "Macintosh"),
    ("Mozilla/5.0 (Mobile;", "FirefoxOS"),
    ("Windows NT 10.0", "Windows 10"),
    ("Windows NT 6.3", "Windows 8.1"),
    ("Windows NT 6.2", "Windows 8"),
    ("Windows NT 6.1", "Windows 7"),
    ("Windows NT 6.0", "Windows Vista"),
    ("Windows NT 5.1", "Windows XP"),
    ("Windows NT 5.0", "Windows 2000"),
];

/// Where a browser's version stands.
#[derive(Debug, Clone, Copy)]
enum Version {
    /// Right behind this text.
    After(&'static str),
    /// Behind the last slash.
    Last,
}

/// Marks of browsers, which are also their names.
const BROWSERS: [(&str, Version); 7] = [
    ("Chrome", Version::After("Chrome/")),
    ("Opera Mini", Version::Last),
    ("Opera Mobi", Version::Last),
    ("Opera", Version::Last),
    ("MSIE", Version::After("MSIE ")),
    ("Safari", Version::Last),
    ("Firefox", Version::After("Firefox/")),
];

/// What was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct UserAgent {
    pub(super) browser: Option<&'static str>,
    pub(super) version: Option<f64>,
    pub(super) os: Option<&'static str>,
}

/// The two tables, ready to be searched for.
#[derive(Debug)]
pub(super) struct UserAgents {
    systems: Vec<(Finder<'static>, &'static str)>,
    browsers: Vec<(Finder<'static>, &'static str, Version)>,
}

impl UserAgents {
    pub(super) fn new() -> Self {
        Self {
            systems: SYSTEMS.iter().map(|&(mark, name)| (Finder::new(mark), name)).collect(),
            browsers: BROWSERS
                .iter()
                .map(|&(name, version)| (Finder::new(name), name, version))
                .collect(),
        }
    }

    /// Recognises what it can.
    pub(super) fn recognise(&self, text: &[u8]) -> UserAgent {
        let system = self.systems.iter().find(|(mark, _)| mark.find(text).is_some());
        let found = self.browsers.iter().find(|(mark, ..)| mark.find(text).is_some());
        UserAgent {
            browser: found.map(|&(_, name, _)| name),
            version: found.and_then(|&(_, _, version)| version_of(version, text)),
            os: system.map(|&(_, name)| name),
        }
    }
}

fn version_of(version: Version, text: &[u8]) -> Option<f64> {
    let start = match version {
        Version::After(mark) => memchr::memmem::find(text, mark.as_bytes())? + mark.len(),
        Version::Last => memchr::memrchr(b'/', text)? + 1,
    };
    read_integer(&text[start..]).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_agents_are_recognised() {
        let agents = UserAgents::new();
        for (text, browser, version, os) in [
            (
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:26.0) Gecko/20100101 Firefox/26.0",
                Some("Firefox"),
                Some(26.0),
                Some("Linux"),
            ),
            (
                "Mozilla/5.0 (Macintosh) AppleWebKit/537.36 Chrome/32.0.1700.77 Safari/537.36",
                Some("Chrome"),
                Some(32.0),
                Some("Macintosh"),
            ),
            (
                "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)",
                Some("MSIE"),
                Some(8.0),
                Some("Windows 7"),
            ),
            (
                "Opera/9.80 (J2ME) Opera Mini/7.1 Version/12.16",
                Some("Opera Mini"),
                Some(12.0),
                None,
            ),
            (
                "Mozilla/5.0 (iPad) Version/7.0 Safari/9537.53",
                Some("Safari"),
                Some(9537.0),
                Some("iPad"),
            ),
            ("Mozilla/5.0 (Mobile; rv:26.0) Firefox/x", Some("Firefox"), None, Some("FirefoxOS")),
            ("curl/7.35.0", None, None, None),
            ("", None, None, None),
        ] {
            let found = agents.recognise(text.as_bytes());
            assert_eq!(found, UserAgent { browser, version, os }, "{text}");
        }
    }
}
