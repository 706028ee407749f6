//! Finding matches: the index names the candidates, ripgrep's searcher decides.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use grep_matcher::Matcher;
use grep_regex::RegexMatcher;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use tokio_util::sync::CancellationToken;

use super::overlay::{Dirtied, Verdict};
use super::plan::Plan;
use super::query::Query;
use super::returns::{LoneReturn, Recount, Returns};
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

impl View {
    /// Whether the folder `dir` (the root, when `None`) certainly has files: some that are in the index and not dirty.
    pub fn holds_any(&self, dir: Option<&RelPath>) -> bool {
        match dir {
            None => self.snapshot.files() > self.dirty.len(),
            Some(dir) => self.snapshot.below(dir).iter().any(|path| !self.dirty.contains_key(path)),
        }
    }
}

/// The matches of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMatches {
    /// Where.
    pub path: RelPath,
    /// The matching lines, from the top.
    pub lines: Vec<MatchedLine>,
}

/// A line with matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedLine {
    /// From 0.
    pub number: u64,
    /// Carriage returns in the lines before it that end a line too, for an editor.
    pub lone_returns: u64,
    /// Its bytes, without the line's end.
    pub text: Vec<u8>,
    /// The matches in it, bytes from its beginning. Empty matches are among them.
    pub matches: Vec<Range<usize>>,
}

/// How a search ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchEnd {
    /// There are more matches than were asked for.
    pub limit_hit: bool,
    /// It was cancelled.
    pub cancelled: bool,
    /// Files that couldn't be read, and why.
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

/// Searches `candidates` and hands over the files with matches in path order, as they are known. Blocks.
pub fn find_matches(
    root: &Path,
    query: &Query,
    candidates: &[Candidate],
    limits: Limits,
    cancel: &CancellationToken,
    mut found: impl FnMut(FileMatches) -> ControlFlow<()>,
) -> SearchEnd {
    let mut end = SearchEnd::default();
    let mut left = limits.max_results;
    // Without a root there are no files; unsaved texts are there all the same.
    let root = RootFolder::open(root).ok();
    let tools = || (implicit_searcher(), WholeFile::default());
    let search = |(searcher, whole): &mut (Searcher, WholeFile), candidate: &Candidate| {
        search_file(root.as_ref(), query, searcher, whole, candidate, cancel)
    };
    in_order(candidates, limits.threads, cancel, tools, search, |candidate, result| {
        let mut lines = match result {
            Ok(lines) => lines,
            Err(error) => {
                end.unreadable.push(format!("{}: {error}", candidate.path));
                return ControlFlow::Continue(());
            }
        };
        end.limit_hit = !keep_matches(&mut lines, &mut left);
        if !lines.is_empty() {
            found(FileMatches { path: candidate.path.clone(), lines })?;
        }
        if end.limit_hit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    end.cancelled = cancel.is_cancelled();
    end
}

/// Cuts `lines` to the first `left` matches and takes them off `left`; gives whether nothing had to go.
fn keep_matches(lines: &mut Vec<MatchedLine>, left: &mut usize) -> bool {
    let mut whole = true;
    for line in lines.iter_mut() {
        whole &= line.matches.len() <= *left;
        line.matches.truncate(*left);
        *left -= line.matches.len();
    }
    lines.retain(|line| !line.matches.is_empty());
    whole
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

fn search_file(
    root: Option<&RootFolder>,
    query: &Query,
    searcher: &mut Searcher,
    whole: &mut WholeFile,
    candidate: &Candidate,
    cancel: &CancellationToken,
) -> io::Result<Vec<MatchedLine>> {
    let mut lines = Lines { matcher: &query.matcher, cancel, lines: Vec::new(), returns: Returns::default() };
    match &candidate.text {
        Some(text) => {
            searcher.search_slice(&query.matcher, text.as_bytes(), &mut lines)?;
            lines.recount(|returns, sink| searcher.search_slice(returns, text.as_bytes(), sink))?;
        }
        None => {
            let file = root.map(|root| root.file(&candidate.path)).transpose()?.flatten();
            let Some(mut file) = file else { return Ok(Vec::new()) };
            match whole.read(&mut file)? {
                Some(bytes) => {
                    searcher.search_slice(&query.matcher, bytes, &mut lines)?;
                    lines.recount(|returns, sink| searcher.search_slice(returns, bytes, sink))?;
                }
                None => {
                    let searched = searcher.search_file(&query.matcher, &file, &mut lines).and_then(|()| {
                        lines.recount(|returns, sink| {
                            // What is behind the last match isn't read again.
                            let read = file.stream_position()?;
                            file.rewind()?;
                            searcher.search_reader(returns, (&mut file).take(read), sink)
                        })
                    });
                    if wears_out_a_searcher(&file) {
                        *searcher = implicit_searcher();
                    }
                    searched?;
                }
            }
        }
    }
    Ok(lines.lines)
}

/// Collects matching lines.
struct Lines<'a> {
    matcher: &'a RegexMatcher,
    cancel: &'a CancellationToken,
    lines: Vec<MatchedLine>,
    returns: Returns,
}

impl Lines<'_> {
    /// Has the carriage returns before each line counted, where they weren't.
    fn recount(&mut self, search: impl FnOnce(LoneReturn, Recount<'_>) -> io::Result<()>) -> io::Result<()> {
        std::mem::take(&mut self.returns).recount(&mut self.lines, search)
    }
}

impl Sink for Lines<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        // A carriage return is a part of the line for ripgrep, but not for an editor.
        let line = found.bytes().strip_suffix(b"\n").unwrap_or(found.bytes());
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        let mut matches = Vec::new();
        let collected = self.matcher.find_iter(line, |m| {
            matches.push(m.start().min(text.len())..m.end().min(text.len()));
            true
        });
        collected.map_err(io::Error::other)?;
        // The searcher counts lines from 1.
        let number = found.line_number().unwrap_or(1) - 1;
        let lone_returns = self.returns.before(found);
        self.lines.push(MatchedLine { number, lone_returns, text: text.to_vec(), matches });
        Ok(!self.cancel.is_cancelled())
    }
}

