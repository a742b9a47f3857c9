//! The settings as they hold, with every source laid over the weaker ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::ids::{AgentName, Team};
use crate::policy::{ApprovalPolicy, Sandbox, Variables};
use crate::repo::Repository;

use super::error::{ConfigError, UnknownRole, Warning};
use super::layer::{BYTES_MAX, Choices, Layer};
use super::listing::Listed;
use super::mail::MailSettings;
use super::source::{Source, Sourced};
use super::trust::TrustSettings;

const LEAD: &str = "team-lead";
const TEAM: &str = "default";
const MAX_CONCURRENT_THREADS: u64 = 10;
const QUEUE_TTL_SECS: u64 = 600;
const QUEUE_MAX_ENTRIES: u64 = 10_000;

/// What the server runs with. What an agent runs with depends on its role: see [`Settings::for_role`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// The team.
    pub team: Team,
    /// Whether somebody named it: else it is called after the repository, or by default.
    pub team_is_named: bool,
    /// The name of the client, who speaks through this server.
    pub lead: AgentName,
    /// The name of new agents that are given none.
    pub identity: Option<AgentName>,
    /// The role of new agents that are given none; it is one of the known roles.
    pub role: Option<String>,
    /// Whether agents may have the sandbox `danger-full-access`.
    pub allow_full_access: bool,
    /// Whether Codex's own multi-agent tools are switched on; `false` says nothing to Codex.
    pub subagents: bool,
    /// How long a call may take; `None` is for ever.
    pub request_timeout: Option<Duration>,
    /// How many agents may be open at a time, at least one.
    pub max_concurrent_threads: usize,
    /// How long an idle agent may fail to take an entry of its queue, and a lock file in it that is not ours counts;
    /// `None` is for ever.
    pub queue_ttl: Option<Duration>,
    /// How many entries may wait in an agent's queue, at least one.
    pub queue_max_entries: usize,
    /// The longest text of an entry, in bytes, at least one.
    pub queue_max_bytes: usize,
    /// How mail reaches agents.
    pub mail: MailSettings,
    /// Whom to ask, and how long to wait.
    pub trust: TrustSettings,
    /// The Codex to run: a bare name to look for on `PATH`, or a path.
    pub codex_bin: Option<PathBuf>,
    /// What Codex does not get of the environment, beside what it never gets.
    pub env_remove: Vec<Variables>,
    /// The file whose text takes the place of Codex's base instructions.
    pub base_prompt_file: Option<PathBuf>,
    /// The file whose text is added to an agent's instructions.
    pub extra_instructions_file: Option<PathBuf>,
    general: Choices,
    roles: BTreeMap<String, Choices>,
}

/// What a new agent runs with where its call says nothing else; `None` is not passed to Codex.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentDefaults {
    /// The role these belong to.
    pub role: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The reasoning effort.
    pub reasoning_effort: Option<String>,
    /// The sandbox.
    pub sandbox: Option<Sandbox>,
    /// The approval policy.
    pub approval_policy: Option<ApprovalPolicy>,
    /// That the approval policy was written as `on-failure`.
    pub note: Option<Warning>,
}

impl Settings {
    /// What a new agent runs with: one whose call names a role, or (`None`) one in the role of the settings, if any.
    ///
    /// Whatever was said closest to the agent holds: the role its call names, then flags, then the role of the
    /// settings, then the general settings.
    pub fn for_role(&self, called: Option<&str>) -> Result<AgentDefaults, UnknownRole> {
        let role = called.map(str::to_owned).or_else(|| self.role.clone());
        self.choices(called).map(|choices| defaults(role, choices))
    }

    /// What a role says, and nothing else: for an agent that has settings of its own already.
    pub fn role_alone(&self, name: &str) -> Result<AgentDefaults, UnknownRole> {
        self.role(name).map(|choices| defaults(Some(name.to_owned()), choices))
    }

    fn choices(&self, called: Option<&str>) -> Result<Choices, UnknownRole> {
        let general = self.general.clone();
        Ok(match (called, &self.role) {
            (Some(role), _) => self.role(role)?.over(general),
            (None, Some(role)) => general.clone().only_flags().over(self.role(role)?).over(general),
            (None, None) => general,
        })
    }

    fn role(&self, name: &str) -> Result<Choices, UnknownRole> {
        self.roles
            .get(name)
            .cloned()
            .ok_or_else(|| UnknownRole { role: name.to_owned(), known: self.roles.keys().cloned().collect() })
    }

