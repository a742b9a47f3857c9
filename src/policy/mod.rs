//! What an agent may do on its own, and which variables it does not see: the words that clients, settings and Codex share.

mod variables;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use variables::{Variables, VariablesError};

/// A word that is none of the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not known: use one of {allowed}")]
pub struct PolicyError {
    what: &'static str,
    given: String,
    allowed: &'static str,
}

/// Where an agent's commands may read and write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Reads everything, writes nothing.
    ReadOnly,
    /// Writes below the working directory and in temporary directories.
    WorkspaceWrite,
    /// No sandbox at all.
    DangerFullAccess,
}

impl Sandbox {
    /// Every word, as Codex and the lost `codex` tool spell it.
    pub const ALL: [Sandbox; 3] = [Sandbox::ReadOnly, Sandbox::WorkspaceWrite, Sandbox::DangerFullAccess];

    /// Takes one of the words.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| PolicyError {
            what: "sandbox",
            given: shown(text),
            allowed: "read-only, workspace-write, danger-full-access",
        })
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Sandbox::ReadOnly => "read-only",
            Sandbox::WorkspaceWrite => "workspace-write",
            Sandbox::DangerFullAccess => "danger-full-access",
        }
    }
}

/// When Codex asks before it runs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalPolicy {
    /// Asks for nearly every command.
    Untrusted,
    /// Asks when the model wants more than the sandbox gives.
    OnRequest,
    /// Never asks; what the sandbox refuses, fails.
    Never,
}

impl ApprovalPolicy {
    /// Every word that Codex takes today.
    pub const ALL: [ApprovalPolicy; 3] = [ApprovalPolicy::Untrusted, ApprovalPolicy::OnRequest, ApprovalPolicy::Never];

    /// The word that Codex once took and refuses since (seen with 0.153.4 and 0.169.0); it is read as `on-request`.
    pub const RETIRED: &'static str = "on-failure";

    /// Takes one of the words, the retired one included.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        if text == Self::RETIRED {
            return Ok(ApprovalPolicy::OnRequest);
        }
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| PolicyError {
            what: "approval policy",
            given: shown(text),
            allowed: "untrusted, on-request, never",
        })
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            ApprovalPolicy::Untrusted => "untrusted",
            ApprovalPolicy::OnRequest => "on-request",
            ApprovalPolicy::Never => "never",
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ApprovalPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for sandbox in Sandbox::ALL {
            assert_eq!(Sandbox::parse(sandbox.as_str()), Ok(sandbox));
            assert_eq!(serde_json::to_value(sandbox).unwrap(), sandbox.as_str());
        }
        for policy in ApprovalPolicy::ALL {
            assert_eq!(ApprovalPolicy::parse(policy.as_str()), Ok(policy));
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.as_str());
        }
        assert_eq!(ApprovalPolicy::parse("on-failure"), Ok(ApprovalPolicy::OnRequest));
    }

    #[test]
    fn an_unknown_word_is_told_the_known_ones() {
        let error = Sandbox::parse("none").unwrap_err().to_string();
        assert!(error.contains("\"none\"") && error.contains("read-only, workspace-write"), "{error}");
        let error = ApprovalPolicy::parse("always").unwrap_err().to_string();
        assert!(error.contains("untrusted, on-request, never"), "{error}");
    }
}
