//! How things are said to people: numbers, times, colours, bars.

use std::fmt;
use std::io::{self, IsTerminal, Write as _};
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::lsp::ext::{Progress, Stage};

/// Colours, when standard output is a terminal that has them.
#[derive(Clone, Copy)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// For standard output.
    pub fn stdout() -> Paint {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Paint { on: wanted && able && std::io::stdout().is_terminal() }
    }

    /// Less important.
    pub fn dim<T: fmt::Display>(self, what: T) -> Painted<T> {
        self.with("2", what)
    }

    /// More important.
    pub fn bold<T: fmt::Display>(self, what: T) -> Painted<T> {
        self.with("1", what)
    }

    /// All is well.
    pub fn good<T: fmt::Display>(self, what: T) -> Painted<T> {
        self.with("32", what)
    }

    /// Something needs a look.
    pub fn warn<T: fmt::Display>(self, what: T) -> Painted<T> {
        self.with("33", what)
    }

    fn with<T: fmt::Display>(self, code: &'static str, what: T) -> Painted<T> {
        Painted { code: self.on.then_some(code), what }
    }
}

/// Something in its colour.
pub struct Painted<T> {
    code: Option<&'static str>,
    what: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.what),
            None => self.what.fmt(f),
        }
    }
}

/// Says something on standard output.
///
/// # Errors
/// When it can't be written; `context::end` takes them.
pub fn say(text: impl fmt::Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    out.flush()
}

/// Says something in JSON, on a line of its own.
///
/// # Errors
/// When it can't be written; `context::end` takes them.
pub fn say_json(value: &impl Serialize) -> io::Result<()> {
    say(serde_json::to_string(value)? + "\n")
}

/// The word that stands for a value in the protocol: people see the same words as programs.
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A text for a terminal, less what would command it: names of files, of hosts and of what is in files may be anybody's.
pub fn escape(text: impl fmt::Display) -> String {
    crate::core::escape(&text.to_string())
}

/// `1 file`, `2 files`, `12,345 files`.
pub fn files(count: usize) -> String {
    format!("{} {}", number(count), if count == 1 { "file" } else { "files" })
}

/// A number with its thousands apart.
pub fn number(number: usize) -> String {
    HumanCount(number as u64).to_string()
}

/// A size in the unit that suits it.
pub fn bytes(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

/// A time in the unit that suits it.
pub fn time(time: Duration) -> String {
    match time.as_micros() {
        0..10_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{} ms", time.as_millis()),
        1_000_000..100_000_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

/// Shows in a bar how far the work is.
pub fn advance(bar: &ProgressBar, progress: Option<&Progress>) {
    let Some(progress) = progress else { return };
    bar.set_length(progress.total as u64);
    bar.set_position(progress.done as u64);
    bar.set_message(match progress.stage {
        Stage::Scan => "looking at the tree",
        Stage::Text => "indexing",
        Stage::Symbols => "finding symbols",
    });
}

/// A bar on standard error.
pub fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {human_pos}/{human_len} files {elapsed}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 78_258, 1_234_567].map(number), ["0", "999", "1,000", "78,258", "1,234,567"]);
        assert_eq!(files(1), "1 file");
        assert_eq!(bytes(135_441_836), "135.44 MB");
        assert_eq!(time(Duration::from_micros(1_234)), "1.2 ms");
        assert_eq!(time(Duration::from_millis(9_275)), "9.3 s");
    }
}
