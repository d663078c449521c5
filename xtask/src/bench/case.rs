//! The cases: a configuration, what feeds it, and what tells that it is done.
//!
//! Here: the list, and configurations with their places filled in. Not here: running them.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, ensure};

/// A pipeline to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// Name on the command line and in the baseline.
    pub(crate) name: &'static str,
    /// Configuration with `@PLACES@`.
    config: &'static str,
    /// How data gets in.
    pub(crate) feed: Feed,
    /// What is sent out, if anything.
    pub(crate) sink: Sink,
    /// Outputs with a matcher each that are added.
    matchers: usize,
    /// Lua filters that are added, ten for each of ten matchers.
    filters: usize,
    /// Part of the lines asked for that this case takes: slow cases take fewer.
    pub(crate) lines_divisor: usize,
}

/// How data gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feed {
    /// The daemon reads the corpus as a file.
    File,
    /// The corpus is sent over a connection.
    Tcp,
    /// The corpus as framed Heka messages is sent over a connection.
    Framed,
    /// Each line is sent as a datagram.
    Udp,
}

/// What comes out, and so what tells the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    /// Nothing: the end is when the daemon closes the connection that fed it.
    Nothing,
    /// As many lines as went in.
    Lines,
    /// As many bytes as went in.
    Bytes,
    /// As many lines as arrive until it is quiet; some may be lost on the way in.
    Lossy,
}

impl Case {
    const fn new(name: &'static str, config: &'static str, feed: Feed, sink: Sink) -> Self {
        Self { name, config, feed, sink, matchers: 0, filters: 0, lines_divisor: 1 }
    }

    const fn filters(name: &'static str, filters: usize) -> Self {
        let config = include_str!("../../bench/lua_filters.toml");
        Self { filters, lines_divisor: 4, ..Self::new(name, config, Feed::Tcp, Sink::Nothing) }
    }

    const fn matchers(name: &'static str, matchers: usize) -> Self {
        let config = include_str!("../../bench/matchers.toml");
        Self { matchers, lines_divisor: 2, ..Self::new(name, config, Feed::Tcp, Sink::Nothing) }
    }
}

/// All cases.
pub(crate) const CASES: [Case; 13] = [
    Case::new("file_to_tcp", include_str!("../../bench/file_to_tcp.toml"), Feed::File, Sink::Lines),
    Case::new("tcp_to_tcp", include_str!("../../bench/tcp_to_tcp.toml"), Feed::Tcp, Sink::Lines),
    Case::new(
        "tcp_to_null",
        include_str!("../../bench/tcp_to_null.toml"),
        Feed::Tcp,
        Sink::Nothing,
    ),
    Case::new(
        "file_parse_json",
        include_str!("../../bench/file_parse_json.toml"),
        Feed::File,
        Sink::Lines,
    ),
    Case {
        lines_divisor: 4,
        ..Case::new(
            "file_lua_grammar",
            include_str!("../../bench/file_lua_grammar.toml"),
            Feed::File,
            Sink::Lines,
        )
    },
    Case::filters("lua_filters_100", 100),
    Case::matchers("matchers_10", 10),
    Case::matchers("matchers_100", 100),
    Case::matchers("matchers_1000", 1000),
    Case::new(
        "framed_protobuf",
        include_str!("../../bench/framed_protobuf.toml"),
        Feed::Framed,
        Sink::Bytes,
    ),
    Case::new(
        "file_durable",
        include_str!("../../bench/file_durable.toml"),
        Feed::File,
        Sink::Lines,
    ),
    Case::new("tcp_durable", include_str!("../../bench/tcp_durable.toml"), Feed::Tcp, Sink::Lines),
    Case::new("udp", include_str!("../../bench/udp.toml"), Feed::Udp, Sink::Lossy),
];

/// What fills the places of a configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    /// Folder of this run.
    pub(crate) run: &'a Path,
    /// File with the data.
    pub(crate) input: &'a Path,
    /// Port that the daemon listens on.
    pub(crate) in_port: u16,
    /// Port that the daemon sends to.
    pub(crate) out_port: u16,
}

impl Case {
    /// The configuration with its places filled in.
    ///
    /// # Errors
    /// If a place is left over.
    pub(crate) fn config(&self, places: &Places<'_>) -> Result<String> {
        let folder = places.input.parent().unwrap_or(Path::new("/"));
        let name = places.input.file_name().unwrap_or_default().to_string_lossy();
        let text = self
            .config
            .replace("@RUN@", &places.run.to_string_lossy())
            .replace("@IN_DIR@", &folder.to_string_lossy())
            .replace("@IN_NAME@", &name.replace('.', r"\."))
            .replace("@IN_PORT@", &places.in_port.to_string())
            .replace("@OUT_PORT@", &places.out_port.to_string())
            .replace("@MATCHERS@", &outputs(self.matchers))
            .replace("@FILTERS@", &filters(self.filters));
        ensure!(!text.contains('@'), "case {} has a place that nothing fills", self.name);
        Ok(text)
    }
}

/// `count` filters that graph the status of requests, each of those whose address ends in one of the ten digits.
fn filters(count: usize) -> String {
    let section = |number: usize| {
        let digit = number % 10;
        format!(
            "\n[graph{number}]\ntype = \"SandboxFilter\"\nfilename = \"lua_filters/http_status.lua\"\n\
             message_matcher = \"Fields[remote_addr] =~ /{digit}$/\"\n"
        )
    };
    (0..count).map(section).collect()
}

/// `count` outputs with different matchers, of the four shapes that configurations are full of.
fn outputs(count: usize) -> String {
    let mut text = String::new();
    for number in 0..count {
        let matcher = match number % 4 {
            0 => format!("Fields[status] == {}", 200 + number),
            1 => format!("Fields[remote_addr] == '10.0.{}.{}'", number / 256, number % 256),
            2 => format!("Fields[request] =~ /^GET \\\\/section{number}\\\\//"),
            _ => format!("Type == 'service{number}' && Fields[body_bytes_sent] > {number}"),
        };
        // Writing to a text cannot fail.
        let written = write!(
            text,
            "\n[out{number}]\ntype = \"NullOutput\"\nmessage_matcher = \"{matcher}\"\n"
        );
        debug_assert!(written.is_ok());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use heka_engine::Plan;

    #[test]
    fn the_daemon_takes_the_configuration_of_every_case() {
        let places = Places {
            run: Path::new("/run"),
            input: Path::new("/data/access.log"),
            in_port: 1,
            out_port: 2,
        };
        for case in CASES {
            let text = case.config(&places).unwrap();
            let (config, mut problems) = heka_config::parse_config(&text, case.name);
            let plan = Plan::new(&config, hekad::PLUGINS, &mut problems);
            assert!(problems.is_empty(), "{problems}");
            assert!(!plan.routes().is_empty(), "{}", case.name);
        }
    }

    #[test]
    fn matchers_are_as_many_as_asked_for_and_all_different() {
        let text = outputs(1000);
        let lines = text.lines().filter(|line| line.starts_with("message_matcher"));
        let matchers: std::collections::BTreeSet<&str> = lines.collect();
        assert_eq!(matchers.len(), 1000);
    }
}
