//! Finds symbols by name: what is named exactly so first, then what begins so, then what fits, the nearest first.

use std::collections::{BTreeSet, BinaryHeap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::extract::{Extractor, LARGEST_PARSED, Unfinished};
use super::qualified::{self, Within};
use super::rank::{Rank, Ranker};
use super::segment::{Letters, Location, SymbolSegment, SymbolSegmentId, TextKey, cmp_names};
use super::store::{Packs, SymbolStore};
use super::update::{Found, read};
use super::{Column, Language, Symbol, SymbolKind};
use crate::core::RelPath;
use crate::core::files::RootFolder;
use crate::index::docs::ContentHash;
use crate::index::{Verdict, View};

/// Names that begin as asked, looked at in a symbol segment.
const MOST_PREFIXED: usize = 4096;
/// Blocks of names a thread looks through at a time.
const BLOCKS: usize = 256;
/// While more of the index's files than these wait to be parsed, a query doesn't look which they are.
const MOST_UNPARSED: usize = 4096;
/// Files without a place in the symbol segments that a query parses by itself, their bytes, and how long it does; of
/// more, the rest is left out.
const MOST_PARSED: usize = 64;
const MOST_PARSED_BYTES: usize = 16 << 20;
const LONGEST_PARSE: Duration = Duration::from_secs(4);
/// Most symbols that an answer has, whatever was asked for.
pub const MOST_GIVEN: usize = 10_000;

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
    /// What the name must be in, the outermost first.
    within: Vec<String>,
    /// All that was asked for as one name, if that isn't `name`.
    whole: Option<String>,
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
    /// Some files aren't parsed, as they are too large or take too long: their symbols are missing for good.
    pub given_up: bool,
    /// Symbol segments that turned out to be damaged.
    pub damaged: Vec<SymbolSegmentId>,
}

