//! Tells the client of a codebase's state, `syncline/queueState`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use tower_lsp::lsp_types::MessageType;

use super::ext::{QueueState, QueueStateChanged};
use super::outbox::Outbox;
use crate::workspace::{CodebaseState, Health};

/// States sent within [`WINDOW`] at most.
const IN_WINDOW: usize = 10;
/// See [`IN_WINDOW`].
const WINDOW: Duration = Duration::from_secs(1);
/// Changes that are none of phase or position wait so long after the state before: they leave half of the window to
/// those that are.
const QUIET: Duration = Duration::from_millis(200);

/// Sends the state now, and as it changes, until the codebase closes, from when on the client `wants` it. What changes
/// faster than it may be sent is left out, but for the last state, which is always sent. Everybody is told of troubles;
/// those of settings that were `told` aren't again.
pub async fn publish(
    mut states: watch::Receiver<Arc<CodebaseState>>,
    mut wants: watch::Receiver<bool>,
    told: Told,
    outbox: Outbox,
) {
    let mut pace = Pace::default();
    let mut troubles = Troubles { settings: told, ..Troubles::default() };
    loop {
        let state = states.borrow_and_update().clone();
        let is_wanted = *wants.borrow_and_update();
        if is_wanted {
            outbox.notify::<QueueStateChanged>(QueueState::from(&*state)).await;
        }
        troubles.tell(&state, &outbox).await;
        pace.sent(Instant::now());
        // Until there is something new, and it may be sent.
        loop {
            if !is_wanted && *wants.borrow() {
                break;
            }
            let latest = states.borrow_and_update().clone();
            if *latest == *state {
                tokio::select! {
                    changed = states.changed() => if changed.is_err() {
                        return;
                    },
                    Ok(()) = wants.changed() => {}
                }
                continue;
            }
            let is_step = (latest.phase, latest.position) != (state.phase, state.position);
            let due = pace.due(is_step);
            if due <= Instant::now() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep_until(due) => {}
                // A change may be due earlier. Once no more can come, what is there still waits for its time.
                Ok(()) = states.changed() => {}
                Ok(()) = wants.changed() => {}
            }
        }
    }
}

/// When the next state may be sent.
#[derive(Default)]
struct Pace {
    /// When the last [`IN_WINDOW`] were.
    sent: VecDeque<Instant>,
}

impl Pace {
    fn sent(&mut self, at: Instant) {
        self.sent.push_back(at);
        if self.sent.len() > IN_WINDOW {
            self.sent.pop_front();
        }
    }

    fn due(&self, is_step: bool) -> Instant {
        let full = self.sent.len() >= IN_WINDOW;
        let window = self.sent.front().filter(|_| full).map(|first| *first + WINDOW);
        let quiet = self.sent.back().filter(|_| !is_step).map(|last| *last + QUIET);
        // In the past, when nothing holds it up.
        window.max(quiet).unwrap_or_else(Instant::now)
    }
}

/// What the user was told of a root's settings: all that is wrong with them now. It outlives a codebase that is opened
/// anew.
pub type Told = Arc<Mutex<Vec<String>>>;

/// Troubles the user was told of.
#[derive(Default)]
struct Troubles {
    told: VecDeque<String>,
    settings: Told,
}

/// Sentences that are remembered as told.
const TOLD: usize = 16;

impl Troubles {
    /// Tells of a trouble that wasn't told of yet: errors are shown, what is merely slower is logged.
    async fn tell(&mut self, state: &CodebaseState, outbox: &Outbox) {
        let CodebaseState { health, settings_problems, .. } = state;
        let before = {
            let mut told = self.settings.lock();
            std::mem::replace(&mut *told, settings_problems.clone())
        };
        for problem in settings_problems.iter().filter(|problem| !before.contains(problem)) {
            outbox.show(MessageType::WARNING, problem).await;
        }
        let (Health::Degraded(sentence) | Health::Error(sentence)) = health else { return };
        if self.told.contains(sentence) || settings_problems.contains(sentence) {
            return;
        }
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        self.told.push_back(sentence.clone());
        match health {
            Health::Error(_) => outbox.show(MessageType::ERROR, sentence).await,
            _ => outbox.log(MessageType::WARNING, sentence).await,
        }
    }
}
