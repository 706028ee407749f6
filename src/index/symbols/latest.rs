//! Symbols for whoever asks for none by name: those of the files that changed last.

use std::cmp::Reverse;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::extract::{Extractor, Unfinished};
use super::query::{SymbolMatch, SymbolView};
use super::segment::TextKey;
use super::update::{Found, read};
use super::{Language, Symbol};
use crate::core::RelPath;
use crate::core::files::RootFolder;
use crate::index::docs::ContentHash;
use crate::index::{Verdict, View};

/// Files that are parsed at most: as many as a first look at a list shows, and more.
const MOST_FILES: usize = 64;
/// Larger ones are passed over, bytes: parsing them takes longer than an empty query may.
const LARGEST: u64 = 256 << 10;
/// Symbols that one file gives at most, so that a list isn't all of one file.
const MOST_OF_FILE: usize = 64;
/// Changed files whose times are looked at.
const MOST_DIRTY: usize = 1024;

/// A symbol, and when its file changed, ns since the Unix epoch. What isn't saved changes now.
pub type Dated = (i64, SymbolMatch);

impl SymbolView<'_> {
    /// Symbols of the files that changed last, the latest first; those of `first` before all others. Blocks, for about as
    /// long as parsing `MOST_FILES` small files takes.
    pub fn latest(&self, limit: usize, first: Option<&RelPath>, cancel: &CancellationToken) -> Vec<Dated> {
        let View { dirty, snapshot, unsaved } = self.view;
        let root = RootFolder::open(self.root).ok();
        let has_symbols = |path: &RelPath| Language::of(path.as_bytes()).is_some();
        let now = |path: &RelPath| if first == Some(path) { i64::MAX } else { i64::MAX - 1 };
        let open = unsaved.keys().filter(|path| has_symbols(path)).map(|path| (now(path), path.clone()));
        let changed = dirty.iter().filter(|(path, dirt)| dirt.verdict == Verdict::Read && !unsaved.contains_key(path));
        let changed = changed.map(|(path, _)| path).filter(|path| has_symbols(path)).take(MOST_DIRTY);
        let changed = changed.filter_map(|path| {
            let entry = root.as_ref()?.entry(path).ok()??;
            Some((entry.stat.mtime_ns, path.clone()))
        });
        let is_settled = |path: &RelPath| !dirty.contains_key(path) && !unsaved.contains_key(path);
        let settled = snapshot
            .latest(MOST_FILES, |path| RelPath::from_bytes(path).filter(|path| has_symbols(path) && is_settled(path)));
        let mut files: Vec<_> = open.chain(changed).chain(settled).collect();
        files.sort_by(|(a, a_path), (b, b_path)| Reverse(a).cmp(&Reverse(b)).then_with(|| a_path.cmp(b_path)));
        files.truncate(MOST_FILES);

        let mut extractor = Extractor::default();
        let mut found = Vec::new();
        for (at, path) in files {
            if found.len() >= limit || cancel.is_cancelled() {
                break;
            }
            let symbols = self.symbols_in(root.as_ref(), &path, &mut extractor, cancel);
            let mut symbols: Vec<_> = symbols.iter().flat_map(|symbols| symbols.iter()).collect();
            symbols.sort_by_key(|symbol| (symbol.line, symbol.column));
            let symbols = symbols.into_iter().take(MOST_OF_FILE);
            found.extend(symbols.map(|symbol| (at, SymbolMatch { path: path.clone(), symbol: symbol.clone() })));
        }
        found.truncate(limit);
        found
    }

    /// The symbols of a file as the view has it; `None` when it can't be read, or is too large.
    fn symbols_in(
        &self,
        root: Option<&RootFolder>,
        path: &RelPath,
        extractor: &mut Extractor,
        cancel: &CancellationToken,
    ) -> Option<Arc<Vec<Symbol>>> {
        let language = Language::of(path.as_bytes())?;
        let on_disk;
        let bytes = match self.view.unsaved.get(path) {
            Some(text) => text.as_bytes(),
            None => {
                let Ok(Found::Text(bytes)) = read(root?, path, LARGEST.min(self.max_file_bytes)) else { return None };
                on_disk = bytes;
                &on_disk[..]
            }
        };
        let key = TextKey { hash: ContentHash::of(bytes), language };
        if let Some(known) = self.store.recent.get(key) {
            return known;
        }
        let symbols = match extractor.symbols(language, bytes, cancel) {
            Ok(symbols) => Some(Arc::new(symbols)),
            Err(Unfinished::TooMuch) => None,
            Err(Unfinished::Cancelled) => return None,
        };
        self.store.recent.put(key, symbols.clone());
        symbols
    }
}