    /// The retired words among what holds, and the sandboxes that no agent will have, each once.
    pub(super) fn warnings(&self) -> impl Iterator<Item = Warning> {
        let all = || self.roles.values().chain([&self.general]);
        let policies = all().filter_map(|choices| choices.approval_policy.as_ref()).filter(|set| set.value.retired);
        let is_refused = |sandbox: Sandbox| sandbox == Sandbox::DangerFullAccess && !self.allow_full_access;
        let sandboxes = all().filter_map(|choices| choices.sandbox.as_ref()).filter(move |set| is_refused(set.value));
        let policies = policies.map(|set| Warning::RetiredPolicy { at: set.source.clone() });
        policies.chain(sandboxes.map(|set| Warning::NoFullAccess { at: set.source.clone() }))
    }
}

fn defaults(role: Option<String>, choices: Choices) -> AgentDefaults {
    let retired = choices.approval_policy.as_ref().filter(|set| set.value.retired);
    AgentDefaults {
        role,
        note: retired.map(|set| Warning::RetiredPolicy { at: set.source.clone() }),
        model: choices.model.map(|set| set.value),
        reasoning_effort: choices.reasoning_effort.map(|set| set.value),
        sandbox: choices.sandbox.map(|set| set.value),
        approval_policy: choices.approval_policy.map(|set| set.value.policy),
    }
}

/// Fills what is unset with the defaults, and lists all of it.
pub(super) fn settle(layer: Layer, repository: Option<&Repository>) -> Result<(Settings, Vec<Listed>), ConfigError> {
    let team = layer.team.unwrap_or_else(|| default_team(repository));
    let lead = layer.lead.unwrap_or_else(|| {
        Source::Default.of(AgentName::parse(LEAD).expect("the default lead keeps the rule of names"))
    });
    let subagents = layer.subagents.unwrap_or(Source::Default.of(false));
    let full_access = layer.allow_full_access.unwrap_or(Source::Default.of(false));
    let timeout = layer.request_timeout_secs.unwrap_or(Source::Default.of(0));
    let threads = layer.max_concurrent_threads.unwrap_or(Source::Default.of(MAX_CONCURRENT_THREADS));
    let ttl = layer.queue_ttl_secs.unwrap_or(Source::Default.of(QUEUE_TTL_SECS));
    let entries = layer.queue_max_entries.unwrap_or(Source::Default.of(QUEUE_MAX_ENTRIES));
    let bytes = layer.queue_max_bytes.unwrap_or(Source::Default.of(BYTES_MAX));
    let path = |path: &PathBuf| path.display().to_string();

    let mut listing = vec![
        Listed::set("team", &team),
        Listed::set("lead", &lead),
        Listed::maybe("identity", &layer.identity, AgentName::to_string),
        Listed::maybe("role", &layer.role, String::clone),
        Listed::maybe("fast_model", &layer.fast_model, String::clone),
        Listed::set("allow_full_access", &full_access),
        Listed::set("subagents", &subagents),
        Listed::set("request_timeout_secs", &timeout),
        Listed::set("max_concurrent_threads", &threads),
        Listed::set("queue_ttl_secs", &ttl),
        Listed::set("queue_max_entries", &entries),
        Listed::set("queue_max_bytes", &bytes),
        Listed::maybe("codex_bin", &layer.codex_bin, path),
        Listed::maybe("env_remove", &layer.env_remove, |names| words(names)),
        Listed::maybe("base_prompt_file", &layer.base_prompt_file, path),
        Listed::maybe("extra_instructions_file", &layer.extra_instructions_file, path),
    ];
    let (mail, listed) = layer.mail.settle();
    listing.splice(12..12, listed);
    let (trust, listed) = layer.trust.settle();
    listing.splice(8..8, listed);
    let role_source = layer.role.as_ref().map(|set| set.source.clone());
    let settings = Settings {
        team_is_named: !matches!(team.source, Source::RepositoryName | Source::Default),
        team: team.value,
        lead: lead.value,
        identity: layer.identity.map(|set| set.value),
        role: layer.role.map(|set| set.value),
        allow_full_access: full_access.value,
        subagents: subagents.value,
        request_timeout: unless_zero(timeout.value),
        max_concurrent_threads: number(threads.value),
        queue_ttl: unless_zero(ttl.value),
        queue_max_entries: number(entries.value),
        queue_max_bytes: number(bytes.value),
        mail,
        trust,
        codex_bin: layer.codex_bin.map(|set| set.value),
        env_remove: layer.env_remove.map(|set| set.value).unwrap_or_default(),
        base_prompt_file: layer.base_prompt_file.map(|set| set.value),
        extra_instructions_file: layer.extra_instructions_file.map(|set| set.value),
        general: layer.general,
        roles: layer.roles,
    };
    let effective = settings.choices(None).map_err(|unknown| ConfigError::Value {
        at: role_source.unwrap_or(Source::Default),
        problem: unknown.to_string(),
    })?;
    listing.splice(4..4, list_choices("", &effective));
    for (role, choices) in &settings.roles {
        let listed = list_choices(&format!("roles.{role}."), choices);
        listing.extend(listed.into_iter().filter(|listed| listed.value.is_some()));
    }
    Ok((settings, listing))
}

