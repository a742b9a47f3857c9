//! The screen as it is seen, and what its keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use serde_json::{Value, json};

use super::asking::Asked;
use super::live::News;
use super::look::Seen;
use super::model::{Drawn, Model, Row, Whom};
use super::update::{Effect, Input};
use super::view::{Colours, draw};
use crate::ids::{AgentId, AgentName, Team, ThreadId, TurnId};
use crate::journal::Told;
use crate::session::{Ask, RequestId, ThreadEvent};

mod deciding;
mod naming;
mod typing;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap() + SignedDuration::from_secs(secs)
}

/// Two hours east.
fn here(secs: i64) -> Zoned {
    at(secs).to_zoned(TimeZone::fixed(jiff::tz::offset(2)))
}

fn id(n: usize) -> AgentId {
    AgentId::parse(&format!("01a20214-0000-7000-8000-00000000000{n}")).unwrap()
}

fn row(n: usize, name: &str, runs: bool) -> Row {
    Row {
        team: Team::parse("red").unwrap(),
        agent: id(n),
        name: AgentName::parse(name).unwrap(),
        runs,
        thread: Some(ThreadId::parse(&format!("thread-{n}")).unwrap()),
        socket: Some("/run/s".into()),
        model: Some("gpt-5.5".to_owned()),
        tokens: Some(4321),
        begun: at(-9000),
        opened: at(-9000),
        last_active: at(-7200),
        waiting: 0,
        oldest: None,
        unread: 0,
    }
}

fn noted(secs: i64, agent: &str, action: &str) -> (Team, Told) {
    let line =
        json!({"at": at(secs), "agent": agent, "who": "team-lead", "action": action, "text": "do it", "result": "ok"});
    (Team::parse("red").unwrap(), Told::parse(&line.to_string()).unwrap())
}

fn heard(n: usize, event: ThreadEvent) -> Input {
    Input::News(News::Heard(id(n), Box::new(event)))
}

fn item(item: Value) -> crate::session::Item {
    serde_json::from_value(item).unwrap()
}

fn turn() -> TurnId {
    TurnId::parse("turn-1").unwrap()
}

fn asks(n: usize) -> Input {
    asks_to_run(n, 0, "touch made")
}

fn asks_to_run(n: usize, request: i64, command: &str) -> Input {
    let ask = Ask::Command { command: command.into(), cwd: None, reason: Some("it is needed".into()) };
    let asked = Asked { request: RequestId::Number(request), ask, item: None };
    Input::News(News::Asked(id(n), asked, Some(turn())))
}

/// Three agents: ana works, ben asks, cat is away and has mail and texts waiting.
fn team() -> Model {
    let mut model = Model::new("team red".into(), false, 1000, here(0));
    let cat = Row { waiting: 3, oldest: Some(at(-720)), unread: 2, ..row(3, "cat", false) };
    let seen = Seen {
        rows: vec![row(1, "ana", true), row(2, "ben", true), cat],
        closed: 1,
        unreadable: 0,
        noted: vec![
            noted(66, "ana", "codex"),
            noted(68, "ana", "codex"),
            noted(73, "ana", "codex"),
            noted(-9, "cat", "send"),
        ],
    };
    model.update(Input::Seen(seen));
    for n in [1, 2] {
        model.update(Input::News(News::Entered(id(n), None)));
        model.update(heard(n, ThreadEvent::TurnStarted(turn())));
    }
    for told in [
        json!({"type": "userMessage", "content": [{"type": "text", "text": "make the test pass"}]}),
        json!({"type": "commandExecution", "command": "cargo test", "aggregatedOutput": "1 failed\u{1b}[2J\n"}),
        json!({"type": "agentMessage", "text": "One test fails. ".repeat(8)}),
    ] {
        model.update(heard(1, ThreadEvent::ItemCompleted { turn: turn(), item: item(told) }));
    }
    let runs = item(json!({"type": "commandExecution", "command": "cargo test --workspace"}));
    model.update(heard(1, ThreadEvent::ItemStarted { turn: turn(), item: runs }));
    let count =
        json!({"total": {"totalTokens": 123_456}, "last": {"totalTokens": 64_600}, "modelContextWindow": 258_400});
    let usage = serde_json::from_value(count).unwrap();
    model.update(heard(1, ThreadEvent::Usage { turn: turn(), usage }));
    model.update(asks(2));
    model.update(Input::Time(at(75)));
    model
}

fn seen(rows: Vec<Row>) -> Input {
    Input::Seen(Seen { rows, closed: 0, unreadable: 0, noted: vec![] })
}

fn drawn(model: &Model, (width, height): (u16, u16)) -> (String, Drawn) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut drawn = Drawn::default();
    terminal.draw(|frame| drawn = draw(frame, model, Colours::Some)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
    ((0..height).map(line).collect(), drawn)
}

fn picture(model: &Model, size: (u16, u16)) -> String {
    drawn(model, size).0
}

/// The picture as somebody sees it before he presses a key.
fn shows(model: &mut Model, size: (u16, u16)) -> String {
    let (picture, drawn) = drawn(model, size);
    model.was_drawn(drawn);
    picture
}

