//! What is planned, by what is wished and what is there.

use super::*;

const HERE: &str = "/home/u/p";
const CLAUDE: &str = "/home/u/.claude.json";

fn entry(file: &str, holder: Holder, name: &str, line: &str) -> Entry {
    let mut words = line.split(' ').map(str::to_owned);
    let launch = words.next().map(|command| Launch { command, args: words.collect() });
    Entry { spot: Spot { file: file.into(), holder, name: name.to_owned() }, launch, variables: Vec::new() }
}

fn local(project: &str, name: &str, line: &str) -> Entry {
    entry(CLAUDE, Holder::Local { project: project.to_owned() }, name, line)
}

fn user(name: &str, line: &str) -> Entry {
    entry(CLAUDE, Holder::User, name, line)
}

fn shared(name: &str, line: &str) -> Entry {
    entry("/home/u/p/.mcp.json", Holder::Project, name, line)
}

fn wish(registration: Registration) -> Wish {
    Wish { name: "codex".to_owned(), registration, keep_lost: false, mcp_json: false }
}

fn planned(wish: &Wish, entries: Vec<Entry>, has_claude: bool) -> Result<Plan, SetupFailure> {
    let found = Found { entries, unread: Vec::new() };
    let program = Program { path: "/opt/atm-agent-mcp".to_owned(), is_on_path: true };
    clients(
        wish,
        &Seen {
            cwd: HERE.as_ref(),
            here: &Here::at(HERE.as_ref()),
            found: &found,
            gone: &["/gone/atm-agent-mcp".to_owned()],
            outside: &["/out/.mcp.json".into()],
            claude_file: CLAUDE.as_ref(),
            has_claude,
            program: &program,
        },
    )
}

/// The steps in a few words.
fn steps(wish: &Wish, entries: Vec<Entry>) -> Vec<String> {
    let plan = planned(wish, entries, true).unwrap();
    let told = |step: &Step| match step {
        Step::Register(register) => format!("claude {}", register.add().join(" ")),
        Step::Replace { spot, after, .. } => {
            format!("{} {}: {} {}", spot.name, spot.holder, after.command, after.args.join(" "))
        }
        Step::Enter { spot, launch, .. } => format!("{} gets {}: {}", spot.file.display(), spot.name, launch.command),
        Step::Write { file, .. } => file.display().to_string(),
    };
    plan.steps.iter().map(told).collect()
}

#[test]
fn what_lacks_is_registered_for_the_user_or_in_the_scope_that_is_asked_for() {
    let anywhere = wish(Registration::Anywhere);
    assert_eq!(steps(&anywhere, vec![]), ["claude mcp add --scope user codex -- atm-agent-mcp serve"]);
    let local = Wish { name: "c".to_owned(), ..wish(Registration::At(Scope::Local)) };
    assert_eq!(steps(&local, vec![user("c", "x")]), ["claude mcp add --scope local c -- atm-agent-mcp serve"]);
}

#[test]
fn what_is_registered_is_not_registered_again() {
    let ours = "/usr/bin/atm-agent-mcp serve --team t";
    for seen in [user("any", ours), shared("any", ours), local("/home/u/p", "any", ours), local("/home/u", "any", ours)]
    {
        assert_eq!(steps(&wish(Registration::Anywhere), vec![seen]), [""; 0]);
    }
    let add = ["claude mcp add --scope user codex -- atm-agent-mcp serve"];
    assert_eq!(
        steps(&wish(Registration::Anywhere), vec![local("/home/u/q", "codex", ours)]),
        add,
        "not seen from here"
    );
    assert_eq!(steps(&wish(Registration::At(Scope::User)), vec![shared("codex", ours)]), add, "another scope");
}

#[test]
fn the_lost_server_is_replaced_wherever_it_is_and_its_name_kept() {
    let lost = "codex mcp-server";
    let desktop = entry("/d.json", Holder::Desktop, "d", lost);
    let entries =
        vec![user("a", lost), local("/home/u/q", "b", lost), shared("c", lost), desktop, user("e", "codex app-server")];
    let replaced = [
        "a for you in every project: atm-agent-mcp serve",
        "b for you in /home/u/q: atm-agent-mcp serve",
        "c for everybody who has the project: atm-agent-mcp serve",
        "d for Claude Desktop: /opt/atm-agent-mcp serve",
    ];
    assert_eq!(
        steps(&wish(Registration::Anywhere), entries.clone()),
        replaced,
        "and nothing is registered beside them"
    );
    let keep = Wish { keep_lost: true, ..wish(Registration::Anywhere) };
    assert_eq!(steps(&keep, entries), ["claude mcp add --scope user codex -- atm-agent-mcp serve"]);
    let elsewhere = steps(&wish(Registration::Anywhere), vec![local("/home/u/q", "b", lost)]);
    assert_eq!(elsewhere.len(), 2, "the one of another project is not seen from here: {elsewhere:?}");
}

