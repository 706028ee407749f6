//! Finding matches: the index names the candidates, ripgrep's searcher decides.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grep_matcher::Matcher;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use tokio_util::sync::CancellationToken;

use super::in_order::{Parts, in_order};
use super::overlay::{Dirtied, Verdict};
use super::plan::Plan;
use super::query::Query;
use super::returns::Returns;
use super::snapshot::Snapshot;
use crate::core::RelPath;
use crate::core::files::RootFolder;
use crate::core::path::cmp_bytes;

/// Texts that a client holds and hasn't saved, by path.
pub type Unsaved = BTreeMap<RelPath, Arc<str>>;

/// What a search looks at: the index, and what is newer than it.
#[derive(Clone, Default)]
pub struct View {
    /// Files the index doesn't hold as they are; taken before the snapshot, see [`super::Overlay::view`].
    pub dirty: Dirtied,
    /// The index.
    pub snapshot: Arc<Snapshot>,
    /// The client's own texts, which stand for the files on disk.
    pub unsaved: Arc<Unsaved>,
}

/// A file that may hold a match.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where.
    pub path: RelPath,
    /// Its text, when that isn't the file's on disk.
    pub text: Option<Arc<str>>,
}

/// The candidates for a plan.
#[derive(Debug, Default)]
pub struct Candidates {
    /// In path order.
    pub files: Vec<Candidate>,
    /// Parts of the index that are damaged; all their files are among the candidates.
    pub damaged: Vec<String>,
}

impl View {
    /// The files that may hold a match, of those that `keep` lets pass, in path order.
    pub fn candidates(&self, plan: &Plan, keep: impl Fn(&RelPath) -> bool) -> Candidates {
        let (indexed, errors) = self.snapshot.candidates(plan);
        let replaced = |path: &RelPath| self.dirty.contains_key(path) || self.unsaved.contains_key(path);
        let indexed = indexed.into_iter().filter_map(RelPath::from_bytes).filter(|path| !replaced(path));
        let dirty =
            self.dirty.iter().filter(|(path, dirt)| dirt.verdict == Verdict::Read && !self.unsaved.contains_key(path));
        let on_disk = indexed.chain(dirty.map(|(path, _)| path.clone())).map(|path| Candidate { path, text: None });
        let unsaved =
            self.unsaved.iter().map(|(path, text)| Candidate { path: path.clone(), text: Some(text.clone()) });
        let mut files: Vec<_> = on_disk.chain(unsaved).filter(|file| keep(&file.path)).collect();
        files.sort_by(|a, b| cmp_bytes(a.path.as_bytes(), b.path.as_bytes()));
        Candidates { files, damaged: errors.iter().map(ToString::to_string).collect() }
    }
}

/// Files that needn't be searched, and how much a search of them that finds nothing would go through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spared {
    /// How many.
    pub files: u64,
    /// Their sizes, bytes.
    pub bytes: u64,
}

impl View {
    /// As [`View::candidates`], but of files on disk only those are left out of which a search goes through exactly the
    /// bytes that are there; and how many that are.
    pub fn candidates_by_size(&self, plan: &Plan, keep: impl Fn(&RelPath) -> bool) -> (Candidates, Spared) {
        let replaced = |path: &RelPath| self.dirty.contains_key(path) || self.unsaved.contains_key(path);
        let ruled_out = self.snapshot.ruled_out(plan).into_iter().filter(|(_, doc)| doc.plain);
        let ruled_out = ruled_out.filter_map(|(path, doc)| Some((RelPath::from_bytes(path)?, doc.stat.size)));
        let ruled_out: HashMap<RelPath, u64> = ruled_out.filter(|(path, _)| !replaced(path) && keep(path)).collect();
        let spared = Spared { files: ruled_out.len() as u64, bytes: ruled_out.values().sum() };
        (self.candidates(&Plan::All, |path| keep(path) && !ruled_out.contains_key(path)), spared)
    }

