//! `syncline/search`.

use std::iter::Peekable;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_lsp::jsonrpc::{Error, ErrorCode, Result};
use tower_lsp::lsp_types::{ProgressToken, Range};

use super::documents::{Held, OpenText};
use super::ext::{FileUri, SearchChunk, SearchMatch, SearchParams, SearchProgress, SearchProgressParams, SearchResult};
use super::globs::Globs;
use super::outbox::Outbox;
use super::positions::{BYTE_ORDER_MARK, Encoding, in_editor_lines};
use super::roots::RootSpelling;
use crate::core::RelPath;
use crate::index::{Boundary, Case, FileMatches, MatchedLine, Pattern, Query};
use crate::workspace::{FreshView, Keep, Workspace};

/// Matches that are given when the client doesn't say.
const DEFAULT_RESULTS: usize = 10_000;
/// Matches that are given at most.
const MOST_RESULTS: usize = 1_000_000;
/// Bytes of a line that are shown at most.
const LONGEST_TEXT: usize = 10_000;
/// Bytes that the matches of one reply take at most, about. Streamed ones have no such limit: they leave as they come.
const LARGEST_REPLY: usize = 64 << 20;
/// Matches in one streamed chunk at most, and about the bytes that they take.
const CHUNK: usize = 1000;
const CHUNK_BYTES: usize = 256 << 10;
/// How long the client may leave a streamed chunk untaken before its search is given up.
const UNTAKEN: Duration = Duration::from_secs(20);
/// Files with matches, or parts of files with many, that wait for the client to take them; the search waits when there are
/// more.
const FILES_AHEAD: usize = 64;

/// A search, ready to run.
pub struct Search {
    /// As the client wants it.
    pub params: SearchParams,
    /// Where, in this order.
    pub targets: Vec<Target>,
    /// The unit of columns.
    pub encoding: Encoding,
    /// Where streamed matches go.
    pub outbox: Outbox,
}

/// A codebase to search.
pub struct Target {
    /// The codebase.
    pub workspace: Workspace,
    /// Where it is.
    pub place: RootSpelling,
    /// Folders in it that are searched as codebases of their own.
    pub inner: Vec<RelPath>,
    /// The documents the client has open.
    pub texts: Vec<OpenText>,
    /// The one it opened or edited last.
    pub latest: Option<OpenText>,
}

impl Target {
    /// The open documents that belong to the codebase.
    pub(super) async fn held(&self) -> Held {
        Held::of(&self.texts, &self.workspace, &self.place).await
    }

    /// Where the document is that the client opened or edited last, if it belongs to the codebase.
    pub(super) async fn latest(&self) -> Option<RelPath> {
        self.latest.as_ref()?.place_in(&self.workspace, &self.place).await
    }

    /// Whether a file isn't answered for by a codebase inside this one.
    pub(super) fn keeps(&self, path: &RelPath) -> bool {
        !self.inner.iter().any(|dir| path.is_below(dir))
    }

    fn keep(&self, globs: &Globs) -> Keep {
        let (globs, inner) = (globs.clone(), self.inner.clone());
        Box::new(move |path| !inner.iter().any(|dir| path.is_below(dir)) && globs.keep(path))
    }
}

impl Search {
    /// Runs it. Dropping this ends it soon after.
    ///
    /// # Errors
    /// When the query or a glob isn't one.
    pub async fn run(self) -> Result<SearchResult> {
        let cancel = CancellationToken::new();
        let _ends_with_this = cancel.clone().drop_guard();
        let prepared = prepare(&self.params);
        // Compiling a large expression takes its time.
        let (query, globs) = tokio::task::spawn_blocking(prepared).await.map_err(|_| Error::internal_error())??;
        let mut left = self.params.max_results.unwrap_or(DEFAULT_RESULTS).min(MOST_RESULTS);
        let mut result = SearchResult { fresh: true, ..SearchResult::default() };
        let mut delivery = Delivery::new(self.params.partial_result_token.clone(), self.outbox.clone());
        for (at, target) in self.targets.iter().enumerate() {
            let held = target.held().await;
            let FreshView { view, fresh } =
                target.workspace.view(held.texts.clone(), self.params.fresh.unwrap_or(true)).await;
            result.fresh &= fresh;
            if at == 0 {
                result.generation = view.snapshot.generation.0;
            }
            let (give, take) = mpsc::channel(FILES_AHEAD);
            let (place, encoding) = (target.place.clone(), self.encoding);
            let shown = held.clone();
            let shape = move |path: &RelPath, line: MatchedLine<'_>, hits: &mut Vec<Hit>| {
                hits_of(line, shown.document(path), encoding, hits)
            };
            let found = move |file: FileMatches<Hit>| {
                // In an open document, under the URI that it has there.
                let uri = held.document(&file.path).map_or_else(|| place.uri(&file.path), OpenText::uri);
                let sent = give.blocking_send((uri, file.matches));
                if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let (query, keep) = (query.clone(), target.keep(&globs));
            let searching = target.workspace.search(view, query, keep, left, cancel.clone(), shape, found);
            let (end, given) = tokio::join!(searching, delivery.deliver(take));
            left = left.saturating_sub(given?);
            if let Some(first) = end.unreadable.first() {
                // What is in it isn't in the answer.
                result.fresh = false;
                tracing::warn!(files = end.unreadable.len(), first, "a search left files out");
            }
            if end.limit_hit || delivery.is_full {
                result.limit_hit = true;
                break;
            }
        }
        result.matches = delivery.held;
        Ok(result)
    }
}

