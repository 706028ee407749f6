//! The open documents, as the client has them, and which text is which file's.
//!
//! A document is known by its path: however a client escapes its URI, it is one. Which file of a codebase it is, is found
//! out by its real path, whenever that is asked: links come, go and lead elsewhere while it is open. Of several documents
//! for one file the one counts that was edited or saved last, or, when none was, that was opened last.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tower_lsp::lsp_types::{
    DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, DidSaveTextDocumentParams,
    Range, TextDocumentContentChangeEvent, Url,
};

use super::edits::{LOST_TEXT, LostText};
use super::ext::FileUri;
use super::positions::{BYTE_ORDER_MARK, Encoding};
use super::roots::RootSpelling;
use crate::core::{CodebaseRoot, RelPath};
use crate::index::Unsaved;
use crate::workspace::Workspace;

/// The documents a client has open. Those that aren't files are not kept: no codebase holds them.
#[derive(Default)]
pub struct Documents {
    open: HashMap<PathBuf, Document>,
    /// What was opened or edited last.
    latest: Option<PathBuf>,
    /// Grows with each thing that happens.
    now: u64,
}

struct Document {
    name: Arc<Name>,
    /// `None` while nobody knows it: the client said something of it that can't be understood.
    text: Option<String>,
    /// The text as it is handed out; made when it is asked for.
    shared: Option<Arc<str>>,
    /// When it was edited or saved last, and when it was opened: the greatest of a file's counts.
    age: (Option<u64>, u64),
    /// The file on disk counts until the next edit.
    is_as_saved: bool,
    /// The user was told that the text isn't known.
    is_told: bool,
    members: HashMap<CodebaseRoot, Arc<Member>>,
}

/// What a document is called.
struct Name {
    uri: Url,
    path: PathBuf,
}

/// Where a document is in a codebase, once somebody found out: for the real path that it had then. Several roots may
/// share a codebase's id.
#[derive(Default)]
struct Member {
    found: Mutex<(PathBuf, Arc<OnceCell<Option<RelPath>>>)>,
}

/// An open document's text, and where it belongs.
#[derive(Clone)]
pub struct OpenText {
    name: Arc<Name>,
    /// Its text, without a byte order mark.
    pub text: Arc<str>,
    /// The client's text begins with a byte order mark, which its columns count.
    pub has_mark: bool,
    member: Arc<Member>,
}

/// The open documents of a codebase.
#[derive(Clone, Default)]
pub struct Held {
    /// Their texts.
    pub texts: Arc<Unsaved>,
    documents: Arc<BTreeMap<RelPath, OpenText>>,
}

/// The file that a document is; `None` when it is something else, a part of a file among it: a cell of a notebook isn't
/// the notebook.
pub fn file_of(uri: &Url) -> Option<PathBuf> {
    let is_whole = uri.scheme() == "file" && uri.fragment().is_none() && uri.query().is_none();
    is_whole.then(|| uri.to_file_path().ok())?
}

impl Documents {
    /// The client opened `uri` with this text.
    pub fn open(&mut self, uri: Url, text: String) {
        let Some(path) = file_of(&uri) else { return };
        self.latest = Some(path.clone());
        let opened = self.next();
        self.open.insert(path.clone(), Document::new(Name { uri, path }, Some(text), opened));
    }

    /// The client edited `uri`: each change applies to the text that the one before left.
    pub fn change(&mut self, uri: &Url, changes: Vec<TextDocumentContentChangeEvent>, encoding: Encoding) {
        let now = self.next();
        let Some((path, document)) = self.get_mut(uri) else { return };
        for change in changes {
            match (change.range, &mut document.text) {
                (None, text) => *text = Some(change.text),
                (Some(range), Some(text)) => encoding.replace(text, range, &change.text),
                // What it is an edit of isn't known.
                (Some(_), None) => {}
            }
        }
        document.shared = None;
        document.is_as_saved = false;
        document.age.0 = Some(now);
        self.latest = Some(path);
    }

    /// The client said something of `uri` that can't be understood: until its whole text comes, the file on disk counts.
    /// Gives whether the user wasn't told that yet.
    pub fn lose(&mut self, uri: &Url) -> bool {
        let Some(path) = file_of(uri) else { return false };
        let now = self.next();
        let unknown = || Document::new(Name { uri: uri.clone(), path: path.clone() }, None, now);
        let document = self.open.entry(path.clone()).or_insert_with(unknown);
        (document.text, document.shared) = (None, None);
        !std::mem::replace(&mut document.is_told, true)
    }

    /// The client saved `uri`.
    pub fn saved(&mut self, uri: &Url) {
        let now = self.next();
        let Some((_, document)) = self.get_mut(uri) else { return };
        document.age.0 = Some(now);
        // It may stand for what couldn't be said, half a surrogate pair; on disk is what the user has written.
        document.is_as_saved = document.text.as_ref().is_some_and(|text| text.contains(char::REPLACEMENT_CHARACTER));
    }

