//! What is said on the daemon's socket before and beside LSP.
//!
//! The client begins with one line of JSON, a [`Hello`]; the daemon answers with one, a [`Welcome`]. The socket's name
//! holds [`PROTOCOL`], so both speak the same: what is written here and the messages of `lsp::ext` as they were at that
//! version. Another *program* version is no hindrance, with one exception: a client that is newer than a daemon which
//! serves nobody else has it leave, and starts its own.
//!
//! What follows depends on the [`Purpose`]: LSP, or [`Question`]s, each a message framed as in LSP that is answered by
//! one [`Reply`] before the next is read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::core::cache::CacheReport;
use crate::core::settings::Sources;
use crate::core::{RelPath, UnixMillis};
use crate::index::Pattern;
use crate::index::symbols::{Fit, Symbol, SymbolKind, SymbolQuery};
use crate::lsp::ext::{Progress, QueueState};
use crate::watch::tree::RulesOutside;

/// Version of what is said on the socket, editors' messages included. A change that one side would misunderstand makes
/// it grow; daemons of different versions then live side by side.
pub const PROTOCOL: u32 = 3;

/// The longest first line, bytes.
pub const LONGEST_LINE: u64 = 256 << 10;

/// This program's version, as far as the build could tell: `x.y.z (commit date)`.
pub const VERSION: &str = env!("VERSION_WITH_COMMIT");

/// The client's first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// [`VERSION`].
    pub version: String,
    /// The subcommand, for people who look at `status`.
    pub client: String,
    /// The client's process.
    pub pid: u32,
    /// What it wants.
    pub purpose: Purpose,
    /// What its settings are made of.
    pub settings: ClientSettings,
}

/// What a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// To speak LSP.
    Session,
    /// To ask [`Question`]s.
    Questions,
}

/// The daemon's first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The daemon's [`VERSION`].
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Whether the client is let in.
    pub answer: Answer,
}

/// Whether a client is let in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// It is.
    Welcome,
    /// The daemon is older than the client and leaves, so that the client can start its own.
    Leaving,
    /// It isn't, for this reason.
    Refused(String),
}

/// What a client's settings are made of: its layers beside the editor's, which come with LSP.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientSettings {
    user_file: Option<OsString>,
    config: Option<OsString>,
    variables: BTreeMap<String, OsString>,
    log_level: Option<String>,
    index_dir: Option<OsString>,
    here: Option<OsString>,
    redis_ca: Option<OsString>,
}

/// Without values: variables may hold passwords.
impl std::fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSettings").field("variables", &self.variables.keys()).finish_non_exhaustive()
    }
}

impl From<&Sources> for ClientSettings {
    fn from(sources: &Sources) -> Self {
        let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
        // The daemon stands elsewhere.
        let config = sources.config.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        ClientSettings {
            user_file: path(&sources.user_file),
            config: path(&config),
            variables: sources.environment.iter().cloned().collect(),
            log_level: sources.log_level.clone(),
            index_dir: path(&sources.index_dir),
            here: path(&sources.here),
            redis_ca: path(&sources.redis_ca),
        }
    }
}

impl From<ClientSettings> for Sources {
    fn from(settings: ClientSettings) -> Self {
        Sources {
            user_file: settings.user_file.map(PathBuf::from),
            config: settings.config.map(PathBuf::from),
            environment: settings.variables.into_iter().collect(),
            log_level: settings.log_level,
            index_dir: settings.index_dir.map(PathBuf::from),
            here: settings.here.map(PathBuf::from),
            redis_ca: settings.redis_ca.map(PathBuf::from),
            ..Sources::default()
        }
    }
}

/// What can be asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "method", content = "params")]
pub enum Question {
    /// Which files may match? The reply is [`Candidates`].
    #[serde(rename = "syncline/candidates")]
    Candidates(CandidatesParams),
    /// Which definitions are named so? The reply is [`Symbols`]. The codebase is opened if it isn't.
    #[serde(rename = "syncline/symbols")]
    Symbols(SymbolsParams),
    /// How is everything? The reply is a [`DaemonState`].
    #[serde(rename = "syncline/daemon")]
    Daemon {},
    /// Leave, once what syncs now is committed. The reply, null, comes before the end.
    #[serde(rename = "syncline/stop")]
    Stop {},
}

/// The answer to a question.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply<T> {
    /// What was asked for.
    Result(T),
    /// It can't be had, for this reason.
    Error(String),
}

/// Which files in a folder may match a pattern?
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidatesParams {
    /// What is searched for; anything, when there is none.
    #[serde(default)]
    pub pattern: Option<Pattern>,
    /// Files with a NUL or a byte order mark may match whatever the index knows of them, and what is left out is counted.
    #[serde(default)]
    pub by_size: bool,
    /// The folder's canonical path.
    pub folder: String,
}

/// Files that may match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Candidates {
    /// These, and no other that ripgrep would search.
    #[serde(rename_all = "camelCase")]
    Files {
        /// The codebase's root.
        root: String,
        /// What decided from outside what is ignored. The client compares it with what it sees itself.
        rules_outside: RulesOutside,
        /// In path order, relative to the folder.
        files: Vec<PathText>,
        /// Folders that can't be listed, relative to the folder: the client walks them, to say so as ripgrep does.
        #[serde(default)]
        unlisted: Vec<PathText>,
        /// How many files were left out, if that was asked, and their bytes.
        #[serde(default)]
        spared: (u64, u64),
        /// Number of the index's last commit.
        #[serde(default)]
        generation: u64,
    },
    /// It can't be told; the reason is for logs.
    Unknown(String),
}

