//! Of each message, what is read here: whatever else a client says in it, odd or newer than tower-lsp's types, is left
//! out, so that nothing which doesn't matter refuses a request or loses a notification.

use serde_json::{Map, Value, json};
use tower_lsp::lsp_types::Url;

/// What a value must be to be kept.
enum Shape {
    /// Anything but null.
    Any,
    /// A string.
    Text,
    /// True or false.
    Flag,
    /// A whole number within these.
    Number(u64, u64),
    /// A URI.
    Uri,
    /// Items; those that are others are left out.
    List(&'static Shape),
    /// Fields. Those that aren't named here are left out, and so are those whose values are others.
    Fields(&'static [(&'static str, Field)]),
}

/// A field of an object.
enum Field {
    /// It may be missing.
    May(Shape),
    /// Without it, the object is none.
    Must(Shape),
    /// It is there, empty, when it is missing.
    Filled(Shape, Empty),
    /// Nobody reads it, but it has to be there.
    Unread(fn() -> Value),
}

/// What stands for a field that is missing.
#[derive(Clone, Copy)]
enum Empty {
    Object,
    List,
    Text,
    Null,
}

use Field::{Filled, May, Must, Unread};
use Shape::{Any, Fields, Flag, List, Number, Text, Uri};

const FOLDER: Shape = Fields(&[("uri", Must(Uri)), ("name", Unread(no_text))]);
const DOCUMENT: Shape = Fields(&[("textDocument", Must(Fields(&[("uri", Must(Uri))])))]);

const INITIALIZE: Shape = Fields(&[
    ("processId", May(Number(1, u32::MAX as u64))),
    ("clientInfo", May(Fields(&[("name", Must(Text))]))),
    ("rootPath", May(Text)),
    ("rootUri", May(Uri)),
    ("workspaceFolders", May(List(&FOLDER))),
    ("initializationOptions", May(Any)),
    ("capabilities", Filled(CAPABILITIES, Empty::Object)),
]);

const CAPABILITIES: Shape = Fields(&[
    ("general", May(Fields(&[("positionEncodings", May(List(&Text)))]))),
    ("window", May(Fields(&[("workDoneProgress", May(Flag))]))),
    ("workspace", May(Fields(&[("configuration", May(Flag)), ("symbol", May(SYMBOL))]))),
    ("experimental", May(Fields(&[("syncline", May(Any))]))),
]);

/// The kinds of symbols are numbered from 1 to 26.
const SYMBOL: Shape = Fields(&[("symbolKind", May(Fields(&[("valueSet", May(List(&Number(1, 26))))])))]);

const FOLDERS: Shape = Fields(&[(
    "event",
    Must(Fields(&[("added", Filled(List(&FOLDER), Empty::List)), ("removed", Filled(List(&FOLDER), Empty::List))])),
)]);

const WATCHED: Shape =
    Fields(&[("changes", Filled(List(&Fields(&[("uri", Must(Uri)), ("type", Unread(changed))])), Empty::List))]);

/// What is read of a method's params; `None` for those that are taken as they are.
fn shape(method: &str) -> Option<Shape> {
    Some(match method {
        "initialize" => INITIALIZE,
        "initialized" => Fields(&[]),
        "textDocument/didSave" | "textDocument/didClose" => DOCUMENT,
        "workspace/didChangeWorkspaceFolders" => FOLDERS,
        "workspace/didChangeWatchedFiles" => WATCHED,
        "workspace/didChangeConfiguration" => Fields(&[("settings", Filled(Any, Empty::Null))]),
        "workspace/symbol" => Fields(&[("query", Filled(Text, Empty::Text))]),
        // An argument that isn't one is refused: it may say which codebase is meant.
        "workspace/executeCommand" => Fields(&[("command", Must(Text)), ("arguments", May(Any))]),
        _ => return None,
    })
}

/// Leaves of a message what is read of it; gives whether that is less. What lacks something that is needed stays as it
/// is, to be refused.
pub(super) fn reduce(method: &str, message: &mut Map<String, Value>) -> bool {
    let Some(params) = message.get_mut("params") else { return false };
    if method.starts_with("syncline/") {
        // Some clients have no other way to leave something out.
        return params.as_object_mut().is_some_and(|fields| {
            let before = fields.len();
            fields.retain(|_, value| !value.is_null());
            fields.len() < before
        });
    }
    let Some(shape) = shape(method) else { return false };
    if !params.is_object() && matches!(method, "initialize" | "initialized") {
        *params = json!({});
    }
    match keep(params, &shape) {
        Some(kept) if kept == *params => false,
        Some(kept) => {
            *params = kept;
            true
        }
        None => false,
    }
}

