//! What clients say of documents' texts, made fit to be read: of an edit only its document, its range and its text count,
//! and whatever else it says, or doesn't, loses none. Of what can't be understood the session is told: the text that it
//! has is no longer the client's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tower_lsp::lsp_types::Url;

/// Tells the session of a [`LostText`]. It comes from the inbox; clients don't send it.
pub const LOST_TEXT: &str = "syncline/lostText";

/// A document whose text isn't known any more.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LostText {
    /// As the client calls it; not a string when it doesn't.
    uri: Value,
    /// What was said of it and can't be understood.
    pub why: String,
}

impl LostText {
    /// Of a document of which another session was told something.
    pub fn of(uri: &Url) -> LostText {
        LostText { uri: json!(uri), why: "an edit of it couldn't be understood".to_owned() }
    }

    /// Which document it is, if one was named.
    pub fn uri(&self) -> Option<Url> {
        Url::parse(self.uri.as_str()?).ok()
    }
}

/// Tidies `textDocument/didOpen` and `textDocument/didChange`; gives whether something was changed. What can't be
/// understood becomes a [`LOST_TEXT`].
pub fn normalize(method: &str, message: &mut Value) -> bool {
    let read = match method {
        "textDocument/didOpen" => opened,
        "textDocument/didChange" => changed,
        _ => return false,
    };
    let Some(params) = message.get_mut("params") else { return false };
    match read(params) {
        Ok(is_changed) => is_changed,
        Err(why) => {
            let uri = params.get_mut("textDocument").and_then(|document| document.get_mut("uri")).map(Value::take);
            let lost = LostText { uri: uri.unwrap_or_default(), why: format!("{method}: {why}") };
            *params = json!(lost);
            message["method"] = json!(LOST_TEXT);
            true
        }
    }
}

fn opened(params: &mut Value) -> Result<bool, String> {
    let document = document(params)?;
    if !document.get("text").is_some_and(Value::is_string) {
        return Err("textDocument has no text".to_owned());
    }
    let has_language = document.get("languageId").is_some_and(Value::is_string);
    if !has_language {
        document.insert("languageId".to_owned(), json!(""));
    }
    Ok(tidy_version(document) | !has_language)
}

fn changed(params: &mut Value) -> Result<bool, String> {
    let mut is_changed = tidy_version(document(params)?);
    let changes = params.get_mut("contentChanges").and_then(Value::as_array_mut);
    for (at, change) in changes.ok_or("it has no contentChanges")?.iter_mut().enumerate() {
        let normalized = change.as_object_mut().ok_or("is no edit").and_then(normalize_change);
        is_changed |= normalized.map_err(|why| format!("contentChanges[{at}] {why}"))?;
    }
    Ok(is_changed)
}

fn document(params: &mut Value) -> Result<&mut Map<String, Value>, String> {
    let document = params.get_mut("textDocument").and_then(Value::as_object_mut).ok_or("it has no textDocument")?;
    match document.get("uri").is_some_and(Value::is_string) {
        true => Ok(document),
        false => Err("textDocument has no uri".to_owned()),
    }
}

/// The version isn't used, so it may be anything.
fn tidy_version(document: &mut Map<String, Value>) -> bool {
    let is_version = |version: &Value| version.as_i64().is_some_and(|version| i32::try_from(version).is_ok());
    if document.get("version").is_some_and(is_version) {
        return false;
    }
    document.insert("version".to_owned(), json!(0));
    true
}

fn normalize_change(change: &mut Map<String, Value>) -> Result<bool, &'static str> {
    if !change.get("text").is_some_and(Value::is_string) {
        return Err("has no text");
    }
    // The range says the same.
    let is_length = |length: &Value| length.is_null() || is_number(length);
    let has_wrong_length = change.get("rangeLength").is_some_and(|length| !is_length(length));
    if has_wrong_length {
        change.remove("rangeLength");
    }
    let is_range_tidied = match change.get_mut("range") {
        None | Some(Value::Null) => false,
        Some(range) => tidy_position(range, "start")? | tidy_position(range, "end")?,
    };
    Ok(is_range_tidied | has_wrong_length)
}

fn tidy_position(range: &mut Value, which: &str) -> Result<bool, &'static str> {
    let position = range.get_mut(which).ok_or("has a range that is none")?;
    let mut is_changed = false;
    for name in ["line", "character"] {
        let number = position.get_mut(name).filter(|number| number.is_number()).ok_or("has a range that is none")?;
        if !is_number(number) {
            *number = json!(number.as_f64().and_then(nearest).ok_or("has a position that is none")?);
            is_changed = true;
        }
    }
    Ok(is_changed)
}

