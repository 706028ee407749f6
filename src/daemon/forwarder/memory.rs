//! What a forwarder keeps in mind of a session, to begin it anew.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::lsp::ext::FileUri;
use crate::lsp::{Documents, Encoding, GOODBYE, LOST_TEXT};

/// Requests of the editor that may wait for their answers; more are refused.
const MOST_REQUESTS: usize = 1024;
/// Requests of the engine that may wait for the editor; older ones are forgotten, which the engine has long since done.
const MOST_ENGINE_REQUESTS: usize = 256;
/// Longer requests aren't kept to be asked again, bytes.
const LONGEST_REQUEST: usize = 64 << 10;

/// `RequestFailed` of the protocol.
const REQUEST_FAILED: i64 = -32803;
/// `ContentModified` of the protocol: the editor may ask again.
const CONTENT_MODIFIED: i64 = -32801;
/// `RequestCancelled` of the protocol.
const REQUEST_CANCELLED: i64 = -32800;

/// The forwarder's own request.
const OWN_ID: &str = "syncline-forwarder";

/// What a forwarder keeps in mind of a session.
pub struct Memory {
    introduction: Option<Introduction>,
    /// The editor has said `initialized`.
    is_initialized: bool,
    is_shut_down: bool,
    encoding: Encoding,
    /// The last `workspace/didChangeConfiguration`.
    configuration: Option<Vec<u8>>,
    /// As an engine keeps them, so that both have the same texts.
    documents: Documents,
    /// What the editor waits for, in the order in which it was asked. Two may have the same id.
    requests: BTreeMap<u64, Request>,
    next_request: u64,
    /// What the engine waits for: the editor knows these numbers, since another engine would begin with the same ids.
    engine_requests: BTreeMap<u64, Value>,
    next_engine_request: u64,
    /// Bars that the editor shows, by their tokens.
    bars: HashSet<String>,
    /// The engine has said goodbye.
    engine_leaves: bool,
    /// The editor's process was named on the command line.
    is_parent_known: bool,
    /// A message of the editor's that waits for an engine.
    held: VecDeque<Vec<u8>>,
    /// Messages to the editor that wait until it may be talked to.
    told: Vec<Vec<u8>>,
}

struct Introduction {
    message: Value,
    is_answered: bool,
}

/// A request that the editor waits for.
struct Request {
    id: Value,
    body: Vec<u8>,
    /// It is the `initialize` without which there is no session.
    is_introduction: bool,
    /// Parts of its result may have been given.
    is_streamed: bool,
    /// It was asked twice.
    is_repeated: bool,
    is_cancelled: bool,
}

/// What to do with a message of the editor's.
#[derive(Default)]
pub struct Up {
    /// Passed on.
    pub pass: Option<Vec<u8>>,
    /// Said to the editor.
    pub answer: Option<Vec<u8>>,
    /// The editor's process, when it has just been named.
    pub parent: Option<u32>,
    /// It asks for the end.
    pub shuts_down: bool,
}

/// What to do with a message of the engine's.
#[derive(Default)]
pub struct Down {
    /// Passed on.
    pub pass: Option<Vec<u8>>,
    /// The request that it answers; to be reported by [`Memory::answered`] once it was passed on.
    pub answered: Option<Answered>,
    /// The engine takes its leave.
    pub left: bool,
}

/// A request that got its answer.
pub struct Answered(u64);

/// What every message tells at a glance.
#[derive(Deserialize)]
struct Glance {
    id: Option<Value>,
    method: Option<String>,
}

/// What a message tells at a glance; `None` when it is no object.
fn glance(body: &[u8]) -> Option<Glance> {
    // The fields of a list would be taken by their order.
    body.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(body).ok())?
}

/// A field of what may be no object; null when there is none.
fn take(value: &mut Value, name: &str) -> Value {
    value.get_mut(name).map(Value::take).unwrap_or_default()
}

/// How urgently a sentence is said to the editor's user.
#[derive(Clone, Copy)]
pub enum Tone {
    /// In the editor's log of the server.
    Note,
    /// There, as a warning.
    Log,
    /// Where it is seen.
    Show,
}

/// A warning, in the protocol.
const WARNING: u32 = 2;
/// What is merely good to know.
const INFO: u32 = 3;

/// Whether a message answers the request `id`.
pub fn answers(body: &[u8], id: &str) -> bool {
    glance(body).is_some_and(|glance| glance.method.is_none() && glance.id == Some(json!(id)))
}

/// The editor's settings, when it introduces itself by this message and gives some.
pub fn settings_of(message: &[u8]) -> Option<Value> {
    let mut message: Value = serde_json::from_slice(message).ok()?;
    let section = message.get_mut("params")?.get_mut("initializationOptions")?.take();
    (message["method"] == "initialize" && section.is_object()).then_some(section)
}

