//! Grams: the short strings a text holds, by which its file is found, and how they are collected.
//!
//! There are two kinds. **Trigrams** are all strings of three bytes within a line. **Boundary grams** are the four
//! bytes where one word ends and the next begins: `le_o` of `file_operations`, `leNa` of `fileName`, `io.r` of
//! `io.read`. Trigrams tell which words a file holds, boundary grams which of them stand together: of the files of the
//! Linux kernel whose trigrams allow for `struct file_operations`, boundary grams leave half. They add a tenth to the
//! postings.

/// A trigram, or a boundary gram; a number below 2²⁴.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gram(u32);

/// Boundary grams have the numbers that trigrams beginning with a NUL would have. Nothing behind a NUL is searched, so
/// that there are none.
const BOUNDARIES: u32 = 1 << 16;

impl Gram {
    /// How many there are.
    pub const COUNT: usize = 1 << 24;

    /// The trigram of three bytes: the first in the highest place.
    pub fn trigram(bytes: [u8; 3]) -> Gram {
        Gram(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    /// The boundary gram of four bytes, if they are one. Boundary grams share their numbers with a few others.
    pub fn boundary(bytes: [u8; 4]) -> Option<Gram> {
        is_boundary(u32::from_be_bytes(bytes.map(class))).then(|| Gram(boundary_number(u32::from_be_bytes(bytes))))
    }

    /// The gram of a number, its high byte dropped.
    pub fn from_number(number: u32) -> Gram {
        Gram(number & 0xff_ffff)
    }

    /// As a number below 2²⁴.
    pub fn number(self) -> u32 {
        self.0
    }

    /// Whether it is a trigram that spans two lines. Few matches do, so such trigrams are neither indexed nor found.
    pub fn spans_lines(self) -> bool {
        self.0 >= BOUNDARIES && self.0.to_be_bytes()[1..].contains(&b'\n')
    }
}

/// What a byte is at the boundary of two words.
const ALPHANUMERIC: u8 = 1;
const LOWERCASE: u8 = 2;
const UPPERCASE: u8 = 4;
const PUNCTUATION: u8 = 8;

/// The classes of four bytes that are a boundary gram: two words with a mark between them, or a hump of a word.
const MARKED: u32 = u32::from_be_bytes([ALPHANUMERIC, ALPHANUMERIC, PUNCTUATION, ALPHANUMERIC]);
const HUMPED: u32 = u32::from_be_bytes([ALPHANUMERIC, LOWERCASE, UPPERCASE, ALPHANUMERIC]);

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => ALPHANUMERIC,
            b'a'..=b'z' => ALPHANUMERIC | LOWERCASE,
            b'A'..=b'Z' => ALPHANUMERIC | UPPERCASE,
            mark if mark.is_ascii_punctuation() => PUNCTUATION,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// Whether four bytes of these classes are a boundary gram.
fn is_boundary(classes: u32) -> bool {
    // Without a branch between the two.
    (classes & MARKED == MARKED) | (classes & HUMPED == HUMPED)
}

/// Fibonacci hashing: the upper half of a product with 2³² divided by the golden ratio.
fn boundary_number(bytes: u32) -> u32 {
    bytes.wrapping_mul(0x9e37_79b1) >> 16
}

/// Bytes that are looked at for trigrams before they are for boundary grams.
const STRETCH: usize = 4096;

/// Collects the distinct grams of one text after another.
pub struct Collector {
    /// One bit for each gram: seen in this text. 2 MiB, of which source code touches a few hundred KiB.
    seen: Vec<u64>,
    /// The grams that were found, and behind them room for those of a stretch.
    found: Vec<u32>,
    count: usize,
    /// The last four bytes that were fed, and their classes; zeros before the text's beginning.
    last: u32,
    last_classes: u32,
    /// How many bytes of a trigram's beginning were fed (at most two).
    begun: usize,
    /// The boundary grams of the stretch that is looked at.
    boundaries: Box<[u32; STRETCH]>,
}

impl Collector {
    /// A collector, with its 2 MiB of memory.
    pub fn new() -> Collector {
        Collector {
            seen: vec![0; Gram::COUNT / 64],
            found: Vec::new(),
            count: 0,
            last: 0,
            last_classes: 0,
            begun: 0,
            boundaries: Box::new([0; STRETCH]),
        }
    }

    /// Begins a new text.
    pub fn clear(&mut self) {
        for &gram in &self.found[..self.count] {
            self.seen[(gram >> 6) as usize] = 0;
        }
        self.count = 0;
        (self.last, self.last_classes, self.begun) = (0, 0, 0);
    }

    /// Takes the next piece of the text.
    pub fn feed(&mut self, piece: &[u8]) {
        let (beginning, rest) = piece.split_at(piece.len().min(2 - self.begun));
        for &byte in beginning {
            self.last = self.last << 8 | u32::from(byte);
            self.last_classes = self.last_classes << 8 | u32::from(class(byte));
            self.begun += 1;
        }
        rest.chunks(STRETCH).for_each(|stretch| self.feed_stretch(stretch));
    }

    /// Takes at most [`STRETCH`] bytes. Without a branch on what is found: in source code a
    /// trigram is new once in six or seven bytes, a boundary gram comes once in fifteen, and neither can be predicted.
    fn feed_stretch(&mut self, stretch: &[u8]) {
        let Collector { seen, found, boundaries, .. } = self;
        // On the stack: a field would be written at each byte.
        let (mut count, mut last, mut last_classes) = (self.count, self.last, self.last_classes);
        if found.len() < count + 2 * STRETCH {
            found.resize(count + count / 2 + 2 * STRETCH, 0);
        }
        // Puts a gram at the end, which is moved only if the gram is new.
        let mut see = |gram: u32| {
            let word = &mut seen[(gram >> 6) as usize];
            let bit = 1 << (gram & 63);
            found[count] = gram;
            count += usize::from(*word & bit == 0);
            *word |= bit;
        };
        let mut boundary_count = 0;
        for &byte in stretch {
            last = last << 8 | u32::from(byte);
            last_classes = last_classes << 8 | u32::from(class(byte));
            boundaries[boundary_count] = last;
            boundary_count += usize::from(is_boundary(last_classes));
            see(last & 0xff_ffff);
        }
        boundaries[..boundary_count].iter().for_each(|&bytes| see(boundary_number(bytes)));
        (self.count, self.last, self.last_classes) = (count, last, last_classes);
    }

    /// The distinct grams of the text so far that lie within a line, in no order that means anything.
    pub fn found(&self) -> impl Iterator<Item = Gram> + '_ {
        self.found[..self.count].iter().map(|&gram| Gram(gram)).filter(|gram| !gram.spans_lines())
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
    fn boundary_grams_are_where_a_word_ends_and_the_next_begins() {
        let boundaries = |text: &[u8]| -> Vec<String> {
            let boundaries = text.windows(4).filter(|w| Gram::boundary([w[0], w[1], w[2], w[3]]).is_some());
            boundaries.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
        };
        assert_eq!(boundaries(b"struct file_operations x9_y"), ["le_o", "x9_y"]);
        assert_eq!(boundaries(b"theFileName = io.read(HTTPServer)"), ["heFi", "leNa", "io.r", "ad(H"]);
        assert_eq!(boundaries(b"a_b x->y aB __init \xc3\xa9t_\xc3\xa9 ab_\n ab\xc3c"), [""; 0]);
    }

    #[test]
    fn collects_each_gram_of_a_line_once_and_forgets_the_text_before() {
        let mut collector = Collector::new();
        let mut collect = |text: &[u8], piece: usize| -> Vec<Gram> {
            collector.clear();
            text.chunks(piece).for_each(|piece| collector.feed(piece));
            let mut found: Vec<_> = collector.found().collect();
            found.sort();
            found
        };
        let expected = |text: &[u8]| -> Vec<Gram> {
            let mut grams = BTreeSet::new();
            for line in text.split(|&b| b == b'\n') {
                grams.extend(line.windows(3).map(|w| Gram::trigram([w[0], w[1], w[2]])));
                grams.extend(line.windows(4).filter_map(|w| Gram::boundary([w[0], w[1], w[2], w[3]])));
            }
            grams.into_iter().collect()
        };
        let long = (0..3000).map(|n| format!("word_{n:x}.nextWord{n}\n")).collect::<String>();
        for text in [
            &b"abcabcabc"[..],
            b"ab",
            b"",
            b"abc",
            b"one\ntwo\n\nthree",
            b"\xff\xfe\xfd\xff\xfe\xfd",
            b"ab_cd_ef",
            b"x_y",
            b"b_cd\nab\n_cd aBc abCd",
            long.as_bytes(),
        ] {
            for piece in [1, 2, 3, 100, 5000] {
                assert_eq!(collect(text, piece), expected(text), "{text:?} in pieces of {piece}");
            }
        }
    }

    // The boundary grams' numbers are those of trigrams that can't be, whether or not these would hold a line's end.
    #[test]
    fn every_boundary_gram_is_found() {
        let words = (b'a'..=b'z').flat_map(|a| (b'0'..=b'9').map(move |b| (a, b)));
        for (a, b) in words {
            let text = [a, b, b'_', a];
            let mut collector = Collector::new();
            collector.feed(&text);
            let boundary = Gram::boundary(text).expect("a boundary gram");
            assert!(collector.found().any(|gram| gram == boundary), "{text:?}");
        }
    }
}
