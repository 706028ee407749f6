//! The one way out to the client: messages leave in the order in which they were put in.
//!
//! tower-lsp takes replies and notifications from two channels in turn, so that a notification can be overtaken by the
//! reply that follows it. Here both go through one.

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tower_lsp::lsp_types::notification::{LogMessage, Notification, ShowMessage};
use tower_lsp::lsp_types::{LogMessageParams, MessageType, ShowMessageParams};

use super::frames::{Frame, FrameReader, frame};

/// Messages that wait for the client to read; whoever has one more waits too.
const WAITING: usize = 64;

/// Where messages to the client are put. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Outbox {
    messages: mpsc::Sender<Outgoing>,
}

enum Outgoing {
    Body(Vec<u8>),
    /// Tells when all before it has been written.
    Flush(oneshot::Sender<()>),
}

#[derive(Serialize)]
struct NotificationBody<P> {
    jsonrpc: &'static str,
    method: &'static str,
    params: P,
}

impl Outbox {
    /// An outbox, and the work of writing what is put into it. `broken` is tripped when the client can't be written to;
    /// messages are thrown away from then on.
    pub fn new(writer: impl AsyncWrite + Unpin, broken: CancellationToken) -> (Outbox, impl Future<Output = ()>) {
        let (messages, waiting) = mpsc::channel(WAITING);
        (Outbox { messages }, write_all(waiting, writer, broken))
    }

    /// Sends a message. Waits while the client doesn't read.
    pub async fn send(&self, body: Vec<u8>) {
        // It fails when the session is over: nobody is there to be told.
        let _ = self.messages.send(Outgoing::Body(body)).await;
    }

    /// Sends a notification. Waits while the client doesn't read. To be used after `initialize` was answered.
    pub async fn notify<N: Notification>(&self, params: N::Params) {
        match serde_json::to_vec(&NotificationBody { jsonrpc: "2.0", method: N::METHOD, params }) {
            Ok(body) => self.send(body).await,
            Err(error) => tracing::error!(method = N::METHOD, %error, "a message can't be written as JSON"),
        }
    }

    /// Has the client log a sentence that its user should see.
    pub async fn log(&self, typ: MessageType, message: impl Into<String>) {
        self.notify::<LogMessage>(LogMessageParams { typ, message: message.into() }).await;
    }

    /// Has the client show a sentence to its user. Once for each condition.
    pub async fn show(&self, typ: MessageType, message: impl Into<String>) {
        self.notify::<ShowMessage>(ShowMessageParams { typ, message: message.into() }).await;
    }

    /// Passes on the messages that come from `server`, until it ends.
    pub async fn relay(self, server: impl AsyncRead + Unpin) {
        let mut frames = FrameReader::new(server);
        while let Ok(Some(frame)) = frames.next().await {
            match frame {
                Frame::Body(body) => self.send(body).await,
                Frame::Garbage(why) => tracing::error!(why, "the server wrote something that isn't a message"),
            }
        }
    }

    /// Waits until all that has been put in is written.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.messages.send(Outgoing::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

async fn write_all(
    mut waiting: mpsc::Receiver<Outgoing>,
    mut writer: impl AsyncWrite + Unpin,
    broken: CancellationToken,
) {
    while let Some(outgoing) = waiting.recv().await {
        let written = match outgoing {
            Outgoing::Body(_) if broken.is_cancelled() => Ok(()),
            Outgoing::Body(body) => {
                async {
                    writer.write_all(&frame(&body)).await?;
                    // Many at once are flushed together.
                    if waiting.is_empty() { writer.flush().await } else { Ok(()) }
                }
                .await
            }
            Outgoing::Flush(done) => {
                let flushed = writer.flush().await;
                let _ = done.send(());
                flushed
            }
        };
        if let Err(error) = written
            && !broken.is_cancelled()
        {
            tracing::info!(%error, "the client doesn't read any more");
            broken.cancel();
        }
    }
}
