//! The one task that owns an open codebase: it decides when to scan, when to sync, and what to publish.
//!
//! Its loop takes one event, then starts what is due and answers what is known. What may run at all is the [`Agenda`]'s to
//! say; `work` starts it, `snapshot` tells the state.

mod agenda;
mod answers;
mod op;
mod problems;
mod snapshot;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::publish::Publisher;
use super::scan::{PathsScanned, TreeScanned};
use super::shared::Shared;
use super::state::{CodebaseState, Phase, QueuedBatch, Stage};
use crate::core::Dirty;
use crate::core::cache::{FailoverState, QueueChange, QueueItem};
use crate::index::symbols::SymbolSegmentId;
use crate::index::{Generation, IndexError};
use crate::sync::{Debounce, SyncManager, SyncOutcome, SyncStatus};
use crate::watch::Watching;
use crate::watch::tree::WalkError;
use agenda::{Agenda, Extent, LONGEST_RETRY, Repair, Submission};
use answers::Answers;
use problems::{Problems, internal_error, too_few_descriptors, unreadable};

/// How often a root that went away is looked for.
const ROOT_RETRY: Duration = Duration::from_secs(2);
/// How often what no event tells is compared with what it was, where nobody asks.
const COMPARE_PAUSE: Duration = Duration::from_secs(1);
/// How long a batch of many files waits for git to be done. Searches read what is pending meanwhile.
const LONGEST_REWRITE: Duration = Duration::from_secs(10);

/// So many changed files may be the first of many more, if git is rewriting the tree.
const MANY: usize = 200;

/// What others ask of the task.
pub(super) enum Command {
    /// Say when everything that happened so far has been scanned; the answer is whether nothing can be missing.
    CatchUp(oneshot::Sender<bool>),
    /// Reconcile the tree, sync the difference, give the outcome.
    Sync(oneshot::Sender<SyncOutcome>),
    /// Enqueue no batch; answered when the state shows it.
    Pause(oneshot::Sender<()>),
    /// Enqueue batches again; answered when the state shows it.
    Resume(oneshot::Sender<()>),
    /// Forget the index and build it anew.
    Rebuild,
    /// A search found the index damaged.
    Damaged,
    /// A search found these symbols damaged.
    DamagedSymbols(Vec<SymbolSegmentId>),
    /// Reconcile the tree: what is ignored may have changed unseen.
    Reconcile,
}

/// Whatever the task waits for.
enum Event {
    /// Somebody asks for something.
    Command(Command),
    /// Work has got so far.
    Report(Report),
    /// Somebody's batch was enqueued, started or left.
    QueueChanged,
    /// Files, the back end or progress have changed, or something is due.
    Woken,
}

/// What work that was started brings back.
enum Report {
    TreeScanned(Result<TreeScanned, WalkError>),
    PathsScanned(PathsScanned),
    ScanPanicked,
    /// Parts of the tree that raise no events took so long to be compared.
    UnseenCompared(Option<Duration>),
    /// Whether git is rewriting the tree.
    GitProbed(bool),
    /// A batch and its position; none when the changes were merged into one that waits already.
    Enqueued(Option<(QueuedBatch, usize)>),
    Ended(Ended),
    QueueRead(Vec<QueueItem>),
    QueueMayBeRead,
    Repaired(Result<Dirty, IndexError>),
    RepairPanicked,
    Compacted,
    SymbolsDone(Result<Generation, String>),
}

/// How a batch ended, and who asked for it.
struct Ended {
    outcome: SyncOutcome,
    /// It is that of another batch, which took this one's changes in.
    is_merged: bool,
    requests: Vec<oneshot::Sender<SyncOutcome>>,
}

/// See the module.
pub(super) struct CodebaseTask {
    shared: Arc<Shared>,
    syncs: SyncManager,
    agenda: Agenda,

    // What it hears.
    commands: mpsc::Receiver<Command>,
    reports: mpsc::UnboundedReceiver<Report>,
    /// As many reports come as work was started: for each batch three, for all else two at most.
    report: mpsc::UnboundedSender<Report>,
    queue_changes: watch::Receiver<QueueChange>,
    backend: watch::Receiver<FailoverState>,