/// Items a worker may be ahead of what was taken, about: it bounds the results that wait for a slow file before them.
const AHEAD: usize = 512;
/// So few items aren't worth starting threads for.
const FEW: usize = 8;
/// Most items that a worker takes at a time: handing over each by itself would wake a thread for each.
const LONGEST_RUN: usize = 16;

/// Does `work` on each of `items` on several threads, each with a tool of its own from `tool`, and hands the results to
/// `take` on this thread, in the items' order, until it breaks off or `cancel` says so.
pub fn in_order<I: Sync, T, R: Send>(
    items: &[I],
    threads: usize,
    cancel: &CancellationToken,
    tool: impl Fn() -> T + Sync,
    work: impl Fn(&mut T, &I) -> R + Sync,
    mut take: impl FnMut(&I, R) -> ControlFlow<()>,
) {
    if threads <= 1 || items.len() <= FEW {
        let mut tool = tool();
        for item in items {
            if cancel.is_cancelled() || take(item, work(&mut tool, item)).is_break() {
                return;
            }
        }
        return;
    }
    let threads = threads.min(items.len());
    let board = Board { state: Mutex::default(), changed: Condvar::new(), stopped: AtomicBool::new(false), cancel };
    std::thread::scope(|scope| {
        // Leaving in any way, a panic of `take` included, must not leave workers waiting.
        let _stop = StopOnDrop(&board);
        for _ in 0..threads {
            scope.spawn(|| {
                let _stop = StopOnPanic(&board);
                let mut tool = tool();
                while let Some(run) = board.claim(items.len(), threads) {
                    let start = run.start;
                    let wanted = items[run].iter().take_while(|_| !board.is_over());
                    board.post(start, wanted.map(|item| work(&mut tool, item)).collect());
                }
            });
        }
        let mut items = items.iter();
        while items.len() > 0 {
            let Some(results) = board.next() else { return };
            for (result, item) in results.into_iter().zip(items.by_ref()) {
                if take(item, result).is_break() {
                    return;
                }
            }
        }
    });
}

