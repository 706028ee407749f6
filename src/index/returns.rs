//! Carriage returns that end a line for editors but not for ripgrep, which counts line feeds only: those that no line feed
//! follows.

use std::io;

use grep_matcher::{LineTerminator, Match, Matcher, NoCaptures, NoError};
use grep_searcher::{Searcher, Sink, SinkMatch};

use super::search::MatchedLine;

/// Counts them before each matching line, while what is searched passes by.
#[derive(Default)]
pub(super) struct Returns {
    /// Up to this byte of what is searched.
    counted: u64,
    /// So many were there.
    found: u64,
    /// A part of what is searched wasn't seen: it was larger than the searcher's buffer.
    has_gap: bool,
}

impl Returns {
    /// Those before the line that was found.
    pub(super) fn before(&mut self, line: &SinkMatch<'_>) -> u64 {
        let (buffer, start) = (line.buffer(), line.bytes_range_in_buffer().start);
        let at = line.absolute_byte_offset();
        let unseen = usize::try_from(at - self.counted).ok();
        match unseen.and_then(|unseen| buffer.get(start.checked_sub(unseen)?..start)) {
            // It ends with a line, so the last return in it has what follows beside it.
            Some(unseen) => self.found += count(unseen),
            None => self.has_gap = true,
        }
        self.counted = at;
        self.found
    }

    /// Has `search` made once more for the `lines` that were found, if a part wasn't seen.
    pub(super) fn recount(
        self,
        lines: &mut [MatchedLine],
        search: impl FnOnce(LoneReturn, Recount<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.has_gap {
            true => search(LoneReturn, Recount { found: 0, lines }),
            false => Ok(()),
        }
    }
}

/// Where they are in `bytes`. One at the end isn't among them: no line follows.
pub(super) fn lone_returns(bytes: &[u8]) -> impl Iterator<Item = usize> {
    memchr::memchr_iter(b'\r', bytes).filter(|at| is_lone(bytes, *at))
}

fn count(bytes: &[u8]) -> u64 {
    lone_returns(bytes).count() as u64
}

fn is_lone(bytes: &[u8], at: usize) -> bool {
    bytes.get(at + 1).is_some_and(|next| *next != b'\n')
}

/// Finds them.
pub(super) struct LoneReturn;

impl Matcher for LoneReturn {
    type Captures = NoCaptures;
    type Error = NoError;

    fn find_at(&self, text: &[u8], from: usize) -> Result<Option<Match>, NoError> {
        let returns = memchr::memchr_iter(b'\r', &text[from..]);
        let mut lone = returns.map(|at| from + at).filter(|at| is_lone(text, *at));
        Ok(lone.next().map(|at| Match::new(at, at + 1)))
    }

    fn new_captures(&self) -> Result<NoCaptures, NoError> {
        Ok(NoCaptures::new())
    }

    fn line_terminator(&self) -> Option<LineTerminator> {
        Some(LineTerminator::byte(b'\n'))
    }
}

/// Gives each of `lines` those before it.
pub(super) struct Recount<'a> {
    found: u64,
    lines: &'a mut [MatchedLine],
}

impl Recount<'_> {
    /// The lines up to `number` have all those that were found.
    fn settle(&mut self, number: u64) {
        let settled = self.lines.partition_point(|line| line.number <= number);
        let (settled, left) = std::mem::take(&mut self.lines).split_at_mut(settled);
        settled.iter_mut().for_each(|line| line.lone_returns = self.found);
        self.lines = left;
    }
}

impl Sink for Recount<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, line: &SinkMatch<'_>) -> io::Result<bool> {
        // The searcher counts lines from 1.
        self.settle(line.line_number().unwrap_or(1) - 1);
        self.found += count(line.bytes());
        Ok(!self.lines.is_empty())
    }

    fn finish(&mut self, _: &Searcher, _: &grep_searcher::SinkFinish) -> io::Result<()> {
        self.settle(u64::MAX);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::ops::ControlFlow;
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use crate::core::RelPath;
    use crate::index::{Candidate, Limits, MatchedLine, Pattern, Query, find_matches};

    /// A text of many lines that end in every way, few of which hold the word.
    fn text(seed: usize, lines: usize) -> String {
        let ends = ["\n", "\r\n", "\r", "\r\r\n", "\n\r"];
        let line = |at: usize| {
            let number = at.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 7;
            let word = if number.is_multiple_of(701) { "needle" } else { "" };
            // Long stretches have no returns.
            let end = if (at / 4096).is_multiple_of(2) { ends[number % ends.len()] } else { "\n" };
            format!("{word}{}{end}", "x".repeat(number % 23))
        };
        (0..lines).map(line).collect()
    }

    /// However a text is read, each line has all that were before it.
    #[test]
    fn none_is_missed() {
        let query = Query::new(&Pattern { patterns: vec!["needle".to_owned()], ..Pattern::default() }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = RelPath::new(std::path::Path::new("a")).unwrap();
        for (seed, lines) in [(0, 100), (1, 20_000), (2, 150_000)] {
            let text = text(seed, lines);
            let wide =
                |text: &str| [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
            let held = [Some(Arc::from(text.as_str())), Some(Arc::from(["\u{feff}", &text].concat()))];
            let on_disk: [Vec<u8>; 3] = [text.clone().into_bytes(), wide(&text), [&text, "\0"].concat().into_bytes()];
            for (held, bytes) in
                held.into_iter().map(|held| (held, Vec::new())).chain(on_disk.map(|bytes| (None, bytes)))
            {
                std::fs::write(folder.path().join("a"), &bytes).unwrap();
                let mut found = Vec::new();
                let candidate = Candidate { path: path.clone(), text: held };
                let limits = Limits { max_results: usize::MAX, threads: 1 };
                let cancel = CancellationToken::new();
                let end = find_matches(folder.path(), &query, &[candidate], limits, &cancel, |file| {
                    found = file.lines;
                    ControlFlow::Continue(())
                });
                assert_eq!(end.unreadable, Vec::<String>::new());
                assert!(bytes.contains(&0) || !found.is_empty());
                for MatchedLine { number, lone_returns, .. } in found {
                    let number = usize::try_from(number).unwrap();
                    let before: usize = text.split_inclusive('\n').take(number).map(str::len).sum();
                    let lone = text[..before].replace("\r\n", "").matches('\r').count();
                    assert_eq!(lone_returns, lone as u64, "{seed}: line {number}");
                }
            }
        }
    }
}