    // What it knows.
    /// The tree has been reconciled since the codebase was opened.
    tree_seen: bool,
    /// What the next batch covers.
    pending: Dirty,
    /// When parts of the tree that raise no events are compared.
    next_poll: Option<Instant>,
    /// The index whose symbols are known.
    symbols_of: Option<Generation>,
    queue: Vec<QueueItem>,
    /// A batch of ours was enqueued, and `queue` doesn't show it yet.
    queue_lags: bool,
    last_sync: Option<SyncOutcome>,
    problems: Problems,

    // What it owes.
    answers: Answers,
    publisher: Publisher,
}

impl CodebaseTask {
    /// The task for `shared`, and the state it will publish. `problems` are those found when the index was opened.
    pub(super) fn new(
        shared: Arc<Shared>,
        syncs: SyncManager,
        commands: mpsc::Receiver<Command>,
        problems: Vec<String>,
    ) -> (CodebaseTask, watch::Receiver<Arc<CodebaseState>>) {
        let (report, reports) = mpsc::unbounded_channel();
        let sync = &shared.settings.sync;
        let debounce = Debounce::new(sync.debounce, sync.max_wait);
        let mut agenda = Agenda::new(debounce, shared.settings.index.symbols);
        agenda.compare.plan(Some(Instant::now() + COMPARE_PAUSE));
        let mut task = CodebaseTask {
            agenda,
            commands,
            reports,
            report,
            queue_changes: syncs.watch_queue(&shared.codebase.id),
            backend: syncs.cache().failover_state(),
            tree_seen: false,
            pending: Dirty::nothing(),
            next_poll: None,
            symbols_of: None,
            queue: Vec::new(),
            queue_lags: false,
            last_sync: None,
            problems: Problems { index: problems.into_iter().next(), ..Problems::default() },
            answers: Answers::default(),
            publisher: Publisher::default(),
            shared,
            syncs,
        };
        let (publish, state) = watch::channel(Arc::new(task.state()));
        task.publisher.publish_to(publish);
        (task, state)
    }

    /// Until the codebase is closed.
    pub(super) async fn run(mut self) {
        loop {
            self.start_due();
            self.answer();
            self.publish();
            match self.next_event().await {
                Some(Event::Command(command)) => self.command(command),
                Some(Event::Report(report)) => self.report(report),
                Some(Event::QueueChanged) => self.agenda.poll.request(()),
                Some(Event::Woken) => {}
                None => return,
            }
        }
    }

    async fn next_event(&mut self) -> Option<Event> {
        let shared = &self.shared;
        let due = [self.agenda.due(), self.publisher.due()].into_iter().flatten().min();
        tokio::select! {
            () = shared.cancel.cancelled() => None,
            command = self.commands.recv() => command.map(Event::Command),
            Some(report) = self.reports.recv() => Some(Event::Report(report)),
            _ = self.queue_changes.changed() => Some(Event::QueueChanged),
            () = shared.watcher.changed(), if !self.agenda.scan.is_running() => Some(Event::Woken),
            _ = self.backend.changed() => Some(Event::Woken),
            () = shared.progressed.notified() => Some(Event::Woken),
            () = until(due) => Some(Event::Woken),
        }
    }

    fn start_due(&mut self) {
        loop {
            self.note_changes();
            match self.agenda.next(Instant::now(), self.has_many()) {
                Some(work) => self.start(work),
                None => return,
            }
        }
    }

    /// Whether so many files are pending that they may be the first of many more, if git is rewriting the tree.
    fn has_many(&self) -> bool {
        self.shared.overlay.view().len() >= MANY
    }

    /// What the watcher has seen is to be scanned.
    fn note_changes(&mut self) {
        if self.shared.watcher.has_changes() {
            self.agenda.scan.request(Extent::Paths);
        }
    }

    fn command(&mut self, command: Command) {
        self.note_changes();
        let agenda = &mut self.agenda;
        match command {
            Command::CatchUp(answer) => self.answers.catch_up(agenda.scan.next_run(), answer),
            Command::Sync(answer) => {
                agenda.scan.request(Extent::Tree);
                self.answers.sync(agenda.scan.next_run(), answer);
            }
            Command::Pause(shown) => {
                agenda.set_paused(true);
                self.answers.show(shown);
            }
            Command::Resume(shown) => {
                agenda.set_paused(false);
                self.answers.show(shown);
            }
            Command::Reconcile => agenda.scan.request(Extent::Tree),
            Command::Rebuild => agenda.repair.request(Repair::Everything),
            Command::Damaged => agenda.repair.request(Repair::Damaged),
            Command::DamagedSymbols(segments) => agenda.symbols.request(segments.into_iter().collect()),
        }
    }