impl Memory {
    /// Of an editor that has said nothing yet.
    pub fn new(is_parent_known: bool) -> Memory {
        Memory {
            introduction: None,
            is_initialized: false,
            is_shut_down: false,
            encoding: Encoding::default(),
            configuration: None,
            documents: Documents::default(),
            requests: BTreeMap::new(),
            next_request: 0,
            engine_requests: BTreeMap::new(),
            next_engine_request: 0,
            bars: HashSet::new(),
            engine_leaves: false,
            is_parent_known,
            held: VecDeque::new(),
            told: Vec::new(),
        }
    }

    /// The editor asked for the end.
    pub fn is_shut_down(&self) -> bool {
        self.is_shut_down
    }

    /// The editor waits for something.
    pub fn is_waiting(&self) -> bool {
        !self.requests.is_empty() || !self.held.is_empty()
    }

    /// Nothing is under way: the session may go over to another engine, and the editor won't notice.
    pub fn is_quiet(&self) -> bool {
        let has_begun = self.introduction.as_ref().is_some_and(|introduction| introduction.is_answered);
        has_begun && !self.is_waiting() && !self.is_shut_down
    }

    /// Keeps a message of the editor's for the next engine, unless it asks for the end, which takes no engine; gives
    /// whether it does.
    pub fn hold(&mut self, message: Vec<u8>) -> bool {
        let asks_for_the_end = glance(&message).is_some_and(|glance| glance.method.as_deref() == Some("shutdown"));
        match asks_for_the_end {
            true => drop(self.editor_said(message)),
            false => self.held.push_back(message),
        }
        asks_for_the_end
    }

    /// The message that was kept.
    pub fn take_held(&mut self) -> Option<Vec<u8>> {
        self.held.pop_front()
    }

    /// Tells the editor's user, as soon as the editor may be talked to.
    pub fn tell(&mut self, tone: Tone, sentence: &str) {
        let (method, kind) = match tone {
            Tone::Note => ("window/logMessage", INFO),
            Tone::Log => ("window/logMessage", WARNING),
            Tone::Show => ("window/showMessage", WARNING),
        };
        let params = json!({ "type": kind, "message": sentence });
        self.told.push(json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string().into_bytes());
    }

    /// What is to be said to the editor now.
    pub fn take_told(&mut self) -> Vec<Vec<u8>> {
        match self.introduction.as_ref().is_some_and(|introduction| introduction.is_answered) {
            true => std::mem::take(&mut self.told),
            false => Vec::new(),
        }
    }

    /// Takes note of a message of the editor's.
    pub fn editor_said(&mut self, body: Vec<u8>) -> Up {
        // What isn't a message was sorted out before.
        let Some(glance) = glance(&body) else { return Up::default() };
        match (glance.method.as_deref(), glance.id) {
            (Some(method), Some(id)) => self.request(method, id, body),
            (Some(method), None) => {
                self.notification(method, &body);
                Up { pass: Some(body), ..Up::default() }
            }
            (None, Some(id)) => Up { pass: self.reply(&id, &body), ..Up::default() },
            (None, None) => Up { pass: Some(body), ..Up::default() },
        }
    }

    fn request(&mut self, method: &str, id: Value, body: Vec<u8>) -> Up {
        let mut up = Up::default();
        if self.requests.len() >= MOST_REQUESTS && method != "shutdown" {
            up.answer = Some(refusal(&id, REQUEST_FAILED, "too many requests wait for their answers; cancel some"));
            return up;
        }
        let mut pass = body;
        // A second one is refused, and nothing in it counts; unless the first one was.
        let is_introduction = method == "initialize" && self.introduction.is_none();
        match method {
            "initialize" if is_introduction => {
                let Ok(mut message) = serde_json::from_slice::<Value>(&pass) else { return up };
                // The forwarder looks after the editor's process; a daemon in another container would see others.
                let pid = message["params"].get_mut("processId").map(Value::take);
                up.parent = pid.and_then(|pid| pid.as_u64()).and_then(|pid| u32::try_from(pid).ok());
                up.parent = up.parent.filter(|_| !self.is_parent_known);
                pass = message.to_string().into_bytes();
                self.introduction = Some(Introduction { message, is_answered: false });
            }
            "shutdown" => {
                self.is_shut_down = true;
                up.shuts_down = true;
            }
            _ => {}
        }
        let request = Request {
            id,
            body: if pass.len() <= LONGEST_REQUEST || is_introduction { pass.clone() } else { Vec::new() },
            is_introduction,
            is_streamed: memchr::memmem::find(&pass, b"\"partialResultToken\"").is_some(),
            is_repeated: false,
            is_cancelled: false,
        };
        self.requests.insert(self.next_request, request);
        self.next_request += 1;
        up.pass = Some(pass);
        up
    }

