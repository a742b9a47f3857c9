//! An agent's own tools, in real threads; in process, for the tools are a test's.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use atm_agent_mcp::codex::{Codex, Environment, Launch, program};
use atm_agent_mcp::demo::model::{API_KEY_VAR, Reply, Request};
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{AgentName, Team};
use atm_agent_mcp::policy::ApprovalPolicy;
use atm_agent_mcp::session::{
    End, FullAccess, Handle, McpServer, NewAgent, Outcome, Roster, Setup, Stop, ThreadOptions, Toolbox, Who,
};
use serde_json::json;

use crate::stage::{Scene, Stage};
use crate::toolbox::{INTRODUCTION, TestTools};

on_each_codex! {
    an_agent_calls_its_tools_and_reads_what_they_give,
    a_model_that_writes_javascript_calls_them_too,
    of_two_agents_at_once_each_calls_as_itself,
    a_sub_agent_that_has_the_tools_calls_as_the_agent_that_began_it,
    a_sub_agent_that_writes_javascript_does_so_too,
    nobody_is_asked_whether_a_tool_may_be_called,
    the_tools_are_there_after_a_restart,
    a_tool_that_is_there_no_more_is_answered,
    an_agent_that_was_started_without_tools_is_given_the_server_that_has_them,
    a_call_that_hangs_holds_up_no_other_agent_and_ends_with_its_turn,
    a_call_that_hangs_does_not_keep_its_agent_from_being_closed,
}

/// A model with one tool, in which it writes JavaScript; in the catalogs of both versions.
pub(crate) const CODE_MODE: &str = "gpt-5.6-terra";

/// The agents of one server, without its client.
struct Agents {
    roster: Roster,
    codex: Arc<Codex>,
    project: String,
}

impl Agents {
    fn start(scene: &Scene, tools: Option<Arc<TestTools>>) -> Agents {
        let home = Home::at(scene.home());
        let team = Team::parse("tests").unwrap();
        let launch = Launch {
            program: Some(in_the_world(scene)),
            environment: Environment::default(),
            home: home.clone(),
            deadline: Duration::from_secs(60),
            pieces: false,
            overrides: &[],
        };
        let codex = Arc::new(Codex::new(launch));
        let setup = Setup {
            dir: home.team(&team),
            team,
            lead: name("team-lead"),
            default_name: name("codex"),
            limit: 10,
            full_access: FullAccess::Allowed,
            tools: tools.map(|tools| tools as Arc<dyn Toolbox>),
            approval_timeout: None,
            stall: None,
        };
        let roster = Roster::new(setup, codex.clone());
        Agents { roster, codex, project: scene.project().display().to_string() }
    }

    /// A new agent that has a model's default settings.
    fn agent(&self, called: &str) -> Handle {
        self.agent_with(called, ThreadOptions::default())
    }

    fn agent_with(&self, called: &str, options: ThreadOptions) -> Handle {
        let options = ThreadOptions { cwd: Some(self.project.clone()), ..options };
        self.roster.start(NewAgent { identity: Some(name(called)), role: None, options }).unwrap()
    }

    /// An agent of an earlier server.
    async fn again(&self, called: &str) -> Handle {
        self.roster.session(&Who::Name(name(called))).await.unwrap()
    }

    async fn end(self) {
        self.roster.park_all().await;
        self.codex.shutdown().await;
    }
}

