//! What one source sets, to be laid over what weaker sources set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::ids::{AgentName, Team};
use crate::policy::{ApprovalPolicy, PolicyError, Sandbox, Variables};

use super::given::{Given, Problem};
use super::mail::MailLayer;
use super::source::{Source, Sourced};
use super::trust::TrustLayer;

/// The keys of `[plugins.atm-agent-mcp]` that are values.
pub(super) const KEYS: [&str; 19] = [
    "codex_bin",
    "env_remove",
    "identity",
    "lead",
    "role",
    "model",
    "fast_model",
    "reasoning_effort",
    "sandbox",
    "allow_full_access",
    "approval_policy",
    "subagents",
    "request_timeout_secs",
    "max_concurrent_threads",
    "queue_ttl_secs",
    "queue_max_entries",
    "queue_max_bytes",
    "base_prompt_file",
    "extra_instructions_file",
];

/// The keys of a role's table.
pub(super) const ROLE_KEYS: [&str; 4] = ["model", "reasoning_effort", "sandbox", "approval_policy"];

/// The longest time-out, a year: a deadline beyond it could leave the clock's range.
pub(super) const TIMEOUT_MAX_SECS: u64 = 365 * 24 * 60 * 60;
/// The most entries of a queue: each look at it takes as long as there are.
const ENTRIES_MAX: u64 = 1_000_000;
/// The longest entry of a queue: Codex takes no more characters in a turn.
pub(super) const BYTES_MAX: u64 = 1024 * 1024;

/// An approval policy as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyWord {
    /// What it means.
    pub policy: ApprovalPolicy,
    /// Whether it was written as [`ApprovalPolicy::RETIRED`].
    pub retired: bool,
}

impl PolicyWord {
    /// Takes one of the words, the retired one included.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let policy = ApprovalPolicy::parse(text)?;
        Ok(PolicyWord { policy, retired: text == ApprovalPolicy::RETIRED })
    }
}

/// What an agent runs with, as far as it is set: in general, or by a role.
#[derive(Debug, Clone, Default)]
pub(super) struct Choices {
    pub(super) model: Option<Sourced<String>>,
    pub(super) reasoning_effort: Option<Sourced<String>>,
    pub(super) sandbox: Option<Sourced<Sandbox>>,
    pub(super) approval_policy: Option<Sourced<PolicyWord>>,
}

