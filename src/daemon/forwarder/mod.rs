//! What `syncline lsp` is: it carries an editor's session to the daemon and back, and over the daemon's deaths.
//!
//! Messages pass as they are. What the forwarder needs to begin the session anew with another daemon it keeps in mind
//! ([`Memory`]): how the editor introduced itself, its folders and settings, the text of its open documents, and what it
//! waits for. When the connection breaks it starts a daemon, says all that again, and asks again what was asked; the
//! editor notices a pause. After three deaths in a minute something is wrong with the daemon itself: the editor's user is
//! told, and the session goes on with an engine inside this process. That it does, too, when no daemon can be reached. It
//! keeps looking for one, ever more seldom, and goes over to it when the editor waits for nothing.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod memory;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use self::memory::{Down, Memory, Tone, Up};
use super::client::{Reach, ReachError};
use super::log::log_says_why;
use super::socket::{AsyncStream, PlaceError, Stream};
use super::wire::Purpose;
use crate::core::settings::{Sources, load};
use crate::lsp::{Ended, Frame, FrameReader, Life, Outbox, Room, ServeOptions, frame, receive, serve};
use crate::workspace::Engine;

/// Bytes that may be on their way between the parts of this process.
const PIPE: usize = 64 << 10;
/// Messages of the editor that wait for a daemon.
const WAITING: usize = 64;
/// So many deaths ...
const DEATHS: usize = 3;
/// ... within so long are enough.
const DEATHS_WITHIN: Duration = Duration::from_secs(60);
/// Without a daemon, one is looked for after a pause that doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// How long an editor that waits for nothing must have said nothing before its session goes over to another engine.
const QUIET: Duration = Duration::from_secs(1);
/// How long a daemon may take to begin the session anew.
const BEGIN_TIME: Duration = Duration::from_secs(20);
/// How long `shutdown` may take to be answered before the forwarder does so itself.
const SHUTDOWN_TIME: Duration = Duration::from_millis(500);
/// How long answers may take to go out when the editor is done.
const FAREWELL: Duration = Duration::from_millis(500);

/// How an editor is served.
pub struct ForwardOptions {
    /// The editor's process, when it was named on the command line.
    pub client_pid: Option<u32>,
    /// Where settings come from, beside the editor's.
    pub sources: Sources,
    /// Ends the session from outside.
    pub stop: CancellationToken,
}

/// Carries the session of the editor on `reader` and `writer` to the daemon that is found by `reach`. Without a place
/// for one, the session has an engine of its own.
pub async fn forward<R, W>(reader: R, writer: W, reach: Result<Reach, PlaceError>, options: ForwardOptions) -> Ended
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let life = Life::new();
    if let Some(pid) = options.client_pid {
        tokio::spawn(life.clone().end_with_parent(pid));
    }
    let (outbox, writing) = Outbox::new(writer, life.over().clone());
    tokio::spawn(writing);
    let (from_editor, checked) = tokio::io::duplex(PIPE);
    let receiving = tokio::spawn(receive(reader, from_editor, outbox.clone(), life.clone(), Room::default()));
    let (give, editor) = mpsc::channel(WAITING);
    let reading = tokio::spawn(read(checked, give));
    let memory = Memory::new(options.client_pid.is_some());
    let mut forwarder = Forwarder {
        reach: reach.map_err(|error| error.to_string()),
        sources: options.sources,
        life: life.clone(),
        outbox: outbox.clone(),
        memory: Arc::new(Mutex::new(memory)),
        deaths: VecDeque::new(),
        without: None,
        pause: FIRST_PAUSE,
        own: None,
    };
    tokio::select! {
        () = forwarder.run(editor) => {}
        () = life.over().cancelled() => {}
        () = options.stop.cancelled() => {}
    }
    let is_orderly = forwarder.memory().is_shut_down();
    let farewell = async {
        if let Some(engine) = forwarder.own.take() {
            engine.shutdown().await;
        }
        outbox.flush().await;
    };
    if timeout(FAREWELL, farewell).await.is_err() {
        tracing::info!("the editor didn't take all that was said");
    }
    receiving.abort();
    reading.abort();
    life.over().cancel();
    if is_orderly { Ended::Orderly } else { Ended::Abruptly }
}

