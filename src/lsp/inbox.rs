//! What comes from the client, made fit for tower-lsp: its codec ends the session at the first message it can't read, and
//! its router refuses some that are merely untidy.

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream};
use tower_lsp::jsonrpc::{Error, Id, Request, Response};

use super::edits;
use super::frames::{Frame, FrameReader, Room, as_text, frame, replace_halves};
use super::life::Life;
use super::outbox::Outbox;
use super::params::reduce;

/// A message, ready for the server.
#[derive(Debug, PartialEq)]
pub(super) enum Incoming {
    Message(Vec<u8>),
    /// The client is done.
    Exit,
}

/// Hands the client's messages to `server` until the client says `exit` or leaves. Anything that isn't a message is
/// answered with an error, and the next one is taken.
pub async fn receive(reader: impl AsyncRead + Unpin, mut server: DuplexStream, outbox: Outbox, life: Life, room: Room) {
    let mut frames = FrameReader::within(reader, room);
    loop {
        let incoming = match frames.next().await {
            Ok(Some(Frame::Body(body))) => accept(body),
            Ok(Some(Frame::Garbage(why))) => Err(refusal(Id::Null, Error::parse_error(), &why)),
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "the client can't be read");
                break;
            }
        };
        match incoming {
            Ok(Incoming::Exit) => break,
            Ok(Incoming::Message(body)) => {
                if server.write_all(&frame(&body)).await.is_err() {
                    break;
                }
            }
            Err(refusal) => {
                if let Ok(body) = serde_json::to_vec(&refusal) {
                    outbox.send(body).await;
                }
            }
        }
    }
    // Dropping `server` ends its input, once it has taken what was sent.
    life.stop();
}

/// The message in `body`, or the reply that says why it is none.
pub(super) fn accept(mut body: Vec<u8>) -> Result<Incoming, Response> {
    replace_halves(&mut body);
    let mut parsed = serde_json::from_slice(&body);
    if parsed.is_err()
        && let Some(text) = as_text(&body)
    {
        body = text;
        parsed = serde_json::from_slice(&body);
    }
    let mut message: Value =
        parsed.map_err(|error| refusal(Id::Null, Error::parse_error(), &format!("a message isn't JSON: {error}")))?;
    let Some(method) = message.get("method").and_then(Value::as_str).map(str::to_owned) else {
        return match serde_json::from_slice::<Response>(&body) {
            Ok(_) => Ok(Incoming::Message(body)),
            Err(error) => Err(not_jsonrpc(&message, &error)),
        };
    };
    if method == "exit" {
        return Ok(Incoming::Exit);
    }
    let is_changed = normalize_params(&method, &mut message) | edits::normalize(&method, &mut message);
    let body = if is_changed { message.to_string().into_bytes() } else { body };
    // The bytes, not the value: a name that comes twice is lost in that, but ends tower-lsp's session.
    match serde_json::from_slice::<Request>(&body) {
        // Those may be passed over, but only when no answer is expected.
        Ok(request) if method.starts_with("$/") && request.id().is_some() => {
            let id = request.id().cloned().unwrap_or_default();
            Err(refusal(id, Error::method_not_found(), &format!("there is no request {method}")))
        }
        Ok(_) => Ok(Incoming::Message(body)),
        Err(error) => Err(not_jsonrpc(&message, &error)),
    }
}

/// Clients differ in what they send where there is nothing to say. Gives whether something was changed.
fn normalize_params(method: &str, message: &mut Value) -> bool {
    let Some(fields) = message.as_object_mut() else { return false };
    let is_changed = match (method, fields.get("params")) {
        ("shutdown", Some(_)) => fields.remove("params").is_some(),
        ("shutdown", None) => false,
        (_, None | Some(Value::Null)) => {
            fields.insert("params".to_owned(), json!({}));
            true
        }
        _ => false,
    };
    reduce(method, fields) | is_changed
}

fn not_jsonrpc(message: &Value, error: &serde_json::Error) -> Response {
    let id = message.get("id").and_then(|id| serde_json::from_value(id.clone()).ok()).unwrap_or(Id::Null);
    refusal(id, Error::invalid_request(), &format!("a message isn't JSON-RPC 2.0: {error}"))
}

fn refusal(id: Id, mut error: Error, why: &str) -> Response {
    tracing::warn!(why, "the client sent something that can't be understood");
    error.message = why.to_owned().into();
    Response::from_error(id, error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn accepted(message: Value) -> Value {
        match accept(message.to_string().into_bytes()).unwrap() {
            Incoming::Message(body) => serde_json::from_slice(&body).unwrap(),
            Incoming::Exit => json!("exit"),
        }
    }

    #[test]
    fn missing_params_are_tidied() {
        let message = |params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": "syncline/queue", "params": params});
        assert_eq!(accepted(message(Value::Null)), message(json!({})));
        assert_eq!(accepted(json!({"jsonrpc": "2.0", "id": 1, "method": "syncline/queue"})), message(json!({})));
        let shutdown = json!({"jsonrpc": "2.0", "id": "a", "method": "shutdown"});
        assert_eq!(accepted(json!({"jsonrpc": "2.0", "id": "a", "method": "shutdown", "params": null})), shutdown);
        assert_eq!(accepted(json!({"jsonrpc": "2.0", "method": "exit", "params": null})), json!("exit"));
    }

    #[test]
    fn what_is_no_message_gets_an_error() {
        let refused = |body: &str| {
            let response = accept(body.as_bytes().to_vec()).unwrap_err();
            (response.id().clone(), response.error().unwrap().code.code())
        };
        assert_eq!(refused("{"), (Id::Null, -32700));
        assert_eq!(refused("\u{0}"), (Id::Null, -32700));
        assert_eq!(refused("[]"), (Id::Null, -32600));
        assert_eq!(refused(r#"{"method":"x","id":3}"#), (Id::Number(3), -32600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","method":"$/x","id":"a"}"#), (Id::String("a".to_owned()), -32601));
        assert_eq!(refused(r#"{"jsonrpc":"1.0","method":"x"}"#), (Id::Null, -32600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","method":"x","id":{}}"#), (Id::Null, -32600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","method":7,"id":1}"#), (Id::Number(1), -32600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":1}"#), (Id::Number(1), -32600));
        // Such a message ended the session.
        assert_eq!(
            refused(r#"{"jsonrpc":"2.0","method":"a","method":"b","id":1,"params":{}}"#),
            (Id::Number(1), -32600)
        );
    }
}
