//! A small synchronous language client over pipes: what an editor does, and a clock.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long an answer may take before the server counts as hung, unless a client says otherwise.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);
/// How long a server may take to end after `exit` before it is killed.
const EXIT_DEADLINE: Duration = Duration::from_secs(5);

/// A server that has been started and initialized.
pub(crate) struct Client {
    child: Child,
    stdin: Arc<Mutex<ChildStdin>>,
    messages: Receiver<Message>,
    last_id: u64,
    /// How long an answer may take before the server counts as hung.
    patience: Duration,
    /// The last `syncline/queueState`.
    state: Option<Message>,
    spawned: Instant,
}

/// What the server sent, and when all of it had arrived.
struct Message {
    at: Instant,
    body: Value,
}

/// The answer to `syncline/search`.
pub(crate) struct Answer {
    /// When all of it had arrived, not yet parsed.
    pub(crate) at: Instant,
    /// From the question's being sent until then.
    pub(crate) took: Duration,
    result: Value,
}

/// A line that matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) path: PathBuf,
    /// Counted from 1.
    pub(crate) number: u64,
}

impl Client {
    /// Starts a server and initializes it with one root.
    pub(crate) fn start(command: &mut Command, root: &Path) -> Result<Self> {
        let spawned = Instant::now();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start syncline")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("no pipes to syncline")
        };
        let stdin = Arc::new(Mutex::new(stdin));
        let (sender, messages) = channel();
        let replies = Arc::clone(&stdin);
        // It ends with the server's output; what went wrong shows as the server's silence.
        thread::spawn(move || receive(BufReader::new(stdout), &replies, &sender));