    fn notification(&mut self, method: &str, body: &[u8]) {
        let params = || serde_json::from_slice::<Value>(body).map(|mut message| take(&mut message, "params"));
        match method {
            "initialized" => self.is_initialized = true,
            "workspace/didChangeConfiguration" => self.configuration = Some(body.to_vec()),
            "workspace/didChangeWorkspaceFolders" => {
                if let Ok(mut params) = params() {
                    self.folders_changed(take(&mut params, "event"));
                }
            }
            "textDocument/didOpen"
            | "textDocument/didChange"
            | "textDocument/didSave"
            | "textDocument/didClose"
            | LOST_TEXT => {
                if let Ok(params) = params() {
                    self.documents.hear(method, params, self.encoding);
                }
            }
            "$/cancelRequest" => {
                if let Ok(params) = params() {
                    let meant = self.requests.values_mut().filter(|request| request.id == params["id"]);
                    meant.for_each(|request| request.is_cancelled = true);
                }
            }
            _ => {}
        }
    }

    fn folders_changed(&mut self, mut event: Value) {
        let params = self.introduction.as_mut().and_then(|introduction| introduction.message.get_mut("params"));
        let Some(params) = params.and_then(Value::as_object_mut) else { return };
        let mut folders = folders_of(params);
        // Without folders there is no root either: it would come back otherwise.
        params.remove("rootPath");
        params.insert("rootUri".to_owned(), Value::Null);
        for removed in event["removed"].as_array().into_iter().flatten() {
            folders.retain(|folder| !is_same_folder(&folder["uri"], &removed["uri"]));
        }
        if let Value::Array(added) = take(&mut event, "added") {
            for folder in added {
                if !folders.iter().any(|known| is_same_folder(&known["uri"], &folder["uri"])) {
                    folders.push(folder);
                }
            }
        }
        params.insert("workspaceFolders".to_owned(), Value::Array(folders));
    }

    /// A reply of the editor's, under the id by which the engine knows the request; none when that engine is gone.
    fn reply(&mut self, id: &Value, body: &[u8]) -> Option<Vec<u8>> {
        let number = id.as_str()?.strip_prefix(OWN_ID)?.strip_prefix('-')?.parse().ok()?;
        let own = self.engine_requests.remove(&number)?;
        let mut message: Value = serde_json::from_slice(body).ok()?;
        message["id"] = own;
        Some(message.to_string().into_bytes())
    }

    /// Takes note of a message of the engine's.
    pub fn engine_said(&mut self, body: Vec<u8>) -> Down {
        let Some(glance) = glance(&body) else {
            return Down { pass: Some(body), ..Down::default() };
        };
        match (glance.method.as_deref(), glance.id) {
            (Some(GOODBYE), None) => {
                self.engine_leaves = true;
                Down { left: true, ..Down::default() }
            }
            (Some("$/progress"), None) => {
                self.progressed(&body);
                Down { pass: Some(body), ..Down::default() }
            }
            (Some(_), Some(id)) => Down { pass: self.engine_request(id, &body), ..Down::default() },
            (None, Some(id)) => {
                if self.introduction.as_ref().is_some_and(|own| own.message["id"] == id && !own.is_answered) {
                    self.introduced(&body);
                }
                match self.requests.iter().find(|(_, request)| request.id == id) {
                    // It gives up what it can't finish; the next engine is asked again.
                    Some((_, request)) if self.engine_leaves && !request.is_cancelled && is_cancelled(&body) => {
                        Down::default()
                    }
                    Some((number, _)) => Down { pass: Some(body), answered: Some(Answered(*number)), left: false },
                    // The forwarder has answered it already.
                    None => Down::default(),
                }
            }
            _ => Down { pass: Some(body), ..Down::default() },
        }
    }

    fn introduced(&mut self, body: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(body) else { return };
        self.encoding = match message["result"]["capabilities"]["positionEncoding"].as_str() {
            Some("utf-8") => Encoding::Utf8,
            Some("utf-32") => Encoding::Utf32,
            _ => Encoding::Utf16,
        };
        match &mut self.introduction {
            Some(introduction) if !message["result"].is_null() => introduction.is_answered = true,
            // It was refused; the editor may try another.
            introduction => *introduction = None,
        }
    }

    fn progressed(&mut self, body: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(body) else { return };
        let token = message["params"]["token"].to_string();
        match message["params"]["value"]["kind"].as_str() {
            Some("begin") => _ = self.bars.insert(token),
            Some("end") => _ = self.bars.remove(&token),
            _ => {}
        }
    }