    /// The client closed `uri`: from now on the file on disk counts.
    pub fn close(&mut self, uri: &Url) {
        if let Some(path) = file_of(uri) {
            self.open.remove(&path);
        }
    }

    /// Takes note of what a client says of its documents. Other notifications, and what is none, are passed over.
    pub fn hear(&mut self, method: &str, params: Value, encoding: Encoding) {
        match method {
            "textDocument/didOpen" => {
                if let Some(DidOpenTextDocumentParams { text_document }) = read(params) {
                    self.open(text_document.uri, text_document.text);
                }
            }
            "textDocument/didChange" => {
                if let Some(DidChangeTextDocumentParams { text_document, content_changes }) = read(params) {
                    self.change(&text_document.uri, content_changes, encoding);
                }
            }
            "textDocument/didSave" => {
                if let Some(DidSaveTextDocumentParams { text_document, .. }) = read(params) {
                    self.saved(&text_document.uri);
                }
            }
            "textDocument/didClose" => {
                if let Some(DidCloseTextDocumentParams { text_document }) = read(params) {
                    self.close(&text_document.uri);
                }
            }
            LOST_TEXT => {
                if let Some(uri) = read::<LostText>(params).and_then(|lost| lost.uri()) {
                    self.lose(&uri);
                }
            }
            _ => {}
        }
    }

    /// The notifications, as method and params, after which another session has the same documents.
    pub fn retell(&self) -> Vec<(&'static str, Value)> {
        let mut documents: Vec<_> = self.open.values().collect();
        documents.sort_unstable_by_key(|document| document.age);
        let mut told = Vec::new();
        for Document { name, text, is_as_saved, .. } in documents {
            let Some(text) = text else {
                told.push((LOST_TEXT, json!(LostText::of(&name.uri))));
                continue;
            };
            let document = json!({ "uri": name.uri, "languageId": "", "version": 0, "text": text });
            told.push(("textDocument/didOpen", json!({ "textDocument": document })));
            if *is_as_saved {
                told.push(("textDocument/didSave", json!({ "textDocument": { "uri": name.uri } })));
            }
        }
        told
    }

    /// The texts of all documents, as seen by the codebase at `root`; those that count more come later.
    pub fn texts(&mut self, root: &CodebaseRoot) -> Vec<OpenText> {
        let mut documents: Vec<_> = self.open.values_mut().collect();
        documents.sort_unstable_by_key(|document| document.age);
        documents.into_iter().filter_map(|document| document.open_text(root)).collect()
    }

    /// The document that was opened or edited last, if it is still open, as seen by the codebase at `root`.
    pub fn latest(&mut self, root: &CodebaseRoot) -> Option<OpenText> {
        self.open.get_mut(self.latest.as_ref()?)?.open_text(root)
    }

    /// The text of the document `uri`, as seen by the codebase at `root`.
    pub fn text(&mut self, uri: &Url, root: &CodebaseRoot) -> Option<OpenText> {
        self.get_mut(uri)?.1.open_text(root)
    }

    /// Where the document `uri` is in each codebase must be found out anew.
    pub fn forget_members_of(&mut self, uri: &Url) {
        if let Some((_, document)) = self.get_mut(uri) {
            document.members.clear();
        }
    }

    /// As [`Documents::forget_members_of`], for all documents: the rules changed.
    pub fn forget_members(&mut self) {
        self.open.values_mut().for_each(|document| document.members.clear());
    }

    fn get_mut(&mut self, uri: &Url) -> Option<(PathBuf, &mut Document)> {
        let path = file_of(uri)?;
        let document = self.open.get_mut(&path)?;
        Some((path, document))
    }

