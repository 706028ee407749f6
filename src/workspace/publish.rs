//! Showing how a codebase is, so that those who watch see each phase.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::state::{CodebaseState, Phase};

/// A phase is shown for at least this long: those who watch the state see only the latest.
const SHOWN: Duration = Duration::from_millis(20);
/// States with a phase of their own that wait to be shown; older ones are dropped, so that none is shown long after.
const MOST_SHOWN: usize = 3;

/// What is told, one phase after the other.
#[derive(Default)]
pub(super) struct Publisher {
    publish: Option<watch::Sender<Arc<CodebaseState>>>,
    /// States to be shown. Those after the first have each a phase of their own.
    next: VecDeque<CodebaseState>,
    shown_phase: Option<(Phase, Instant)>,
}

impl Publisher {
    /// States are shown to those who watch them here.
    pub(super) fn publish_to(&mut self, publish: watch::Sender<Arc<CodebaseState>>) {
        self.publish = Some(publish);
    }

    /// A state to be shown in its turn.
    pub(super) fn add(&mut self, state: CodebaseState) {
        match self.next.back_mut() {
            Some(last) if last.phase == state.phase => *last = state,
            _ => self.next.push_back(state),
        }
        if self.next.len() > MOST_SHOWN {
            self.next.pop_front();
        }
    }

    /// When the next state may be shown.
    pub(super) fn due(&self) -> Option<Instant> {
        let next = self.next.front()?;
        match self.shown_phase {
            Some((phase, since)) if phase != next.phase => Some(since + SHOWN),
            _ => Some(Instant::now()),
        }
    }

    /// Shows what is due.
    pub(super) fn publish(&mut self) {
        while self.due().is_some_and(|due| due <= Instant::now()) {
            let (Some(state), Some(publish)) = (self.next.pop_front(), &self.publish) else { return };
            if self.shown_phase.is_none_or(|(phase, _)| phase != state.phase) {
                self.shown_phase = Some((state.phase, Instant::now()));
            }
            publish.send_if_modified(|shown| {
                let changed = **shown != state;
                if changed {
                    *shown = Arc::new(state);
                }
                changed
            });
        }
    }
}
