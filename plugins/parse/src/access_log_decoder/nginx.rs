//! nginx's `log_format` language.

use heka_datetime::{EpochUnit, StrptimeGrammar};

use super::program::{Kind, ListItem, Program};
use crate::error::ParseError;

/// How nginx prints the time of a cached response.
const LAST_MODIFIED: &str = "%a, %d %b %Y %T GMT";
/// States of the proxy cache.
const CACHE_STATES: &[&str] =
    &["HIT", "MISS", "EXPIRED", "BYPASS", "STALE", "UPDATING", "REVALIDATED", "-"];

/// Compiles a format; all text is one.
pub(super) fn compile(format: &str) -> Result<Program, ParseError> {
    let mut program = Program::default();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if let Some(name) = variable_name(rest) {
            variable(&mut program, name)?;
            rest = &rest[1 + name.len()..];
            continue;
        }
        let (piece, after) = rest.split_at(first.len_utf8());
        if first.is_ascii_whitespace() {
            program.whitespace();
        } else {
            program.literal(piece.as_bytes());
        }
        rest = after;
    }
    Ok(program.finish())
}

/// The name of the variable that `text` starts with: `$name`, or `${name}` with its braces.
fn variable_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let (inner, braces) = match name.strip_prefix('{') {
        Some(inner) => (inner, 2),
        None => (name, 0),
    };
    let length = inner.bytes().take_while(|&byte| is_name(byte)).count();
    if length == 0 || braces == 2 && inner.as_bytes().get(length) != Some(&b'}') {
        return None;
    }
    Some(&name[..length + braces])
}

fn variable(program: &mut Program, written: &str) -> Result<(), ParseError> {
    let name = written.trim_start_matches('{').trim_end_matches('}');
    let shown = format!("${written}");
    let mut field = |kind: Kind, representation: &'static str| {
        program.field(&shown, name, kind, representation)
    };
    match name {
        "remote_addr"
        | "server_addr"
        | "host"
        | "hostname"
        | "server_name"
        | "proxy_protocol_addr" => field(Kind::Host, ""),
        "body_bytes_sent" | "bytes_sent" | "content_length" | "request_length" => {
            field(Kind::Integer, "B");
        }
        "request_time" => field(Kind::Decimal, "s"),
        "status" => field(Kind::Status, ""),
        "connection"
        | "connection_requests"
        | "pid"
        | "remote_port"
        | "server_port"
        | "tcpinfo_rtt"
        | "tcpinfo_rttvar"
        | "tcpinfo_snd_cwnd"
        | "tcpinfo_rcv_space" => {
            field(Kind::Integer, "");
        }
        "time_local" => program.stamp(&shown, Kind::ClfTime { bracketed: false }),
        "time_iso8601" => program.stamp(&shown, Kind::IsoTime),
        "msec" => {
            program.stamp(&shown, Kind::EpochTime { unit: EpochUnit::Seconds, fraction: true });
        }
        "request_method" => field(Kind::Token, ""),
        "scheme" => field(Kind::OneOf(&["https", "http"]), ""),
        "server_protocol" => field(Kind::Protocol, ""),
        "https" => field(Kind::OneOf(&["on", ""]), ""),
        "is_args" => field(Kind::OneOf(&["?", ""]), ""),
        "request_completion" => field(Kind::OneOf(&["OK", ""]), ""),
        "pipe" => field(Kind::OneOf(&["p", "."]), ""),
        "nginx_version" => field(Kind::Version, ""),
        "binary_remote_addr" => field(Kind::Bytes(4), ""),
        "upstream_addr" => field(Kind::AddressList, ""),
        "upstream_status" => field(Kind::NumberList(ListItem::Status), ""),
        "upstream_response_time" => field(Kind::NumberList(ListItem::Decimal), "s"),
        "upstream_response_length" => field(Kind::LengthList, "B"),
        "upstream_cache_status" => field(Kind::OneOf(CACHE_STATES), ""),
        "upstream_cache_last_modified" => {
            let grammar = StrptimeGrammar::parse(LAST_MODIFIED).map_err(ParseError::TimeFormat)?;
            field(Kind::TimeOrDash(grammar), "");
        }
        _ => program.text(&shown, name),
    }
    Ok(())
}
