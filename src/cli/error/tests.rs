//! The reference of errors: one of each kind, with its hint and its exit code.

use std::collections::HashSet;
use std::hash::Hash;
use std::io;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

use super::*;
use crate::codex::StartError;
use crate::ids::{AgentId, EntryId, MemberName, Team, TeamName};
use crate::top::TopError;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn name() -> AgentName {
    AgentName::parse("ana").unwrap()
}

fn path() -> PathBuf {
    "/PATH".into()
}

fn why() -> io::Error {
    io::Error::other("WHY")
}

fn text() -> String {
    "WHY".to_owned()
}

fn line() -> Source {
    Source::File { path: path().into(), line: 3 }
}

fn general() -> Vec<CliError> {
    vec![
        CliError::Config(ConfigError::Unreadable { path: path(), error: why() }),
        CliError::Config(ConfigError::Unreadable { path: path(), error: io::ErrorKind::NotFound.into() }),
        CliError::Config(ConfigError::Toml { at: line(), problem: text() }),
        CliError::Config(ConfigError::Value { at: line(), problem: text() }),
        CliError::Config(ConfigError::Value { at: Source::Environment("ATM_AGENT_MCP_ROLE"), problem: text() }),
        CliError::Config(ConfigError::Value { at: Source::Flag("--role"), problem: text() }),
        CliError::Config(ConfigError::NoFastModel),
        CliError::Serve(ServeError::Resume(text())),
        CliError::Serve(ServeError::NoAgent(text())),
        CliError::Serve(ServeError::Handshake(text())),
        CliError::NoSummary { name: name(), is_closed: false },
        CliError::NoSummary { name: name(), is_closed: true },
        CliError::Prune(2),
        CliError::Demo(text()),
        CliError::NoHome,
        CliError::NoDirectory(why()),
        CliError::Unreadable { path: path(), error: why() },
        CliError::Input(why()),
        CliError::Output(why()),
        CliError::Runtime(why()),
    ]
}

fn setup() -> Vec<SetupFailure> {
    vec![
        SetupFailure::NoClaude { notes: Vec::new() },
        SetupFailure::NameTaken { name: "codex".to_owned(), file: path() },
        SetupFailure::Name("a b".to_owned()),
        SetupFailure::NoShell,
        SetupFailure::Claude { command: "claude mcp add …".to_owned(), said: text() },
        SetupFailure::ClaudeHangs { command: "claude mcp add …".to_owned(), secs: 30 },
        SetupFailure::Broken { file: path(), why: text() },
        SetupFailure::Broken { file: "/PATH/.claude.json".into(), why: text() },
        SetupFailure::LeadsOut { file: path() },
        SetupFailure::Changed { file: path() },
        SetupFailure::Overtaken,
        SetupFailure::Halfway {
            stands: vec!["add the entry …".to_owned()],
            error: Box::new(SetupFailure::Changed { file: path() }),
        },
        SetupFailure::File { file: path(), error: why() },
        SetupFailure::Memory { file: path(), why: text() },
        SetupFailure::Left(2),
        SetupFailure::NotBack(2),
    ]
}

fn queue() -> Vec<QueueFailure> {
    let (id, team) = (EntryId::parse(ID).unwrap(), Team::parse("red").unwrap());
    vec![
        QueueFailure::UnknownAgent { word: "eve".to_owned(), team: team.clone(), known: vec![name()] },
        QueueFailure::UnknownEntry { id: id.clone(), team },
        QueueFailure::AlreadyDelivered(id.clone()),
        QueueFailure::AlreadyWaits(id.clone()),
        QueueFailure::Queue(QueueError::Text(text())),
        QueueFailure::Queue(QueueError::Full { dir: path(), most: 10_000 }),
        QueueFailure::Record(RosterError::Unreadable { path: path(), why: text() }),
        QueueFailure::Buried { id: id.clone(), why: text() },
        QueueFailure::Gone(id.clone()),
        QueueFailure::StillWaits { id, secs: 60.0 },
    ]
}

fn input() -> Vec<InputFailure> {
    vec![InputFailure::TooLong(1_048_576), InputFailure::NotUtf8(7)]
}

fn mail() -> Vec<MailFailure> {
    let (sam, team) = (AgentName::parse("sam").unwrap(), Team::parse("red").unwrap());
    let (eve, red) = (MemberName::parse("eve").unwrap(), TeamName::from(&team));
    let refused = [
        Refusal::nobody(&eve, "you can write to ana"),
        MailError::UnknownRecipient { to: eve.clone(), team: red.clone(), known: "ana".to_owned() }.into(),
        MailError::Oneself(eve.clone()).into(),
        MailError::SharedInbox { to: eve.clone(), other: "eve?".to_owned(), team: red.clone() }.into(),
        MailError::Message(text()).into(),
        MailError::NoTeam { team: red.clone(), config: path() }.into(),
        MailError::TeamGone(red.clone()).into(),
        MailError::NameTaken { name: eve, team: red }.into(),
        MailError::Locked { lock: path(), since: "TIME".to_owned(), seconds: 30 }.into(),
        MailError::Roster { path: path(), why: text() }.into(),
        MailError::Linked { link: path(), target: path(), why: "WHY" }.into(),
        MailError::Files { path: path(), source: why() }.into(),
    ];
    let own = [
        MailFailure::NoTeam(team.clone()),
        MailFailure::NoMember { name: sam.clone(), team: team.clone() },
        MailFailure::IsAgent(name()),
        MailFailure::IsOther { name: sam, team },
        MailFailure::IsLead(AgentName::parse("team-lead").unwrap()),
        MailFailure::Blank,
    ];
    own.into_iter().chain(refused.map(MailFailure::Refused)).collect()
}

