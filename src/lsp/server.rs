//! A session from the first byte to the last.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_lsp::Server;
use tower_lsp::lsp_types::notification::Notification;

use super::frames::Room;
use super::handlers::{HANDLERS, service};
use super::inbox::receive;
use super::life::{Ended, Life};
use super::outbox::Outbox;
use super::session::Session;
use crate::core::settings::Sources;
use crate::workspace::Engine;

/// Bytes that may be on their way between the parts of the server.
const PIPE: usize = 64 << 10;
/// How long replies may take to go out when the client is done. Clients kill a server about two seconds after `shutdown`.
const FAREWELL: Duration = Duration::from_millis(500);

/// `$/syncline/goodbye`: the shared engine ends in order. It goes to the program's own forwarder, which passes it to no
/// editor.
enum Goodbye {}

/// The method of [`Goodbye`].
pub const GOODBYE: &str = "$/syncline/goodbye";

impl Notification for Goodbye {
    type Params = serde_json::Map<String, serde_json::Value>;
    const METHOD: &'static str = GOODBYE;
}

/// Sets the level of the log.
pub type SetLogLevel = Arc<dyn Fn(&str) + Send + Sync>;

/// How a client is served.
#[derive(Clone, Default)]
pub struct ServeOptions {
    /// The client's process: the session ends when it is gone. What `initialize` says counts when this isn't given.
    pub client_pid: Option<u32>,
    /// Where settings come from, beside the client's.
    pub sources: Sources,
    /// Sets the level of the log, when a client's settings name one.
    pub set_log_level: Option<SetLogLevel>,
    /// The client is told of its codebases' states though it doesn't announce that it takes them.
    pub tells_states: bool,
    /// Ends the session from outside.
    pub stop: CancellationToken,
    /// Whether the client is told by a `GOODBYE` when that happens, so that it can tell it from a death.
    pub says_goodbye: bool,
    /// What its long messages may hold, together with those of others who share this.
    pub room: Room,
}

/// Speaks LSP with one client until it says `exit`, leaves, or its process is gone. `engine` may serve others too: it
/// is left running.
pub async fn serve<R, W>(reader: R, writer: W, engine: Engine, options: ServeOptions) -> Ended
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let life = Life::new();
    let (stop, says_goodbye, room) = (options.stop.clone(), options.says_goodbye, options.room.clone());
    if let Some(pid) = options.client_pid {
        tokio::spawn(life.clone().end_with_parent(pid));
    }
    let (outbox, writing) = Outbox::new(writer, life.over().clone());
    tokio::spawn(writing);
    let (from_client, server_in) = tokio::io::duplex(PIPE);
    let (server_out, to_client) = tokio::io::duplex(PIPE);
    let mut relaying = tokio::spawn(outbox.clone().relay(to_client));
    let mut receiving = tokio::spawn(receive(reader, from_client, outbox.clone(), life.clone(), room));
    let (events, posted) = mpsc::unbounded_channel();
    let (service, socket) = service(life.clone(), events, options.client_pid.is_some());
    let mut session = tokio::spawn(Session::new(engine, outbox.clone(), life.clone(), options).run(posted));
    let server = Server::new(server_in, server_out, socket).concurrency_level(HANDLERS);
    let mut serving = tokio::spawn(server.serve(service));

    let mut is_serving = true;
    tokio::select! {
        // When the client is done, the server ends too.
        biased;
        // The client is done. What it asked for before still gets its answer.
        _ = &mut receiving => {}
        // Its process is gone, or it doesn't read.
        () = life.over().cancelled() => {}
        () = stop.cancelled() => {
            // Nothing more is heard, and the server ends when it has dealt with what was.
            receiving.abort();
            if says_goodbye {
                let goodbye = outbox.notify::<Goodbye>(Default::default());
                // A client that doesn't read learns it from the end of the stream.
                let _ = timeout(FAREWELL, goodbye).await;
            }
        }
        fault = fault(&mut session) => tracing::error!(%fault, "the session broke off"),
        end = &mut serving => {
            // It ends well when it has read to the client's end, which may be known here before it is from `receiving`.
            if let Err(fault) = end {
                tracing::error!(%fault, "the server broke off");
            }
            is_serving = false;
        }
    }
    life.stop();
    let farewell = async {
        if is_serving {
            let _ = (&mut serving).await;
        }
        let _ = (&mut relaying).await;
        outbox.flush().await;
    };
    if timeout(FAREWELL, farewell).await.is_err() {
        tracing::info!("the client didn't take all that was said");
    }
    // Nothing goes on behind a session that is over. (A read of standard input can't be ended, only left alone.)
    for task in [&serving, &relaying, &receiving, &session] {
        task.abort();
    }
    life.over().cancel();
    // Whoever waits for an answer waits until no more can come.
    if !serving.is_finished() {
        let _ = serving.await;
    }
    life.deaf().cancel();
    life.ended()
}

/// Waits for a task to fail; one that ends well has done its work.
async fn fault(task: &mut JoinHandle<()>) -> JoinError {
    match (&mut *task).await {
        Err(error) => error,
        Ok(()) => std::future::pending().await,
    }
}

/// Speaks LSP on standard input and output with the client that started this process; see [`serve`]. Then the engine is
/// shut down. Nothing else may write to standard output meanwhile.
pub async fn run_stdio(engine: Engine, options: ServeOptions) -> Ended {
    end_on_signals(options.stop.clone());
    let ended = serve(tokio::io::stdin(), tokio::io::stdout(), engine.clone(), options).await;
    if timeout(FAREWELL, engine.shutdown()).await.is_err() {
        tracing::warn!("the engine takes too long to shut down; it is left behind");
    }
    ended
}

/// Lets a signal that asks the process to end do so in order: its batches leave the line.
#[cfg(unix)]
pub fn end_on_signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        match signal(kind) {
            Ok(mut signal) => {
                let stop = stop.clone();
                tokio::spawn(async move {
                    signal.recv().await;
                    stop.cancel();
                });
            }
            Err(error) => tracing::warn!(%error, "can't listen to signals"),
        }
    }
}

#[cfg(not(unix))]
pub fn end_on_signals(_: CancellationToken) {}
