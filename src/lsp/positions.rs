//! Positions in text: lines, and columns in the encoding that was agreed on.

use std::borrow::Cow;

use tower_lsp::lsp_types::{InitializeParams, Position, PositionEncodingKind, Range};

/// What a text may begin with, and what is no part of it for a search. Editors don't show it, and few send it.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// The unit of columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units, which every client understands.
    #[default]
    Utf16,
    /// Characters (Unicode scalar values).
    Utf32,
}

impl Encoding {
    /// The cheapest one of those the client understands: UTF-8 needs no counting.
    pub fn negotiate(params: &InitializeParams) -> Encoding {
        let offered = params.capabilities.general.as_ref().and_then(|general| general.position_encodings.as_ref());
        match offered {
            Some(kinds) if kinds.contains(&PositionEncodingKind::UTF8) => Encoding::Utf8,
            Some(kinds) if kinds.contains(&PositionEncodingKind::UTF16) => Encoding::Utf16,
            Some(kinds) if kinds.contains(&PositionEncodingKind::UTF32) => Encoding::Utf32,
            _ => Encoding::Utf16,
        }
    }

    /// Its name in the protocol.
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
            Encoding::Utf32 => PositionEncodingKind::UTF32,
        }
    }

    /// Units that `text` takes.
    pub fn width(self, text: &str) -> usize {
        match self {
            Encoding::Utf8 => text.len(),
            _ if text.is_ascii() => text.len(),
            Encoding::Utf16 => text.chars().map(char::len_utf16).sum(),
            Encoding::Utf32 => text.chars().count(),
        }
    }

    /// Units that a byte order mark takes.
    pub fn mark(self) -> u32 {
        match self {
            Encoding::Utf8 => 3,
            Encoding::Utf16 | Encoding::Utf32 => 1,
        }
    }

    /// The byte of `line` at `column`: its end when the column is beyond it, the beginning of the character when it is
    /// within one.
    fn byte(self, line: &str, column: usize) -> Cut {
        if self == Encoding::Utf8 {
            return Cut { byte: floor_char_boundary(line, column), in_pair: false };
        }
        let mut units = 0;
        for (byte, c) in line.char_indices() {
            units += if self == Encoding::Utf16 { c.len_utf16() } else { 1 };
            if units > column {
                // A unit is left over: the column is behind the first half of a pair.
                return Cut { byte, in_pair: self == Encoding::Utf16 && c.len_utf16() == 2 && units == column + 1 };
            }
        }
        Cut { byte: line.len(), in_pair: false }
    }

    /// The byte of `text` at `position`.
    #[cfg(any(test, fuzzing))]
    pub fn offset(self, text: &str, position: Position) -> usize {
        self.cut(text, position).byte
    }

    /// The place in `text` of `position`. A line beyond the last means the text's end, a column beyond the line's end means
    /// that end, as the protocol says.
    fn cut(self, text: &str, position: Position) -> Cut {
        let Some(start) = line_start(text.as_bytes(), position.line) else {
            return Cut { byte: text.len(), in_pair: false };
        };
        let rest = &text[start..];
        let line = &rest[..memchr::memchr2(b'\n', b'\r', rest.as_bytes()).unwrap_or(rest.len())];
        let cut = self.byte(line, usize::try_from(position.character).unwrap_or(usize::MAX));
        Cut { byte: start + cut.byte, ..cut }
    }

    /// Puts `new` in the place of `range`, whichever of its ends comes first. An editor whose strings are UTF-16 may cut
    /// a character in halves; what is left of it is U+FFFD then, a unit as well, so that columns stay right.
    pub fn replace(self, text: &mut String, range: Range, new: &str) {
        let (one, other) = (self.cut(text, range.start), self.cut(text, range.end));
        let (from, to) = (one.min(other), one.max(other));
        if from == to && new.is_empty() {
            return;
        }
        let half = |cut: Cut| if cut.in_pair { "\u{fffd}" } else { "" };
        let end = if to.in_pair { to.byte + LENGTH_OF_PAIRS } else { to.byte };
        match from.in_pair || to.in_pair {
            true => text.replace_range(from.byte..end, &[half(from), new, half(to)].concat()),
            false => text.replace_range(from.byte..end, new),
        }
    }
}

/// Bytes of a character that is a pair in UTF-16.
const LENGTH_OF_PAIRS: usize = 4;

/// A place in a text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cut {
    byte: usize,
    /// It is between the halves of the character there.
    in_pair: bool,
}

/// The last place at or before `at` where `text` may be cut.
pub fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Where line `number` (from 0) begins; `None` when there are fewer. Lines end in `\n`, `\r\n` or `\r`.
fn line_start(text: &[u8], number: u32) -> Option<usize> {
    let mut start = 0;
    for _ in 0..number {
        let end = start + memchr::memchr2(b'\n', b'\r', &text[start..])?;
        let is_pair = text[end] == b'\r' && text.get(end + 1) == Some(&b'\n');
        start = end + if is_pair { 2 } else { 1 };
    }
    Some(start)
}

