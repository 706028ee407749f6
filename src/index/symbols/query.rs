//! Finds symbols by name: what is named exactly so first, then what begins so, then what fits, the nearest first.

use std::collections::{BTreeSet, BinaryHeap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::extract::Extractor;
use super::pack::{Letters, Pack, PackId, Place, TextKey, cmp_names};
use super::rank::{Rank, Ranker};
use super::store::{Packs, SymbolStore};
use super::update::read;
use super::{Language, Symbol, SymbolKind};
use crate::core::RelPath;
use crate::core::files::RootFolder;
use crate::index::docs::ContentHash;
use crate::index::{Verdict, View};

/// Names that begin as asked, looked at in a pack.
const MOST_PREFIXED: usize = 4096;
/// Blocks of names a thread looks through at a time.
const BLOCKS: usize = 256;
/// While more of the index's files than these wait to be parsed, a query doesn't look which they are.
const MOST_UNPARSED: usize = 4096;
/// Files without a place in the packs that a query parses by itself; of more, the rest is left out.
const MOST_PARSED: usize = 64;

/// How a name must fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fit {
    /// It has the letters, in order.
    #[default]
    Fuzzy,
    /// It begins so, in any case.
    Prefix,
    /// It is named so.
    Exact,
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct SymbolQuery {
    name: String,
    /// What the name must be in, in lower case.
    container: Option<String>,
    fit: Fit,
    /// Only these; all when there are none.
    kinds: BTreeSet<SymbolKind>,
    /// Most symbols to give.
    limit: usize,
    /// Where whoever asks is: symbols near it come first among equals.
    near: Option<RelPath>,
}

/// A symbol that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolMatch {
    /// Where.
    pub path: RelPath,
    /// What.
    pub symbol: Symbol,
}

/// What was found.
#[derive(Debug, Default)]
pub struct SymbolAnswer {
    /// The best first.
    pub symbols: Vec<SymbolMatch>,
    /// There may be more than were asked for.
    pub limit_hit: bool,
    /// Too many files wait to be parsed for the query to do it: symbols of some are missing.
    pub left_out: bool,
    /// Packs that turned out to be damaged.
    pub damaged: Vec<PackId>,
}

impl SymbolQuery {
    /// A query for `text`: a name, or `container::name`, or `container.name`.
    pub fn new(text: &str, fit: Fit, limit: usize) -> SymbolQuery {
        let text = text.trim();
        let (container, name) = match text.rsplit_once("::").or_else(|| text.rsplit_once('.')) {
            Some((container, name)) if !name.is_empty() => (Some(container.to_lowercase()), name),
            _ => (None, text),
        };
        let container = container.map(|c| c.rsplit([':', '.']).next().unwrap_or_default().to_owned());
        // Blanks are for the eye: no name has any, but headings do.
        let name = if fit == Fit::Fuzzy { name.split_whitespace().collect() } else { name.to_owned() };
        SymbolQuery { name, container: container.filter(|c| !c.is_empty()), fit, limit, ..SymbolQuery::default() }
    }

    /// Only symbols of these kinds.
    #[must_use]
    pub fn of_kinds(mut self, kinds: impl IntoIterator<Item = SymbolKind>) -> SymbolQuery {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Symbols near this file or folder first.
    #[must_use]
    pub fn near(mut self, near: Option<RelPath>) -> SymbolQuery {
        self.near = near;
        self
    }

    /// How well names fit.
    pub fn ranks(&self) -> impl FnMut(&str) -> Option<Rank> + '_ {
        let mut ranker = Ranker::new(&self.name, self.fit);
        move |name| ranker.rank(name)
    }

    fn allows(&self, symbol: &Symbol) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&symbol.kind))
            && self.container.as_ref().is_none_or(|wanted| symbol.container.to_lowercase().contains(wanted))
    }
}

/// A name that fits, and where to find what has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    rank: Rank,
    name: Vec<u8>,
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Pack(usize, Place),
    /// A file that is in no pack as it is now.
    Loose(Box<SymbolMatch>),
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank).then_with(|| cmp_names(&self.name, &other.name))
    }
}

/// What a query looks at.
pub struct SymbolView<'a> {
    /// The symbols of the texts in the index.
    pub store: &'a SymbolStore,
    /// The index, and what is newer than it.
    pub view: &'a View,
    /// Where the files are.
    pub root: &'a Path,
    /// Larger files aren't parsed, bytes.
    pub max_file_bytes: u64,
    /// Threads that look through names.
    pub threads: usize,
}