/// The work of compiling what the client gave.
pub(super) fn prepare(params: &SearchParams) -> impl FnOnce() -> Result<(Query, Globs)> + Send + use<> {
    let is_multi_line = params.query.contains('\n');
    let pattern = Pattern {
        patterns: vec![params.query.clone()],
        fixed_strings: !params.is_regex,
        case: if params.is_case_sensitive { Case::Sensitive } else { Case::Insensitive },
        boundary: if params.whole_word { Boundary::Word } else { Boundary::None },
        ..Pattern::default()
    };
    let include = params.include.clone().unwrap_or_default();
    let exclude = params.exclude.clone().unwrap_or_default();
    move || {
        if is_multi_line {
            return Err(Error::invalid_params("can't search for a line's end; matches are within one line"));
        }
        let query = Query::new(&pattern).map_err(|error| Error::invalid_params(error.to_string()))?;
        let wrong_glob = |error| Error::invalid_params(format!("include or exclude has a wrong glob: {error}"));
        Ok((query, Globs::new(&include, &exclude).map_err(wrong_glob)?))
    }
}

/// A match on its way to the client. Those of one line share what is shown of it.
struct Hit {
    range: Range,
    text: Arc<str>,
}

/// Adds the matches of a line as the client gets them, in an open document with the columns that it has there; gives about
/// how many bytes that takes.
fn hits_of(line: MatchedLine<'_>, document: Option<&OpenText>, encoding: Encoding, hits: &mut Vec<Hit>) -> usize {
    let (mut bytes, mut last): (usize, Option<(u32, Arc<str>)>) = (0, None);
    let number = line.number + line.lone_returns;
    in_editor_lines(line.text, number, line.matches, LONGEST_TEXT, encoding, |range, text| {
        let text = match &last {
            Some((line, text)) if *line == range.start.line => text.clone(),
            _ => {
                let is_marked = range.start.line == 0 && document.is_some_and(|document| document.has_mark);
                let text: Arc<str> = if is_marked { format!("{BYTE_ORDER_MARK}{text}").into() } else { text.into() };
                bytes += text.len();
                last = Some((range.start.line, text.clone()));
                text
            }
        };
        bytes += size_of::<Hit>();
        hits.push(Hit { range: document.map_or(range, |document| document.range(range, encoding)), text });
    });
    bytes
}

/// Matches that make a message, each with its own text.
#[derive(Default)]
struct Chunk {
    matches: Vec<SearchMatch>,
    bytes: usize,
}

impl Chunk {
    fn is_full(&self) -> bool {
        self.matches.len() >= CHUNK || self.bytes >= CHUNK_BYTES
    }

    /// Takes of `hits` what there is room for.
    fn fill(&mut self, uri: &FileUri, hits: &mut Peekable<impl Iterator<Item = Hit>>) {
        while let Some(Hit { range, text }) = hits.next_if(|_| !self.is_full()) {
            let found = SearchMatch { uri: uri.clone(), range, text: text.as_ref().to_owned() };
            self.bytes += size_of_match(&found);
            self.matches.push(found);
        }
    }
}

/// About how many bytes a match takes in a message.
fn size_of_match(found: &SearchMatch) -> usize {
    found.uri.as_str().len() + found.text.len() + 128
}

/// How matches get to the client.
struct Delivery {
    /// Where to, when they are streamed.
    stream: Option<(ProgressToken, Outbox)>,
    /// Those for the reply.
    held: Vec<SearchMatch>,
    held_bytes: usize,
    /// The reply can hold no more.
    is_full: bool,
}

impl Delivery {
    fn new(token: Option<ProgressToken>, outbox: Outbox) -> Delivery {
        let stream = token.map(|token| (token, outbox));
        Delivery { stream, held: Vec::new(), held_bytes: 0, is_full: false }
    }

    /// Delivers matches until there are no more, or the reply is full; gives how many there were.
    ///
    /// # Errors
    /// When the client doesn't take them: nothing is kept for it any longer.
    async fn deliver(&mut self, mut take: mpsc::Receiver<(FileUri, Vec<Hit>)>) -> Result<usize> {
        let mut given = 0;
        // It has matches of several files, where each has few.
        let mut waiting = Chunk::default();
        while !self.is_full
            && let Some((uri, hits)) = take.recv().await
        {
            given += hits.len();
            let mut hits = hits.into_iter().peekable();
            while hits.peek().is_some() && !self.is_full {
                waiting.fill(&uri, &mut hits);
                if waiting.is_full() || take.is_empty() {
                    self.pass(std::mem::take(&mut waiting).matches).await?;
                }
            }
        }
        self.pass(waiting.matches).await?;
        Ok(given)
    }

    async fn pass(&mut self, matches: Vec<SearchMatch>) -> Result<()> {
        if matches.is_empty() {
            return Ok(());
        }
        let Some((token, outbox)) = &self.stream else {
            for found in matches {
                // There are more than it can hold.
                self.is_full |= self.held_bytes > LARGEST_REPLY;
                if self.is_full {
                    break;
                }
                self.held_bytes += size_of_match(&found);
                self.held.push(found);
            }
            return Ok(());
        };
        let params = SearchProgressParams { token: token.clone(), value: SearchChunk { matches } };
        let streamed = timeout(UNTAKEN, outbox.notify::<SearchProgress>(params)).await;
        streamed.map_err(|_| failed("the matches weren't taken in time; the search was given up"))
    }
}

/// A request that was understood but can't be fulfilled (`RequestFailed` of the protocol).
pub fn failed(sentence: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error { code: ErrorCode::ServerError(-32803), message: sentence.into(), data: None }
}
