//! Collects symbols of texts until there are enough for a symbol segment.

use std::collections::BTreeMap;
use std::path::Path;

use super::reader::Occurrence;
use super::writer::SymbolSegmentWriter;
use super::{GIVEN_UP, SymbolSegmentId, TextKey, cmp_names};
use crate::index::segment::SegmentError;
use crate::index::symbols::Symbol;

/// Symbols of texts on their way into a symbol segment.
#[derive(Default)]
pub struct SymbolSegmentBuilder {
    /// Of each its symbols; none of one that was given up.
    texts: BTreeMap<TextKey, Option<Vec<Symbol>>>,
    symbols: usize,
}

impl SymbolSegmentBuilder {
    /// Adds a text with its symbols, or as one that was given up. One that is there already stays as it is.
    pub fn add(&mut self, key: TextKey, symbols: Option<Vec<Symbol>>) {
        let count = symbols.as_ref().map_or(0, Vec::len);
        if let std::collections::btree_map::Entry::Vacant(place) = self.texts.entry(key) {
            place.insert(symbols);
            self.symbols += count;
        }
    }

    /// Whether it holds enough: a symbol segment's memory is bounded by it while it is built.
    pub fn is_full(&self) -> bool {
        self.symbols >= 200_000 || self.texts.len() >= 20_000
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Writes the symbol segment, and is empty after that.
    ///
    /// # Errors
    /// When the file can't be written; then what was collected is lost, and the texts have to be parsed again.
    pub fn write(&mut self, folder: &Path) -> Result<SymbolSegmentId, SegmentError> {
        let texts = std::mem::take(&mut self.texts);
        self.symbols = 0;
        let mut all: Vec<(&Symbol, u32)> = Vec::new();
        for (number, symbols) in texts.values().enumerate() {
            all.extend(symbols.iter().flatten().map(|symbol| (symbol, number as u32)));
        }
        all.sort_by(|(a, x), (b, y)| {
            cmp_names(a.name.as_bytes(), b.name.as_bytes()).then(x.cmp(y)).then(a.line.cmp(&b.line))
        });
        let mut writer = SymbolSegmentWriter::create(folder)?;
        for same in all.chunk_by(|(a, _), (b, _)| a.name == b.name) {
            let occurrences: Vec<_> = same.iter().map(|(symbol, text)| Occurrence::of(symbol, *text)).collect();
            writer.add(same[0].0.name.as_bytes(), &occurrences)?;
        }
        let count = |symbols: &Option<Vec<Symbol>>| symbols.as_ref().map_or(GIVEN_UP, |symbols| symbols.len() as u32);
        let table: Vec<_> = texts.iter().map(|(key, symbols)| (*key, count(symbols))).collect();
        writer.finish(folder, &table)
    }
}