fn attach() -> Vec<AttachFailure> {
    vec![
        AttachFailure::NoThread { agent: name() },
        AttachFailure::Ambiguous {
            word: "ana".to_owned(),
            agents: vec![AgentId::parse("01890a5d-ac96-774b-bcce-b302099a8057").unwrap(); 2],
        },
        AttachFailure::NoTerminal,
        AttachFailure::NotRunning { agent: name() },
        AttachFailure::NothingToFollow { agent: name(), command: "codex resume …".to_owned() },
        AttachFailure::NoSocket { agent: name() },
        AttachFailure::NoCodex { agent: name(), source: GuestError::Absent { socket: path(), source: why() } },
        AttachFailure::Program(StartError::NotFound { looked_for: "codex".into() }),
        AttachFailure::NoRemote { program: path(), version: Some("0.140.0".to_owned()) },
        AttachFailure::NotStarted { program: path(), source: why() },
        AttachFailure::Ended(std::process::ExitStatus::default()),
        AttachFailure::NoAnswer(why()),
    ]
}

fn top() -> Vec<TopFailure> {
    vec![
        TopFailure::NoTerminal,
        TopFailure::Dumb,
        TopFailure::Terminal(why()),
        TopFailure::Top(TopError::Drawing(text())),
    ]
}

fn all() -> Vec<(&'static str, Vec<CliError>)> {
    vec![
        ("Any command", general()),
        ("`setup`", setup().into_iter().map(CliError::from).collect()),
        ("`queue`, and whatever takes an agent", queue().into_iter().map(CliError::from).collect()),
        ("A text on stdin", input().into_iter().map(CliError::from).collect()),
        ("`mail`", mail().into_iter().map(CliError::from).collect()),
        ("`attach`", attach().into_iter().map(CliError::from).collect()),
        ("`top`", top().into_iter().map(CliError::from).collect()),
    ]
}

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\nWhat a command has to say to a person goes to stderr, what it is asked for to stdout. An error is\n\n\
         ```text\nError: what failed, with what, and why\nHint: what to do about it\n```\n\n\
         | exit code | means |\n|---|---|\n| 0 | it is done, or shown |\n| 1 | it failed |\n\
         | 2 | arguments or settings are wrong; nothing was done |\n\
         | 141 | whoever read the output has left, which is told to nobody |\n\n\
         What a tool answers a client and its model is in [What a client can rely on](../protocol.md). This page is written by a \
         test (`ATM_WRITE_DOCS=1 cargo nextest run the_reference_of_errors`). In it, WHY stands for what the system or \
         another program says.\n",
    );
    for (head, errors) in all() {
        page += &format!("\n## {head}\n\n| error | what to do | code |\n|---|---|---|\n");
        for error in errors {
            let one_line = error.to_string().split('\n').collect::<Vec<_>>().join(" ");
            let hint = error.hint().unwrap_or_default();
            page += &format!("| {} | {} | {} |\n", cell(&one_line), cell(&hint), error.kind().exit_code());
        }
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<")
}

#[test]
fn the_reference_of_errors_has_every_error_with_its_hint_and_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/errors.md");
    // How a program has ended is told in another word on Windows.
    let page = page().replace("exit code: ", "exit status: ");
    if std::env::var_os("ATM_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let is_it = std::fs::read_to_string(&path).unwrap_or_default() == page;
    assert!(is_it, "docs/reference/errors.md is not what the errors say: write it anew with ATM_WRITE_DOCS=1");
}

#[test]
fn an_error_leaves_none_of_its_causes_out() {
    let mut causes = 0;
    for error in all().into_iter().flat_map(|(_, errors)| errors) {
        let message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(why) = cause {
            assert!(message.contains(&why.to_string()), "{message:?} does not say {why:?}");
            cause = why.source();
            causes += 1;
        }
    }
    assert!(causes > 0);
}

#[test]
fn no_kind_of_error_is_missing_in_the_reference() {
    fn kinds<T: Hash + Eq>(all: impl Iterator<Item = T>) -> usize {
        all.collect::<HashSet<T>>().len()
    }
    let written = |source: &str| source.matches("#[error(").count();
    let general = general();
    // Those of the commands have lists of their own.
    let of_commands = 6;
    assert_eq!(kinds(general.iter().map(discriminant)) + of_commands, written(include_str!("../error.rs")));
    assert_eq!(kinds(setup().iter().map(discriminant)), written(include_str!("../setup/error.rs")));
    assert_eq!(kinds(queue().iter().map(discriminant)), written(include_str!("../queue/error.rs")));
    assert_eq!(kinds(input().iter().map(discriminant)), written(include_str!("../input.rs")));
    assert_eq!(kinds(mail().iter().map(discriminant)), written(include_str!("../mail/error.rs")));
    assert_eq!(kinds(attach().iter().map(discriminant)), written(include_str!("../attach/error.rs")));
    assert_eq!(kinds(top().iter().map(discriminant)), written(include_str!("../top.rs")));
}
