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