impl SymbolView<'_> {
    /// The best symbols for `query`. Blocks.
    pub fn find(&self, query: &SymbolQuery, cancel: &CancellationToken) -> SymbolAnswer {
        let mut answer = SymbolAnswer::default();
        if query.name.is_empty() || query.limit == 0 {
            return answer;
        }
        let (loose, left_out) = self.loose(query, cancel);
        // After those: a text that gets into a pack meanwhile is in both, not in neither.
        let packs = self.store.packs();
        answer.left_out = left_out;
        let mut candidates = loose.clone();
        for (at, pack) in packs.iter().enumerate() {
            let mut ranker = Ranker::new(&query.name, query.fit);
            let mut left = MOST_PREFIXED;
            let looked = pack.with_prefix(query.name.as_bytes(), |name, place| {
                let text = String::from_utf8_lossy(name);
                if let Some(rank) = ranker.rank(&text) {
                    candidates.push(Candidate { rank, name: name.to_vec(), source: Source::Pack(at, place) });
                }
                left -= 1;
                left > 0
            });
            if looked.is_err() {
                answer.damaged.push(pack.id());
            }
            answer.limit_hit |= left == 0;
        }
        candidates.retain(|candidate| !matches!(candidate.rank, Rank::Fuzzy(..)));
        self.take(query, &packs, candidates, &mut answer);
        if query.fit == Fit::Fuzzy && answer.symbols.len() < query.limit && !cancel.is_cancelled() {
            let mut candidates: Vec<_> = loose.into_iter().filter(|c| matches!(c.rank, Rank::Fuzzy(..))).collect();
            for (at, pack) in packs.iter().enumerate() {
                match self.fuzzy(query, pack, cancel) {
                    Ok(found) => candidates.extend(found.into_iter().map(|(rank, name, place)| Candidate {
                        rank,
                        name,
                        source: Source::Pack(at, place),
                    })),
                    Err(()) => answer.damaged.push(pack.id()),
                }
            }
            self.take(query, &packs, candidates, &mut answer);
        }
        answer.damaged.sort_unstable();
        answer.damaged.dedup();
        answer
    }

    /// Adds the best of `candidates` to the answer, until that is full.
    fn take(&self, query: &SymbolQuery, packs: &Packs, mut candidates: Vec<Candidate>, answer: &mut SymbolAnswer) {
        candidates.sort();
        for same in candidates.chunk_by(|a, b| a.cmp(b).is_eq()) {
            if answer.symbols.len() >= query.limit {
                answer.limit_hit = true;
                return;
            }
            let mut found = Vec::new();
            for candidate in same {
                match &candidate.source {
                    Source::Loose(symbol) => found.push((**symbol).clone()),
                    Source::Pack(at, place) => {
                        if self.resolve(query, &packs[*at], &candidate.name, *place, &mut found).is_err() {
                            answer.damaged.push(packs[*at].id());
                        }
                    }
                }
            }
            let distance = |found: &SymbolMatch| query.near.as_ref().map_or(0, |near| distance(near, &found.path));
            found.sort_by(|a, b| {
                let place = |m: &SymbolMatch| (m.symbol.line, m.symbol.column);
                distance(a).cmp(&distance(b)).then_with(|| a.path.cmp(&b.path)).then_with(|| place(a).cmp(&place(b)))
            });
            // Two packs may know the same text.
            found.dedup();
            let left = query.limit - answer.symbols.len();
            answer.limit_hit |= found.len() > left;
            found.truncate(left);
            answer.symbols.append(&mut found);
        }
    }

    /// The files that define a name now.
    fn resolve(
        &self,
        query: &SymbolQuery,
        pack: &Pack,
        name: &[u8],
        place: Place,
        found: &mut Vec<SymbolMatch>,
    ) -> Result<(), crate::index::segment::SegmentError> {
        let View { dirty, snapshot, unsaved } = self.view;
        for occurrence in pack.occurrences(place)? {
            let (key, _) = pack.texts()[occurrence.text as usize];
            let symbol = Symbol {
                name: String::from_utf8_lossy(name).into_owned(),
                kind: occurrence.kind,
                line: occurrence.line,
                column: occurrence.column,
                container: occurrence.container,
            };
            if !query.allows(&symbol) {
                continue;
            }
            for path in snapshot.with_hash(key.hash) {
                let Some(path) = RelPath::from_bytes(path) else { continue };
                let is_current = !dirty.contains_key(&path) && !unsaved.contains_key(&path);
                if is_current && Language::of(path.as_bytes()) == Some(key.language) {
                    found.push(SymbolMatch { path, symbol: symbol.clone() });
                }
            }
        }
        Ok(())
    }

    /// The best names of a pack that have the query's letters in order but don't begin with it.
    fn fuzzy(
        &self,
        query: &SymbolQuery,
        pack: &Pack,
        cancel: &CancellationToken,
    ) -> Result<Vec<(Rank, Vec<u8>, Place)>, ()> {
        // Many of the best may be of files that are gone, or of the wrong kind.
        let keep = query.limit.saturating_mul(4).saturating_add(64);
        let best: Mutex<BinaryHeap<(Rank, Vec<u8>, usize)>> = Mutex::default();
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let places: Mutex<Vec<Place>> = Mutex::default();
        let letters = Letters::of(&query.name);
        let worker = || {
            let mut ranker = Ranker::new(&query.name, query.fit);
            let mut mine: BinaryHeap<(Rank, Vec<u8>, usize)> = BinaryHeap::new();
            let mut my_places = Vec::new();
            while !cancel.is_cancelled() {
                let start = next.fetch_add(BLOCKS, Ordering::Relaxed);
                if start >= pack.blocks() {
                    break;
                }
                let looked = pack.with_letters(start..pack.blocks().min(start + BLOCKS), &letters, |name, place| {
                    let Ok(text) = std::str::from_utf8(name) else { return };
                    let worst = mine.peek().map(|(worst, ..)| *worst).filter(|_| mine.len() >= keep);
                    let Some(rank @ Rank::Fuzzy(..)) = ranker.rank_better_than(text, worst) else { return };
                    mine.push((rank, name.to_vec(), my_places.len()));
                    my_places.push(place);
                    if mine.len() > keep {
                        mine.pop();
                    }
                });
                if looked.is_err() {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
            let mut best = best.lock().unwrap_or_else(PoisonError::into_inner);
            for (rank, name, at) in mine {
                best.push((rank, name, places.len()));
                places.push(my_places[at]);
            }
        };
        match self.threads.min(pack.blocks().div_ceil(BLOCKS)) {
            0 | 1 => worker(),
            threads => std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker)))),
        }
        if failed.into_inner() > 0 {
            return Err(());
        }
        let places = places.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut best = best.into_inner().unwrap_or_else(PoisonError::into_inner).into_sorted_vec();
        best.truncate(keep);
        Ok(best.into_iter().map(|(rank, name, at)| (rank, name, places[at])).collect())
    }

    /// Files of the index whose symbols aren't in the packs yet: those of the last commits. `None` when there are too many
    /// to look which.
    fn unparsed(&self) -> Option<Vec<RelPath>> {
        let View { dirty, snapshot, unsaved } = self.view;
        let (texts, _) = snapshot.texts(&self.store.covered(), self.max_file_bytes);
        if texts.len() > MOST_UNPARSED {
            return None;
        }
        let packs = self.store.packs();
        let unparsed = texts.into_iter().filter(|(key, _)| !packs.iter().any(|pack| pack.holds(*key)));
        let unparsed = unparsed.map(|(_, path)| path);
        Some(unparsed.filter(|p| !dirty.contains_key(p) && !unsaved.contains_key(p)).collect())
    }

    /// Symbols that fit in unsaved texts and in files that are newer than the packs, and whether some of those were left
    /// out.
    fn loose(&self, query: &SymbolQuery, cancel: &CancellationToken) -> (Vec<Candidate>, bool) {
        let View { dirty, unsaved, .. } = self.view;
        let mut ranker = Ranker::new(&query.name, query.fit);
        let mut extractor = Extractor::default();
        let mut candidates = Vec::new();
        let changed = dirty.iter().filter(|(path, dirt)| dirt.verdict == Verdict::Read && !unsaved.contains_key(path));
        let unparsed = self.unparsed();
        let mut left_out = unparsed.is_none();
        let on_disk = changed.map(|(path, _)| path).chain(unparsed.iter().flatten());
        let files = unsaved.iter().map(|(path, text)| (path, Some(text))).chain(on_disk.map(|path| (path, None)));
        let files = files.filter(|(path, _)| Language::of(path.as_bytes()).is_some());
        let root = RootFolder::open(self.root).ok();
        for (number, (path, text)) in files.enumerate() {
            if number == MOST_PARSED {
                left_out = true;
                break;
            }
            let Some(language) = Language::of(path.as_bytes()) else { continue };
            let on_disk;
            let bytes = match text {
                Some(text) => text.as_bytes(),
                None => match root.as_ref().map_or(Ok(None), |root| read(root, path, self.max_file_bytes)) {
                    Ok(Some(bytes)) => {
                        on_disk = bytes;
                        &on_disk[..]
                    }
                    Ok(None) => continue,
                    Err(_) => {
                        left_out = true;
                        continue;
                    }
                },
            };
            let key = TextKey { hash: ContentHash::of(bytes), language };
            let symbols = match self.store.recent.get(key) {
                Some(symbols) => symbols,
                None => {
                    let Some(symbols) = extractor.symbols(language, bytes, cancel) else { break };
                    let symbols = std::sync::Arc::new(symbols);
                    self.store.recent.put(key, symbols.clone());
                    symbols
                }
            };
            for symbol in symbols.iter().filter(|symbol| query.allows(symbol)) {
                if let Some(rank) = ranker.rank(&symbol.name) {
                    let found = SymbolMatch { path: path.clone(), symbol: symbol.clone() };
                    let name = symbol.name.clone().into_bytes();
                    candidates.push(Candidate { rank, name, source: Source::Loose(Box::new(found)) });
                }
            }
        }
        (candidates, left_out)
    }
}

/// Steps through folders from one path to another.
fn distance(from: &RelPath, to: &RelPath) -> usize {
    let parts = |path: &RelPath| path.as_bytes().split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (from, to) = (parts(from), parts(to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    from.len() + to.len() - 2 * shared
}
