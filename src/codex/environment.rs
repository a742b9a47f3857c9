//! The environment of Codex: the user's, without what belongs to the client or to us.

use std::ffi::OsStr;

use crate::policy::Variables;

/// What Codex never gets. Its model providers name the variables of their keys as they like, so all others stay, those of
/// Claude Code that are the user's own settings (`CLAUDE_CONFIG_DIR`) among them. The names are those of Claude Code 2.1.330.
const NEVER: [&str; 14] = [
    "ATM_*",
    "CLAUDECODE",
    "CLAUDE_AGENT_SDK_*",
    "CLAUDE_BG_*",
    "CLAUDE_BRIDGE_*",
    "CLAUDE_CODE_*",
    "CLAUDE_ENV_FILE",
    "CLAUDE_JOB_DIR",
    "CLAUDE_PID",
    "CLAUDE_PLUGIN_*",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_RUNNER_*",
    "CLAUDE_SESSION_*",
    "CLAUDE_TRUSTED_DEVICE_TOKEN",
];

/// What a child's environment lacks of ours.
#[derive(Debug, Clone)]
pub struct Environment {
    lacking: Vec<Variables>,
}

impl Environment {
    /// Without what Codex never gets, and without what the user takes out beside that.
    pub fn without(removed: Vec<Variables>) -> Environment {
        let never = NEVER.map(|text| Variables::parse(text).expect("the table names variables"));
        Environment { lacking: never.into_iter().chain(removed).collect() }
    }

    /// Whether this variable is left out.
    pub fn lacks(&self, name: &OsStr) -> bool {
        let name = name.to_string_lossy();
        self.lacking.iter().any(|variables| variables.include(&name))
    }
}

/// Without what Codex never gets.
impl Default for Environment {
    fn default() -> Environment {
        Environment::without(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_the_client_or_to_us_is_kept_from_codex() {
        let environment = Environment::default();
        for name in [
            "ATM_HOME",
            "ATM_AGENT_MCP_CODEX_BIN",
            "CLAUDECODE",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_SSE_PORT",
            "CLAUDE_CODE_SESSION_ID",
            "CLAUDE_SESSION_ID",
            "CLAUDE_SESSION_INGRESS_TOKEN_FILE",
            "CLAUDE_BG_RENDEZVOUS_SOCK",
            "CLAUDE_BRIDGE_OAUTH_TOKEN",
            "CLAUDE_PROJECT_DIR",
        ] {
            assert!(environment.lacks(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_documents_list_what_codex_never_gets() {
        let documents = include_str!("../../docs/security.md");
        let missing: Vec<_> = NEVER.iter().filter(|name| !documents.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn what_is_the_users_own_stays_and_can_be_taken_out_by_name() {
        let own =
            ["PATH", "HOME", "CODEX_HOME", "CLAUDE_CONFIG_DIR", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "MY_ATM_KEY"];
        let environment = Environment::default();
        assert!(own.iter().all(|name| !environment.lacks(OsStr::new(name))));
        let removed = ["ANTHROPIC_*", "MY_ATM_KEY"].map(|text| Variables::parse(text).unwrap());
        let environment = Environment::without(removed.to_vec());
        let lacking: Vec<&str> = own.into_iter().filter(|name| environment.lacks(OsStr::new(name))).collect();
        assert_eq!(lacking, ["ANTHROPIC_API_KEY", "MY_ATM_KEY"]);
        assert!(environment.lacks(OsStr::new("CLAUDECODE")), "what it never gets it does not get now");
    }
}
