//! `code_status`: how fresh all is.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use super::engine::Engine;
use super::search::noun;
use crate::lsp::ext::{self, BatchState, FileCount, Health, QueueState};

/// Batches that are told of.
const MOST_BATCHES: usize = 10;

/// Answers a call.
pub(super) async fn run(engine: &Arc<Engine>) -> Result<String, String> {
    let mut text = String::new();
    for (number, root) in engine.roots().iter().enumerate() {
        let states: Vec<QueueState> = engine.request(number, ext::QUEUE, json!({})).await?;
        let root = root.as_path().display();
        match states.first() {
            Some(state) => text.push_str(&told(&root.to_string(), state)),
            None => text.push_str(&format!("{root}: not open\n")),
        }
    }
    Ok(text)
}

fn told(root: &str, state: &QueueState) -> String {
    let QueueState { index, health, message, progress, queue, .. } = state;
    let mut text = format!(
        "{root}\n  index: {} files, {} symbols, generation {}; {}\n",
        index.files,
        index.symbols,
        index.generation,
        match (index.fresh, index.pending) {
            (true, 0) => "as the files are".to_owned(),
            (_, 0) => "being compared with the files".to_owned(),
            (_, pending) => format!("{pending} {} newer (searches read those themselves)", noun(pending, "file")),
        }
    );
    let message = message.as_deref().unwrap_or("no reason is known");
    match health {
        Health::Ok => text.push_str("  health: ok\n"),
        Health::Degraded => _ = writeln!(text, "  health: degraded: {message}"),
        Health::Error => _ = writeln!(text, "  health: error: {message}"),
    }
    if let Some(progress) = progress {
        let stage = serde_json::to_value(progress.stage).unwrap_or_default();
        _ = writeln!(text, "  now: {} {} of {}", stage.as_str().unwrap_or("work"), progress.done, progress.total);
    }
    for batch in queue.iter().take(MOST_BATCHES) {
        let files = match &batch.files {
            FileCount::Number(files) => format!("{files} files"),
            FileCount::All(_) => "all files".to_owned(),
        };
        let state = if batch.state == BatchState::Syncing { "syncing" } else { "waiting" };
        _ = writeln!(text, "  queue: {files} of {} (pid {}), {state}", batch.owner.host, batch.owner.pid);
    }
    if queue.len() > MOST_BATCHES {
        _ = writeln!(text, "  queue: and {} more", queue.len() - MOST_BATCHES);
    }
    text
}
