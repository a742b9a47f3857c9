//! On what `y` and `n` decide.

use super::*;
use crate::session::{Decision, Item, Question};

const SMALL: (u16, u16) = (80, 24);

/// What a key decides: of whom, which request, how.
fn pressed(model: &mut Model, c: char) -> Option<(String, RequestId, Decision)> {
    match model.update(key(KeyCode::Char(c))) {
        None => None,
        Some(Effect::Decide(row, asked, decision)) => Some((row.name.to_string(), asked.request, decision)),
        other => panic!("{other:?}"),
    }
}

fn yes(name: &str, request: i64) -> Option<(String, RequestId, Decision)> {
    Some((name.to_owned(), RequestId::Number(request), Decision::Accept))
}

/// The team, with ben chosen, who asks.
fn at_ben() -> Model {
    let mut model = team();
    model.update(key(KeyCode::Down));
    shows(&mut model, SMALL);
    model
}

fn resolved(n: usize, request: i64) -> Input {
    heard(n, ThreadEvent::Resolved(RequestId::Number(request)))
}

#[test]
fn who_asks_shows_what_and_which_keys_answer() {
    let mut model = at_ben();
    let seen = shows(&mut model, SMALL);
    assert!(seen.contains("┌ ben asks to run a command ─"), "{seen}");
    assert!(seen.contains("│$ touch made ") && seen.contains("│why: it is needed "), "{seen}");
    assert!(seen.contains("└ y approves, n declines ─"), "{seen}");
    assert_eq!(pressed(&mut model, 'y'), yes("ben", 0));
    let no = Some(("ben".to_owned(), RequestId::Number(0), Decision::Decline));
    assert_eq!(pressed(&mut model, 'n'), no);
}

#[test]
fn who_was_chosen_and_is_gone_is_nobody_else() {
    let mut model = team();
    model.update(asks(1));
    model.update(key(KeyCode::Down));
    shows(&mut model, SMALL);
    model.update(seen(vec![row(1, "ana", true), row(3, "cat", false)]));
    model.update(key(KeyCode::Esc));
    let gone = "ben is gone; up and down choose another";
    assert!(shows(&mut model, SMALL).contains(gone));
    for c in ['y', 'n', 'a', 's', 'i', 'c'] {
        assert_eq!(model.update(key(KeyCode::Char(c))), None);
        assert_eq!(model.notice(), Some(gone));
    }
    model.update(key(KeyCode::Down));
    assert_eq!(model.chosen().unwrap().name.as_str(), "ana");
}

#[test]
fn who_leaves_what_is_shown_by_itself_is_nobody_else_and_comes_back() {
    let mut model = at_ben();
    types(&mut model, "/asks");
    model.update(key(KeyCode::Enter));
    model.update(asks_to_run(1, 4, "touch other"));
    model.update(resolved(2, 0));
    shows(&mut model, SMALL);
    assert_eq!(pressed(&mut model, 'n'), None);
    assert_eq!(pressed(&mut model, 'y'), None);
    assert_eq!(model.notice(), Some("ben is not among these; up and down choose another"));
    model.update(asks_to_run(2, 5, "touch third"));
    assert_eq!(model.chosen().unwrap().name.as_str(), "ben");
}

#[test]
fn what_takes_the_place_of_an_ask_that_was_decided_elsewhere_is_not_approved_with_it() {
    let mut model = at_ben();
    model.update(resolved(2, 0));
    assert_eq!(model.notice(), Some("what was asked here is decided elsewhere, or over"));
    shows(&mut model, SMALL);
    model.update(asks_to_run(2, 1, "rm -rf important"));
    shows(&mut model, SMALL);
    assert_eq!(pressed(&mut model, 'y'), None);
    assert!(model.notice().unwrap().contains("look again, and press it once more"));
    assert_eq!(pressed(&mut model, 'y'), yes("ben", 1));
}

#[test]
fn what_no_picture_has_shown_yet_is_not_decided() {
    let mut model = at_ben();
    model.update(asks_to_run(2, 1, "rm -rf important"));
    assert_eq!(pressed(&mut model, 'y'), yes("ben", 0));
    model.decided(&(id(2), RequestId::Number(0)));
    // It was pressed twice before anything was drawn.
    assert_eq!(pressed(&mut model, 'y'), None);
    assert_eq!(pressed(&mut model, 'n'), None);
    assert_eq!(model.notice(), Some("that was not on the screen yet; look at it, and press it again"));
    shows(&mut model, SMALL);
    assert_eq!(pressed(&mut model, 'y'), yes("ben", 1));
}

