//! Reads a symbol segment.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{ANY, FOOTER, GIVEN_UP, MAGIC, SymbolSegmentId, TextKey, cmp_names, mask};
use crate::core::files::open_regular;
use crate::index::checksum::xxh3_64;
use crate::index::docs::ContentHash;
use crate::index::folder::is_passing;
use crate::index::segment::{SegmentError, checksum32, read_at, rewrite};
use crate::index::symbols::{Column, Language, Symbol, SymbolKind};
use crate::index::varint;

/// Bytes that are read at once when all names are looked through.
const READ: u64 = 1 << 18;
/// Few names are longer, bytes.
const USUAL: usize = 128;

/// A symbol segment, open.
pub struct SymbolSegment {
    id: SymbolSegmentId,
    path: PathBuf,
    file: File,
    bytes: u64,
    blocks: Vec<Block>,
    texts: Vec<(TextKey, u32)>,
    symbols: usize,
}

/// Where a block is, and what is in it.
struct Block {
    names: Range<u64>,
    occurrences: Range<u64>,
    count: usize,
    names_checksum: u32,
    occurrences_checksum: u32,
    mask: u32,
    first: Box<[u8]>,
}

/// Where a name is defined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Number of the text in its symbol segment.
    pub text: u32,
    /// What it names there.
    pub kind: SymbolKind,
    /// From 0.
    pub line: u32,
    /// Where in the line.
    pub column: Column,
    /// What it is in.
    pub container: String,
    /// What that is in.
    pub outer: String,
    /// It is declared there, and defined elsewhere if at all.
    pub is_declaration: bool,
}

/// In the byte of a kind: what follows it.
mod flags {
    pub(super) const KIND: u8 = 0x0f;
    pub(super) const OUTER: u8 = 1 << 4;
    pub(super) const DECLARATION: u8 = 1 << 5;
    pub(super) const WIDE: u8 = 1 << 6;
    pub(super) const CONTAINER: u8 = 1 << 7;
}

/// Names of one block, and where their occurrences are.
pub struct Names<'a> {
    block: usize,
    masks: &'a [[u8; 4]],
    rest: &'a [u8],
    name: Vec<u8>,
    at: usize,
    occurrences: usize,
    letters: &'a Letters,
    /// For beginnings of `name`, the shortest first, how many of `letters` each has in order.
    had: Vec<u8>,
}

/// Letters that names are looked through for.
pub struct Letters {
    mask: u32,
    /// Those in ASCII, in lower case, as many as can be counted in a byte.
    lower: Vec<u8>,
}

impl Letters {
    /// Those of a query.
    pub fn of(query: &str) -> Letters {
        let lower = query.bytes().filter(u8::is_ascii).map(|letter| letter.to_ascii_lowercase());
        Letters { mask: mask(query.as_bytes()), lower: lower.take(usize::from(u8::MAX)).collect() }
    }

    /// All names have none.
    const fn none() -> Letters {
        Letters { mask: 0, lower: Vec::new() }
    }
}

/// Where the occurrences of a name are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    block: usize,
    start: usize,
    end: usize,
}

impl Occurrence {
    pub(in crate::index::symbols) fn of(symbol: &Symbol, text: u32) -> Occurrence {
        let Symbol { kind, line, column, container, outer, is_declaration, name: _ } = symbol.clone();
        Occurrence { text, kind, line, column, container, outer, is_declaration }
    }

    /// The symbol of this name that occurs so.
    pub(in crate::index::symbols) fn symbol(self, name: String) -> Symbol {
        let Occurrence { kind, line, column, container, outer, is_declaration, text: _ } = self;
        Symbol { name, kind, line, column, container, outer, is_declaration }
    }