/// Hands on what the editor says.
async fn read(checked: DuplexStream, give: mpsc::Sender<Vec<u8>>) {
    let mut frames = FrameReader::new(checked);
    while let Ok(Some(Frame::Body(body))) = frames.next().await {
        if give.send(body).await.is_err() {
            return;
        }
    }
}

/// A connection to an engine.
struct Link {
    frames: FrameReader<Box<dyn AsyncRead + Unpin + Send>>,
    writer: Box<dyn AsyncWrite + Unpin + Send>,
}

/// How a connection ended.
enum Broken {
    /// The editor is done.
    Done,
    /// The engine said that it would leave.
    Left,
    /// The engine ended without a word.
    Died,
    /// It was the engine of this process, and another one is there to go on with.
    Replaced(Link),
}

struct Forwarder {
    /// The way to the daemon, or why there is none.
    reach: Result<Reach, String>,
    /// Why the session does without the daemon for now.
    without: Option<String>,
    /// How long until one is looked for then.
    pause: Duration,
    sources: Sources,
    life: Life,
    outbox: Outbox,
    /// Never locked while waiting.
    memory: Arc<Mutex<Memory>>,
    /// When daemons died.
    deaths: VecDeque<Instant>,
    /// The engine inside this process, when there is one.
    own: Option<Engine>,
}