    /// Whether the folder `dir` (the root, when `None`) certainly has files: some that are in the index and not dirty.
    pub fn holds_any(&self, dir: Option<&RelPath>) -> bool {
        match dir {
            None => self.snapshot.files() > self.dirty.len(),
            Some(dir) => self.snapshot.below(dir).iter().any(|path| !self.dirty.contains_key(path)),
        }
    }
}

/// Some of the matches of one file: all of them, unless they are many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMatches<M> {
    /// Where.
    pub path: RelPath,
    /// What was made of each, from the top.
    pub matches: Vec<M>,
}

/// A line with matches, as it passes by. Nothing of it is kept but what is made of it.
#[derive(Clone, Copy, Debug)]
pub struct MatchedLine<'a> {
    /// From 0.
    pub number: u64,
    /// Carriage returns in the lines before it that end a line too, for an editor.
    pub lone_returns: u64,
    /// Its bytes, without the line's end.
    pub text: &'a [u8],
    /// The matches in it that are wanted, bytes from its beginning. Empty matches are among them.
    pub matches: &'a [Range<usize>],
}

/// How a search ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchEnd {
    /// There are more matches than were asked for.
    pub limit_hit: bool,
    /// It was cancelled.
    pub cancelled: bool,
    /// Files that couldn't be read, and why; of many, the first.
    pub unreadable: Vec<String>,
}

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most matches to give.
    pub max_results: usize,
    /// Threads that read and match.
    pub threads: usize,
}

/// Matches of a file are handed over when they take so many bytes, and the rest follows.
const PART: usize = 64 << 10;
/// Most files that are named because they can't be read.
const MOST_UNREADABLE: usize = 1000;