fn key(code: KeyCode) -> Input {
    Input::Key(code.into())
}

fn types(model: &mut Model, text: &str) {
    for c in text.chars() {
        assert_eq!(model.update(key(KeyCode::Char(c))), None);
    }
}

fn assert_is(seen: &str, expected: &str) {
    assert!(seen.trim_end() == expected.trim_matches('\n').trim_end(), "{seen}");
}

#[test]
fn a_small_screen_shows_everybody_and_what_the_chosen_one_says() {
    assert_is(&picture(&team(), (80, 24)), SMALL);
}

const SMALL: &str = r"
atm-agent-mcp top  team red  3 agents: 1 asks, 1 works, 1 away; 1 closed hidden
NAME           STATE SINCE QUEUE    MAIL TOKENS CTX  NOW
ana            works 1m                  123k   25%  running cargo test --worksp
ben            asks  1m                  4321        asks to run `touch made` (i
cat            away  2h    3 13m    2    4321
┌ ana, gpt-5.5, thread thread-1 ───────────────────────────────────────────────┐
│> make the test pass                                                          │
│$ cargo test                                                                  │
│  1 failed\u{1b}[2J                                                           │
│| One test fails. One test fails. One test fails. One test fails. One test fai│
│ls. One test fails. One test fails. One test fails.                           │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
│                                                                              │
└──────────────────────────────────────────────────────────────────────────────┘
3 in the audit, last minute                                   ▄              █▄
a attach  s say  i interrupt  c close  y/n decide  / filter  ? help  q quit
";

#[test]
fn a_wide_screen_has_a_column_for_the_models() {
    assert_is(&picture(&team(), (120, 14)), WIDE);
}

const WIDE: &str = r"
atm-agent-mcp top  team red  3 agents: 1 asks, 1 works, 1 away; 1 closed hidden
NAME           STATE SINCE QUEUE    MAIL TOKENS CTX  MODEL              NOW
ana            works 1m                  123k   25%  gpt-5.5            running cargo test --workspace
ben            asks  1m                  4321        gpt-5.5            asks to run `touch made` (it is needed)
cat            away  2h    3 13m    2    4321        gpt-5.5
┌ ana, gpt-5.5, thread thread-1 ───────────────────────────────────────────────────────────────────────────────────────┐
│> make the test pass                                                                                                  │
│$ cargo test                                                                                                          │
│  1 failed\u{1b}[2J                                                                                                   │
│| One test fails. One test fails. One test fails. One test fails. One test fails. One test fails. One test fails. One │
│test fails.                                                                                                           │
└──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
3 in the audit, last minute                                                                           ▄              █▄
a attach  s say  i interrupt  c close  y/n decide  / filter  ? help  q quit
";

#[test]
fn of_who_is_away_the_audit_is_shown() {
    let mut model = team();
    model.update(key(KeyCode::Down));
    model.update(key(KeyCode::Down));
    let seen = picture(&model, (80, 24));
    assert!(seen.contains("│09:59:51 team-lead → cat  send: ok  \"do it\""), "{seen}");
}

#[test]
fn help_a_question_and_an_empty_team_have_pictures_too() {
    let mut model = team();
    types(&mut model, "?");
    let help = picture(&model, (80, 24));
    for words in ["y, n        approve or decline what it asks, oldest first", "how its id ends", "any key goes back"] {
        assert!(help.contains(words), "{help}");
    }
    for _ in 0..3 {
        shows(&mut model, (60, 12));
        model.update(key(KeyCode::PageDown));
    }
    assert!(shows(&mut model, (60, 12)).contains("how its id ends"), "{}", picture(&model, (60, 12)));
    types(&mut model, "xc");
    assert!(picture(&model, (80, 24)).contains("close ana after its turn? y/N"));
    let empty = Model::new("all teams".into(), true, 1000, here(0));
    assert!(picture(&empty, (80, 24)).contains("No agents yet."));
    assert!(picture(&empty, (40, 24)).starts_with("at least 60 x 12 characters are needed"));
}

#[test]
fn without_colours_there_are_none() {
    let mut model = team();
    model.update(key(KeyCode::Down));
    for (colours, has_some) in [(Colours::Some, true), (Colours::None, false)] {
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
        terminal
            .draw(|frame| {
                draw(frame, &model, colours);
            })
            .unwrap();
        let is_coloured = |cell: &ratatui::buffer::Cell| (cell.fg, cell.bg) != (Color::Reset, Color::Reset);
        assert_eq!(terminal.backend().buffer().content().iter().any(is_coloured), has_some);
    }
}

#[test]
fn any_size_and_any_text_has_a_picture() {
    let mut model = team();
    let wild = "\u{202e}宽字 \t\u{7f}e\u{301}🦀".repeat(40);
    let wild = item(json!({"type": "agentMessage", "text": wild}));
    model.update(heard(1, ThreadEvent::ItemCompleted { turn: turn(), item: wild }));
    for width in (1..140).step_by(7) {
        for height in 1..40 {
            picture(&model, (width, height));
        }
    }
    assert!(!picture(&model, (80, 24)).contains(['\u{202e}', '\u{7f}']));
}

#[test]
fn the_keys_do_what_they_say_for_the_chosen_agent() {
    let mut model = team();
    assert_eq!(model.update(key(KeyCode::Char('a'))), Some(Effect::Attach(row(1, "ana", true))));
    types(&mut model, "slook here");
    model.update(Input::Paste(", please\n".into()));
    let ana = Whom { agent: id(1), name: "ana".into() };
    let said = Some(Effect::Steer(row(1, "ana", true), ana, "look here, please".into()));
    assert_eq!(model.update(key(KeyCode::Enter)), said);
    types(&mut model, "i");
    assert_eq!(model.update(key(KeyCode::Char('y'))), Some(Effect::Interrupt(row(1, "ana", true), turn())));
    types(&mut model, "c");
    assert_eq!(model.update(key(KeyCode::Char('y'))), Some(Effect::Close(row(1, "ana", true))));
    assert_eq!(model.update(key(KeyCode::Char('q'))), Some(Effect::Quit));
    let ctrl = |c| Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
    for before in ["", "?", "c"] {
        let mut model = team();
        types(&mut model, before);
        assert_eq!(model.update(ctrl('c')), Some(Effect::Quit), "after {before:?}");
    }
    for before in ["", "?", "c", "s", "/"] {
        let mut model = team();
        types(&mut model, before);
        assert_eq!(model.update(ctrl('z')), Some(Effect::Stop), "after {before:?}");
    }
}

#[test]
fn a_key_that_cannot_do_it_says_why() {
    let mut model = team();
    types(&mut model, "y");
    assert_eq!(model.notice(), Some("ana asks nothing"));
    model.update(key(KeyCode::Down));
    model.update(key(KeyCode::Down));
    types(&mut model, "i");
    assert_eq!(model.notice(), Some("cat has no turn that could be interrupted"));
    types(&mut model, "cn");
    assert_eq!(model.notice(), Some("left as it is"));
    types(&mut model, "/nobody");
    model.update(key(KeyCode::Enter));
    types(&mut model, "a");
    assert_eq!(model.notice(), Some("No agent is like that."));
    model.update(Input::Time(at(200)));
    assert_eq!(model.notice(), None, "it goes after some seconds");
}

#[test]
fn a_filter_leaves_those_that_have_it_and_one_of_them_is_chosen() {
    let mut model = team();
    types(&mut model, "/ASKS");
    model.update(key(KeyCode::Enter));
    assert_eq!(model.shown().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["ben"]);
    assert_eq!(model.chosen().unwrap().name.as_str(), "ben");
    model.update(key(KeyCode::Esc));
    assert_eq!(model.shown().count(), 3);
}

#[test]
fn an_ask_goes_when_somebody_has_decided_or_its_turn_is_over() {
    let ended = serde_json::from_value(json!({"id": "turn-1", "status": "completed", "durationMs": 1200})).unwrap();
    for end in [ThreadEvent::Resolved(RequestId::Number(0)), ThreadEvent::TurnEnded(ended), ThreadEvent::Waits(false)] {
        let mut model = team();
        let word = |model: &Model| model.state(&row(2, "ben", true)).word();
        model.update(asks(2));
        assert_eq!((model.live[&id(2)].asks.len(), word(&model)), (1, "asks"), "asked twice it is one");
        let expected = if matches!(end, ThreadEvent::TurnEnded(_)) { "idle" } else { "works" };
        model.update(heard(2, end));
        assert_eq!(word(&model), expected);
    }
}

#[test]
fn who_asks_is_in_a_turn_before_that_was_heard_of() {
    let mut model = Model::new("team red".into(), false, 1000, here(0));
    model.update(seen(vec![row(1, "ana", true)]));
    model.update(asks(1));
    model.update(heard(1, ThreadEvent::Resolved(RequestId::Number(0))));
    assert_eq!(model.state(&row(1, "ana", true)).word(), "works");
    let last = json!({"id": "turn-1", "status": "inProgress", "startedAt": at(-30).as_second()});
    model.update(Input::News(News::Entered(id(1), serde_json::from_value(last).unwrap())));
    assert_eq!(model.since(&row(1, "ana", true)), at(-30));
}

#[test]
fn what_was_heard_while_one_entered_is_newer_than_the_last_turn() {
    let mut model = team();
    let runs =
        || serde_json::from_value(json!({"id": "turn-1", "status": "inProgress", "startedAt": at(-30).as_second()}));
    let ended = serde_json::from_value(json!({"id": "turn-1", "status": "completed"})).unwrap();
    model.update(heard(2, ThreadEvent::TurnEnded(ended)));
    model.update(Input::News(News::Entered(id(2), runs().unwrap())));
    assert_eq!(model.state(&row(2, "ben", true)).word(), "idle");
    model.update(Input::News(News::Left(id(2))));
    assert_eq!(model.state(&row(2, "ben", true)).word(), "runs");
    model.update(Input::News(News::Entered(id(2), runs().unwrap())));
    assert_eq!((model.state(&row(2, "ben", true)).word(), model.since(&row(2, "ben", true))), ("works", at(-30)));
}
