//! `syncline sync`: compare a codebase with its index now.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::context::{CommonArgs, fail};
use super::index::{self, TOLD_TIME};
use super::show::{advance, new_bar};
use crate::daemon::wire::Purpose;
use crate::daemon::{AskError, Notification, Session};
use crate::lsp::ext::{self, LastSync, Outcome, QueueState};
use crate::workspace::may_open;

/// `sync` takes what `index` does.
pub use super::index::Args;

/// Runs it: in the shared engine, which has the codebase open from then on. Without one, it is what `index` does.
pub fn run(common: &CommonArgs, args: &Args) -> ExitCode {
    let started = Instant::now();
    let (root, settings) = match common.codebase(&args.path) {
        Ok(found) => found,
        Err(error) => return fail(error),
    };
    if let Err(error) = may_open(&root, &settings) {
        return fail(error);
    }
    if common.standalone {
        return index::index(&root, settings, args.json);
    }
    let reached = common.reach("sync", &settings).map_err(|error| error.to_string());
    let reached = reached.and_then(|reach| reach.reach(Purpose::Session).map_err(|error| error.to_string()));
    let stream = match reached {
        Ok(stream) => stream,
        Err(error) => {
            eprintln!("syncline: {error}; going on without it");
            return index::index(&root, settings, args.json);
        }
    };
    let synced = Session::open(stream, &root).and_then(|mut session| sync(&mut session));
    match synced {
        Ok((outcome, state)) => index::report(&outcome, &state, args.json, started),
        Err(error) => fail(error),
    }
}

/// Syncs once, showing progress on a terminal.
fn sync(session: &mut Session) -> Result<(LastSync, QueueState), AskError> {
    let bar = std::io::stderr().is_terminal().then(new_bar);
    let outcome = session.request(ext::SYNC, json!({}), |said| {
        if let (Some(bar), Some(state)) = (&bar, state_of(said)) {
            advance(bar, state.progress.as_ref());
        }
        Ok(())
    });
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let outcome: LastSync = read(outcome?)?;
    let states: Vec<QueueState> = read(session.request(ext::QUEUE, json!({}), |_| Ok(()))?)?;
    let state = states.into_iter().next().ok_or_else(|| AskError::Refused("the codebase was closed".to_owned()))?;
    // States leave some out: a later batch's tells of this one, too.
    let tells = |state: &QueueState| {
        let last = state.last_sync.as_ref();
        last.is_some_and(|last| last.id == outcome.id || last.finished_at >= outcome.finished_at)
    };
    let mut state = state;
    let deadline = Instant::now() + TOLD_TIME;
    // The outcome may be known a moment before the state tells of it. One that never got a turn is in no state.
    while outcome.outcome == Outcome::Synced && !tells(&state) {
        let Some(said) = session.hear_until(deadline)? else { break };
        if let Some(later) = state_of(said) {
            state = later;
        }
    }
    Ok((outcome, state))
}

/// The state that a notification tells, if it does. What is to be seen by people is said.
pub(super) fn state_of(said: Notification) -> Option<QueueState> {
    match said.method.as_str() {
        "syncline/queueState" => serde_json::from_value(said.params).ok(),
        "window/showMessage" => {
            eprintln!("syncline: {}", said.params["message"].as_str().unwrap_or_default());
            None
        }
        _ => None,
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, AskError> {
    serde_json::from_value(value).map_err(|error| AskError::Broken(error.into()))
}
