//! What Codex says of its own configuration: that it refuses it, and what it warns of.

use super::codex::shown;
use super::finding::{Check, Finding};
use crate::cli::shell;
use crate::codex::probe::Warning;

/// A configuration that Codex refuses. Of what stands in a file it has warned, with the line (0.144.6 and 0.169.0).
pub(super) fn refused(refusal: &str, warnings: Vec<Warning>) -> Vec<Finding> {
    let (broken, others): (Vec<Warning>, Vec<Warning>) =
        warnings.into_iter().partition(|warning| warning.path.is_some() && warning.line().is_some());
    let unread = |said: &str, mend: String| {
        let finding = Check::Codex.error(format!("Codex cannot read its configuration: {}", shown(said.trim())));
        finding.because("with it no thread can be opened, and every agent is one").mend(mend)
    };
    let mut found: Vec<Finding> = others.iter().map(warned).collect();
    found.extend(broken.iter().map(|warning| {
        unread(warning.details.as_deref().unwrap_or(&warning.summary), format!("mend {}", place(warning)))
    }));
    if broken.is_empty() {
        found.push(unread(refusal, "mend what is named there".to_owned()));
    }
    found
}

/// What Codex warns of, and works all the same.
pub(super) fn warned(warning: &Warning) -> Finding {
    let details = warning.details.as_ref().map(|details| format!(" {details}")).unwrap_or_default();
    let finding = Check::Codex.note(format!("Codex warns: {}", shown(&format!("{}{details}", warning.summary))));
    let finding = finding.because("every agent is a thread of this Codex");
    match warning.path {
        Some(_) => finding.mend(format!("look at {}; agents work without that", place(warning))),
        None => finding.mend("what Codex says there; if the trial turn below is well, nothing needs to be done"),
    }
}

fn place(warning: &Warning) -> String {
    let file = warning.path.as_deref().map(shell::path).unwrap_or_default();
    warning.line().map_or(file.clone(), |line| format!("line {line} of {file}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::finding::Level;
    use super::*;

    fn warning(json: Value) -> Warning {
        serde_json::from_value(json).unwrap()
    }

    /// Level, what and mend of each.
    fn told(found: &[Finding]) -> Vec<(Level, String)> {
        found.iter().map(|one| (one.level, format!("{} | {}", one.what, one.mend().unwrap()))).collect()
    }

    #[test]
    fn a_file_that_codex_cannot_read_is_named_with_its_line() {
        let invalid = warning(json!({
            "summary": "Invalid configuration; using defaults.", "details": "/c/config.toml:2:13: unclosed array",
            "path": "/c/config.toml", "range": {"start": {"line": 2, "column": 13}, "end": {"line": 2, "column": 13}},
        }));
        let other = warning(json!({"summary": "no bubblewrap", "details": null}));
        let seen = told(&refused("no", vec![invalid, other]));
        assert_eq!(seen[0].0, Level::Note);
        let what = "Codex cannot read its configuration: /c/config.toml:2:13: unclosed array";
        assert_eq!(seen[1], (Level::Error, format!("{what} | mend line 2 of /c/config.toml")));
        let seen = told(&refused("invalid: `nope`\nin `x`\n", vec![]));
        assert!(seen[0].0 == Level::Error && seen[0].1.ends_with("| mend what is named there"), "{seen:?}");
    }

    #[test]
    fn what_codex_warns_of_is_no_more_than_a_note_and_says_where_it_stands() {
        let told = |json| told(&[warned(&warning(json))]).pop().unwrap();
        let (level, what) = told(json!({"summary": "a is old.", "details": "Use b.", "path": "/c/config.toml"}));
        assert!(
            level == Level::Note && what.starts_with("Codex warns: a is old. Use b. | look at /c/config.toml;"),
            "{what}"
        );
        let (_, what) = told(json!({"summary": "no bubblewrap"}));
        assert!(what.ends_with("if the trial turn below is well, nothing needs to be done"), "{what}");
    }
}
