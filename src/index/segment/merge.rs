//! Merges segments into one, leaving out the files that are gone.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Entry, Segment, SegmentError, SegmentRef, SegmentWriter};
use crate::core::path::cmp_bytes;
use crate::index::docs::{DocId, DocTable};
use crate::index::varint;

/// A segment that stands for others.
pub struct Merged {
    /// The new segment.
    pub segment: SegmentRef,
    /// For each merged segment and each of its files: the file's number in the new one, or `None` when it was left out.
    pub moved: Vec<Vec<Option<DocId>>>,
}

/// Writes a segment with the files of `segments` for which `alive(segment, file)` holds. A path alive in two of them is
/// a mistake of the caller; the first is kept.
///
/// # Errors
/// When a segment can't be read or the new one can't be written. Nothing is changed then.
pub fn merge(
    folder: &Path,
    segments: &[&Segment],
    alive: impl Fn(usize, DocId) -> bool,
) -> Result<Merged, SegmentError> {
    let (docs, moved) = merge_docs(segments, alive);
    let mut writer = SegmentWriter::create(folder)?;
    let mut cursors: Vec<_> = segments.iter().map(|segment| Cursor::new(segment)).collect();
    // The gram each cursor stands at, and the cursors that stand there.
    let mut heads: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, cursor) in cursors.iter_mut().enumerate() {
        if let Some(entry) = cursor.advance()? {
            heads.entry(entry.gram).or_default().push(at);
        }
    }
    let (mut olds, mut news, mut postings) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((gram, at_it)) = heads.pop_first() {
        news.clear();
        for at in at_it {
            let cursor = &mut cursors[at];
            if let Some(entry) = cursor.entry.take() {
                olds.clear();
                cursor.segment.postings(&entry, &mut olds)?;
                news.extend(olds.iter().filter_map(|&old| moved[at][old as usize]));
            }
            if let Some(entry) = cursor.advance()? {
                heads.entry(entry.gram).or_default().push(at);
            }
        }
        if !news.is_empty() {
            news.sort_unstable();
            postings.clear();
            let mut next = 0;
            for &doc in &news {
                varint::write(u64::from(doc - next), &mut postings);
                next = doc + 1;
            }
            writer.add(gram, &postings)?;
        }
    }
    Ok(Merged { segment: writer.finish(&docs)?, moved })
}

fn merge_docs(segments: &[&Segment], alive: impl Fn(usize, DocId) -> bool) -> (DocTable, Vec<Vec<Option<DocId>>>) {
    let mut files: Vec<(&[u8], usize, DocId)> = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let ids = (0..segment.docs().len()).filter(|&id| alive(at, id));
        files.extend(ids.map(|id| (segment.docs().path(id), at, id)));
    }
    files.sort_by(|(a, ..), (b, ..)| cmp_bytes(a, b));
    files.dedup_by(|(later, ..), (first, ..)| later == first);
    let mut docs = DocTable::default();
    let mut moved: Vec<Vec<_>> = segments.iter().map(|s| vec![None; s.docs().len() as usize]).collect();
    for (path, at, id) in files {
        moved[at][id as usize] = Some(docs.push(path, *segments[at].docs().doc(id)));
    }
    (docs, moved)
}

/// Walks a segment's dictionary.
struct Cursor<'a> {
    segment: &'a Segment,
    blocks: Box<dyn Iterator<Item = Result<Vec<Entry>, SegmentError>> + 'a>,
    block: std::vec::IntoIter<Entry>,
    entry: Option<Entry>,
}

impl<'a> Cursor<'a> {
    fn new(segment: &'a Segment) -> Self {
        Cursor { segment, blocks: Box::new(segment.all_entries()), block: Vec::new().into_iter(), entry: None }
    }

    fn advance(&mut self) -> Result<Option<&Entry>, SegmentError> {
        loop {
            if let Some(entry) = self.block.next() {
                return Ok(Some(self.entry.insert(entry)));
            }
            match self.blocks.next() {
                Some(block) => self.block = block?.into_iter(),
                None => return Ok(None),
            }
        }
    }
}
