//! What an agent is told of its place: its name, its team, its repository.

use std::path::Path;

use serde_json::json;

use crate::ids::{AgentName, Team};
use crate::repo::Repository;

/// The place of an agent as a text for the model. Values are JSON, so that no name of a directory can pose as an
/// instruction; what is not known is null, never guessed.
pub fn describe(agent: &AgentName, team: &Team, lead: &AgentName, cwd: &Path) -> String {
    let repository = Repository::around(cwd);
    let facts = json!({
        "agent": agent,
        "team": team,
        "lead": lead,
        "repository_root": repository.as_ref().map(|r| r.root().display().to_string()),
        "repository": repository.as_ref().and_then(Repository::name),
        "branch": repository.as_ref().and_then(Repository::branch),
        "cwd": cwd.display().to_string(),
    });
    format!(
        "<session_context>\nYou are an agent in a team of coding agents. Your place in it:\n{facts}\n</session_context>"
    )
}

/// The caller's own instructions, kept and first, with the place behind them, and what is to be said of our tools.
pub fn instructions(own: Option<&str>, place: &str, tools: Option<&str>) -> String {
    let all = [own.filter(|own| !own.is_empty()), Some(place), tools];
    all.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_a_repository_its_fields_are_null() {
        let dir = tempfile::tempdir().unwrap();
        let name = |text| AgentName::parse(text).unwrap();
        let place = describe(&name("arch"), &Team::parse("t").unwrap(), &name("boss"), dir.path());
        assert!(place.contains(r#""branch":null"#) && place.contains(r#""repository_root":null"#), "{place}");
        assert!(place.contains(r#""agent":"arch""#) && place.contains(r#""team":"t""#), "{place}");
        assert!(place.contains(r#""lead":"boss""#), "{place}");
    }

    #[test]
    fn the_callers_own_instructions_come_first_and_are_kept() {
        assert_eq!(instructions(Some("Be brief."), "PLACE", None), "Be brief.\n\nPLACE");
        assert_eq!(instructions(None, "PLACE", Some("TOOLS")), "PLACE\n\nTOOLS");
    }
}