    /// Appends it in the form that [`Occurrence::decode`] reads; `before` is the text of the one before it.
    pub(in crate::index::symbols) fn encode(&self, before: u32, out: &mut Vec<u8>) {
        let Column { utf8, utf16, utf32 } = self.column;
        let is_wide = utf16 != utf8 || utf32 != utf8;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        varint::write(u64::from(self.text - before), out);
        out.push(
            self.kind as u8
                | flag(!self.outer.is_empty(), flags::OUTER)
                | flag(self.is_declaration, flags::DECLARATION)
                | flag(is_wide, flags::WIDE)
                | flag(!self.container.is_empty(), flags::CONTAINER),
        );
        varint::write(u64::from(self.line), out);
        varint::write(u64::from(utf8), out);
        if is_wide {
            varint::write(u64::from(utf16), out);
            varint::write(u64::from(utf32), out);
        }
        for text in [&self.container, &self.outer].into_iter().filter(|text| !text.is_empty()) {
            varint::write(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
    }

    pub(in crate::index::symbols) fn decode(before: u32, bytes: &mut &[u8]) -> Option<Occurrence> {
        let number = |bytes: &mut &[u8]| u32::try_from(varint::read(bytes)?).ok();
        let text = before.checked_add(number(bytes)?)?;
        let (&found, rest) = bytes.split_first()?;
        *bytes = rest;
        let has = |flag: u8| found & flag != 0;
        let kind = SymbolKind::from_number(found & flags::KIND)?;
        let (line, utf8) = (number(bytes)?, number(bytes)?);
        let (mut utf16, mut utf32) = (utf8, utf8);
        if has(flags::WIDE) {
            (utf16, utf32) = (number(bytes)?, number(bytes)?);
        }
        let mut string = |is_there: bool| {
            if !is_there {
                return Some(String::new());
            }
            let length = usize::try_from(varint::read(bytes)?).ok()?;
            let (text, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            Some(std::str::from_utf8(text).ok()?.to_owned())
        };
        let (container, outer) = (string(has(flags::CONTAINER))?, string(has(flags::OUTER))?);
        let (column, is_declaration) = (Column { utf8, utf16, utf32 }, has(flags::DECLARATION));
        Some(Occurrence { text, kind, line, column, container, outer, is_declaration })
    }
}

impl SymbolSegment {
    /// Whether the folder has its file and it can be opened, as far as the length tells: what is within is checked as it is
    /// read.
    pub fn is_in(&self, folder: &Path) -> bool {
        let look = || open_regular(&self.id.file(folder))?.map(|file| file.metadata()).transpose();
        let found = look().map(|metadata| metadata.is_some_and(|metadata| metadata.len() == self.bytes));
        // What can't be opened at the moment may be there.
        found.unwrap_or_else(|error: io::Error| is_passing(&error))
    }

    /// Writes its file anew, from what this process holds open.
    ///
    /// # Errors
    /// As [`rewrite`].
    pub fn rewrite(&self, folder: &Path) -> Result<(), SegmentError> {
        let path = self.id.file(folder);
        let unfinished = path.with_extension("unfinished");
        rewrite(&self.file, self.bytes, &self.path, &unfinished)?;
        std::fs::rename(&unfinished, &path).map_err(|source| {
            // It is swept, should it stay.
            let _ = std::fs::remove_file(&unfinished);
            SegmentError::Io { path, source }
        })
    }

    /// Opens a symbol segment.
    ///
    /// # Errors
    /// When the file can't be read or isn't one that was written.
    pub fn open(path: &Path) -> Result<SymbolSegment, SegmentError> {
        let failed = |source| SegmentError::Io { path: path.to_owned(), source };
        let damaged = |what| SegmentError::Damaged { path: path.to_owned(), what };
        let id = SymbolSegmentId::of(path).ok_or(damaged("its name is not a segment's"))?;
        let file = open_regular(path).map_err(failed)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let bytes = file.metadata().map_err(failed)?.len();
        let read = |range: Range<u64>, what| -> Result<Vec<u8>, SegmentError> {
            let length = range.end.checked_sub(range.start).filter(|_| range.end <= bytes).ok_or(damaged(what))?;
            let mut part = vec![0; usize::try_from(length).map_err(|_| damaged(what))?];
            read_at(&file, &mut part, range.start).map_err(failed)?;
            Ok(part)
        };
        let footer_at = bytes.checked_sub(FOOTER as u64).ok_or(damaged("it is too short"))?;
        if read(0..MAGIC.len() as u64, "its beginning is missing")? != MAGIC {
            return Err(damaged("it is not a segment of this version"));
        }
        let footer = read(footer_at..bytes, "its footer is missing")?;
        let numbers: Vec<u64> = footer.as_chunks().0.iter().map(|c| u64::from_le_bytes(*c)).collect();
        let &[occurrences_at, blocks_at, texts_at, blocks_checksum, texts_checksum, checksum] = &numbers[..] else {
            return Err(damaged("its footer is missing"));
        };
        if checksum != xxh3_64(&footer[..FOOTER - 8]) {
            return Err(damaged("its footer's checksum is wrong"));
        }
        let index = read(blocks_at..texts_at, "its blocks are missing")?;
        let table = read(texts_at..footer_at, "its texts are missing")?;
        if xxh3_64(&index) != blocks_checksum || xxh3_64(&table) != texts_checksum {
            return Err(damaged("a checksum is wrong"));
        }
        let blocks = decode_blocks(&index, occurrences_at, blocks_at).ok_or(damaged("its blocks can't be read"))?;
        let texts = decode_texts(&table).ok_or(damaged("its texts can't be read"))?;
        let known = texts.iter().map(|(_, symbols)| *symbols).filter(|symbols| *symbols != GIVEN_UP);
        let symbols = known.map(|symbols| symbols as usize).sum();
        Ok(SymbolSegment { id, path: path.to_owned(), file, bytes, blocks, texts, symbols })
    }

    /// Its name.
    pub fn id(&self) -> SymbolSegmentId {
        self.id
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Symbols in it.
    pub fn symbols(&self) -> usize {
        self.symbols
    }

    /// The texts it is about, ascending, each with the number of its symbols.
    pub fn texts(&self) -> &[(TextKey, u32)] {
        &self.texts
    }

    /// The texts in it that were given up.
    pub fn given_up(&self) -> impl Iterator<Item = TextKey> {
        self.texts.iter().filter(|(_, symbols)| *symbols == GIVEN_UP).map(|(key, _)| *key)
    }

    /// Whether it knows the symbols of a text, or that they aren't to be known.
    pub fn holds(&self, key: TextKey) -> bool {
        self.texts.binary_search_by_key(&key, |(key, _)| *key).is_ok()
    }

    /// Hands over the names that begin with `prefix` in any case, with their occurrences' places, until `take` says
    /// that it has enough.
    ///
    /// # Errors
    /// When a part can't be read or is damaged.
    pub fn with_prefix(
        &self,
        prefix: &[u8],
        mut take: impl FnMut(&[u8], Location) -> bool,
    ) -> Result<(), SegmentError> {
        let lower = prefix.to_ascii_lowercase();
        // The least name that begins so is the one in capitals.
        let least = prefix.to_ascii_uppercase();
        let start = self.blocks.partition_point(|block| cmp_names(&block.first, &least).is_le()).saturating_sub(1);
        let mut buffer = Vec::new();
        for at in start..self.blocks.len() {
            let mut names = self.names(at..at + 1, &mut buffer)?;
            while let Some(entry) = names.next() {
                let (name, place) = entry.ok_or_else(|| self.damaged("a block can't be read"))?;
                let head = &name[..name.len().min(lower.len())];
                match head.iter().map(u8::to_ascii_lowercase).cmp(lower.iter().copied()) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => {
                        if !take(name, place) {
                            return Ok(());
                        }
                    }
                    std::cmp::Ordering::Greater => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// Number of blocks of names.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Hands over the names in `blocks` that have `letters` in order, and those that aren't in ASCII.
    ///
    /// # Errors
    /// When a part can't be read or is damaged.
    pub fn with_letters(
        &self,
        blocks: Range<usize>,
        letters: &Letters,
        mut take: impl FnMut(&[u8], Location),
    ) -> Result<(), SegmentError> {
        let fits = |at: &usize| self.blocks[*at].mask & letters.mask == letters.mask;
        let mut wanted = blocks.filter(fits).peekable();
        let mut buffer = Vec::new();
        while let Some(first) = wanted.next() {
            let mut end = first + 1;
            // Neighbours are read at once.
            while let Some(next) = wanted
                .next_if(|next| *next == end && self.blocks[*next].names.end - self.blocks[first].names.start <= READ)
            {
                end = next + 1;
            }
            self.read(self.blocks[first].names.start..self.blocks[end - 1].names.end, &mut buffer)?;
            let start = self.blocks[first].names.start;
            for at in first..end {
                let Range { start: from, end: to } = self.blocks[at].names;
                let part = buffer.get((from - start) as usize..(to - start) as usize).unwrap_or_default();
                let mut names = self.decode(at, part, letters)?;
                while let Some(entry) = names.next() {
                    let (name, place) = entry.ok_or_else(|| self.damaged("a block can't be read"))?;
                    take(name, place);
                }
            }
        }
        Ok(())
    }

    /// Where a name is defined.
    ///
    /// # Errors
    /// When the block can't be read or is damaged.
    pub fn occurrences(&self, place: Location) -> Result<Vec<Occurrence>, SegmentError> {
        let mut buffer = Vec::new();
        self.read_occurrences(place.block, &mut buffer)?;
        self.decode_occurrences(place, &buffer)
    }

    pub(super) fn read_occurrences(&self, block: usize, buffer: &mut Vec<u8>) -> Result<(), SegmentError> {
        let Block { occurrences, occurrences_checksum, .. } = &self.blocks[block];
        self.read(occurrences.clone(), buffer)?;
        match checksum32(buffer) == *occurrences_checksum {
            true => Ok(()),
            false => Err(self.damaged("a block's checksum is wrong")),
        }
    }

    pub(super) fn decode_occurrences(&self, place: Location, buffer: &[u8]) -> Result<Vec<Occurrence>, SegmentError> {
        let damaged = || self.damaged("a block can't be read");
        let mut bytes = buffer.get(place.start..place.end).ok_or_else(damaged)?;
        let (mut found, mut text) = (Vec::new(), 0);
        while !bytes.is_empty() {
            let occurrence = Occurrence::decode(text, &mut bytes).ok_or_else(damaged)?;
            text = occurrence.text;
            if text as usize >= self.texts.len() {
                return Err(damaged());
            }
            found.push(occurrence);
        }
        Ok(found)
    }

    pub(super) fn names<'b>(&self, block: Range<usize>, buffer: &'b mut Vec<u8>) -> Result<Names<'b>, SegmentError> {
        self.read(self.blocks[block.start].names.clone(), buffer)?;
        self.decode(block.start, buffer, const { &Letters::none() })
    }

    fn decode<'b>(&self, at: usize, bytes: &'b [u8], letters: &'b Letters) -> Result<Names<'b>, SegmentError> {
        let block = &self.blocks[at];
        if checksum32(bytes) != block.names_checksum {
            return Err(self.damaged("a block's checksum is wrong"));
        }
        let (masks, rest) =
            bytes.split_at_checked(block.count * 4).ok_or_else(|| self.damaged("a block can't be read"))?;
        let (name, mut had) = (Vec::with_capacity(USUAL), Vec::with_capacity(USUAL));
        had.push(0);
        Ok(Names { block: at, masks: masks.as_chunks().0, rest, name, at: 0, occurrences: 0, letters, had })
    }

    fn read(&self, range: Range<u64>, buffer: &mut Vec<u8>) -> Result<(), SegmentError> {
        // `decode_blocks` has checked that the range lies in the file.
        buffer.resize((range.end - range.start) as usize, 0);
        read_at(&self.file, buffer, range.start).map_err(|source| SegmentError::Io { path: self.path.clone(), source })
    }

    pub(super) fn damaged(&self, what: &'static str) -> SegmentError {
        SegmentError::Damaged { path: self.path.clone(), what }
    }
}

impl Names<'_> {
    /// The next name that has the letters; `Some(None)` when the block is damaged.
    pub(super) fn next(&mut self) -> Option<Option<(&[u8], Location)>> {
        loop {
            // Beyond the last one that may fit, nothing needs to be decoded.
            let left = self.masks.get(self.at..)?;
            let mask = self.letters.mask;
            let skip = left.iter().position(|letters| u32::from_le_bytes(*letters) & mask == mask)?;
            let is_any = u32::from_le_bytes(left[skip]) == ANY;
            for _ in 0..skip {
                if self.advance().is_none() {
                    return Some(None);
                }
            }
            let Some(place) = self.advance() else { return Some(None) };
            if is_any && !self.name.is_ascii() || self.has_letters() {
                return Some(Some((&self.name, place)));
            }
        }
    }

    fn has_letters(&mut self) -> bool {
        let letters = &self.letters.lower;
        let mut had = self.had.last().copied().unwrap_or_default();
        let looked = self.had.len() - 1;
        self.had.extend(self.name[looked..].iter().map(|byte| {
            had += u8::from(letters.get(usize::from(had)) == Some(&byte.to_ascii_lowercase()));
            had
        }));
        usize::from(had) == letters.len()
    }

    fn advance(&mut self) -> Option<Location> {
        let shared = usize::try_from(varint::read(&mut self.rest)?).ok().filter(|shared| *shared <= self.name.len())?;
        let length = usize::try_from(varint::read(&mut self.rest)?).ok()?;
        let (suffix, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        self.name.truncate(shared);
        self.name.extend_from_slice(suffix);
        // What it shares with the name before needs no second look.
        self.had.truncate(shared + 1);
        let bytes = usize::try_from(varint::read(&mut self.rest)?).ok()?;
        let start = self.occurrences;
        self.occurrences = start.checked_add(bytes)?;
        self.at += 1;
        Some(Location { block: self.block, start, end: self.occurrences })
    }
}

fn decode_blocks(mut bytes: &[u8], occurrences_at: u64, blocks_at: u64) -> Option<Vec<Block>> {
    let rest = &mut bytes;
    let (mut names_at, mut at) = (MAGIC.len() as u64, occurrences_at);
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let names_end = names_at.checked_add(varint::read(rest)?).filter(|end| *end <= occurrences_at)?;
        let end = at.checked_add(varint::read(rest)?).filter(|end| *end <= blocks_at)?;
        let (&count, numbers) = rest.split_first()?;
        let (numbers, tail) = numbers.split_first_chunk::<12>()?;
        *rest = tail;
        let [names_checksum, occurrences_checksum, mask] = [0, 4, 8].map(|at| {
            let [a, b, c, d] = [numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]];
            u32::from_le_bytes([a, b, c, d])
        });
        let length = usize::try_from(varint::read(rest)?).ok()?;
        let (first, tail) = rest.split_at_checked(length)?;
        *rest = tail;
        blocks.push(Block {
            names: names_at..names_end,
            occurrences: at..end,
            count: usize::from(count),
            names_checksum,
            occurrences_checksum,
            mask,
            first: first.into(),
        });
        (names_at, at) = (names_end, end);
    }
    Some(blocks)
}

fn decode_texts(mut bytes: &[u8]) -> Option<Vec<(TextKey, u32)>> {
    let rest = &mut bytes;
    let count = usize::try_from(varint::read(rest)?).ok()?;
    // Each takes 18 bytes at least, so a damaged count can't ask for more memory than the bytes' own.
    if count > rest.len() / 18 {
        return None;
    }
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let (hash, tail) = rest.split_first_chunk::<16>()?;
        let (&language, tail) = tail.split_first()?;
        *rest = tail;
        let key = TextKey { hash: ContentHash(u128::from_le_bytes(*hash)), language: Language::from_number(language)? };
        if texts.last().is_some_and(|(before, _)| *before >= key) {
            return None;
        }
        texts.push((key, u32::try_from(varint::read(rest)?).ok()?));
    }
    rest.is_empty().then_some(texts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;
    use crate::index::symbols::segment::SymbolSegmentBuilder;

    fn symbol(name: &str) -> Symbol {
        let column = Column { utf8: 0, utf16: 0, utf32: 0 };
        Symbol {
            name: name.to_owned(),
            kind: SymbolKind::Function,
            line: 0,
            column,
            container: String::new(),
            outer: String::new(),
            is_declaration: false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Each name is decoded from the one before, and so is how many letters it has.
        #[test]
        fn names_with_the_letters_are_handed_over_and_no_others(
            names in btree_set("[abAB_]{1,9}|[a-c]é", 1..200),
            query in "[abAB_]{1,5}",
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut builder = SymbolSegmentBuilder::default();
            let key = TextKey { hash: ContentHash(1), language: Language::C };
            builder.add(key, Some(names.iter().map(|name| symbol(name)).collect()));
            let segment = SymbolSegment::open(&builder.write(folder.path()).unwrap().file(folder.path())).unwrap();
            let mut found = Vec::new();
            let take = |name: &[u8], _: Location| found.push(String::from_utf8(name.to_vec()).unwrap());
            segment.with_letters(0..segment.blocks(), &Letters::of(&query), take).unwrap();
            found.sort_unstable();
            let has_letters = |name: &&String| {
                let mut letters = name.bytes();
                !name.is_ascii() || query.bytes().all(|wanted| letters.any(|letter| letter.eq_ignore_ascii_case(&wanted)))
            };
            let wanted: Vec<_> = names.iter().filter(has_letters).cloned().collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
