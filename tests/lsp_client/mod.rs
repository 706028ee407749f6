//! A small editor: it speaks LSP over any pair of streams, reads everything, and insists on a graceful end.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod server;

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tower_lsp::lsp_types::Url;

/// Longest that anything may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The editor. Messages that weren't asked for yet are kept; when it is dropped, it must have been shut down, and no
/// error may be left unread.
pub struct Client {
    writer: Box<dyn AsyncWrite + Unpin + Send>,
    incoming: mpsc::UnboundedReceiver<Value>,
    kept: VecDeque<Value>,
    next_id: i64,
    is_over: bool,
    /// The answer to `workspace/configuration`.
    pub configuration: Value,
    /// It isn't given by itself; these were asked for.
    pub withheld: Option<Vec<Value>>,
}

impl Client {
    pub fn new(
        reader: impl AsyncRead + Unpin + Send + 'static,
        writer: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Self {
        let (give, incoming) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut reader = BufReader::new(reader);
            while let Some(message) = read(&mut reader).await {
                if give.send(message).is_err() {
                    return;
                }
            }
        });
        let (kept, configuration) = (VecDeque::new(), Value::Null);
        Client { writer: Box::new(writer), incoming, kept, next_id: 1, is_over: false, configuration, withheld: None }
    }

    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
        self.writer.flush().await.unwrap();
    }

    pub async fn send(&mut self, message: Value) {
        let body = message.to_string();
        self.send_bytes(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    }

    pub async fn notify(&mut self, method: &str, params: Value) {
        self.send(json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    /// Sends a request, and gives its id.
    pub async fn ask(&mut self, method: &str, params: Value) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
        id
    }

    /// The reply to a request: its result, or its error.
    pub async fn reply(&mut self, id: i64) -> Result<Value, Value> {
        let mut reply = self.until("a reply", |m| m["id"] == json!(id) && m.get("method").is_none()).await;
        match reply.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(reply["result"].take()),
        }
    }

    pub async fn request(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.ask(method, params).await;
        self.reply(id).await
    }

    /// The next message that fulfils `wanted`, of those kept and those to come.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at).unwrap();
        }
        let wait = async {
            loop {
                let message = self.receive().await.unwrap_or_else(|| panic!("the server left; waiting for {what}"));
                if wanted(&message) {
                    return message;
                }
                self.kept.push_back(message);
            }
        };
        match tokio::time::timeout(DEADLINE, wait).await {
            Ok(message) => message,
            Err(_) => panic!("not within {DEADLINE:?}: {what}; kept: {:#?}", self.kept),
        }
    }

    /// The next message, requests of the server answered and left out; `None` when the server is gone.
    async fn receive(&mut self) -> Option<Value> {
        loop {
            let message = self.incoming.recv().await?;
            let (Some(method), Some(id)) = (message.get("method"), message.get("id")) else { return Some(message) };
            if let Some(withheld) = self.withheld.as_mut().filter(|_| method == "workspace/configuration") {
                withheld.push(id.clone());
                continue;
            }
            let result = match method.as_str().unwrap() {
                "workspace/configuration" => json!([self.configuration]),
                "window/workDoneProgress/create" => Value::Null,
                other => panic!("the server asks for {other}"),
            };
            self.send(json!({"jsonrpc": "2.0", "id": id, "result": result})).await;
        }
    }

    /// The next notification `method`.
    pub async fn notification(&mut self, method: &str) -> Value {
        self.until(method, |message| message["method"] == method).await["params"].take()
    }

    /// All messages that were kept and fulfil `wanted`, in their order.
    pub fn take_kept(&mut self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let (taken, kept): (Vec<_>, Vec<_>) = self.kept.drain(..).partition(|message| wanted(message));
        self.kept = kept.into();
        taken
    }

    /// `initialize` and `initialized`; gives the answer's capabilities. The client announces that it takes states, unless
    /// `capabilities` say otherwise.
    pub async fn initialize(&mut self, roots: &[&Path], mut capabilities: Value, options: Value) -> Value {
        if capabilities.get("experimental").is_none() {
            capabilities["experimental"] = json!({"syncline": {"queueState": true}});
        }
        let folders: Vec<_> = roots.iter().map(|root| json!({"uri": uri(root), "name": "x"})).collect();
        let params = json!({
            "processId": std::process::id(), "rootUri": null, "workspaceFolders": folders,
            "capabilities": capabilities, "initializationOptions": options,
        });
        let mut answer = self.request("initialize", params).await.expect("initialize is answered");
        self.notify("initialized", json!({})).await;
        answer["capabilities"].take()
    }

    /// The next state that fulfils `wanted`; states before it are given to `seen`.
    pub async fn state_until(
        &mut self,
        what: &str,
        mut seen: impl FnMut(&Value),
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        loop {
            let state = self.until(what, |message| message["method"] == "syncline/queueState").await["params"].take();
            seen(&state);
            if wanted(&state) {
                return state;
            }
        }
    }

    /// Waits until the codebase is idle and its index fresh.
    pub async fn until_fresh(&mut self) -> Value {
        self.state_until("a fresh state", |_| {}, |state| state["phase"] == "idle" && state["index"]["fresh"] == true)
            .await
    }

    /// The texts that a search finds, each as `FILE:LINE:START-END:TEXT`.
    pub async fn search(&mut self, params: Value) -> Vec<String> {
        let result = self.request("syncline/search", params).await.expect("the search is answered");
        assert_eq!(result["fresh"], true, "{result}");
        shown(&result["matches"])
    }

    pub async fn open(&mut self, path: &Path, text: &str) {
        let document = json!({"uri": uri(path), "languageId": "x", "version": 1, "text": text});
        self.notify("textDocument/didOpen", json!({"textDocument": document})).await;
    }

    pub async fn save(&mut self, path: &Path) {
        self.notify("textDocument/didSave", json!({"textDocument": {"uri": uri(path)}})).await;
    }

    /// `shutdown`, answered, and `exit`.
    pub async fn shut_down(&mut self) {
        assert_eq!(self.request("shutdown", Value::Null).await, Ok(Value::Null));
        self.send(json!({"jsonrpc": "2.0", "method": "exit"})).await;
        self.is_over = true;
    }

    /// Leaves without a word, as a test may want to.
    pub fn leave(&mut self) {
        self.is_over = true;
        self.writer = Box::new(tokio::io::sink());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert!(self.is_over, "the client is shut down at the end of its test");
        let is_trouble = |m: &Value| m.get("error").is_some() || m["method"] == "window/showMessage";
        let unread: Vec<_> = self.kept.iter().filter(|message| is_trouble(message)).collect();
        assert!(unread.is_empty(), "nobody looked at: {unread:#?}");
    }
}

pub fn uri(path: &Path) -> String {
    Url::from_file_path(path).unwrap().to_string()
}

/// Matches, each as `FILE:LINE:START-END:TEXT`.
pub fn shown(matches: &Value) -> Vec<String> {
    let one = |found: &Value| {
        let file = found["uri"].as_str().unwrap().rsplit('/').next().unwrap();
        let (start, end) = (&found["range"]["start"], &found["range"]["end"]);
        assert_eq!(start["line"], end["line"]);
        let text = found["text"].as_str().unwrap();
        format!("{file}:{}:{}-{}:{text}", start["line"], start["character"], end["character"])
    };
    matches.as_array().unwrap().iter().map(one).collect()
}

async fn read(reader: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = Some(value.parse().unwrap()),
            Some(_) => {}
            None => {
                assert_eq!(line, "\r\n", "only messages are on the stream");
                break;
            }
        }
    }
    let mut body = vec![0; length.expect("a header has a length")];
    reader.read_exact(&mut body).await.ok()?;
    Some(serde_json::from_slice(&body).unwrap())
}
