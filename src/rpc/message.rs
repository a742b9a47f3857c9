//! One JSON-RPC message, read and written.
//!
//! `codex app-server` leaves the field `jsonrpc` out and tolerates it (seen with 0.144.6 and 0.169.0).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The id of a request, from either side. Codex counts its own from 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// An error answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// The kind of error; Codex uses -32600 for nearly all.
    pub code: i64,
    /// What failed, in words.
    pub message: String,
    /// More, in the sender's own form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

/// What the other side says of its own accord.
#[derive(Debug)]
pub enum Incoming {
    /// Must be answered.
    Request {
        /// Comes back with the answer.
        id: Id,
        /// What is asked.
        method: String,
        /// With what.
        params: Box<RawValue>,
    },
    /// Needs no answer.
    Notification {
        /// What happened.
        method: String,
        /// To what.
        params: Box<RawValue>,
    },
}

/// What came in.
#[derive(Debug)]
pub enum Message {
    /// The other side speaks.
    Said(Incoming),
    /// It answers a request of ours.
    Response {
        /// The request's.
        id: Id,
        /// Its end.
        result: Result<Box<RawValue>, RpcError>,
    },
}

impl Message {
    /// Reads one text.
    pub fn parse(text: &str) -> Result<Message, serde_json::Error> {
        let wire: Wire = serde_json::from_str(text)?;
        let params = wire.params.unwrap_or_else(null);
        match (wire.method, wire.id) {
            (Some(method), Some(id)) => Ok(Message::Said(Incoming::Request { id, method, params })),
            (Some(method), None) => Ok(Message::Said(Incoming::Notification { method, params })),
            (None, Some(id)) => {
                let result = wire.error.map_or_else(|| Ok(wire.result.unwrap_or_else(null)), Err);
                Ok(Message::Response { id, result })
            }
            (None, None) => Err(serde::de::Error::custom("neither `method` nor `id`")),
        }
    }
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

#[derive(Deserialize)]
struct Wire {
    id: Option<Id>,
    method: Option<String>,
    params: Option<Box<RawValue>>,
    result: Option<Box<RawValue>>,
    error: Option<RpcError>,
}

/// The text of a request.
pub fn request(id: u64, method: &str, params: &impl Serialize) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Request<'a, P> {
        id: u64,
        method: &'a str,
        params: &'a P,
    }
    serde_json::to_string(&Request { id, method, params })
}

/// The text of a notification without parameters.
pub fn notification(method: &str) -> String {
    serde_json::json!({ "method": method }).to_string()
}

/// The text of an answer.
pub fn answer(id: &Id, result: &Result<serde_json::Value, RpcError>) -> String {
    match result {
        Ok(result) => serde_json::json!({ "id": id, "result": result }),
        Err(error) => serde_json::json!({ "id": id, "error": error }),
    }
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_kinds_are_told_apart_by_what_they_carry() {
        let parse = |text| Message::parse(text).unwrap();
        assert!(matches!(
            parse(r#"{"id":0,"method":"m","params":{}}"#),
            Message::Said(Incoming::Request { id: Id::Number(0), .. })
        ));
        assert!(matches!(parse(r#"{"method":"m"}"#), Message::Said(Incoming::Notification { .. })));
        assert!(matches!(parse(r#"{"id":"a","result":null}"#), Message::Response { result: Ok(_), .. }));
        let error = parse(r#"{"id":1,"error":{"code":-32600,"message":"no"},"jsonrpc":"2.0"}"#);
        assert!(matches!(error, Message::Response { result: Err(RpcError { code: -32600, .. }), .. }));
    }

    #[test]
    fn what_is_no_message_is_an_error_and_not_a_panic() {
        for text in ["", "[]", "{}", "nonsense", "{\"id\":{}}", "{\"method\":3}"] {
            assert!(Message::parse(text).is_err(), "{text}");
        }
    }
}