    fn next(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

fn read<T: DeserializeOwned>(params: Value) -> Option<T> {
    serde_json::from_value(params).ok()
}

impl Document {
    fn new(name: Name, text: Option<String>, opened: u64) -> Document {
        let (age, name) = ((None, opened), Arc::new(name));
        Document { name, text, shared: None, age, is_as_saved: false, is_told: false, members: HashMap::new() }
    }

    /// `None` when the file on disk counts.
    fn open_text(&mut self, root: &CodebaseRoot) -> Option<OpenText> {
        let text = self.text.as_deref().filter(|_| !self.is_as_saved)?;
        let searched = text.strip_prefix(BYTE_ORDER_MARK);
        let has_mark = searched.is_some();
        let text = self.shared.get_or_insert_with(|| Arc::from(searched.unwrap_or(text))).clone();
        let member = self.members.entry(root.clone()).or_default().clone();
        Some(OpenText { name: self.name.clone(), text, has_mark, member })
    }
}

impl Member {
    /// What is known for the file at `real`.
    fn at(&self, real: &Path) -> Arc<OnceCell<Option<RelPath>>> {
        let mut found = self.found.lock();
        if found.0 != real {
            *found = (real.to_owned(), Arc::default());
        }
        found.1.clone()
    }
}

impl OpenText {
    /// The URI by which the client calls it.
    pub fn uri(&self) -> FileUri {
        FileUri::from(&self.name.uri)
    }

    /// A range in [`OpenText::text`] as the client counts.
    pub fn range(&self, mut range: Range, encoding: Encoding) -> Range {
        for position in [&mut range.start, &mut range.end] {
            if self.has_mark && position.line == 0 {
                position.character += encoding.mark();
            }
        }
        range
    }

    /// The document's place in the codebase that it was asked for, or `None` when it doesn't belong to it.
    pub async fn place_in(&self, workspace: &Workspace, place: &RootSpelling) -> Option<RelPath> {
        let places = places(std::slice::from_ref(self), workspace, place).await;
        places.into_iter().next().flatten()
    }
}

impl Held {
    /// Those of `open` that belong to the codebase for which they were asked. Of several for one file the last counts.
    pub async fn of(open: &[OpenText], workspace: &Workspace, place: &RootSpelling) -> Held {
        let places = places(open, workspace, place).await;
        let documents = places.into_iter().zip(open).filter_map(|(path, open)| Some((path?, open.clone())));
        let documents: BTreeMap<_, _> = documents.collect();
        let texts = documents.iter().map(|(path, open)| (path.clone(), open.text.clone())).collect();
        Held { texts: Arc::new(texts), documents: Arc::new(documents) }
    }

    /// The document that counts for the file.
    pub fn document(&self, path: &RelPath) -> Option<&OpenText> {
        self.documents.get(path)
    }
}

/// Where each document is in the codebase, if it belongs to it. Found out once for the file that it is, and remembered.
async fn places(open: &[OpenText], workspace: &Workspace, place: &RootSpelling) -> Vec<Option<RelPath>> {
    if open.is_empty() {
        return Vec::new();
    }
    let paths: Vec<_> = open.iter().map(|open| place.canonical(&open.name.path)).collect();
    let resolved = tokio::task::spawn_blocking(move || paths.iter().map(|path| real(path)).collect::<Vec<_>>()).await;
    let mut places = Vec::new();
    for (open, real) in open.iter().zip(resolved.unwrap_or_default()) {
        let found = open.member.at(&real);
        places.push(found.get_or_init(|| workspace.belongs(&real)).await.clone());
    }
    places
}

/// `path` without links. What isn't there yet is below the real path of the nearest folder that is. Blocks.
pub fn real(path: &Path) -> PathBuf {
    let there = |folder: &Path| Some((std::fs::canonicalize(folder).ok()?, path.strip_prefix(folder).ok()?.to_owned()));
    match path.ancestors().find_map(there) {
        // Joining nothing would add a slash.
        Some((folder, rest)) if rest.as_os_str().is_empty() => folder,
        Some((folder, rest)) => folder.join(rest),
        None => path.to_owned(),
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

    use proptest::prelude::*;
    use tower_lsp::lsp_types::Position;

    use super::super::model::Model;
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
        let texts = documents.texts(&root);
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

    #[test]
    fn a_document_is_known_by_its_path() {
        let root = CodebaseRoot::open(&std::env::temp_dir()).unwrap();
        let mut documents = Documents::default();
        let uri = |uri: &str| Url::parse(uri).unwrap();
        let texts = |documents: &mut Documents| -> Vec<String> {
            documents.texts(&root).iter().map(|open| open.text.to_string()).collect()
        };
        documents.open(uri("file:///d/a%2Bb%7ec.txt"), "one".to_owned());
        let all = TextDocumentContentChangeEvent { range: None, range_length: None, text: "two".to_owned() };
        documents.change(&uri("file:///d/./a+b~c.txt"), vec![all], Encoding::Utf16);
        for other in
            ["file:///d/a+b~c.txt#cell", "file:///d/a+b~c.txt?rev=1", "git:///d/a+b~c.txt", "untitled:a+b~c.txt"]
        {
            documents.open(uri(other), "other".to_owned());
            documents.close(&uri(other));
        }
        assert_eq!(texts(&mut documents), ["two"]);
        documents.close(&uri("file:///d/a%2bb%7Ec.txt"));
        assert_eq!(texts(&mut documents), Vec::<String>::new());
    }

    #[test]
    fn what_was_edited_or_saved_last_comes_last() {
        let root = CodebaseRoot::open(&std::env::temp_dir()).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|name| Url::parse(&format!("file:///{name}")).unwrap());
        let mut documents = Documents::default();
        let _ = [&a, &b, &c].map(|uri| documents.open(uri.clone(), uri.path().to_owned()));
        let order = |documents: &mut Documents| -> String {
            // As another engine would have it, too.
            let mut again = Documents::default();
            documents.retell().into_iter().for_each(|(method, params)| again.hear(method, params, Encoding::Utf16));
            let of = |documents: &mut Documents| {
                documents.texts(&root).iter().map(|open| open.text[1..].to_owned()).collect()
            };
            let order: String = of(documents);
            assert_eq!(order, of(&mut again));
            order
        };
        assert_eq!(order(&mut documents), "abc");
        documents.change(&a, vec![edit((0, 0), (0, 0), "")], Encoding::Utf16);
        documents.open(c.clone(), "/c".to_owned());
        assert_eq!(order(&mut documents), "bca", "opening is no edit");
        documents.change(&b, vec![edit((0, 0), (0, 0), "")], Encoding::Utf16);
        assert_eq!(order(&mut documents), "cab");
        documents.saved(&a);
        assert_eq!(order(&mut documents), "cba");
        documents.close(&a);
        assert_eq!(order(&mut documents), "cb");
    }

    #[test]
    fn a_text_that_isn_t_known_any_more_comes_back_whole() {
        let root = CodebaseRoot::open(&std::env::temp_dir()).unwrap();
        let uri = Url::parse("file:///a").unwrap();
        let mut documents = Documents::default();
        documents.open(uri.clone(), "one".to_owned());
        assert!(documents.lose(&uri));
        assert!(!documents.lose(&uri), "it is said once");
        documents.change(&uri, vec![edit((0, 0), (0, 0), "x")], Encoding::Utf16);
        assert_eq!(documents.texts(&root).len(), 0);
        let whole = TextDocumentContentChangeEvent { range: None, range_length: None, text: "two".to_owned() };
        documents.change(&uri, vec![whole, edit((0, 0), (0, 1), "T")], Encoding::Utf16);
        assert_eq!(documents.texts(&root)[0].text.to_string(), "Two");
        documents.lose(&uri);
        let mut again = Documents::default();
        documents.retell().into_iter().for_each(|(method, params)| again.hear(method, params, Encoding::Utf16));
        assert_eq!(again.texts(&root).len(), 0);
        documents.open(uri.clone(), "three".to_owned());
        assert!(documents.lose(&uri), "of a document that is opened anew it is said again");
    }

    /// Units of which texts are made: ends of lines of every kind, wide characters, halves of pairs.
    fn units() -> impl Strategy<Value = Vec<u16>> {
        let parts =
            ["a", "é", "😀", "\r", "\n", "\r\n", "\u{2028}", "\u{feff}"].map(|part| part.encode_utf16().collect());
        let halves = [vec![0xd83d], vec![0xde00]];
        prop::collection::vec(prop::sample::select([&parts[..], &halves].concat()), 0..8)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        /// Edits make of a text what they make of the editor's, whose strings are UTF-16 and may be cut anywhere.
        #[test]
        fn edits_leave_the_editor_s_text(
            start in units(),
            edits in prop::collection::vec((0_u32..5, 0_u32..9, 0_u32..5, 0_u32..9, units(), any::<bool>()), 0..12),
            encoding in prop::sample::select(vec![Encoding::Utf16, Encoding::Utf8, Encoding::Utf32]),
        ) {
            // Editors with other strings have no halves.
            let said = |units: &[u16]| match encoding {
                Encoding::Utf16 => units.to_vec(),
                Encoding::Utf8 | Encoding::Utf32 => String::from_utf16_lossy(units).encode_utf16().collect(),
            };
            let root = CodebaseRoot::open(&std::env::temp_dir()).unwrap();
            let uri = Url::parse("file:///a").unwrap();
            let (mut documents, mut model) = (Documents::default(), Model::new(""));
            model.edit_units(None, said(&start), encoding);
            documents.open(uri.clone(), String::from_utf16_lossy(&said(&start)));
            for (line, column, end_line, end_column, new, is_whole) in edits {
                let range = Range::new(Position::new(line, column), Position::new(end_line, end_column));
                let range = (!is_whole || line > 0).then_some(range);
                model.edit_units(range, said(&new), encoding);
                let text = String::from_utf16_lossy(&said(&new));
                let change = TextDocumentContentChangeEvent { range, range_length: None, text };
                documents.change(&uri, vec![change], encoding);
            }
            let open = documents.text(&uri, &root).unwrap();
            let text = [if open.has_mark { "\u{feff}" } else { "" }, &open.text].concat();
            prop_assert!(model.shows(&text), "{text:?} is not {:?}", model.text());
        }
    }
}
