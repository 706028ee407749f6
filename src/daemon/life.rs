//! Who is there, and when the daemon ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use super::wire::{ClientState, Hello, is_older};
use crate::core::UnixMillis;

/// More clients are sent away.
const MOST_CLIENTS: usize = 512;

/// Who is there, and when the daemon ends. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Life {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// The daemon is to end.
    leaving: CancellationToken,
}

struct State {
    next: u64,
    clients: BTreeMap<u64, ClientState>,
    /// Since when nobody is there.
    alone_since: Instant,
}

/// A client that is there until this is dropped.
pub struct Present {
    life: Life,
    number: u64,
}

/// Why a client isn't let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Away {
    /// The daemon leaves.
    Leaving,
    /// There are too many.
    Full,
}

impl Life {
    /// A daemon that starts, and that will leave when `stop` says so.
    pub fn new(stop: &CancellationToken) -> Life {
        let state = Mutex::new(State { next: 0, clients: BTreeMap::new(), alone_since: Instant::now() });
        Life { shared: Arc::new(Shared { state, leaving: stop.child_token() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    /// Lets a client in. A daemon that is older than it and has no other leaves instead.
    ///
    /// # Errors
    /// Why not.
    pub fn enter(&self, hello: &Hello, own_version: &str) -> Result<Present, Away> {
        // Under the lock, so that nobody comes in between the look and the decision.
        let mut state = self.state();
        if state.clients.is_empty() && is_older(own_version, &hello.version) {
            self.shared.leaving.cancel();
        }
        if self.shared.leaving.is_cancelled() {
            return Err(Away::Leaving);
        }
        if state.clients.len() >= MOST_CLIENTS {
            return Err(Away::Full);
        }
        let number = state.next;
        state.next += 1;
        let Hello { client, pid, version, .. } = hello.clone();
        state.clients.insert(number, ClientState { client, pid, version, since: UnixMillis::now() });
        Ok(Present { life: self.clone(), number })
    }

    /// Who is there, `but` one.
    pub fn clients(&self, but: &Present) -> Vec<ClientState> {
        let state = self.state();
        state.clients.iter().filter(|(number, _)| **number != but.number).map(|(_, client)| client.clone()).collect()
    }

    /// Leaves if nobody has been there for so long.
    pub fn leave_if_alone(&self, idle: Duration) {
        let state = self.state();
        if state.clients.is_empty() && state.alone_since.elapsed() >= idle {
            self.shared.leaving.cancel();
        }
    }

    /// Leaves, because somebody wants it.
    pub fn leave(&self) {
        self.shared.leaving.cancel();
    }

    /// Tripped when the daemon is to end.
    pub fn leaving(&self) -> &CancellationToken {
        &self.shared.leaving
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut state = self.life.state();
        state.clients.remove(&self.number);
        if state.clients.is_empty() {
            state.alone_since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::daemon::wire::{PROTOCOL, Purpose};

    fn hello(version: &str) -> Hello {
        Hello {
            protocol: PROTOCOL,
            version: version.to_owned(),
            client: "test".to_owned(),
            pid: 1,
            purpose: Purpose::Session,
            settings: Default::default(),
        }
    }

    #[test]
    fn only_an_older_daemon_without_clients_makes_room() {
        let life = Life::new(&CancellationToken::new());
        let first = life.enter(&hello("0.1.0"), "0.2.0").unwrap();
        let second = life.enter(&hello("0.3.0"), "0.2.0").unwrap();
        drop(first);
        drop(second);
        assert_eq!(life.enter(&hello("0.3.0"), "0.2.0").err(), Some(Away::Leaving));
        assert!(life.leaving().is_cancelled());
        assert_eq!(life.enter(&hello("0.2.0"), "0.2.0").err(), Some(Away::Leaving));
    }

    #[test]
    fn it_leaves_when_alone_and_not_before() {
        let life = Life::new(&CancellationToken::new());
        let client = life.enter(&hello("0.1.0"), "0.1.0").unwrap();
        life.leave_if_alone(Duration::ZERO);
        assert!(!life.leaving().is_cancelled());
        drop(client);
        life.leave_if_alone(Duration::from_secs(3600));
        assert!(!life.leaving().is_cancelled());
        life.leave_if_alone(Duration::ZERO);
        assert!(life.leaving().is_cancelled());
    }
}