impl Choices {
    /// Takes the value of one of [`ROLE_KEYS`]; `false` when `key` is none of them.
    pub(super) fn set(&mut self, key: &str, given: Given<'_>, at: &Source) -> Result<bool, Problem> {
        match key {
            "model" => self.model = Some(at.of(given.text()?.to_owned())),
            "reasoning_effort" => self.reasoning_effort = Some(at.of(given.text()?.to_owned())),
            "sandbox" => self.sandbox = Some(at.of(given.parsed(Sandbox::parse)?)),
            "approval_policy" => self.approval_policy = Some(at.of(given.parsed(PolicyWord::parse)?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// These, and where they say nothing, the weaker ones.
    pub(super) fn over(self, weaker: Choices) -> Choices {
        Choices {
            model: self.model.or(weaker.model),
            reasoning_effort: self.reasoning_effort.or(weaker.reasoning_effort),
            sandbox: self.sandbox.or(weaker.sandbox),
            approval_policy: self.approval_policy.or(weaker.approval_policy),
        }
    }

    /// Only what was said on the command line.
    pub(super) fn only_flags(self) -> Choices {
        Choices {
            model: self.model.filter(|set| set.source.is_flag()),
            reasoning_effort: self.reasoning_effort.filter(|set| set.source.is_flag()),
            sandbox: self.sandbox.filter(|set| set.source.is_flag()),
            approval_policy: self.approval_policy.filter(|set| set.source.is_flag()),
        }
    }
}

/// What one source sets.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) team: Option<Sourced<Team>>,
    pub(super) lead: Option<Sourced<AgentName>>,
    pub(super) identity: Option<Sourced<AgentName>>,
    pub(super) role: Option<Sourced<String>>,
    pub(super) fast_model: Option<Sourced<String>>,
    pub(super) allow_full_access: Option<Sourced<bool>>,
    pub(super) subagents: Option<Sourced<bool>>,
    pub(super) request_timeout_secs: Option<Sourced<u64>>,
    pub(super) max_concurrent_threads: Option<Sourced<u64>>,
    pub(super) queue_ttl_secs: Option<Sourced<u64>>,
    pub(super) queue_max_entries: Option<Sourced<u64>>,
    pub(super) queue_max_bytes: Option<Sourced<u64>>,
    pub(super) codex_bin: Option<Sourced<PathBuf>>,
    pub(super) env_remove: Option<Sourced<Vec<Variables>>>,
    pub(super) base_prompt_file: Option<Sourced<PathBuf>>,
    pub(super) extra_instructions_file: Option<Sourced<PathBuf>>,
    pub(super) mail: MailLayer,
    pub(super) trust: TrustLayer,
    pub(super) general: Choices,
    pub(super) roles: BTreeMap<String, Choices>,
}

impl Layer {
    /// Takes the value of one of [`KEYS`]; `false` when `key` is none of them. Paths are relative to `base`.
    pub(super) fn set(&mut self, key: &str, given: Given<'_>, at: &Source, base: &Path) -> Result<bool, Problem> {
        match key {
            "lead" => self.lead = Some(at.of(given.parsed(AgentName::parse)?)),
            "identity" => self.identity = Some(at.of(given.parsed(AgentName::parse)?)),
            "role" => self.role = Some(at.of(given.text()?.to_owned())),
            "fast_model" => self.fast_model = Some(at.of(given.text()?.to_owned())),
            "allow_full_access" => self.allow_full_access = Some(at.of(given.boolean()?)),
            "subagents" => self.subagents = Some(at.of(given.boolean()?)),
            "request_timeout_secs" => self.request_timeout_secs = Some(at.of(given.number(0..=TIMEOUT_MAX_SECS)?)),
            "max_concurrent_threads" => self.max_concurrent_threads = Some(at.of(given.number(1..=10_000)?)),
            "queue_ttl_secs" => self.queue_ttl_secs = Some(at.of(given.number(0..=TIMEOUT_MAX_SECS)?)),
            "queue_max_entries" => self.queue_max_entries = Some(at.of(given.number(1..=ENTRIES_MAX)?)),
            "queue_max_bytes" => self.queue_max_bytes = Some(at.of(given.number(1..=BYTES_MAX)?)),
            "codex_bin" => self.codex_bin = Some(at.of(given.program(base)?)),
            "env_remove" => self.env_remove = Some(at.of(given.list(Variables::parse)?)),
            "base_prompt_file" => self.base_prompt_file = Some(at.of(given.path(base)?)),
            "extra_instructions_file" => self.extra_instructions_file = Some(at.of(given.path(base)?)),
            _ => {
                let known = self.mail.set(key, given, at)? || self.trust.set(key, given, at)?;
                return Ok(known || self.general.set(key, given, at)?);
            }
        }
        Ok(true)
    }

    /// This layer, and where it says nothing, the weaker one; a role is put together from both, value by value.
    pub(super) fn over(self, weaker: Layer) -> Layer {
        let mut roles = weaker.roles;
        for (name, role) in self.roles {
            let below = roles.remove(&name).unwrap_or_default();
            roles.insert(name, role.over(below));
        }
        Layer {
            team: self.team.or(weaker.team),
            lead: self.lead.or(weaker.lead),
            identity: self.identity.or(weaker.identity),
            role: self.role.or(weaker.role),
            fast_model: self.fast_model.or(weaker.fast_model),
            allow_full_access: self.allow_full_access.or(weaker.allow_full_access),
            subagents: self.subagents.or(weaker.subagents),
            request_timeout_secs: self.request_timeout_secs.or(weaker.request_timeout_secs),
            max_concurrent_threads: self.max_concurrent_threads.or(weaker.max_concurrent_threads),
            queue_ttl_secs: self.queue_ttl_secs.or(weaker.queue_ttl_secs),
            queue_max_entries: self.queue_max_entries.or(weaker.queue_max_entries),
            queue_max_bytes: self.queue_max_bytes.or(weaker.queue_max_bytes),
            codex_bin: self.codex_bin.or(weaker.codex_bin),
            env_remove: self.env_remove.or(weaker.env_remove),
            base_prompt_file: self.base_prompt_file.or(weaker.base_prompt_file),
            extra_instructions_file: self.extra_instructions_file.or(weaker.extra_instructions_file),
            mail: self.mail.over(weaker.mail),
            trust: self.trust.over(weaker.trust),
            general: self.general.over(weaker.general),
            roles,
        }
    }
}