#[test]
fn of_several_asks_it_is_said_how_many_there_are() {
    let mut model = at_ben();
    model.update(asks_to_run(2, 1, "touch second"));
    assert!(shows(&mut model, SMALL).contains("┌ ben asks to run a command, 1 of 2 ─"));
}

#[test]
fn a_long_command_is_approved_only_when_its_end_was_on_the_screen() {
    for size in [SMALL, (60, 12)] {
        let mut model = team();
        model.update(key(KeyCode::Down));
        model.update(resolved(2, 0));
        let long = format!("touch x; {}; rm -rf important", "A".repeat(12_000));
        model.update(asks_to_run(2, 1, &long));
        model.update(key(KeyCode::Esc));
        let mut all = String::new();
        for page in 0.. {
            let seen = shows(&mut model, size);
            assert!(seen.contains("y approves, n declines; PgDn, PgUp: "), "{seen}");
            all.push_str(&seen);
            if seen.contains("it is needed") {
                break;
            }
            assert!(page < 1000, "{seen}");
            assert_eq!(pressed(&mut model, 'y'), None);
            assert_eq!(model.notice(), Some("read it to its end first: PgDn"));
            model.update(key(KeyCode::Esc));
            shows(&mut model, size);
            model.update(key(KeyCode::PageDown));
        }
        assert!(all.contains("$ touch x; AAAA"), "its beginning was seen too");
        assert!(all.contains("rm -rf important"));
        model.update(key(KeyCode::PageUp));
        shows(&mut model, size);
        assert_eq!(pressed(&mut model, 'y'), yes("ben", 1), "what was read may be looked at again");
        // Another one is to be read anew.
        model.decided(&(id(2), RequestId::Number(1)));
        model.update(asks_to_run(2, 2, &long));
        assert!(shows(&mut model, size).contains("$ touch x; AAAA"));
        assert_eq!(pressed(&mut model, 'y'), None);
        assert!(pressed(&mut model, 'n').is_some(), "no can be said at once");
    }
}

#[test]
fn a_change_is_approved_only_when_its_diff_was_on_the_screen() {
    let change = Ask::FileChange { changes: vec![], grant_root: None, reason: None };
    let asked = Asked { request: RequestId::Number(1), ask: change, item: Some("item-1".into()) };
    let diff = "+one line\n".repeat(100);
    let begun: Item = item(
        json!({"type": "fileChange", "id": "item-1", "changes": [{"path": "a", "kind": {"type": "update"}, "diff": diff}]}),
    );
    let asks = || Input::News(News::Asked(id(1), asked.clone(), Some(turn())));
    let begins = || heard(1, ThreadEvent::ItemStarted { turn: turn(), item: begun.clone() });
    // Who comes later is asked before it hears of the item.
    for news in [[begins(), asks()], [asks(), begins()]] {
        let mut model = team();
        let [first, second] = news;
        model.update(first);
        if matches!(second, Input::News(News::Heard(..))) {
            let seen = shows(&mut model, SMALL);
            assert!(seen.contains("n declines; its client sees what it is (agent_approve)"), "{seen}");
            assert_eq!(pressed(&mut model, 'y'), None);
        }
        model.update(second);
        let seen = shows(&mut model, SMALL);
        assert!(
            seen.contains("ana asks to change files") && seen.contains("│~ update a") && seen.contains("│  +one line"),
            "{seen}"
        );
        assert_eq!(pressed(&mut model, 'y'), None);
        for _ in 0..20 {
            model.update(key(KeyCode::PageDown));
            shows(&mut model, SMALL);
        }
        assert_eq!(pressed(&mut model, 'y'), yes("ana", 1));
    }
}

#[test]
fn a_form_is_shown_whole_and_y_is_no_answer_to_it() {
    let mut model = team();
    let question = Question { id: "a".into(), question: "Which?\nSay it".into(), ..Question::default() };
    let ask = Ask::UserInput { questions: vec![question] };
    let asked = Asked { request: RequestId::Number(1), ask, item: None };
    model.update(Input::News(News::Asked(id(1), asked, Some(turn()))));
    let seen = shows(&mut model, SMALL);
    assert!(seen.contains("│? Which?") && seen.contains("│  Say it"), "{seen}");
    assert!(seen.contains("a answers in the Codex UI, n declines"), "{seen}");
    assert_eq!(pressed(&mut model, 'y'), None);
    assert!(pressed(&mut model, 'n').is_some());
}
