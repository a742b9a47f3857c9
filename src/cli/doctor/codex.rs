//! What a running Codex of the user's says: its features, its login, its MCP servers, and what its model answers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::configuration;
use super::finding::{Check, Finding};
use super::programs;
use super::progress::Progress;
use crate::cli::shell;
use crate::codex::probe::{Answer, Login, McpEnd, McpStart, OwnSetup, Probe};
use crate::codex::{CodexError, Environment, Launch, StartError, Transport};
use crate::home::Home;
use crate::journal::masked;

/// How long Codex may take to start and answer.
const START_DEADLINE: Duration = Duration::from_secs(15);
/// How long its MCP servers are waited for.
const MCP_LIMIT: Duration = Duration::from_secs(30);
/// The first turn of a thread waits so long for them (0.169.0).
const MCP_FAST: Duration = Duration::from_secs(1);
/// How long the real model may take.
const LIVE_LIMIT: Duration = Duration::from_secs(90);
/// What it is asked.
const QUESTION: &str = "Answer with one word, and use no tool: pong";
const UPDATE: &str = "npm install -g @openai/codex@latest";
/// Its plugins bring nothing that is looked at here, and it would ask for their list on the network (0.144.6 and 0.169.0).
const LOOKS_ONLY: [&str; 1] = ["features.plugins=false"];
/// How much of what others say is shown, in characters.
const SAID_MAX: usize = 300;

/// What every agent needs of the protocol, beside a thread and a turn.
const NEEDED: [&str; 6] = [
    "thread/resume",
    "thread/turns/list",
    "thread/inject_items",
    "thread/backgroundTerminals/clean",
    "turn/interrupt",
    "turn/steer",
];

/// Which Codex is looked at, and how.
pub(super) struct Subject<'a> {
    pub(super) program: &'a Path,
    /// What the user calls it.
    pub(super) name: &'a Path,
    pub(super) environment: &'a Environment,
    /// Where agents would work.
    pub(super) cwd: &'a str,
    /// Whether the real model is asked.
    pub(super) live: bool,
    pub(super) progress: &'a Progress,
}

/// A Codex that is looked at, in a directory apart: a start in the user's own home would clear up what dead servers left there,
/// and that is for --fix.
pub(super) struct Running {
    probe: Probe,
    _apart: TempDir,
}

impl Running {
    /// Ends it.
    pub(super) async fn end(self) {
        self.probe.end().await;
    }
}

/// Starts it, and asks it; whoever gives up in the middle finds it in `running`, and ends it.
pub(super) async fn look(subject: Subject<'_>, running: &mut Option<Running>) -> Vec<Finding> {
    let apart = match tempfile::Builder::new().prefix("atm-doctor-").tempdir() {
        Ok(apart) => apart,
        Err(error) => {
            let what = format!("no temporary directory can be made in {}: {error}", std::env::temp_dir().display());
            return vec![
                Check::Codex.error(what).because("Codex needs one too").mend("free some space, or set TMPDIR"),
            ];
        }
    };
    let launch = Launch {
        program: Some(subject.program.to_owned()),
        environment: subject.environment.clone(),
        home: Home::at(apart.path()),
        deadline: START_DEADLINE,
        pieces: false,
        overrides: &LOOKS_ONLY,
    };
    let since = Instant::now();
    let probe = match Probe::start(&launch).await {
        Ok(probe) => probe,
        Err(error) => {
            let mut found = vec![not_started(&error, codex_home())];
            found.extend(unknown(&found));
            return found;
        }
    };
    let mut found = vec![started(&probe, since.elapsed())];
    let Running { probe, .. } = running.insert(Running { probe, _apart: apart });
    if let Err(error) = ask(probe, &subject, &mut found).await {
        found.push(unanswered(&error));
    }
    found.extend(unknown(&found));
    found
}

