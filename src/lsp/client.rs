//! What a client told about itself with `initialize`, and what it is told in return.

use std::path::PathBuf;

use serde_json::Value;
use tower_lsp::lsp_types::{
    ExecuteCommandOptions, InitializeParams, InitializeResult, OneOf, SaveOptions, ServerCapabilities, ServerInfo,
    TextDocumentSyncKind, TextDocumentSyncOptions, TextDocumentSyncSaveOptions, Url,
    WorkspaceFoldersServerCapabilities, WorkspaceServerCapabilities,
};

use super::ext::{Experimental, commands};
use super::positions::Encoding;

/// What matters of a client.
#[derive(Clone, Debug)]
pub struct ClientFacts {
    /// The folders it works in.
    pub roots: Vec<Url>,
    /// Syncline's section of its settings; null when it gave none.
    pub section: Value,
    /// The unit of columns, from now on.
    pub encoding: Encoding,
    /// It answers `workspace/configuration`.
    pub answers_configuration: bool,
    /// It shows work-done progress.
    pub shows_progress: bool,
}

impl ClientFacts {
    /// What `initialize` tells.
    pub fn of(params: &InitializeParams) -> ClientFacts {
        let capabilities = &params.capabilities;
        ClientFacts {
            roots: roots(params),
            section: params.initialization_options.clone().unwrap_or_default(),
            encoding: Encoding::negotiate(params),
            answers_configuration: capabilities.workspace.as_ref().and_then(|w| w.configuration).unwrap_or(false),
            shows_progress: capabilities.window.as_ref().and_then(|w| w.work_done_progress).unwrap_or(false),
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

/// The workspace folders; without any, the one root that older clients give; none is legal.
fn roots(params: &InitializeParams) -> Vec<Url> {
    let folders = params.workspace_folders.iter().flatten().map(|folder| folder.uri.clone());
    let folders: Vec<_> = folders.collect();
    if !folders.is_empty() {
        return folders;
    }
    #[allow(deprecated)] // It is what those clients send.
    let path = || params.root_path.as_ref().and_then(|path| Url::from_file_path(PathBuf::from(path)).ok());
    params.root_uri.clone().or_else(path).into_iter().collect()
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
