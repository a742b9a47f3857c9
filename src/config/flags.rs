//! The flags of `serve`.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::ids::{AgentName, Team};
use crate::policy::{ApprovalPolicy, Sandbox};

use super::given::{Given, Problem};
use super::layer::{Choices, Layer, PolicyWord, TIMEOUT_MAX_SECS};
use super::source::{Source, Sourced};

/// What was said on the command line; the comments of the fields are the help text.
#[derive(Debug, Default, Clone, clap::Args)]
pub struct ServeFlags {
    /// The team whose agents and records these are [default: the repository's name]
    #[arg(long, value_name = "TEAM", value_parser = Team::parse)]
    pub team: Option<Team>,

    /// The name of whoever speaks through this server [default: team-lead]
    #[arg(long, value_name = "NAME", value_parser = AgentName::parse)]
    pub lead: Option<AgentName>,

    /// The name of new agents that are given none; further ones get a number behind it
    #[arg(long, value_name = "NAME", value_parser = AgentName::parse)]
    pub identity: Option<AgentName>,

    /// The role of new agents, one of those under [plugins.atm-agent-mcp.roles]
    #[arg(long, value_name = "ROLE", value_parser = NonEmptyStringValueParser::new())]
    pub role: Option<String>,

    /// The model of new agents
    #[arg(long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub model: Option<String>,

    /// Use the model that the setting `fast_model` names
    #[arg(long, conflicts_with = "model")]
    pub fast: bool,

    /// Where agents may read and write
    #[arg(long, value_name = "SANDBOX", value_parser = sandbox_words())]
    pub sandbox: Option<Sandbox>,

    /// Agents read everything and write nothing: the same as --sandbox read-only
    #[arg(long, visible_alias = "explore", conflicts_with = "sandbox")]
    pub readonly: bool,

    /// Let agents have the sandbox danger-full-access, which is none; without it they are refused
    #[arg(long)]
    pub allow_full_access: bool,

    /// When agents ask before they run something
    #[arg(long, value_name = "POLICY", value_parser = policy_words())]
    pub approval_policy: Option<PolicyWord>,

    /// Let Codex start agents of its own within an agent
    #[arg(long)]
    pub subagents: bool,

    /// Take up an agent of an earlier run, by name or id; without AGENT, the last one
    #[arg(long, value_name = "AGENT")]
    pub resume: Option<Option<String>>,

    /// The longest turn, in seconds; it is interrupted then, and returns what there is; 0 is no limit
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub timeout: Option<u64>,

    /// A settings file that goes before those of the repository and of the user
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
}

impl ServeFlags {
    /// What the flags set; `--fast` is not among it, since it needs to know `fast_model`.
    pub(super) fn layer(&self) -> Layer {
        let general = Choices {
            model: set("--model", &self.model),
            reasoning_effort: None,
            sandbox: if self.readonly {
                set("--readonly", &Some(Sandbox::ReadOnly))
            } else {
                set("--sandbox", &self.sandbox)
            },
            approval_policy: set("--approval-policy", &self.approval_policy),
        };
        Layer {
            team: set("--team", &self.team),
            lead: set("--lead", &self.lead),
            identity: set("--identity", &self.identity),
            role: set("--role", &self.role),
            allow_full_access: set("--allow-full-access", &self.allow_full_access.then_some(true)),
            subagents: set("--subagents", &self.subagents.then_some(true)),
            request_timeout_secs: set("--timeout", &self.timeout),
            general,
            ..Layer::default()
        }
    }
}

fn set<T: Clone>(flag: &'static str, value: &Option<T>) -> Option<Sourced<T>> {
    value.clone().map(|value| Source::Flag(flag).of(value))
}

fn seconds(text: &str) -> Result<u64, Problem> {
    Given::Word(text).number(0..=TIMEOUT_MAX_SECS)
}

fn sandbox_words() -> impl TypedValueParser<Value = Sandbox> {
    PossibleValuesParser::new(Sandbox::ALL.map(Sandbox::as_str)).try_map(|word| Sandbox::parse(&word))
}