/// A path below a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathText {
    /// As text.
    Text(String),
    /// Its bytes, when they aren't text.
    Bytes(Vec<u8>),
}

impl PathText {
    /// From its bytes.
    pub fn new(bytes: &[u8]) -> PathText {
        match std::str::from_utf8(bytes) {
            Ok(text) => PathText::Text(text.to_owned()),
            Err(_) => PathText::Bytes(bytes.to_owned()),
        }
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            PathText::Text(text) => text.as_bytes(),
            PathText::Bytes(bytes) => bytes,
        }
    }
}

/// Which definitions are asked for, and where.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SymbolsParams {
    /// The codebase's root.
    pub root: String,
    /// The name, as [`SymbolQuery::new`] takes it.
    pub name: String,
    /// How a name must fit.
    pub fit: Fit,
    /// Only these kinds; all when there are none.
    pub kinds: Vec<SymbolKind>,
    /// Most symbols to give.
    pub limit: usize,
    /// Symbols near this path in the codebase come first.
    pub near: Option<PathText>,
    /// What is known by now is wanted, rather than all.
    #[serde(default)]
    pub known: bool,
}

impl SymbolsParams {
    /// What is looked for.
    pub fn query(&self) -> SymbolQuery {
        let near = self.near.as_ref().and_then(|near| RelPath::from_bytes(near.as_bytes()));
        SymbolQuery::new(&self.name, self.fit, self.limit).of_kinds(self.kinds.iter().copied()).near(near)
    }
}

/// Definitions by name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Symbols {
    /// The best first.
    #[serde(rename_all = "camelCase")]
    Found {
        /// What was found.
        symbols: Vec<FoundSymbol>,
        /// There may be more than were asked for.
        limit_hit: bool,
        /// Symbols of some files are missing.
        #[serde(default)]
        left_out: bool,
        /// Some files aren't parsed at all.
        #[serde(default)]
        given_up: bool,
    },
    /// They are still being read. Ask again.
    NotYet(Option<Progress>),
    /// It can't be told, for this reason.
    Unknown(String),
}

/// A definition, and where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundSymbol {
    /// Relative to the root.
    pub path: PathText,
    /// What is there.
    pub symbol: Symbol,
}

/// How the daemon is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonState {
    /// Its process.
    pub pid: u32,
    /// Its host.
    pub host: String,
    /// Its [`VERSION`].
    pub version: String,
    /// When it started.
    pub started_at: UnixMillis,
    /// Memory that it holds, bytes, where the platform tells.
    pub memory: Option<u64>,
    /// Where its log is.
    pub log: Option<String>,
    /// Its socket.
    pub socket: String,
    /// Who is there, the one who asks left out.
    pub clients: Vec<ClientState>,
    /// What is open.
    pub codebases: Vec<OpenCodebase>,
}

/// A client of the daemon.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientState {
    /// Its subcommand.
    pub client: String,
    /// Its process.
    pub pid: u32,
    /// Its program's version.
    pub version: String,
    /// When it came.
    pub since: UnixMillis,
}

/// A codebase that the daemon has open.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenCodebase {
    /// Clients that work on it; without any, it is closed after a while.
    pub clients: usize,
    /// Its state.
    pub state: QueueState,
    /// Its cache.
    #[serde(default)]
    pub cache: CacheReport,
}

/// Whether the version `a` is older than `b`, both as [`VERSION`] is written. Of two builds of one version, the one with
/// the earlier commit's date is; in doubt, neither is.
pub fn is_older(a: &str, b: &str) -> bool {
    fn numbers(version: &str) -> Option<(Vec<u64>, &str)> {
        let (number, rest) = version.split_once(' ').unwrap_or((version, ""));
        let numbers = number.split('.').map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        // `(commit date)`; dates are written so that they sort.
        Some((numbers, rest.rsplit(' ').next().unwrap_or_default()))
    }
    match (numbers(a), numbers(b)) {
        (Some((a, a_date)), Some((b, b_date))) if a == b => !a_date.is_empty() && !b_date.is_empty() && a_date < b_date,
        (Some((a, _)), Some((b, _))) => a < b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn versions_are_compared_by_number_then_date() {
        assert!(is_older("0.1.0 (abc 2026-01-01)", "0.2.0 (abc 2025-01-01)"));
        assert!(is_older("0.9.0", "0.10.0"));
        assert!(is_older("0.1.0 (fff 2026-01-01)", "0.1.0 (abc 2026-01-02)"));
        assert!(!is_older("0.1.0 (abc 2026-01-02)", "0.1.0 (fff 2026-01-02)"));
        assert!(!is_older("0.1.0", "0.1.0 (abc 2026-01-02)"));
        assert!(!is_older("0.2.0", "0.1.0") && !is_older("what", "0.1.0") && !is_older("0.1.0", ""));
    }

    #[test]
    fn settings_survive_the_way() {
        let sources = Sources {
            user_file: Some("/home/me/config.toml".into()),
            environment: vec![("SYNCLINE_INDEX_DIR".to_owned(), "x".into())],
            here: Some("/here".into()),
            redis_ca: Some("/etc/ca.pem".into()),
            ..Sources::default()
        };
        let line = serde_json::to_string(&ClientSettings::from(&sources)).unwrap();
        let back = Sources::from(serde_json::from_str::<ClientSettings>(&line).unwrap());
        assert_eq!(
            (back.user_file, back.environment, back.here, back.redis_ca),
            (sources.user_file, sources.environment, sources.here, sources.redis_ca)
        );
        let environment = vec![("SYNCLINE_QUEUE_REDIS_URL".to_owned(), "redis://:secret@x".into())];
        let settings = ClientSettings::from(&Sources { environment, ..Sources::default() });
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
