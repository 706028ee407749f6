//! Checks for a fuzzer; see [`crate::fuzz`].

use std::path::Path;
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json};
use tokio::runtime::Runtime;
use tower_lsp::jsonrpc::{Request, Response};
use tower_lsp::lsp_types::{
    DidChangeConfigurationParams, DidChangeTextDocumentParams, DidChangeWatchedFilesParams,
    DidChangeWorkspaceFoldersParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, ExecuteCommandParams,
    InitializeParams, Position, Url, WorkspaceSymbolParams,
};

use super::client::ClientFacts;
use super::documents::{Documents, changes_rules, file_of};
use super::edits::LOST_TEXT;
use super::ext::{CodebaseParams, SearchParams};
use super::frames::{Frame, FrameReader, frame};
use super::inbox::{Incoming, accept};
use super::model::Model;
use super::positions::{Encoding, ShownLine};
use super::settings::{log_level, section_of};
use crate::core::{CodebaseRoot, RelPath};
use crate::index::symbols::{Fit, SymbolQuery};

/// The bodies on a stream of any bytes.
pub fn bodies(data: &[u8]) -> Vec<Vec<u8>> {
    // Large messages wait for room, by a clock.
    static CLOCK: LazyLock<Option<Runtime>> =
        LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().ok());
    let _clock = CLOCK.as_ref().map(Runtime::enter);
    let mut frames = FrameReader::new(data);
    let mut bodies = Vec::new();
    // Reading from memory never waits.
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Ok(Some(frame))) = pin!(frames.next()).poll(&mut context) {
        match frame {
            Frame::Body(body) => bodies.push(body),
            Frame::Garbage(why) => assert!(why.len() < 10_000, "{} bytes about garbage", why.len()),
        }
    }
    bodies
}

/// The message in a body as the server gets it, if it does. It is one that tower-lsp can read.
pub fn accepted(body: Vec<u8>) -> Option<Vec<u8>> {
    match accept(body) {
        Ok(Incoming::Message(body)) => {
            let is_read =
                serde_json::from_slice::<Request>(&body).is_ok() || serde_json::from_slice::<Response>(&body).is_ok();
            assert!(is_read, "{}", String::from_utf8_lossy(&body));
            Some(body)
        }
        Ok(Incoming::Exit) => None,
        Err(refusal) => {
            assert!(serde_json::to_vec(&refusal).is_ok_and(|refusal| refusal.len() < 100_000), "{refusal:?}");
            None
        }
    }
}

/// A stream of any bytes is taken apart, and what its messages say is done, as far as that needs no codebase. The first
/// byte chooses the encoding of positions.
pub fn lsp(data: &[u8]) {
    let Some((&first, data)) = data.split_first() else { return };
    let encoding = [Encoding::Utf16, Encoding::Utf8, Encoding::Utf32][usize::from(first) % 3];
    let mut documents = Documents::default();
    for body in bodies(data).into_iter().filter_map(accepted) {
        let Ok(mut message) = serde_json::from_slice::<Value>(&body) else { continue };
        let Some(method) = message.get("method").and_then(Value::as_str).map(str::to_owned) else { continue };
        let Some(params) = message.get_mut("params").map(Value::take) else { continue };
        said(&method, params, &mut documents, encoding);
    }
}

fn said(method: &str, params: Value, documents: &mut Documents, encoding: Encoding) {
    match method {
        "initialize" => {
            let Some(params) = read::<InitializeParams>(params) else { return };
            let facts = ClientFacts::of(&params);
            assert_eq!(facts.answer().capabilities.position_encoding, Some(facts.encoding.kind()));
            let _ = log_level(&facts.section);
        }
        "textDocument/didOpen" => {
            documents.hear(method, params.clone(), encoding);
            let Some(DidOpenTextDocumentParams { text_document: document }) = read(params) else { return };
            if file_of(&document.uri).is_some() {
                assert_eq!(text_of(documents, &document.uri), Some(document.text));
            }
        }
        "textDocument/didChange" => {
            let before = read(params.clone()).and_then(|params: DidChangeTextDocumentParams| {
                let uri = params.text_document.uri;
                Some((text_of(documents, &uri)?, uri, params.content_changes))
            });
            documents.hear(method, params, encoding);
            let Some((before, uri, changes)) = before else { return };
            let after = text_of(documents, &uri).unwrap_or_default();
            let mut model = Model::new(&before);
            changes.into_iter().for_each(|change| model.edit(change.range, &change.text, encoding));
            assert!(model.shows(&after), "{before:?} became {after:?}");
            for number in [0, 1, 2, 7, u32::MAX] {
                let at = encoding.offset(&after, Position::new(number % 3, number));
                assert!(after.is_char_boundary(at));
            }
        }
        "textDocument/didClose" => {
            documents.hear(method, params.clone(), encoding);
            let Some(params) = read::<DidCloseTextDocumentParams>(params) else { return };
            assert!(text_of(documents, &params.text_document.uri).is_none());
        }
        "textDocument/didSave" | LOST_TEXT => documents.hear(method, params, encoding),
        "workspace/didChangeWatchedFiles" => {
            let changes = read::<DidChangeWatchedFilesParams>(params).map(|params| params.changes);
            let paths = changes.into_iter().flatten().filter_map(|change| change.uri.to_file_path().ok());
            paths.for_each(|path| _ = changes_rules(&path));
        }
        "workspace/didChangeConfiguration" => {
            let section = read::<DidChangeConfigurationParams>(params).and_then(|params| section_of(params.settings));
            section.iter().for_each(|section| _ = log_level(section));
        }
        "syncline/search" => _ = read::<SearchParams>(params).map(|params| search(&params, encoding)),
        "syncline/queue" | "syncline/sync" => _ = read::<CodebaseParams>(params),
        "workspace/symbol" => {
            _ = read::<WorkspaceSymbolParams>(params).map(|params| SymbolQuery::new(&params.query, Fit::Fuzzy, 9));
        }
        "workspace/executeCommand" => _ = read::<ExecuteCommandParams>(params),
        "workspace/didChangeWorkspaceFolders" => _ = read::<DidChangeWorkspaceFoldersParams>(params),
        _ => {}
    }
}