/// A line of a file as it can be shown. Each part that isn't UTF-8 is U+FFFD there.
pub struct ShownLine<'a> {
    /// Its beginning as text.
    pub text: Cow<'a, str>,
    bytes: &'a [u8],
}

impl<'a> ShownLine<'a> {
    /// The line with these bytes, of which `most` are shown. It may be huge: nothing else of it is copied.
    pub fn new(bytes: &'a [u8], most: usize) -> ShownLine<'a> {
        // Where the last character that is shown ends is seen by those behind it.
        let beginning = &bytes[..bytes.len().min(most.saturating_add(LONGEST_CHARACTER))];
        let text = match String::from_utf8_lossy(beginning) {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..floor_char_boundary(text, most)]),
            Cow::Owned(mut text) => {
                text.truncate(floor_char_boundary(&text, most));
                Cow::Owned(text)
            }
        };
        ShownLine { text, bytes }
    }

    /// The ranges of `matches`, which ascend, in this line, which is line `number` of its file.
    pub fn ranges(&self, number: u64, matches: &[std::ops::Range<usize>], encoding: Encoding) -> Vec<Range> {
        // Counted on from place to place: a line may be the whole file, with matches all over.
        let (mut counted, mut column) = (0, 0);
        let mut position = |at: usize| {
            column += self.advance(&mut counted, at, encoding);
            Position::new(saturate(number), saturate(column as u64))
        };
        matches.iter().map(|found| Range::new(position(found.start), position(found.end))).collect()
    }

    /// Goes from byte `counted`, where a character begins, to the one that holds byte `at`; gives the units between.
    fn advance(&self, counted: &mut usize, at: usize, encoding: Encoding) -> usize {
        let rest = self.bytes.get(*counted..self.bytes.len().min(at.saturating_add(LONGEST_CHARACTER)));
        let mut units = 0;
        for chunk in rest.unwrap_or_default().utf8_chunks() {
            let (valid, invalid) = (chunk.valid(), chunk.invalid().len());
            let wanted = floor_char_boundary(valid, at.saturating_sub(*counted));
            units += encoding.width(&valid[..wanted]);
            *counted += wanted;
            if wanted < valid.len() || *counted + invalid > at {
                break;
            }
            *counted += invalid;
            if invalid > 0 {
                units += encoding.width(REPLACEMENT);
            }
        }
        units
    }
}

/// Hands over each of `matches`, which ascend, with the text of the line in which it begins, of which at most `most` bytes
/// are shown. `bytes` is what ripgrep takes for a line; the editor counts more than one where there are carriage returns in
/// it, from `number` on.
pub fn in_editor_lines(
    bytes: &[u8],
    number: u64,
    mut matches: &[std::ops::Range<usize>],
    most: usize,
    encoding: Encoding,
    mut found: impl FnMut(Range, &str),
) {
    let returns = |from: usize, to: usize| memchr::memchr_iter(b'\r', &bytes[from..to]).map(move |at| from + at);
    let (mut number, mut start, mut counted) = (number, 0, 0);
    while let Some(first) = matches.first() {
        for at in returns(counted, first.start.min(bytes.len())) {
            (number, start) = (number + 1, at + 1);
        }
        counted = first.start.min(bytes.len());
        let end = memchr::memchr(b'\r', &bytes[counted..]).map_or(bytes.len(), |at| counted + at);
        let here = matches.iter().take_while(|found| found.start <= end).count().max(1);
        let (here, after) = matches.split_at(here);
        let shown = ShownLine::new(&bytes[start..end], most);
        let within: Vec<_> = here.iter().map(|found| found.start - start..found.end.min(end) - start).collect();
        for (mut range, whole) in shown.ranges(number, &within, encoding).into_iter().zip(here) {
            // Only a match of carriage returns ends in another line.
            if whole.end > end {
                let (mut number, mut start) = (number, start);
                returns(end, whole.end.min(bytes.len())).for_each(|at| (number, start) = (number + 1, at + 1));
                let last = ShownLine::new(&bytes[start..whole.end.min(bytes.len())], most);
                let at = whole.end.min(bytes.len()) - start;
                let ends = last.ranges(number, std::slice::from_ref(&(at..at)), encoding);
                range.end = ends.first().map_or(range.end, |range| range.start);
            }
            found(range, &shown.text);
        }
        matches = after;
    }
}

/// The most bytes of a character.
const LONGEST_CHARACTER: usize = 4;
/// What is shown of bytes that are none.
const REPLACEMENT: &str = "\u{fffd}";

