//! What a client told about itself with `initialize`, and what it is told in return.

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::Value;
use tower_lsp::lsp_types::{
    ExecuteCommandOptions, InitializeParams, InitializeResult, OneOf, SaveOptions, ServerCapabilities, ServerInfo,
    SymbolKind, TextDocumentSyncKind, TextDocumentSyncOptions, TextDocumentSyncSaveOptions, Url,
    WorkspaceFoldersServerCapabilities, WorkspaceServerCapabilities,
};

use super::ext::{Experimental, commands};
use super::positions::Encoding;
use super::settings::{log_level, own};

/// The kinds of symbols that the protocol had at first: those that a client knows which doesn't say.
const FIRST_KINDS: std::ops::RangeInclusive<i64> = 1..=18;

/// What matters of a client.
#[derive(Clone, Debug)]
pub struct ClientFacts {
    /// The folders it works in, each once.
    pub roots: Vec<Url>,
    /// The settings it gave with `initialize`; null when it gave none.
    pub options: Value,
    /// Syncline's section of its settings, which lies over those; null while it has said none.
    pub section: Value,
    /// The unit of columns, from now on.
    pub encoding: Encoding,
    /// It answers `workspace/configuration`.
    pub answers_configuration: bool,
    /// It shows work-done progress.
    pub shows_progress: bool,
    /// It knows `syncline/queueState`.
    pub knows_states: bool,
    /// It says that it doesn't take them.
    pub declines_states: bool,
    /// The kinds of symbols that it knows.
    pub kinds: SymbolKinds,
}

/// Kinds of symbols that a client knows.
#[derive(Clone, Debug)]
pub struct SymbolKinds(Vec<SymbolKind>);

impl Default for SymbolKinds {
    fn default() -> Self {
        SymbolKinds(FIRST_KINDS.filter_map(|kind| serde_json::from_value(kind.into()).ok()).collect())
    }
}

impl SymbolKinds {
    fn of(params: &InitializeParams) -> SymbolKinds {
        let symbol = params.capabilities.workspace.as_ref().and_then(|workspace| workspace.symbol.as_ref());
        let kinds = symbol.and_then(|symbol| symbol.symbol_kind.as_ref()).and_then(|kinds| kinds.value_set.clone());
        kinds.filter(|kinds| !kinds.is_empty()).map(SymbolKinds).unwrap_or_default()
    }

    /// The first of `kinds`, the nearest first, that the client knows; the nearest of all, when it knows none.
    pub fn nearest(&self, kinds: &[SymbolKind]) -> SymbolKind {
        let known = kinds.iter().find(|kind| self.0.contains(kind));
        known.or(kinds.first()).copied().unwrap_or(SymbolKind::VARIABLE)
    }
}

impl ClientFacts {
    /// What `initialize` tells.
    pub fn of(params: &InitializeParams) -> ClientFacts {
        let capabilities = &params.capabilities;
        ClientFacts {
            roots: roots(params),
            options: params.initialization_options.clone().and_then(own).unwrap_or_default(),
            section: Value::Null,
            encoding: Encoding::negotiate(params),
            answers_configuration: capabilities.workspace.as_ref().and_then(|w| w.configuration).unwrap_or(false),
            shows_progress: shows_progress(params).unwrap_or(false),
            knows_states: announces_states(params).unwrap_or_else(|| is_of_version_0_1(params)),
            declines_states: announces_states(params) == Some(false),
            kinds: SymbolKinds::of(params),
        }
    }

    /// The answer to `initialize`.
    pub fn answer(&self) -> InitializeResult {
        let sync = TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::INCREMENTAL),
            save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions { include_text: Some(false) })),
            ..TextDocumentSyncOptions::default()
        };
        let folders =
            WorkspaceFoldersServerCapabilities { supported: Some(true), change_notifications: Some(OneOf::Left(true)) };
        let capabilities = ServerCapabilities {
            position_encoding: Some(self.encoding.kind()),
            text_document_sync: Some(sync.into()),
            workspace_symbol_provider: Some(OneOf::Left(true)),
            execute_command_provider: Some(ExecuteCommandOptions {
                commands: commands::ALL.map(str::to_owned).to_vec(),
                ..ExecuteCommandOptions::default()
            }),
            workspace: Some(WorkspaceServerCapabilities { workspace_folders: Some(folders), file_operations: None }),
            experimental: serde_json::to_value(Experimental::default()).ok(),
            ..ServerCapabilities::default()
        };
        let server_info =
            ServerInfo { name: "syncline".to_owned(), version: Some(env!("CARGO_PKG_VERSION").to_owned()) };
        InitializeResult { capabilities, server_info: Some(server_info) }
    }
}

fn shows_progress(params: &InitializeParams) -> Option<bool> {
    params.capabilities.window.as_ref()?.work_done_progress
}

/// Whether `capabilities.experimental.syncline` says that the client takes `syncline/queueState`; `None` when it says
/// nothing of it.
fn announces_states(params: &InitializeParams) -> Option<bool> {
    let experimental = params.capabilities.experimental.as_ref();
    match experimental.and_then(|experimental| experimental.get("syncline")) {
        None | Some(Value::Null) => None,
        Some(Value::Bool(announced)) => Some(*announced),
        Some(syncline) => Some(syncline.get("queueState") != Some(&Value::Bool(false))),
    }
}

