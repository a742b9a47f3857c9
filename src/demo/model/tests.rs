//! The model over its own socket, asked by a client written out by hand.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

async fn connect(model: &Model) -> TcpStream {
    TcpStream::connect(model.address).await.unwrap()
}

/// Sends a prompt on a connection that ends with the answer.
async fn ask(model: &Model, prompt: &str) -> TcpStream {
    let item = json!({ "type": "message", "role": "user", "content": prompt });
    send(model, "", &json!({ "input": [item] }).to_string()).await
}

async fn send(model: &Model, headers: &str, body: &str) -> TcpStream {
    let mut client = connect(model).await;
    let length = body.len();
    let head = format!(
        "POST /v1/responses HTTP/1.1\r\nhost: model\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    client.write_all((head + body).as_bytes()).await.unwrap();
    client
}

async fn rest(mut client: TcpStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    text
}

/// The text of an answer, put together from its deltas.
fn deltas(answer: &str) -> String {
    let events = answer.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok());
    events.filter_map(|event: Value| event["delta"].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn requests_are_answered_by_the_script_and_recorded_in_order() {
    let model = Model::start(spoken).await.unwrap();
    let answer = rest(ask(&model, "SAY hi").await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("content-type: text/event-stream\r\n"));
    assert_eq!(deltas(&answer), "hi");
    assert_eq!(deltas(&rest(ask(&model, "and now?").await).await), "ok: and now?");
    let prompts: Vec<_> = model.requests().iter().map(Request::last_user_text).collect();
    assert_eq!(prompts, ["SAY hi", "and now?"]);
}

#[tokio::test]
async fn a_held_reply_has_begun_and_goes_on_when_its_gate_opens_while_others_are_answered() {
    let gate = Gate::new();
    let held = gate.clone();
    let script = move |request: &Request| match request.last_user_text().as_str() {
        "wait" => Reply::say("at last").after(&held),
        _ => Reply::say("at once"),
    };
    let model = Model::start(script).await.unwrap();

    let mut waiting = ask(&model, "wait").await;
    gate.reached().await;
    assert_eq!(deltas(&rest(ask(&model, "other").await).await), "at once");
    let mut begun = String::new();
    while !begun.contains("response.created") {
        begun.push(char::from(waiting.read_u8().await.unwrap()));
    }
    gate.open();
    assert_eq!(deltas(&rest(waiting).await), "at last");
}

#[tokio::test]
async fn a_failure_has_its_status_and_its_message() {
    let model = Model::start(spoken).await.unwrap();
    let answer = rest(ask(&model, "FAIL 503").await).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains(r#""message":"the prompt asked for it""#), "{answer}");
}

#[tokio::test]
async fn a_client_that_gives_up_takes_its_reply_with_it_and_disturbs_nobody() {
    let gate = Gate::new();
    let held = gate.clone();
    let script = move |request: &Request| match request.last_user_text().as_str() {
        "wait" => Reply::say("to nobody").after(&held),
        _ => spoken(request),
    };
    let model = Model::start(script).await.unwrap();
    let waiting = ask(&model, "wait").await;
    gate.reached().await;
    drop(waiting);
    gate.left().await;
    assert_eq!(deltas(&rest(ask(&model, "SAY still here").await).await), "still here");
}

#[tokio::test]
async fn a_dropped_model_closes_its_connections() {
    let model = Model::start(spoken).await.unwrap();
    let mut silent = ask(&model, "SILENCE").await;
    model.arrived(1).await;
    drop(model);
    // Closed with or without an error, but without a byte.
    let mut bytes = Vec::new();
    let _ = silent.read_to_end(&mut bytes).await;
    assert!(bytes.is_empty());
}

#[tokio::test]
async fn what_is_not_a_request_to_the_model_is_refused_in_json_on_a_connection_that_stays() {
    let model = Model::start(spoken).await.unwrap();
    let mut client = connect(&model).await;
    let asked =
        "GET /v1/models HTTP/1.1\r\nhost: model\r\n\r\nGET /x HTTP/1.1\r\nhost: model\r\nconnection: close\r\n\r\n";
    client.write_all(asked.as_bytes()).await.unwrap();
    let answers = rest(client).await;
    assert_eq!(answers.matches("HTTP/1.1 404 Not Found").count(), 2, "{answers}");
    assert!(answers.contains("the scripted model has no GET /v1/models"), "{answers}");

    assert!(rest(send(&model, "", "{").await).await.contains("the request is not JSON"));
    let packed = rest(send(&model, "content-encoding: zstd\r\n", "{}").await).await;
    assert!(packed.contains("reads plain JSON, not") && packed.contains("zstd"), "{packed}");
    assert!(model.requests().is_empty());
}

#[tokio::test]
async fn the_config_is_toml_that_names_this_model() {
    let model = Model::start(spoken).await.unwrap();
    let config: toml::Table = model.codex_config().parse().unwrap();
    let provider = &config["model_providers"][config["model_provider"].as_str().unwrap()];
    assert_eq!(provider["base_url"].as_str(), Some(model.base_url().as_str()));
    assert_eq!(provider["env_key"].as_str(), Some(API_KEY_VAR));
}
