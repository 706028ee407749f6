//! A client's session: the one task that owns what the server knows of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;
use tower_lsp::Client;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{
    DidChangeTextDocumentParams, ExecuteCommandParams, MessageType, SymbolInformation, TextDocumentItem, Url,
    WorkspaceFoldersChangeEvent,
};

use super::ServeOptions;
use super::client::ClientFacts;
use super::documents::{Documents, changes_rules, real};
use super::edits::LostText;
use super::ext::{CodebaseParams, LastSync, Outcome, QueueState, SearchParams, SearchResult, commands};
use super::life::Life;
use super::outbox::Outbox;
use super::roots::{Root, RootSpelling, Roots};
use super::search::{Search, Target, failed};
use super::symbols::SymbolSearch;
use crate::core::RelPath;
use crate::workspace::{Engine, Workspace};

/// Requests that may wait for their answers; more are refused, with a sentence.
pub const REQUESTS: usize = 128;
/// Searches that run at a time; others wait for their turn.
const SEARCHES: usize = 4;
/// How often it is looked whether a folder can be opened anew with the client's settings.
const REOPENING: Duration = Duration::from_secs(1);

/// Where a request's answer goes. Its receiver is gone when the client has cancelled the request.
pub type Reply<T> = oneshot::Sender<Result<T>>;

/// What a client says.
pub enum Event {
    /// `initialize`
    Initialize(Box<ClientFacts>),
    /// `initialized`; from now on, the client may be talked to.
    Initialized(Client),
    /// A document was opened.
    Opened(TextDocumentItem),
    /// A document was edited.
    Changed(DidChangeTextDocumentParams),
    /// What was said of a document's text can't be understood.
    Lost(LostText),
    /// A document was saved.
    Saved(Url),
    /// A document was closed.
    Closed(Url),
    /// Files were changed on disk.
    Touched(Vec<Url>),
    /// Workspace folders came or went.
    Folders(WorkspaceFoldersChangeEvent),
    /// The settings changed.
    Configuration(Value),
    /// `syncline/queue`
    Queue(CodebaseParams, Reply<Vec<QueueState>>),
    /// `syncline/search`
    Search(SearchParams, Reply<SearchResult>),
    /// `syncline/sync`
    Sync(CodebaseParams, Reply<LastSync>),
    /// `workspace/symbol`
    Symbols(String, Reply<Option<Vec<SymbolInformation>>>),
    /// `workspace/executeCommand`
    Command(ExecuteCommandParams, Reply<Option<Value>>),
}

/// An event on its way to the session.
pub struct Posted {
    /// What it is.
    pub event: Event,
    /// Dropped when the session has dealt with it.
    pub _taken: oneshot::Sender<()>,
}

/// Who has asked a first question isn't told of states before it has the answer.
const ANSWER_FIRST: Duration = Duration::from_millis(50);

/// What the server knows of a client.
pub struct Session {
    pub(super) engine: Engine,
    pub(super) outbox: Outbox,
    pub(super) life: Life,
    pub(super) options: ServeOptions,
    pub(super) facts: Option<Box<ClientFacts>>,
    pub(super) client: Option<Client>,
    pub(super) roots: Roots,
    /// Folders that are open with other settings than the client's.
    pub(super) outdated: Vec<PathBuf>,
    /// What the client was told of the settings of each folder.
    pub(super) told: HashMap<PathBuf, Vec<String>>,
    /// Whether the client is told of its codebases' states.
    pub(super) wants_states: watch::Sender<bool>,
    /// Takes roots of codebases that are to be opened anew, each once.
    pub(super) report: mpsc::UnboundedSender<PathBuf>,
    renewals: mpsc::UnboundedReceiver<PathBuf>,
    pub(super) documents: Documents,
    requests: Arc<Semaphore>,
    searches: Arc<Semaphore>,
}