/// Whether it is one of our own plugins, from before clients announced what they take. In VS Code and its kin nothing but
/// our plugin starts this server; elsewhere that is known by what it sends. Neovim passes over what it has no handler for.
fn is_of_version_0_1(params: &InitializeParams) -> bool {
    let name = params.client_info.as_ref().map_or("", |info| info.name.as_str());
    let is_named = name == "Neovim" || name.starts_with("Visual Studio Code");
    let options = params.initialization_options.as_ref();
    is_named || shows_progress(params) == Some(false) && options.is_some_and(|options| log_level(options).is_some())
}

/// The workspace folders, each once; without any, the one root that older clients give; none is legal.
fn roots(params: &InitializeParams) -> Vec<Url> {
    let folders = params.workspace_folders.iter().flatten().map(|folder| folder.uri.clone());
    // A trailing slash and other ways to escape a letter make no other folder.
    let mut known = HashSet::new();
    let folders: Vec<_> = folders.filter(|uri| known.insert(path_or_uri(uri))).collect();
    if !folders.is_empty() {
        return folders;
    }
    #[allow(deprecated)] // It is what those clients send.
    let path = || params.root_path.as_ref().and_then(|path| Url::from_file_path(PathBuf::from(path)).ok());
    params.root_uri.clone().or_else(path).into_iter().collect()
}

fn path_or_uri(uri: &Url) -> Result<PathBuf, Url> {
    uri.to_file_path().map_err(|()| uri.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn facts(params: Value) -> ClientFacts {
        ClientFacts::of(&serde_json::from_value(params).unwrap())
    }

    #[test]
    fn folders_come_before_the_one_root() {
        let roots = |params: Value| facts(params).roots.iter().map(Url::to_string).collect::<Vec<_>>();
        let folders = json!([{"uri": "file:///a", "name": "a"}, {"uri": "file:///b", "name": "b"}]);
        let all = json!({"capabilities": {}, "workspaceFolders": folders, "rootUri": "file:///c"});
        assert_eq!(roots(all), ["file:///a", "file:///b"]);
        let older = json!({"capabilities": {}, "workspaceFolders": null, "rootUri": "file:///c", "rootPath": "/d"});
        assert_eq!(roots(older), ["file:///c"]);
        #[cfg(unix)]
        assert_eq!(roots(json!({"capabilities": {}, "rootUri": null, "rootPath": "/d"})), ["file:///d"]);
        assert!(roots(json!({"capabilities": {}, "rootUri": null})).is_empty());
        let twice = json!([{"uri": "file:///a+b", "name": "a"}, {"uri": "file:///a%2Bb/", "name": "b"}]);
        assert_eq!(roots(json!({"capabilities": {}, "workspaceFolders": twice})), ["file:///a+b"]);
    }

    #[test]
    fn states_go_to_those_who_know_them() {
        let knows = |mut params: Value| {
            params["capabilities"]["window"]["workDoneProgress"] = json!(false);
            facts(params).knows_states
        };
        let announced = |syncline: Value| json!({"capabilities": {"experimental": {"syncline": syncline}}});
        assert!(knows(announced(json!({"queueState": true}))));
        assert!(knows(announced(json!({}))) && knows(announced(json!(true))));
        assert!(!knows(announced(json!({"queueState": false}))));
        assert!(!knows(announced(json!(null))) && !knows(announced(json!(false))));
        assert!(!knows(json!({"capabilities": {}, "initializationOptions": {"index": {}}})));
        assert!(!knows(json!({"capabilities": {}, "clientInfo": {"name": "emacs"}})));
        // The plugins of version 0.1.
        assert!(knows(json!({"capabilities": {}, "clientInfo": {"name": "Neovim", "version": "0.11.4"}})));
        assert!(knows(json!({"capabilities": {}, "clientInfo": {"name": "Visual Studio Code - Insiders"}})));
        assert!(knows(json!({"capabilities": {}, "initializationOptions": {"log": {"level": "info"}}})));
    }

    #[test]
    fn symbols_have_kinds_that_the_client_knows() {
        let kinds = |symbol: Value| facts(json!({"capabilities": {"workspace": {"symbol": symbol}}})).kinds;
        let all = kinds(json!({"symbolKind": {"valueSet": [5, 22, 23]}}));
        assert_eq!(all.nearest(&[SymbolKind::STRUCT, SymbolKind::CLASS]), SymbolKind::STRUCT);
        for few in [json!({}), json!({"symbolKind": {}}), json!({"symbolKind": {"valueSet": []}})] {
            assert_eq!(kinds(few).nearest(&[SymbolKind::STRUCT, SymbolKind::CLASS]), SymbolKind::CLASS);
        }
    }

    #[test]
    fn the_cheapest_offered_encoding_is_taken() {
        let encoding =
            |offered: Value| facts(json!({"capabilities": {"general": {"positionEncodings": offered}}})).encoding;
        assert_eq!(encoding(json!(["utf-16", "utf-8"])), Encoding::Utf8);
        assert_eq!(encoding(json!(["utf-32", "utf-16"])), Encoding::Utf16);
        assert_eq!(encoding(json!(["utf-32"])), Encoding::Utf32);
        assert_eq!(encoding(json!(null)), Encoding::Utf16);
    }
}
