//! What both command lines have in common: Heka's flags in Heka's spelling.

use clap::{Parser, ValueEnum};

/// What the manager is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Load filters.
    Load,
    /// Unload them.
    Unload,
}

/// A command line that is not to be run: help, or an error.
#[derive(Debug)]
pub(crate) struct Usage {
    /// What to print.
    pub(crate) text: String,
    /// Exit code.
    pub(crate) code: u8,
}

/// Reads arguments, without the program's own name.
///
/// # Errors
/// If help was asked for, or they cannot be understood.
pub(crate) fn parse<A: Parser>(program: &str, arguments: Vec<String>) -> Result<A, Usage> {
    let arguments = arguments.into_iter().map(two_dashes);
    let program = std::iter::once(program.to_owned());
    A::try_parse_from(program.chain(arguments)).map_err(|error| {
        let code = u8::from(error.use_stderr()) * 2;
        Usage { text: error.render().to_string(), code }
    })
}

/// Go's flags take one dash as well as two.
fn two_dashes(argument: String) -> String {
    let long = argument.strip_prefix('-').is_some_and(|rest| {
        rest.len() > 1 && rest.starts_with(|first: char| first.is_ascii_lowercase())
    });
    if long { format!("-{argument}") } else { argument }
}
