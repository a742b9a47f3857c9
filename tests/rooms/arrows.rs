//! The architecture is kept, not hoped for: which room may name which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room, and the rooms it may name. A new arrow is a decision: change it here, in `src/lib.rs` and in
/// `docs/architecture.md`, in a commit of its own.
const ARROWS: [(&str, &[&str]); 22] = [
    ("ids", &[]),
    ("policy", &[]),
    ("repo", &[]),
    ("rpc", &[]),
    ("steps", &[]),
    ("demo::model", &[]),
    ("plain", &[]),
    ("watch", &[]),
    ("home", &["ids", "steps"]),
    ("queue", &["ids", "home", "steps", "watch"]),
    ("journal", &["ids", "home"]),
    ("mail", &["ids", "home", "plain", "steps"]),
    ("config", &["ids", "home", "policy", "repo"]),
    ("codex", &["rpc", "ids", "home", "policy"]),
    ("session", &["codex", "ids", "home", "repo", "steps"]),
    ("tools", &["mail", "session", "journal", "home", "ids", "plain", "steps"]),
    ("courier", &["session", "queue", "mail", "journal", "home", "ids", "plain", "steps", "watch"]),
    ("top", &["session", "queue", "mail", "journal", "home", "ids", "plain", "steps"]),
    ("mcp", &["session", "queue", "tools", "journal", "ids", "config", "policy", "plain"]),
    ("serve", &["mcp", "courier", "tools", "session", "queue", "mail", "journal", "codex", "config", "home", "ids"]),
    ("demo", &["codex", "home", "demo::model"]),
    (
        "cli",
        &[
            "serve", "top", "tools", "plain", "demo", "session", "queue", "mail", "journal", "codex", "config",
            "policy", "repo", "home", "ids",
        ],
    ),
];

/// Files that hold rules only: no runtime, no clock, no IO.
const PURE: [&str; 25] = [
    "session/state.rs",
    "session/rules.rs",
    "session/rules/deliveries.rs",
    "session/approval.rs",
    "rpc/pending.rs",
    "queue/entry.rs",
    "mail/entry.rs",
    "mail/member.rs",
    "mail/splice.rs",
    "mail/envelope.rs",
    "mail/frame.rs",
    "journal/secrets.rs",
    "policy/mod.rs",
    "policy/variables.rs",
    "plain.rs",
    "top/asking.rs",
    "top/keys.rs",
    "top/line.rs",
    "top/model.rs",
    "top/pane.rs",
    "top/update.rs",
    "top/view.rs",
    "top/wrap.rs",
    "cli/doctor/finding.rs",
    "cli/doctor/report.rs",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file below `src`, relative to it.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![source()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path.strip_prefix(source()).unwrap().to_owned());
            }
        }
    }
    assert!(found.len() > 40, "the source is here");
    found
}

fn name(file: &Path) -> String {
    file.to_string_lossy().replace('\\', "/")
}

/// The lines of a file before its tests; a file `tests.rs` is nothing else.
fn production(file: &Path) -> Vec<String> {
    if file.file_name().is_some_and(|name| name == "tests.rs") {
        return Vec::new();
    }
    let text = std::fs::read_to_string(source().join(file)).unwrap();
    text.lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]") && !line.starts_with("#[cfg(all(test"))
        .map(str::to_owned)
        .collect()
}

fn room_of(file: &str) -> Option<String> {
    let file = file.strip_suffix(".rs").unwrap();
    if file.starts_with("demo/model") {
        return Some("demo::model".to_owned());
    }
    match file.split('/').next() {
        Some("lib" | "main") | None => None,
        Some(room) => Some(room.to_owned()),
    }
}

/// The rooms that a line names.
fn named(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap();
    let after = code.match_indices("crate::").map(|(at, found)| &code[at + found.len()..]);
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned();
    after
        .map(|path| match (word(path).as_str(), path.split_once("::")) {
            ("demo", Some((_, rest))) if word(rest) == "model" => "demo::model".to_owned(),
            (room, _) => room.to_owned(),
        })
        .collect()
}

#[test]
fn every_room_names_only_what_the_table_allows() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    for file in files() {
        let file_name = name(&file);
        let Some(room) = room_of(&file_name) else { continue };
        let allowed = allowed.get(room.as_str()).unwrap_or_else(|| panic!("the table lacks the room {room}"));
        for line in production(&file) {
            assert!(!line.contains("crate::{"), "{file_name}: name one room a line");
            for other in named(&line).into_iter().filter(|other| *other != room && !allowed.contains(&other.as_str())) {
                wrong.push(format!("{file_name} names {other}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_arrow_of_the_table_is_used() {
    let mut used: BTreeSet<(String, String)> = BTreeSet::new();
    for file in files() {
        let Some(room) = room_of(&name(&file)) else { continue };
        for line in production(&file) {
            used.extend(named(&line).into_iter().map(|other| (room.clone(), other)));
        }
    }
    // Inside a room its parts are named from `super`.
    used.insert(("demo".into(), "demo::model".into()));
    let unused: Vec<_> = ARROWS
        .into_iter()
        .flat_map(|(room, others)| others.iter().map(move |other| (room.to_owned(), (*other).to_owned())))
        .filter(|arrow| !used.contains(arrow))
        .collect();
    assert!(unused.is_empty(), "no longer needed: {unused:?}");
}

#[test]
fn the_table_points_down() {
    let order: Vec<&str> = ARROWS.iter().map(|(room, _)| *room).collect();
    for (at, (room, others)) in ARROWS.iter().enumerate() {
        for other in *others {
            let where_it_is = order.iter().position(|room| room == other).expect("a room of the table");
            assert!(where_it_is < at, "{room} names {other}, which stands above it");
        }
    }
}

#[test]
fn the_documents_show_the_same_table() {
    for document in ["src/lib.rs", "docs/architecture.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
        for (room, others) in ARROWS.iter().filter(|(_, others)| !others.is_empty()) {
            let is_line = |line: &&str| {
                let words: Vec<&str> =
                    line.split([' ', '|', '`', ',', '/', '!']).filter(|word| !word.is_empty()).collect();
                words.first() == Some(room)
                    && (others.iter().all(|other| words.contains(other)) || words.contains(&"everything"))
            };
            assert!(text.lines().any(|line| is_line(&line)), "{document} lacks the line of {room}: {others:?}");
        }
    }
}

#[test]
fn every_file_says_in_one_sentence_what_it_is_for() {
    for file in files() {
        let text = std::fs::read_to_string(source().join(&file)).unwrap();
        assert!(text.starts_with("//! "), "{} begins with no //! sentence", file.display());
    }
}

#[test]
fn no_file_has_outgrown_its_concept() {
    for file in files() {
        let lines = production(&file).len();
        assert!(lines <= 400, "{} has {lines} lines before its tests: which concept is hiding in it?", file.display());
    }
}

#[test]
fn rules_know_no_clock_and_no_io() {
    for file in PURE {
        for line in production(Path::new(file)) {
            for outside in ["tokio", "Instant", "SystemTime", "std::fs", "std::io", "std::net"] {
                assert!(!line.contains(outside), "{file}: {line}");
            }
        }
    }
}

#[test]
fn only_the_command_line_writes_to_stdout() {
    for file in files() {
        let file_name = name(&file);
        for line in production(&file) {
            let writes = line.contains("println!") && !line.contains("eprintln!") || line.contains("std::io::stdout");
            assert!(!writes || file_name.starts_with("cli/"), "{file_name}: stdout is the protocol's: {line}");
        }
    }
}
