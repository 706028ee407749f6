//! Checks for a fuzzer; see [`crate::fuzz`].

use super::segment::{self, Letters, Location, SymbolSegment, SymbolSegmentBuilder, SymbolSegmentId, TextKey};
use super::{Column, Language, Symbol, SymbolKind, text};
use crate::fuzz::place::{scratch, written};
use crate::index::docs::ContentHash;

/// A file of any bytes is a symbol segment that can be asked for everything and merged, or is refused.
pub fn symbol_segments(data: &[u8]) {
    let folder = scratch();
    let path = folder.path().join(format!("{:032x}.{}", 7, segment::EXTENSION));
    written(&path, data);
    let Ok(segment) = SymbolSegment::open(&path) else { return };
    assert!(segment.texts().iter().all(|(key, _)| segment.holds(*key)));
    let mut places: Vec<Location> = Vec::new();
    let _ = segment.with_letters(0..segment.blocks(), &Letters::of(""), |_, place| places.push(place));
    let _ = segment.with_letters(0..segment.blocks(), &Letters::of("a1"), |name, _| {
        assert!(!name.is_ascii() || name.contains(&b'1'));
    });
    for place in places {
        for occurrence in segment.occurrences(place).unwrap_or_default() {
            assert!((occurrence.text as usize) < segment.texts().len(), "it names a text that isn't there");
        }
    }
    for prefix in [&b""[..], b"a", b"Main"] {
        let _ = segment.with_prefix(prefix, |name, _| {
            assert!(name[..prefix.len()].eq_ignore_ascii_case(prefix));
            true
        });
    }
    if let Ok(merged) = segment::merge(folder.path(), &[&segment], |key| key.hash.0 % 2 == 0) {
        let merged = SymbolSegment::open(&merged.file(folder.path())).unwrap_or_else(|error| panic!("{error}"));
        assert!(merged.texts().len() <= segment.texts().len());
    }
}

/// Seeds of [`symbol_segments`].
pub fn symbol_segments_seeds() -> Vec<Vec<u8>> {
    let seed = |texts: u32, names: u32| {
        let folder = scratch();
        let mut builder = SymbolSegmentBuilder::default();
        for text in 0..texts {
            let key = TextKey { hash: ContentHash(u128::from(text)), language: Language::Rust };
            builder.add(key, if text == 2 { None } else { Some((0..names).map(symbol).collect()) });
        }
        let id: SymbolSegmentId = builder.write(folder.path()).unwrap_or_else(|error| panic!("{error}"));
        std::fs::read(id.file(folder.path())).unwrap_or_else(|error| panic!("{error}"))
    };
    vec![seed(1, 1), seed(3, 5), seed(1, 70)]
}

fn symbol(number: u32) -> Symbol {
    let column = Column { utf8: number, utf16: number / 2, utf32: number / 3 };
    let container = if number.is_multiple_of(2) { String::new() } else { "Main".to_owned() };
    Symbol {
        name: format!("a{number}é"),
        kind: SymbolKind::ALL[number as usize % 15],
        line: number,
        column,
        container,
        outer: if number.is_multiple_of(3) { "One\nTwo".to_owned() } else { String::new() },
        is_declaration: number.is_multiple_of(5),
    }
}

/// Any bytes are the symbols of a text, which are written as they were read, or are refused.
pub fn text(data: &[u8]) {
    let Some(symbols) = text::decode(data) else { return };
    assert_eq!(text::decode(&text::encode(&symbols)), Some(symbols));
}

/// Seeds of [`text`].
pub fn text_seeds() -> Vec<Vec<u8>> {
    [0, 1, 5].map(|count| text::encode(&(0..count).map(symbol).collect::<Vec<_>>())).to_vec()
}