/// Searches `candidates` and hands over the matches in path order, as they are known: those of a file at once or, where
/// they are many, in parts. Time and memory are those that the matches take that are given, whatever there is: a file is
/// read no further than to the first match too many. `shape` adds what is to be given of each match of a line, and tells
/// about how many bytes that takes. Blocks.
pub fn find_matches<M: Send>(
    root: &Path,
    query: &Query,
    candidates: &[Candidate],
    limits: Limits,
    cancel: &CancellationToken,
    shape: impl Fn(&RelPath, MatchedLine<'_>, &mut Vec<M>) -> usize + Sync,
    mut found: impl FnMut(FileMatches<M>) -> ControlFlow<()>,
) -> SearchEnd {
    let mut end = SearchEnd::default();
    let left = AtomicUsize::new(limits.max_results);
    // Without a root there are no files; unsaved texts are there all the same.
    let root = RootFolder::open(root).ok();
    let tools = || (implicit_searcher(), WholeFile::default());
    let search = |tools: &mut (Searcher, WholeFile), candidate: &Candidate, parts: &FileParts<'_, M>| {
        // One more tells that there are more.
        let room = left.load(Ordering::Relaxed).saturating_add(1);
        let mut lines = Lines {
            query,
            path: &candidate.path,
            shape: &shape,
            room,
            returns: Returns::default(),
            bytes: 0,
            found: Vec::new(),
            parts,
        };
        let searched = search_file(root.as_ref(), tools, candidate, &mut lines);
        lines.hand_over();
        if let Err(error) = searched
            && parts.is_wanted()
        {
            parts.give(Err(error), 0);
        }
    };
    in_order(candidates, limits.threads, cancel, tools, search, |candidate, part| {
        let mut matches = match part {
            Ok(matches) => matches,
            Err(error) => {
                if end.unreadable.len() < MOST_UNREADABLE {
                    end.unreadable.push(format!("{}: {error}", candidate.path));
                }
                return ControlFlow::Continue(());
            }
        };
        let before = left.load(Ordering::Relaxed);
        end.limit_hit = matches.len() > before;
        matches.truncate(before);
        left.store(before - matches.len(), Ordering::Relaxed);
        if !matches.is_empty() {
            found(FileMatches { path: candidate.path.clone(), matches })?;
        }
        if end.limit_hit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    end.cancelled = cancel.is_cancelled();
    end
}

/// A searcher's buffer, in bytes. It grows to the longest line that is met and stays so, and whether matches before a NUL
/// are found depends on it: ripgrep's answer for such a file depends on the files before it. Ours doesn't: a searcher that
/// has met a larger file than this is replaced.
const BUFFER: u64 = 64 << 10;

/// Whether the next file needs another searcher than the one that has searched `file`.
pub fn wears_out_a_searcher(file: &File) -> bool {
    file.metadata().map_or(true, |metadata| metadata.len() > BUFFER)
}

/// Reads files to be searched as a whole, which takes less than ripgrep's way through a small buffer: nothing is moved
/// in memory, and no lines are counted where nothing matches.
#[derive(Default)]
pub struct WholeFile(Vec<u8>);

impl WholeFile {
    /// Larger files go through the searcher's buffer, bytes.
    const LARGEST: usize = 1 << 20;

    /// What the file holds from where it stands, which must be its beginning; or `None`, the file at its beginning again,
    /// when a search of the whole might give another answer than ripgrep's (there is a NUL in it) or it is too large.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn read(&mut self, file: &mut File) -> io::Result<Option<&[u8]>> {
        self.0.resize(Self::LARGEST + 1, 0);
        let mut length = 0;
        while length < self.0.len() {
            match file.read(&mut self.0[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let bytes = &self.0[..length];
        if length <= Self::LARGEST && memchr::memchr(0, bytes).is_none() {
            return Ok(Some(bytes));
        }
        file.rewind()?;
        Ok(None)
    }
}

/// A searcher as ripgrep uses it for files it meets in a walk.
pub(super) fn implicit_searcher() -> Searcher {
    SearcherBuilder::new().line_number(true).binary_detection(BinaryDetection::quit(0)).build()
}

type FileParts<'a, M> = Parts<'a, io::Result<Vec<M>>>;

fn search_file<M, F: Fn(&RelPath, MatchedLine<'_>, &mut Vec<M>) -> usize>(
    root: Option<&RootFolder>,
    (searcher, whole): &mut (Searcher, WholeFile),
    candidate: &Candidate,
    lines: &mut Lines<'_, M, F>,
) -> io::Result<()> {
    let (query, parts) = (lines.query, lines.parts);
    let matcher = &query.matcher;
    match &candidate.text {
        Some(text) if text.len() <= WholeFile::LARGEST => searcher.search_slice(matcher, text.as_bytes(), lines),
        Some(text) => {
            lines.returns = Returns::of_text(text);
            searcher.search_reader(matcher, parts.reading(text.as_bytes()), lines)
        }
        None => {
            let file = root.map(|root| root.file(&candidate.path)).transpose()?.flatten();
            let Some(mut file) = file else { return Ok(()) };
            if !query.by_buffer
                && let Some(bytes) = whole.read(&mut file)?
            {
                return searcher.search_slice(matcher, bytes, lines);
            }
            lines.returns = Returns::of_file(&file);
            let searched = searcher.search_reader(matcher, parts.reading(&file), lines);
            if wears_out_a_searcher(&file) {
                *searcher = implicit_searcher();
            }
            searched
        }
    }
}

/// Takes in matching lines, and no more of them than there is room for.
struct Lines<'a, M, F> {
    query: &'a Query,
    path: &'a RelPath,
    shape: &'a F,
    /// Matches that may still come.
    room: usize,
    returns: Returns,
    /// What is to be handed over, and about how many bytes it takes.
    found: Vec<M>,
    bytes: usize,
    parts: &'a FileParts<'a, M>,
}

impl<M, F> Lines<'_, M, F> {
    /// Hands over what was found; gives whether more is wanted.
    fn hand_over(&mut self) -> bool {
        let (found, bytes) = (std::mem::take(&mut self.found), std::mem::take(&mut self.bytes));
        if found.is_empty() { self.parts.is_wanted() } else { self.parts.give(Ok(found), bytes) }
    }
}

impl<M, F: Fn(&RelPath, MatchedLine<'_>, &mut Vec<M>) -> usize> Sink for Lines<'_, M, F> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, line: &SinkMatch<'_>) -> io::Result<bool> {
        // A carriage return is a part of the line for ripgrep, but not for an editor.
        let bytes = line.bytes().strip_suffix(b"\n").unwrap_or(line.bytes());
        let text = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let mut matches = Vec::new();
        let collected = self.query.matcher.find_iter(bytes, |m| {
            matches.push(m.start().min(text.len())..m.end().min(text.len()));
            matches.len() < self.room
        });
        collected.map_err(io::Error::other)?;
        self.room -= matches.len();
        // The searcher counts lines from 1.
        let number = line.line_number().unwrap_or(1) - 1;
        let lone_returns = self.returns.before(line)?;
        let line = MatchedLine { number, lone_returns, text, matches: &matches };
        self.bytes += (self.shape)(self.path, line, &mut self.found);
        Ok(self.room > 0 && if self.bytes >= PART { self.hand_over() } else { self.parts.is_wanted() })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::index::Pattern;

    /// What of a tree's matches comes for `pattern`, at most `max_results`: how many are given, whether there are more, and
    /// how many were taken in.
    fn found(root: &Path, files: &[&str], pattern: &str, max_results: usize, threads: usize) -> (usize, bool, usize) {
        let query = Query::new(&Pattern { patterns: vec![pattern.to_owned()], ..Pattern::default() }).unwrap();
        let path = |name: &&str| RelPath::new(Path::new(name)).unwrap();
        let candidates: Vec<_> = files.iter().map(|name| Candidate { path: path(name), text: None }).collect();
        let (taken_in, mut given) = (AtomicUsize::new(0), 0);
        let shape = |_: &RelPath, line: MatchedLine<'_>, found: &mut Vec<Range<usize>>| {
            taken_in.fetch_add(line.matches.len(), Ordering::Relaxed);
            found.extend_from_slice(line.matches);
            line.text.len()
        };
        let limits = Limits { max_results, threads };
        let end = find_matches(root, &query, &candidates, limits, &CancellationToken::new(), shape, |file| {
            given += file.matches.len();
            ControlFlow::Continue(())
        });
        assert_eq!((end.unreadable, end.cancelled), (Vec::new(), false));
        (given, end.limit_hit, taken_in.into_inner())
    }

    /// Of a log of a million lines all were read, matched and kept, to give the first of them.
    #[test]
    fn a_limit_ends_the_search_of_a_file() {
        let tree = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(tree.path().join(name), text).unwrap();
        write("lines", "needle\n".repeat(400_000));
        write("line", "needle ".repeat(400_000));
        write("none", "hay\n".repeat(100));
        for name in ["lines", "line"] {
            for most in [0, 1, 10, 5_000] {
                assert_eq!(found(tree.path(), &[name, "none"], "needle", most, 1), (most, true, most + 1), "{name}");
            }
            assert_eq!(found(tree.path(), &[name], "needle", 400_000, 1), (400_000, false, 400_000));
            assert_eq!(found(tree.path(), &[name, name], "needle", 400_000, 1), (400_000, true, 400_001));
        }
        // On several threads each takes in no more than is wanted of all.
        let (given, limit_hit, taken_in) = found(tree.path(), &["lines"; 20], "needle", 3, 2);
        assert!((given, limit_hit) == (3, true) && taken_in <= 80, "{taken_in} were taken in");
        assert_eq!(found(tree.path(), &["none"; 20], "hay", usize::MAX, 2), (2000, false, 2000));
    }
}
