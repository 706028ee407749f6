//! The daemon itself: takes connections, serves each apart from the others, and ends in order.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::life::{Away, Life, Present};
use super::lobby::{Guest, Lobby};
use super::questions::{Asked, Host, answer_all};
use super::socket::{AsyncStream, Claim, Listener, Name, PlaceError, SocketFolder};
use super::wire::{Answer, Hello, LONGEST_LINE, PROTOCOL, Purpose, VERSION, Welcome};
use crate::core::UnixMillis;
use crate::core::settings::{Settings, Sources};
use crate::lsp::{Room, ServeOptions, serve};
use crate::workspace::Engine;

/// How long a client may take to say who it is.
const HELLO_TIME: Duration = Duration::from_secs(5);
/// It stays at least so long: whoever started it is still on the way.
const LEAST_IDLE: Duration = Duration::from_secs(2);
/// How long a codebase stays open when nobody works on it.
const UNUSED: Duration = Duration::from_secs(5 * 60);
/// How often one looks whether it is time to close or to leave.
const LOOK: Duration = Duration::from_secs(10);
/// How long a batch that syncs may take to finish its commit at the end.
const LAST_COMMIT: Duration = Duration::from_secs(20);
/// How long clients may take to hear that it is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// How the daemon runs.
pub struct DaemonOptions {
    /// Where its socket is.
    pub place: SocketFolder,
    /// It leaves when nobody has been there for so long.
    pub idle: Duration,
    /// The user's settings, without any codebase's or client's.
    pub settings: Settings,
    /// Where its log is, for people.
    pub log: Option<PathBuf>,
    /// Ends it from outside.
    pub stop: CancellationToken,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It was the daemon, and has ended.
    Served,
    /// There is one already.
    NotNeeded,
}

/// Is the daemon, unless there is one, until nobody needs it or it is stopped. `ready` is called once clients can come,
/// or when there is another.
///
/// # Errors
/// When there is no place for its socket.
pub async fn run(options: DaemonOptions, ready: impl FnOnce()) -> Result<Ran, PlaceError> {
    let DaemonOptions { place, idle, settings, log, stop } = options;
    let listener = match place.claim()? {
        Claim::Ours(listener) => listener,
        Claim::Taken => {
            ready();
            return Ok(Ran::NotNeeded);
        }
    };
    let life = Life::new(&stop);
    let engine = Engine::new(&settings).keeping();
    let socket = listener.name().path();
    tracing::info!(version = VERSION, socket = %socket.display(), "the engine takes clients");
    let host = Host { engine: engine.clone(), life: life.clone(), socket, log, started_at: UnixMillis::now() };
    let sessions = Sessions {
        host,
        tasks: TaskTracker::new(),
        over: CancellationToken::new(),
        lobby: Lobby::default(),
        room: Room::default(),
    };
    ready();
    take_clients(listener, &sessions, idle.max(LEAST_IDLE)).await;
    // The socket is closed: whoever comes now finds nobody and starts another.
    tracing::info!("the engine leaves");
    if timeout(LAST_COMMIT, engine.wind_down()).await.is_err() {
        tracing::warn!(
            "a batch takes too long to commit; it is given up, and its changes are synced by the next engine"
        );
    }
    sessions.over.cancel();
    sessions.tasks.close();
    if timeout(FAREWELL, sessions.tasks.wait()).await.is_err() {
        tracing::info!("some clients didn't take their leave");
    }
    if timeout(FAREWELL, engine.shutdown()).await.is_err() {
        tracing::warn!("the engine takes too long to shut down; it is left behind");
    }
    Ok(Ran::Served)
}

/// Takes clients until it is time to leave. Then nobody can come any more.
async fn take_clients(listener: Listener, sessions: &Sessions, mut idle: Duration) {
    let Host { engine, life, .. } = &sessions.host;
    let pause = LOOK.min(idle / 4).max(Duration::from_millis(20));
    let mut look = interval(pause);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let replaced = until_replaced(listener.name().clone(), pause);
    tokio::pin!(replaced);
    loop {
        tokio::select! {
            () = life.leaving().cancelled() => return,
            () = &mut replaced, if !idle.is_zero() => {
                tracing::warn!(socket = %sessions.host.socket.display(), "the socket was removed or replaced; leaving with the last client");
                idle = Duration::ZERO;
            }
            accepted = listener.accept() => match accepted {
                Ok(stream) => drop(sessions.tasks.spawn(sessions.clone().attend(stream, sessions.lobby.enter()))),
                Err(error) => {
                    tracing::warn!(%error, "can't take a client in");
                    // Too many open files, most likely: those that are here go on, and some will leave.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            _ = look.tick() => {
                let closed = engine.close_unused(UNUSED);
                if closed > 0 {
                    tracing::info!(closed, "closed codebases that nobody uses");
                }
                life.leave_if_alone(idle);
            }
        }
    }
}

/// Waits until clients come to another socket than this one. Folders are looked at apart from the runtime.
async fn until_replaced(name: Name, pause: Duration) {
    let mut look = interval(pause);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let asked = name.clone();
        // A look that broke off tells nothing.
        if let Ok(false) = tokio::task::spawn_blocking(move || asked.is_current()).await {
            return;
        }
    }
}

