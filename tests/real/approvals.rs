//! What Codex asks reaches somebody who can decide, and what is decided reaches Codex; undecided it is declined.

use atm_agent_mcp::demo::model::{Reply, Request, spoken};
use serde_json::{Value, json};

use crate::attach::Second;
use crate::letters::until;
use crate::raw::Raw;
use crate::stage::{Scene, Server, Stage, Told};

on_each_codex! {
    who_cannot_be_asked_is_told_what_to_decide_and_decides_later,
    no_decision_lets_the_turn_go_on_and_its_reason_reaches_the_model,
    a_cancel_ends_the_turn,
    what_is_accepted_for_the_session_is_not_asked_again,
    the_change_of_a_file_is_shown_before_it_is_decided,
    nobody_decides_and_at_the_deadline_it_is_declined_and_both_sides_are_told,
    a_background_agent_that_asks_ends_the_wait_for_it_and_tells_the_lead,
    two_agents_that_ask_at_once_are_answered_each,
    nothing_is_delivered_while_something_is_to_be_decided,
    an_agent_that_asks_can_be_interrupted_and_closed,
    the_user_is_asked_by_a_form_and_answers_in_either_form,
    a_form_that_is_closed_leaves_the_decision_to_the_caller,
    a_human_who_is_attached_decides_and_the_form_is_withdrawn,
    who_calls_in_rounds_is_asked_in_the_answer,
    a_round_that_is_made_twice_decides_once_and_one_call_has_the_result,
    a_tool_of_an_mcp_server_is_decided_on_too,
    the_lead_is_asked_by_mail_in_claudes_form_and_its_answer_decides,
}

/// A world in whose project commands must be asked for.
async fn asking(stage: Stage) -> (Scene, Server) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    (scene, server)
}

fn touch(identity: &str, file: &str) -> Value {
    json!({"identity": identity, "prompt": format!("RUN touch {file}"), "approval-policy": "untrusted", "sandbox": "workspace-write"})
}

/// The one ask in a result that awaits a decision.
fn ask(told: &Told) -> Value {
    assert_eq!(told.text("status"), "awaiting_approval", "{told:?}");
    let [ask] = told.list("asks") else { panic!("one ask: {told:?}") };
    assert!(told.content().contains(ask["ask_id"].as_str().unwrap()) && told.content().contains("agent_approve"));
    ask.clone()
}

async fn decide(server: &Server, ask: &Value, decision: &str, more: Value) -> Told {
    let mut args = json!({"ask_id": ask["ask_id"], "decision": decision});
    args.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    server.call("agent_approve", args).await
}

/// The result of the agent's turn, in the background by now.
async fn result(server: &Server, agent: &str) -> Value {
    loop {
        // It returns at once while something is to be decided.
        let told = server.call("agent_wait", json!({"agents": [agent], "mode": "all"})).await.good();
        if let [result] = told.list("results") {
            return result.clone();
        }
    }
}

async fn who_cannot_be_asked_is_told_what_to_decide_and_decides_later(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let told = server.call("codex", touch("ana", "made")).await.good();
    let ask = ask(&told);
    assert_eq!(ask["kind"], "command");
    assert!(ask["command"].as_str().unwrap().contains("touch made") && ask["cwd"].is_string(), "{ask}");
    let status = server.call("agent_status", json!({"identity": "ana"})).await.good();
    assert_eq!((status.text("status"), &status["asks"][0]["ask_id"]), ("awaiting_approval", &ask["ask_id"]));
    assert!(!scene.project().join("made").exists());
    let told = decide(&server, &ask, "accept", json!({})).await.good();
    assert_eq!((told.text("identity"), told.text("decision")), ("ana", "accept"));
    assert_eq!(result(&server, "ana").await["status"], "completed");
    assert!(scene.project().join("made").exists());
    let late = decide(&server, &ask, "decline", json!({})).await.bad();
    assert_eq!(late.text("error"), "ASK_CLOSED");
    assert!(late.content().contains("accepted by team-lead"), "{late:?}");
    let unknown = decide(&server, &json!({"ask_id": "ask-7"}), "accept", json!({})).await.bad();
    assert_eq!(unknown.text("error"), "ASK_NOT_FOUND");
    scene.end(server).await;
}

