//! The postings of the files that were added last, and how they are sorted by gram.

use crate::index::gram::Gram;

/// Grams of some files, file by file.
///
/// A posting that went straight to its list would wait for memory three times, since the next gram's list lies
/// anywhere. Here postings are written one after another and sorted a few million at a time, in two passes that stay
/// within the caches; then each list is gone to once for all the files of the batch that are in it.
#[derive(Default)]
pub struct Batch {
    /// The grams of the first file, then those of the second, and so on.
    grams: Vec<u32>,
    /// Where each file's grams end.
    ends: Vec<u32>,
    /// Where they are sorted to; kept for the next batch.
    sorted: Vec<u32>,
}

/// Postings after which a batch is full.
const FULL: usize = 2 << 20;
/// Bits of a posting that tell the file. What is left of the 32 tells the low part of the gram.
const FILE_BITS: u32 = 20;
/// Bits of the low part of a gram. The first pass sorts by the high part, the second by this one.
const LOW_BITS: u32 = 32 - FILE_BITS;
const LOW: usize = 1 << LOW_BITS;
const HIGH: usize = Gram::COUNT >> LOW_BITS;

impl Batch {
    /// Number of files.
    pub fn len(&self) -> u32 {
        // `is_full` comes long before.
        self.ends.len() as u32
    }

    /// Whether it has to be drained before the next file. A file has fewer postings than there are grams, which
    /// bounds the batch.
    pub fn is_full(&self) -> bool {
        self.grams.len() >= FULL || self.ends.len() == 1 << FILE_BITS
    }

    /// Bytes of memory that its postings take until they are drained.
    pub fn memory(&self) -> usize {
        (self.grams.len() + self.ends.len()) * size_of::<u32>()
    }

    /// Adds the next file.
    pub fn push(&mut self, grams: impl Iterator<Item = Gram>) {
        self.grams.extend(grams.map(Gram::number));
        self.ends.push(self.grams.len() as u32);
    }

    /// Empties the batch: gives each gram, ascending, with its postings: the files that hold it, ascending, as
    /// numbers within this batch in the lowest bits. [`Batch::file`] takes out a posting's number.
    pub fn drain(&mut self, mut each: impl FnMut(Gram, &[u32])) {
        let high_ends = self.sort_by_high_part();
        let mut run = Vec::new();
        let mut start = 0;
        for (high, end) in high_ends.into_iter().enumerate() {
            let postings = &self.sorted[start..end as usize];
            start = end as usize;
            if postings.is_empty() {
                continue;
            }
            sort_by_low_part(postings, &mut run);
            for same in run.chunk_by(|a, b| a >> FILE_BITS == b >> FILE_BITS) {
                each(Gram::from_number((high as u32) << LOW_BITS | same[0] >> FILE_BITS), same);
            }
        }
        self.grams.clear();
        self.ends.clear();
    }

    /// Number, within the batch, of the file that a posting is about.
    pub fn file(posting: u32) -> u32 {
        posting & ((1 << FILE_BITS) - 1)
    }

    /// Sorts the postings into `sorted`; gives where those of each high part end.
    fn sort_by_high_part(&mut self) -> Vec<u32> {
        let mut places = vec![0u32; HIGH];
        for gram in &self.grams {
            places[high_part(*gram)] += 1;
        }
        begin(&mut places);
        self.sorted.clear();
        self.sorted.resize(self.grams.len(), 0);
        let mut start = 0;
        for (file, &end) in self.ends.iter().enumerate() {
            for &gram in &self.grams[start..end as usize] {
                let place = &mut places[high_part(gram)];
                self.sorted[*place as usize] = gram << FILE_BITS | file as u32;
                *place += 1;
            }
            start = end as usize;
        }
        places
    }
}

/// Sorts postings with the same high part into `run`. Those of one gram keep their order.
fn sort_by_low_part(postings: &[u32], run: &mut Vec<u32>) {
    run.clear();
    if postings.len() < LOW / 32 {
        // Files are in the lowest bits, and differ.
        run.extend_from_slice(postings);
        run.sort_unstable();
        return;
    }
    let mut places = [0u32; LOW];
    for posting in postings {
        places[(posting >> FILE_BITS) as usize] += 1;
    }
    begin(&mut places);
    run.resize(postings.len(), 0);
    for &posting in postings {
        let place = &mut places[(posting >> FILE_BITS) as usize];
        run[*place as usize] = posting;
        *place += 1;
    }
}

/// Turns counts into where each begins.
fn begin(counts: &mut [u32]) {
    let mut start = 0;
    for count in counts {
        start += std::mem::replace(count, start);
    }
}

fn high_part(gram: u32) -> usize {
    // A gram is below 2²⁴: the mask tells the compiler so.
    (gram >> LOW_BITS) as usize & (HIGH - 1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    proptest! {
        #[test]
        fn every_posting_comes_out_once_and_in_order(
            files in proptest::collection::vec(proptest::collection::btree_set(prop_oneof![0u32..300, 0u32..1 << 24], 0..200), 0..40),
        ) {
            let mut batch = Batch::default();
            // The second time, it works in what the first has left.
            for _ in 0..2 {
                let mut expected: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
                for (file, grams) in files.iter().enumerate() {
                    batch.push(grams.iter().rev().map(|&t| Gram::from_number(t)));
                    grams.iter().for_each(|&t| { expected.entry(t).or_default().insert(file as u32); });
                }
                prop_assert_eq!(batch.len() as usize, files.len());
                let mut drained = Vec::new();
                batch.drain(|gram, postings| {
                    drained.push((gram.number(), postings.iter().map(|&p| Batch::file(p)).collect::<Vec<_>>()));
                });
                let expected: Vec<_> = expected.into_iter().map(|(t, f)| (t, f.into_iter().collect::<Vec<_>>())).collect();
                prop_assert_eq!(drained, expected);
                prop_assert_eq!(batch.len(), 0);
            }
        }
    }
}
