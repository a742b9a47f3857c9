//! The crash test in short: whatever is killed, nothing is lost, doubled or out of order, and every call is answered.

use std::collections::HashMap;
use std::process::Command;

/// Plays one part, and reads its table.
fn played(part: &str, seconds: u32) -> HashMap<String, u64> {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_chaos"));
    chaos.args(["--seed", "1", "--parts", part, "--seconds", &seconds.to_string()]);
    let output = chaos.output().expect("the crash test runs");
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}");
    let rows = told.lines().filter_map(|line| line.trim().rsplit_once(' '));
    rows.filter_map(|(name, value)| Some((name.trim().to_owned(), value.parse().ok()?))).collect()
}

#[test]
fn no_kill_of_a_writer_or_a_reader_loses_doubles_or_reorders_a_text() {
    let figures = played("sink", 5);
    assert!(figures["delivered"] > 0 && figures["kills"] > 0, "{figures:?}");
}

#[test]
fn a_team_lives_through_everything_at_once() {
    let figures = played("soak", 8);
    assert!(
        figures["calls"] > 0 && figures["mails accepted"] > 0 && figures["lost"] + figures["twice"] == 0,
        "{figures:?}"
    );
}

#[test]
fn no_kill_of_a_server_or_its_codex_loses_doubles_or_reorders_a_text() {
    let figures = played("codex", 10);
    assert!(figures["delivered"] > 0 && figures["kills"] > 0, "{figures:?}");
}
