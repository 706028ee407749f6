//! The second stage: parses the texts of the index whose symbols aren't known yet.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::extract::{Extractor, LARGEST_PARSED, Unfinished};
use super::segment::{SymbolSegmentBuilder, TextKey};
use super::store::SymbolStore;
use super::{Language, Symbol, text, verify};
use crate::core::RelPath;
use crate::core::files::RootFolder;
use crate::index::Snapshot;
use crate::index::docs::ContentHash;
use crate::index::segment::SegmentError;

/// So few texts aren't worth looking for at other codebases.
const FEW: usize = 64;
/// The first symbol segment is published after this long, full or not.
const FIRST_PACK: Duration = Duration::from_secs(1);
/// Texts asked of others at once.
const ASKED: usize = 256;

/// Where others leave the symbols of texts they have parsed, one value for each text, as bytes that only symbols
/// understand.
pub trait Shelf: Sync {
    /// What is there for each of `keys`.
    fn take(&self, keys: &[TextKey]) -> Vec<Option<Vec<u8>>>;
    /// Leaves the symbols of texts for others.
    fn leave(&self, values: Vec<(TextKey, Vec<u8>)>);
}

/// Why symbols aren't all known.
#[derive(Debug, Error)]
pub enum UpdateError {
    /// A symbol segment can't be written.
    #[error("symbols can't be kept: {0}")]
    SymbolSegment(#[from] SegmentError),
    /// A file of the index can't be read.
    #[error("can't read {} for its symbols: {source}; it is tried again in a minute", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What an update works on, and how.
pub struct Update<'a> {
    /// Where the symbols go.
    pub store: &'a SymbolStore,
    /// Whose texts are to be known.
    pub snapshot: &'a Snapshot,
    /// Where its files are.
    pub root: &'a Path,
    /// Larger files aren't parsed, bytes. None above [`LARGEST_PARSED`] is.
    pub max_file_bytes: u64,
    /// Threads that parse.
    pub threads: usize,
    /// What others have parsed already, where there are others.
    pub shelf: Option<&'a dyn Shelf>,
    /// Ends the update early: what was written stays.
    pub cancel: &'a CancellationToken,
    /// Told how many files are done, and how many there are.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// The symbol segment that is being filled.
struct Filling {
    builder: SymbolSegmentBuilder,
    begun: Instant,
    /// How long it may be filled.
    patience: Duration,
}

impl Default for Filling {
    fn default() -> Self {
        Filling { builder: SymbolSegmentBuilder::default(), begun: Instant::now(), patience: FIRST_PACK }
    }
}

impl Filling {
    /// The symbol segment, when it is to be published; else one without symbols. The first ones soon, so that there is
    /// something to be found; then less and less often, so that there are few to merge.
    fn take_due(&mut self) -> SymbolSegmentBuilder {
        let is_late = self.begun.elapsed() >= self.patience;
        if !is_late && !self.builder.is_full() {
            return SymbolSegmentBuilder::default();
        }
        if is_late {
            self.patience *= 2;
        }
        self.begun = Instant::now();
        std::mem::take(&mut self.builder)
    }
}

impl Update<'_> {
    /// Works through the texts whose symbols aren't known. Symbol segments are published as they fill, or when some
    /// time has passed. Gives how many texts were parsed.
    ///
    /// # Errors
    /// When a symbol segment can't be written, or a file of the index not be read. What was parsed stays.
    pub fn run(&self) -> Result<usize, UpdateError> {
        let (wanted, segments) = self.snapshot.texts(&self.store.covered(), self.largest());
        let wanted = self.missing(wanted);
        let forgotten = self.store.times_forgotten();
        let (next, done, parsed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let filling = Mutex::new(Filling::default());
        let failure = Mutex::new(None);
        let worker = || {
            let mut extractor = Extractor::default();
            while !self.cancel.is_cancelled() {
                let start = next.fetch_add(ASKED, Ordering::Relaxed);
                let Some(chunk) =
                    wanted.get(start..wanted.len().min(start.saturating_add(ASKED))).filter(|c| !c.is_empty())
                else {
                    break;
                };
                let keys: Vec<_> = chunk.iter().map(|(key, _)| *key).collect();
                let known = self.shelf.map(|shelf| shelf.take(&keys)).unwrap_or_default();
                let mut new = Vec::new();
                for (at, (key, path)) in chunk.iter().enumerate() {
                    let given = known.get(at).and_then(Option::as_deref);
                    let (symbols, was_given) = match self.symbols_of(&mut extractor, *key, path, given) {
                        Ok(Some(found)) => found,
                        Ok(None) => continue,
                        Err(error) => {
                            // The others go on: what is known of them stays.
                            failure.lock().get_or_insert(error);
                            continue;
                        }
                    };
                    if !was_given {
                        parsed.fetch_add(1, Ordering::Relaxed);
                        if let (Some(_), Some(Known { symbols, fit: true })) = (self.shelf, &symbols) {
                            new.push((*key, text::encode(symbols)));
                        }
                    }
                    let mut due = {
                        let mut filling = filling.lock();
                        filling.builder.add(*key, symbols.map(|known| known.symbols));
                        filling.take_due()
                    };
                    if let Err(error) = self.store.add(&mut due) {
                        *failure.lock() = Some(error.into());
                        next.store(wanted.len(), Ordering::Relaxed);
                        return;
                    }
                    (self.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, wanted.len());
                    if self.cancel.is_cancelled() {
                        break;
                    }
                }
                if let Some(shelf) = self.shelf.filter(|_| !new.is_empty()) {
                    shelf.leave(new);
                }
            }
        };
        match self.threads.min(wanted.len().div_ceil(ASKED)) {
            0 => {}
            1 => worker(),
            threads => std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker)))),
        }
        self.store.add(&mut filling.into_inner().builder)?;
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        // What was forgotten meanwhile may have been a part of it.
        if !self.cancel.is_cancelled() && self.store.times_forgotten() == forgotten {
            self.store.cover(self.snapshot, segments);
        }
        Ok(parsed.into_inner())
    }

    /// Of `wanted`, which is sorted, each text that isn't known, once.
    fn missing(&self, mut wanted: Vec<(TextKey, RelPath)>) -> Vec<(TextKey, RelPath)> {
        wanted.dedup_by_key(|(key, _)| *key);
        let keys = |wanted: &[(TextKey, RelPath)]| wanted.iter().map(|(key, _)| *key).collect::<Vec<_>>();
        let mut missing = self.store.missing(keys(&wanted));
        if missing.len() > FEW {
            self.store.adopt(&missing);
            missing = self.store.missing(missing);
        }
        wanted.retain(|(key, _)| missing.binary_search(key).is_ok());
        // Files that lie together are read together.
        wanted.sort_by(|(_, a), (_, b)| a.cmp(b));
        wanted
    }

    /// Larger files aren't parsed, bytes.
    fn largest(&self) -> u64 {
        self.max_file_bytes.min(LARGEST_PARSED)
    }

    /// The symbols of a text, and whether they are those that were `given`. `None` when there is no such text any more:
    /// then its file is dirty, and its turn comes again.
    fn symbols_of(
        &self,
        extractor: &mut Extractor,
        key: TextKey,
        first: &RelPath,
        given: Option<&[u8]>,
    ) -> Result<Option<(Option<Known>, bool)>, UpdateError> {
        let Some(text) = self.text_of(key, first)? else { return Ok(None) };
        // Whoever left them isn't believed: anybody may write there.
        if let Some(symbols) = given.and_then(text::decode) {
            if verify::are_of(&symbols, &text) {
                return Ok(Some((Some(Known { symbols, fit: true }), true)));
            }
            self.store.doubt(key);
        }
        match extractor.symbols(key.language, &text, self.cancel) {
            // Others wouldn't believe what doesn't fit.
            Ok(symbols) => {
                let fit = self.shelf.is_some() && verify::are_of(&symbols, &text);
                Ok(Some((Some(Known { symbols, fit }), false)))
            }
            Err(Unfinished::TooMuch) => {
                tracing::info!(path = %first, "a file isn't parsed for its symbols: that takes too long, or there are too many");
                Ok(Some((None, false)))
            }
            Err(Unfinished::Cancelled) => Ok(None),
        }
    }

    /// A text, from the file at `first` or, should that have changed, from another that has it.
    fn text_of(&self, key: TextKey, first: &RelPath) -> Result<Option<Vec<u8>>, UpdateError> {
        let read = |path: &RelPath| -> Result<Option<Vec<u8>>, UpdateError> {
            let found = RootFolder::open(self.root).and_then(|root| read(&root, path, self.largest()));
            let found = found.map_err(|source| UpdateError::Read { path: path.to_path(self.root), source })?;
            Ok(match found {
                Found::Text(bytes) => Some(bytes).filter(|bytes| ContentHash::of(bytes) == key.hash),
                Found::Nothing | Found::TooLarge => None,
            })
        };
        let found = read(first)?;
        if found.is_some() {
            return Ok(found);
        }
        let others = self.snapshot.with_hash(key.hash).filter_map(RelPath::from_bytes);
        for path in others.filter(|path| path != first && Language::of(path.as_bytes()) == Some(key.language)) {
            let found = read(&path)?;
            if found.is_some() || self.cancel.is_cancelled() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// What is known of a text.
struct Known {
    symbols: Vec<Symbol>,
    /// Others can tell that they are its symbols.
    fit: bool,
}

/// What is at a path.
pub(super) enum Found {
    /// No file.
    Nothing,
    /// One that isn't read.
    TooLarge,
    /// Its bytes.
    Text(Vec<u8>),
}

/// A file's bytes, unless it is larger than `most`.
pub(super) fn read(root: &RootFolder, path: &RelPath, most: u64) -> io::Result<Found> {
    use std::io::Read;
    let Some(file) = root.file(path)? else { return Ok(Found::Nothing) };
    if file.metadata()?.len() > most {
        return Ok(Found::TooLarge);
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 <= most { Found::Text(bytes) } else { Found::TooLarge })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_are_published_soon_and_then_less_often() {
        let key = TextKey { hash: ContentHash::of(b"fn f() {}"), language: Language::Rust };
        let mut filling = Filling::default();
        filling.builder.add(key, Some(Vec::new()));
        assert!(filling.take_due().is_empty(), "too early");
        for patience in [FIRST_PACK, FIRST_PACK * 2, FIRST_PACK * 4] {
            assert_eq!(filling.patience, patience);
            filling.builder.add(key, Some(Vec::new()));
            filling.begun -= patience;
            assert!(!filling.take_due().is_empty());
            assert!(filling.take_due().is_empty(), "it was taken");
        }
    }
}