/// What is kept of `value`.
fn keep(value: &Value, shape: &Shape) -> Option<Value> {
    match shape {
        Any => (!value.is_null()).then(|| value.clone()),
        Text => value.is_string().then(|| value.clone()),
        Flag => value.is_boolean().then(|| value.clone()),
        Number(least, most) => {
            whole(value).filter(|number| (least..=most).contains(&number)).map(|number| json!(number))
        }
        Uri => value.as_str().is_some_and(is_uri).then(|| value.clone()),
        List(item) => Some(value.as_array()?.iter().filter_map(|value| keep(value, item)).collect()),
        Fields(fields) => {
            let value = value.as_object()?;
            let mut kept = Map::new();
            for (name, field) in *fields {
                let there = |shape| value.get(*name).and_then(|value| keep(value, shape));
                let found = match field {
                    May(shape) => there(shape),
                    Must(shape) => Some(there(shape)?),
                    Filled(shape, empty) => Some(there(shape).unwrap_or_else(|| empty_of(shape, *empty))),
                    Unread(stands_in) => Some(stands_in()),
                };
                kept.extend(found.map(|found| ((*name).to_owned(), found)));
            }
            Some(Value::Object(kept))
        }
    }
}

fn whole(value: &Value) -> Option<u64> {
    // Some clients' scripts know only floats.
    value.as_u64().or_else(|| value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1e15).contains(n)).map(|n| n as u64))
}

fn is_uri(text: &str) -> bool {
    let parsed = Url::parse(text);
    if !text.is_empty()
        && let Err(error) = &parsed
    {
        tracing::warn!(uri = text, %error, "the client names something that isn't a URI; it is passed over");
    }
    parsed.is_ok()
}

fn empty_of(shape: &Shape, empty: Empty) -> Value {
    match empty {
        // Its fields may have to be filled in turn.
        Empty::Object => keep(&json!({}), shape).unwrap_or_default(),
        Empty::List => json!([]),
        Empty::Text => json!(""),
        Empty::Null => Value::Null,
    }
}

fn no_text() -> Value {
    json!("")
}

/// A file's change, of whatever kind.
fn changed() -> Value {
    json!(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced(method: &str, params: Value) -> Value {
        let message = json!({ "params": params });
        let Value::Object(mut message) = message else { unreachable!() };
        let before = message.clone();
        assert_eq!(reduce(method, &mut message), message != before);
        message.remove("params").unwrap_or_default()
    }

    #[test]
    fn what_is_read_stays_and_the_rest_goes() {
        let params = json!({
            "processId": 7, "rootUri": null, "trace": "compact", "locale": 3, "workDoneToken": {},
            "clientInfo": { "name": "x", "version": 7 },
            "workspaceFolders": [null, 3, { "uri": "file:///a" }, { "uri": "a" }, { "uri": "file:///b", "name": 3 }],
            "initializationOptions": { "index": { "exclude": [null] } },
            "capabilities": {
                "general": { "positionEncodings": ["utf-8", 3, "other"], "markdown": 7 },
                "window": { "workDoneProgress": "yes", "showMessage": [] },
                "workspace": { "configuration": true, "symbol": { "symbolKind": { "valueSet": [1, 27, "x", 26.0] } } },
                "experimental": { "other": 3, "syncline": { "queueState": true } },
                "textDocument": { "callHierarchy": [{}] },
            },
        });
        let expected = json!({
            "processId": 7, "clientInfo": { "name": "x" },
            "workspaceFolders": [{ "uri": "file:///a", "name": "" }, { "uri": "file:///b", "name": "" }],
            "initializationOptions": { "index": { "exclude": [null] } },
            "capabilities": {
                "general": { "positionEncodings": ["utf-8", "other"] },
                "window": {},
                "workspace": { "configuration": true, "symbol": { "symbolKind": { "valueSet": [1, 26] } } },
                "experimental": { "syncline": { "queueState": true } },
            },
        });
        assert_eq!(reduced("initialize", params), expected);
    }

    #[test]
    fn whatever_is_said_tower_lsp_can_read_what_is_left() {
        let odd =
            [json!(null), json!([]), json!({}), json!(-1), json!(1.5), json!("x"), json!([null, {}]), json!(true)];
        for odd in odd {
            for name in [
                "processId",
                "clientInfo",
                "rootPath",
                "rootUri",
                "workspaceFolders",
                "capabilities",
                "trace",
                "locale",
            ] {
                let params = reduced("initialize", json!({ name: odd }));
                let read = serde_json::from_value::<tower_lsp::lsp_types::InitializeParams>(params);
                assert!(read.is_ok(), "{name}: {odd}: {read:?}");
            }
            for name in ["general", "window", "workspace", "experimental", "textDocument", "notebookDocument"] {
                let params = reduced("initialize", json!({ "capabilities": { name: odd } }));
                let read = serde_json::from_value::<tower_lsp::lsp_types::InitializeParams>(params);
                assert!(read.is_ok(), "{name}: {odd}: {read:?}");
            }
        }
    }

    #[test]
    fn what_is_needed_is_not_made_up() {
        for (method, params) in [
            ("textDocument/didSave", json!({ "textDocument": { "uri": 3 } })),
            ("workspace/executeCommand", json!({ "command": null })),
            ("workspace/didChangeWorkspaceFolders", json!({ "event": 3 })),
        ] {
            assert_eq!(reduced(method, params.clone()), params);
        }
        let command = json!({ "command": "syncline.sync", "arguments": null, "workDoneToken": [] });
        assert_eq!(reduced("workspace/executeCommand", command), json!({ "command": "syncline.sync" }));
        let command = json!({ "command": "syncline.pause", "arguments": { "codebase": "x" } });
        assert_eq!(reduced("workspace/executeCommand", command.clone()), command);
    }
}
