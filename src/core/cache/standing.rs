//! Which line counts now: a small state machine. No clock, no network.
//!
//! ```text
//!   Connecting ──► Shared ◄──────────────┐
//!       │            │ cut               │ join: no batch syncs in the local line any more
//!       ▼            ▼                   │
//!     Local ──── back: Redis answers ──► Returning
//!       ▲                                │ cut
//!       └────────────────────────────────┘
//! ```
//!
//! Each change of line begins a new epoch. What was given in an earlier epoch, a turn above all, is worth nothing.

use super::BackendKind;

/// Where the line is that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// It isn't known yet.
    Connecting,
    /// In Redis.
    Shared,
    /// In this process.
    Local,
    /// In this process, where no batch gets a turn any more: Redis is back, and the one that syncs ends first.
    Returning,
}

/// Where the line is that counts, and what isn't as the settings want it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    at: At,
    epoch: u64,
    problem: Option<String>,
}

impl Standing {
    /// In this process, for good; with a problem when the settings want something else.
    pub(super) fn local(problem: Option<String>) -> Standing {
        Standing { at: At::Local, epoch: 0, problem }
    }

    /// To be found out.
    pub(super) fn connecting() -> Standing {
        Standing { at: At::Connecting, epoch: 0, problem: None }
    }

    /// Where lines live now.
    pub fn backend(&self) -> BackendKind {
        match self.at {
            At::Shared | At::Connecting => BackendKind::Redis,
            At::Local | At::Returning => BackendKind::Local,
        }
    }

    /// What isn't as the settings want it, and how to mend it.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    pub(super) fn at(&self) -> At {
        self.at
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Redis can't be used. Gives whether anything is different now.
    pub(super) fn cut(&mut self, problem: &str) -> bool {
        if matches!(self.at, At::Connecting | At::Shared) {
            self.epoch += 1;
        }
        let before = std::mem::replace(&mut self.at, At::Local);
        let told = self.problem.as_deref() == Some(problem);
        if !told {
            self.problem = Some(problem.to_owned());
        }
        before != At::Local || !told
    }

    /// Redis can be used again. Gives whether its line may be joined now, as far as this knows.
    pub(super) fn back(&mut self) -> bool {
        if self.at == At::Local {
            self.at = At::Returning;
        }
        self.at != At::Shared
    }

    /// Redis' line counts from now on. Nothing may be syncing in the local one. Gives whether it didn't before.
    pub(super) fn join(&mut self) -> bool {
        if !matches!(self.at, At::Connecting | At::Returning) {
            return false;
        }
        *self = Standing { at: At::Shared, epoch: self.epoch + 1, problem: None };
        true
    }
}
