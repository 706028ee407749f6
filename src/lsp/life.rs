//! How long a session lives, and how it ends.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::core::process;

/// How often the client's process is looked for.
const PARENT_CHECK: Duration = Duration::from_secs(2);

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client asked for it by `shutdown`.
    Orderly,
    /// The client left without a word, or a fault ended it.
    Abruptly,
}

impl From<Ended> for ExitCode {
    /// As the protocol wants it: 0 after `shutdown`, 1 without.
    fn from(ended: Ended) -> ExitCode {
        match ended {
            Ended::Orderly => ExitCode::SUCCESS,
            Ended::Abruptly => ExitCode::FAILURE,
        }
    }
}

/// The life of a session, as all its parts see it. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Life {
    shut_down: Arc<AtomicBool>,
    stopping: CancellationToken,
    over: CancellationToken,
    deaf: CancellationToken,
}

impl Life {
    /// A session that begins.
    pub fn new() -> Life {
        let over = CancellationToken::new();
        Life { shut_down: Arc::default(), stopping: over.child_token(), over, deaf: CancellationToken::new() }
    }

    /// The client wants the session to end: work stops, replies still go out.
    pub fn shut_down(&self) {
        self.shut_down.store(true, Ordering::Release);
        self.stopping.cancel();
    }

    /// Work is to stop.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Tripped when work is to stop.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Tripped when there is nobody left to talk to.
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Tripped when nothing is heard from the client any more.
    pub fn deaf(&self) -> &CancellationToken {
        &self.deaf
    }

    /// How it ends, if it ends now.
    pub fn ended(&self) -> Ended {
        if self.shut_down.load(Ordering::Acquire) { Ended::Orderly } else { Ended::Abruptly }
    }

    /// Ends the session when the process `pid` is gone. A pid that isn't visible now belongs to another container: it
    /// is not looked for.
    pub async fn end_with_parent(self, pid: u32) {
        if !is_alive(pid) {
            tracing::debug!(pid, "the client's process isn't visible from here; its end can't be noticed");
            return;
        }
        while is_alive(pid) {
            tokio::select! {
                () = tokio::time::sleep(PARENT_CHECK) => {}
                () = self.over.cancelled() => return,
            }
        }
        tracing::info!(pid, "the client's process is gone");
        self.over.cancel();
    }
}

/// Where that isn't to be found out, the end of standard input tells instead.
fn is_alive(pid: u32) -> bool {
    process::is_running(pid).unwrap_or(false)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_session_ends_with_its_parent() {
        let mut parent = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let life = Life::new();
        let watching = tokio::spawn(life.clone().end_with_parent(parent.id()));
        tokio::task::yield_now().await;
        assert!(!life.over().is_cancelled());
        // Not waited for before it was noticed: it is a zombie on Linux.
        parent.kill().unwrap();
        #[cfg(not(target_os = "linux"))]
        parent.wait().unwrap();
        tokio::time::timeout(Duration::from_secs(60), watching).await.unwrap().unwrap();
        assert!(life.over().is_cancelled());
        let _ = parent.wait();
    }

    #[tokio::test]
    async fn a_parent_that_was_never_visible_is_not_missed() {
        let life = Life::new();
        life.clone().end_with_parent(i32::MAX as u32).await;
        assert!(!life.over().is_cancelled());
    }
}
