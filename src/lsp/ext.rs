//! Every message of Syncline's own: what goes over the wire beside standard LSP, and what the command line prints with
//! `--json`. `editors/PROTOCOL.md` says the same in words; a test fails when one changes without the other.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tower_lsp::lsp_types::notification::Notification;
use tower_lsp::lsp_types::{ProgressToken, Range, Url};

use crate::core::cache::BackendKind;
use crate::core::{BatchId, Codebase, CodebaseId, Owner, UnixMillis};
use crate::sync::{SyncOutcome, SyncStatus};
use crate::workspace;

/// Version of this protocol, as announced. It grows when a client has to know of a change.
pub const PROTOCOL: u32 = 1;

/// `syncline/queue`: the state of codebases. Params [`CodebaseParams`], result a list of [`QueueState`].
pub const QUEUE: &str = "syncline/queue";
/// `syncline/search`: params [`SearchParams`], result [`SearchResult`].
pub const SEARCH: &str = "syncline/search";
/// `syncline/sync`: params [`CodebaseParams`], result [`LastSync`].
pub const SYNC: &str = "syncline/sync";

/// The commands of `workspace/executeCommand`. Each takes an optional [`CodebaseParams`].
pub mod commands {
    /// Syncs what differs; gives a list of [`super::LastSync`].
    pub const SYNC: &str = "syncline.sync";
    /// Enqueues no batch until resumed; gives null.
    pub const PAUSE: &str = "syncline.pause";
    /// Goes on; gives null.
    pub const RESUME: &str = "syncline.resume";
    /// Builds the index anew; gives null.
    pub const REBUILD: &str = "syncline.rebuild";
    /// All of them.
    pub const ALL: [&str; 4] = [SYNC, PAUSE, RESUME, REBUILD];
}

/// `capabilities.experimental` of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Experimental {
    /// What Syncline adds.
    pub syncline: Announcement,
}

/// What Syncline adds to LSP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// [`PROTOCOL`].
    pub protocol: u32,
}

impl Default for Announcement {
    fn default() -> Self {
        Announcement { protocol: PROTOCOL }
    }
}

/// `capabilities.experimental` of a client that knows Syncline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientExperimental {
    /// What it takes.
    pub syncline: ClientAnnouncement,
}

/// What a client takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientAnnouncement {
    /// `syncline/queueState`.
    pub queue_state: bool,
}

impl Default for ClientAnnouncement {
    fn default() -> Self {
        ClientAnnouncement { queue_state: true }
    }
}

/// `syncline/queueState`: server to client.
pub enum QueueStateChanged {}

impl Notification for QueueStateChanged {
    type Params = QueueState;
    const METHOD: &'static str = "syncline/queueState";
}

/// `$/progress` with a part of a search's matches.
pub enum SearchProgress {}

impl Notification for SearchProgress {
    type Params = SearchProgressParams;
    const METHOD: &'static str = "$/progress";
}

/// A codebase at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueState {
    /// Which codebase.
    pub codebase: CodebaseInfo,
    /// Where its line lives.
    pub backend: Backend,
    /// Whether all is well.
    pub health: Health,
    /// When it isn't: one sentence that says what, why, and how to fix it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What its batches are doing.
    pub phase: Phase,
    /// Of the own batch in the queue: 0 is the head, null is none there.
    pub position: Option<usize>,
    /// The line, head first.
    pub queue: Vec<Batch>,
    /// Of the work at hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// How the last batch ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<LastSync>,
    /// The index.
    pub index: Index,
}

/// Which codebase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodebaseInfo {
    /// Its id.
    pub id: CodebaseId,
    /// Its folder's name, for people.
    pub name: String,
    /// Its folder's canonical path, as a `file:` URI.
    pub root: FileUri,
}

/// Where a line lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Backend {
    /// In the engine's memory.
    Local,
    /// In Redis.
    Redis,
}

/// Whether all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Health {
    /// It is.
    Ok,
    /// Answers are right, but something is slower or staler than it should be.
    Degraded,
    /// Something doesn't work.
    Error,
}

/// What a codebase's batches are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// None is in the queue.
    Idle,
    /// One waits.
    Waiting,
    /// One syncs, or the tree is being compared with the index.
    Syncing,
    /// None is enqueued until the codebase is resumed.
    Paused,
}