    fn report(&mut self, report: Report) {
        let now = Instant::now();
        match report {
            Report::TreeScanned(scanned) => self.tree_scanned(scanned, now),
            Report::PathsScanned(PathsScanned::Dirty(dirty)) => {
                self.agenda.scan.finish();
                self.add_pending(dirty, now);
            }
            Report::PathsScanned(PathsScanned::TooMuch) => self.agenda.scan.retry(Extent::Tree),
            Report::ScanPanicked => {
                self.agenda.scan.finish();
                self.problems.root = Some(internal_error("scanning for changes"));
                self.agenda.scan.plan(Some(now + LONGEST_RETRY));
            }
            Report::UnseenCompared(took) => {
                self.agenda.compare.finish();
                self.agenda.compare.plan(Some(now + COMPARE_PAUSE));
                let pause = took.map(|took| (took * 30).clamp(ROOT_RETRY, LONGEST_RETRY));
                self.next_poll = pause.map(|pause| self.next_poll.filter(|next| *next > now).unwrap_or(now + pause));
            }
            Report::GitProbed(is_rewriting) => self.agenda.git_probed(is_rewriting, now, LONGEST_REWRITE),
            Report::Enqueued(batch) => {
                self.agenda.submit.finish();
                self.agenda.poll.request(());
                if let Some((batch, position)) = batch {
                    self.enqueued(batch, position);
                }
            }
            Report::Ended(ended) => self.ended(ended, now),
            // That a batch waits is shown before that it syncs: the queue is read again once it is known where it is.
            Report::QueueRead(_) if self.agenda.submit.is_running() => {}
            Report::QueueRead(queue) => {
                // Unless it was read too early to hold it.
                self.queue_lags &= self.agenda.poll.is_wanted();
                self.queue = queue;
            }
            Report::QueueMayBeRead => self.agenda.poll.finish(),
            Report::Repaired(repaired) => {
                self.agenda.repair.finish();
                self.repaired(repaired, now);
            }
            Report::RepairPanicked => {
                self.agenda.repair.finish();
                self.failed(internal_error("repairing the index"), now);
            }
            Report::Compacted => {
                self.agenda.compact.finish();
                self.agenda.symbols.request(BTreeSet::new());
            }
            Report::SymbolsDone(done) => self.symbols_done(done, now),
        }
        self.shared.watcher.recheck(self.shared.index.take_rechecks());
    }

    /// Files differ from the index; more may.
    fn add_pending(&mut self, dirty: Dirty, now: Instant) {
        if !dirty.is_empty() {
            self.pending.join(dirty);
            self.agenda.changed(now);
        }
    }

    // The tree.

    fn tree_scanned(&mut self, scanned: Result<TreeScanned, WalkError>, now: Instant) {
        self.agenda.scan.finish();
        if self.shared.progress().is_some_and(|progress| progress.stage == Stage::Scan) {
            self.shared.set_progress(None);
        }
        match scanned {
            Ok(scanned) => {
                self.tree_seen = true;
                self.problems.root = None;
                self.problems.unreadable = unreadable(&scanned.unreadable);
                self.problems.ignore_file = scanned.odd.into_iter().next();
                self.problems.descriptors = scanned.lacked_descriptors.then(too_few_descriptors);
                self.agenda.scan.plan(self.walk_pause(scanned.took).map(|pause| now + pause));
                if scanned.differing > 0 {
                    self.add_pending(Dirty::Everything, now);
                    // All that differs is known: there is nothing to wait for.
                    self.agenda.end_burst(self.has_many());
                }
                if self.pending.is_empty() {
                    // What was damaged has been rebuilt or was nothing.
                    self.problems.index = None;
                    self.agenda.symbols.request(BTreeSet::new());
                    self.agenda.compact.request(());
                }
                if self.answers.awaits_sync(&self.agenda.scan) {
                    self.agenda.submit.request(Submission::Asked);
                }
            }
            Err(WalkError::Cancelled) => {}
            Err(error @ WalkError::RootGone(_)) => {
                self.problems.root = Some(error.to_string());
                self.agenda.scan.plan(Some(now + ROOT_RETRY));
                self.answers.fail_syncs(&error.to_string());
            }
        }
    }

