//! Columns in a line of a text.

use super::symbol::Column;

/// What a text may begin with, and what is no part of its first line: editors don't show it, and no search counts it.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Counts columns in a line, from place to place.
pub(super) struct Columns<'a> {
    text: &'a [u8],
    line_start: usize,
    /// Counted so far.
    at: usize,
    column: Column,
}

impl<'a> Columns<'a> {
    /// Those of the line of `text` that begins at `start`.
    pub(super) fn of_line(text: &'a [u8], start: usize) -> Columns<'a> {
        let at = start + if start == 0 && text.starts_with(MARK) { MARK.len() } else { 0 };
        Columns { text, line_start: start, at, column: Column::default() }
    }

    /// Whether byte `at` of the text is ahead in the line that begins at `line_start`.
    pub(super) fn is_ahead(&self, line_start: usize, at: usize) -> bool {
        self.line_start == line_start && self.at <= at
    }

    /// The byte of the text that was counted to.
    pub(super) fn byte(&self) -> usize {
        self.at
    }

    /// The column counted to.
    pub(super) fn column(&self) -> Column {
        self.column
    }

    /// The column of byte `at` of the text, which must be ahead. What isn't UTF-8 counts as what is shown instead.
    pub(super) fn at(&mut self, at: usize) -> Column {
        let between = self.text.get(self.at..at).unwrap_or_default();
        self.at = self.at.max(at);
        let (utf8, utf16, utf32) = if between.is_ascii() {
            (between.len(), between.len(), between.len())
        } else {
            let text = String::from_utf8_lossy(between);
            (text.len(), text.encode_utf16().count(), text.chars().count())
        };
        let Column { utf8: bytes, utf16: units, utf32: points } = self.column;
        self.column = Column {
            utf8: bytes.saturating_add(saturate(utf8)),
            utf16: units.saturating_add(saturate(utf16)),
            utf32: points.saturating_add(saturate(utf32)),
        };
        self.column
    }
}

pub(super) fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