impl SymbolQuery {
    /// A query for `text`: a name, or what it is in and the name, as `container::name`, `package.name` or
    /// `folder/file.name`. At most [`MOST_GIVEN`] symbols are given.
    pub fn new(text: &str, fit: Fit, limit: usize) -> SymbolQuery {
        let (within, name) = qualified::split(text);
        // Blanks are for the eye: no name has any, but headings do.
        let spelled = |name: &str| if fit == Fit::Fuzzy { name.split_whitespace().collect() } else { name.to_owned() };
        let whole = (!within.is_empty()).then(|| spelled(text.trim()));
        SymbolQuery { name: spelled(&name), within, whole, fit, limit: limit.min(MOST_GIVEN), ..SymbolQuery::default() }
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

    /// Names that are kept while the best are looked for.
    fn kept(&self) -> usize {
        self.limit * 4 + 64
    }

    /// How well a symbol is what is asked for, but for its name; `None` when it isn't.
    fn place(&self, path: &RelPath, symbol: &Symbol) -> Option<Within> {
        self.allows(symbol.kind).then(|| qualified::within(&self.within, path, symbol))?
    }

    fn allows(&self, kind: SymbolKind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// What is asked for next when nothing was found: less of what the name is in, the outermost first, and at last what
    /// looked like that as a part of the name.
    fn relaxed(&self) -> Option<SymbolQuery> {
        let mut next = self.clone();
        if self.within.len() > 1 {
            next.within.remove(0);
        } else {
            next.name = next.whole.take()?;
            next.within.clear();
        }
        Some(next)
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
    SymbolSegment(usize, Location),
    /// A file that is in no symbol segment as it is now.
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
    /// Larger files aren't parsed, bytes. None above [`LARGEST_PARSED`] is.
    pub max_file_bytes: u64,
    /// Threads that look through names.
    pub threads: usize,
}

impl SymbolView<'_> {
    /// The best symbols for `query`. Blocks.
    pub fn find(&self, query: &SymbolQuery, cancel: &CancellationToken) -> SymbolAnswer {
        let mut answer = self.find_as_asked(query, cancel);
        let mut next = query.relaxed();
        while let Some(query) = next.filter(|_| answer.symbols.is_empty() && !cancel.is_cancelled()) {
            let damaged = std::mem::take(&mut answer.damaged);
            answer = self.find_as_asked(&query, cancel);
            answer.damaged.extend(damaged);
            next = query.relaxed();
        }
        answer.damaged.sort_unstable();
        answer.damaged.dedup();
        answer
    }

    fn find_as_asked(&self, query: &SymbolQuery, cancel: &CancellationToken) -> SymbolAnswer {
        let mut answer = SymbolAnswer::default();
        if query.name.is_empty() || query.limit == 0 {
            return answer;
        }
        let Loose { candidates: loose, left_out, given_up } = self.loose(query, cancel);
        // After those: a text that gets into a symbol segment meanwhile is in both, not in neither.
        let segments = self.store.segments();
        answer.left_out = left_out;
        answer.given_up = given_up || self.store.leaves_out(&self.view.snapshot);
        let mut candidates = loose.clone();
        for (at, segment) in segments.iter().enumerate() {
            let mut ranker = Ranker::new(&query.name, query.fit);
            let mut left = MOST_PREFIXED;
            let looked = segment.with_prefix(query.name.as_bytes(), |name, place| {
                let text = String::from_utf8_lossy(name);
                if let Some(rank) = ranker.rank(&text) {
                    candidates.push(Candidate { rank, name: name.to_vec(), source: Source::SymbolSegment(at, place) });
                }
                left -= 1;
                left > 0
            });
            if looked.is_err() {
                answer.damaged.push(segment.id());
            }
            answer.limit_hit |= left == 0;
        }
        candidates.retain(|candidate| !matches!(candidate.rank, Rank::Fuzzy(..)));
        self.take(query, &segments, candidates, &mut answer);
        if query.fit == Fit::Fuzzy && answer.symbols.len() < query.limit && !cancel.is_cancelled() {
            let mut candidates: Vec<_> = loose.into_iter().filter(|c| matches!(c.rank, Rank::Fuzzy(..))).collect();
            for (at, segment) in segments.iter().enumerate() {
                match self.fuzzy(query, segment, cancel) {
                    Ok(found) => candidates.extend(found.into_iter().map(|(rank, name, place)| Candidate {
                        rank,
                        name,
                        source: Source::SymbolSegment(at, place),
                    })),
                    Err(()) => answer.damaged.push(segment.id()),
                }
            }
            self.take(query, &segments, candidates, &mut answer);
        }
        answer
    }

    /// Adds the best of `candidates` to the answer, until that is full.
    fn take(&self, query: &SymbolQuery, segments: &Packs, mut candidates: Vec<Candidate>, answer: &mut SymbolAnswer) {
        candidates.sort();
        for same in candidates.chunk_by(|a, b| a.cmp(b).is_eq()) {
            if answer.symbols.len() >= query.limit {
                answer.limit_hit = true;
                return;
            }
            // One more tells that there are more. (Two symbol segments may know the same text.)
            let left = query.limit - answer.symbols.len();
            let mut found = Nearest { query, most: left + 1, found: BTreeSet::new() };
            for candidate in same {
                match &candidate.source {
                    Source::Loose(symbol) => found.add(&symbol.path, &symbol.symbol),
                    Source::SymbolSegment(at, place) => {
                        if self.resolve(query, &segments[*at], &candidate.name, *place, &mut found).is_err() {
                            answer.damaged.push(segments[*at].id());
                        }
                    }
                }
            }
            let found = found.wanted();
            answer.limit_hit |= found.len() > left;
            answer.symbols.extend(found.into_iter().take(left));
        }
    }

    /// The files that define a name now.
    fn resolve(
        &self,
        query: &SymbolQuery,
        segment: &SymbolSegment,
        name: &[u8],
        place: Location,
        found: &mut Nearest<'_>,
    ) -> Result<(), crate::index::segment::SegmentError> {
        let View { dirty, snapshot, unsaved } = self.view;
        for occurrence in segment.occurrences(place)? {
            let (key, _) = segment.texts()[occurrence.text as usize];
            if !query.allows(occurrence.kind) {
                continue;
            }
            let symbol = occurrence.symbol(String::from_utf8_lossy(name).into_owned());
            for path in snapshot.with_hash(key.hash) {
                let Some(path) = RelPath::from_bytes(path) else { continue };
                let is_current = !dirty.contains_key(&path) && !unsaved.contains_key(&path);
                if is_current && Language::of(path.as_bytes()) == Some(key.language) {
                    found.add(&path, &symbol);
                }
            }
        }
        Ok(())
    }

    /// The best names of a symbol segment that have the query's letters in order but don't begin with it.
    fn fuzzy(
        &self,
        query: &SymbolQuery,
        segment: &SymbolSegment,
        cancel: &CancellationToken,
    ) -> Result<Vec<(Rank, Vec<u8>, Location)>, ()> {
        // Many of the best may be of files that are gone, or of the wrong kind.
        let keep = query.kept();
        let best: Mutex<BinaryHeap<(Rank, Vec<u8>, usize)>> = Mutex::default();
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let places: Mutex<Vec<Location>> = Mutex::default();
        let letters = Letters::of(&query.name);
        let worker = || {
            let mut ranker = Ranker::new(&query.name, query.fit);
            let mut mine: BinaryHeap<(Rank, Vec<u8>, usize)> = BinaryHeap::new();
            let mut my_places = Vec::new();
            while !cancel.is_cancelled() {
                let start = next.fetch_add(BLOCKS, Ordering::Relaxed);
                if start >= segment.blocks() {
                    break;
                }
                let looked =
                    segment.with_letters(start..segment.blocks().min(start + BLOCKS), &letters, |name, place| {
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
            let mut places = places.lock();
            let mut best = best.lock();
            for (rank, name, at) in mine {
                best.push((rank, name, places.len()));
                places.push(my_places[at]);
            }
        };
        match self.threads.min(segment.blocks().div_ceil(BLOCKS)) {
            0 | 1 => worker(),
            threads => std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(worker)))),
        }
        if failed.into_inner() > 0 {
            return Err(());
        }
        let places = places.into_inner();
        let mut best = best.into_inner().into_sorted_vec();
        best.truncate(keep);
        Ok(best.into_iter().map(|(rank, name, at)| (rank, name, places[at])).collect())
    }

    /// Files of the index whose symbols aren't in the symbol segments yet: those of the last commits. `None` when there
    /// are too many to look which.
    fn unparsed(&self) -> Option<Vec<RelPath>> {
        let View { dirty, snapshot, unsaved } = self.view;
        let (texts, _) = snapshot.texts(&self.store.covered(), self.largest());
        if texts.len() > MOST_UNPARSED {
            return None;
        }
        let segments = self.store.segments();
        let unparsed = texts.into_iter().filter(|(key, _)| !segments.iter().any(|segment| segment.holds(*key)));
        let unparsed = unparsed.map(|(_, path)| path);
        Some(unparsed.filter(|p| !dirty.contains_key(p) && !unsaved.contains_key(p)).collect())
    }

    /// Larger files aren't parsed, bytes.
    fn largest(&self) -> u64 {
        self.max_file_bytes.min(LARGEST_PARSED)
    }

    /// Symbols that fit in unsaved texts and in files that are newer than the symbol segments.
    fn loose(&self, query: &SymbolQuery, cancel: &CancellationToken) -> Loose {
        let View { dirty, unsaved, .. } = self.view;
        let mut ranker = Ranker::new(&query.name, query.fit);
        let mut extractor = Extractor::default();
        let changed = dirty.iter().filter(|(path, dirt)| dirt.verdict == Verdict::Read && !unsaved.contains_key(path));
        let unparsed = self.unparsed();
        let mut loose = Loose { left_out: unparsed.is_none(), ..Loose::default() };
        let on_disk = changed.map(|(path, _)| path).chain(unparsed.iter().flatten());
        let files = unsaved.iter().map(|(path, text)| (path, Some(text))).chain(on_disk.map(|path| (path, None)));
        let files = files.filter(|(path, _)| Language::of(path.as_bytes()).is_some());
        let root = RootFolder::open(self.root).ok();
        let (began, mut parsed_bytes) = (Instant::now(), 0);
        for (number, (path, text)) in files.enumerate() {
            if number == MOST_PARSED || parsed_bytes > MOST_PARSED_BYTES || began.elapsed() > LONGEST_PARSE {
                loose.left_out = true;
                break;
            }
            let Some(language) = Language::of(path.as_bytes()) else { continue };
            let on_disk;
            let bytes = match text {
                Some(text) => text.as_bytes(),
                None => match root.as_ref().map_or(Ok(Found::Nothing), |root| read(root, path, self.largest())) {
                    Ok(Found::Text(bytes)) => {
                        on_disk = bytes;
                        &on_disk[..]
                    }
                    Ok(Found::Nothing) => continue,
                    Ok(Found::TooLarge) => {
                        loose.given_up |= language.is_told_by_name();
                        continue;
                    }
                    Err(_) => {
                        loose.left_out = true;
                        continue;
                    }
                },
            };
            let key = TextKey { hash: ContentHash::of(bytes), language };
            let parsed = match self.store.recent.get(key) {
                Some(parsed) => parsed,
                None => {
                    parsed_bytes += bytes.len();
                    let parsed = match extractor.symbols(language, bytes, cancel) {
                        Ok(symbols) => Some(Arc::new(symbols)),
                        Err(Unfinished::TooMuch) => None,
                        Err(Unfinished::Cancelled) => break,
                    };
                    self.store.recent.put(key, parsed.clone());
                    parsed
                }
            };
            loose.given_up |= parsed.is_none();
            let symbols = parsed.iter().flat_map(|symbols| symbols.iter());
            for symbol in symbols.filter(|symbol| query.place(path, symbol).is_some()) {
                if let Some(rank) = ranker.rank(&symbol.name) {
                    let found = SymbolMatch { path: path.clone(), symbol: symbol.clone() };
                    let name = symbol.name.clone().into_bytes();
                    loose.candidates.push(Candidate { rank, name, source: Source::Loose(Box::new(found)) });
                }
            }
            if loose.candidates.len() > 2 * query.kept() {
                loose.candidates.sort();
                loose.candidates.truncate(query.kept());
            }
        }
        loose
    }
}

/// What is found in texts that are in no symbol segment.
#[derive(Default)]
struct Loose {
    candidates: Vec<Candidate>,
    /// Some texts were left out.
    left_out: bool,
    /// Some aren't parsed at all.
    given_up: bool,
}

/// How likely it is that a symbol is meant, of those with one name; the least is the likeliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// A definition.
    Defined,
    /// A declaration.
    Declared,
    /// One of the many fields that types have.
    Field,
}

impl Standing {
    fn of(symbol: &Symbol) -> Standing {
        match symbol.kind {
            SymbolKind::Field => Standing::Field,
            _ if symbol.is_declaration => Standing::Declared,
            _ => Standing::Defined,
        }
    }
}

/// The nearest of the symbols with one name, each once, and no more of them than are wanted.
struct Nearest<'a> {
    query: &'a SymbolQuery,
    most: usize,
    found: BTreeSet<(Within, Standing, usize, RelPath, u32, Column, Symbol)>,
}

