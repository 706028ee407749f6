//! Trigrams: the three-byte strings a text holds, and how they are collected.

/// Three bytes, the first in the highest place; below 2²⁴.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trigram(u32);

impl Trigram {
    /// How many there are.
    pub const COUNT: usize = 1 << 24;

    /// The trigram of three bytes.
    pub fn new(bytes: [u8; 3]) -> Trigram {
        Trigram(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    /// The trigram of a number, its high byte dropped.
    pub fn from_number(number: u32) -> Trigram {
        Trigram(number & 0xff_ffff)
    }

    /// As a number below 2²⁴; the order of numbers is the order of the bytes.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Whether it spans two lines. A match never does, so such trigrams are neither indexed nor asked for.
    pub fn spans_lines(self) -> bool {
        self.0.to_be_bytes()[1..].contains(&b'\n')
    }
}

/// Collects the distinct trigrams of one text after another.
pub struct Collector {
    /// One bit for each trigram: seen in this text. 2 MiB, of which source code touches a few hundred KiB.
    seen: Vec<u64>,
    found: Vec<u32>,
    /// The last bytes that were fed, and how many of them make up a trigram's beginning (at most two).
    last: u32,
    begun: usize,
}

impl Collector {
    /// A collector, with its 2 MiB of memory.
    pub fn new() -> Collector {
        Collector { seen: vec![0; Trigram::COUNT / 64], found: Vec::new(), last: 0, begun: 0 }
    }

    /// Begins a new text.
    pub fn clear(&mut self) {
        for &t in &self.found {
            self.seen[(t >> 6) as usize] = 0;
        }
        self.found.clear();
        self.begun = 0;
    }

    /// Takes the next piece of the text.
    pub fn feed(&mut self, piece: &[u8]) {
        let (beginning, rest) = piece.split_at(piece.len().min(2 - self.begun));
        for &byte in beginning {
            self.last = self.last << 8 | u32::from(byte);
            self.begun += 1;
        }
        let mut count = self.found.len();
        self.found.resize(count + rest.len(), 0);
        // Without a branch on "seen": it is taken once in six or seven bytes and can't be predicted.
        for &byte in rest {
            let t = (self.last << 8 | u32::from(byte)) & 0xff_ffff;
            let word = &mut self.seen[(t >> 6) as usize];
            let bit = 1 << (t & 63);
            self.found[count] = t;
            count += usize::from(*word & bit == 0);
            *word |= bit;
            self.last = t;
        }
        self.found.truncate(count);
    }

    /// The distinct trigrams of the text so far that lie within a line, in no order that means anything.
    pub fn found(&self) -> impl Iterator<Item = Trigram> + '_ {
        self.found.iter().map(|&t| Trigram(t)).filter(|t| !t.spans_lines())
    }
}

impl Default for Collector {
    fn default() -> Self {
        Collector::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn collects_each_trigram_of_a_line_once_and_forgets_the_text_before() {
        let mut collector = Collector::new();
        let mut collect = |text: &[u8], piece: usize| -> Vec<Trigram> {
            collector.clear();
            text.chunks(piece).for_each(|piece| collector.feed(piece));
            let mut found: Vec<_> = collector.found().collect();
            found.sort();
            found
        };
        let expected = |text: &[u8]| -> Vec<Trigram> {
            let all = text.split(|&b| b == b'\n').flat_map(|line| line.windows(3));
            all.map(|w| Trigram::new([w[0], w[1], w[2]])).collect::<BTreeSet<_>>().into_iter().collect()
        };
        for text in [&b"abcabcabc"[..], b"ab", b"", b"abc", b"one\ntwo\n\nthree", b"\xff\xfe\xfd\xff\xfe\xfd"] {
            for piece in [1, 2, 3, 100] {
                assert_eq!(collect(text, piece), expected(text), "{text:?} in pieces of {piece}");
            }
        }
    }
}