        let mut client = Self { child, stdin, messages, last_id: 0, patience: ANSWER_DEADLINE, state: None, spawned };
        let uri = to_uri(root);
        let capabilities = json!({
            "window": { "workDoneProgress": true },
            "workspace": { "configuration": true, "workspaceFolders": true },
            "experimental": { "syncline": { "queueState": true } },
        });
        let parameters = json!({
            "processId": std::process::id(),
            "rootUri": uri,
            "workspaceFolders": [{ "uri": uri, "name": "corpus" }],
            "capabilities": capabilities,
        });
        client.request("initialize", &parameters)?;
        client.send(&json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} }))?;
        Ok(client)
    }

    /// The same client, for which the server counts as hung when an answer takes longer than this.
    pub(crate) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// When the server's process was started.
    pub(crate) fn spawned(&self) -> Instant {
        self.spawned
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks for the matches of a case-sensitive query in all of the codebase; `fresh` waits for every change made so far.
    pub(crate) fn search(&mut self, query: &str, is_regex: bool, fresh: bool, max_results: u32) -> Result<Answer> {
        let parameters = json!({
            "query": query,
            "isRegex": is_regex,
            "isCaseSensitive": true,
            "wholeWord": false,
            "maxResults": max_results,
            "fresh": fresh,
        });
        let sent = Instant::now();
        let Message { at, mut body } = self.request("syncline/search", &parameters)?;
        Ok(Answer { at, took: at - sent, result: body["result"].take() })
    }

    /// The symbols for a query, as the lines they are on, and how long the answer took.
    pub(crate) fn symbols(&mut self, query: &str) -> Result<(Vec<Line>, Duration)> {
        let sent = Instant::now();
        let Message { at, body } = self.request("workspace/symbol", &json!({ "query": query }))?;
        let line = |symbol: &Value| {
            let path = from_uri(symbol["location"]["uri"].as_str()?)?;
            Some(Line { path, number: symbol["location"]["range"]["start"]["line"].as_u64()? + 1 })
        };
        let found = body["result"].as_array().map_or(&[][..], Vec::as_slice);
        Ok((found.iter().filter_map(line).collect(), at - sent))
    }

    /// The generation of the index that the last state told of.
    pub(crate) fn generation(&self) -> u64 {
        self.state.as_ref().and_then(|state| state.body["params"]["index"]["generation"].as_u64()).unwrap_or_default()
    }

    /// Waits for a state that calls the index fresh and the line idle, and returns when it came.
    pub(crate) fn wait_until_fresh(&mut self, within: Duration) -> Result<Instant> {
        self.wait_until(within, |state| state["phase"] == "idle" && state["index"]["fresh"] == true)
    }

    /// Waits for a state, and returns when it came.
    pub(crate) fn wait_until(&mut self, within: Duration, wanted: impl Fn(&Value) -> bool) -> Result<Instant> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(state) = self.state.as_ref().filter(|state| wanted(&state.body["params"])) {
                return Ok(state.at);
            }
            if self.next(deadline)?.is_none() {
                let last = self.state.as_ref().map_or(&Value::Null, |state| &state.body["params"]);
                bail!("not in the state that was waited for within {} s; the last state was {last}", within.as_secs());
            }
        }
    }

    /// Ends the server as an editor does.
    pub(crate) fn shut_down(mut self) -> Result<()> {
        self.request("shutdown", &Value::Null)?;
        self.send(&json!({ "jsonrpc": "2.0", "method": "exit" }))?;
        let start = Instant::now();
        while start.elapsed() < EXIT_DEADLINE {
            if let Some(status) = self.child.try_wait().context("cannot wait for syncline")? {
                if !status.success() {
                    bail!("syncline ended with {status} after a shutdown");
                }
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        bail!("syncline still runs {} s after exit", EXIT_DEADLINE.as_secs())
    }

    /// Asks anything, and gives the result, or the error that the server answers with.
    pub(crate) fn ask(&mut self, method: &str, parameters: &Value) -> Result<Result<Value, Value>> {
        let Message { mut body, .. } = self.answer(method, parameters)?;
        Ok(match body.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(body["result"].take()),
        })
    }

    /// Tells something that has no answer.
    pub(crate) fn tell(&self, method: &str, parameters: &Value) -> Result<()> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": parameters }))
    }

    fn request(&mut self, method: &str, parameters: &Value) -> Result<Message> {
        let message = self.answer(method, parameters)?;
        match message.body.get("error") {
            Some(error) => bail!("{method} failed: {error}"),
            None => Ok(message),
        }
    }

    /// Asks, and waits for the answer, whichever it is.
    fn answer(&mut self, method: &str, parameters: &Value) -> Result<Message> {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        // A method without parameters has none, not null ones.
        if !parameters.is_null() {
            request["params"] = parameters.clone();
        }
        self.send(&request)?;
        let deadline = Instant::now() + self.patience;
        loop {
            match self.next(deadline)? {
                Some(message) if message.body["id"] == id => return Ok(message),
                Some(_) => {}
                None => bail!("no answer to {method} within {} s", self.patience.as_secs()),
            }
        }
    }

    /// The next message that is no state, or an empty one for a state, which is kept; none when the deadline has passed.
    fn next(&mut self, deadline: Instant) -> Result<Option<Message>> {
        match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) if message.body["method"] == "syncline/queueState" => {
                let nothing = Message { at: message.at, body: Value::Null };
                self.state = Some(message);
                Ok(Some(nothing))
            }
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("syncline has closed its output"),
        }
    }

    fn send(&self, message: &Value) -> Result<()> {
        send(&self.stdin, message)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Nothing is left to do when it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Line {
    /// The matching lines in what `rg --line-number --null` prints, its paths seen from `folder`.
    pub(crate) fn of_rg(output: &[u8], folder: &Path) -> BTreeSet<Line> {
        let parse = |line: &[u8]| {
            let path_end = line.iter().position(|byte| *byte == 0)?;
            let rest = &line[path_end + 1..];
            let number =
                std::str::from_utf8(&rest[..rest.iter().position(|byte| *byte == b':')?]).ok()?.parse().ok()?;
            Some(Line { path: folder.join(String::from_utf8_lossy(&line[..path_end]).as_ref()), number })
        };
        output.split(|byte| *byte == b'\n').filter_map(parse).collect()
    }

    /// In which way our lines are not theirs; none when they are the same.
    pub(crate) fn difference(ours: &BTreeSet<Line>, theirs: &BTreeSet<Line>) -> Option<String> {
        let describe = |who: &str, left: &BTreeSet<Line>, right: &BTreeSet<Line>| {
            let first = left.difference(right).next()?;
            let count = left.difference(right).count();
            Some(format!("lines only in {who}: {count}, the first {}:{}", first.path.display(), first.number))
        };
        let sides = [describe("syncline's answer", ours, theirs), describe("rg's answer", theirs, ours)];
        let sides: Vec<_> = sides.into_iter().flatten().collect();
        (!sides.is_empty()).then(|| sides.join("; "))
    }
}

impl Answer {
    /// Whether there is no match in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.matches().is_empty()
    }

    /// Whether the server says that every change is in it.
    pub(crate) fn fresh(&self) -> bool {
        self.result["fresh"] == true
    }

    /// Whether there are more matches than were asked for.
    pub(crate) fn limit_hit(&self) -> bool {
        self.result["limitHit"] == true
    }

    /// The matching lines, each once however many matches it has.
    pub(crate) fn lines(&self) -> Result<BTreeSet<Line>> {
        let line = |found: &Value| {
            let path = from_uri(found["uri"].as_str()?)?;
            Some(Line { path, number: found["range"]["start"]["line"].as_u64()? + 1 })
        };
        self.matches().iter().map(|found| line(found).with_context(|| format!("not a match: {found}"))).collect()
    }

    /// What `syncline/search` answered, however it was asked.
    pub(crate) fn of(result: Value, took: Duration) -> Self {
        Self { at: Instant::now(), took, result }
    }

    fn matches(&self) -> &[Value] {
        self.result["matches"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// Hands on what the server sends, and answers what it asks as an editor without an opinion does.
fn receive(mut output: impl BufRead, replies: &Mutex<ChildStdin>, sender: &Sender<Message>) {
    while let Ok(Some(bytes)) = read_frame(&mut output) {
        let at = Instant::now();
        let Ok(body) = serde_json::from_slice::<Value>(&bytes) else { break };
        if let (Some(id), Some(method)) = (body.get("id"), body["method"].as_str()) {
            let result = match method {
                "workspace/configuration" => {
                    let items = body["params"]["items"].as_array().map_or(0, Vec::len);
                    Value::Array(vec![Value::Null; items])
                }
                _ => Value::Null,
            };
            if send(replies, &json!({ "jsonrpc": "2.0", "id": id, "result": result })).is_err() {
                break;
            }
        } else if sender.send(Message { at, body }).is_err() {
            break;
        }
    }
}

fn send(stdin: &Mutex<ChildStdin>, message: &Value) -> Result<()> {
    let body = message.to_string();
    let mut stdin = stdin.lock().unwrap_or_else(PoisonError::into_inner);
    let sent = write!(stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).and_then(|()| stdin.flush());
    sent.context("syncline takes no more messages")
}

/// One message's body; none at the end of the stream.
fn read_frame(input: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = Some(value.trim().parse().context("a Content-Length that is no number")?);
        }
    }
    let mut body = vec![0; length.context("a message without Content-Length")?];
    input.read_exact(&mut body)?;
    Ok(Some(body))
}

/// An absolute path as a `file` URI.
pub(crate) fn to_uri(path: &Path) -> String {
    let mut uri = String::from("file://");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

/// The path of a `file` URI; none if it is something else.
fn from_uri(uri: &str) -> Option<PathBuf> {
    let mut rest = uri.strip_prefix("file://")?.as_bytes();
    let mut path = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let (digits, after) = tail.split_at_checked(2)?;
            path.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            path.push(*first);
            rest = tail;
        }
    }
    Some(std::ffi::OsString::from_vec(path).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str, number: u64) -> Line {
        Line { path: path.into(), number }
    }

    #[test]
    fn rg_lines_are_told_from_remarks() {
        let output = b"/a b\x0012:x:y\n/a b\x0013:z\n/c: WARNING: stopped searching binary file after match\n";
        assert_eq!(Line::of_rg(output, Path::new("/")), BTreeSet::from([line("/a b", 12), line("/a b", 13)]));
    }

    #[test]
    fn differences_are_named() {
        let (ours, theirs) = (BTreeSet::from([line("/a", 1)]), BTreeSet::from([line("/a", 1), line("/b", 2)]));
        assert_eq!(Line::difference(&ours, &ours), None);
        assert_eq!(Line::difference(&ours, &theirs).as_deref(), Some("lines only in rg's answer: 1, the first /b:2"));
    }

    #[test]
    fn frames_are_read_one_by_one() -> Result<()> {
        let mut input = "Content-Length: 2\r\nContent-Type: x\r\n\r\n{}content-length:3\r\n\r\nabc".as_bytes();
        assert_eq!(read_frame(&mut input)?.as_deref(), Some(b"{}".as_slice()));
        assert_eq!(read_frame(&mut input)?.as_deref(), Some(b"abc".as_slice()));
        assert_eq!(read_frame(&mut input)?, None);
        assert!(read_frame(&mut "\r\n".as_bytes()).is_err(), "a length is needed");
        Ok(())
    }

    #[test]
    fn paths_survive_the_way_to_a_uri_and_back() {
        let path = Path::new("/a b/ü%41/c.rs");
        assert_eq!(to_uri(path), "file:///a%20b/%C3%BC%2541/c.rs");
        assert_eq!(from_uri(&to_uri(path)).as_deref(), Some(path));
        assert_eq!(from_uri("https:///a"), None);
    }
}
