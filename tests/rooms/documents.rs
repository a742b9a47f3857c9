//! What the documents say of the sources is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all functions in the sources that are marked as tests, or made to such by a macro.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut places: Vec<PathBuf> = ["src", "tests"].map(|place| root().join(place)).into();
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path()));
        } else if place.extension().is_some_and(|extension| extension == "rs") {
            found.extend(tests_in(&std::fs::read_to_string(place).unwrap()));
        }
    }
    found
}

fn tests_in(source: &str) -> Vec<String> {
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned();
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let promised = source.split("on_each_codex! {").skip(1).flat_map(|rest| {
        rest.split('}').next().unwrap().split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>()
    });
    let marked = lines.iter().enumerate().filter_map(|(at, line)| {
        let name = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))?;
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        above.any(is_test).then(|| word(name))
    });
    marked.chain(promised).collect()
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let text = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (_, after) = text.split_once("| promise | shown by |\n|---|---|\n").expect("the table of what is defended");
    let rows: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 20, "{rows:?}");
    let tests = tests();
    for row in rows {
        let shown_by = row.trim_matches(['|', ' ']).rsplit(" | ").next().unwrap();
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "shown by no test: {row}");
        for name in named {
            assert!(tests.contains(name), "there is no test {name}: {row}");
        }
    }
}