    /// How long until the tree is walked again, where events don't tell.
    fn walk_pause(&self, took: Duration) -> Option<Duration> {
        let watcher = &self.shared.watcher;
        match watcher.watching() {
            _ if self.problems.descriptors.is_some() => Some((took * 30).clamp(ROOT_RETRY, LONGEST_RETRY)),
            Watching::Off => None,
            Watching::Events if watcher.problem().is_none() => None,
            // A few percent of one core at most.
            Watching::Polling => Some((took * 30).clamp(Duration::from_secs(2), Duration::from_secs(60))),
            Watching::Events => Some((took * 50).clamp(Duration::from_secs(10), Duration::from_secs(300))),
        }
    }

    // Batches.

    fn enqueued(&mut self, batch: QueuedBatch, position: usize) {
        if self.is_syncing(batch.id) {
            return;
        }
        // It may be syncing by now; that it waited is worth showing, unless its sync was shown already.
        let mut waiting = self.state();
        (waiting.phase, waiting.position) = (Phase::Waiting, Some(position));
        waiting.queue.retain(|other| other.id != batch.id);
        waiting.queue.insert(position.min(waiting.queue.len()), batch);
        self.publisher.add(waiting);
        self.queue_lags = true;
    }

    fn ended(&mut self, Ended { outcome, is_merged, requests }: Ended, now: Instant) {
        // Batches that were merged end with the same outcome, of which each reports.
        let is_known =
            |last: &SyncOutcome| last.id == outcome.id || is_merged && outcome.finished_at < last.finished_at;
        if !self.last_sync.as_ref().is_some_and(is_known) {
            self.synced(outcome.clone(), now);
        }
        self.answers.ended(requests, &outcome);
    }

    fn synced(&mut self, outcome: SyncOutcome, now: Instant) {
        self.queue.retain(|item| item.batch.id != outcome.id);
        self.agenda.poll.request(());
        match outcome.status {
            SyncStatus::Synced => {
                if self.problems.sync.take().is_some() {
                    // Whatever it was that failed, it may have kept more from being seen.
                    self.agenda.scan.request(Extent::Tree);
                }
                self.agenda.succeeded();
                self.agenda.symbols.request(BTreeSet::new());
                if self.shared.overlay.view().is_empty() {
                    self.problems.index = None;
                    self.agenda.compact.request(());
                }
            }
            SyncStatus::Failed => self.failed(outcome.error.clone().unwrap_or_default(), now),
            SyncStatus::Superseded => {
                self.failed(
                    "the batch left the queue before it could sync; its changes are synced again".to_owned(),
                    now,
                );
            }
        }
        self.last_sync = Some(outcome);
    }

    fn failed(&mut self, sentence: String, now: Instant) {
        tracing::warn!(codebase = %self.shared.root().display(), "{sentence}");
        self.problems.sync = Some(sentence);
        self.agenda.failed(now);
    }

    // The index.

    fn repaired(&mut self, repaired: Result<Dirty, IndexError>, now: Instant) {
        match repaired {
            Ok(Dirty::Everything) => self.agenda.scan.request(Extent::Tree),
            Ok(lost) if lost.is_empty() => {}
            Ok(lost) => {
                self.problems.index = Some("a part of the index was damaged and is being rebuilt".to_owned());
                self.add_pending(lost, now);
            }
            Err(error) => self.failed(error.to_string(), now),
        }
    }

    fn symbols_done(&mut self, done: Result<Generation, String>, now: Instant) {
        self.agenda.symbols.finish();
        match done {
            Ok(generation) => {
                self.symbols_of = Some(generation);
                self.problems.symbols = None;
            }
            Err(sentence) => {
                tracing::warn!(codebase = %self.shared.root().display(), "{sentence}");
                self.problems.symbols = Some(sentence);
                self.agenda.symbols.plan(Some(now + LONGEST_RETRY));
            }
        }
    }

    // What it owes.

    fn answer(&mut self) {
        let watcher = &self.shared.watcher;
        let is_certain = self.tree_seen
            && !self.problems.hide_changes()
            && watcher.watching() == Watching::Events
            && watcher.problem().is_none();
        self.answers.caught_up(&self.agenda.scan, is_certain);
    }

    fn publish(&mut self) {
        if !self.queue_lags {
            let state = self.state();
            self.publisher.add(state);
        }
        self.publisher.publish();
        if !self.queue_lags && self.publisher.due().is_none() {
            self.answers.published();
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
