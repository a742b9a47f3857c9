//! A reply as the events of the Responses API's stream.

use std::convert::Infallible;
use std::future::pending;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Gate, Reply};

/// The most characters in one delta.
const DELTA_CHARS: usize = 40;

/// The body of the response: it does nothing that is not read, and ends when the reader goes.
pub(super) fn stream(reply: Reply) -> impl Body<Data = Bytes, Error = Infallible> + Send {
    StreamBody::new(stream::iter(steps(reply)).filter_map(async |step| match step {
        Step::Event(event) => Some(Ok(Frame::data(wire(&event)))),
        Step::Wait(gate) => {
            gate.pass().await;
            None
        }
        Step::Hang => pending().await,
    }))
}

enum Step {
    Event(Value),
    Wait(Gate),
    Hang,
}

fn steps(mut reply: Reply) -> Vec<Step> {
    let response = fresh("resp");
    let created = json!({ "type": "response.created", "response": { "id": response, "status": "in_progress" } });
    let mut steps = vec![Step::Event(created)];
    while let Reply::Held(gate, then) = reply {
        steps.push(Step::Wait(gate));
        reply = *then;
    }
    match reply {
        Reply::Say(text) => steps.extend(message(&text).into_iter().map(Step::Event)),
        Reply::Call { name, arguments } => steps.extend(call(&name, &arguments).map(Step::Event)),
        Reply::Fail { status, message } => {
            steps.push(Step::Event(failed(&response, status, &message)));
            return steps;
        }
        Reply::Cut(text) => {
            let mut begun = message(&text);
            begun.pop();
            steps.extend(begun.into_iter().map(Step::Event));
            return steps;
        }
        Reply::Held(..) | Reply::Silence => {
            steps.push(Step::Hang);
            return steps;
        }
    }
    steps.push(Step::Event(completed(&response)));
    steps
}

fn message(text: &str) -> Vec<Value> {
    let id = fresh("msg");
    let item = |status, content| json!({ "type": "message", "id": id, "role": "assistant", "status": status, "content": content });
    let mut events = vec![added(item("in_progress", json!([])))];
    let chars: Vec<char> = text.chars().collect();
    events.extend(chars.chunks(DELTA_CHARS).map(|piece| {
        let delta: String = piece.iter().collect();
        json!({
            "type": "response.output_text.delta",
            "item_id": id, "output_index": 0, "content_index": 0, "delta": delta,
        })
    }));
    let content = json!([{ "type": "output_text", "text": text, "annotations": [] }]);
    events.push(done(item("completed", content)));
    events
}

fn call(name: &str, arguments: &Value) -> [Value; 2] {
    let (id, call_id) = (fresh("fc"), fresh("call"));
    let (namespace, name) = match name.split_once('.') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    let item = |status, given: &str| {
        let mut item = json!({ "id": id, "call_id": call_id, "name": name, "status": status });
        let (kind, field) = match arguments {
            Value::String(_) => ("custom_tool_call", "input"),
            _ => ("function_call", "arguments"),
        };
        item["type"] = kind.into();
        item[field] = given.into();
        if let Some(namespace) = namespace {
            item["namespace"] = namespace.into();
        }
        item
    };
    let given = match arguments {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    [added(item("in_progress", "")), done(item("completed", &given))]
}

fn added(item: Value) -> Value {
    json!({ "type": "response.output_item.added", "output_index": 0, "item": item })
}

fn done(item: Value) -> Value {
    json!({ "type": "response.output_item.done", "output_index": 0, "item": item })
}

fn completed(response: &str) -> Value {
    json!({
        "type": "response.completed",
        "response": {
            "id": response,
            "status": "completed",
            "usage": {
                "input_tokens": 100,
                "input_tokens_details": { "cached_tokens": 0 },
                "output_tokens": 10,
                "output_tokens_details": { "reasoning_tokens": 0 },
                "total_tokens": 110,
            },
        },
    })
}

fn failed(response: &str, status: u16, message: &str) -> Value {
    json!({
        "type": "response.failed",
        "response": {
            "id": response,
            "status": "failed",
            "error": { "code": format!("scripted_{status}"), "message": message },
        },
    })
}

/// An id that no other response has: a history outlives the model that wrote it, and Codex pairs calls and outputs by id.
fn fresh(kind: &str) -> String {
    format!("{kind}_{}", Uuid::new_v4().simple())
}

fn wire(event: &Value) -> Bytes {
    let kind = event["type"].as_str().unwrap_or_default();
    Bytes::from(format!("event: {kind}\ndata: {event}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(reply: Reply) -> Vec<Value> {
        let events = steps(reply).into_iter().map(|step| match step {
            Step::Event(event) => event,
            Step::Wait(_) => json!({ "type": "wait" }),
            Step::Hang => json!({ "type": "hang" }),
        });
        events.collect()
    }

    fn types(events: &[Value]) -> Vec<&str> {
        events.iter().map(|event| event["type"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_message_is_added_streamed_done_and_completed() {
        let text = "é".repeat(DELTA_CHARS + 1);
        let events = events(Reply::say(&text));
        assert_eq!(
            types(&events),
            [
                "response.created",
                "response.output_item.added",
                "response.output_text.delta",
                "response.output_text.delta",
                "response.output_item.done",
                "response.completed",
            ]
        );
        assert_eq!(events[4]["item"]["content"][0]["text"], text.as_str());
        assert_eq!(events[0]["response"]["id"], events[5]["response"]["id"]);
        assert_eq!(events[5]["response"]["usage"]["total_tokens"], 110);
    }

    #[test]
    fn a_call_carries_its_arguments_as_text_and_its_namespace_apart() {
        let plain = events(Reply::call("exec_command", json!({ "cmd": "ls" })));
        let item = &plain[2]["item"];
        assert_eq!((&item["name"], &item["arguments"]), (&json!("exec_command"), &json!(r#"{"cmd":"ls"}"#)));
        assert!(item.get("namespace").is_none());

        let spaced = events(Reply::call("atm.send", json!({})));
        assert_eq!((&spaced[2]["item"]["namespace"], &spaced[2]["item"]["name"]), (&json!("atm"), &json!("send")));
        assert_ne!(spaced[2]["item"]["call_id"], item["call_id"]);
    }

    #[test]
    fn a_call_with_a_text_is_one_of_a_freeform_tool() {
        let patch = events(Reply::call("apply_patch", json!("*** Begin Patch")));
        let item = &patch[2]["item"];
        assert_eq!((&item["type"], &item["input"]), (&json!("custom_tool_call"), &json!("*** Begin Patch")));
    }

    #[test]
    fn a_held_reply_begins_before_it_waits() {
        let gate = Gate::new();
        let held = events(Reply::say("hi").after(&gate));
        assert_eq!(types(&held)[..3], ["response.created", "wait", "response.output_item.added"]);

        let failed = events(Reply::Fail { status: 500, message: "no".into() }.after(&gate));
        assert_eq!(types(&failed), ["response.created", "wait", "response.failed"]);
        assert_eq!(
            types(&events(Reply::Cut("a".into()))),
            ["response.created", "response.output_item.added", "response.output_text.delta"]
        );
        assert_eq!(types(&events(Reply::Silence.after(&gate))), ["response.created", "wait", "hang"]);
    }

    #[test]
    fn an_event_on_the_wire_is_its_type_and_one_line_of_data() {
        let event = json!({ "type": "a", "text": "two\nlines" });
        assert_eq!(wire(&event), "event: a\ndata: {\"text\":\"two\\nlines\",\"type\":\"a\"}\n\n");
    }
}