impl Nearest<'_> {
    fn add(&mut self, path: &RelPath, symbol: &Symbol) {
        let Some(within) = self.query.place(path, symbol) else { return };
        let distance = self.query.near.as_ref().map_or(0, |near| distance(near, path));
        let standing = Standing::of(symbol);
        let key = (within, standing, distance, path, symbol.line, symbol.column, symbol);
        let is_full = self.found.len() == self.most;
        if is_full && self.found.last().is_some_and(|(w, i, d, p, l, c, s)| key >= (*w, *i, *d, p, *l, *c, s)) {
            return;
        }
        self.found.insert((within, standing, distance, path.clone(), symbol.line, symbol.column, symbol.clone()));
        if self.found.len() > self.most {
            self.found.pop_last();
        }
    }

    /// Those found, without declarations of what is defined here too.
    fn wanted(self) -> Vec<SymbolMatch> {
        let symbols = self.found.iter().map(|(.., symbol)| symbol);
        let defined = symbols.filter(|symbol| !symbol.is_declaration).map(|symbol| symbol.container.clone());
        let defined: BTreeSet<_> = defined.collect();
        let found = self.found.into_iter().map(|(_, _, _, path, _, _, symbol)| SymbolMatch { path, symbol });
        found.filter(|found| !found.symbol.is_declaration || !defined.contains(&found.symbol.container)).collect()
    }
}

/// Steps through folders from one path to another.
fn distance(from: &RelPath, to: &RelPath) -> usize {
    fn parts(path: &RelPath) -> impl Iterator<Item = &[u8]> {
        path.as_bytes().split(|byte| *byte == b'/')
    }
    let shared = parts(from).zip(parts(to)).take_while(|(a, b)| a == b).count();
    parts(from).count() + parts(to).count() - 2 * shared
}
