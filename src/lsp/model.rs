//! A text as an editor keeps it whose strings are UTF-16, which tests compare with what the server makes of its edits.

use tower_lsp::lsp_types::{Position, Range};

use super::positions::Encoding;

/// What stands for half a pair.
const REPLACEMENT: u16 = 0xfffd;

/// The text, in units of UTF-16, halves of pairs among them.
pub struct Model {
    units: Vec<u16>,
}

impl Model {
    /// A text.
    pub fn new(text: &str) -> Model {
        Model { units: text.encode_utf16().collect() }
    }

    /// Puts `text` in the place of `range`, or of everything.
    pub fn edit(&mut self, range: Option<Range>, text: &str, encoding: Encoding) {
        self.edit_units(range, text.encode_utf16().collect(), encoding);
    }

    /// As [`Model::edit`], with halves of pairs.
    pub fn edit_units(&mut self, range: Option<Range>, new: Vec<u16>, encoding: Encoding) {
        let (one, other) = match range {
            None => (0, self.units.len()),
            Some(range) => (self.unit(range.start, encoding), self.unit(range.end, encoding)),
        };
        self.units.splice(one.min(other)..one.max(other), new);
    }

    /// Whether `text` is this one, where U+FFFD may stand for any half of a pair.
    pub fn shows(&self, text: &str) -> bool {
        let is_half = |unit: u16| (0xd800..=0xdfff).contains(&unit);
        let shown: Vec<_> = text.encode_utf16().collect();
        let mut pairs = shown.iter().zip(&self.units);
        shown.len() == self.units.len() && pairs.all(|(a, b)| a == b || *a == REPLACEMENT && is_half(*b))
    }

    /// The text as a server may have it: halves are replaced.
    #[cfg(test)]
    pub fn text(&self) -> String {
        String::from_utf16_lossy(&self.units)
    }

    /// The unit at a position: lines, and what is left of the line, are counted one by one.
    fn unit(&self, position: Position, encoding: Encoding) -> usize {
        let (cr, lf) = (u16::from(b'\r'), u16::from(b'\n'));
        let mut at = 0;
        for _ in 0..position.line {
            loop {
                let Some(unit) = self.units.get(at) else { return at };
                at += 1;
                if *unit == lf || *unit == cr && self.units.get(at) != Some(&lf) {
                    break;
                }
            }
        }
        let mut left = u64::from(position.character);
        for found in char::decode_utf16(self.units[at..].iter().copied()) {
            let c = found.unwrap_or(char::REPLACEMENT_CHARACTER);
            let width = match encoding {
                Encoding::Utf8 => c.len_utf8(),
                Encoding::Utf16 => c.len_utf16(),
                Encoding::Utf32 => 1,
            };
            if c == '\n' || c == '\r' {
                break;
            }
            if left < width as u64 {
                // Only UTF-16 can cut a pair.
                return if encoding == Encoding::Utf16 && left == 1 { at + 1 } else { at };
            }
            left -= width as u64;
            at += c.len_utf16();
        }
        at
    }
}