/// Our own environment is not the world's: a script that puts Codex into it.
fn in_the_world(scene: &Scene) -> std::path::PathBuf {
    let (home, script) = (scene.home(), scene.home().join("codex-in-the-world"));
    let codex = program::find(Some(scene.codex())).unwrap();
    let text = format!(
        "#!/bin/sh\nHOME='{}' CODEX_HOME='{}' {API_KEY_VAR}=none exec '{}' \"$@\"\n",
        home.display(),
        scene.codex_home().display(),
        codex.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    script
}

fn name(text: &str) -> AgentName {
    AgentName::parse(text).unwrap()
}

async fn done(agent: &Handle, prompt: &str) -> Arc<Outcome> {
    let outcome = agent.outcome(&mut agent.turn(prompt.to_owned(), None)).await;
    assert_eq!(outcome.end, End::Completed, "{outcome:?}");
    outcome
}

async fn an_agent_calls_its_tools_and_reads_what_they_give(stage: Stage) {
    let scene = stage.plain().await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all())));
    let ana = agents.agent("ana");
    let said = done(&ana, r#"CALL atm.echo {"text":"hi"}"#).await;
    assert_eq!(said.text, format!(r#"ana {} said {{"text":"hi"}}"#, ana.agent()));
    let asked = scene.asked_last();
    assert!(asked.tool_names().iter().any(|tool| tool == "atm.hang"), "{:?}", asked.tool_names());
    assert_eq!(asked.outputs(), [said.text.as_str()], "in the transcript");
    assert!(asked.texts("developer").join("\n").contains(INTRODUCTION));
    assert_eq!(done(&ana, "CALL atm.fail {}").await.text, "Error: ana has failed");
    agents.end().await;
}

async fn a_model_that_writes_javascript_calls_them_too(stage: Stage) {
    let scene = stage.plain().await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all())));
    let options = ThreadOptions { model: Some(CODE_MODE.to_owned()), ..ThreadOptions::default() };
    let ana = agents.agent_with("ana", options);
    let said = done(&ana, r#"CALL exec "text(await tools.atm__echo({text: 'hi'}))""#).await;
    assert_eq!(said.text.trim(), format!(r#"ana {} said {{"text":"hi"}}"#, ana.agent()));
    assert!(
        done(&ana, r#"CALL exec "text(await tools.atm__fail({}))""#).await.text.contains("\nError: ana has failed")
    );
    agents.end().await;
}

async fn of_two_agents_at_once_each_calls_as_itself(stage: Stage) {
    let scene = stage.plain().await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all())));
    let (ana, eva) = (agents.agent("ana"), agents.agent("eva"));
    let forged = r#"CALL atm.echo {"agent":"eva","from":"eva","identity":"team-lead"}"#;
    for _ in 0..5 {
        let (of_ana, of_eva) = tokio::join!(done(&ana, forged), done(&eva, forged));
        assert!(of_ana.text.starts_with(&format!("ana {} said", ana.agent())), "{of_ana:?}");
        assert!(of_eva.text.starts_with(&format!("eva {} said", eva.agent())), "{of_eva:?}");
    }
    agents.end().await;
}

/// Sees who the sub-agent of an agent `ana` calls as. A sub-agent has the tools if it is given the history of its agent.
async fn calls_from_below(stage: Stage, model: &str, begin: Reply, call: Reply) {
    let script = move |request: &Request| {
        let input = request.body["input"].as_array().unwrap();
        let is_below = input.iter().any(|item| item["type"] != "function_call" && item.to_string().contains("BELOW"));
        match (is_below, request.outputs().last()) {
            (true, Some(output)) if output.contains("said") => Reply::say("done"),
            (true, _) => call.clone(),
            (false, None) => begin.clone(),
            (false, Some(_)) => Reply::say("begun"),
        }
    };
    let scene = stage.with(script).await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all())));
    let ana = agents.agent_with("ana", ThreadOptions { model: Some(model.to_owned()), ..ThreadOptions::default() });
    done(&ana, "begin another").await;
    let mut count = 1;
    let said = loop {
        scene.model().arrived(count).await;
        let outputs = scene.model().requests()[count - 1].outputs();
        if let Some(said) = outputs.into_iter().find(|output| output.contains("said")) {
            break said;
        }
        count += 1;
    };
    assert_eq!(said.lines().last().unwrap(), format!("ana {} said {{}}", ana.agent()));
    agents.end().await;
}

async fn a_sub_agent_that_has_the_tools_calls_as_the_agent_that_began_it(stage: Stage) {
    let begin = Reply::call("multi_agent_v1.spawn_agent", json!({"message": "BELOW", "fork_context": true}));
    calls_from_below(stage, "a-model-of-no-catalog", begin, Reply::call("atm.echo", json!({}))).await;
}

async fn a_sub_agent_that_writes_javascript_does_so_too(stage: Stage) {
    let message = json!({"task_name": "below", "message": "BELOW", "fork_turns": "all"});
    let begin = Reply::call("collaboration.spawn_agent", message);
    let call = Reply::call("exec", json!("text(await tools.atm__echo({}))"));
    calls_from_below(stage, CODE_MODE, begin, call).await;
}