/// The text of a document as its client has it.
fn text_of(documents: &mut Documents, uri: &Url) -> Option<String> {
    let own = CodebaseRoot::open(&std::env::temp_dir()).unwrap_or_else(|error| panic!("{error}"));
    let open = documents.text(uri, &own)?;
    Some([if open.has_mark { "\u{feff}" } else { "" }, &open.text].concat())
}

fn read<T: DeserializeOwned>(params: Value) -> Option<T> {
    from_value(params).ok()
}

fn search(params: &SearchParams, encoding: Encoding) {
    let Ok((query, globs)) = super::search::prepare(params)() else { return };
    let paths = ["a.rs", "src/b/c.md", "é/ü.txt"].into_iter().filter_map(|path| RelPath::new(Path::new(path)));
    paths.for_each(|path| _ = globs.keep(&path));
    // The query itself is as good a line as any.
    let bytes = [params.query.as_bytes(), b"\xff\xf0\x9f", "é𝒳".as_bytes()].concat();
    let line = ShownLine::new(&bytes, usize::MAX);
    let mut matches = Vec::new();
    let found = grep_matcher::Matcher::find_iter(&query.matcher, &bytes, |found| {
        matches.push(found.start()..found.end());
        true
    });
    if found.is_ok() {
        for range in line.ranges(3, &matches, encoding) {
            assert!(
                range.start <= range.end
                    && encoding.offset(&line.text, Position::new(0, range.end.character)) <= line.text.len()
            );
        }
    }
}

/// Seeds of [`lsp`].
pub fn lsp_seeds() -> Vec<Vec<u8>> {
    let document = |rest: Value| {
        let mut document = json!({"uri": "file:///r/a.rs", "version": 1});
        document
            .as_object_mut()
            .into_iter()
            .for_each(|fields| fields.extend(rest.as_object().cloned().unwrap_or_default()));
        document
    };
    let change = |text: &str| json!({"range": {"start": {"line": 0, "character": 1}, "end": {"line": 1, "character": 3}}, "text": text});
    let initialize = json!({"processId": 1, "rootUri": "file:///r", "workspaceFolders": [{"uri": "file:///a", "name": "a"}],
        "initializationOptions": {"log": {"level": "debug"}},
        "capabilities": {"general": {"positionEncodings": ["utf-8"]}, "window": {"workDoneProgress": true}, "workspace": {"configuration": true}}});
    let folders = json!({"event": {"added": [{"uri": "file:///b", "name": "b"}], "removed": [{"uri": "file:///a", "name": "a"}]}});
    let search = json!({"query": "[a-z]+é", "isRegex": true, "isCaseSensitive": false, "wholeWord": true, "include": ["*.{rs,md}"],
        "exclude": ["src/**"], "maxResults": 9, "fresh": true, "partialResultToken": "t"});
    let sessions = [
        vec![("initialize", initialize), ("initialized", json!({})), ("shutdown", Value::Null)],
        vec![
            (
                "textDocument/didOpen",
                json!({"textDocument": document(json!({"languageId": "rust", "text": "é𝒳\r\nline\n"}))}),
            ),
            (
                "textDocument/didChange",
                json!({"textDocument": document(json!({})), "contentChanges": [change("𝒳\n"), {"text": "all"}]}),
            ),
            ("textDocument/didClose", json!({"textDocument": document(json!({}))})),
        ],
        vec![
            ("syncline/search", search),
            ("syncline/queue", json!({"codebase": "file:///r"})),
            ("workspace/symbol", json!({"query": "a::b"})),
        ],
        vec![
            ("workspace/didChangeWorkspaceFolders", folders),
            ("workspace/didChangeConfiguration", json!({"settings": {"syncline": {}}})),
        ],
        vec![
            ("workspace/executeCommand", json!({"command": "syncline.sync", "arguments": [{"codebase": "x"}]})),
            ("$/cancelRequest", json!({"id": 2})),
        ],
    ];
    let message = |(id, (method, params)): (usize, &(&str, Value))| {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        frame(message.to_string().as_bytes())
    };
    sessions.iter().map(|session| [vec![0], session.iter().enumerate().flat_map(message).collect()].concat()).collect()
}
