//! The open documents, as the client has them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;
use tower_lsp::lsp_types::{TextDocumentContentChangeEvent, Url};

use super::positions::Encoding;
use super::roots::Place;
use crate::core::{CodebaseRoot, RelPath};
use crate::workspace::Workspace;

/// The documents a client has open. Those that aren't files are not kept: no codebase holds them.
#[derive(Default)]
pub struct Documents {
    open: HashMap<Url, Document>,
    /// What was opened or edited last.
    latest: Option<Url>,
}

struct Document {
    path: PathBuf,
    text: String,
    /// The text as it is handed out; made when it is asked for.
    shared: Option<Arc<str>>,
    members: Members,
}

/// Where a document is in each codebase, once somebody found out. Several roots may share a codebase's id.
type Members = HashMap<CodebaseRoot, Arc<OnceCell<Option<RelPath>>>>;

/// An open document's text, and where it belongs.
#[derive(Clone)]
pub struct OpenText {
    path: PathBuf,
    /// Its text.
    pub text: Arc<str>,
    member: Arc<OnceCell<Option<RelPath>>>,
}

impl Documents {
    /// The client opened `uri` with this text.
    pub fn open(&mut self, uri: Url, text: String) {
        if let Ok(path) = uri.to_file_path() {
            self.latest = Some(uri.clone());
            self.open.insert(uri, Document { path, text, shared: None, members: Members::new() });
        }
    }

    /// The client edited `uri`: each change applies to the text that the one before left.
    pub fn change(&mut self, uri: &Url, changes: Vec<TextDocumentContentChangeEvent>, encoding: Encoding) {
        let Some(document) = self.open.get_mut(uri) else { return };
        changes.into_iter().for_each(|change| apply(change, &mut document.text, encoding));
        document.shared = None;
        self.latest = Some(uri.clone());
    }

    /// The client closed `uri`: from now on the file on disk counts.
    pub fn close(&mut self, uri: &Url) {
        self.open.remove(uri);
    }

    /// The texts of all documents, as seen by the codebase at `root`.
    pub fn texts<'a>(&'a mut self, root: &'a CodebaseRoot) -> impl Iterator<Item = OpenText> + 'a {
        self.open.values_mut().map(|document| document.open_text(root))
    }

    /// The document that was opened or edited last, if it is still open, as seen by the codebase at `root`.
    pub fn latest(&mut self, root: &CodebaseRoot) -> Option<OpenText> {
        let latest = self.latest.clone()?;
        self.text(&latest, root)
    }

    /// The text of the document `uri`, as seen by the codebase at `root`.
    pub fn text(&mut self, uri: &Url, root: &CodebaseRoot) -> Option<OpenText> {
        self.open.get_mut(uri).map(|document| document.open_text(root))
    }

    /// Where the document `uri` is in each codebase must be found out anew.
    pub fn forget_members_of(&mut self, uri: &Url) {
        if let Some(document) = self.open.get_mut(uri) {
            document.members.clear();
        }
    }

    /// As [`Documents::forget_members_of`], for all documents: the rules changed.
    pub fn forget_members(&mut self) {
        self.open.values_mut().for_each(|document| document.members.clear());
    }
}

impl Document {
    fn open_text(&mut self, root: &CodebaseRoot) -> OpenText {
        let text = self.shared.get_or_insert_with(|| Arc::from(self.text.as_str())).clone();
        let member = self.members.entry(root.clone()).or_default().clone();
        OpenText { path: self.path.clone(), text, member }
    }
}

impl OpenText {
    /// The document's place in the codebase that it was asked for, or `None` when it doesn't belong to it. Found out
    /// once, and remembered.
    pub async fn place_in(&self, workspace: &Workspace, place: &Place) -> Option<RelPath> {
        let find = || async { workspace.belongs(&place.canonical(&self.path)).await };
        self.member.get_or_init(find).await.clone()
    }
}

/// Makes the edits of `textDocument/didChange` in `text`, as a session does. What isn't one is passed over.
pub fn edit(content_changes: serde_json::Value, text: &mut String, encoding: Encoding) {
    let changes: Vec<_> = serde_json::from_value(content_changes).unwrap_or_default();
    changes.into_iter().for_each(|change| apply(change, text, encoding));
}

/// Positions outside of `text` mean its nearest.
fn apply(change: TextDocumentContentChangeEvent, text: &mut String, encoding: Encoding) {
    match change.range {
        None => *text = change.text,
        Some(range) => {
            let start = encoding.offset(text, range.start);
            let end = encoding.offset(text, range.end);
            text.replace_range(start.min(end)..end.max(start), &change.text);
        }
    }
}

/// Whether saving `path` may change which files belong to a codebase.
pub fn changes_rules(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| RelPath::new(Path::new(name)));
    let is_exclude = path.ends_with(".git/info/exclude") || path.ends_with(".syncline.toml");
    is_exclude || name.is_some_and(|name| crate::watch::tree::decides_what_is_ignored(&name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tower_lsp::lsp_types::{Position, Range};

    use super::*;

    fn edit(from: (u32, u32), to: (u32, u32), text: &str) -> TextDocumentContentChangeEvent {
        let range = Range::new(Position::new(from.0, from.1), Position::new(to.0, to.1));
        TextDocumentContentChangeEvent { range: Some(range), range_length: None, text: text.to_owned() }
    }

    fn text_after(start: &str, changes: Vec<TextDocumentContentChangeEvent>) -> String {
        let dir = tempfile::tempdir().unwrap();
        let root = CodebaseRoot::open(dir.path()).unwrap();
        let uri = Url::from_file_path(dir.path().join("a.txt")).unwrap();
        let mut documents = Documents::default();
        documents.open(uri.clone(), start.to_owned());
        documents.change(&uri, changes, Encoding::Utf16);
        let texts: Vec<_> = documents.texts(&root).collect();
        assert_eq!(texts.len(), 1);
        texts[0].text.to_string()
    }

    #[test]
    fn edits_apply_one_after_the_other() {
        let edits = vec![edit((0, 0), (0, 1), "X"), edit((1, 0), (1, 0), "new\n"), edit((2, 3), (2, 3), "!")];
        assert_eq!(text_after("a𝒳b\ntwo\n", edits), "X𝒳b\nnew\ntwo!\n");
    }

    #[test]
    fn edits_out_of_range_are_clamped() {
        assert_eq!(text_after("ab", vec![edit((0, 1), (7, 7), "!")]), "a!");
        assert_eq!(text_after("ab", vec![edit((9, 9), (9, 9), "!")]), "ab!");
        assert_eq!(text_after("ab", vec![edit((0, 2), (0, 1), "!")]), "a!");
    }

    #[test]
    fn a_change_without_a_range_replaces_everything() {
        let all = TextDocumentContentChangeEvent { range: None, range_length: None, text: "new".to_owned() };
        assert_eq!(text_after("old", vec![all]), "new");
    }
}