impl Session {
    /// A session in which nothing was said yet.
    pub fn new(engine: Engine, outbox: Outbox, life: Life, options: ServeOptions) -> Session {
        let (report, renewals) = mpsc::unbounded_channel();
        Session {
            engine,
            outbox,
            life,
            wants_states: watch::channel(options.tells_states).0,
            options,
            facts: None,
            client: None,
            roots: Roots::default(),
            outdated: Vec::new(),
            told: HashMap::new(),
            report,
            renewals,
            documents: Documents::default(),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            searches: Arc::new(Semaphore::new(SEARCHES)),
        }
    }

    /// Deals with events in their order until the session is to stop. Then its codebases close.
    pub async fn run(mut self, mut events: mpsc::UnboundedReceiver<Posted>) {
        let stopping = self.life.stopping().clone();
        let deal = async {
            let mut reopening = tokio::time::interval(REOPENING);
            reopening.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    posted = events.recv() => match posted {
                        Some(Posted { event, _taken }) => self.deal_with(event).await,
                        None => return,
                    },
                    Some(root) = self.renewals.recv() => self.renew(&root).await,
                    _ = reopening.tick(), if !self.outdated.is_empty() => self.reopen().await,
                }
            }
        };
        stopping.run_until_cancelled(deal).await;
    }

    async fn deal_with(&mut self, event: Event) {
        match event {
            Event::Initialize(facts) => {
                self.wants_states.send_if_modified(|wants| facts.knows_states && !std::mem::replace(wants, true));
                self.facts = Some(facts);
            }
            Event::Initialized(client) => self.begin(client).await,
            Event::Opened(document) => self.opened(document),
            Event::Changed(params) => {
                let encoding = self.facts.as_ref().map(|facts| facts.encoding).unwrap_or_default();
                self.documents.change(&params.text_document.uri, params.content_changes, encoding);
            }
            Event::Lost(lost) => self.lost(&lost).await,
            Event::Saved(uri) => {
                self.documents.saved(&uri);
                self.touched(vec![uri.clone()]).await;
                self.settings_written(&[uri]).await;
            }
            Event::Closed(uri) => self.documents.close(&uri),
            Event::Touched(uris) => {
                self.touched(uris.clone()).await;
                self.settings_written(&uris).await;
            }
            Event::Folders(change) => self.folders(change).await,
            Event::Configuration(settings) => self.configuration(settings).await,
            Event::Queue(params, reply) => drop(reply.send(self.queue(&params))),
            Event::Search(params, reply) => self.search(params, reply),
            Event::Symbols(query, reply) => self.symbols(query, reply),
            Event::Sync(params, reply) => {
                // Whoever syncs knows us, and wants to see how it goes.
                if !self.declines_states() {
                    self.wants_states.send_if_modified(|wants| !std::mem::replace(wants, true));
                }
                self.sync(&params, reply);
            }
            Event::Command(params, reply) => self.command(params, reply),
        }
    }

    fn opened(&mut self, document: TextDocumentItem) {
        let uri = document.uri;
        self.documents.open(uri.clone(), document.text);
        // Found out now, in the background, so that no search has to.
        for root in self.roots.iter() {
            let (workspace, place) = (root.workspace.clone(), root.place());
            if let Some(open) = self.documents.text(&uri, &workspace.codebase().root) {
                tokio::spawn(async move { drop(open.place_in(&workspace, &place).await) });
            }
        }
    }

    /// The client's text of a document isn't known any more, which its user should see, once for each document.
    async fn lost(&mut self, lost: &LostText) {
        let Some(uri) = lost.uri() else {
            return tracing::warn!(why = lost.why, "the client edits a document that it doesn't name");
        };
        if self.documents.lose(&uri) {
            let sentence = format!(
                "syncline can't understand what the editor says of {uri} ({}); the file on disk is searched instead \
                 until the editor sends the whole text, as it does when the document is opened anew",
                lost.why
            );
            self.outbox.log(MessageType::WARNING, sentence).await;
        }
    }

    async fn touched(&mut self, uris: Vec<Url>) {
        for uri in &uris {
            self.documents.forget_members_of(uri);
        }
        let paths: Vec<_> = uris.iter().filter_map(|uri| uri.to_file_path().ok()).collect();
        if paths.iter().any(|path| changes_rules(path)) {
            self.documents.forget_members();
        }
        for root in self.roots.iter() {
            let place = root.place();
            let paths: Vec<_> = paths.iter().map(|path| place.canonical(path)).collect();
            // What was written through a link is the file that it leads to; the link may have changed, too.
            let written = move || paths.into_iter().flat_map(|path| [real(&path), path]).collect();
            // Waited for: whoever asks next must see what was written.
            root.workspace.touch(tokio::task::spawn_blocking(written).await.unwrap_or_default());
        }
    }

    /// The codebases that are meant.
    fn meant(&self, name: Option<&str>) -> Result<Vec<&Root>> {
        self.roots.named(name).ok_or_else(|| {
            let name = name.unwrap_or_default();
            let sentence = format!("no codebase {name} is open here; give the id or the root's URI of one that is");
            Error::invalid_params(sentence)
        })
    }

    fn queue(&self, params: &CodebaseParams) -> Result<Vec<QueueState>> {
        let state = |root: &&Root| QueueState::from(&**root.workspace.state().borrow());
        Ok(self.meant(params.codebase.as_deref())?.iter().map(state).collect())
    }

    /// The client has announced that it doesn't take states.
    fn declines_states(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| facts.declines_states)
    }

    fn search(&mut self, params: SearchParams, reply: Reply<SearchResult>) {
        let roots = match self.meant(params.codebase.as_deref()) {
            Ok(roots) => roots,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let places = places(&roots);
        let search = Search {
            targets: self.targets(places),
            encoding: self.facts.as_ref().map(|facts| facts.encoding).unwrap_or_default(),
            outbox: self.outbox.clone(),
            params,
        };
        let (turns, declines) = (self.searches.clone(), self.declines_states());
        let wants = self.wants_states.clone();
        self.answer(reply, async move {
            let _turn = turns.acquire().await;
            let found = search.run().await;
            // Whoever searches through us knows us, and may see what is searched: once the answer is there.
            if !declines {
                tokio::spawn(async move {
                    tokio::time::sleep(ANSWER_FIRST).await;
                    wants.send_if_modified(|wants| !std::mem::replace(wants, true));
                });
            }
            found
        });
    }

    fn symbols(&mut self, query: String, reply: Reply<Option<Vec<SymbolInformation>>>) {
        let places = match self.meant(None) {
            Ok(roots) => places(&roots),
            Err(error) => return drop(reply.send(Err(error))),
        };
        let facts = self.facts.as_ref();
        let (encoding, kinds) = facts.map(|facts| (facts.encoding, facts.kinds.clone())).unwrap_or_default();
        let search = SymbolSearch { query, targets: self.targets(places), encoding, kinds };
        let turns = self.searches.clone();
        self.answer(reply, async move {
            let _turn = turns.acquire().await;
            Ok(Some(search.run().await))
        });
    }

    /// Codebases to search, with the documents the client has open there.
    fn targets(&mut self, places: RootSpellings) -> Vec<Target> {
        let targets = places.into_iter().map(|(workspace, place, inner)| {
            let root = &workspace.codebase().root;
            let (texts, latest) = (self.documents.texts(root), self.documents.latest(root));
            Target { workspace, place, inner, texts, latest }
        });
        targets.collect()
    }

    /// Syncs the codebases that are meant, all at once, and gives how each ended, in their order.
    fn syncs(&self, name: Option<&str>) -> Result<impl Future<Output = Vec<LastSync>> + use<>> {
        let workspaces: Vec<_> = self.meant(name)?.iter().map(|root| root.workspace.clone()).collect();
        Ok(async {
            let syncs = workspaces.into_iter().map(|workspace| async move { workspace.sync().await });
            // In tasks, to run side by side; they go on when the client gives up.
            let syncs: Vec<_> = syncs.map(tokio::spawn).collect();
            let mut outcomes = Vec::new();
            for sync in syncs {
                match sync.await {
                    Ok(outcome) => outcomes.push(LastSync::from(&outcome)),
                    Err(error) => tracing::error!(%error, "a sync ended without a result"),
                }
            }
            outcomes
        })
    }

    fn sync(&self, params: &CodebaseParams, reply: Reply<LastSync>) {
        match self.syncs(params.codebase.as_deref()) {
            Ok(syncs) => self.answer(reply, async {
                let none = || failed("no codebase is open; open a folder first");
                // The client asked whether all is synced: the worst outcome is the answer.
                syncs.await.into_iter().max_by_key(|sync| badness(sync.outcome)).ok_or_else(none)
            }),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn command(&self, params: ExecuteCommandParams, reply: Reply<Option<Value>>) {
        let argument = params.arguments.into_iter().next().filter(|argument| !argument.is_null());
        let codebase = match argument.map(serde_json::from_value::<CodebaseParams>).transpose() {
            Ok(params) => params.unwrap_or_default().codebase,
            Err(error) => {
                let sentence = format!("the argument of {} is {{ codebase? }}: {error}", params.command);
                return drop(reply.send(Err(Error::invalid_params(sentence))));
            }
        };
        // It is done at once, and answered when the states show it.
        let act = |act: fn(&Workspace) -> oneshot::Receiver<()>| {
            self.meant(codebase.as_deref()).map(|roots| roots.iter().map(|root| act(&root.workspace)).collect())
        };
        let acted: Result<Vec<_>> = match params.command.as_str() {
            commands::PAUSE => act(Workspace::pause),
            commands::RESUME => act(Workspace::resume),
            commands::REBUILD => self.meant(codebase.as_deref()).map(|roots| {
                roots.iter().for_each(|root| root.workspace.rebuild());
                Vec::new()
            }),
            commands::SYNC => match self.syncs(codebase.as_deref()) {
                Ok(syncs) => {
                    return self.answer(reply, async { Ok(serde_json::to_value(syncs.await).ok()) });
                }
                Err(error) => Err(error),
            },
            unknown => Err(Error::invalid_params(format!("there is no command {unknown}"))),
        };
        match acted {
            Ok(shown) => self.answer(reply, async {
                for shown in shown {
                    // It fails when the codebase was closed meanwhile.
                    let _ = shown.await;
                }
                Ok(None)
            }),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    /// Answers a request by work that takes its time: in a task of its own, which ends when the client cancels the
    /// request and when the session stops.
    fn answer<T: Send + 'static>(&self, reply: Reply<T>, work: impl Future<Output = Result<T>> + Send + 'static) {
        let Ok(slot) = self.requests.clone().try_acquire_owned() else {
            let sentence = format!("{REQUESTS} requests are waiting for their answers already; cancel some");
            return drop(reply.send(Err(failed(sentence))));
        };
        let stopping = self.life.stopping().clone();
        let mut reply = reply;
        tokio::spawn(async move {
            let _slot = slot;
            let result = tokio::select! {
                result = work => result,
                () = reply.closed() => return,
                () = stopping.cancelled() => Err(Error::request_cancelled()),
            };
            let _ = reply.send(result);
        });
    }
}

/// Codebases, where they are, and the folders in each that are codebases of their own.
type RootSpellings = Vec<(Workspace, RootSpelling, Vec<RelPath>)>;

fn places(roots: &[&Root]) -> RootSpellings {
    // A file below several roots is answered by the innermost of those that are searched.
    let inner = |root: &Root| roots.iter().filter_map(|other| root.holds(other)).collect();
    roots.iter().map(|root| (root.workspace.clone(), root.place(), inner(root))).collect()
}

fn badness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Synced => 0,
        Outcome::Superseded => 1,
        Outcome::Failed => 2,
    }
}