fn policy_words() -> impl TypedValueParser<Value = PolicyWord> {
    let known = ApprovalPolicy::ALL.map(|policy| PossibleValue::new(policy.as_str()));
    let retired = PossibleValue::new(ApprovalPolicy::RETIRED).hide(true);
    PossibleValuesParser::new(known.into_iter().chain([retired])).try_map(|word| PolicyWord::parse(&word))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::testing::{Place, flags, value};

    const FILE: &str = "
        [plugins.atm-agent-mcp]
        model = 'slow'
        fast_model = 'quick'
        sandbox = 'workspace-write'
        [plugins.atm-agent-mcp.roles.review]
        model = 'careful'
    ";

    #[test]
    fn every_flag_beats_the_file_and_says_so() {
        for (args, key, expected) in [
            (&["--team", "red"][..], "team", "red"),
            (&["--lead", "boss"], "lead", "boss"),
            (&["--identity", "ann"], "identity", "ann"),
            (&["--role", "review"], "role", "review"),
            (&["--model", "m1"], "model", "m1"),
            (&["--fast"], "model", "quick"),
            (&["--sandbox", "danger-full-access"], "sandbox", "danger-full-access"),
            (&["--allow-full-access"], "allow_full_access", "true"),
            (&["--readonly"], "sandbox", "read-only"),
            (&["--approval-policy", "untrusted"], "approval_policy", "untrusted"),
            (&["--subagents"], "subagents", "true"),
            (&["--timeout", "90"], "request_timeout_secs", "90"),
        ] {
            let loaded = Place::new().file("repo/.atm.toml", FILE).load(args).unwrap();
            assert_eq!(value(&loaded, key), (Some(expected.to_owned()), format!("flag {}", args[0])));
        }
    }

    #[test]
    fn the_flags_reach_the_settings_that_the_server_runs_with() {
        let args = ["--team", "red", "--lead", "boss", "--identity", "ann", "--fast", "--explore", "--subagents"];
        let more = ["--approval-policy", "never", "--timeout", "90", "--role", "review"];
        let loaded = Place::new().file("repo/.atm.toml", FILE).load(&[&args[..], &more].concat()).unwrap();
        let settings = loaded.settings;
        assert_eq!((settings.team.as_str(), settings.lead.as_str()), ("red", "boss"));
        assert_eq!(settings.identity.as_ref().map(AgentName::as_str), Some("ann"));
        assert_eq!(settings.request_timeout, Some(Duration::from_secs(90)));
        assert!(settings.subagents);
        let agent = settings.for_role(None).unwrap();
        assert_eq!(agent.role.as_deref(), Some("review"));
        assert_eq!(agent.model.as_deref(), Some("quick"));
        assert_eq!(agent.sandbox, Some(Sandbox::ReadOnly));
        assert_eq!(agent.approval_policy, Some(ApprovalPolicy::Never));
    }

    #[test]
    fn a_timeout_of_zero_takes_the_files_timeout_away() {
        let place = Place::new().file("repo/.atm.toml", "[plugins.atm-agent-mcp]\nrequest_timeout_secs = 5");
        assert_eq!(place.load(&[]).unwrap().settings.request_timeout, Some(Duration::from_secs(5)));
        assert_eq!(place.load(&["--timeout", "0"]).unwrap().settings.request_timeout, None);
    }

    #[test]
    fn resume_takes_an_agent_or_none() {
        assert_eq!(flags(&[]).unwrap().resume, None);
        assert_eq!(flags(&["--resume"]).unwrap().resume, Some(None));
        assert_eq!(flags(&["--resume", "ann"]).unwrap().resume, Some(Some("ann".to_owned())));
        assert_eq!(flags(&["--resume", "--fast"]).unwrap().resume, Some(None));
    }

    #[test]
    fn a_flag_that_cannot_be_meant_is_refused_with_what_is_allowed() {
        for (args, says) in [
            (&["--readonly", "--sandbox", "read-only"][..], "cannot be used with"),
            (&["--explore", "--sandbox", "read-only"], "cannot be used with"),
            (&["--fast", "--model", "m"], "cannot be used with"),
            (&["--sandbox", "none"], "read-only, workspace-write, danger-full-access"),
            (&["--approval-policy", "always"], "untrusted, on-request, never]"),
            (&["--team", "../x"], "a-z, 0-9"),
            (&["--identity", "Ann"], "a-z, 0-9"),
            (&["--model", ""], "a value is required"),
            (&["--timeout=-5"], "expected a whole number from 0 to 31536000, found \"-5\""),
            (&["--timeout", "31536001"], "31536000"),
        ] {
            let error = flags(args).unwrap_err().to_string();
            assert!(error.contains(says), "{args:?}: {error}");
        }
    }

    #[test]
    fn fast_without_a_fast_model_names_the_key() {
        let error = Place::new().load(&["--fast"]).unwrap_err().to_string();
        assert!(error.contains("--fast") && error.contains("`fast_model`"), "{error}");
    }
}
