//! The one task that owns an open codebase: it decides when to look, when to sync, and what to tell.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::look::{self, PathsLooked, TreeLooked};
use super::shared::{Shared, on_background_thread};
use super::show::Show;
use super::state::{CodebaseState, Health, IndexState, Phase, Progress, QueuedBatch, Stage};
use super::symbols;
use crate::core::cache::QueueItem;
use crate::core::{BatchId, Dirty, Owner as LineOwner};
use crate::index::symbols::PackId;
use crate::index::{Generation, IndexError};
use crate::sync::{Debounce, Enqueued, SyncManager, SyncOutcome, Verdict};
use crate::watch::tree::WalkError;
use crate::watch::{Sight, repository};

/// What others ask of the owner.
pub(super) enum Command {
    /// Say when everything that happened so far has been looked at; the answer is whether nothing can be missing.
    CatchUp(oneshot::Sender<bool>),
    /// Compare the whole tree, sync the difference, give the outcome.
    Sync(oneshot::Sender<SyncOutcome>),
    /// Put no batch in line; answered when the state shows it.
    Pause(oneshot::Sender<()>),
    /// Put batches in line again; answered when the state shows it.
    Resume(oneshot::Sender<()>),
    /// Forget the index and build it anew.
    Rebuild,
    /// A search found the index damaged.
    Damaged,
    /// A search found these symbols damaged.
    DamagedSymbols(Vec<PackId>),
    /// Compare the whole tree: what is ignored may have changed unseen.
    LookAgain,
}

/// What work that was started brings back.
enum Event {
    LookedAtTree(Result<TreeLooked, WalkError>),
    LookedAtPaths(PathsLooked),
    LookBroke,
    /// What no event tells was compared; parts that raise none took so long.
    Pulsed(Option<Duration>),
    /// Whether git is rewriting the tree.
    LookedAtGit(bool),
    InLine(QueuedBatch, usize),
    Ended(Ended),
    Queue(Vec<QueueItem>),
    MayAsk,
    Forgotten(Result<Dirty, IndexError>),
    ForgettingBroke,
    Tidied,
    SymbolsDone(Result<Generation, String>),
}

/// How a batch ended, and who asked for it.
struct Ended {
    outcome: SyncOutcome,
    /// It is that of another batch, which took this one's changes in.
    is_joined: bool,
    requests: Vec<oneshot::Sender<SyncOutcome>>,
}

/// First pause after a failed sync; it doubles up to the longest.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// How often a root that went away is looked for.
const ROOT_RETRY: Duration = Duration::from_secs(2);
/// How often what no event tells is compared with what it was, where nobody asks.
const PULSE: Duration = Duration::from_secs(1);
/// Pause after a look at the line, for each 20 batches in it.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
const MOST_LOOK_PAUSES: u32 = 50;
/// So many changed files may be the first of many more, if git is at work.
const MANY: usize = 200;
/// How long a batch of many files waits for git to be done. Searches read what is pending meanwhile.
const LONGEST_REWRITE: Duration = Duration::from_secs(10);

pub(super) struct Owner {
    shared: Arc<Shared>,
    syncs: SyncManager,
    commands: mpsc::Receiver<Command>,
    events: mpsc::UnboundedReceiver<Event>,
    /// As many events come as work was started: one look, and for each batch three.
    report: mpsc::UnboundedSender<Event>,

    // Looking.
    looking: bool,
    look_at_tree: bool,
    looks_started: u64,
    looks_finished: u64,
    /// Looks at the tree that came to an end.
    tree_seen: bool,
    waiting: Vec<(u64, oneshot::Sender<bool>)>,
    sync_requests: Vec<(u64, oneshot::Sender<SyncOutcome>)>,
    /// Answers to those, which go out once the state that they are about has been shown: whoever asks for the state after
    /// such an answer must not see an older one.
    answers: Vec<(oneshot::Sender<SyncOutcome>, SyncOutcome)>,
    /// The same of those who paused or resumed.
    to_be_shown: Vec<oneshot::Sender<()>>,
    next_walk: Option<Instant>,
    /// When what no event tells is compared next; `None` while it is.
    next_pulse: Option<Instant>,
    /// When parts of the tree that raise no events are.
    next_poll: Option<Instant>,