    fn engine_request(&mut self, own: Value, body: &[u8]) -> Option<Vec<u8>> {
        let mut message: Value = serde_json::from_slice(body).ok()?;
        message["id"] = json!(format!("{OWN_ID}-{}", self.next_engine_request));
        // Some editors leave some without an answer.
        if self.engine_requests.len() >= MOST_ENGINE_REQUESTS {
            self.engine_requests.pop_first();
        }
        self.engine_requests.insert(self.next_engine_request, own);
        self.next_engine_request += 1;
        Some(message.to_string().into_bytes())
    }

    /// The editor has the answer to a request.
    pub fn answered(&mut self, answered: &Answered) {
        self.requests.remove(&answered.0);
    }

    /// The connection broke. What is to be said to the editor: the bars of that engine end.
    pub fn link_broke(&mut self) -> Vec<Vec<u8>> {
        self.engine_requests.clear();
        self.engine_leaves = false;
        let bars = self.bars.drain().filter_map(|token| serde_json::from_str::<Value>(&token).ok());
        let end = |token| {
            let params = json!({ "token": token, "value": { "kind": "end" } });
            json!({ "jsonrpc": "2.0", "method": "$/progress", "params": params }).to_string().into_bytes()
        };
        bars.map(end).collect()
    }

    /// How the editor introduced itself, for another engine, and the id under which that is answered. `None` when it
    /// hasn't, or when its own request is still to be answered: then it is in what the editor waits for.
    pub fn introduction(&self) -> Option<(Vec<u8>, &'static str)> {
        let introduction = self.introduction.as_ref().filter(|introduction| introduction.is_answered)?;
        let mut message = introduction.message.clone();
        message["id"] = json!(OWN_ID);
        Some((message.to_string().into_bytes(), OWN_ID))
    }

    /// What is said to another engine after the introduction, and what the editor gets for requests that can't be asked
    /// again.
    pub fn replay(&mut self) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let (mut replay, mut refusals) = (Vec::new(), Vec::new());
        if self.is_initialized {
            replay.push(json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} }).to_string().into_bytes());
            replay.extend(self.configuration.clone());
        }
        for (method, params) in self.documents.retell() {
            let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
            replay.push(message.to_string().into_bytes());
        }
        self.requests.retain(|_, request| {
            let refused = match () {
                () if request.is_introduction => None,
                () if request.is_cancelled => Some((REQUEST_CANCELLED, "the request was cancelled")),
                () if request.is_streamed || request.is_repeated || request.body.is_empty() => {
                    Some((CONTENT_MODIFIED, "the shared engine ended meanwhile; ask again"))
                }
                () => None,
            };
            match refused {
                Some((code, why)) => refusals.push(refusal(&request.id, code, why)),
                None => request.is_repeated = true,
            }
            refused.is_none()
        });
        replay.extend(self.requests.values().map(|request| request.body.clone()));
        (replay, refusals)
    }

    /// The answers to all that is asked, when the editor has asked for the end and no engine is there to answer.
    pub fn answer_shutdown(&mut self) -> Vec<Vec<u8>> {
        let answer = |request: Request| {
            let is_shutdown = glance(&request.body).is_some_and(|glance| glance.method.as_deref() == Some("shutdown"));
            match is_shutdown {
                true => json!({ "jsonrpc": "2.0", "id": request.id, "result": null }).to_string().into_bytes(),
                false => refusal(&request.id, REQUEST_CANCELLED, "the session ends"),
            }
        };
        std::mem::take(&mut self.requests).into_values().map(answer).collect()
    }
}

/// The folders that an introduction names, as the engine takes them: without any, there may be one root in an older form.
fn folders_of(params: &mut serde_json::Map<String, Value>) -> Vec<Value> {
    match params.remove("workspaceFolders") {
        Some(Value::Array(folders)) if !folders.is_empty() => return folders,
        _ => {}
    }
    let path = || Some(json!(FileUri::of(Path::new(params.get("rootPath")?.as_str()?))));
    let root = params.get("rootUri").filter(|uri| !uri.is_null()).cloned().or_else(path);
    root.map(|uri| json!({ "uri": uri, "name": "root" })).into_iter().collect()
}

/// Whether two URIs name the same folder: by the path they stand for, in whatever way it is escaped, with a slash at its
/// end or without.
fn is_same_folder(a: &Value, b: &Value) -> bool {
    let path = |uri: &Value| -> Option<PathBuf> { FileUri::deserialize(uri).ok()?.to_path() };
    a == b || path(a).is_some_and(|a| path(b) == Some(a))
}

/// Whether a message is an answer that there will be none.
fn is_cancelled(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|message| message["error"]["code"] == REQUEST_CANCELLED)
}

fn refusal(id: &Value, code: i64, why: &str) -> Vec<u8> {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": why } }).to_string().into_bytes()
}

#[cfg(test)]
mod tests;
