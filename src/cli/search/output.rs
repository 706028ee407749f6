//! Standard output, as one answer made of the files' answers.

use std::io::{self, Write};
use std::time::Duration;

use grep_printer::Stats;
use serde_json::{Value, json};
use termcolor::WriteColor;

use super::format::Format;

/// Standard output.
pub(super) struct Output {
    writer: Box<dyn WriteColor>,
    /// What a piece begins with, unless it is the first.
    between: Option<Vec<u8>>,
    begun: bool,
    /// Bytes of a piece that weren't printed.
    left_out: u64,
    watched: bool,
}

impl Output {
    /// Standard output through `writer`.
    pub(super) fn new(format: &Format, writer: Box<dyn WriteColor>) -> Output {
        let between = format.separator().map(|separator| [&separator[..], format.line_end().as_bytes()].concat());
        Output { writer, between, begun: false, left_out: 0, watched: format.is_watched() }
    }

    /// Prints the answer of the next file.
    pub(super) fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        let between = self.between.as_deref().filter(|_| !self.begun);
        self.begun = true;
        let printed = between.and_then(|between| piece.strip_prefix(between)).unwrap_or(piece);
        self.left_out += (piece.len() - printed.len()) as u64;
        self.writer.write_all(printed)?;
        if self.watched { self.writer.flush() } else { Ok(()) }
    }

    /// Prints the last of the JSON lines.
    pub(super) fn summary(&mut self, stats: &Stats, elapsed: Duration, freshness: &Value) -> io::Result<()> {
        let elapsed_total = json!({
            "secs": elapsed.as_secs(),
            "nanos": elapsed.subsec_nanos(),
            "human": format!("{:0.6}s", elapsed.as_secs_f64()),
        });
        let data = json!({ "stats": stats, "elapsed_total": elapsed_total });
        writeln!(self.writer, "{}", json!({ "type": "summary", "data": data, "syncline": freshness }))
    }

    /// Prints how much was searched and found, for people.
    pub(super) fn stats(&mut self, stats: &Stats, elapsed: Duration) -> io::Result<()> {
        write!(
            self.writer,
            "\n{} matches\n{} matched lines\n{} files contained matches\n{} files searched\n{} bytes printed\n{} bytes \
             searched\n{:0.6} seconds spent searching\n{:0.6} seconds total\n",
            stats.matches(),
            stats.matched_lines(),
            stats.searches_with_match(),
            stats.searches(),
            stats.bytes_printed().saturating_sub(self.left_out),
            stats.bytes_searched(),
            stats.elapsed().as_secs_f64(),
            elapsed.as_secs_f64(),
        )
    }

    /// Hands everything over.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