async fn ask(probe: &mut Probe, subject: &Subject<'_>, found: &mut Vec<Finding>) -> Result<(), CodexError> {
    let mut unknown = Vec::new();
    for method in NEEDED {
        if !probe.knows(method).await? {
            unknown.push(method);
        }
    }
    let features = Features {
        unknown,
        tools: probe.takes_tools().await?,
        queue: probe.knows("thread/queue/add").await?,
        socket: probe.info().transport == Transport::Socket,
        remote: programs::can_attach(subject.program, subject.environment).await,
    };
    found.extend(features.findings());
    let login = probe.login().await?;
    let setup = match probe.setup(subject.cwd).await {
        Ok(setup) => setup,
        // What it says of a login is said without its configuration then, and no thread can be opened.
        Err(CodexError::Refused { message, .. }) => {
            found.extend(configuration::refused(&message, probe.warnings()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let is_set = |name: &str| std::env::var_os(name).is_some() && !subject.environment.lacks(name.as_ref());
    found.push(judge_login(&login, &setup, subject.name, is_set));
    found.extend(probe.warnings().iter().map(configuration::warned));
    let opened = match probe.open_thread(subject.cwd).await {
        Ok(opened) => opened,
        Err(error) => {
            let finding = Check::Codex.error(format!("no thread can be opened in {}: {error}", subject.cwd));
            found.push(finding.because("an agent is a thread").mend("look into config.toml of Codex"));
            return Ok(());
        }
    };
    let servers = setup.mcp_servers();
    let starts = probe.mcp_starts(&opened.thread.id, &servers, MCP_LIMIT);
    found.extend(judge_servers(&subject.progress.during("MCP servers", starts).await));
    if subject.live {
        let since = Instant::now();
        let answer = probe.ask(&opened, QUESTION, LIVE_LIMIT);
        found.push(judge_answer(subject.progress.during("the real model", answer).await, since.elapsed()));
    }
    Ok(())
}

fn started(probe: &Probe, took: Duration) -> Finding {
    let home = probe.codex_home().map(|home| format!("; its files are in {}", home.display())).unwrap_or_default();
    let version = &probe.info().version;
    Check::Codex.ok(format!("Codex {version} starts, and answered after {}{home}", seconds(took)))
}

/// The directory that the user has named for Codex's files, and that is not there: Codex does not make it.
fn codex_home() -> Option<PathBuf> {
    let named = std::env::var_os("CODEX_HOME").filter(|named| !named.is_empty()).map(PathBuf::from);
    named.filter(|home| !home.is_dir())
}

fn not_started(error: &StartError, missing: Option<PathBuf>) -> Finding {
    let finding = Check::Codex.error(error.to_string()).because("every server starts one, and its agents live in it");
    finding.mend(match missing {
        Some(home) => format!("mkdir -p {}, or unset CODEX_HOME", shell::path(&home)),
        None => "codex app-server --help".to_owned(),
    })
}

fn unanswered(error: &CodexError) -> Finding {
    let finding = Check::Codex.error(error.to_string()).because("agents ask it the same");
    finding.mend(format!("atm-agent-mcp doctor, once more; if that says the same: {UPDATE}"))
}

/// What nobody could look at is said to be unknown.
fn unknown(found: &[Finding]) -> Vec<Finding> {
    let matters = [
        (Check::Login, "without a login every turn fails"),
        (Check::McpServers, "each thread starts those of Codex's configuration, and its first turn waits for them"),
    ];
    let is_open = |check: Check| found.iter().all(|finding| finding.check != check);
    let unknown = matters.into_iter().filter(|(check, _)| is_open(*check)).map(|(check, why)| {
        let finding = check.warning("not known: Codex could not be asked").because(why);
        finding.mend("mend what is wrong with Codex; then atm-agent-mcp doctor, once more")
    });
    unknown.collect()
}

/// What of the protocol this Codex has.
struct Features {
    /// What every agent needs and it does not know.
    unknown: Vec<&'static str>,
    tools: bool,
    queue: bool,
    socket: bool,
    remote: bool,
}

impl Features {
    fn findings(&self) -> Vec<Finding> {
        let or = |has: bool, yes: &str, no: &str, why: &str| match has {
            true => Check::Codex.ok(yes),
            false => Check::Codex.warning(no).because(why).mend(UPDATE),
        };
        let unknown = self.unknown.join(", ");
        vec![
            match self.unknown.is_empty() {
                true => Check::Codex.ok("steer, interrupt, resume and history: known"),
                false => Check::Codex
                    .error(format!("this Codex does not know {unknown}"))
                    .because("agents are made of these")
                    .mend(UPDATE),
            },
            or(
                self.tools,
                "dynamic tools: known",
                "dynamic tools: not known",
                "agents have their mail from an MCP server of their own then, which is started for each thread",
            ),
            or(
                self.socket,
                "socket: it listens on a private one",
                "socket: it listens on none",
                "nobody can attach to a running agent",
            ),
            or(
                self.remote,
                "attach: its UI can go to a running agent",
                "attach: its UI cannot go to a running agent (`codex resume` has no --remote)",
                "attach works with --read-only, and top without its key a",
            ),
            Check::Codex.ok(match self.queue {
                true => "queue: it has one of its own; agents use ours",
                false => "queue: it has none of its own, and none is needed",
            }),
        ]
    }
}

fn judge_login(login: &Login, setup: &OwnSetup, codex: &Path, is_set: impl Fn(&str) -> bool) -> Finding {
    let provider = setup.model_provider.as_deref().unwrap_or("openai");
    match (&login.account, login.requires_openai_auth, setup.key_variable()) {
        (None, true, _) => Check::Login
            .error("the user is not logged in, says Codex")
            .because("every turn would fail")
            .mend(format!("{} login", shell::path(codex))),
        (None, false, Some(variable)) if !is_set(variable) => Check::Login
            .error(format!("the model provider {provider} reads its key from {variable}, which is not set here"))
            .because("every turn would fail; what a client starts has that client's environment")
            .mend(format!("set {variable}, also where your MCP client is started")),
        (None, false, _) => Check::Login.ok(format!("the model provider {provider} needs no login with OpenAI")),
        (Some(account), _, _) => {
            let plan = account.plan_type.as_ref().map(|plan| format!(", plan {plan}")).unwrap_or_default();
            let kind = match account.kind.as_str() {
                "apiKey" => "with an API key",
                "chatgpt" => "with ChatGPT",
                other => return Check::Login.ok(format!("logged in ({other}{plan}), says Codex")),
            };
            Check::Login.ok(format!("logged in {kind}{plan}, says Codex"))
        }
    }
}

fn judge_servers(starts: &[McpStart]) -> Vec<Finding> {
    if starts.is_empty() {
        return vec![Check::McpServers.ok("none: threads start without delay")];
    }
    starts.iter().map(judge_server).collect()
}

fn judge_server(start: &McpStart) -> Finding {
    let McpStart { name, took, end } = start;
    let slow = "each thread starts one of its own: an agent's first turn waits for it, and may begin without its tools";
    let off = format!(
        "set `enabled = false` under [mcp_servers.{name}] in config.toml of Codex, or: codex mcp remove {name}"
    );
    let took = seconds(*took);
    match end {
        McpEnd::Ready if start.took <= MCP_FAST => {
            Check::McpServers.ok(format!("{name}: ready after {took}, in each thread"))
        }
        McpEnd::Ready => Check::McpServers.warning(format!("{name}: ready after {took} only")).because(slow).mend(off),
        McpEnd::Failed(why) => {
            Check::McpServers.warning(format!("{name}: failed after {took}: {}", shown(why))).because(slow).mend(off)
        }
        McpEnd::Pending => Check::McpServers.warning(format!("{name}: not ready after {took}")).because(slow).mend(off),
    }
}

fn judge_answer(answer: Result<Answer, String>, took: Duration) -> Finding {
    let took = seconds(took);
    match answer {
        Ok(Answer { text, model }) => {
            let model = model.unwrap_or_else(|| "the model".to_owned());
            Check::Live.ok(format!("{model} answered after {took}: {}", shown(text.trim())))
        }
        Err(why) => Check::Live
            .error(format!("no answer of the real model, after {took}: {}", shown(&why)))
            .because("every turn of an agent would end so")
            .mend("codex exec \"say pong\", to see it in Codex itself"),
    }
}

/// What others say: no secrets, no end.
pub(super) fn shown(said: &str) -> String {
    masked(said, SAID_MAX)
}

pub(super) fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f32())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use serde_json::{Value, json};

    fn login(login: Value, config: Value, set: &[&str]) -> (Level, String) {
        let login: Login = serde_json::from_value(login).unwrap();
        let setup: OwnSetup = serde_json::from_value(config).unwrap();
        let finding = judge_login(&login, &setup, Path::new("/c"), |name| set.contains(&name));
        (finding.level, format!("{} | {}", finding.what, finding.mend().unwrap_or_default()))
    }

    #[test]
    fn whether_the_user_is_logged_in_is_what_codex_says() {
        let (level, what) = login(json!({"account": null, "requiresOpenaiAuth": true}), json!({}), &[]);
        assert!(level == Level::Error && what.ends_with("| /c login"), "{what}");
        let (level, what) = login(json!({"account": {"type": "apiKey"}, "requiresOpenaiAuth": true}), json!({}), &[]);
        assert!(level == Level::Ok && what.contains("with an API key"), "{what}");
        let chatgpt = json!({"type": "chatgpt", "email": "a@b", "planType": "plus"});
        let (level, what) = login(json!({"account": chatgpt, "requiresOpenaiAuth": true}), json!({}), &[]);
        assert!(level == Level::Ok && what.contains("with ChatGPT, plan plus") && !what.contains("a@b"), "{what}");
    }

    #[test]
    fn a_provider_of_ones_own_needs_the_variable_of_its_key() {
        let none = json!({"account": null, "requiresOpenaiAuth": false});
        let own = json!({"model_provider": "mine", "model_providers": {"mine": {"env_key": "MY_KEY"}}});
        let (level, what) = login(none.clone(), own.clone(), &[]);
        assert!(level == Level::Error && what.contains("mine reads its key from MY_KEY"), "{what}");
        assert_eq!(login(none.clone(), own, &["MY_KEY"]).0, Level::Ok);
        assert_eq!(login(none, json!({"model_provider": "local", "mcp_servers": null}), &[]).0, Level::Ok);
    }

    #[test]
    fn servers_that_slow_each_thread_are_named_with_their_time() {
        let start = |secs: f32, end| McpStart { name: "web".into(), took: Duration::from_secs_f32(secs), end };
        let told = |start| judge_servers(&[start]).pop().map(|finding| (finding.level, finding.what)).unwrap();
        let text = |level, what: &str| (level, what.to_owned());
        assert_eq!(told(start(0.5, McpEnd::Ready)), text(Level::Ok, "web: ready after 0.5 s, in each thread"));
        assert_eq!(told(start(3.0, McpEnd::Ready)), text(Level::Warning, "web: ready after 3.0 s only"));
        assert_eq!(told(start(9.0, McpEnd::Failed("no".into()))), text(Level::Warning, "web: failed after 9.0 s: no"));
        assert_eq!(told(start(30.0, McpEnd::Pending)), text(Level::Warning, "web: not ready after 30.0 s"));
        assert_eq!(judge_servers(&[])[0].level, Level::Ok);
    }

    #[test]
    fn what_a_codex_lacks_is_as_bad_as_what_depends_on_it() {
        let worst = |features: Features| features.findings().iter().map(|finding| finding.level).max().unwrap();
        let all = || Features { unknown: vec![], tools: true, queue: true, socket: true, remote: true };
        assert_eq!(worst(all()), Level::Ok);
        assert_eq!(worst(Features { queue: false, ..all() }), Level::Ok);
        assert_eq!(worst(Features { socket: false, ..all() }), Level::Warning);
        assert_eq!(worst(Features { unknown: vec!["turn/steer"], ..all() }), Level::Error);
    }
}
