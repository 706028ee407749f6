//! The command line's connection to the daemon. It waits for each answer, with deadlines.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;

use super::log::log_says_why;
use super::socket::{PlaceError, SocketFolder, Stream, deadline, peer, set_deadline};
use super::start::{StartError, start};
use super::wire::{Answer, ClientSettings, Hello, LONGEST_LINE, PROTOCOL, Purpose, Question, Reply, VERSION, Welcome};
use crate::core::CodebaseRoot;
use crate::core::settings::Sources;
use crate::lsp::ext::{ClientExperimental, FileUri};
use crate::lsp::{LONGEST_MESSAGE, frame};

/// How long finding, and if need be starting, a daemon may take altogether.
const REACH_TIME: Duration = Duration::from_secs(20);
/// So often a daemon that ends before it is ready is started again.
const MOST_STARTS: usize = 3;
/// How long a daemon may take to say who it is.
const WELCOME_TIME: Duration = Duration::from_secs(5);
/// How long a daemon may take to answer a question.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Why the daemon can't be reached.
#[derive(Debug, Error)]
pub enum ReachError {
    /// There is no place for its socket.
    #[error(transparent)]
    SocketFolder(#[from] PlaceError),
    /// It can't be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It can't be talked to.
    #[error("the shared engine can't be talked to: {0}; --standalone does without")]
    Broken(#[from] io::Error),
    /// It doesn't talk.
    #[error(transparent)]
    Silent(#[from] Silence),
    /// It doesn't want to.
    #[error("the shared engine refuses: {0}")]
    Refused(String),
    /// They come and go.
    #[error("no shared engine stays for long enough to be reached; {}", log_says_why())]
    Restless,
}

/// The daemon hangs, or has far too much to do.
#[derive(Debug, Error)]
pub struct Silence {
    /// Its process, when that is known.
    pub pid: Option<u32>,
    /// How long it was waited for.
    pub waited: Duration,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waited = match self.waited.as_millis() {
            ms @ 0..1000 => format!("{ms} ms"),
            _ => format!("{} s", self.waited.as_secs()),
        };
        match self.pid {
            Some(pid) => write!(
                f,
                "the shared engine (pid {pid}) didn't answer within {waited}; if it hangs, `kill -9 {pid}` ends it \
                 without harm to any index; --standalone does without"
            ),
            None => write!(f, "the shared engine didn't answer within {waited}; --standalone does without"),
        }
    }
}

impl Silence {
    /// It was waited for on this connection, when `error` is that of a deadline.
    fn of(stream: &Stream, error: io::Error) -> Result<Silence, io::Error> {
        let is_late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        if is_late { Ok(Silence { pid: peer(stream), waited: deadline(stream) }) } else { Err(error) }
    }
}

/// Why a request got no result.
#[derive(Debug, Error)]
pub enum AskError {
    /// The connection broke.
    #[error("the shared engine went away: {0}")]
    Broken(#[from] io::Error),
    /// It doesn't talk.
    #[error(transparent)]
    Silent(#[from] Silence),
    /// It said why.
    #[error("{0}")]
    Refused(String),
}

/// A way to the daemon.
#[derive(Clone)]
pub struct Reach {
    /// Where it is.
    pub place: SocketFolder,
    /// The subcommand that wants it.
    pub client: &'static str,
    /// What the client's settings are made of.
    pub settings: ClientSettings,
    /// When a daemon that is started leaves.
    pub idle: Duration,
    /// How long it may take to say who it is.
    pub patience: Duration,
}

impl Reach {
    /// The way to this user's daemon.
    ///
    /// # Errors
    /// When there is no place for its socket.
    pub fn of_user(client: &'static str, sources: &Sources, idle: Duration) -> Result<Reach, PlaceError> {
        Ok(Reach { place: SocketFolder::of_user()?, client, settings: sources.into(), idle, patience: WELCOME_TIME })
    }

    /// A connection to the daemon that there is; `None` when there is none. Blocks.
    ///
    /// # Errors
    /// When it doesn't answer.
    pub fn find(&self, purpose: Purpose) -> Result<Option<Stream>, ReachError> {
        self.connect(purpose, false)
    }

    /// A connection to the daemon, which is started if need be. Blocks.
    ///
    /// # Errors
    /// When it doesn't answer, or can't be started.
    pub fn reach(&self, purpose: Purpose) -> Result<Stream, ReachError> {
        self.connect(purpose, true)?.ok_or(ReachError::Restless)
    }

    fn connect(&self, purpose: Purpose, may_start: bool) -> Result<Option<Stream>, ReachError> {
        let deadline = Instant::now() + REACH_TIME;
        let mut starts = 0;
        let mut pause = Duration::from_millis(1);
        while Instant::now() < deadline {
            match self.place.connect()? {
                Some(stream) => match self.greet(stream, purpose)? {
                    Some(stream) => return Ok(Some(stream)),
                    // It was about to leave.
                    None => {
                        std::thread::sleep(pause);
                        pause = (pause * 2).min(Duration::from_millis(100));
                    }
                },
                None if may_start => match start(self.idle) {
                    Ok(()) => {}
                    // Somebody may have killed it.
                    Err(StartError::Silent) if starts < MOST_STARTS => starts += 1,
                    Err(error) => return Err(error.into()),
                },
                None => return Ok(None),
            }
        }
        Err(ReachError::Restless)
    }

    /// The first lines; `None` when the daemon leaves.
    fn greet(&self, stream: Stream, purpose: Purpose) -> Result<Option<Stream>, ReachError> {
        set_deadline(&stream, Some(self.patience))?;
        let hello = Hello {
            protocol: PROTOCOL,
            version: VERSION.to_owned(),
            client: self.client.to_owned(),
            pid: std::process::id(),
            purpose,
            settings: self.settings.clone(),
        };
        let mut line = serde_json::to_vec(&hello).map_err(io::Error::from)?;
        line.push(b'\n');
        // The daemon says nothing more before the client does, so nothing is lost with the reader.
        let mut reader = BufReader::new(stream);
        let mut answer = Vec::new();
        let read = reader
            .get_mut()
            .write_all(&line)
            .and_then(|()| (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut answer));
        match read {
            Ok(_) if answer.last() == Some(&b'\n') => {}
            Ok(_) => return Ok(None),
            Err(error) if is_end(&error) => return Ok(None),
            Err(error) => {
                return Err(Silence::of(reader.get_ref(), error).map_or_else(ReachError::from, ReachError::from));
            }
        }
        let welcome: Welcome = serde_json::from_slice(&answer).map_err(io::Error::from)?;
        match welcome.answer {
            Answer::Welcome if welcome.protocol == PROTOCOL => {}
            Answer::Welcome => return Err(ReachError::Refused(format!("it speaks version {}", welcome.protocol))),
            Answer::Leaving => return Ok(None),
            Answer::Refused(why) => return Err(ReachError::Refused(why)),
        }
        let stream = reader.into_inner();
        set_deadline(&stream, None)?;
        Ok(Some(stream))
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
}

/// Asks the daemon questions.
pub struct Client {
    stream: BufReader<Stream>,
}

impl Client {
    /// Asks over a connection that was made for questions, and waits so long for each answer.
    ///
    /// # Errors
    /// When the connection can't have a deadline.
    pub fn new(stream: Stream, patience: Option<Duration>) -> io::Result<Client> {
        set_deadline(&stream, Some(patience.unwrap_or(ANSWER_TIME)))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When it doesn't come, or is none.
    pub fn ask<T: DeserializeOwned>(&mut self, question: &Question) -> Result<T, AskError> {
        send(&mut self.stream, question)?;
        match serde_json::from_slice(&receive(&mut self.stream)?).map_err(io::Error::from)? {
            Reply::Result(result) => Ok(result),
            Reply::Error(why) => Err(AskError::Refused(why)),
        }
    }

    /// Has the daemon leave, and waits until it is gone, for so long at most.
    ///
    /// # Errors
    /// When it doesn't answer, or doesn't leave.
    pub fn stop(mut self, patience: Duration) -> Result<(), AskError> {
        self.ask::<()>(&Question::Stop {})?;
        set_deadline(self.stream.get_ref(), Some(patience))?;
        match self.stream.read(&mut [0]) {
            Ok(0) => Ok(()),
            Err(error) if is_end(&error) => Ok(()),
            Ok(_) => Err(AskError::Refused("it goes on talking".to_owned())),
            Err(error) => Err(ask_error(self.stream.get_ref(), error)),
        }
    }
}

/// A language server's session with one codebase, for those who aren't editors.
pub struct Session {
    stream: BufReader<Stream>,
    next: u64,
}

/// Ends a session from another thread; see [`Session::hang_up`].
pub struct HangUp(Stream);

impl HangUp {
    /// Ends it.
    pub fn end(self) {
        // It may have ended already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// What the daemon says unasked.
pub struct Notification {
    /// Its method.
    pub method: String,
    /// Its params.
    pub params: Value,
}

impl Session {
    /// Begins a session over a connection that was made for one, with the codebase at `root` open: somebody has asked for
    /// just this one, even if it is a home folder.
    ///
    /// # Errors
    /// When the daemon doesn't answer.
    pub fn open(stream: Stream, root: &CodebaseRoot) -> Result<Session, AskError> {
        let uri = FileUri::of(root.as_path());
        let options = if root.holds_home() { json!({ "index": { "home": true } }) } else { Value::Null };
        set_deadline(&stream, Some(ANSWER_TIME))?;
        let mut session = Session { stream: BufReader::new(stream), next: 1 };
        let params = json!({
            "processId": null, "rootUri": null, "capabilities": { "experimental": ClientExperimental::default() },
            "initializationOptions": options,
            "workspaceFolders": [{ "uri": uri, "name": "codebase" }],
        });
        session.request("initialize", params, |_| Ok(()))?;
        send(&mut session.stream, &json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} }))?;
        // From now on, answers take as long as the work they stand for.
        set_deadline(session.stream.get_ref(), None)?;
        Ok(session)
    }

    /// Asks, and waits for the result. What the daemon says meanwhile is handed to `heard`.
    ///
    /// # Errors
    /// When the daemon gives an error, or goes away, or `heard` fails.
    pub fn request(
        &mut self,
        method: &str,
        params: Value,
        mut heard: impl FnMut(Notification) -> io::Result<()>,
    ) -> Result<Value, AskError> {
        let id = self.next;
        self.next += 1;
        send(&mut self.stream, &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        loop {
            let mut message = self.message()?;
            if message["method"].is_string() {
                if let Some(notification) = as_notification(message) {
                    heard(notification)?;
                }
            } else if message["id"] == json!(id) {
                return match message["error"]["message"].as_str() {
                    Some(why) => Err(AskError::Refused(why.to_owned())),
                    None => Ok(message["result"].take()),
                };
            }
        }
    }

    /// What ends this session from another thread: a request that is waited for breaks off, and the daemon gives its work up.
    ///
    /// # Errors
    /// When the system has no more descriptors.
    pub fn hang_up(&self) -> io::Result<HangUp> {
        self.stream.get_ref().try_clone().map(HangUp)
    }

    /// Waits for the next thing that the daemon says unasked.
    ///
    /// # Errors
    /// When it goes away.
    pub fn hear(&mut self) -> Result<Notification, AskError> {
        loop {
            if let Some(notification) = as_notification(self.message()?) {
                return Ok(notification);
            }
        }
    }

    /// Waits for it until `deadline`; `None` when nothing came, after which a message may be cut off: the session is over.
    ///
    /// # Errors
    /// When the daemon goes away.
    pub fn hear_until(&mut self, deadline: Instant) -> Result<Option<Notification>, AskError> {
        set_deadline(self.stream.get_ref(), Some(deadline.saturating_duration_since(Instant::now())))?;
        match self.hear() {
            Ok(notification) => Ok(Some(notification)),
            Err(AskError::Silent(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn message(&mut self) -> Result<Value, AskError> {
        Ok(serde_json::from_slice(&receive(&mut self.stream)?).map_err(io::Error::from)?)
    }
}

fn as_notification(mut message: Value) -> Option<Notification> {
    let method = message["method"].as_str()?.to_owned();
    Some(Notification { method, params: message["params"].take() })
}

fn ask_error(stream: &Stream, error: io::Error) -> AskError {
    Silence::of(stream, error).map_or_else(AskError::from, AskError::from)
}

fn send(stream: &mut BufReader<Stream>, message: &impl serde::Serialize) -> Result<(), AskError> {
    let body = serde_json::to_vec(message).map_err(io::Error::from)?;
    stream.get_mut().write_all(&frame(&body)).map_err(|error| ask_error(stream.get_ref(), error))
}

/// The body of the next message.
fn receive(stream: &mut BufReader<Stream>) -> Result<Vec<u8>, AskError> {
    read_message(stream).map_err(|error| ask_error(stream.get_ref(), error))
}

fn read_message(stream: &mut BufReader<Stream>) -> io::Result<Vec<u8>> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if stream.by_ref().take(4096).read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse::<u64>().ok().filter(|length| *length <= LONGEST_MESSAGE);
            }
            Some(_) => {}
            None => break,
        }
    }
    let length = length.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a message has no length"))?;
    let mut body = Vec::new();
    match stream.by_ref().take(length).read_to_end(&mut body)? as u64 == length {
        true => Ok(body),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}