async fn no_decision_lets_the_turn_go_on_and_its_reason_reaches_the_model(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let ask = ask(&server.call("codex", touch("ana", "made")).await.good());
    decide(&server, &ask, "decline", json!({"reason": "write it to notes.txt"})).await.good();
    let result = result(&server, "ana").await;
    assert!(result["content"].as_str().unwrap().contains("rejected by user"), "{result}");
    assert!(result["notes"].to_string().contains("declined by team-lead: write it to notes.txt"), "{result}");
    assert!(!scene.project().join("made").exists());
    let told = scene.asked_last().texts("developer").join("\n");
    assert!(told.contains("Your command was declined by team-lead: write it to notes.txt"), "{told}");
    scene.end(server).await;
}

async fn a_cancel_ends_the_turn(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let ask = ask(&server.call("codex", touch("ana", "made")).await.good());
    decide(&server, &ask, "cancel", json!({})).await.good();
    assert_eq!(result(&server, "ana").await["status"], "interrupted");
    let after = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
    assert_eq!(after.content(), "on");
    scene.end(server).await;
}

async fn what_is_accepted_for_the_session_is_not_asked_again(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let first = ask(&server.call("codex", touch("ana", "made")).await.good());
    decide(&server, &first, "accept_for_session", json!({})).await.good();
    assert_eq!(result(&server, "ana").await["status"], "completed");
    let again = server.call("codex-reply", json!({"identity": "ana", "prompt": "RUN touch made"})).await.good();
    assert_eq!(again.text("status"), "completed", "{again:?}");
    scene.end(server).await;
}

async fn the_change_of_a_file_is_shown_before_it_is_decided(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let patch = "*** Begin Patch\n*** Add File: made\n+some text\n*** End Patch";
    let prompt = format!("CALL apply_patch {}", Value::from(patch));
    let start =
        json!({"identity": "ana", "prompt": prompt, "approval-policy": "untrusted", "sandbox": "workspace-write"});
    let told = server.call("codex", start).await.good();
    let ask = ask(&told);
    assert_eq!((&ask["kind"], &ask["changes"][0]["kind"]), (&json!("file_change"), &json!("add")));
    assert!(ask["changes"][0]["path"].as_str().unwrap().ends_with("made"), "{ask}");
    assert!(ask["changes"][0]["diff"].as_str().unwrap().contains("some text"), "{ask}");
    assert!(told.content().contains("some text"), "{told:?}");
    decide(&server, &ask, "accept", json!({})).await.good();
    assert_eq!(result(&server, "ana").await["status"], "completed");
    assert_eq!(std::fs::read_to_string(scene.project().join("made")).unwrap(), "some text\n");
    scene.end(server).await;
}

async fn nobody_decides_and_at_the_deadline_it_is_declined_and_both_sides_are_told(stage: Stage) {
    let scene = stage.plain().await;
    let settings = "[plugins.atm-agent-mcp]\napproval_timeout_secs = 1\n";
    std::fs::write(scene.project().join(".atm.toml"), settings).unwrap();
    let server = scene.serve(&[]).await;
    let ask = ask(&server.call("codex", touch("ana", "made")).await.good());
    assert!(ask["declined_at"].is_string());
    let result = result(&server, "ana").await;
    assert_eq!(result["status"], "completed");
    assert!(result["notes"].to_string().contains("nobody decided within 1 s"), "{result}");
    let told = scene.asked_last().texts("developer").join("\n");
    assert!(told.contains("Nobody decided on your request within 1 s"), "{told}");
    assert!(!scene.project().join("made").exists());
    scene.end(server).await;
}

async fn a_background_agent_that_asks_ends_the_wait_for_it_and_tells_the_lead(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let mut start = touch("ana", "made");
    start["background"] = json!(true);
    server.call("codex", start).await.good();
    let told = server.call("agent_wait", json!({"agents": ["ana"], "timeout_ms": 600_000})).await.good();
    let [ask] = told.list("asks") else { panic!("one ask: {told:?}") };
    assert!(told.texts().iter().any(|text| text.contains("agent_approve")), "{told:?}");
    until(&server, || {
        scene.inbox("tests", "team-lead").iter().any(|mail| mail.text.contains(ask["ask_id"].as_str().unwrap()))
    })
    .await;
    let mails = scene.inbox("tests", "team-lead");
    assert!(mails[0].from == "ana" && mails[0].text.contains("touch made"), "{mails:?}");
    decide(&server, ask, "accept", json!({})).await.good();
    assert_eq!(result(&server, "ana").await["status"], "completed");
    scene.end(server).await;
}

async fn two_agents_that_ask_at_once_are_answered_each(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let mut asks = Vec::new();
    for name in ["ana", "ben"] {
        asks.push(ask(&server.call("codex", touch(name, name)).await.good()));
    }
    for (ask, decision) in asks.iter().zip(["decline", "accept"]).rev() {
        decide(&server, ask, decision, json!({})).await.good();
    }
    for name in ["ana", "ben"] {
        assert_eq!(result(&server, name).await["status"], "completed");
    }
    assert_eq!(["ana", "ben"].map(|file| scene.project().join(file).exists()), [false, true]);
    scene.end(server).await;
}

