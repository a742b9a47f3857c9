//! What somebody types is neither lost nor changed.

use super::*;

const SIZE: (u16, u16) = (80, 24);

#[test]
fn what_was_typed_for_an_agent_that_is_gone_meanwhile_stays() {
    let mut model = team();
    types(&mut model, "sprecious");
    model.update(seen(vec![row(2, "ben", true)]));
    assert!(picture(&model, SIZE).contains("to ana (gone): precious"));
    for _ in 0..2 {
        assert_eq!(model.update(key(KeyCode::Enter)), None);
        let seen = picture(&model, SIZE);
        assert!(seen.contains("ana is gone; the text stays here until Esc"), "{seen}");
        assert!(seen.contains("to ana (gone): precious"), "{seen}");
    }
    // It is continued by another server.
    model.update(seen(vec![row(1, "ana", false), row(2, "ben", true)]));
    assert!(matches!(model.update(key(KeyCode::Enter)), Some(Effect::Steer(_, _, text)) if text == "precious"));
}

#[test]
fn what_the_queue_did_not_take_is_there_to_be_said_again() {
    let mut model = team();
    let ana = Whom { agent: id(1), name: "ana".into() };
    model.update(Input::News(News::Unsaid(ana, "precious".into(), "ana is not told: the queue is full".into())));
    let seen = picture(&model, SIZE);
    assert!(seen.contains("to ana: precious") && seen.contains("the queue is full"), "{seen}");
    types(&mut model, "!");
    assert!(matches!(model.update(key(KeyCode::Enter)), Some(Effect::Steer(_, _, text)) if text == "precious!"));
}

#[test]
fn a_question_about_who_is_gone_meanwhile_says_so() {
    for c in ["i", "c"] {
        let mut model = team();
        types(&mut model, c);
        model.update(seen(vec![row(2, "ben", true)]));
        assert!(picture(&model, SIZE).contains(" ana"));
        assert_eq!(model.update(key(KeyCode::Char('y'))), None);
        assert_eq!(model.notice(), Some("ana is gone; nothing was done"));
    }
}

#[test]
fn a_text_that_no_queue_takes_is_refused_whole_and_with_a_word() {
    let mut model = team();
    types(&mut model, "s");
    model.update(Input::Paste("a".repeat(1000)));
    model.update(Input::Paste("b".repeat(6)));
    assert!(picture(&model, SIZE).contains("not taken: with these 6 bytes it would be longer than 1000"));
    model.update(Input::Time(at(200)));
    types(&mut model, "b");
    assert!(picture(&model, SIZE).contains("not taken: it would be longer than 1000 bytes"));
    let Some(Effect::Steer(_, _, text)) = model.update(key(KeyCode::Enter)) else { panic!("it is said") };
    assert_eq!(text, "a".repeat(1000));
}

#[test]
fn of_a_long_text_the_part_around_the_cursor_is_on_the_screen() {
    let mut model = team();
    types(&mut model, "s");
    model.update(Input::Paste(format!("begins {} ends", "x".repeat(500))));
    assert!(picture(&model, SIZE).contains("x ends\n"));
    model.update(key(KeyCode::Home));
    assert!(picture(&model, SIZE).contains("to ana: begins xxx"));
}

#[test]
fn a_long_error_is_seen_to_its_end() {
    let mut model = team();
    let why = format!("ana is not told: {} and what to do about it", "/a/long/path".repeat(15));
    model.update(Input::News(News::Said(why)));
    for (size, height) in [(SIZE, 24), ((60, 12), 12)] {
        let seen = picture(&model, size);
        assert!(seen.contains("ana is not told: /a/") && seen.contains("about it"), "{seen}");
        assert!(seen.lines().nth(height - 1).unwrap().starts_with("a attach"), "{seen}");
    }
}

#[test]
fn with_a_filter_the_line_of_the_keys_stays_whole() {
    let mut model = team();
    types(&mut model, "/ana");
    model.update(key(KeyCode::Enter));
    let seen = picture(&model, SIZE);
    assert!(seen.contains("only ana, Esc shows all; 3 in the audit"), "{seen}");
    assert!(seen.contains("? help  q quit"), "{seen}");
}
