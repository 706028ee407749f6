//! Connections that haven't said yet who they are, within a bound.
//!
//! Whoever connects says so at once. So when there are too many, the one that has been silent for longest is sent away
//! rather than the one that has just come: silence keeps nobody out who speaks.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// More connections don't wait to be let in. With the longest first line, that bounds what they hold: 32 MiB.
const MOST_WAITING: usize = 128;

/// Connections that wait to be let in. Cheap to clone; clones are the same.
#[derive(Clone, Default)]
pub struct Lobby {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    /// In the order in which they came.
    sent_away: BTreeMap<u64, CancellationToken>,
}

/// A connection that waits until this is dropped.
pub struct Guest {
    lobby: Lobby,
    number: u64,
    sent_away: CancellationToken,
}

impl Lobby {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }

    /// Takes a connection in, and sends away the one that has waited for longest when there are too many.
    pub fn enter(&self) -> Guest {
        let mut waiting = self.waiting();
        if waiting.sent_away.len() >= MOST_WAITING
            && let Some((_, oldest)) = waiting.sent_away.pop_first()
        {
            oldest.cancel();
        }
        let (number, sent_away) = (waiting.next, CancellationToken::new());
        waiting.next += 1;
        waiting.sent_away.insert(number, sent_away.clone());
        Guest { lobby: self.clone(), number, sent_away }
    }
}

impl Guest {
    /// Waits until it is sent away to make room.
    pub async fn sent_away(&self) {
        self.sent_away.cancelled().await;
    }

    /// What it is told then.
    pub fn why() -> String {
        format!("{MOST_WAITING} connections came after this one before it said who it is; connect again")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.lobby.waiting().sent_away.remove(&self.number);
    }
}