async fn nothing_is_delivered_while_something_is_to_be_decided(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let told = server.call("codex", touch("ana", "made")).await.good();
    let ask = ask(&told);
    until(&server, || scene.members("tests").contains(&"ana".to_owned())).await;
    scene.mail("team-lead", "ana", "[urgent] look here");
    let steer = json!({"agent": "ana", "text": "SAY steered", "timeout_ms": 300});
    assert_eq!(server.call("agent_steer", steer).await.good().text("status"), "queued");
    assert_eq!(scene.unread("ana"), 1);
    let requests = scene.model().requests().len();
    decide(&server, &ask, "decline", json!({})).await.good();
    until(&server, || scene.unread("ana") == 0).await;
    assert!(scene.model().requests().len() > requests);
    loop {
        server.rested("ana").await;
        let said = server.call("agent_read", json!({"identity": "ana", "turns": 50})).await.good().content().to_owned();
        let counts = [said.matches("> [urgent] look here\n").count(), said.matches("> SAY steered\n").count()];
        assert!(counts.iter().all(|count| *count < 2), "{said}");
        if counts == [1, 1] {
            break;
        }
    }
    scene.end(server).await;
}

async fn an_agent_that_asks_can_be_interrupted_and_closed(stage: Stage) {
    let (scene, server) = asking(stage).await;
    ask(&server.call("codex", touch("ana", "made")).await.good());
    server.call("agent_interrupt", json!({"identity": "ana"})).await.good();
    assert_eq!(result(&server, "ana").await["status"], "interrupted");
    server.shows("ana", "idle").await;
    let ask = ask(&server.call("codex-reply", json!({"identity": "ana", "prompt": "RUN touch made"})).await.good());
    let closed = server.call("agent_close", json!({"identity": "ana"})).await.good();
    assert_eq!(closed["results"][0]["status"], "closed");
    assert_eq!(decide(&server, &ask, "accept", json!({})).await.bad().text("error"), "ASK_NOT_FOUND");
    assert!(!scene.project().join("made").exists());
    scene.end(server).await;
}

async fn the_user_is_asked_by_a_form_and_answers_in_either_form(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = Raw::with_forms(scene.command(&[])).await;
    for (id, answer, made) in [
        (1, json!({"action": "accept", "content": {"decision": "accept"}}), true),
        (2, json!({"action": "decline"}), false),
        (3, json!({"decision": "approved"}), true),
        (4, json!({"decision": "denied"}), false),
    ] {
        let file = format!("made-{id}");
        client.call(id, "codex", touch(&format!("ana-{id}"), &file)).await;
        let form = client.hears("elicitation/create").await;
        let params = &form["params"];
        assert!(params["message"].as_str().unwrap().contains(&file), "{form}");
        assert_eq!(params["requestedSchema"]["required"], json!(["decision"]));
        assert_eq!(params["codex_elicitation"], "exec-approval");
        assert!(params["codex_command"].to_string().contains(&file) && params["codex_cwd"].is_string(), "{form}");
        client.answer(&form, answer).await;
        let result = client.answer_to(id).await;
        assert_eq!(result["structuredContent"]["status"], "completed", "{result}");
        assert_eq!(scene.project().join(&file).exists(), made, "{id}");
    }
    client.leave().await;
    assert_eq!(scene.codexes(), Vec::<String>::new());
}

async fn a_form_that_is_closed_leaves_the_decision_to_the_caller(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = Raw::with_forms(scene.command(&[])).await;
    client.call(1, "codex", touch("ana", "made")).await;
    let form = client.hears("elicitation/create").await;
    client.answer(&form, json!({"action": "cancel"})).await;
    let result = client.answer_to(1).await["structuredContent"].take();
    assert_eq!(result["status"], "awaiting_approval", "{result}");
    let decide = json!({"ask_id": result["asks"][0]["ask_id"], "decision": "accept"});
    client.call(2, "agent_approve", decide).await;
    assert_eq!(client.answer_to(2).await["isError"], false);
    client.call(3, "agent_wait", json!({"agents": ["ana"], "mode": "all"})).await;
    assert_eq!(client.answer_to(3).await["structuredContent"]["results"][0]["status"], "completed");
    assert!(scene.project().join("made").exists());
    client.leave().await;
}

