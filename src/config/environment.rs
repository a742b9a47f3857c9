//! The settings that environment variables set.

use std::path::Path;

use crate::ids::Team;

use super::error::{ConfigError, Warning};
use super::given::Given;
use super::layer::Layer;
use super::source::Source;

/// The variables and the key that each sets, the weaker of two first.
const VARIABLES: [(&str, &str); 28] = [
    ("ATM_IDENTITY", "identity"),
    ("ATM_AGENT_MCP_IDENTITY", "identity"),
    ("ATM_AGENT_MCP_LEAD", "lead"),
    ("ATM_AGENT_MCP_ROLE", "role"),
    ("ATM_AGENT_MCP_MODEL", "model"),
    ("ATM_AGENT_MCP_FAST_MODEL", "fast_model"),
    ("ATM_AGENT_MCP_REASONING_EFFORT", "reasoning_effort"),
    ("ATM_AGENT_MCP_SANDBOX", "sandbox"),
    ("ATM_AGENT_MCP_ALLOW_FULL_ACCESS", "allow_full_access"),
    ("ATM_AGENT_MCP_APPROVAL_POLICY", "approval_policy"),
    ("ATM_AGENT_MCP_CODEX_BIN", "codex_bin"),
    ("ATM_AGENT_MCP_ENV_REMOVE", "env_remove"),
    ("ATM_AGENT_MCP_REQUEST_TIMEOUT_SECS", "request_timeout_secs"),
    ("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", "max_concurrent_threads"),
    ("ATM_AGENT_MCP_QUEUE_TTL_SECS", "queue_ttl_secs"),
    ("ATM_AGENT_MCP_QUEUE_MAX_ENTRIES", "queue_max_entries"),
    ("ATM_AGENT_MCP_QUEUE_MAX_BYTES", "queue_max_bytes"),
    ("ATM_AGENT_MCP_AUTO_MAIL", "auto_mail"),
    ("ATM_AGENT_MCP_MAIL_POLL_INTERVAL_MS", "mail_poll_interval_ms"),
    ("ATM_AGENT_MCP_MAX_MAIL_MESSAGES", "max_mail_messages"),
    ("ATM_AGENT_MCP_MAX_MAIL_MESSAGE_LENGTH", "max_mail_message_length"),
    ("ATM_AGENT_MCP_APPROVAL_TIMEOUT_SECS", "approval_timeout_secs"),
    ("ATM_AGENT_MCP_APPROVALS_TO_LEAD", "approvals_to_lead"),
    ("ATM_AGENT_MCP_STALL_SECS", "stall_secs"),
    ("ATM_AGENT_MCP_SHUTDOWN_GRACE_SECS", "shutdown_grace_secs"),
    ("ATM_AGENT_MCP_EVENTS", "events"),
    ("ATM_AGENT_MCP_INBOX_SOCKET", "inbox_socket"),
    ("ATM_AGENT_MCP_SUBAGENTS", "subagents"),
];

/// Variables of 0.14 that nothing reads now.
const WITHOUT_EFFECT: [(&str, &str); 1] = [("ATM_AGENT_MCP_TRANSPORT", "transport")];

/// Reads the variables through `lookup`; a blank one is not set. Paths are relative to `cwd`.
pub(super) fn read(
    lookup: &dyn Fn(&str) -> Option<String>,
    cwd: &Path,
    warnings: &mut Vec<Warning>,
) -> Result<Layer, ConfigError> {
    let set = |variable| lookup(variable).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    let mut layer = Layer::default();
    for (variable, key) in VARIABLES {
        let Some(word) = set(variable) else { continue };
        let at = Source::Environment(variable);
        match layer.set(key, Given::Word(&word), &at, cwd) {
            Ok(known) => debug_assert!(known, "{key}"),
            Err(problem) => return Err(ConfigError::Value { at, problem }),
        }
    }
    if let Some(word) = set("ATM_TEAM") {
        let at = Source::Environment("ATM_TEAM");
        match Team::parse(&word) {
            Ok(team) => layer.team = Some(at.of(team)),
            Err(error) => return Err(ConfigError::Value { at, problem: error.to_string() }),
        }
    }
    for (variable, key) in WITHOUT_EFFECT {
        if set(variable).is_some() {
            warnings.push(Warning::WithoutEffect { at: Source::Environment(variable), key: key.to_owned() });
        }
    }
    Ok(layer)
}

#[cfg(test)]
mod tests {
    use crate::config::testing::{Place, value};