/// A batch in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Its id, a UUID.
    pub id: BatchId,
    /// When it was made, Unix ms.
    pub created_at: UnixMillis,
    /// Whose it is.
    pub owner: BatchOwner,
    /// Files it covers.
    pub files: FileCount,
    /// Whether it has its turn.
    pub state: BatchState,
}

/// Whose a batch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchOwner {
    /// Host name.
    pub host: String,
    /// Process id on that host.
    pub pid: u32,
    /// Whether it is the engine that tells this.
    #[serde(rename = "self")]
    pub is_self: bool,
}

/// A number of files, or `"all"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FileCount {
    /// So many.
    Number(usize),
    /// Every file of the codebase.
    All(All),
}

/// The word `"all"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum All {
    /// `"all"`
    #[serde(rename = "all")]
    All,
}

/// Whether a batch has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BatchState {
    /// Not yet.
    Waiting,
    /// It is at the head and syncs.
    Syncing,
}

/// How far the work at hand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Files done.
    pub done: usize,
    /// Files to do; 0 while that isn't known.
    pub total: usize,
    /// What is being done.
    pub stage: Stage,
}

/// What is being done with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The tree is compared with the index.
    Scan,
    /// Texts are indexed.
    Text,
    /// Symbols are extracted.
    Symbols,
}

/// How a batch ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastSync {
    /// The batch.
    pub id: BatchId,
    /// How it ended.
    pub outcome: Outcome,
    /// Files that were read anew, or found to be gone.
    pub files: usize,
    /// Time of the sync itself, waiting not counted, ms.
    pub duration_ms: u64,
    /// When it left the queue, Unix ms.
    pub finished_at: UnixMillis,
    /// What went wrong, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Its changes are in the index.
    Synced,
    /// They aren't, and still are to be synced.
    Failed,
    /// It left the queue without syncing; its changes still are to be synced.
    Superseded,
}

/// The index of a codebase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Number of its last commit; 0 before the first.
    pub generation: u64,
    /// Files it holds.
    pub files: usize,
    /// Symbols it holds.
    pub symbols: usize,
    /// Bytes on disk.
    pub bytes: u64,
    /// Files known to be newer than the index; searches read them.
    pub pending: usize,
    /// Every change that was seen is in the index, and nothing is missed.
    pub fresh: bool,
}

/// Which codebase is meant; all that are open, when it isn't said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CodebaseParams {
    /// Its id, or its root as a `file:` URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codebase: Option<String>,
}

/// A search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchParams {
    /// What to find, within lines.
    pub query: String,
    /// It is a regular expression (ripgrep's dialect), not plain text.
    #[serde(default)]
    pub is_regex: bool,
    /// Letters are compared with regard to case.
    #[serde(default)]
    pub is_case_sensitive: bool,
    /// A match must be bounded by word boundaries.
    #[serde(default)]
    pub whole_word: bool,
    /// Only files that one of these globs matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    /// No files that one of these globs matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    /// The codebase's id, or its root as a `file:` URI; all that are open, when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codebase: Option<String>,
    /// Most matches to give; 10,000 when not given, never more than 1,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_results: Option<usize>,
    /// Whether every change that is on disk now must be in the answer; yes, when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<bool>,
    /// Stream the matches by `$/progress` under this token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_result_token: Option<ProgressToken>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchResult {
    /// The matches; none, when they were streamed.
    pub matches: Vec<SearchMatch>,
    /// There are more matches than are given.
    pub limit_hit: bool,
    /// Every change that was on disk when the search was asked for is in the answer.
    pub fresh: bool,
    /// The index's generation; with several codebases, that of the first.
    pub generation: u64,
}

/// One match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchMatch {
    /// The file.
    pub uri: FileUri,
    /// Where the match is, in the negotiated encoding; within one line.
    pub range: Range,
    /// The line, without its end; cut when it is very long.
    pub text: String,
}

/// Params of a `$/progress` that carries matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchProgressParams {
    /// As given by the search.
    pub token: ProgressToken,
    /// Some matches.
    pub value: SearchChunk,
}

/// Some of a search's matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchChunk {
    /// They follow those of the chunk before.
    pub matches: Vec<SearchMatch>,
}

/// A `file:` URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileUri(String);

