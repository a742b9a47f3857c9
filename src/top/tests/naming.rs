//! Who is who, and how many.

use super::*;

const SIZE: (u16, u16) = (80, 24);

#[test]
fn two_of_one_name_are_told_apart_and_each_has_its_own_audit() {
    let mut model = Model::new("team red".into(), false, 1000, here(0));
    let old = Row { begun: at(-900), opened: at(-900), ..row(1, "ana", false) };
    let new = Row { begun: at(-300), opened: at(-300), ..row(2, "ana", false) };
    let noted = vec![noted(-600, "ana", "first"), noted(-100, "ana", "second")];
    model.update(Input::Seen(Seen { rows: vec![old, new], closed: 0, unreadable: 0, noted }));
    let seen = picture(&model, SIZE);
    assert!(seen.contains("\nana~0001 ") && seen.contains("\nana~0002 "), "{seen}");
    assert!(seen.contains("first: ok") && !seen.contains("second: ok"), "{seen}");
    model.update(key(KeyCode::Down));
    let seen = picture(&model, SIZE);
    assert!(seen.contains("second: ok") && !seen.contains("first: ok"), "{seen}");
    types(&mut model, "s");
    assert!(picture(&model, SIZE).contains("to ana~0002:"));
}

#[test]
fn the_headline_counts_who_is_there_closed_and_unreadable() {
    let mut model = Model::new("team red".into(), false, 1000, here(0));
    model.update(Input::Seen(Seen { rows: vec![], closed: 1, unreadable: 2, noted: vec![] }));
    let none = picture(&model, SIZE);
    assert!(none.contains("no agents; 2 unreadable; 1 closed hidden"), "{none}");
    assert!(none.contains("No agents but closed ones: `atm-agent-mcp sessions --state closed` lists them."), "{none}");
    model.update(seen(vec![row(1, "ana", false)]));
    assert!(picture(&model, SIZE).contains("  1 agent: 1 away\n"));
}

#[test]
fn of_a_line_only_so_much_is_kept_as_can_be_seen() {
    let mut model = team();
    let long = item(json!({"type": "agentMessage", "text": format!("{}the end", "x".repeat(1_500_000))}));
    model.update(heard(1, ThreadEvent::ItemCompleted { turn: turn(), item: long }));
    assert!(model.live[&id(1)].lines.iter().all(|line| line.chars().count() <= 4010));
    let seen = picture(&model, SIZE);
    assert!(seen.contains("the end"), "{seen}");
}

#[test]
fn what_was_said_before_is_paged_through() {
    let mut model = team();
    let told: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
    let told = item(json!({"type": "agentMessage", "text": told.join("\n")}));
    model.update(heard(1, ThreadEvent::ItemCompleted { turn: turn(), item: told }));
    assert!(shows(&mut model, SIZE).contains("│| line 99 "));
    model.update(key(KeyCode::PageUp));
    let seen = shows(&mut model, SIZE);
    assert!(!seen.contains("│| line 99 ") && seen.contains("PgDn: 14 lines below"), "{seen}");
    for _ in 0..20 {
        model.update(key(KeyCode::PageUp));
        shows(&mut model, SIZE);
    }
    assert!(shows(&mut model, SIZE).contains("│> make the test pass"));
    for _ in 0..20 {
        model.update(key(KeyCode::PageDown));
        shows(&mut model, SIZE);
    }
    assert!(shows(&mut model, SIZE).contains("│| line 99 "));
}