/// The protocol's numbers have 31 bits.
fn saturate(number: u64) -> u32 {
    u32::try_from(number.min(i32::MAX as u64)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn columns_are_in_the_negotiated_encoding() {
        // 'é' has 2 bytes and 1 unit, '𝒳' 4 bytes and 2 units.
        let text = "a\r\né𝒳z\rlast";
        let cases = [(Encoding::Utf8, [2, 6, 7]), (Encoding::Utf16, [1, 3, 4]), (Encoding::Utf32, [1, 2, 3])];
        for (encoding, columns) in cases {
            let found = columns.map(|c| encoding.offset(text, Position::new(1, c)));
            assert_eq!(found, [5, 9, 10], "{encoding:?}");
            assert_eq!(encoding.offset(text, Position::new(2, 0)), 11);
        }
    }

    #[test]
    fn positions_out_of_range_are_clamped() {
        let text = "ab\n𝒳\n";
        for encoding in [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32] {
            assert_eq!(encoding.offset(text, Position::new(0, 99)), 2, "a column beyond the line is its end");
            assert_eq!(encoding.offset(text, Position::new(2, 0)), text.len(), "the empty last line");
            assert_eq!(encoding.offset(text, Position::new(9, 4)), text.len(), "a line beyond the last is the end");
            assert_eq!(encoding.offset(text, Position::new(u32::MAX, u32::MAX)), text.len());
        }
        assert_eq!(Encoding::Utf16.offset(text, Position::new(1, 1)), 3, "within a surrogate pair is before it");
        assert_eq!(Encoding::Utf8.offset(text, Position::new(1, 2)), 3, "within a character is before it");
    }

    #[test]
    fn ranges_in_lines_that_are_not_text_are_those_of_the_shown_line() {
        let bytes = b"\xffa\xc3\xa9\xf0\x9fz";
        let line = ShownLine::new(bytes, usize::MAX);
        assert_eq!(line.text, "\u{fffd}a\u{e9}\u{fffd}z");
        let columns = |range, encoding| {
            let Range { start, end } = line.ranges(7, &[range], encoding)[0];
            assert_eq!((start.line, end.line), (7, 7));
            (start.character, end.character)
        };
        assert_eq!(columns(1..2, Encoding::Utf16), (1, 2));
        assert_eq!(columns(6..7, Encoding::Utf16), (4, 5));
        assert_eq!(columns(6..7, Encoding::Utf8), (9, 10));
        assert_eq!(columns(3..4, Encoding::Utf32), (2, 3), "within a character");
        assert_eq!(columns(7..7, Encoding::Utf32), (5, 5));
    }

    #[test]
    fn columns_of_several_matches_count_from_the_line_s_beginning() {
        let line = ShownLine::new("é𝒳 é𝒳".as_bytes(), 3);
        assert_eq!(line.text, "é", "more isn't shown");
        let ranges = line.ranges(0, &[0..2, 2..6, 7..9, 9..13], Encoding::Utf16);
        let columns: Vec<_> = ranges.iter().map(|r| (r.start.character, r.end.character)).collect();
        assert_eq!(columns, [(0, 1), (1, 3), (4, 5), (5, 7)]);
    }

    #[test]
    fn a_character_that_is_cut_in_halves_keeps_its_units() {
        let after = |range: [u32; 2], new: &str| {
            let mut text = "a😀b".to_owned();
            Encoding::Utf16.replace(&mut text, Range::new(Position::new(0, range[0]), Position::new(0, range[1])), new);
            text
        };
        assert_eq!(after([1, 2], ""), "a\u{fffd}b");
        assert_eq!(after([2, 3], "\u{fffd}"), "a\u{fffd}\u{fffd}b");
        assert_eq!(after([2, 2], "x"), "a\u{fffd}x\u{fffd}b");
        assert_eq!(after([4, 2], ""), "a\u{fffd}");
        assert_eq!(after([2, 2], ""), "a😀b");
    }

    #[test]
    fn lines_that_end_in_carriage_returns_are_those_of_the_editor() {
        let bytes = "one\rtwö two\r\rfour".as_bytes();
        let mut found = Vec::new();
        let matches = [0..3, 4..8, 9..11, 11..15, 14..14, 14..16];
        in_editor_lines(bytes, 7, &matches, 10_000, Encoding::Utf16, |range, text| {
            let Range { start, end } = range;
            found.push((start.line, start.character, end.line, end.character, text.to_owned()));
        });
        let line = |at: (u32, u32, u32, u32), text: &str| (at.0, at.1, at.2, at.3, text.to_owned());
        let wanted = [
            line((7, 0, 7, 3), "one"),
            line((8, 0, 8, 3), "twö two"),
            line((8, 4, 8, 6), "twö two"),
            line((8, 6, 10, 1), "twö two"),
            line((10, 0, 10, 0), "four"),
            line((10, 0, 10, 2), "four"),
        ];
        assert_eq!(found, wanted);
    }
}