    #[test]
    fn every_variable_sets_its_value() {
        for (variable, given, key, expected) in [
            ("ATM_TEAM", "red", "team", "red"),
            ("ATM_IDENTITY", "ann", "identity", "ann"),
            ("ATM_AGENT_MCP_IDENTITY", "bob", "identity", "bob"),
            ("ATM_AGENT_MCP_LEAD", "boss", "lead", "boss"),
            ("ATM_AGENT_MCP_MODEL", " m1 ", "model", "m1"),
            ("ATM_AGENT_MCP_FAST_MODEL", "m2", "fast_model", "m2"),
            ("ATM_AGENT_MCP_REASONING_EFFORT", "high", "reasoning_effort", "high"),
            ("ATM_AGENT_MCP_SANDBOX", "read-only", "sandbox", "read-only"),
            ("ATM_AGENT_MCP_ALLOW_FULL_ACCESS", "1", "allow_full_access", "true"),
            ("ATM_AGENT_MCP_APPROVAL_POLICY", "never", "approval_policy", "never"),
            ("ATM_AGENT_MCP_CODEX_BIN", "codex-beta", "codex_bin", "codex-beta"),
            ("ATM_AGENT_MCP_ENV_REMOVE", "A, B_*", "env_remove", "A,B_*"),
            ("ATM_AGENT_MCP_REQUEST_TIMEOUT_SECS", "60", "request_timeout_secs", "60"),
            ("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", "3", "max_concurrent_threads", "3"),
            ("ATM_AGENT_MCP_QUEUE_TTL_SECS", "0", "queue_ttl_secs", "0"),
            ("ATM_AGENT_MCP_QUEUE_MAX_ENTRIES", "7", "queue_max_entries", "7"),
            ("ATM_AGENT_MCP_QUEUE_MAX_BYTES", "1048576", "queue_max_bytes", "1048576"),
            ("ATM_AGENT_MCP_AUTO_MAIL", "false", "auto_mail", "false"),
            ("ATM_AGENT_MCP_MAIL_POLL_INTERVAL_MS", "500", "mail_poll_interval_ms", "500"),
            ("ATM_AGENT_MCP_MAX_MAIL_MESSAGES", "2", "max_mail_messages", "2"),
            ("ATM_AGENT_MCP_MAX_MAIL_MESSAGE_LENGTH", "200", "max_mail_message_length", "200"),
            ("ATM_AGENT_MCP_APPROVAL_TIMEOUT_SECS", "7", "approval_timeout_secs", "7"),
            ("ATM_AGENT_MCP_APPROVALS_TO_LEAD", "true", "approvals_to_lead", "true"),
            ("ATM_AGENT_MCP_STALL_SECS", "7", "stall_secs", "7"),
            ("ATM_AGENT_MCP_SHUTDOWN_GRACE_SECS", "1", "shutdown_grace_secs", "1"),
            ("ATM_AGENT_MCP_EVENTS", "all", "events", "all"),
            ("ATM_AGENT_MCP_INBOX_SOCKET", "true", "inbox_socket", "true"),
            ("ATM_AGENT_MCP_SUBAGENTS", "1", "subagents", "true"),
        ] {
            let place = Place::new().env(variable, given);
            let expected = (Some(expected.to_owned()), format!("environment {variable}"));
            assert_eq!(value(&place.load(&[]).unwrap(), key), expected, "{variable}");
        }
        let place = Place::new().file("repo/.atm.toml", "[plugins.atm-agent-mcp.roles.r]\nmodel = 'of r'");
        let loaded = place.env("ATM_AGENT_MCP_ROLE", "r").load(&[]).unwrap();
        assert_eq!(loaded.settings.role.as_deref(), Some("r"));
    }

    #[test]
    fn a_blank_variable_is_not_set() {
        let place = Place::new().env("ATM_TEAM", "").env("ATM_AGENT_MCP_SANDBOX", "  ");
        let loaded = place.load(&[]).unwrap();
        assert_eq!(value(&loaded, "team").1, "repository name");
        assert_eq!(value(&loaded, "sandbox"), (None, "default".to_owned()));
    }

    #[test]
    fn our_own_identity_variable_beats_the_shared_one() {
        let place = Place::new().env("ATM_IDENTITY", "ann").env("ATM_AGENT_MCP_IDENTITY", "bob");
        assert_eq!(place.load(&[]).unwrap().settings.identity.unwrap().as_str(), "bob");
    }

    #[test]
    fn a_bad_variable_is_named_with_what_is_allowed() {
        for (variable, bad, says) in [
            ("ATM_TEAM", "../x", "a-z, 0-9"),
            ("ATM_IDENTITY", "Ann", "a-z, 0-9"),
            ("ATM_AGENT_MCP_SANDBOX", "none", "read-only, workspace-write, danger-full-access"),
            ("ATM_AGENT_MCP_APPROVAL_POLICY", "always", "untrusted, on-request, never"),
            ("ATM_AGENT_MCP_REQUEST_TIMEOUT_SECS", "-1", "a whole number from 0 to 31536000, found \"-1\""),
            ("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", "0", "a whole number from 1 to 10000, found \"0\""),
            ("ATM_AGENT_MCP_QUEUE_TTL_SECS", "10m", "a whole number from 0 to 31536000, found \"10m\""),
            ("ATM_AGENT_MCP_QUEUE_MAX_ENTRIES", "0", "a whole number from 1 to 1000000, found \"0\""),
            ("ATM_AGENT_MCP_QUEUE_MAX_BYTES", "1048577", "a whole number from 1 to 1048576, found \"1048577\""),
            ("ATM_AGENT_MCP_ENV_REMOVE", "A,*", "\"*\" names no variables: use NAME, or BEGINNING*"),
            ("ATM_AGENT_MCP_SUBAGENTS", "maybe", "true or false, found \"maybe\""),
            ("ATM_AGENT_MCP_ROLE", "ghost", "there are no roles"),
        ] {
            let error = Place::new().env(variable, bad).load(&[]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("environment {variable}: ")) && error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_variable_of_the_predecessor_is_a_warning() {
        let loaded = Place::new().env("ATM_AGENT_MCP_TRANSPORT", "mock").load(&[]).unwrap();
        assert_eq!(
            loaded.warnings[0].to_string(),
            "environment ATM_AGENT_MCP_TRANSPORT: `transport` is known, but without effect in this version"
        );
    }
}