/// Where workers claim runs of items and post their results.
struct Board<'a, R> {
    state: Mutex<BoardState<R>>,
    changed: Condvar,
    stopped: AtomicBool,
    cancel: &'a CancellationToken,
}

struct BoardState<R> {
    claimed: usize,
    taken: usize,
    /// The results of each run by its first item.
    posted: BTreeMap<usize, Vec<R>>,
}

impl<R> Default for BoardState<R> {
    fn default() -> Self {
        BoardState { claimed: 0, taken: 0, posted: BTreeMap::new() }
    }
}

impl<R> Board<'_, R> {
    /// Whether nothing more is wanted.
    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.cancel.is_cancelled()
    }

    /// The next items of `count`. Runs are shorter where few are left, so that no worker ends long after the others.
    fn claim(&self, count: usize, workers: usize) -> Option<Range<usize>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.is_over() {
                // Nobody may be left to post what the one who takes is waiting for.
                self.changed.notify_all();
                return None;
            }
            if state.claimed == count {
                return None;
            }
            if state.claimed < state.taken + AHEAD {
                let start = state.claimed;
                state.claimed += ((count - start) / (4 * workers)).clamp(1, LONGEST_RUN);
                return Some(start..state.claimed);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hands over the results of the run that begins at `start`: of all of it, or it is over.
    fn post(&self, start: usize, results: Vec<R>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.posted.insert(start, results);
        if start == state.taken || self.is_over() {
            self.changed.notify_all();
        }
    }

    /// The results of the next run, or `None` when it is over.
    fn next(&self) -> Option<Vec<R>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.is_over() {
                return None;
            }
            let at = state.taken;
            if let Some(results) = state.posted.remove(&at) {
                // Workers wait only when they are as far ahead as they may be.
                if state.claimed >= state.taken + AHEAD {
                    self.changed.notify_all();
                }
                state.taken += results.len();
                return Some(results);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn stop(&self) {
        // Under the lock: who has seen that it isn't stopped is waiting by now, and is woken.
        let _state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.stopped.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }
}

struct StopOnDrop<'a, R>(&'a Board<'a, R>);

impl<R> Drop for StopOnDrop<'_, R> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

struct StopOnPanic<'a, R>(&'a Board<'a, R>);

impl<R> Drop for StopOnPanic<'_, R> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn results_come_in_order_and_each_once() {
        for count in [0, 1, FEW, FEW + 1, 100, 3 * AHEAD + 5] {
            for threads in [1, 2, 7] {
                let items: Vec<usize> = (0..count).collect();
                let mut taken = Vec::new();
                in_order(
                    &items,
                    threads,
                    &CancellationToken::new(),
                    || (),
                    |(), item| item * 2,
                    |item, double| {
                        assert_eq!(double, item * 2);
                        taken.push(*item);
                        ControlFlow::Continue(())
                    },
                );
                assert_eq!(taken, items, "{threads} threads");
            }
        }
    }

    // A cancelled search could wait forever for a worker that had seen the same and left.
    #[test]
    fn being_cancelled_at_any_moment_ends_it() {
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let items: Vec<usize> = (0..40).collect();
            for round in 0..20_000 {
                let cancel = CancellationToken::new();
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        (0..round % 400).for_each(|_| std::hint::spin_loop());
                        cancel.cancel();
                    });
                    in_order(&items, 2, &cancel, || (), |(), item| *item, |_, _| ControlFlow::Continue(()));
                });
            }
            let _ = done.send(());
        });
        ended.recv_timeout(Duration::from_secs(120)).expect("it ends");
    }
}
