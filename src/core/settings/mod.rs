//! Settings: what they are, their defaults, and the layers they come from.
//!
//! [`load`] lays defaults, the user's file, the repository's, the editor's settings, the environment and the flags over
//! one another. One table (`keys`) says for all of them which keys there are, what each takes, and whether a repository,
//! which is a stranger's, may set it.

mod keys;
mod layers;
mod problem;
mod raw;
mod redact;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

pub use keys::{log_filter, means_a_setting};
pub use layers::{Loaded, REPOSITORY_FILE, Sources, default_index_dir, default_user_file, load};
pub use problem::{Place, Problem};
pub use redact::redacted_url;

/// Everything that can be set, after all layers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Settings {
    /// The queue.
    pub queue: QueueSettings,
    /// When changes become batches.
    pub sync: SyncSettings,
    /// How changes are seen.
    pub watch: WatchSettings,
    /// What is indexed.
    pub index: IndexSettings,
    /// `index.home`: whether a home folder, or what holds one, may be opened. It says nothing of how.
    pub index_home: bool,
    /// The shared engine.
    pub daemon: DaemonSettings,
    /// What is written about all this.
    pub log: LogSettings,
}

/// `queue.*`
#[derive(Clone, PartialEq, Eq)]
pub struct QueueSettings {
    /// Where lines live.
    pub backend: QueueBackend,
    /// Redis. Never logged with its secrets.
    pub redis_url: Option<String>,
    /// A file with the certificates of those who may vouch for a Redis; those that the system trusts, when not set.
    pub redis_ca: Option<PathBuf>,
    /// A name several hosts share: the same line, shared analysis.
    pub codebase: Option<String>,
    /// A name for files that several hosts see, wherever they have them: what one saves, all hear of.
    pub shared_tree: Option<String>,
    /// Names that repositories may give themselves. Empty once all layers are laid: what it let in is `codebase` then.
    pub trust: Vec<String>,
    /// How long the head's lease lives unrenewed.
    pub lease: Duration,
    /// Longest a batch holds the head while others wait.
    pub slice: Duration,
    /// Batches older than this are swept.
    pub stale_after: Duration,
}

/// `queue.backend`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum QueueBackend {
    /// Redis when a URL is set.
    #[default]
    Auto,
    /// In this process.
    Local,
    /// Redis.
    Redis,
}

/// `sync.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSettings {
    /// A burst of changes is over when nothing comes for this long.
    pub debounce: Duration,
    /// No change waits longer than this for a burst to end.
    pub max_wait: Duration,
}

/// `watch.*`
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct WatchSettings {
    /// How changes are seen.
    pub mode: WatchMode,
}

/// `watch.mode`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum WatchMode {
    /// Events where the file system sends them, looking again and again elsewhere.
    #[default]
    Auto,
    /// Events.
    Native,
    /// Looking again and again.
    Poll,
    /// Only what editors tell.
    Off,
}

/// `index.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSettings {
    /// Globs of files to leave out, beside the ignore files'.
    pub exclude: Vec<String>,
    /// Whether hidden files count, as with `rg --hidden`.
    pub hidden: bool,
    /// Larger files are scanned by searches until they have been left alone for a while, bytes.
    pub max_file_bytes: u64,
    /// Whether symbols are extracted.
    pub symbols: bool,
    /// Where indexes live; the platform's cache folder, when not set.
    pub dir: Option<PathBuf>,
    /// What the indexes of all codebases may take, bytes; beyond it, those go that weren't used for longest.
    pub max_disk: u64,
    /// What the program may hold while it indexes the texts of a codebase, about, bytes.
    pub max_memory: u64,
}

/// `daemon.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonSettings {
    /// How long the shared engine stays without clients.
    pub idle: Duration,
}

/// `log.*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A level (`error`, `warn`, `info`, `debug`, `trace`) or a filter as `tracing` understands it.
    pub level: String,
    /// Where to write; standard error, when not set.
    pub file: Option<PathBuf>,
}

/// Without the secrets of the URL.
impl fmt::Debug for QueueSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSettings")
            .field("backend", &self.backend)
            .field("redis_url", &self.redis_url.as_deref().map(redacted_url))
            .field("redis_ca", &self.redis_ca)
            .field("codebase", &self.codebase)
            .field("shared_tree", &self.shared_tree)
            .field("lease", &self.lease)
            .field("slice", &self.slice)
            .field("stale_after", &self.stale_after)
            .finish()
    }
}

impl Default for QueueSettings {
    fn default() -> Self {
        QueueSettings {
            backend: QueueBackend::Auto,
            redis_url: None,
            redis_ca: None,
            codebase: None,
            shared_tree: None,
            trust: Vec::new(),
            lease: Duration::from_millis(15_000),
            slice: Duration::from_millis(2_000),
            stale_after: Duration::from_secs(86_400),
        }
    }
}

impl Default for SyncSettings {
    fn default() -> Self {
        SyncSettings { debounce: Duration::from_millis(50), max_wait: Duration::from_millis(500) }
    }
}

impl Default for IndexSettings {
    fn default() -> Self {
        IndexSettings {
            exclude: Vec::new(),
            hidden: false,
            max_file_bytes: 4 << 20,
            symbols: true,
            dir: None,
            max_disk: 4_096_000_000,
            max_memory: 400_000_000,
        }
    }
}

impl Default for DaemonSettings {
    fn default() -> Self {
        DaemonSettings { idle: Duration::from_secs(600) }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { level: "info".to_owned(), file: None }
    }
}
