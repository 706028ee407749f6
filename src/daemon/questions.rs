//! Answers what the command line asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::life::{Life, Present};
use super::wire::{
    Candidates, CandidatesParams, DaemonState, FoundSymbol, OpenCodebase, PathText, Question, Reply, Symbols,
    SymbolsParams, VERSION,
};
use crate::core::cache::CacheReport;
use crate::core::settings::{self, Sources};
use crate::core::{Owner, RelPath, UnixMillis};
use crate::index::symbols::SymbolMatch;
use crate::index::{Plan, Query};
use crate::lsp::{Frame, FrameReader, Room, ext, frame};
use crate::workspace::{Engine, has_index, indexed_codebase};

/// How long a search on the command line is kept waiting before it is told to look by itself.
const CANDIDATES_TIME: Duration = Duration::from_millis(200);

/// While more files than these are still to be read for symbols, a query would leave some out.
const MUCH: usize = 1000;

/// What there is to be asked about. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Host {
    /// The engine.
    pub engine: Engine,
    /// Who is there.
    pub life: Life,
    /// The socket.
    pub socket: PathBuf,
    /// The log.
    pub log: Option<PathBuf>,
    /// When it started.
    pub started_at: UnixMillis,
}

/// How a client's questions ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It has left.
    All,
    /// It wants the daemon to end.
    ToStop,
}

/// Answers a client's questions, one after the other, until it leaves.
pub async fn answer_all(
    host: &Host,
    present: &Present,
    sources: Sources,
    room: &Room,
    reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) -> Asked {
    let sources = Arc::new(sources);
    let mut frames = FrameReader::within(reader, room.clone());
    while let Ok(Some(asked)) = frames.next().await {
        let question = match asked {
            Frame::Body(body) => serde_json::from_slice(&body).map_err(|error| error.to_string()),
            Frame::Garbage(why) => Err(why),
        };
        let stops = matches!(question, Ok(Question::Stop {}));
        let reply = match question {
            Ok(Question::Candidates(params)) => encode(candidates(host, &sources, params).await),
            Ok(Question::Symbols(params)) => encode(symbols(host, &sources, params).await),
            Ok(Question::Daemon {}) => encode(state(host, present).await),
            Ok(Question::Stop {}) => encode(()),
            Err(why) => serde_json::to_vec(&Reply::<()>::Error(format!("that isn't a question: {why}"))),
        };
        let Ok(reply) = reply else { return Asked::All };
        if writer.write_all(&frame(&reply)).await.is_err() || writer.flush().await.is_err() {
            return Asked::All;
        }
        if stops {
            tracing::info!("a client stops the engine");
            host.life.leave();
            return Asked::ToStop;
        }
    }
    Asked::All
}

fn encode<T: Serialize>(result: T) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Reply::Result(result))
}

async fn state(host: &Host, present: &Present) -> DaemonState {
    let mut codebases = Vec::new();
    for (workspace, clients) in host.engine.codebases() {
        let state = ext::QueueState::from(&**workspace.state().borrow());
        codebases.push(OpenCodebase { clients, state, cache: CacheReport::of(workspace.cache()).await });
    }
    let Owner { host: name, pid, .. } = Owner::new();
    DaemonState {
        pid,
        host: name,
        version: VERSION.to_owned(),
        started_at: host.started_at,
        memory: memory(),
        log: host.log.as_ref().map(|path| path.display().to_string()),
        socket: host.socket.display().to_string(),
        clients: host.life.clients(present),
        codebases,
    }
}

/// Memory that this process holds, bytes.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? * 1024)
}