async fn nobody_is_asked_whether_a_tool_may_be_called(stage: Stage) {
    let scene = stage.plain().await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all())));
    for approval_policy in ApprovalPolicy::ALL {
        let options = ThreadOptions { approval_policy: Some(approval_policy), ..ThreadOptions::default() };
        let agent = agents.agent_with(&format!("under-{approval_policy}"), options);
        let said = done(&agent, "CALL atm.echo {}").await;
        assert!(said.text.contains("said {}") && said.notes.is_empty(), "{approval_policy}: {said:?}");
    }
    agents.end().await;
}

async fn the_tools_are_there_after_a_restart(stage: Stage) {
    let scene = stage.plain().await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all())));
    done(&agents.agent("ana"), "CALL atm.echo {}").await;
    agents.end().await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all())));
    let said = done(&agents.again("ana").await, r#"CALL atm.echo {"text":"again"}"#).await;
    assert!(said.text.starts_with("ana ") && said.text.ends_with(r#"said {"text":"again"}"#), "{said:?}");
    agents.end().await;
}

async fn a_tool_that_is_there_no_more_is_answered(stage: Stage) {
    let scene = stage.plain().await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all())));
    let ana = agents.agent("ana");
    let never = done(&ana, "CALL atm.never {}").await.text.clone();
    assert!(never.contains("unsupported call"), "of a name that the thread never had Codex says so itself: {never}");
    agents.end().await;
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::new(&["echo"]))));
    let said = done(&agents.again("ana").await, "CALL atm.fail {}").await;
    assert_eq!(said.text, "Error: There is no tool fail. Those of atm: echo.");
    agents.end().await;
    let agents = Agents::start(&scene, None);
    let said = done(&agents.again("ana").await, "CALL atm.echo {}").await;
    assert!(said.text.contains("gives its agents none"), "{said:?}");
    agents.end().await;
}

async fn an_agent_that_was_started_without_tools_is_given_the_server_that_has_them(stage: Stage) {
    let scene = stage.plain().await;
    let agents = Agents::start(&scene, None);
    done(&agents.agent("ana"), "SAY one").await;
    agents.end().await;

    // A server that says who it is for, and ends.
    let pipe = scene.home().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let write = format!("echo \"$AGENT\" > '{}'", pipe.display());
    let server = McpServer { command: "sh".to_owned(), args: vec!["-c".to_owned(), write], env: [].into() };
    let agents = Agents::start(&scene, Some(Arc::new(TestTools::all().with_server(server))));
    let for_whom = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe));
    assert_eq!(done(&agents.again("ana").await, "SAY two").await.text, "two");
    assert_eq!(for_whom.await.unwrap().unwrap(), "ana\n");
    let names = scene.asked_last().tool_names();
    assert!(!names.iter().any(|tool| tool.starts_with("atm")), "it cannot have them otherwise: {names:?}");
    agents.end().await;
}

async fn a_call_that_hangs_holds_up_no_other_agent_and_ends_with_its_turn(stage: Stage) {
    let scene = stage.plain().await;
    let tools = Arc::new(TestTools::all());
    let agents = Agents::start(&scene, Some(tools.clone()));
    let (ana, eva) = (agents.agent("ana"), agents.agent("eva"));
    let mut hangs = ana.turn("CALL atm.hang {}".to_owned(), None);
    tools.hanging(1).await;
    done(&eva, "CALL atm.echo {}").await;
    ana.interrupt().await;
    assert_eq!(ana.outcome(&mut hangs).await.end, End::Stopped(Stop::Interrupted));
    tools.hanging(0).await;
    assert!(done(&ana, "CALL atm.echo {}").await.text.starts_with("ana "), "the late answer is not taken for this one");
    agents.end().await;
}

async fn a_call_that_hangs_does_not_keep_its_agent_from_being_closed(stage: Stage) {
    let scene = stage.plain().await;
    let tools = Arc::new(TestTools::all());
    let agents = Agents::start(&scene, Some(tools.clone()));
    let ana = agents.agent("ana");
    let mut hangs = ana.turn("CALL atm.hang {}".to_owned(), None);
    tools.hanging(1).await;
    agents.roster.close(ana.agent()).await.unwrap().unwrap();
    assert_eq!(ana.outcome(&mut hangs).await.end, End::Closed);
    tools.hanging(0).await;
    agents.end().await;
}
