//! Full access: what asks for it, and whether the user's own Codex gives it. And what keeps others from giving it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::{ThreadOpened, ThreadOptions};
use crate::policy::{ApprovalPolicy, Sandbox};

/// Codex's settings that can take an agent's sandbox away, as `config` of a thread may set them, and the values of each that
/// do not (0.144.6 and 0.169.0). `projects` can have the file `.codex/config.toml` of a repository do it.
const SETTINGS: [(&str, &[&str]); 5] = [
    ("sandbox_mode", &["read-only", "workspace-write"]),
    ("default_permissions", &[":read-only", ":workspace"]),
    ("permissions", &[]),
    (PROJECTS, &[]),
    (REVIEWER, &["user"]),
];

/// Which directories Codex trusts.
const PROJECTS: &str = "projects";
/// Who decides on what Codex asks: `auto_review` is a model of its own, which can let a command out of the sandbox.
const REVIEWER: &str = "approvals_reviewer";

/// What in these options can give an agent full access, if anything does.
pub fn asked_for(options: &ThreadOptions) -> Option<String> {
    if options.sandbox == Some(Sandbox::DangerFullAccess) {
        return Some(format!("sandbox {}", Sandbox::DangerFullAccess));
    }
    let asks = |(key, value): &(&String, &Value)| {
        SETTINGS.iter().any(|(name, harmless)| {
            let is_harmless = key == name && value.as_str().is_some_and(|value| harmless.contains(&value));
            is_of(key, name) && !is_harmless
        })
    };
    options.config.iter().find(asks).map(|(key, _)| format!("config {key:?}"))
}

/// Whether a key, which may be dotted, is of this setting.
fn is_of(key: &str, setting: &str) -> bool {
    key.split('.').next().unwrap_or(key).trim() == setting
}

impl ThreadOpened {
    /// Whether commands in it run without Codex's sandbox.
    pub fn has_full_access(&self) -> bool {
        matches!(self.sandbox.kind.as_str(), "dangerFullAccess" | "externalSandbox")
    }
}

/// The sandbox of a thread, as Codex says that it is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SandboxOfThread {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigRead<'a> {
    pub(super) cwd: Option<&'a str>,
    pub(super) include_layers: bool,
}

/// Codex's own settings where an agent works, and where they come from.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct OwnConfig {
    config: OwnValues,
    origins: BTreeMap<String, Origin>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OwnValues {
    sandbox_mode: Option<String>,
    default_permissions: Option<String>,
    approval_policy: Option<Value>,
    projects: Option<BTreeMap<String, Value>>,
}

#[derive(Debug, Deserialize)]
struct Origin {
    name: Layer,
}

#[derive(Debug, Deserialize)]
struct Layer {
    #[serde(rename = "type")]
    kind: String,
}

impl OwnConfig {
    /// Whether they are the user's own and give full access: no file of a repository has a hand in it.
    pub fn gives_full_access(&self) -> bool {
        let [(_, modes), (_, profiles), ..] = SETTINGS;
        let beyond = |value: &Option<String>, harmless: &[&str]| {
            value.as_deref().is_some_and(|value| !harmless.contains(&value))
        };
        let gives = beyond(&self.config.sandbox_mode, modes) || beyond(&self.config.default_permissions, profiles);
        let matters = |key: &str| SETTINGS.iter().any(|(name, _)| key.split('.').next() == Some(name));
        gives && !self.origins.iter().any(|(key, origin)| matters(key) && origin.name.kind == "project")
    }

    /// Adds to the options of a thread what leaves trust and decisions to people. By itself Codex trusts a directory for good
    /// once a thread with `workspace-write` is started there, and then the directory's own `.codex` can let commands out of
    /// the sandbox (0.144.6 and 0.169.0).
    pub fn leave_to_people(&self, cwd: &Path, options: &mut ThreadOptions) {
        let says = |options: &ThreadOptions, setting| options.config.keys().any(|key| is_of(key, setting));
        if !says(options, PROJECTS) && !self.knows(cwd) {
            let untrusted = json!({ cwd.to_string_lossy(): { "trust_level": "untrusted" } });
            options.config.insert(PROJECTS.to_owned(), untrusted);
            // What is so where nobody has said anything; where somebody has said no, Codex asks before nearly everything.
            if self.config.approval_policy.is_none() && !says(options, "approval_policy") {
                options.approval_policy.get_or_insert(ApprovalPolicy::OnRequest);
            }
        }
        let is_the_users = self.origins.get(REVIEWER).is_some_and(|origin| origin.name.kind == "user");
        if !says(options, REVIEWER) && !is_the_users {
            options.config.insert(REVIEWER.to_owned(), "user".into());
        }
    }