/// What connections have in common. Cheap to clone; clones are the same.
#[derive(Clone)]
struct Sessions {
    host: Host,
    tasks: TaskTracker,
    /// Tripped when all of them are to end.
    over: CancellationToken,
    /// Those that haven't said who they are.
    lobby: Lobby,
    /// What long messages of all clients together may hold.
    room: Room,
}

impl Sessions {
    /// Serves one client until it leaves.
    async fn attend(self, stream: AsyncStream, guest: Guest) {
        let (reader, mut writer) = tokio::io::split(stream);
        // A client can say nothing wrong to anybody else: whatever it is, only its own connection ends.
        let mut reader = BufReader::new(reader);
        let hello = tokio::select! {
            hello = timeout(HELLO_TIME, read_line::<Hello>(&mut reader)) => hello,
            () = guest.sent_away() => {
                tracing::warn!("too many connections wait to be let in; the oldest is sent away");
                welcome(&mut writer, Answer::Refused(Guest::why())).await;
                return;
            }
        };
        let hello = match hello {
            Ok(Ok(hello)) => hello,
            Ok(Err(error)) => return tracing::info!(%error, "a client didn't say who it is"),
            Err(_) => return tracing::info!("a client said nothing"),
        };
        drop(guest);
        let (answer, present) = self.let_in(&hello);
        if !welcome(&mut writer, answer).await {
            return;
        }
        let Some(present) = present else { return };
        tracing::debug!(client = hello.client, pid = hello.pid, purpose = ?hello.purpose, "a client came");
        let sources = Sources::from(hello.settings);
        match hello.purpose {
            Purpose::Session => {
                let options = ServeOptions {
                    sources,
                    stop: self.over.clone(),
                    says_goodbye: true,
                    // Commands of version 0.1 don't announce that they take them. Editors come by `lsp`.
                    tells_states: hello.client != "lsp",
                    room: self.room.clone(),
                    // Neither its log nor its life are one client's.
                    ..ServeOptions::default()
                };
                serve(reader, writer, self.host.engine.clone(), options).await;
            }
            Purpose::Questions => {
                let asked = tokio::select! {
                    asked = answer_all(&self.host, &present, sources, &self.room, &mut reader, &mut writer) => asked,
                    () = self.over.cancelled() => Asked::All,
                };
                if asked == Asked::ToStop {
                    // It waits for the end of the connection, which is to be that of the process: the system closes it
                    // then, and nobody before.
                    std::mem::forget((reader, writer));
                }
            }
        }
        tracing::debug!(client = hello.client, pid = hello.pid, "a client left");
    }

    fn let_in(&self, hello: &Hello) -> (Answer, Option<Present>) {
        if hello.protocol != PROTOCOL {
            let why = format!("this engine speaks version {PROTOCOL} of its protocol, not {}", hello.protocol);
            return (Answer::Refused(why), None);
        }
        match self.host.life.enter(hello, VERSION) {
            Ok(present) => (Answer::Welcome, Some(present)),
            Err(Away::Leaving) => (Answer::Leaving, None),
            Err(Away::Full) => (Answer::Refused("the engine has too many clients; close some".to_owned()), None),
        }
    }
}

async fn read_line<T: serde::de::DeserializeOwned>(reader: &mut BufReader<impl AsyncRead + Unpin>) -> io::Result<T> {
    let mut line = Vec::new();
    reader.take(LONGEST_LINE).read_until(b'\n', &mut line).await?;
    if line.last() != Some(&b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the line breaks off, or is too long"));
    }
    Ok(serde_json::from_slice(&line)?)
}

/// Says the first line to a client; gives whether it has gone out.
async fn welcome(writer: &mut (impl AsyncWrite + Unpin), answer: Answer) -> bool {
    let welcome = Welcome { protocol: PROTOCOL, version: VERSION.to_owned(), pid: std::process::id(), answer };
    matches!(timeout(HELLO_TIME, write_line(writer, &welcome)).await, Ok(Ok(())))
}

async fn write_line(writer: &mut (impl AsyncWrite + Unpin), what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}
