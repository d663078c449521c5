//! Sections that many configurations are made of.

/// A LogstreamerInput over `logs/app.log` and what a rotation makes of it.
pub(crate) const APP_LOG: &str = r#"
[app]
type = "LogstreamerInput"
log_directory = "$DIR/logs"
file_match = 'app\.log\.?(?P<Seq>\d*)(\.gz)?'
priority = ["^Seq"]
"#;

/// An encoder that writes lines as they came.
pub(crate) const TEXT: &str = r#"
[text]
type = "PayloadEncoder"
append_newlines = false
"#;

/// An input of lines over TCP.
pub(crate) fn tcp_lines(name: &str, port: u16) -> String {
    format!(
        "\n[{name}]\ntype = 'TcpInput'\naddress = '127.0.0.1:{port}'\nsplitter = 'TokenSplitter'\n\
         decoder = ''\n"
    )
}

/// An output of lines over TCP; `matcher` selects them.
pub(crate) fn tcp_out_in_memory(name: &str, matcher: &str, port: u16) -> String {
    format!("{}use_buffering = false\n", tcp_out(name, matcher, port))
}

/// As above, with messages kept on disk where the sink does not keep up.
pub(crate) fn tcp_out(name: &str, matcher: &str, port: u16) -> String {
    format!(
        "\n[{name}]\ntype = 'TcpOutput'\nmessage_matcher = \"{matcher}\"\n\
         address = '127.0.0.1:{port}'\nencoder = 'text'\n"
    )
}

/// An output to a file below the directory that writes at once.
pub(crate) fn file_out(name: &str, matcher: &str, path: &str) -> String {
    format!(
        "\n[{name}]\ntype = 'FileOutput'\nmessage_matcher = \"{matcher}\"\npath = '$DIR/{path}'\n\
         encoder = 'text'\nflush_interval = 0\n"
    )
}
