//! Checks for a fuzzer; see [`crate::fuzz`].

use serde_json::{Value, from_slice, json};

use super::memory::{Memory, Tone, answers, settings_of};
use crate::lsp::fuzz::accepted;

/// What separates the messages; it is no part of any text.
const NEXT: u8 = 0xff;

/// Whatever an editor and an engine say, the forwarder remembers it, and tells another engine what is a message. The
/// first byte of each message tells who says it.
pub fn forwarder(data: &[u8]) {
    let mut memory = Memory::new(false);
    for said in data.split(|byte| *byte == NEXT) {
        let Some((who, body)) = said.split_first() else { continue };
        let body = body.to_vec();
        match who {
            b'e' => {
                let _ = settings_of(&body);
                let Some(body) = accepted(body) else { continue };
                let up = memory.editor_said(body);
                up.pass.iter().chain(&up.answer).for_each(|message| is_message(message));
            }
            b'h' => {
                let Some(body) = accepted(body) else { continue };
                memory.hold(body);
            }
            b'd' => {
                let _ = answers(&body, "x");
                if let Some(answered) = memory.engine_said(body).answered {
                    memory.answered(&answered);
                }
            }
            _ => {
                memory.tell(Tone::Log, &String::from_utf8_lossy(&body));
                memory.link_broke().iter().for_each(|message| is_message(message));
                memory.take_told().iter().for_each(|message| is_message(message));
                memory.introduction().iter().for_each(|(message, _)| is_message(message));
                let (replay, refusals) = memory.replay();
                replay.iter().chain(&refusals).for_each(|message| is_message(message));
                while memory.take_held().is_some() {}
            }
        }
    }
    memory.answer_shutdown().iter().for_each(|message| is_message(message));
    assert!(memory.answer_shutdown().is_empty(), "each is answered once");
}

fn is_message(body: &[u8]) {
    assert!(
        from_slice::<Value>(body).is_ok_and(|message| message["jsonrpc"] == "2.0"),
        "{}",
        String::from_utf8_lossy(body)
    );
}

/// Seeds of [`forwarder`].
pub fn forwarder_seeds() -> Vec<Vec<u8>> {
    let message = |mut rest: Value| {
        rest["jsonrpc"] = json!("2.0");
        rest.to_string()
    };
    let folders = json!([{"uri": "file:///a", "name": "a"}]);
    let change =
        json!({"range": {"start": {"line": 0, "character": 1}, "end": {"line": 1, "character": 3}}, "text": "x"});
    let session = [
        (
            "e",
            json!({"id": 1, "method": "initialize", "params": {"processId": 7, "capabilities": {}, "workspaceFolders": folders, "initializationOptions": {}}}),
        ),
        ("d", json!({"id": 1, "result": {"capabilities": {"positionEncoding": "utf-8"}}})),
        ("e", json!({"method": "initialized", "params": {}})),
        ("d", json!({"id": 1, "method": "window/workDoneProgress/create", "params": {"token": 1}})),
        ("e", json!({"id": "syncline-forwarder-0", "result": null})),
        ("d", json!({"method": "$/progress", "params": {"token": 1, "value": {"kind": "begin"}}})),
        (
            "e",
            json!({"method": "workspace/didChangeWorkspaceFolders", "params": {"event": {"added": folders, "removed": folders}}}),
        ),
        ("e", json!({"method": "workspace/didChangeConfiguration", "params": {"settings": {}}})),
        (
            "e",
            json!({"method": "textDocument/didOpen", "params": {"textDocument": {"uri": "file:///a", "languageId": "c", "version": 1, "text": "ab\ncd"}}}),
        ),
        (
            "e",
            json!({"method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///a", "version": 2}, "contentChanges": [change]}}),
        ),
        ("e", json!({"id": 2, "method": "syncline/search", "params": {"query": "a", "partialResultToken": 1}})),
        ("e", json!({"method": "$/cancelRequest", "params": {"id": 2}})),
        ("h", json!({"id": 3, "method": "syncline/queue", "params": {}})),
        ("x", json!("broken")),
        ("d", json!({"method": "syncline/goodbye"})),
        ("e", json!({"method": "textDocument/didClose", "params": {"textDocument": {"uri": "file:///a"}}})),
        ("e", json!({"id": 4, "method": "shutdown"})),
    ];
    let said: Vec<_> = session
        .iter()
        .map(|(who, what)| {
            let text = if what.is_object() { message(what.clone()) } else { what.to_string() };
            [who.as_bytes(), text.as_bytes()].concat()
        })
        .collect();
    vec![said.join(&NEXT), said[..4].join(&NEXT), said[6..].join(&NEXT)]
}
