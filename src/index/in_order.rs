//! An ordered map on several threads: what is made of each item comes out in the items' order, in parts, so that
//! neither a slow item nor one with a large result makes others fill the memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// Items a worker may be ahead of what was taken, about.
const AHEAD: usize = 512;
/// Bytes of parts that wait for a slow item before them, about; who has more waits. As much again may be about to be
/// taken.
const AHEAD_BYTES: usize = 16 << 20;
/// The same, of the item that is being taken.
const FIRST_BYTES: usize = 4 << 20;
/// A worker hands over the parts that it has when they are larger than this, bytes, or have waited for so long, else at the
/// end of its run.
const POST_BYTES: usize = 64 << 10;
const POST_AFTER: Duration = Duration::from_millis(10);
/// So few items aren't worth starting threads for.
const FEW: usize = 8;
/// Most items that a worker takes at a time: handing over each by itself would wake a thread for each.
const LONGEST_RUN: usize = 16;

/// Where work on an item puts the parts of its result.
pub struct Parts<'a, R> {
    give: &'a dyn Fn(R, usize) -> bool,
    wanted: &'a dyn Fn() -> bool,
}

impl<R> Parts<'_, R> {
    /// Hands over a part, which takes about so many bytes; gives whether more is wanted. It waits while too much is
    /// waiting to be taken.
    pub fn give(&self, part: R, bytes: usize) -> bool {
        (self.give)(part, bytes)
    }

    /// Whether anything more is wanted.
    pub fn is_wanted(&self) -> bool {
        (self.wanted)()
    }

    /// `reader`, which fails once nothing more is wanted: so work on a huge file ends soon, whatever is in it.
    pub fn reading<S: Read>(&self, reader: S) -> WhileWanted<'_, S> {
        WhileWanted::new(reader, self.wanted)
    }
}

/// A reader that fails once what is read isn't wanted any more.
pub struct WhileWanted<'a, S> {
    reader: S,
    wanted: &'a dyn Fn() -> bool,
}

impl<'a, S: Read> WhileWanted<'a, S> {
    /// `reader`, as long as `wanted` says so.
    pub fn new(reader: S, wanted: &'a dyn Fn() -> bool) -> WhileWanted<'a, S> {
        WhileWanted { reader, wanted }
    }
}

impl<S: Read> Read for WhileWanted<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.wanted)() { self.reader.read(buffer) } else { Err(io::Error::other("it isn't wanted any more")) }
    }
}

/// Does `work` on each of `items` on several threads, each with a tool of its own from `tool`, and hands the parts of
/// the results to `take` on this thread, in the items' order, until it breaks off or `cancel` says so.
pub fn in_order<I: Sync, T, R: Send>(
    items: &[I],
    threads: usize,
    cancel: &CancellationToken,
    tool: impl Fn() -> T + Sync,
    work: impl Fn(&mut T, &I, &Parts<'_, R>) + Sync,
    mut take: impl FnMut(&I, R) -> ControlFlow<()>,
) {
    if threads <= 1 || items.len() <= FEW {
        let (mut tool, take, ended) = (tool(), RefCell::new(take), Cell::new(false));
        let wanted = || !ended.get() && !cancel.is_cancelled();
        for item in items.iter().take_while(|_| wanted()) {
            let give = |part, _| {
                if !ended.get() && (take.borrow_mut())(item, part).is_break() {
                    ended.set(true);
                }
                wanted()
            };
            work(&mut tool, item, &Parts { give: &give, wanted: &wanted });
        }
        return;
    }
    let threads = threads.min(items.len());
    let board = Board {
        state: Mutex::default(),
        posted: Condvar::new(),
        room: Condvar::new(),
        stopped: AtomicBool::new(false),
        cancel,
    };
    std::thread::scope(|scope| {
        // Leaving in any way, a panic of `take` included, must not leave workers waiting.
        let _stop = StopOnDrop(&board);
        for _ in 0..threads {
            scope.spawn(|| {
                let _stop = StopOnPanic(&board);
                let mut tool = tool();
                while let Some((number, run)) = board.claim(items.len(), threads) {
                    board.work_on(number, &items[run], |item, parts| work(&mut tool, item, parts));
                }
            });
        }
        let mut items = items.iter().peekable();
        while items.peek().is_some() {
            let Some(posts) = board.next() else { return };
            for post in posts {
                match (post, items.peek()) {
                    (Post::Part(part), Some(item)) => {
                        if take(item, part).is_break() {
                            return;
                        }
                    }
                    (Post::End, _) | (_, None) => drop(items.next()),
                }
            }
        }
    });
}

/// What a worker hands over.
enum Post<R> {
    /// A part of the result of the item it works on.
    Part(R),
    /// There are no more parts of it.
    End,
}

/// Items that a worker has claimed.
struct Run<R> {
    /// The first of them.
    start: usize,
    /// How many of them aren't wholly taken.
    left: usize,
    /// What waits to be taken, and its bytes.
    posts: Vec<Post<R>>,
    bytes: usize,
}

/// Where workers claim runs of items and post the parts of their results.
struct Board<'a, R> {
    state: Mutex<BoardState<R>>,
    /// Something was posted that can be taken.
    posted: Condvar,
    /// Something was taken.
    room: Condvar,
    stopped: AtomicBool,
    cancel: &'a CancellationToken,
}

