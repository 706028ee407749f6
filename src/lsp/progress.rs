//! Work-done progress: the bar an editor shows while a long sync runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tower_lsp::Client;
use tower_lsp::lsp_types::notification::Progress as ProgressNotification;
use tower_lsp::lsp_types::request::WorkDoneProgressCreate;
use tower_lsp::lsp_types::{
    NumberOrString, ProgressParams, ProgressParamsValue, WorkDoneProgress, WorkDoneProgressBegin,
    WorkDoneProgressCreateParams, WorkDoneProgressEnd, WorkDoneProgressReport,
};

use super::ask::ask;
use super::life::Life;
use super::outbox::Outbox;
use crate::workspace::{CodebaseState, Phase, Progress, Stage};

/// Shorter syncs show nothing.
const WORTH_SHOWING: Duration = Duration::from_millis(300);
/// Reports come at most this often.
const BETWEEN_REPORTS: Duration = Duration::from_millis(200);
/// How long the client may take to make a bar; without one, nothing is shown.
const CREATE_TIME: Duration = Duration::from_secs(5);

/// Shows the syncs of a codebase until it closes.
pub async fn show(mut states: watch::Receiver<Arc<CodebaseState>>, outbox: Outbox, client: Client, life: Life) {
    while states.wait_for(|state| state.phase == Phase::Syncing).await.is_ok() {
        let shown = show_one(&mut states, &outbox, &client, &life);
        if shown.await.is_err() || states.wait_for(is_over).await.is_err() {
            return;
        }
    }
}

/// Whether no sync runs, nor waits between two slices.
fn is_over(state: &Arc<CodebaseState>) -> bool {
    let between = state.phase == Phase::Waiting && state.progress.is_some_and(|p| p.stage == Stage::Text);
    state.phase != Phase::Syncing && !between
}

/// Shows the sync that runs. Fails when the codebase closes.
async fn show_one(
    states: &mut watch::Receiver<Arc<CodebaseState>>,
    outbox: &Outbox,
    client: &Client,
    life: &Life,
) -> Result<(), watch::error::RecvError> {
    let over = states.wait_for(is_over);
    if let Ok(over) = timeout(WORTH_SHOWING, over).await {
        return over.map(drop);
    }
    let token = NumberOrString::String(format!("syncline-{}", uuid::Uuid::new_v4()));
    let create = WorkDoneProgressCreateParams { token: token.clone() };
    if !matches!(ask::<WorkDoneProgressCreate>(client, life, create, CREATE_TIME).await, Some(Ok(()))) {
        return Ok(());
    }
    let state = states.borrow_and_update().clone();
    let mut bar = Bar::begin(token, outbox.clone(), &state).await;
    loop {
        let next = Instant::now() + BETWEEN_REPORTS;
        states.changed().await?;
        let state = states.borrow_and_update().clone();
        if is_over(&state) {
            return Ok(());
        }
        bar.report(state.progress).await;
        // What changes meanwhile is seen after it.
        tokio::select! {
            () = sleep_until(next) => {}
            over = states.wait_for(is_over) => return over.map(drop),
        }
    }
}

/// A bar in the editor. It goes when this is dropped.
struct Bar {
    token: NumberOrString,
    outbox: Outbox,
    last: Option<Progress>,
}

impl Bar {
    async fn begin(token: NumberOrString, outbox: Outbox, state: &CodebaseState) -> Bar {
        let begin = WorkDoneProgress::Begin(WorkDoneProgressBegin {
            title: format!("Indexing {}", state.codebase.root.name()),
            cancellable: Some(false),
            message: state.progress.map(sentence),
            percentage: state.progress.map(percentage),
        });
        // It exists before the first await, so that no bar is begun and not ended.
        let bar = Bar { token, outbox, last: state.progress };
        bar.send(begin).await;
        bar
    }

    async fn report(&mut self, progress: Option<Progress>) {
        let Some(progress) = progress.filter(|progress| self.last != Some(*progress)) else { return };
        self.last = Some(progress);
        self.send(WorkDoneProgress::Report(WorkDoneProgressReport {
            cancellable: Some(false),
            message: Some(sentence(progress)),
            percentage: Some(percentage(progress)),
        }))
        .await;
    }

    fn send(&self, progress: WorkDoneProgress) -> impl Future<Output = ()> + use<> {
        let (outbox, token) = (self.outbox.clone(), self.token.clone());
        let params = ProgressParams { token, value: ProgressParamsValue::WorkDone(progress) };
        async move { outbox.notify::<ProgressNotification>(params).await }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        let end = self.send(WorkDoneProgress::End(WorkDoneProgressEnd { message: None }));
        // Without a runtime the process ends, and the client with it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(end);
        }
    }
}

fn sentence(progress: Progress) -> String {
    let Progress { done, total, stage } = progress;
    match stage {
        Stage::Scan if total == 0 => format!("comparing, {done} files"),
        Stage::Scan => format!("comparing, {done} of {total} files"),
        Stage::Text => format!("{done} of {total} files"),
        Stage::Symbols => format!("symbols, {done} of {total} files"),
    }
}

/// 0 while the total isn't known: clients take a bar that began without a percentage for one that never has any.
fn percentage(progress: Progress) -> u32 {
    let percent = (progress.done.min(progress.total) * 100).checked_div(progress.total).unwrap_or(0);
    u32::try_from(percent).unwrap_or(100)
}
