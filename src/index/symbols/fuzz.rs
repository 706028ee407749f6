//! Checks for a fuzzer; see [`crate::fuzz`].

use super::pack::{self, Letters, Pack, PackBuilder, PackId, Place, TextKey};
use super::{Column, Language, Symbol, SymbolKind, text};
use crate::fuzz::place::{scratch, written};
use crate::index::docs::ContentHash;

/// A file of any bytes is a pack that can be asked for everything and merged, or is refused.
pub fn packs(data: &[u8]) {
    let folder = scratch();
    let path = folder.path().join(format!("{:032x}.{}", 7, pack::EXTENSION));
    written(&path, data);
    let Ok(pack) = Pack::open(&path) else { return };
    assert!(pack.texts().iter().all(|(key, _)| pack.holds(*key)));
    let mut places: Vec<Place> = Vec::new();
    let _ = pack.with_letters(0..pack.blocks(), &Letters::of(""), |_, place| places.push(place));
    let _ = pack.with_letters(0..pack.blocks(), &Letters::of("a1"), |name, _| {
        assert!(!name.is_ascii() || name.contains(&b'1'));
    });
    for place in places {
        for occurrence in pack.occurrences(place).unwrap_or_default() {
            assert!((occurrence.text as usize) < pack.texts().len(), "it names a text that isn't there");
        }
    }
    for prefix in [&b""[..], b"a", b"Main"] {
        let _ = pack.with_prefix(prefix, |name, _| {
            assert!(name[..prefix.len()].eq_ignore_ascii_case(prefix));
            true
        });
    }
    if let Ok(merged) = pack::merge(folder.path(), &[&pack], |key| key.hash.0 % 2 == 0) {
        let merged = Pack::open(&merged.file(folder.path())).unwrap_or_else(|error| panic!("{error}"));
        assert!(merged.texts().len() <= pack.texts().len());
    }
}

/// Seeds of [`packs`].
pub fn packs_seeds() -> Vec<Vec<u8>> {
    let seed = |texts: u32, names: u32| {
        let folder = scratch();
        let mut builder = PackBuilder::default();
        for text in 0..texts {
            let key = TextKey { hash: ContentHash(u128::from(text)), language: Language::Rust };
            builder.add(key, if text == 2 { None } else { Some((0..names).map(symbol).collect()) });
        }
        let id: PackId = builder.write(folder.path()).unwrap_or_else(|error| panic!("{error}"));
        std::fs::read(id.file(folder.path())).unwrap_or_else(|error| panic!("{error}"))
    };
    vec![seed(1, 1), seed(3, 5), seed(1, 70)]
}

fn symbol(number: u32) -> Symbol {
    let column = Column { utf8: number, utf16: number / 2, utf32: number / 3 };
    let container = if number.is_multiple_of(2) { String::new() } else { "Main".to_owned() };
    Symbol {
        name: format!("a{number}é"), kind: SymbolKind::ALL[number as usize % 15], line: number, column, container
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
