//! tower-lsp's handlers: each puts one event in for the session and returns.
//!
//! An event is put in before the handler's first await, since handlers start in the order of their messages but don't
//! stay in it. Then the handler waits until the session took it: tower-lsp runs so many handlers and no more, which
//! bounds the events that wait.

use tokio::sync::{mpsc, oneshot};
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::{
    DidChangeConfigurationParams, DidChangeTextDocumentParams, DidChangeWatchedFilesParams,
    DidChangeWorkspaceFoldersParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, DidSaveTextDocumentParams,
    ExecuteCommandParams, InitializeParams, InitializeResult, InitializedParams, SymbolInformation,
    WorkspaceSymbolParams,
};
use tower_lsp::{Client, ClientSocket, LanguageServer, LspService, async_trait};

use super::client::ClientFacts;
use super::edits::{LOST_TEXT, LostText};
use super::ext::{self, CodebaseParams, LastSync, QueueState, SearchParams, SearchResult};
use super::life::Life;
use super::session::{Event, Posted, Reply};

/// Handlers that run at once, the requests that wait for their answers among them. It must be well above
/// [`super::session::REQUESTS`], or those would keep `$/cancelRequest` and `shutdown` out.
pub const HANDLERS: usize = 256;

/// Turns messages into events.
pub struct Handlers {
    client: Client,
    life: Life,
    events: mpsc::UnboundedSender<Posted>,
    /// The client's process was named on the command line, which counts more than what `initialize` says.
    is_parent_known: bool,
}

/// The service that tower-lsp runs, and the socket for the server's own requests to the client.
pub fn service(
    life: Life,
    events: mpsc::UnboundedSender<Posted>,
    is_parent_known: bool,
) -> (LspService<Handlers>, ClientSocket) {
    LspService::build(|client| Handlers { client, life, events, is_parent_known })
        .custom_method(ext::QUEUE, Handlers::queue)
        .custom_method(ext::SEARCH, Handlers::search)
        .custom_method(ext::SYNC, Handlers::sync)
        .custom_method(LOST_TEXT, Handlers::lost_text)
        .finish()
}

impl Handlers {
    /// Puts `event` in, at once; what it gives waits until the session took it.
    fn tell(&self, event: Event) -> impl Future<Output = ()> + use<> {
        let (taken, wait) = oneshot::channel();
        // It fails when the session is over: nothing is left to be told.
        let _ = self.events.send(Posted { event, _taken: taken });
        async move {
            let _ = wait.await;
        }
    }

    /// Puts a request in, at once; what it gives waits for the answer.
    fn ask<T>(&self, event: impl FnOnce(Reply<T>) -> Event) -> impl Future<Output = Result<T>> {
        let (reply, answer) = oneshot::channel();
        drop(self.tell(event(reply)));
        async move {
            answer.await.unwrap_or_else(|_| {
                let mut error = Error::internal_error();
                error.message = "the request got no answer: the server is ending, or failed; its log says more".into();
                Err(error)
            })
        }
    }

    async fn queue(&self, params: CodebaseParams) -> Result<Vec<QueueState>> {
        self.ask(|reply| Event::Queue(params, reply)).await
    }

    async fn search(&self, params: SearchParams) -> Result<SearchResult> {
        self.ask(|reply| Event::Search(params, reply)).await
    }

    async fn lost_text(&self, lost: LostText) {
        self.tell(Event::Lost(lost)).await;
    }

    async fn sync(&self, params: CodebaseParams) -> Result<LastSync> {
        self.ask(|reply| Event::Sync(params, reply)).await
    }
}

#[async_trait]
impl LanguageServer for Handlers {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let facts = ClientFacts::of(&params);
        if let Some(pid) = params.process_id.filter(|_| !self.is_parent_known) {
            tokio::spawn(self.life.clone().end_with_parent(pid));
        }
        let answer = facts.answer();
        // Not waited for: no client waits for what the session has to do.
        drop(self.tell(Event::Initialize(Box::new(facts))));
        Ok(answer)
    }

    async fn initialized(&self, _: InitializedParams) {
        self.tell(Event::Initialized(self.client.clone())).await;
    }

    async fn shutdown(&self) -> Result<()> {
        self.life.shut_down();
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        self.tell(Event::Opened(params.text_document)).await;
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        self.tell(Event::Changed(params)).await;
    }

    async fn did_save(&self, params: DidSaveTextDocumentParams) {
        self.tell(Event::Saved(params.text_document.uri)).await;
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        self.tell(Event::Closed(params.text_document.uri)).await;
    }

    async fn did_change_watched_files(&self, params: DidChangeWatchedFilesParams) {
        self.tell(Event::Touched(params.changes.into_iter().map(|change| change.uri).collect())).await;
    }

    async fn did_change_workspace_folders(&self, params: DidChangeWorkspaceFoldersParams) {
        self.tell(Event::Folders(params.event)).await;
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        self.tell(Event::Configuration(params.settings)).await;
    }

    async fn symbol(&self, params: WorkspaceSymbolParams) -> Result<Option<Vec<SymbolInformation>>> {
        self.ask(|reply| Event::Symbols(params.query, reply)).await
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<serde_json::Value>> {
        self.ask(|reply| Event::Command(params, reply)).await
    }
}