/// Whether it is one of the protocol's numbers, with one bit to spare.
fn is_number(value: &Value) -> bool {
    value.as_u64().is_some_and(|number| u32::try_from(number).is_ok())
}

/// A line or column as the protocol's number: far beyond is as good as beyond.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range, and whole")]
fn nearest(number: f64) -> Option<u32> {
    (number >= 0.0 && number.fract() == 0.0).then(|| number.min(f64::from(u32::MAX)) as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tower_lsp::lsp_types::{DidChangeTextDocumentParams, DidOpenTextDocumentParams, Position, Range};

    use super::*;

    fn normalized(method: &str, params: Value) -> Value {
        let mut message = json!({"method": method, "params": params});
        let before = message.clone();
        let is_changed = normalize(method, &mut message);
        assert_eq!(is_changed, message != before, "{before}");
        message
    }

    fn change_of(version: Value, change: Value) -> Value {
        let document = json!({"uri": "file:///a", "version": version});
        json!({"textDocument": document, "contentChanges": [change]})
    }

    #[test]
    fn what_isn_t_needed_may_be_anything() {
        let range = json!({"start": {"line": 0, "character": 1.0}, "end": {"line": 9_007_199_254_740_991_u64, "character": 1e300}});
        for version in [json!(null), json!(1u64 << 31), json!("x"), json!(-7), json!({})] {
            let change = json!({"range": range, "rangeLength": -1, "text": "x"});
            let mut message = normalized("textDocument/didChange", change_of(version, change));
            let params: DidChangeTextDocumentParams = serde_json::from_value(message["params"].take()).unwrap();
            let range = Range::new(Position::new(0, 1), Position::new(u32::MAX, u32::MAX));
            assert_eq!(params.content_changes[0].range, Some(range));
        }
        let mut message =
            normalized("textDocument/didOpen", json!({"textDocument": {"uri": "file:///a", "text": "x"}}));
        let params: DidOpenTextDocumentParams = serde_json::from_value(message["params"].take()).unwrap();
        assert_eq!(params.text_document.text, "x");
    }

    #[test]
    fn what_is_an_edit_stays_as_it_is() {
        let range = json!({"start": {"line": 3, "character": 1}, "end": {"line": 0, "character": 4_294_967_295_u32}});
        for change in [
            json!({"text": ""}),
            json!({"range": null, "rangeLength": null, "text": "x"}),
            json!({"range": range, "rangeLength": 7, "text": "x", "more": [1]}),
        ] {
            let params = change_of(json!(-3), change);
            assert_eq!(normalized("textDocument/didChange", params.clone())["params"], params);
        }
    }

    #[test]
    fn what_is_no_edit_loses_the_text() {
        let at = |line: Value| json!({"line": line, "character": 0});
        let range = |from: Value, to: Value| json!({"range": {"start": from, "end": to}, "text": "x"});
        let mut lost = vec![
            ("textDocument/didOpen", json!({"textDocument": {"uri": "file:///a", "version": 1}})),
            ("textDocument/didOpen", json!({"textDocument": {"uri": "file:///a", "text": null}})),
            ("textDocument/didChange", json!({"textDocument": {"uri": "file:///a", "version": 1}})),
            ("textDocument/didChange", json!({"textDocument": {"uri": "file:///a"}, "contentChanges": {}})),
        ];
        let changes = [
            json!(7),
            json!({}),
            json!({"text": 7}),
            json!({"range": [], "text": "x"}),
            json!({"range": {"start": at(json!(0))}, "text": "x"}),
            range(at(json!(-1)), at(json!(0))),
            range(at(json!(0)), at(json!(0.5))),
            range(at(json!(0)), at(json!("0"))),
        ];
        lost.extend(changes.map(|change| ("textDocument/didChange", change_of(json!(1), change))));
        for (method, params) in lost {
            let message = normalized(method, params.clone());
            assert_eq!(message["method"], LOST_TEXT, "{params}");
            let lost: LostText = serde_json::from_value(message["params"].clone()).unwrap();
            assert_eq!(lost.uri().unwrap().as_str(), "file:///a");
            assert!(lost.why.starts_with(method), "{}", lost.why);
        }
        let nameless = normalized("textDocument/didChange", json!({"contentChanges": []}));
        assert_eq!(serde_json::from_value::<LostText>(nameless["params"].clone()).unwrap().uri(), None);
    }
}