    // Syncing.
    pending: Dirty,
    debounce: Debounce,
    /// A burst of changes has ended, unless git is still at work on it, which is being looked at.
    looking_at_git: bool,
    paused: bool,
    retry_at: Option<Instant>,
    retry_after: Duration,
    tidying: bool,
    /// What is damaged is being taken out.
    mending: bool,

    // Symbols.
    symbols_wanted: bool,
    /// These are damaged, and what they know is to be parsed again.
    symbols_damaged: BTreeSet<PackId>,
    symbols_running: bool,
    symbols_at: Option<Instant>,
    /// The index whose symbols are known.
    symbols_of: Option<Generation>,

    // Telling.
    queue: Vec<QueueItem>,
    /// The line is being looked at, or was a moment ago.
    asking: bool,
    /// It has changed since.
    ask_again: bool,
    /// A batch of ours has got in line, and `queue` doesn't show it yet.
    queue_lags: bool,
    last_sync: Option<SyncOutcome>,
    problems: Problems,
    show: Show,
}

/// What isn't as it should be, one sentence each.
#[derive(Default)]
struct Problems {
    index: Option<String>,
    root: Option<String>,
    unreadable: Option<String>,
    /// An ignore file isn't one.
    odd: Option<String>,
    /// The last walk can't be trusted.
    descriptors: Option<String>,
    sync: Option<String>,
    symbols: Option<String>,
}

impl Owner {
    /// The owner of `shared`, and the state it will tell. `problems` are those found when the index was opened.
    pub(super) fn new(
        shared: Arc<Shared>,
        syncs: SyncManager,
        commands: mpsc::Receiver<Command>,
        problems: Vec<String>,
    ) -> (Owner, watch::Receiver<Arc<CodebaseState>>) {
        let (report, events) = mpsc::unbounded_channel();
        let sync = &shared.settings.sync;
        let debounce = Debounce::new(sync.debounce, sync.max_wait);
        let mut owner = Owner {
            syncs,
            commands,
            events,
            report,
            looking: false,
            look_at_tree: true,
            looks_started: 0,
            looks_finished: 0,
            tree_seen: false,
            waiting: Vec::new(),
            sync_requests: Vec::new(),
            answers: Vec::new(),
            to_be_shown: Vec::new(),
            next_walk: None,
            next_pulse: Some(Instant::now() + PULSE),
            next_poll: None,
            pending: Dirty::nothing(),
            debounce,
            looking_at_git: false,
            paused: false,
            retry_at: None,
            retry_after: FIRST_RETRY,
            tidying: false,
            mending: false,
            symbols_wanted: false,
            symbols_damaged: BTreeSet::new(),
            symbols_running: false,
            symbols_at: None,
            symbols_of: None,
            queue: Vec::new(),
            asking: false,
            ask_again: false,
            queue_lags: false,
            last_sync: None,
            problems: Problems { index: problems.into_iter().next(), ..Problems::default() },
            show: Show::default(),
            shared,
        };
        let (tell, state) = watch::channel(Arc::new(owner.state()));
        owner.show.tell_by(tell);
        (owner, state)
    }

