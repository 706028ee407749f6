//! Makes one symbol segment of several.

use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;

use super::reader::{Location, Occurrence, SymbolSegment};
use super::writer::SymbolSegmentWriter;
use super::{SymbolSegmentId, TextKey, cmp_names};
use crate::index::segment::SegmentError;

/// Writes a symbol segment with the texts of `segments` that `keep` lets pass. It reads block by block, so that it
/// needs memory for the occurrences of the new one only.
///
/// # Errors
/// When a file can't be read or written.
pub fn merge(
    folder: &Path,
    segments: &[&SymbolSegment],
    keep: impl Fn(TextKey) -> bool,
) -> Result<SymbolSegmentId, SegmentError> {
    // The first symbol segment that knows a text gives its symbols.
    let mut texts: BTreeMap<TextKey, (usize, u32)> = BTreeMap::new();
    for (at, segment) in segments.iter().enumerate() {
        for &(key, symbols) in segment.texts().iter().filter(|(key, _)| keep(*key)) {
            texts.entry(key).or_insert((at, symbols));
        }
    }
    let mut numbers: Vec<Vec<Option<u32>>> = segments.iter().map(|segment| vec![None; segment.texts().len()]).collect();
    for (number, (key, (at, _))) in texts.iter().enumerate() {
        if let Ok(old) = segments[*at].texts().binary_search_by_key(key, |(key, _)| *key) {
            numbers[*at][old] = Some(number as u32);
        }
    }
    let mut writer = SymbolSegmentWriter::create(folder)?;
    let mut heap = BinaryHeap::new();
    for (at, segment) in segments.iter().enumerate() {
        let mut source =
            Source { at, segment, block: 0, names: Vec::new().into_iter(), name: Vec::new(), occurrences: Vec::new() };
        if source.advance(&numbers[at])? {
            heap.push(source);
        }
    }
    let mut occurrences: Vec<Occurrence> = Vec::new();
    while let Some(mut source) = heap.pop() {
        let name = std::mem::take(&mut source.name);
        occurrences.append(&mut source.occurrences);
        let at = source.at;
        if source.advance(&numbers[at])? {
            heap.push(source);
        }
        if heap.peek().is_none_or(|next| next.name != name) && !occurrences.is_empty() {
            occurrences.sort_by_key(|occurrence| (occurrence.text, occurrence.line, occurrence.column));
            writer.add(&name, &occurrences)?;
            occurrences.clear();
        }
    }
    let table: Vec<_> = texts.iter().map(|(key, (_, symbols))| (*key, *symbols)).collect();
    writer.finish(folder, &table)
}

/// A name, and where it is defined.
type Named = (Vec<u8>, Vec<Occurrence>);

/// A symbol segment that is read name by name.
struct Source<'a> {
    at: usize,
    segment: &'a SymbolSegment,
    /// The next block to read.
    block: usize,
    names: std::vec::IntoIter<Named>,
    name: Vec<u8>,
    occurrences: Vec<Occurrence>,
}

impl Source<'_> {
    /// Goes to the next name; gives whether there is one.
    fn advance(&mut self, numbers: &[Option<u32>]) -> Result<bool, SegmentError> {
        loop {
            if let Some((name, mut occurrences)) = self.names.next() {
                occurrences.retain_mut(|occurrence| {
                    let number = numbers[occurrence.text as usize];
                    occurrence.text = number.unwrap_or_default();
                    number.is_some()
                });
                (self.name, self.occurrences) = (name, occurrences);
                return Ok(true);
            }
            if self.block == self.segment.blocks() {
                return Ok(false);
            }
            self.names = self.segment.read_block(self.block)?.into_iter();
            self.block += 1;
        }
    }
}

impl SymbolSegment {
    /// A block's names, and where each is defined.
    fn read_block(&self, block: usize) -> Result<Vec<Named>, SegmentError> {
        let (mut buffer, mut bytes) = (Vec::new(), Vec::new());
        self.read_occurrences(block, &mut bytes)?;
        let mut places: Vec<(Vec<u8>, Location)> = Vec::new();
        let mut names = self.names(block..block + 1, &mut buffer)?;
        while let Some(entry) = names.next() {
            let (name, place) = entry.ok_or_else(|| self.damaged("a block can't be read"))?;
            places.push((name.to_vec(), place));
        }
        places.into_iter().map(|(name, place)| Ok((name, self.decode_occurrences(place, &bytes)?))).collect()
    }
}

impl PartialEq for Source<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Source<'_> {}

impl PartialOrd for Source<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Source<'_> {
    /// The heap gives the greatest first, so that the least name is the greatest source.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        cmp_names(&other.name, &self.name).then(other.at.cmp(&self.at))
    }
}
