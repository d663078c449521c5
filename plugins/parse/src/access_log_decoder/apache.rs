//! Apache's `LogFormat` language.

use heka_datetime::{EpochUnit, StrptimeGrammar};

use super::program::{Kind, Program};
use crate::error::ParseError;

/// Compiles a format.
pub(super) fn compile(format: &str) -> Result<Program, ParseError> {
    let mut program = Program::default();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '%' => directive(&mut program, format, rest)?,
            '\\' => escape(&mut program, format, rest)?,
            _ => {
                let (piece, after) = rest.split_at(first.len_utf8());
                if first.is_ascii_whitespace() {
                    program.whitespace();
                } else {
                    program.literal(piece.as_bytes());
                }
                after
            }
        };
    }
    Ok(program.finish())
}

/// Reads `\t \n \" \\` or `\ddd`, the decimal code of a byte; the rest of the format.
fn escape<'a>(program: &mut Program, format: &str, text: &'a str) -> Result<&'a str, ParseError> {
    let offset = format.len() - text.len();
    let unknown = || ParseError::Escape { offset };
    let code = *text.as_bytes().get(1).ok_or_else(unknown)?;
    let (byte, length) = match code {
        b't' => (b'\t', 2),
        b'n' => (b'\n', 2),
        b'"' | b'\\' => (code, 2),
        b'0'..=b'9' => {
            let digits = text.get(1..4).ok_or_else(unknown)?;
            (digits.parse().map_err(|_| unknown())?, 4)
        }
        _ => return Err(unknown()),
    };
    program.literal(&[byte]);
    Ok(&text[length..])
}

/// Reads `%x`, `%<x`, `%>x`, `%{argument}x`, each with statuses before it; the rest of the format.
fn directive<'a>(
    program: &mut Program,
    format: &str,
    text: &'a str,
) -> Result<&'a str, ParseError> {
    let offset = format.len() - text.len();
    let mut rest =
        text[1..].trim_start_matches(['!', ',', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
    rest = rest.strip_prefix(['<', '>']).unwrap_or(rest);
    let argument = match rest.strip_prefix('{') {
        Some(inner) => {
            let (argument, after) =
                inner.split_once('}').ok_or(ParseError::UnclosedArgument { offset })?;
            rest = after;
            Some(argument)
        }
        None => None,
    };
    let code = rest.chars().next().ok_or(ParseError::LonePercent { offset })?;
    let rest = &rest[code.len_utf8()..];
    let shown = &text[..text.len() - rest.len()];
    match argument {
        Some(argument) => with_argument(program, shown, argument, code)?,
        None => plain(program, shown, code)?,
    }
    Ok(rest)
}

fn plain(program: &mut Program, shown: &str, code: char) -> Result<(), ParseError> {
    let mut field = |name: &str, kind: Kind, representation: &'static str| {
        program.field(shown, name, kind, representation);
    };
    match code {
        '%' => program.literal(b"%"),
        'a' | 'h' => field("remote_addr", Kind::Host, ""),
        'A' => field("server_addr", Kind::Host, ""),
        'v' | 'V' => field("server_name", Kind::Host, ""),
        'B' => field("body_bytes_sent", Kind::Integer, "B"),
        'b' => field("body_bytes_sent", Kind::IntegerOrDash, "B"),
        'I' => field("request_length", Kind::Integer, "B"),
        'O' => field("response_length", Kind::Integer, "B"),
        'S' => field("total_length", Kind::Integer, "B"),
        'D' => field("request_time", Kind::Integer, "us"),
        'T' => field("request_time", Kind::Integer, "s"),
        's' => field("status", Kind::Status, ""),
        'H' => field("server_protocol", Kind::Protocol, ""),
        'm' => field("request_method", Kind::Token, ""),
        'k' => field("connection_requests", Kind::Integer, ""),
        'p' => field("server_port", Kind::Integer, ""),
        'P' => field("pid", Kind::Integer, ""),
        'X' => field("connection_status", Kind::OneOf(&["X", "+", "-"]), ""),
        't' => program.stamp(shown, Kind::ClfTime { bracketed: true }),
        'l' | 'u' => program.text(shown, "remote_user"),
        'r' => program.text(shown, "request"),
        'U' => program.text(shown, "uri"),
        'q' => program.text(shown, "query_string"),
        'f' => program.text(shown, "request_filename"),
        'R' => program.text(shown, "request_handler"),
        'L' => program.text(shown, "request_log_id"),
        _ => return Err(ParseError::Directive { code }),
    }
    Ok(())
}

fn with_argument(
    program: &mut Program,
    shown: &str,
    argument: &str,
    code: char,
) -> Result<(), ParseError> {
    let header = || argument.to_ascii_lowercase().replace('-', "_");
    match (code, argument) {
        ('i', _) => program.text(shown, &format!("http_{}", header())),
        ('o', _) => program.text(shown, &format!("sent_http_{}", header())),
        ('C', _) => program.text(shown, &format!("cookie_{argument}")),
        ('e', _) => program.text(shown, &format!("env_{argument}")),
        ('n', _) => program.text(shown, &format!("module_{argument}")),
        ('a', _) => program.field(shown, "remote_addr", Kind::Host, ""),
        ('p', "canonical" | "local") => program.field(shown, "server_port", Kind::Integer, ""),
        ('p', "remote") => program.field(shown, "remote_port", Kind::Integer, ""),
        ('P', "pid") => program.field(shown, "pid", Kind::Integer, ""),
        ('P', "tid") => program.field(shown, "tid", Kind::Integer, ""),
        ('P', "hextid") => program.field(shown, "tid", Kind::Hexadecimal, ""),
        ('t', _) => time(program, shown, argument)?,
        _ => return Err(ParseError::Directive { code }),
    }
    Ok(())
}

fn time(program: &mut Program, shown: &str, argument: &str) -> Result<(), ParseError> {
    let format = argument
        .strip_prefix("begin:")
        .or_else(|| argument.strip_prefix("end:"))
        .unwrap_or(argument);
    let unit = match format {
        "sec" => EpochUnit::Seconds,
        "msec" => EpochUnit::Milliseconds,
        "usec" => EpochUnit::Microseconds,
        "msec_frac" | "usec_frac" => {
            program.field(shown, "sec_frac", Kind::SecondFraction, "");
            return Ok(());
        }
        _ => {
            let grammar = StrptimeGrammar::parse(format).map_err(ParseError::TimeFormat)?;
            program.stamp(shown, Kind::FormattedTime(grammar));
            return Ok(());
        }
    };
    program.stamp(shown, Kind::EpochTime { unit, fraction: false });
    Ok(())
}
