//! What is said on the shared engine's socket beside LSP.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_slice, json, to_value};

use crate::core::settings::Sources;
use crate::daemon::wire::{
    Candidates, CandidatesParams, DaemonState, Hello, Question, Reply, Symbols, Welcome, is_older,
};
use crate::index::Query;
use crate::lsp::ext::{LastSync, QueueState, SearchResult};

/// Any bytes are one of the messages, which is written as it was read, or are refused.
pub fn wire(data: &[u8]) {
    if let Some(hello) = same::<Hello>(data) {
        assert!(!(is_older(&hello.version, &hello.client) && is_older(&hello.client, &hello.version)));
        let _ = Sources::from(hello.settings);
    }
    match same::<Question>(data) {
        // One that isn't a pattern is refused by a sentence.
        Some(Question::Candidates(CandidatesParams { pattern: Some(pattern), .. })) => _ = Query::new(&pattern),
        Some(Question::Symbols(params)) => _ = params.query(),
        _ => {}
    }
    same::<Welcome>(data);
    same::<Reply<Candidates>>(data);
    same::<Reply<Symbols>>(data);
    same::<Reply<DaemonState>>(data);
    same::<QueueState>(data);
    same::<LastSync>(data);
    same::<SearchResult>(data);
}

/// The message, which is the same on the other side.
fn same<T: Serialize + DeserializeOwned>(data: &[u8]) -> Option<T> {
    let message: T = from_slice(data).ok()?;
    let written = to_value(&message).unwrap_or_else(|error| panic!("it was read and can't be written: {error}"));
    let again: T =
        serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{written} isn't read: {error}"));
    assert_eq!(to_value(&again).ok(), Some(written));
    Some(message)
}

/// Seeds of [`wire`].
pub fn wire_seeds() -> Vec<Vec<u8>> {
    let state = json!({
        "codebase": {"id": "a-1", "name": "n", "root": "file:///r"}, "backend": "redis", "health": "degraded", "message": "m",
        "phase": "waiting", "position": 1, "progress": {"done": 1, "total": 2, "stage": "text"},
        "queue": [{"id": "0198c0de-0000-7000-8000-000000000000", "createdAt": 1, "owner": {"host": "h", "pid": 1, "self": true}, "files": "all", "state": "syncing"}],
        "lastSync": {"id": "0198c0de-0000-7000-8000-000000000000", "outcome": "failed", "files": 1, "durationMs": 2, "finishedAt": 3, "error": "e"},
        "index": {"generation": 1, "files": 2, "symbols": 3, "bytes": 4, "pending": 5, "fresh": true},
    });
    let symbol = json!({"name": "n", "kind": "enumMember", "line": 1, "column": {"utf8": 1, "utf16": 1, "utf32": 1}, "container": "c"});
    let messages: Vec<Value> = vec![
        json!({"protocol": 1, "version": "0.1.0 (abc 2026-01-01)", "client": "search", "pid": 7, "purpose": "questions",
            "settings": {"userFile": {"Unix": [47, 120]}, "variables": {"SYNCLINE_X": {"Unix": [49]}}, "logLevel": "info"}}),
        json!({"protocol": 1, "version": "0.1.0", "pid": 7, "answer": {"refused": "why"}}),
        json!({"method": "syncline/candidates", "params": {"folder": "/r", "pattern": {"patterns": ["a+"], "fixedStrings": false, "case": "smart", "boundary": "word"}}}),
        json!({"method": "syncline/symbols", "params": {"root": "/r", "name": "a::b", "fit": "prefix", "kinds": ["struct"], "limit": 3, "near": [97, 255]}}),
        json!({"method": "syncline/daemon", "params": {}}),
        json!({"result": {"files": {"root": "/r", "rulesOutside": 5, "files": ["a", [98]]}}}),
        json!({"result": {"unknown": "why"}}),
        json!({"result": {"found": {"symbols": [{"path": "a", "symbol": symbol}], "limitHit": true}}}),
        json!({"result": {"notYet": {"done": 1, "total": 2, "stage": "symbols"}}}),
        json!({"result": {"pid": 1, "host": "h", "version": "v", "startedAt": 1, "memory": 2, "log": "/l", "socket": "/s",
            "clients": [{"client": "lsp", "pid": 1, "version": "v", "since": 1}], "codebases": [{"clients": 1, "state": state}]}}),
        json!({"error": "why"}),
        json!({"matches": [{"uri": "file:///a", "range": {"start": {"line": 1, "character": 2}, "end": {"line": 1, "character": 3}}, "text": "t"}],
            "limitHit": false, "fresh": true, "generation": 9}),
        state,
    ];
    messages.iter().map(|message| message.to_string().into_bytes()).collect()
}