/// A time in seconds; 0 is for ever.
pub(super) fn unless_zero(secs: u64) -> Option<Duration> {
    (secs > 0).then(|| Duration::from_secs(secs))
}

fn words(names: &[Variables]) -> String {
    names.iter().map(Variables::to_string).collect::<Vec<_>>().join(",")
}

pub(super) fn number(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn list_choices(prefix: &str, choices: &Choices) -> [Listed; 4] {
    let key = |key: &str| format!("{prefix}{key}");
    [
        Listed::maybe(&key("model"), &choices.model, String::clone),
        Listed::maybe(&key("reasoning_effort"), &choices.reasoning_effort, String::clone),
        Listed::maybe(&key("sandbox"), &choices.sandbox, Sandbox::to_string),
        Listed::maybe(&key("approval_policy"), &choices.approval_policy, |word| word.policy.to_string()),
    ]
}

fn default_team(repository: Option<&Repository>) -> Sourced<Team> {
    let named = repository.and_then(Repository::name).and_then(|name| Team::from_repository_name(&name));
    match named {
        Some(team) => Source::RepositoryName.of(team),
        None => Source::Default.of(Team::parse(TEAM).expect("the default team keeps the rule of names")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::{Place, value};

    const FILE: &str = "
        [plugins.atm-agent-mcp]
        model = 'general'
        reasoning_effort = 'low'
        approval_policy = 'never'
        [plugins.atm-agent-mcp.roles.review]
        model = 'careful'
        sandbox = 'read-only'
        approval_policy = 'on-failure'
        [plugins.atm-agent-mcp.roles.write]
        sandbox = 'workspace-write'
        reasoning_effort = 'high'
    ";

    /// Model, effort, sandbox, policy of an agent.
    fn agent(args: &[&str], called: Option<&str>) -> [String; 4] {
        let settings = Place::new().file("repo/.atm.toml", FILE).load(args).unwrap().settings;
        let agent = settings.for_role(called).unwrap();
        let text = |text: Option<String>| text.unwrap_or("-".to_owned());
        [
            text(agent.model),
            text(agent.reasoning_effort),
            text(agent.sandbox.map(|s| s.to_string())),
            text(agent.approval_policy.map(|p| p.to_string())),
        ]
    }

    #[test]
    fn what_was_said_closest_to_the_agent_holds() {
        let flags = ["--model", "flag", "--sandbox", "danger-full-access", "--approval-policy", "untrusted"];
        let with_role = [&flags[..], &["--role", "review"]].concat();
        for (args, called, expected) in [
            (&[][..], None, ["general", "low", "-", "never"]),
            (&[], Some("review"), ["careful", "low", "read-only", "on-request"]),
            (&[], Some("write"), ["general", "high", "workspace-write", "never"]),
            (&["--role", "review"], None, ["careful", "low", "read-only", "on-request"]),
            (&["--role", "review"], Some("write"), ["general", "high", "workspace-write", "never"]),
            (&flags, None, ["flag", "low", "danger-full-access", "untrusted"]),
            (&with_role, None, ["flag", "low", "danger-full-access", "untrusted"]),
            (&with_role, Some("review"), ["careful", "low", "read-only", "on-request"]),
            (&with_role, Some("write"), ["flag", "high", "workspace-write", "untrusted"]),
            (&["--role", "review", "--readonly"], Some("write"), ["general", "high", "workspace-write", "never"]),
        ] {
            assert_eq!(agent(args, called), expected, "{args:?} {called:?}");
        }
    }

    #[test]
    fn what_nobody_set_is_not_passed_to_codex() {
        let settings = Place::new().load(&[]).unwrap().settings;
        assert_eq!(settings.for_role(None).unwrap(), AgentDefaults::default());
        assert!(!settings.subagents);
        assert_eq!((settings.request_timeout, settings.codex_bin, settings.identity), (None, None, None));
        assert_eq!((settings.base_prompt_file, settings.extra_instructions_file), (None, None));
        assert_eq!((settings.lead.as_str(), settings.max_concurrent_threads), ("team-lead", 10));
        assert_eq!(settings.queue_ttl, Some(Duration::from_secs(600)));
        assert_eq!((settings.queue_max_entries, settings.queue_max_bytes), (10_000, 1_048_576));
    }

    #[test]
    fn the_limits_of_the_queue_reach_the_settings_and_a_ttl_of_zero_is_for_ever() {
        let file = "[plugins.atm-agent-mcp]\nqueue_ttl_secs = 0\nqueue_max_entries = 5\nqueue_max_bytes = 100";
        let settings = Place::new().file("repo/.atm.toml", file).load(&[]).unwrap().settings;
        assert_eq!((settings.queue_ttl, settings.queue_max_entries, settings.queue_max_bytes), (None, 5, 100));
    }

    #[test]
    fn an_unknown_role_is_told_the_known_ones() {
        let place = Place::new().file("repo/.atm.toml", FILE);
        let error = place.load(&[]).unwrap().settings.for_role(Some("reviewer")).unwrap_err();
        assert_eq!(error.to_string(), "role \"reviewer\" is not known: use one of review, write");
        let error = place.load(&["--role", "reviewer"]).unwrap_err().to_string();
        assert_eq!(error, "flag --role: role \"reviewer\" is not known: use one of review, write");
        let place = Place::new().file("repo/.atm.toml", "[plugins.atm-agent-mcp]\n\nrole = 'x'");
        let error = place.load(&[]).unwrap_err().to_string();
        assert!(
            error.contains(".atm.toml:3: role \"x\"") && error.contains("[plugins.atm-agent-mcp.roles."),
            "{error}"
        );
    }

    #[test]
    fn on_failure_is_read_as_on_request_and_said() {
        let loaded = Place::new().file("repo/.atm.toml", FILE).load(&["--approval-policy", "on-failure"]).unwrap();
        let said: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert!(said[0].contains(".atm.toml:9: approval policy `on-failure`"), "{said:?}");
        assert!(said[1].starts_with("flag --approval-policy: ") && said[1].contains("`on-request`"), "{said:?}");
        assert_eq!(said.len(), 2);
        let note = |role| loaded.settings.for_role(role).unwrap().note.map(|note| note.to_string());
        assert_eq!(note(Some("review")).as_ref(), Some(&said[0]));
        assert_eq!(note(None).as_ref(), Some(&said[1]));
        assert_eq!(Place::new().load(&[]).unwrap().settings.for_role(None).unwrap().note, None);
    }

    #[test]
    fn a_sandbox_that_agents_may_not_have_is_warned_of_where_it_stands() {
        let file = "[plugins.atm-agent-mcp.roles.free]\nsandbox = 'danger-full-access'";
        let place = Place::new().file("repo/.atm.toml", file);
        let said: Vec<_> = place.load(&[]).unwrap().warnings.iter().map(ToString::to_string).collect();
        assert!(said.len() == 1 && said[0].contains(".atm.toml:2: the sandbox danger-full-access is not"), "{said:?}");
        assert_eq!(place.load(&["--allow-full-access"]).unwrap().warnings, []);
        let said = Place::new().load(&["--sandbox", "danger-full-access"]).unwrap().warnings[0].to_string();
        assert!(said.starts_with("flag --sandbox: "), "{said}");
    }

    #[test]
    fn the_listing_shows_what_a_new_agent_gets_and_from_where() {
        let place = Place::new().file("repo/.atm.toml", FILE);
        let loaded = place.load(&["--role", "review", "--model", "flag"]).unwrap();
        let at = |line| format!("{}:{line}", place.path("repo/.atm.toml").display());
        assert_eq!(value(&loaded, "model"), (Some("flag".into()), "flag --model".into()));
        assert_eq!(value(&loaded, "sandbox"), (Some("read-only".into()), at(8)));
        assert_eq!(value(&loaded, "reasoning_effort"), (Some("low".into()), at(4)));
        assert_eq!(value(&loaded, "roles.review.model"), (Some("careful".into()), at(7)));
        assert_eq!(value(&loaded, "max_concurrent_threads"), (Some("10".into()), "default".into()));
        assert!(!loaded.listing.iter().any(|listed| listed.key == "roles.write.model"));
        let json = serde_json::to_value(&loaded.listing[0]).unwrap();
        assert_eq!(json, serde_json::json!({"key": "team", "value": "repo", "source": "repository name"}));
    }
}