async fn candidates(host: &Host, sources: &Arc<Sources>, params: CandidatesParams) -> Candidates {
    let CandidatesParams { pattern, folder, by_size } = params;
    let unknown = |why: &str| Candidates::Unknown(why.to_owned());
    let folder = PathBuf::from(folder);
    let holding = host.engine.holding(&folder);
    // One whose settings have changed is opened anew.
    let Some(workspace) = holding.filter(|workspace| !workspace.outdated().is_cancelled()) else {
        open_for_the_next(host, sources, folder);
        return unknown("no open codebase holds the folder");
    };
    let root = workspace.codebase().root.as_path().to_owned();
    let planned = move || pattern.map_or(Plan::All, |pattern| Query::plan(&pattern).0);
    let Ok(plan) = tokio::task::spawn_blocking(planned).await else { return unknown("the pattern isn't one") };
    let found = match timeout(CANDIDATES_TIME, workspace.candidates(&folder, plan, by_size)).await {
        Ok(Some(found)) => found,
        Ok(None) => return unknown("the codebase can't tell for certain"),
        Err(_) => return unknown("the codebase is being looked at"),
    };
    let below = folder.strip_prefix(&root).ok().and_then(RelPath::new);
    let in_folder = |path: &RelPath| {
        let path = match &below {
            None => path.as_bytes(),
            Some(folder) => path.as_bytes().strip_prefix(folder.as_bytes())?.strip_prefix(b"/")?,
        };
        Some(PathText::new(path))
    };
    let (files, unlisted) =
        (found.files.iter().map(in_folder).collect(), found.unlisted.iter().map(in_folder).collect());
    match (files, unlisted, root.to_str()) {
        (Some(files), Some(unlisted), Some(root)) => {
            let spared = (found.spared.files, found.spared.bytes);
            let (rules_outside, generation) = (found.rules_outside, found.generation.0);
            Candidates::Files { root: root.to_owned(), rules_outside, files, unlisted, spared, generation }
        }
        _ => unknown("the codebase's path isn't UTF-8"),
    }
}

async fn symbols(host: &Host, sources: &Arc<Sources>, params: SymbolsParams) -> Symbols {
    let (engine, sources, root) = (host.engine.clone(), sources.clone(), PathBuf::from(&params.root));
    let opened = tokio::task::spawn_blocking(move || {
        let settings = settings::load(Some(&root), &sources).settings;
        let sources = Sources { home_is_meant: has_index(&root, &settings), ..(*sources).clone() };
        engine.open_with(&root, &sources).map(|opened| opened.workspace).map_err(|error| error.to_string())
    });
    let workspace = match opened.await {
        Ok(Ok(workspace)) => workspace,
        Ok(Err(why)) => return Symbols::Unknown(why),
        Err(error) => return Symbols::Unknown(error.to_string()),
    };
    if !workspace.settings().index.symbols {
        return Symbols::Unknown("symbols are switched off there; set index.symbols to true".to_owned());
    }
    let (known, pending, state) = {
        let state = workspace.state();
        let state = state.borrow();
        (state.symbols_known, state.symbols_pending, ext::QueueState::from(&**state))
    };
    // What is wrong doesn't get better by waiting; what is known is given.
    let gets_better =
        (state.health == ext::Health::Ok || state.progress.is_some() || pending) && state.phase != ext::Phase::Paused;
    let waits = gets_better && !params.known;
    let much_left = |progress: &ext::Progress| progress.total.saturating_sub(progress.done) > MUCH;
    if !known && waits && state.progress.as_ref().is_some_and(much_left) {
        return Symbols::NotYet(state.progress);
    }
    let view = workspace.view(Arc::default(), true).await.view;
    let answer = workspace.symbols(view, params.query(), CancellationToken::new()).await;
    // What was written lately the query has parsed itself: where somebody writes all the time, waiting would never end.
    // And what turns out to be damaged is parsed again at once.
    // (What the state says may be a moment old: the answer itself tells whether it is whole.)
    if waits && (answer.left_out || !answer.damaged.is_empty()) {
        return Symbols::NotYet(state.progress);
    }
    let found = |found: SymbolMatch| FoundSymbol { path: PathText::new(found.path.as_bytes()), symbol: found.symbol };
    Symbols::Found {
        symbols: answer.symbols.into_iter().map(found).collect(),
        limit_hit: answer.limit_hit,
        left_out: answer.left_out || !answer.damaged.is_empty(),
        given_up: answer.given_up,
    }
}

/// Opens the codebase that holds `folder`, if there is an index of one, so that the next search finds it warm.
fn open_for_the_next(host: &Host, sources: &Arc<Sources>, folder: PathBuf) {
    let (engine, sources) = (host.engine.clone(), sources.clone());
    drop(tokio::task::spawn_blocking(move || open_indexed(&engine, &sources, &folder)));
}

fn open_indexed(engine: &Engine, sources: &Sources, folder: &Path) {
    let settings = settings::load(None, sources).settings;
    let Some(root) = indexed_codebase(folder, &settings) else { return };
    // The index that is there was asked for.
    let sources = Sources { home_is_meant: true, ..sources.clone() };
    // The engine keeps it.
    if let Err(error) = engine.open_with(root.as_path(), &sources) {
        tracing::info!(%error, "can't open a codebase for the searches to come");
    }
}
