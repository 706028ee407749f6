//! The least work that bringing an index of a tree up to date can take: to walk and stat it, and, for a cold one, to read
//! everything and find each file's distinct trigrams. What an indexer takes beyond that is its own.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use ignore::{WalkBuilder, WalkState};

/// One floor over one tree.
#[derive(clap::Args)]
pub(crate) struct Options {
    kind: Kind,
    corpus: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// Walk the tree as ripgrep does, on all cores, and stat each file.
    Walk,
    /// Read each file and find its distinct trigrams, on one core.
    Trigrams,
}

/// Does the work and prints what there was: files, bytes, and trigrams where they were asked for.
pub(crate) fn run(options: &Options) -> Result<()> {
    match options.kind {
        Kind::Walk => walk(&options.corpus),
        Kind::Trigrams => trigrams(&options.corpus),
    }
}

fn walk(corpus: &PathBuf) -> Result<()> {
    let (files, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    WalkBuilder::new(corpus).threads(0).build_parallel().run(|| {
        Box::new(|entry| {
            if let Ok(entry) = entry
                && entry.file_type().is_some_and(|kind| kind.is_file())
                && let Ok(metadata) = entry.metadata()
            {
                files.fetch_add(1, Ordering::Relaxed);
                bytes.fetch_add(metadata.len(), Ordering::Relaxed);
            }
            WalkState::Continue
        })
    });
    println!("{} {}", files.into_inner(), bytes.into_inner());
    Ok(())
}

fn trigrams(corpus: &PathBuf) -> Result<()> {
    let (mut files, mut bytes, mut postings) = (0u64, 0u64, 0u64);
    // One bit for each of the 2^24 trigrams, and what is set, so that clearing costs no more than setting.
    let mut seen = vec![0u64; 1 << 18];
    let mut distinct: Vec<u32> = Vec::new();
    for entry in WalkBuilder::new(corpus).build() {
        let entry = entry.context("cannot walk the corpus")?;
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            continue;
        }
        let text = fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
        files += 1;
        bytes += text.len() as u64;
        // Binary files are not indexed.
        if text.contains(&0) {
            continue;
        }
        for window in text.windows(3) {
            let trigram = u32::from_be_bytes([0, window[0], window[1], window[2]]);
            let (word, bit) = ((trigram >> 6) as usize, 1u64 << (trigram & 63));
            if seen[word] & bit == 0 {
                seen[word] |= bit;
                distinct.push(trigram);
            }
        }
        postings += distinct.len() as u64;
        for trigram in distinct.drain(..) {
            seen[(trigram >> 6) as usize] = 0;
        }
    }
    println!("{files} {bytes} {postings}");
    Ok(())
}