struct BoardState<R> {
    claimed: usize,
    /// Runs that aren't wholly taken; the first is what is taken next.
    runs: VecDeque<Run<R>>,
    /// Runs that are: the number of the first of `runs`.
    taken: usize,
    /// Of all that waits to be taken.
    bytes: usize,
    /// Workers that wait for room.
    waiting: usize,
}

impl<R> Default for BoardState<R> {
    fn default() -> Self {
        BoardState { claimed: 0, runs: VecDeque::new(), taken: 0, bytes: 0, waiting: 0 }
    }
}

/// Posts of a run that weren't handed over yet.
struct Pending<R> {
    posts: Vec<Post<R>>,
    bytes: usize,
    since: Instant,
}

impl<R> Pending<R> {
    fn new() -> Pending<R> {
        Pending { posts: Vec::new(), bytes: 0, since: Instant::now() }
    }
}

impl<R> Board<'_, R> {
    /// Whether nothing more is wanted.
    fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.cancel.is_cancelled()
    }

    /// The next items of `count`, and their run's number. Runs are shorter where few are left, so that no worker ends
    /// long after the others.
    fn claim(&self, count: usize, workers: usize) -> Option<(usize, Range<usize>)> {
        let mut state = self.state.lock();
        loop {
            if self.is_over() {
                // Nobody may be left to post what the one who takes is waiting for.
                self.posted.notify_all();
                return None;
            }
            if state.claimed == count {
                return None;
            }
            let taken = state.runs.front().map_or(state.claimed, |run| run.start);
            if state.claimed < taken + AHEAD {
                let start = state.claimed;
                state.claimed += ((count - start) / (4 * workers)).clamp(1, LONGEST_RUN);
                let run = start..state.claimed;
                state.runs.push_back(Run { start, left: run.len(), posts: Vec::new(), bytes: 0 });
                return Some((state.taken + state.runs.len() - 1, run));
            }
            self.wait_for_room(&mut state);
        }
    }

    /// Works on a run, until nothing more is wanted.
    fn work_on<I>(&self, number: usize, run: &[I], mut work: impl FnMut(&I, &Parts<'_, R>)) {
        let pending = RefCell::new(Pending::new());
        let post = || {
            let Pending { posts, bytes, .. } = pending.replace(Pending::new());
            self.post(number, posts, bytes)
        };
        let wanted = || {
            // A slow item doesn't keep back those before it.
            let is_due = {
                let pending = pending.borrow();
                !pending.posts.is_empty() && pending.since.elapsed() >= POST_AFTER
            };
            if is_due { post() } else { !self.is_over() }
        };
        let give = |part, bytes| {
            let all = {
                let mut pending = pending.borrow_mut();
                pending.posts.push(Post::Part(part));
                pending.bytes += bytes;
                pending.bytes
            };
            if all >= POST_BYTES { post() } else { wanted() }
        };
        for item in run.iter().take_while(|_| wanted()) {
            work(item, &Parts { give: &give, wanted: &wanted });
            pending.borrow_mut().posts.push(Post::End);
        }
        post();
    }

    /// Hands over posts of a run, as soon as there is room for them; gives whether more is wanted.
    fn post(&self, number: usize, posts: Vec<Post<R>>, bytes: usize) -> bool {
        let mut state = self.state.lock();
        loop {
            if self.is_over() {
                self.posted.notify_all();
                return false;
            }
            let (all, at) = (state.bytes, number - state.taken);
            let Some(run) = state.runs.get_mut(at) else { return false };
            // What is taken next waits for nobody else, or all would wait for each other.
            let has_room = if at == 0 { run.bytes < FIRST_BYTES } else { all < AHEAD_BYTES };
            if has_room {
                run.posts.extend(posts);
                run.bytes += bytes;
                state.bytes += bytes;
                if at == 0 {
                    self.posted.notify_all();
                }
                return true;
            }
            self.wait_for_room(&mut state);
        }
    }

    fn wait_for_room(&self, state: &mut MutexGuard<'_, BoardState<R>>) {
        state.waiting += 1;
        self.room.wait(state);
        state.waiting -= 1;
    }

    /// What is to be taken next, or `None` when it is over.
    fn next(&self) -> Option<Vec<Post<R>>> {
        let mut state = self.state.lock();
        loop {
            if self.is_over() {
                return None;
            }
            if let Some(run) = state.runs.front_mut().filter(|run| !run.posts.is_empty()) {
                let (posts, bytes) = (std::mem::take(&mut run.posts), std::mem::take(&mut run.bytes));
                run.left -= posts.iter().filter(|post| matches!(post, Post::End)).count();
                let is_whole = run.left == 0;
                state.bytes -= bytes;
                if is_whole {
                    state.runs.pop_front();
                    state.taken += 1;
                }
                if state.waiting > 0 {
                    self.room.notify_all();
                }
                return Some(posts);
            }
            self.posted.wait(&mut state);
        }
    }

    fn stop(&self) {
        // Under the lock: who has seen that it isn't stopped is waiting by now, and is woken.
        let _state = self.state.lock();
        self.stopped.store(true, Ordering::Relaxed);
        self.posted.notify_all();
        self.room.notify_all();
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
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    #[test]
    fn parts_come_in_order_and_each_once() {
        for count in [0, 1, FEW, FEW + 1, 100, 3 * AHEAD + 5] {
            for (threads, bytes) in [(1, 1), (2, 1), (7, 1), (2, POST_BYTES), (7, FIRST_BYTES), (3, 2 * AHEAD_BYTES)] {
                let items: Vec<usize> = (0..count).collect();
                let parts_of = |item: usize| (0..item % 4).map(move |part| (item, part));
                let mut taken = Vec::new();
                let work = |(): &mut (), item: &usize, parts: &Parts<'_, (usize, usize)>| {
                    assert!(parts_of(*item).all(|part| parts.give(part, bytes)));
                };
                in_order(
                    &items,
                    threads,
                    &CancellationToken::new(),
                    || (),
                    work,
                    |item, part| {
                        assert_eq!(*item, part.0);
                        taken.push(part);
                        ControlFlow::Continue(())
                    },
                );
                let all: Vec<_> = items.iter().copied().flat_map(parts_of).collect();
                assert_eq!(taken, all, "{threads} threads, parts of {bytes} bytes");
            }
        }
    }

    /// A slow item made those behind it fill the memory, and a single one with much to give did so by itself.
    #[test]
    fn parts_that_wait_are_bounded_in_bytes() {
        const PART: usize = 1 << 20;
        for slow in [0, 5] {
            let items: Vec<usize> = (0..100).collect();
            let (given, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
            // All others have as much as they may before the slow one gives anything.
            let settled = |given: &AtomicUsize| {
                let mut seen = given.load(Ordering::SeqCst);
                loop {
                    std::thread::sleep(Duration::from_millis(20));
                    match std::mem::replace(&mut seen, given.load(Ordering::SeqCst)) {
                        before if before == seen => return,
                        _ => {}
                    }
                }
            };
            let work = |(): &mut (), item: &usize, parts: &Parts<'_, ()>| {
                if *item == slow {
                    settled(&given);
                }
                for _ in 0..20 {
                    most.fetch_max(given.fetch_add(PART, Ordering::SeqCst) + PART, Ordering::SeqCst);
                    parts.give((), PART);
                }
            };
            in_order(
                &items,
                3,
                &CancellationToken::new(),
                || (),
                work,
                |_, ()| {
                    given.fetch_sub(PART, Ordering::SeqCst);
                    ControlFlow::Continue(())
                },
            );
            assert!(most.into_inner() <= 2 * AHEAD_BYTES + FIRST_BYTES + 6 * PART);
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
                // Some wait for room when it ends.
                let bytes = if round % 2 == 0 { 1 } else { AHEAD_BYTES };
                let work = |(): &mut (), item: &usize, parts: &Parts<'_, usize>| _ = parts.give(*item, bytes);
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        (0..round % 400).for_each(|_| std::hint::spin_loop());
                        cancel.cancel();
                    });
                    in_order(&items, 2, &cancel, || (), work, |_, _| ControlFlow::Continue(()));
                });
            }
            let _ = done.send(());
        });
        ended.recv_timeout(Duration::from_secs(120)).expect("it ends");
    }

    /// A search that had what it wanted waited for other files to be read to their ends.
    #[test]
    fn readers_end_when_nothing_more_is_wanted() {
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            let items: Vec<usize> = (0..40).collect();
            let work = |(): &mut (), item: &usize, parts: &Parts<'_, ()>| match item {
                0 => _ = parts.give((), 1),
                _ => assert!(io::copy(&mut parts.reading(io::repeat(0)), &mut io::sink()).is_err()),
            };
            in_order(&items, 2, &CancellationToken::new(), || (), work, |_, ()| ControlFlow::Break(()));
            let _ = done.send(());
        });
        ended.recv_timeout(Duration::from_secs(120)).expect("it ends");
    }
}