impl Forwarder {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }

    /// Carries messages until the editor is done.
    async fn run(&mut self, mut editor: mpsc::Receiver<Vec<u8>>) {
        // How long a daemon that is started for it stays is among the editor's settings, which come with its first message.
        let Some(first) = editor.recv().await else { return };
        if let (Ok(reach), Some(section)) = (&mut self.reach, memory::settings_of(&first)) {
            reach.idle = load(None, &Sources { editor: section, ..self.sources.clone() }).settings.daemon.idle;
        }
        let asks_for_the_end = self.memory().hold(first);
        if asks_for_the_end {
            return self.end_without(editor).await;
        }
        let mut replacement = None;
        loop {
            let link = match replacement.take() {
                Some(link) => Some(link),
                None => self.link().await,
            };
            let broken = match link {
                Some(mut link) => match self.begin_again(&mut link).await {
                    Ok(()) => {
                        let another = self.look_for_another();
                        self.carry(link, another, &mut editor).await
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a session couldn't be begun anew");
                        Broken::Died
                    }
                },
                None => return,
            };
            let ends = self.memory().link_broke();
            for message in ends {
                self.outbox.send(message).await;
            }
            match broken {
                Broken::Done => return,
                Broken::Replaced(link) => {
                    tracing::info!("a shared engine is there; the session goes over to it");
                    self.memory().tell(Tone::Note, "syncline goes on with the shared engine");
                    self.without = None;
                    if let Some(engine) = self.own.take()
                        && timeout(FAREWELL, engine.shutdown()).await.is_err()
                    {
                        tracing::warn!("the engine of this process takes too long to shut down; it is left behind");
                    }
                    replacement = Some(link);
                }
                _ if self.memory().is_shut_down() => return self.end_without(editor).await,
                Broken::Left => {
                    tracing::info!("the shared engine has left; it is started again when the editor says something");
                    if !self.memory().is_waiting() {
                        let Some(message) = editor.recv().await else { return };
                        let asks_for_the_end = self.memory().hold(message);
                        if asks_for_the_end {
                            return self.end_without(editor).await;
                        }
                    }
                }
                Broken::Died if self.own.is_some() => {
                    // It can't be: it ends with the session only.
                    tracing::error!("the engine of this process has ended");
                    return;
                }
                Broken::Died => self.died(),
            }
        }
    }

    /// Ends the session in order though no engine is there: `shutdown` is answered, and `exit` waited for.
    async fn end_without(&mut self, mut editor: mpsc::Receiver<Vec<u8>>) {
        let answers = self.memory().answer_shutdown();
        for answer in answers {
            self.outbox.send(answer).await;
        }
        while editor.recv().await.is_some() {}
    }

    fn died(&mut self) {
        tracing::warn!("the shared engine has ended without a word");
        let now = Instant::now();
        self.deaths.push_back(now);
        self.deaths.retain(|at| now - *at < DEATHS_WITHIN);
        if self.deaths.len() >= DEATHS {
            let why = log_says_why();
            self.without = Some(format!("the shared engine ended {DEATHS} times within a minute; {why}"));
        }
    }

    /// A connection to the daemon, or to an engine of this process when there can't be one. `None` when that can't be
    /// either.
    async fn link(&mut self) -> Option<Link> {
        let why = match (self.without.take(), self.reach.clone()) {
            (Some(why), _) | (None, Err(why)) => why,
            (None, Ok(reach)) => match ask_for_link(move || reach.reach(Purpose::Session).map(Some)).await {
                Ok(Some(link)) => return Some(link),
                Ok(None) => "it has gone".to_owned(),
                Err(why) => why,
            },
        };
        let tone = if self.deaths.is_empty() { Tone::Log } else { Tone::Show };
        let sentence =
            format!("syncline goes on with an engine of this window's own, which costs its memory once more: {why}");
        self.memory().tell(tone, &sentence);
        tracing::warn!("{sentence}");
        self.without = Some(why);
        Some(self.own_link())
    }

    /// Looks for a daemon again and again while the session does without; for ever when it doesn't, or there is no way to
    /// one.
    fn look_for_another(&mut self) -> impl Future<Output = Link> + use<> {
        let reach = self.reach.clone().ok().filter(|_| self.without.is_some());
        // One that died of this session, for all that is known, isn't started for it again.
        let may_start = self.deaths.len() < DEATHS;
        let mut pause = self.pause;
        if reach.is_some() {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        async move {
            let Some(reach) = reach else { return std::future::pending().await };
            loop {
                tokio::time::sleep(pause).await;
                let reach = reach.clone();
                let found = ask_for_link(move || match may_start {
                    true => reach.reach(Purpose::Session).map(Some),
                    false => reach.find(Purpose::Session),
                });
                match found.await {
                    Ok(Some(link)) => return link,
                    Ok(None) => {}
                    Err(why) => tracing::info!(why, "there is still no shared engine"),
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    fn own_link(&mut self) -> Link {
        let sources = self.sources.clone();
        let engine = self.own.get_or_insert_with(|| Engine::new(&load(None, &sources).settings)).clone();
        let (near, far) = tokio::io::duplex(PIPE);
        let (reader, writer): (ReadHalf<_>, WriteHalf<_>) = tokio::io::split(far);
        let options = ServeOptions { sources, stop: self.life.over().clone(), ..ServeOptions::default() };
        tokio::spawn(serve(reader, writer, engine, options));
        let (reader, writer) = tokio::io::split(near);
        Link::new(reader, writer)
    }

    /// Says again what the editor has said, if it has said anything.
    async fn begin_again(&mut self, link: &mut Link) -> io::Result<()> {
        let introduction = self.memory().introduction();
        if let Some((introduction, id)) = introduction {
            let begin = async {
                link.send(&introduction).await?;
                link.until_answered(id).await
            };
            timeout(BEGIN_TIME, begin).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        }
        let (replay, refusals) = self.memory().replay();
        for refusal in refusals {
            self.outbox.send(refusal).await;
        }
        for message in replay {
            link.send(&message).await?;
        }
        Ok(())
    }

    /// Carries messages until the connection ends, or `another` one is there and the editor waits for nothing.
    async fn carry(
        &self,
        link: Link,
        another: impl Future<Output = Link>,
        editor: &mut mpsc::Receiver<Vec<u8>>,
    ) -> Broken {
        let Link { mut frames, mut writer } = link;
        let memory = self.memory.clone();
        let memory = || memory.lock();
        let (outbox, life) = (&self.outbox, &self.life);
        let (shut_down, is_done) = (CancellationToken::new(), AtomicBool::new(false));
        tokio::pin!(another);
        let up = async {
            let mut found = None;
            loop {
                let held = memory().take_held();
                let message = match held {
                    Some(message) => message,
                    // Between two messages: none is on its way, and what was said before is in the memory.
                    None => tokio::select! {
                        biased;
                        said = editor.recv() => match said {
                            Some(message) => message,
                            None => break,
                        },
                        link = &mut another, if found.is_none() => {
                            found = Some(link);
                            continue;
                        }
                        () = tokio::time::sleep(QUIET), if found.is_some() => match found.take() {
                            Some(link) if memory().is_quiet() => return Broken::Replaced(link),
                            other => {
                                found = other;
                                continue;
                            }
                        },
                    },
                };
                let Up { pass, answer, parent, shuts_down } = memory().editor_said(message);
                if let Some(pid) = parent {
                    tokio::spawn(life.clone().end_with_parent(pid));
                }
                if shuts_down {
                    shut_down.cancel();
                }
                if let Some(answer) = answer {
                    outbox.send(answer).await;
                }
                let Some(message) = pass else { continue };
                // What can't be sent is in the memory, or was a notification of the moment.
                if send(&mut writer, &message).await.is_err() {
                    // The other direction ends now too, when it has carried all that came.
                    std::future::pending::<()>().await;
                }
            }
            // The editor is done; what it asked for before still gets its answer.
            is_done.store(true, Ordering::Release);
            let _ = writer.shutdown().await;
            tokio::time::sleep(FAREWELL).await;
            Broken::Done
        };
        let down = async {
            let mut has_left = false;
            loop {
                match frames.next().await {
                    Ok(Some(Frame::Body(body))) => {
                        let Down { pass, answered, left } = memory().engine_said(body);
                        has_left |= left;
                        if let Some(body) = pass {
                            outbox.send(body).await;
                        }
                        // Only now: a message that didn't get to the editor is one that it still waits for.
                        if let Some(id) = answered {
                            memory().answered(&id);
                        }
                        let told = memory().take_told();
                        for message in told {
                            outbox.send(message).await;
                        }
                    }
                    Ok(Some(Frame::Garbage(why))) => tracing::error!(why, "the engine said something odd"),
                    Ok(None) | Err(_) if is_done.load(Ordering::Acquire) => return Broken::Done,
                    Ok(None) | Err(_) => return if has_left { Broken::Left } else { Broken::Died },
                }
            }
        };
        let overdue = async {
            shut_down.cancelled().await;
            tokio::time::sleep(SHUTDOWN_TIME).await;
        };
        tokio::select! {
            broken = up => broken,
            broken = down => broken,
            // Treated like one that is gone: the forwarder answers.
            () = overdue => Broken::Died,
        }
    }
}

/// A connection to the daemon, made by `connect`, which blocks; `None` when there is no daemon.
async fn ask_for_link(
    connect: impl FnOnce() -> Result<Option<Stream>, ReachError> + Send + 'static,
) -> Result<Option<Link>, String> {
    let connected = tokio::task::spawn_blocking(connect).await.map_err(|error| error.to_string())?;
    let Some(stream) = connected.map_err(|error| error.to_string())? else { return Ok(None) };
    let stream = stream.set_nonblocking(true).and_then(|()| AsyncStream::from_std(stream));
    let (reader, writer) = tokio::io::split(stream.map_err(|error| error.to_string())?);
    Ok(Some(Link::new(reader, writer)))
}

impl Link {
    fn new(reader: impl AsyncRead + Unpin + Send + 'static, writer: impl AsyncWrite + Unpin + Send + 'static) -> Link {
        Link { frames: FrameReader::new(Box::new(reader)), writer: Box::new(writer) }
    }

    async fn send(&mut self, body: &[u8]) -> io::Result<()> {
        send(&mut self.writer, body).await
    }

    /// Waits for the answer to a request of the forwarder's own. Nothing else is said before it.
    async fn until_answered(&mut self, id: &str) -> io::Result<()> {
        loop {
            match self.frames.next().await? {
                Some(Frame::Body(body)) if memory::answers(&body, id) => return Ok(()),
                Some(_) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), body: &[u8]) -> io::Result<()> {
    writer.write_all(&frame(body)).await?;
    writer.flush().await
}
