//! What is remembered of editors that say odd things.
#![allow(clippy::unwrap_used)]

use super::*;

fn bytes(message: &Value) -> Vec<u8> {
    message.to_string().into_bytes()
}

/// An editor that has introduced itself so, and was welcomed.
fn introduced(params: Value) -> Memory {
    let mut memory = Memory::new(true);
    let up = memory.editor_said(bytes(&json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})));
    assert!(up.pass.is_some());
    engine_says(&mut memory, &json!({"jsonrpc": "2.0", "id": 1, "result": {"capabilities": {}}}));
    memory
}

/// What the editor hears of it.
fn engine_says(memory: &mut Memory, message: &Value) -> Option<Value> {
    let down = memory.engine_said(bytes(message));
    if let Some(answered) = &down.answered {
        memory.answered(answered);
    }
    down.pass.map(|body| serde_json::from_slice(&body).unwrap())
}

/// The params that another engine hears first.
fn told_anew(memory: &Memory) -> Value {
    let (message, _) = memory.introduction().unwrap();
    serde_json::from_slice::<Value>(&message).unwrap()["params"].take()
}

/// The folders that another engine hears of after such a change.
fn folders_after(params: Value, added: Value, removed: Value) -> Vec<String> {
    let mut memory = introduced(params);
    let event = json!({"event": {"added": added, "removed": removed}});
    memory.editor_said(bytes(
        &json!({"jsonrpc": "2.0", "method": "workspace/didChangeWorkspaceFolders", "params": event}),
    ));
    let told = told_anew(&memory);
    assert_eq!((&told["rootUri"], &told["rootPath"]), (&Value::Null, &Value::Null));
    let folders = told["workspaceFolders"].as_array().unwrap();
    folders.iter().map(|folder| folder["uri"].as_str().unwrap().to_owned()).collect()
}

fn folder(uri: &str) -> Value {
    json!({"uri": uri, "name": "x"})
}

#[test]
fn what_is_asked_again_is_asked_in_the_same_order() {
    let mut memory = Memory::new(true);
    let asked: Vec<_> =
        (0..50).map(|id| bytes(&json!({ "jsonrpc": "2.0", "id": id, "method": "syncline/queue" }))).collect();
    for message in &asked {
        memory.editor_said(message.clone());
    }
    memory.link_broke();
    assert_eq!(memory.replay(), (asked, Vec::new()));
}

/// It was compared as text, so that a folder came back with the next engine, or was there twice.
#[cfg(unix)]
#[test]
fn folders_are_a_set_of_paths() {
    let given = || json!({"workspaceFolders": [folder("file:///a%20b/c/"), folder("file:///d")]});
    assert_eq!(folders_after(given(), json!([]), json!([folder("file:///%61%20b/c")])), ["file:///d"]);
    assert_eq!(folders_after(given(), json!([folder("file:///d/")]), json!([])), ["file:///a%20b/c/", "file:///d"]);
    let twice = json!({"workspaceFolders": [folder("file:///d"), folder("file:///d/")]});
    assert_eq!(folders_after(twice, json!([]), json!([folder("file:///d")])), Vec::<String>::new());
    // What is no path is what it is called.
    let other = json!({"workspaceFolders": [folder("x:1"), folder("x:2")]});
    assert_eq!(folders_after(other, json!([folder("x:1")]), json!([folder("x:2")])), ["x:1"]);
}

/// A root in the oldest form was gone once a folder came.
#[cfg(unix)]
#[test]
fn a_root_in_any_form_is_a_folder_of_a_set() {
    let (added, none) = (json!([folder("file:///b")]), json!([]));
    for root in [
        json!({"rootPath": "/a"}),
        json!({"rootUri": null, "rootPath": "/a", "workspaceFolders": null}),
        json!({"rootUri": "file:///a", "rootPath": "/other"}),
    ] {
        assert_eq!(folders_after(root, added.clone(), none.clone()), ["file:///a", "file:///b"]);
    }
    let removed = json!([folder("file:///a/")]);
    assert_eq!(folders_after(json!({"rootPath": "/a"}), added, removed), ["file:///b"]);
}

/// The refused one was told to the next engine, which refused it, too; and everything after it.
#[test]
fn a_second_introduction_changes_nothing() {
    let mut memory = introduced(json!({"rootUri": "file:///a"}));
    let second = json!({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": {"rootUri": "file:///b"}});
    assert!(memory.editor_said(bytes(&second)).pass.is_some(), "the engine refuses it");
    let refusal = json!({"jsonrpc": "2.0", "id": 2, "error": {"code": -32600, "message": "no"}});
    assert_eq!(engine_says(&mut memory, &refusal), Some(refusal));
    assert_eq!(told_anew(&memory)["rootUri"], "file:///a");
    assert_eq!(memory.replay(), (Vec::new(), Vec::new()));
}

#[test]
fn a_refused_introduction_makes_room_for_another() {
    let mut memory = Memory::new(true);
    for (id, root) in [(1, "file:///a"), (2, "file:///b")] {
        let params = json!({"rootUri": root});
        memory.editor_said(bytes(&json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params})));
        let mut answer = json!({"jsonrpc": "2.0", "id": id});
        match id {
            1 => answer["error"] = json!({"code": -32602, "message": "no"}),
            _ => answer["result"] = json!({"capabilities": {}}),
        }
        engine_says(&mut memory, &answer);
        assert_eq!(memory.introduction().is_some(), id == 2);
    }
    assert_eq!(told_anew(&memory)["rootUri"], "file:///b");
}

/// The second answer was dropped: an engine of the editor's own gives both.
#[test]
fn two_requests_with_one_id_get_two_answers() {
    let mut memory = introduced(json!({}));
    let asked = json!({"jsonrpc": "2.0", "id": 7, "method": "syncline/queue", "params": {}});
    for _ in 0..2 {
        memory.editor_said(bytes(&asked));
    }
    for result in [1, 2] {
        let answer = json!({"jsonrpc": "2.0", "id": 7, "result": result});
        assert_eq!(engine_says(&mut memory, &answer), Some(answer));
    }
    assert!(!memory.is_waiting());
    assert_eq!(engine_says(&mut memory, &json!({"jsonrpc": "2.0", "id": 7, "result": 3})), None);
}

/// Each that an editor never answered was kept for as long as the window was open.
#[test]
fn what_an_editor_never_answers_is_forgotten() {
    let mut memory = introduced(json!({}));
    let mut last = Value::Null;
    for id in 0..10_000 {
        let asked = json!({"jsonrpc": "2.0", "id": id, "method": "window/workDoneProgress/create", "params": {}});
        last = engine_says(&mut memory, &asked).unwrap()["id"].take();
        assert!(memory.engine_requests.len() <= MOST_ENGINE_REQUESTS);
    }
    let up = memory.editor_said(bytes(&json!({"jsonrpc": "2.0", "id": last, "result": null})));
    assert_eq!(serde_json::from_slice::<Value>(&up.pass.unwrap()).unwrap()["id"], 9999);
}