impl FileUri {
    /// The URI of an absolute path. A relative one has none, and is given as it is.
    pub fn of(path: &Path) -> FileUri {
        FileUri(Url::from_file_path(path).map_or_else(|()| path.to_string_lossy().into_owned(), String::from))
    }

    /// The path, when it is one of this machine.
    pub fn to_path(&self) -> Option<PathBuf> {
        Url::parse(&self.0).ok()?.to_file_path().ok()
    }

    /// The URI as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Url> for FileUri {
    fn from(uri: &Url) -> Self {
        FileUri(uri.as_str().to_owned())
    }
}

impl From<&Codebase> for CodebaseInfo {
    fn from(codebase: &Codebase) -> Self {
        let root = &codebase.root;
        CodebaseInfo { id: codebase.id.clone(), name: root.name(), root: FileUri::of(root.as_path()) }
    }
}

impl From<BackendKind> for Backend {
    fn from(kind: BackendKind) -> Self {
        match kind {
            BackendKind::Local => Backend::Local,
            BackendKind::Redis => Backend::Redis,
        }
    }
}

impl From<workspace::Phase> for Phase {
    fn from(phase: workspace::Phase) -> Self {
        match phase {
            workspace::Phase::Idle => Phase::Idle,
            workspace::Phase::Waiting => Phase::Waiting,
            workspace::Phase::Syncing => Phase::Syncing,
            workspace::Phase::Paused => Phase::Paused,
        }
    }
}

impl From<workspace::Stage> for Stage {
    fn from(stage: workspace::Stage) -> Self {
        match stage {
            workspace::Stage::Scan => Stage::Scan,
            workspace::Stage::Text => Stage::Text,
            workspace::Stage::Symbols => Stage::Symbols,
        }
    }
}

impl From<workspace::Progress> for Progress {
    fn from(progress: workspace::Progress) -> Self {
        Progress { done: progress.done, total: progress.total, stage: progress.stage.into() }
    }
}

impl From<Option<usize>> for FileCount {
    fn from(files: Option<usize>) -> Self {
        files.map_or(FileCount::All(All::All), FileCount::Number)
    }
}

impl BatchOwner {
    fn new(owner: &Owner, is_self: bool) -> BatchOwner {
        BatchOwner { host: owner.host.clone(), pid: owner.pid, is_self }
    }
}

impl From<&workspace::QueuedBatch> for Batch {
    fn from(batch: &workspace::QueuedBatch) -> Self {
        Batch {
            id: batch.id,
            created_at: batch.created_at,
            owner: BatchOwner::new(&batch.owner, batch.is_own),
            files: batch.files.into(),
            state: if batch.syncing { BatchState::Syncing } else { BatchState::Waiting },
        }
    }
}

impl From<SyncStatus> for Outcome {
    fn from(status: SyncStatus) -> Self {
        match status {
            SyncStatus::Synced => Outcome::Synced,
            SyncStatus::Failed => Outcome::Failed,
            SyncStatus::Superseded => Outcome::Superseded,
        }
    }
}

impl From<&SyncOutcome> for LastSync {
    fn from(outcome: &SyncOutcome) -> Self {
        LastSync {
            id: outcome.id,
            outcome: outcome.status.into(),
            files: outcome.files,
            duration_ms: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
            finished_at: outcome.finished_at,
            error: outcome.error.clone(),
        }
    }
}

impl From<&workspace::IndexState> for Index {
    fn from(index: &workspace::IndexState) -> Self {
        Index {
            generation: index.generation.0,
            files: index.files,
            symbols: index.symbols,
            bytes: index.bytes,
            pending: index.pending,
            fresh: index.fresh,
        }
    }
}

impl From<&workspace::CodebaseState> for QueueState {
    fn from(state: &workspace::CodebaseState) -> Self {
        let (health, message) = match &state.health {
            workspace::Health::Ok => (Health::Ok, None),
            workspace::Health::Degraded(sentence) => (Health::Degraded, Some(sentence.clone())),
            workspace::Health::Error(sentence) => (Health::Error, Some(sentence.clone())),
        };
        QueueState {
            codebase: (&state.codebase).into(),
            backend: state.backend.into(),
            health,
            message,
            phase: state.phase.into(),
            position: state.position,
            queue: state.queue.iter().map(Batch::from).collect(),
            progress: state.progress.map(Progress::from),
            last_sync: state.last_sync.as_ref().map(LastSync::from),
            index: (&state.index).into(),
        }
    }
}
