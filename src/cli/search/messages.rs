//! What is said on standard error.

use std::fmt::Display;
use std::io::Write;

use crate::core::escape;
use crate::index::PatternError;

/// Says one thing. Nothing in it can steer a terminal.
pub(super) fn complain(what: &dyn Display) {
    let what = what.to_string();
    let line = format!("syncline: {}\n", what.split('\n').map(escape).collect::<Vec<_>>().join("\n"));
    // When nobody can be told, nobody can be told that either.
    drop(std::io::stderr().lock().write_all(line.as_bytes()));
}

/// One sentence of the regex parser's several lines, which draw the pattern with a mark below.
pub(super) fn pattern_sentence(error: &PatternError) -> String {
    let text = error.to_string();
    match text.lines().last().and_then(|line| line.strip_prefix("error: ")) {
        Some(cause) => format!("the pattern isn't a regular expression: {cause}; -F searches for plain text"),
        None => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