#[test]
fn a_name_that_another_server_has_is_not_taken() {
    let taken = planned(&wish(Registration::Anywhere), vec![user("codex", "other")], true);
    assert!(matches!(taken, Err(SetupFailure::NameTaken { .. })), "{taken:?}");
    let enter = Wish { mcp_json: true, ..wish(Registration::None) };
    let taken = planned(&enter, vec![shared("codex", "other")], true);
    assert!(matches!(taken, Err(SetupFailure::NameTaken { .. })), "{taken:?}");
}

#[test]
fn an_entry_of_ours_whose_program_is_gone_is_replaced_with_its_arguments() {
    let replaced = ["mine for you in every project: atm-agent-mcp serve --fast"];
    let gone = user("mine", "/gone/atm-agent-mcp serve --fast");
    for wish in [wish(Registration::Anywhere), Wish { keep_lost: true, ..wish(Registration::At(Scope::User)) }] {
        assert_eq!(steps(&wish, vec![gone.clone()]), replaced);
    }
    let enter = Wish { mcp_json: true, ..wish(Registration::None) };
    let shared = shared("mine", "/gone/atm-agent-mcp serve");
    assert_eq!(steps(&enter, vec![shared]), ["mine for everybody who has the project: atm-agent-mcp serve"]);
}

#[test]
fn what_cannot_be_replaced_is_for_the_user_to_do_and_nothing_is_registered_beside_it() {
    let by_hand = |entry: Entry| {
        let plan = planned(&wish(Registration::Anywhere), vec![entry], true).unwrap();
        assert!(plan.steps.is_empty(), "{plan:?}");
        plan.by_hand.concat()
    };
    let line = Launch { command: "bash".to_owned(), args: vec!["-c".to_owned(), "codex mcp-server".to_owned()] };
    let said = by_hand(Entry { launch: Some(line), ..user("codex", "x") });
    assert!(said.starts_with("`codex` in /home/u/.claude.json (for you in every project) starts"), "{said}");
    assert!(said.ends_with(r#"write there "command": "atm-agent-mcp", "args": ["serve"]"#), "{said}");
    let twice = Entry { variables: vec!["A".to_owned()], ..user("codex", "env A=1 codex mcp-server") };
    assert!(by_hand(twice).contains("a variable twice"));
    let outside = entry("/out/.mcp.json", Holder::Project, "codex", "codex mcp-server");
    assert!(by_hand(outside).contains("a link that leads out of the repository"));
}

#[test]
fn an_mcp_json_gets_an_entry_once_and_without_claude() {
    let enter = Wish { mcp_json: true, ..wish(Registration::None) };
    let plan = planned(&enter, vec![], false).unwrap();
    assert!(matches!(&plan.steps[..], [Step::Enter { is_new: true, .. }]), "{plan:?}");
    assert_eq!(steps(&enter, vec![shared("x", "atm-agent-mcp serve")]), [""; 0]);
    let replaced = ["codex for everybody who has the project: atm-agent-mcp serve"];
    assert_eq!(steps(&enter, vec![shared("codex", "codex mcp-server")]), replaced);
}

#[test]
fn without_claude_what_can_be_done_is_done_and_the_rest_is_said() {
    let nothing = planned(&wish(Registration::Anywhere), vec![], false);
    assert!(matches!(nothing, Err(SetupFailure::NoClaude { .. })), "{nothing:?}");
    let seen = planned(&wish(Registration::Anywhere), vec![user("a", "codex mcp-server")], false).unwrap();
    assert_eq!(seen.steps.len(), 1);
    let unseen = vec![local("/home/u/q", "b", "codex mcp-server")];
    let plan = planned(&wish(Registration::Anywhere), unseen, false).unwrap();
    assert!(plan.steps.len() == 1 && plan.notes.iter().any(|note| note.contains("not on PATH")), "{plan:?}");
}