    /// Whether the user has said of a directory, or of one that it is in, whether to trust it.
    fn knows(&self, cwd: &Path) -> bool {
        let Some(projects) = &self.config.projects else { return false };
        let real = cwd.canonicalize();
        let mut all = cwd.ancestors().chain(real.iter().flat_map(|real| real.ancestors()));
        all.any(|dir| projects.contains_key(&*dir.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(config: Value) -> Option<String> {
        let Value::Object(config) = config else { panic!("an object") };
        asked_for(&ThreadOptions { config, ..ThreadOptions::default() })
    }

    #[test]
    fn every_way_to_full_access_is_seen_in_what_a_thread_is_opened_with() {
        let full = ThreadOptions { sandbox: Some(Sandbox::DangerFullAccess), ..ThreadOptions::default() };
        assert_eq!(asked_for(&full).as_deref(), Some("sandbox danger-full-access"));
        let everything = json!({"p": {"filesystem": {":root": "write"}, "network": {"enabled": true}}});
        for (config, said) in [
            (json!({"sandbox_mode": "danger-full-access"}), "config \"sandbox_mode\""),
            (json!({"sandbox_mode": ["read-only"]}), "config \"sandbox_mode\""),
            (json!({"model": "m", "sandbox_mode.x": "read-only"}), "config \"sandbox_mode.x\""),
            (json!({"default_permissions": ":danger-full-access"}), "config \"default_permissions\""),
            (json!({"default_permissions": "p"}), "config \"default_permissions\""),
            (json!({"permissions": everything}), "config \"permissions\""),
            (json!({"permissions.p.filesystem": {":root": "write"}}), "config \"permissions.p.filesystem\""),
            (json!({"projects": {"/x": {"trust_level": "trusted"}}}), "config \"projects\""),
            (json!({"approvals_reviewer": "auto_review"}), "config \"approvals_reviewer\""),
            (json!({" sandbox_mode\n": "danger-full-access"}), "config \" sandbox_mode\\n\""),
        ] {
            assert_eq!(asked(config.clone()).as_deref(), Some(said), "{config}");
        }
    }

    #[test]
    fn what_leaves_an_agent_its_sandbox_is_no_full_access() {
        for sandbox in [None, Some(Sandbox::ReadOnly), Some(Sandbox::WorkspaceWrite)] {
            assert_eq!(asked_for(&ThreadOptions { sandbox, ..ThreadOptions::default() }), None);
        }
        for config in [
            json!({"sandbox_mode": "read-only"}),
            json!({"sandbox_mode": "workspace-write", "sandbox_workspace_write": {"network_access": true}}),
            json!({"default_permissions": ":workspace", "features.multi_agent": true}),
        ] {
            assert_eq!(asked(config.clone()), None, "{config}");
        }
    }

    #[test]
    fn full_access_is_the_users_own_if_no_repository_has_a_hand_in_it() {
        let gives = |config: Value, origins: Value| {
            let origin = |kind: &Value| json!({"name": {"type": kind}, "version": "1"});
            let origins = origins.as_object().unwrap().iter().map(|(key, kind)| (key.clone(), origin(kind)));
            let config = json!({"config": config, "origins": origins.collect::<serde_json::Map<_, _>>()});
            serde_json::from_value::<OwnConfig>(config).unwrap().gives_full_access()
        };
        let (full, user, project) = ("danger-full-access", "user", "project");
        assert!(gives(json!({"sandbox_mode": full}), json!({"sandbox_mode": user, "model": project})));
        assert!(gives(json!({"default_permissions": "mine"}), json!({"default_permissions": user})));
        assert!(!gives(json!({"sandbox_mode": full}), json!({"sandbox_mode": project})));
        assert!(!gives(json!({"sandbox_mode": "workspace-write"}), json!({"sandbox_mode": user})));
        let redefined = json!({"default_permissions": user, "permissions.mine.network.enabled": project});
        assert!(!gives(json!({"default_permissions": "mine"}), redefined));
        assert!(!gives(json!({}), json!({})));
    }

    #[test]
    fn trust_and_decisions_are_left_to_people_unless_the_user_has_said_otherwise_in_codex() {
        let opened = |own: Value, options: ThreadOptions| {
            let own: OwnConfig = serde_json::from_value(own).unwrap();
            let mut options = options;
            own.leave_to_people(Path::new("/repo/sub"), &mut options);
            (Value::Object(options.config), options.approval_policy)
        };
        let untrusted = json!({"/repo/sub": {"trust_level": "untrusted"}});
        let cautious = json!({"projects": untrusted, "approvals_reviewer": "user"});
        let on_request = Some(ApprovalPolicy::OnRequest);
        assert_eq!(opened(json!({}), ThreadOptions::default()), (cautious.clone(), on_request));
        let never = ThreadOptions { approval_policy: Some(ApprovalPolicy::Never), ..ThreadOptions::default() };
        assert_eq!(opened(json!({}), never), (cautious.clone(), Some(ApprovalPolicy::Never)));
        let own = json!({"config": {"approval_policy": "untrusted", "projects": {"/other": {}}}});
        assert_eq!(opened(own, ThreadOptions::default()), (cautious, None));
        let own = json!({
            "config": {"projects": {"/repo": {"trust_level": "trusted"}}},
            "origins": {"approvals_reviewer": {"name": {"type": "user"}}},
        });
        assert_eq!(opened(own, ThreadOptions::default()), (json!({}), None));
        let theirs = json!({"origins": {"approvals_reviewer": {"name": {"type": "project"}}}});
        assert_eq!(opened(theirs, ThreadOptions::default()).0["approvals_reviewer"], "user");
    }
}