async fn a_human_who_is_attached_decides_and_the_form_is_withdrawn(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = Raw::with_forms(scene.command(&[])).await;
    let start =
        json!({"identity": "ana", "prompt": "SAY one", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    client.call(1, "codex", start).await;
    let thread = client.answer_to(1).await["structuredContent"]["threadId"].as_str().unwrap().to_owned();
    client.call(2, "agent_status", json!({})).await;
    let socket = client.answer_to(2).await["structuredContent"]["codex"]["socket"].as_str().unwrap().to_owned();
    let mut human = Second::at(socket.as_ref()).await;
    human.resume(&thread).await;
    client.call(3, "codex-reply", json!({"identity": "ana", "prompt": "RUN touch made"})).await;
    let form = client.hears("elicitation/create").await;
    human.answers("item/commandExecution/requestApproval", json!({"decision": "accept"})).await;
    let withdrawn = client.hears("notifications/cancelled").await;
    assert_eq!(withdrawn["params"]["requestId"], form["id"]);
    let result = client.answer_to(3).await;
    assert_eq!(result["structuredContent"]["status"], "completed", "{result}");
    assert!(scene.project().join("made").exists());
    // What comes too late changes nothing.
    client.answer(&form, json!({"action": "decline"})).await;
    client.call(4, "codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await;
    assert_eq!(client.answer_to(4).await["structuredContent"]["content"], "on");
    drop(human);
    client.leave().await;
}

async fn who_calls_in_rounds_is_asked_in_the_answer(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = Raw::start(scene.command(&[]));
    let forms = json!({ "elicitation": { "form": {} } });
    client.modern_call(1, "codex", touch("ana", "made"), &forms, json!({})).await;
    let first = client.answer_to(1).await;
    assert_eq!(first["resultType"], "input_required", "{first}");
    let (id, asked) = first["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(asked["method"], "elicitation/create");
    assert!(asked["params"]["message"].as_str().unwrap().contains("touch made"), "{first}");
    let answer = json!({ id: {"action": "accept", "content": {"decision": "accept"}} });
    let more = json!({ "inputResponses": answer, "requestState": first["requestState"] });
    client.modern_call(2, "codex", touch("ana", "made"), &forms, more).await;
    let second = client.answer_to(2).await;
    assert_eq!(second["structuredContent"]["status"], "completed", "{second}");
    assert!(scene.project().join("made").exists(), "{second}");
    // Nobody decides: the ask is left to the caller; and a client without forms is told at once.
    let reply = json!({"identity": "ana", "prompt": "RUN touch again"});
    client.modern_call(3, "codex-reply", reply.clone(), &forms, json!({})).await;
    let third = client.answer_to(3).await;
    let id = third["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let more = json!({ "inputResponses": { &*id: {"action": "cancel"} }, "requestState": third["requestState"] });
    client.modern_call(4, "codex-reply", reply, &forms, more).await;
    let fourth = client.answer_to(4).await["structuredContent"].take();
    assert_eq!((&fourth["status"], &fourth["asks"][0]["ask_id"]), (&json!("awaiting_approval"), &json!(id)));
    let decide = json!({"ask_id": id, "decision": "decline"});
    client.modern_call(5, "agent_approve", decide, &json!({}), json!({})).await;
    client.answer_to(5).await;
    client.modern_call(6, "codex", touch("ben", "made"), &json!({}), json!({})).await;
    assert_eq!(client.answer_to(6).await["structuredContent"]["status"], "awaiting_approval");
    client.leave().await;
}

/// A client that has not seen the answer to its retry makes it again.
async fn a_round_that_is_made_twice_decides_once_and_one_call_has_the_result(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = Raw::start(scene.command(&[]));
    let forms = json!({ "elicitation": { "form": {} } });
    client.modern_call(1, "codex", touch("ana", "made"), &forms, json!({})).await;
    let first = client.answer_to(1).await;
    let id = first["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
    let round = |answer: Value| json!({ "inputResponses": { &*id: answer }, "requestState": first["requestState"] });
    let unclear = round(json!({"action": "accept", "content": {"Decision": "decline"}}));
    client.modern_call(2, "codex", touch("ana", "made"), &forms, unclear).await;
    let unclear = client.answer_to(2).await["structuredContent"].take();
    assert_eq!((&unclear["status"], &unclear["asks"][0]["ask_id"]), (&json!("awaiting_approval"), &json!(id)));
    assert!(unclear["notes"][0].as_str().unwrap().contains("no decision"), "{unclear}");
    assert!(!scene.project().join("made").exists());
    let accept = round(json!({"action": "accept", "content": {"decision": "accept"}}));
    for call in [3, 4] {
        client.modern_call(call, "codex", touch("ana", "made"), &forms, accept.clone()).await;
    }
    let [earlier, later] =
        [client.answer_to(3).await, client.answer_to(4).await].map(|mut answer| answer["structuredContent"].take());
    assert!(scene.project().join("made").exists());
    // The earlier may have had its result before the later came; then that is told where it is.
    let statuses = [&earlier, &later].map(|call| call["status"].as_str().unwrap());
    match statuses {
        ["refused", "completed"] | ["completed", "refused"] => {}
        _ => panic!("{earlier} {later}"),
    }
    let refused = if statuses[0] == "refused" { earlier } else { later };
    assert_eq!(refused["error"], "CALL_NOT_TAKEN", "{refused}");
    client.leave().await;
}

async fn a_tool_of_an_mcp_server_is_decided_on_too(stage: Stage) {
    let script = |request: &Request| match request.last_user_text() {
        _ if request.last_item_is_output() => spoken(request),
        call if call == "COUNT" => Reply::call("mcp__mail.pending_count", json!({})),
        _ => spoken(request),
    };
    let scene = stage.with(script).await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY hello"})).await.good();
    let env = json!({"ATM_HOME": scene.home(), "ATM_TEAM": "tests", "ATM_AGENT_MCP_SPEAKS_AS": ana.text("agent_id")});
    let mail =
        json!({"command": env!("CARGO_BIN_EXE_atm-agent-mcp"), "args": ["agent-tools"], "env": env, "required": true});
    let mut start = json!({
        "identity": "ben", "prompt": "COUNT", "approval-policy": "on-request", "model": "nobody-knows-me",
        "config": {"mcp_servers": {"mail": mail}},
    });
    let asks = ask(&server.call("codex", start.clone()).await.good());
    assert_eq!(asks["kind"], "mcp_elicitation", "{asks}");
    assert!(asks["asks"].as_str().unwrap().contains("pending_count"), "{asks}");
    decide(&server, &asks, "accept", json!({})).await.good();
    let told = result(&server, "ben").await;
    assert!(told["content"].as_str().unwrap().contains("unread"), "{told}");
    // Who cancels ends the turn.
    start["identity"] = json!("cat");
    let asked = ask(&server.call("codex", start).await.good());
    decide(&server, &asked, "cancel", json!({})).await.good();
    assert_eq!(result(&server, "cat").await["status"], "interrupted");
    scene.end(server).await;
}

async fn the_lead_is_asked_by_mail_in_claudes_form_and_its_answer_decides(stage: Stage) {
    let scene = stage.plain().await;
    std::fs::write(scene.project().join(".atm.toml"), "[plugins.atm-agent-mcp]\napprovals_to_lead = true\n").unwrap();
    let server = scene.serve(&[]).await;
    for (name, answer, made) in [
        ("ana", json!({"type": "permission_response", "subtype": "success"}), true),
        ("ben", json!({"type": "permission_response", "subtype": "error", "error": "use make"}), false),
    ] {
        server
            .call("codex", json!({"identity": name, "prompt": "SAY hello", "approval-policy": "untrusted", "sandbox": "workspace-write"}))
            .await
            .good();
        until(&server, || scene.members("tests").contains(&name.to_owned())).await;
        let reply = json!({"identity": name, "prompt": format!("RUN touch {name}")});
        ask(&server.call("codex-reply", reply).await.good());
        let asked = || scene.inbox("tests", "team-lead").into_iter().find(|mail| mail.from == name);
        until(&server, || asked().is_some()).await;
        let asked: Value = serde_json::from_str(&asked().unwrap().text).unwrap();
        assert_eq!((&asked["type"], &asked["agent_id"]), (&json!("permission_request"), &json!(name)), "{asked}");
        assert!(asked["input"]["command"].as_str().unwrap().contains(&format!("touch {name}")), "{asked}");
        let mut answer = answer;
        answer["request_id"] = asked["request_id"].clone();
        // From anybody else it decides nothing.
        scene.mail("somebody", name, &answer.to_string());
        scene.mail("team-lead", name, &answer.to_string());
        let result = result(&server, name).await;
        assert_eq!(result["status"], "completed", "{result}");
        assert_eq!(scene.project().join(name).exists(), made, "{result}");
        until(&server, || scene.unread(name) == 0).await;
        let read = server.call("agent_read", json!({"identity": name, "turns": 50})).await.good().content().to_owned();
        assert_eq!(read.matches("> Permission is").count(), 1, "only somebody's answer is text: {read}");
    }
    scene.end(server).await;
}