    pub(super) async fn run(mut self) {
        let shared = self.shared.clone();
        let mut line = self.syncs.watch_queue(&shared.codebase.id);
        let mut standing = self.syncs.cache().failover_state();
        loop {
            self.start_look();
            self.answer_waiting();
            self.start_symbols();
            self.tell();
            let can_look = !self.looking;
            tokio::select! {
                () = shared.cancel.cancelled() => return,
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                Some(event) = self.events.recv() => self.event(event),
                () = shared.watcher.changed(), if can_look => {}
                _ = line.changed() => self.ask_for_queue(),
                _ = standing.changed() => {}
                () = shared.progressed.notified() => {}
                () = until(self.debounce.deadline()), if !self.paused && !self.looking_at_git => self.burst_ended(),
                () = until(self.retry_at) => self.retry(),
                () = until(self.next_walk) => self.look_at_tree = true,
                () = until(self.next_pulse) => self.pulse(),
                () = until(self.symbols_at) => {
                    self.symbols_at = None;
                    self.symbols_wanted = true;
                }
                () = until(self.show.due()) => {}
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::CatchUp(answer) => self.waiting.push((self.look_to_wait_for(), answer)),
            Command::Sync(answer) => {
                self.look_at_tree = true;
                self.sync_requests.push((self.look_to_wait_for(), answer));
            }
            Command::Pause(shown) => {
                self.paused = true;
                self.to_be_shown.push(shown);
            }
            Command::Resume(shown) => {
                self.paused = false;
                self.to_be_shown.push(shown);
            }
            Command::LookAgain => self.look_at_tree = true,
            Command::Rebuild => self.in_background(Event::ForgettingBroke, |shared| {
                shared.symbols.clear();
                Event::Forgotten(shared.index.clear(&shared.overlay).map(|()| Dirty::Everything))
            }),
            Command::DamagedSymbols(packs) => {
                self.symbols_damaged.extend(packs);
                self.symbols_of = None;
                self.symbols_wanted = true;
            }
            // Every search that meets damage says so.
            Command::Damaged if std::mem::replace(&mut self.mending, true) => {}
            Command::Damaged => self.in_background(Event::ForgettingBroke, |shared| {
                let lost = shared.index.forget_damaged(&shared.overlay);
                Event::Forgotten(lost.map(|paths| paths.into_iter().collect()))
            }),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::LookedAtTree(looked) => self.looked_at_tree(looked),
            Event::LookedAtPaths(PathsLooked::Dirty(dirty)) => {
                self.look_ended();
                if !dirty.is_empty() {
                    self.pending.join(dirty);
                    self.debounce.touch(Instant::now());
                }
            }
            Event::LookedAtPaths(PathsLooked::TooMuch) => {
                // The look at the tree that comes next ends this one, too.
                self.looking = false;
                self.look_at_tree = true;
            }
            Event::LookBroke => {
                self.look_ended();
                self.problems.root =
                    Some("looking at changes broke off by a fault of syncline; its log says where".to_owned());
                self.next_walk = Some(Instant::now() + LONGEST_RETRY);
            }
            Event::Pulsed(polled) => {
                let now = Instant::now();
                self.next_pulse = Some(now + PULSE);
                let pause = polled.map(|took| (took * 30).clamp(ROOT_RETRY, LONGEST_RETRY));
                self.next_poll = pause.map(|pause| self.next_poll.filter(|next| *next > now).unwrap_or(now + pause));
            }
            Event::LookedAtGit(is_at_work) => {
                self.looking_at_git = false;
                let is_held = is_at_work && self.debounce.hold(Instant::now(), LONGEST_REWRITE);
                if !is_held && !self.paused {
                    self.submit();
                }
            }
            Event::InLine(batch, _) if self.is_syncing(batch.id) => {}
            Event::InLine(batch, position) => {
                // It may be at its turn by now; that it waited is worth showing, unless its turn was shown already.
                let mut waiting = self.state();
                (waiting.phase, waiting.position) = (Phase::Waiting, Some(position));
                waiting.queue.retain(|other| other.id != batch.id);
                waiting.queue.insert(position.min(waiting.queue.len()), batch);
                self.show.add(waiting);
                self.queue_lags = true;
                self.ask_for_queue();
            }
            Event::Queue(queue) => {
                // Unless this look began too early to show it.
                self.queue_lags &= self.ask_again;
                self.queue = queue;
            }
            Event::MayAsk => {
                self.asking = false;
                if std::mem::take(&mut self.ask_again) {
                    self.ask_for_queue();
                }
            }
            Event::Ended(Ended { outcome, is_joined, requests }) => {
                // Batches that joined one another end with the same outcome, which each tells of.
                let is_told =
                    |last: &SyncOutcome| last.id == outcome.id || is_joined && outcome.finished_at < last.finished_at;
                if !self.last_sync.as_ref().is_some_and(is_told) {
                    self.synced(outcome.clone());
                }
                self.answers.extend(requests.into_iter().map(|request| (request, outcome.clone())));
            }
            Event::Forgotten(forgotten) => {
                self.mending = false;
                match forgotten {
                    Ok(Dirty::Everything) => self.look_at_tree = true,
                    Ok(lost) if lost.is_empty() => {}
                    Ok(lost) => {
                        self.problems.index = Some("a part of the index was damaged and is being rebuilt".to_owned());
                        self.pending.join(lost);
                        self.debounce.touch(Instant::now());
                    }
                    Err(error) => self.failed(error.to_string()),
                }
            }
            Event::ForgettingBroke => {
                self.mending = false;
                self.failed("mending the index broke off by a fault of syncline; its log says where".to_owned());
            }
            Event::Tidied => {
                self.tidying = false;
                self.symbols_wanted = true;
            }
            Event::SymbolsDone(done) => {
                self.symbols_running = false;
                match done {
                    Ok(generation) => {
                        self.symbols_of = Some(generation);
                        self.problems.symbols = None;
                    }
                    Err(sentence) => {
                        tracing::warn!(codebase = %self.shared.root().display(), "{sentence}");
                        self.problems.symbols = Some(sentence);
                        self.symbols_at = Some(Instant::now() + LONGEST_RETRY);
                    }
                }
            }
        }
        self.shared.watcher.doubt(self.shared.index.take_doubts());
    }

    // Looking.

    /// The look after which everything that has happened by now will have been looked at.
    fn look_to_wait_for(&self) -> u64 {
        self.looks_started + u64::from(self.look_at_tree || self.shared.watcher.has_changes())
    }

    fn start_look(&mut self) {
        if self.looking || !self.look_at_tree && !self.shared.watcher.has_changes() {
            return;
        }
        self.looking = true;
        self.looks_started += 1;
        let changes = self.shared.watcher.take();
        if std::mem::take(&mut self.look_at_tree) || changes.everything {
            self.shared.set_progress(Some(Progress { done: 0, total: 0, stage: Stage::Scan }));
            self.look(|shared| Event::LookedAtTree(look::at_tree(shared)));
        } else {
            self.look(|shared| Event::LookedAtPaths(look::at_paths(shared, changes)));
        }
    }

    fn look(&self, look: impl FnOnce(&Shared) -> Event + Send + 'static) {
        let (shared, report) = (self.shared.clone(), self.report.clone());
        tokio::spawn(async move {
            let looked = tokio::task::spawn_blocking(move || look(&shared)).await;
            // The owner may have gone.
            let _ = report.send(looked.unwrap_or(Event::LookBroke));
        });
    }

    /// Compares what no event tells with what it was, so that the index follows though nobody asks.
    fn pulse(&mut self) {
        if self.shared.watcher.sight() != Sight::Events {
            self.next_pulse = Some(Instant::now() + PULSE);
            return;
        }
        self.next_pulse = None;
        let polls = self.next_poll.is_none_or(|next| next <= Instant::now());
        let (shared, report) = (self.shared.clone(), self.report.clone());
        tokio::spawn(async move {
            let polled = tokio::task::spawn_blocking(move || look::pulse(&shared, polls)).await;
            // The owner may have gone.
            let _ = report.send(Event::Pulsed(polled.unwrap_or_default()));
        });
    }

    fn look_ended(&mut self) {
        self.looking = false;
        // One look at a time: whatever was begun is over.
        self.looks_finished = self.looks_started;
    }

    fn looked_at_tree(&mut self, looked: Result<TreeLooked, WalkError>) {
        self.look_ended();
        if self.shared.progress().is_some_and(|progress| progress.stage == Stage::Scan) {
            self.shared.set_progress(None);
        }
        let now = Instant::now();
        match looked {
            Ok(looked) => {
                self.tree_seen = true;
                self.problems.root = None;
                self.problems.unreadable = unreadable(&looked.unreadable);
                self.problems.odd = looked.odd.into_iter().next();
                self.problems.descriptors = looked.lacked_descriptors.then(too_few_descriptors);
                self.next_walk = self.walk_pause(looked.took).map(|pause| now + pause);
                if looked.differing > 0 {
                    self.pending = Dirty::Everything;
                }
                if looked.differing == 0 && self.pending.is_empty() {
                    // What was damaged has been rebuilt or was nothing.
                    self.problems.index = None;
                    self.symbols_wanted = true;
                    self.tidy();
                }
                let requested = self.sync_requests.iter().any(|(look, _)| *look <= self.looks_finished);
                match () {
                    () if requested => self.submit(),
                    () if looked.differing > 0 => {
                        self.debounce.touch(now);
                        self.burst_ended();
                    }
                    () => {}
                }
            }
            Err(WalkError::Cancelled) => {}
            Err(error @ WalkError::RootGone(_)) => {
                self.problems.root = Some(error.to_string());
                self.next_walk = Some(now + ROOT_RETRY);
                let requests = self.sync_requests.drain(..).map(|(_, request)| request);
                self.answers.extend(requests.map(|request| (request, failed_outcome(error.to_string()))));
            }
        }
    }

    /// How long until the tree is walked again, where events don't tell.
    fn walk_pause(&self, took: Duration) -> Option<Duration> {
        match self.shared.watcher.sight() {
            _ if self.problems.descriptors.is_some() => Some((took * 30).clamp(ROOT_RETRY, LONGEST_RETRY)),
            Sight::Nothing => None,
            Sight::Events if self.shared.watcher.trouble().is_none() => None,
            // A few percent of one core at most.
            Sight::Walks => Some((took * 30).clamp(Duration::from_secs(2), Duration::from_secs(60))),
            Sight::Events => Some((took * 50).clamp(Duration::from_secs(10), Duration::from_secs(300))),
        }
    }

    fn answer_waiting(&mut self) {
        let certain = self.tree_seen
            && self.problems.root.is_none()
            && self.problems.descriptors.is_none()
            && self.shared.watcher.sight() == Sight::Events
            && self.shared.watcher.trouble().is_none();
        let finished = self.looks_finished;
        for (_, answer) in self.waiting.extract_if(.., |(look, _)| *look <= finished) {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(certain);
        }
    }

    // Syncing.

    /// Puts what is pending in line, unless git is about to add to it.
    fn burst_ended(&mut self) {
        if self.paused || self.looking_at_git {
            return;
        }
        if self.shared.overlay.view().len() < MANY {
            return self.submit();
        }
        self.looking_at_git = true;
        let (shared, report) = (self.shared.clone(), self.report.clone());
        tokio::spawn(async move {
            let looked = tokio::task::spawn_blocking(move || repository::is_being_rewritten(shared.root())).await;
            // The owner may have gone.
            let _ = report.send(Event::LookedAtGit(looked.unwrap_or(false)));
        });
    }

    /// Puts what is pending in line.
    fn submit(&mut self) {
        self.debounce.clear();
        let finished = self.looks_finished;
        let requests: Vec<_> =
            self.sync_requests.extract_if(.., |(look, _)| *look <= finished).map(|(_, r)| r).collect();
        let dirty = std::mem::replace(&mut self.pending, Dirty::nothing());
        if dirty.is_empty() && requests.is_empty() {
            return;
        }
        let (shared, syncs, report) = (self.shared.clone(), self.syncs.clone(), self.report.clone());
        tokio::spawn(async move {
            // The owner may have gone.
            let enqueued = syncs.enqueue(shared, dirty).await;
            let position = enqueued.position;
            if let Some(position) = position {
                let _ = report.send(Event::InLine(as_queued(&enqueued, syncs.owner()), position));
            }
            let outcome = enqueued.outcome().await;
            let _ = report.send(Event::Ended(Ended { outcome, is_joined: position.is_none(), requests }));
        });
    }

    fn synced(&mut self, outcome: SyncOutcome) {
        self.queue.retain(|item| item.batch.id != outcome.id);
        self.ask_for_queue();
        match outcome.verdict {
            Verdict::Synced => {
                // Whatever it was that failed, it may have kept more from being seen.
                self.look_at_tree |= self.problems.sync.take().is_some();
                self.retry_at = None;
                self.retry_after = FIRST_RETRY;
                self.symbols_wanted = true;
                if self.shared.overlay.view().is_empty() {
                    self.problems.index = None;
                    self.tidy();
                }
            }
            Verdict::Failed => self.failed(outcome.error.clone().unwrap_or_default()),
            Verdict::Superseded => {
                self.failed("the batch left the line before its turn; its changes are synced again".to_owned())
            }
        }
        self.last_sync = Some(outcome);
    }

    fn failed(&mut self, sentence: String) {
        tracing::warn!(codebase = %self.shared.root().display(), "{sentence}");
        self.problems.sync = Some(sentence);
        self.retry_at = Some(Instant::now() + self.retry_after);
        self.retry_after = (self.retry_after * 2).min(LONGEST_RETRY);
    }

    fn retry(&mut self) {
        self.retry_at = None;
        if self.shared.overlay.view().is_empty() {
            self.problems.sync = None;
            return;
        }
        self.pending = Dirty::Everything;
        match self.paused {
            // Until it is resumed.
            true => self.debounce.touch(Instant::now()),
            false => self.submit(),
        }
    }

    /// Merges segments, if that is worth it.
    fn tidy(&mut self) {
        if !std::mem::replace(&mut self.tidying, true) {
            self.in_background(Event::Tidied, |shared| {
                while !shared.cancel.is_cancelled() {
                    match shared.index.merge(&shared.overlay) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            tracing::warn!(%error, "can't merge segments; it is tried again after the next sync");
                            break;
                        }
                    }
                }
                Event::Tidied
            });
        }
    }

    /// Brings the symbols up to date with the index, if something has been committed since they were.
    fn start_symbols(&mut self) {
        let may = !self.paused && !self.symbols_running && self.shared.settings.index.symbols;
        let wanted = may && std::mem::take(&mut self.symbols_wanted);
        if wanted && self.symbols_of != Some(self.shared.index.snapshot().generation) {
            self.symbols_running = true;
            let (shared, report, cache) = (self.shared.clone(), self.report.clone(), self.syncs.cache().clone());
            let damaged = std::mem::take(&mut self.symbols_damaged);
            tokio::spawn(async move {
                let work = move || symbols::bring_up_to_date(&shared, &cache, damaged);
                let done = on_background_thread("syncline-symbols", work).await;
                let broke =
                    || Err("parsing for symbols broke off by a fault of syncline; its log says where".to_owned());
                // The owner may have gone.
                let _ = report.send(Event::SymbolsDone(done.unwrap_or_else(broke)));
            });
        }
    }

    /// Does `work`, which ends with an event: `broke`, when it breaks off.
    fn in_background(&self, broke: Event, work: impl FnOnce(&Shared) -> Event + Send + 'static) {
        let (shared, report) = (self.shared.clone(), self.report.clone());
        tokio::spawn(async move {
            let event = on_background_thread("syncline-tidy", move || work(&shared)).await;
            // The owner may have gone.
            let _ = report.send(event.unwrap_or(broke));
        });
    }

    /// Looks at the line, one look at a time: what changes meanwhile is seen by the next. Long lines are looked at less
    /// often, since each look takes as long as they are.
    fn ask_for_queue(&mut self) {
        if std::mem::replace(&mut self.asking, true) {
            self.ask_again = true;
            return;
        }
        let pause = LOOK_PAUSE * u32::try_from(self.queue.len() / 20).unwrap_or(u32::MAX).min(MOST_LOOK_PAUSES);
        let (syncs, id, report) = (self.syncs.clone(), self.shared.codebase.id.clone(), self.report.clone());
        tokio::spawn(async move {
            // The owner may have gone.
            let _ = report.send(Event::Queue(syncs.queue(&id).await));
            tokio::time::sleep(pause).await;
            let _ = report.send(Event::MayAsk);
        });
    }

    // Telling.

    fn tell(&mut self) {
        if !self.queue_lags {
            let state = self.state();
            self.show.add(state);
        }
        self.show.pass();
        if !self.queue_lags && self.show.due().is_none() {
            for (request, outcome) in self.answers.drain(..) {
                // Whoever asked may have gone.
                let _ = request.send(outcome);
            }
            for shown in self.to_be_shown.drain(..) {
                let _ = shown.send(());
            }
        }
    }

    /// Whether a look at the line has seen a batch at its turn.
    fn is_syncing(&self, id: BatchId) -> bool {
        self.queue.iter().any(|item| item.batch.id == id && item.token.is_some())
    }

    fn state(&self) -> CodebaseState {
        let queue: Vec<_> = self
            .queue
            .iter()
            .map(|item| QueuedBatch {
                id: item.batch.id,
                created_at: item.batch.created_at,
                owner: item.batch.owner.clone(),
                is_own: item.batch.owner == *self.syncs.owner(),
                files: item.files,
                syncing: item.token.is_some(),
            })
            .collect();
        let position = queue.iter().position(|batch| batch.is_own);
        let scanning = self.looking && self.shared.progress().is_some_and(|p| p.stage == Stage::Scan);
        let phase = match position {
            _ if self.paused && position.is_none() => Phase::Paused,
            Some(at) if queue[at].syncing => Phase::Syncing,
            Some(_) => Phase::Waiting,
            None if scanning && !self.tree_seen => Phase::Syncing,
            None => Phase::Idle,
        };
        let (snapshot, dirty) = self.shared.index.with_newer(&self.shared.overlay);
        let pending = dirty.len();
        let settled = pending == 0 && !self.looking && !self.look_at_tree && !self.shared.watcher.has_changes();
        let index = IndexState {
            generation: snapshot.generation,
            files: snapshot.files(),
            symbols: self.shared.symbols.symbols(),
            bytes: snapshot.bytes() + self.shared.symbols.bytes(),
            pending,
            fresh: settled && self.tree_seen && self.problems.root.is_none() && self.problems.descriptors.is_none(),
        };
        CodebaseState {
            codebase: self.shared.codebase.clone(),
            backend: self.syncs.cache().backend(),
            health: self.health(),
            settings_problems: self.shared.origin.problems(),
            phase,
            position,
            queue,
            progress: self.shared.progress().or_else(|| self.shared.symbol_progress()),
            last_sync: self.last_sync.clone(),
            index,
            symbols_pending: self.shared.settings.index.symbols
                && (self.symbols_running || self.tidying || self.symbols_wanted && !self.paused),
            symbols_known: index.fresh && self.symbols_of == Some(snapshot.generation),
        }
    }

    fn health(&self) -> Health {
        let Problems { index, root, unreadable, odd, descriptors, sync, symbols } = &self.problems;
        if let Some(sentence) = root {
            return Health::Error(sentence.clone());
        }
        let trouble = self.shared.watcher.trouble();
        let line = self.syncs.cache().failover_state().borrow().problem().map(str::to_owned);
        let unlisted = unlisted(&self.shared.watcher.unlisted());
        let settings = self.shared.origin.unread();
        let problems = [descriptors, sync, &trouble, &line, index, odd, &unlisted, unreadable, symbols, &settings];
        match problems.into_iter().find_map(Option::as_ref) {
            Some(sentence) => Health::Degraded(sentence.clone()),
            None => Health::Ok,
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn unlisted(folders: &[(PathBuf, String)]) -> Option<String> {
    let (folder, why) = folders.first()?;
    let more = match folders.len() {
        1 => String::new(),
        count => format!(", and {} more can't", count - 1),
    };
    Some(format!("{} can't be listed ({why}){more}: answers lack what is in it until it can be", folder.display()))
}

fn unreadable(problems: &[String]) -> Option<String> {
    let first = problems.first()?;
    Some(match problems.len() {
        1 => format!("a folder or file can't be looked at, so answers lack it: {first}"),
        count => format!("{count} folders or files can't be looked at, so answers lack them; the first: {first}"),
    })
}

fn too_few_descriptors() -> String {
    "the process has too few file descriptors left to tell which files are ignored; the tree is looked at again until \
     it has more: close codebases, or raise its limit (ulimit -n) and start it again"
        .to_owned()
}

fn failed_outcome(error: String) -> SyncOutcome {
    SyncOutcome::unsynced(BatchId::new(), Verdict::Failed, Some(error))
}

fn as_queued(enqueued: &Enqueued, owner: &LineOwner) -> QueuedBatch {
    QueuedBatch {
        id: enqueued.batch,
        created_at: enqueued.since,
        owner: owner.clone(),
        is_own: true,
        files: enqueued.covered,
        syncing: false,
    }
}
