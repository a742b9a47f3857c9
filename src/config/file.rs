//! The settings that a TOML file sets: `[plugins.atm-agent-mcp]`, and of `[core]` what is ours.

use std::fs;
use std::path::{Component, Path};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::ids::{AgentName, Team};

use super::error::{ConfigError, Warning};
use super::given::{Given, Problem};
use super::layer::{Choices, KEYS, Layer, ROLE_KEYS};
use super::mail;
use super::source::Source;
use super::trust;

/// Keys of 0.14, and of versions to come, that nothing reads now.
const WITHOUT_EFFECT: [&str; 2] = ["persist_threads", "transport"];

/// Keys that a repository's file cannot set: it may come from a stranger.
const USERS_OWN: [&str; 3] = ["allow_full_access", "codex_bin", "env_remove"];
/// Keys whose files a repository can name only within itself: what stands in them is shown to a model.
const FILES: [&str; 2] = ["base_prompt_file", "extra_instructions_file"];

/// Who has written a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Author<'a> {
    /// The user: it is theirs, or they have named it.
    User,
    /// Whoever has written the repository.
    Repository {
        /// Its directory.
        root: &'a Path,
    },
}

/// Reads one file. Whatever else stands in it belongs to other programs.
pub(super) fn read(path: &Path, author: Author<'_>, warnings: &mut Vec<Warning>) -> Result<Layer, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    let file = File { path: path.into(), author, text: &text };
    let document = DeTable::parse(&text).map_err(|error| ConfigError::Toml {
        at: file.at(&error.span().unwrap_or_default()),
        problem: error.message().replace('\n', " "),
    })?;
    let document = document.get_ref();
    let mut layer = Layer::default();
    if let Some(plugins) = file.table(document, "plugins")?
        && let Some(ours) = file.table(plugins, "atm-agent-mcp")?
    {
        file.plugin(ours, &mut layer, warnings)?;
    }
    if let Some(core) = file.table(document, "core")? {
        file.core(core, &mut layer)?;
    }
    Ok(layer)
}

/// A key as the parser gives it.
type Key<'t> = Spanned<std::borrow::Cow<'t, str>>;

struct File<'a> {
    path: Arc<Path>,
    author: Author<'a>,
    text: &'a str,
}

impl File<'_> {
    fn plugin(&self, table: &DeTable<'_>, layer: &mut Layer, warnings: &mut Vec<Warning>) -> Result<(), ConfigError> {
        let base = self.base();
        for (key, value) in table {
            let (name, at) = (key.get_ref().as_ref(), self.at(&key.span()));
            if name == "roles" {
                self.roles(self.as_table(key, value)?, layer, warnings)?;
            } else if name == mail::PER_AGENT {
                self.auto_mail(self.as_table(key, value)?, layer)?;
            } else if let Some(warning) = self.passed_over(name, value.get_ref(), &at) {
                warnings.push(warning);
            } else if WITHOUT_EFFECT.contains(&name) {
                warnings.push(Warning::WithoutEffect { at, key: name.to_owned() });
            } else if !self.check(key, layer.set(name, Given::Toml(value.get_ref()), &at, base))? {
                let known = KEYS
                    .into_iter()
                    .chain(mail::KEYS)
                    .chain(trust::KEYS)
                    .chain(["roles", mail::PER_AGENT])
                    .chain(WITHOUT_EFFECT);
                warnings.push(Warning::UnknownKey { at, key: name.to_owned(), nearest: nearest(name, known) });
            }
        }
        Ok(())
    }

    /// Why a value does not count that is not its author's to set.
    fn passed_over(&self, name: &str, value: &DeValue<'_>, at: &Source) -> Option<Warning> {
        let Author::Repository { root } = self.author else { return None };
        let (at, key) = (at.clone(), name.to_owned());
        if USERS_OWN.contains(&name) {
            return Some(Warning::NotARepositorys { at, key });
        }
        let path = self.base().join(value.as_str().filter(|_| FILES.contains(&name))?);
        (!lies_in(root, &path)).then_some(Warning::OutsideRepository { at, key, path })
    }

    /// Where its relative paths begin.
    fn base(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    fn roles(&self, roles: &DeTable<'_>, layer: &mut Layer, warnings: &mut Vec<Warning>) -> Result<(), ConfigError> {
        for (role, table) in roles {
            let mut choices = Choices::default();
            for (key, value) in self.as_table(role, table)? {
                let (name, at) = (key.get_ref().as_ref(), self.at(&key.span()));
                if !self.check(key, choices.set(name, Given::Toml(value.get_ref()), &at))? {
                    let full = format!("roles.{}.{name}", role.get_ref());
                    warnings.push(Warning::UnknownKey { at, key: full, nearest: nearest(name, ROLE_KEYS) });
                }
            }
            layer.roles.insert(role.get_ref().clone().into_owned(), choices);
        }
        Ok(())
    }

    fn auto_mail(&self, agents: &DeTable<'_>, layer: &mut Layer) -> Result<(), ConfigError> {
        for (agent, value) in agents {
            let name = self.check(agent, AgentName::parse(agent.get_ref()).map_err(|error| error.to_string()))?;
            let auto = self.check(agent, Given::Toml(value.get_ref()).boolean())?;
            layer.mail.per_agent.insert(name, self.at(&agent.span()).of(auto));
        }
        Ok(())
    }

    /// `default_team`, and `identity` where our own table has none.
    fn core(&self, table: &DeTable<'_>, layer: &mut Layer) -> Result<(), ConfigError> {
        if let Some((key, value)) = table.get_key_value("default_team") {
            let team = self.check(key, Given::Toml(value.get_ref()).parsed(Team::parse))?;
            layer.team = Some(self.at(&key.span()).of(team));
        }
        if let Some((key, value)) = table.get_key_value("identity") {
            let identity = self.check(key, Given::Toml(value.get_ref()).parsed(AgentName::parse))?;
            layer.identity.get_or_insert(self.at(&key.span()).of(identity));
        }
        Ok(())
    }

    fn table<'t>(&self, within: &'t DeTable<'t>, key: &str) -> Result<Option<&'t DeTable<'t>>, ConfigError> {
        within.get_key_value(key).map(|(key, value)| self.as_table(key, value)).transpose()
    }

    fn as_table<'t>(&self, key: &Key<'_>, value: &'t Spanned<DeValue<'t>>) -> Result<&'t DeTable<'t>, ConfigError> {
        let value = value.get_ref();
        self.check(key, value.as_table().ok_or_else(|| Given::Toml(value).expected("a table")))
    }

    /// Says of a problem where it is.
    fn check<T>(&self, key: &Key<'_>, result: Result<T, Problem>) -> Result<T, ConfigError> {
        result.map_err(|problem| ConfigError::Value {
            at: self.at(&key.span()),
            problem: format!("{}: {problem}", key.get_ref()),
        })
    }

    fn at(&self, span: &std::ops::Range<usize>) -> Source {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        Source::File { path: self.path.clone(), line }
    }
}

/// Whether a path leads into a directory, links followed; of one that leads nowhere yet, whether it is written so.
fn lies_in(root: &Path, path: &Path) -> bool {
    match (root.canonicalize(), path.canonicalize()) {
        (Ok(root), Ok(path)) => path.starts_with(root),
        _ => path.starts_with(root) && !path.components().any(|part| part == Component::ParentDir),
    }
}

/// The known key within a third of the letters of `name`, rustc's own measure.
fn nearest(name: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    let far = name.chars().count().max(3) / 3;
    known
        .into_iter()
        .map(|key| (strsim::damerau_levenshtein(&name.to_lowercase(), key), key))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::{Place, value};

    const NAME: &str = "repo/.atm.toml";
    const USERS: &str = "home/.config/atm/config.toml";

    /// The warnings about a file, without the directory.
    fn warnings(content: &str) -> Vec<String> {
        let place = Place::new().file(NAME, content);
        let dir = place.path("repo").join("").display().to_string();
        place.load(&[]).unwrap().warnings.iter().map(|warning| warning.to_string().replace(&dir, "")).collect()
    }

    #[test]
    fn every_key_sets_its_value_and_knows_its_line() {
        let place = Place::new().file(
            NAME,
            "[core]\ndefault_team = 'red'\n[plugins.atm-agent-mcp]\n\nidentity = 'ann'\n\
             lead = 'boss'\nrole = 'r'\nmodel = 'm'\nfast_model = 'f'\nreasoning_effort = 'high'\n\
             sandbox = 'read-only'\napproval_policy = 'never'\nsubagents = true\nrequest_timeout_secs = 1_0\n\
             queue_ttl_secs = 60\nqueue_max_entries = 5\nqueue_max_bytes = 4_096\nmax_concurrent_threads = 0x10\nbase_prompt_file = 'base.md'\nextra_instructions_file = 'extra.md'\n\
             \n\
             [plugins.atm-agent-mcp.roles]\nr.model = 'rm'\nr.sandbox = 'workspace-write'\n\
             r.approval_policy = 'untrusted'\nr.reasoning_effort = 'low'\n\
             [plugins.atm-agent-mcp.per_thread_auto_mail]\nann = false\n",
        );
        let mail = "[plugins.atm-agent-mcp]\nauto_mail = false\nmail_poll_interval_ms = 250\nmax_mail_messages = 3\n\
                    max_mail_message_length = 1_000\napproval_timeout_secs = 9\napprovals_to_lead = true\n\
                    stall_secs = 8\nshutdown_grace_secs = 2\nevents = 'off'\ninbox_socket = true\n\
                    allow_full_access = true\ncodex_bin = 'codex'\nenv_remove = ['KEY', 'AWS_*']";
        let place = place.file("home/.config/atm/config.toml", mail);
        for (key, expected, line) in [
            ("auto_mail", "false", 2),
            ("mail_poll_interval_ms", "250", 3),
            ("max_mail_messages", "3", 4),
            ("max_mail_message_length", "1000", 5),
            ("approval_timeout_secs", "9", 6),
            ("approvals_to_lead", "true", 7),
            ("stall_secs", "8", 8),
            ("shutdown_grace_secs", "2", 9),
            ("events", "off", 10),
            ("inbox_socket", "true", 11),
            ("allow_full_access", "true", 12),
            ("codex_bin", "codex", 13),
            ("env_remove", "KEY,AWS_*", 14),
        ] {
            let at = format!("{}:{line}", place.path("home/.config/atm/config.toml").display());
            assert_eq!(value(&place.load(&[]).unwrap(), key), (Some(expected.to_owned()), at), "{key}");
        }
        assert_eq!(
            value(&place.load(&[]).unwrap(), "per_thread_auto_mail.ann"),
            (Some("false".to_owned()), format!("{}:28", place.path(NAME).display())),
        );
        let loaded = place.load(&[]).unwrap();
        let [base, extra] = ["base", "extra"].map(|name| place.path(&format!("repo/{name}.md")).display().to_string());
        for (key, expected, line) in [
            ("team", "red", 2),
            ("identity", "ann", 5),
            ("lead", "boss", 6),
            ("role", "r", 7),
            ("fast_model", "f", 9),
            ("model", "rm", 23),
            ("sandbox", "workspace-write", 24),
            ("approval_policy", "untrusted", 25),
            ("reasoning_effort", "low", 26),
            ("subagents", "true", 13),
            ("request_timeout_secs", "10", 14),
            ("queue_ttl_secs", "60", 15),
            ("queue_max_entries", "5", 16),
            ("queue_max_bytes", "4096", 17),
            ("max_concurrent_threads", "16", 18),
            ("base_prompt_file", &base, 19),
            ("extra_instructions_file", &extra, 20),
            ("roles.r.model", "rm", 23),
        ] {
            let at = format!("{}:{line}", place.path(NAME).display());
            assert_eq!(value(&loaded, key), (Some(expected.to_owned()), at), "{key}");
        }
        assert_eq!(loaded.warnings, []);
        assert!(
            KEYS.iter()
                .chain(&mail::KEYS)
                .chain(&trust::KEYS)
                .all(|key| loaded.listing.iter().any(|listed| listed.key == *key))
        );
    }

    #[test]
    fn paths_are_relative_to_the_file_that_names_them() {
        let place = Place::new()
            .file("repo/a/x", "")
            .file(USERS, "[plugins.atm-agent-mcp]\ncodex_bin = 'bin/codex'")
            .file(NAME, "[plugins.atm-agent-mcp]\nextra_instructions_file = 'more.md'");
        let settings = place.load_in("repo/a", &[]).unwrap().settings;
        assert_eq!(settings.codex_bin, Some(place.path("home/.config/atm/bin/codex")));
        assert_eq!(settings.extra_instructions_file, Some(place.path("repo/more.md")));
    }

    #[test]
    fn an_unknown_key_is_a_warning_with_the_nearest_known_one() {
        let ours = |line: &str| warnings(&format!("[plugins.atm-agent-mcp]\n{line}"));
        assert_eq!(ours("modle = 1"), [".atm.toml:2: unknown key `modle`: did you mean `model`?"]);
        assert_eq!(
            ours("\napproval-policy = 1"),
            [".atm.toml:3: unknown key `approval-policy`: did you mean `approval_policy`?"]
        );
        assert_eq!(ours("colour = 1"), [".atm.toml:2: unknown key `colour`"]);
        assert_eq!(ours("role_s.x = 1"), [".atm.toml:2: unknown key `role_s`: did you mean `roles`?"]);
        assert_eq!(
            ours("roles.review.sandbocks = 1"),
            [".atm.toml:2: unknown key `roles.review.sandbocks`: did you mean `sandbox`?"]
        );
        assert_eq!(ours("roles.review.lead = 'x'"), [".atm.toml:2: unknown key `roles.review.lead`"]);
        assert_eq!(ours("team = 'x'"), [".atm.toml:2: unknown key `team`"], "the team is set in [core]");
    }

    #[test]
    fn a_key_of_another_version_is_a_warning_of_its_own() {
        for key in WITHOUT_EFFECT {
            let said = format!(".atm.toml:2: `{key}` is known, but without effect in this version");
            assert_eq!(warnings(&format!("[plugins.atm-agent-mcp]\n{key} = 1")), [said]);
        }
    }

    #[test]
    fn what_only_the_user_can_set_is_passed_over_in_a_repositorys_file_with_a_warning() {
        for (key, word) in [("allow_full_access", "true"), ("codex_bin", "'./codex'"), ("env_remove", "['CODEX_HOME']")]
        {
            let file = format!("[plugins.atm-agent-mcp]\n{key} = {word}");
            let place = Place::new().file(NAME, &file);
            let loaded = place.load(&[]).unwrap();
            let said: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
            assert!(said[0].contains(&format!(".atm.toml:2: `{key}` is passed over")), "{said:?}");
            assert_eq!((said.len(), value(&loaded, key).1.as_str()), (1, "default"));
            // Named by the user, or their own, it holds.
            for loaded in [place.load(&["--config", ".atm.toml"]), Place::new().file(USERS, &file).load(&[])] {
                let loaded = loaded.unwrap();
                assert_eq!((loaded.warnings.len(), value(&loaded, key).0.is_some()), (0, true), "{key}");
                assert_ne!(value(&loaded, key).1, "default");
            }
        }
    }

    #[test]
    fn a_repository_names_files_within_itself_only() {
        let place = Place::new().file("secret", "").file("repo/docs/own.md", "").file("repo/a/b", "");
        let outside = place.path("secret").display().to_string();
        let taken = |place: &Place, path: &str| {
            let line = format!("[plugins.atm-agent-mcp]\nextra_instructions_file = {path:?}");
            fs::write(place.path("repo/a/.atm.toml"), line).unwrap();
            let loaded = place.load_in("repo/a", &[]).unwrap();
            let said = loaded.warnings.iter().map(ToString::to_string).collect::<String>();
            let is_taken = loaded.settings.extra_instructions_file.is_some();
            assert_eq!(said.contains(".atm.toml:2: `extra_instructions_file` is passed over"), !is_taken, "{said}");
            is_taken
        };
        assert!(taken(&place, "../docs/own.md") && taken(&place, "not-there-yet.md"));
        for path in [outside.as_str(), "../../secret", "../../not-there", "/nowhere/at/all"] {
            assert!(!taken(&place, path), "{path}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(&outside, place.path("repo/a/link.md")).unwrap();
            assert!(!taken(&place, "link.md"));
        }
        let named = format!("[plugins.atm-agent-mcp]\nextra_instructions_file = {outside:?}");
        let settings = Place::new().file(USERS, &named).load(&[]).unwrap().settings;
        assert_eq!(settings.extra_instructions_file, Some(place.path("secret")), "the user names what they like");
    }

    #[test]
    fn what_belongs_to_other_programs_is_left_alone() {
        assert_eq!(warnings("x = 1\n[core]\nother = 1\n[plugins.another]\nmodel = 1\n[mail]\ny = 2"), [""; 0]);
    }

    #[test]
    fn a_bad_value_is_an_error_with_file_and_line() {
        let ours = "[plugins.atm-agent-mcp]";
        for (content, line, says) in [
            (format!("{ours}\nmodel = 5"), 2, "model: expected a string, found 5"),
            (format!("{ours}\n\nmodel = ' '"), 3, "model: expected a string that is not blank"),
            (format!("{ours}\nlead = ['x']"), 2, "lead: expected a string, found an array"),
            (format!("{ours}\nlead = 'a/b'"), 2, "lead: identity \"a/b\" is not allowed: use 1 to 64 of"),
            (format!("{ours}\r\nsandbox = 'none'"), 2, "use one of read-only, workspace-write, danger-full-access"),
            (format!("{ours}\napproval_policy = 'x'"), 2, "use one of untrusted, on-request, never"),
            (format!("{ours}\nsubagents = 'yes'"), 2, "subagents: expected true or false, found a string"),
            (format!("{ours}\nrequest_timeout_secs = '5'"), 2, "a whole number from 0 to 31536000, found a string"),
            (format!("{ours}\nrequest_timeout_secs = -1"), 2, "a whole number from 0 to 31536000, found -1"),
            (format!("{ours}\nrequest_timeout_secs = 1.5"), 2, "found a float"),
            (format!("{ours}\nmax_concurrent_threads = 0"), 2, "a whole number from 1 to 10000, found 0"),
            (format!("{ours}\nmax_concurrent_threads = 99999999999999999999"), 2, "from 1 to 10000"),
            (format!("{ours}\nqueue_ttl_secs = -1"), 2, "a whole number from 0 to 31536000, found -1"),
            (format!("{ours}\nqueue_max_entries = 1000001"), 2, "a whole number from 1 to 1000000, found 1000001"),
            (format!("{ours}\nqueue_max_bytes = 0"), 2, "a whole number from 1 to 1048576, found 0"),
            (format!("{ours}\nmail_poll_interval_ms = 99"), 2, "a whole number from 100 to 3600000, found 99"),
            (format!("{ours}\nevents = 'some'"), 2, "expected off, summary or all, found \"some\""),
            (format!("{ours}\nshutdown_grace_secs = 60"), 2, "a whole number from 0 to 7, found 60"),
            (format!("{ours}\nmax_mail_messages = 101"), 2, "a whole number from 1 to 100, found 101"),
            (format!("{ours}\nmax_mail_message_length = 99"), 2, "a whole number from 100 to 100000, found 99"),
            (format!("{ours}\nper_thread_auto_mail = true"), 2, "per_thread_auto_mail: expected a table"),
            (format!("{ours}\nper_thread_auto_mail = {{ 'A b' = true }}"), 2, "\"A b\" is not allowed"),
            (format!("{ours}\nroles = 1"), 2, "roles: expected a table, found 1"),
            (format!("{ours}\n[plugins.atm-agent-mcp.roles]\nr = 'x'"), 3, "r: expected a table, found a string"),
            (format!("{ours}\n[plugins.atm-agent-mcp.roles.r]\nsandbox = 'x'"), 3, "sandbox \"x\" is not known"),
            ("[core]\ndefault_team = 'A B'".to_owned(), 2, "default_team: team \"A B\" is not allowed"),
            ("[core]\nidentity = 7".to_owned(), 2, "identity: expected a string, found 7"),
            ("[plugins]\natm-agent-mcp = 1".to_owned(), 2, "atm-agent-mcp: expected a table"),
            ("a = 1\n[plugins\nb = 2".to_owned(), 2, "not valid TOML: "),
            ("a = 1\na = 2".to_owned(), 2, "not valid TOML: duplicate key"),
        ] {
            let place = Place::new().file(NAME, &content);
            // A stronger value does not hide a wrong one.
            let error = place.load(&["--model", "m", "--readonly"]).unwrap_err().to_string();
            let at = format!("{}:{line}: ", place.path(NAME).display());
            assert!(error.starts_with(&at) && error.contains(says), "{content}\n{error}");
        }
    }

    #[test]
    fn variables_are_named_in_an_array() {
        for (value, says) in [("'A'", "expected an array of strings, found a string"), ("['A', 1]", "found 1")] {
            let place = Place::new().file(USERS, &format!("[plugins.atm-agent-mcp]\nenv_remove = {value}"));
            let error = place.load(&[]).unwrap_err().to_string();
            assert!(error.contains("config.toml:2: env_remove: ") && error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let place = Place::new().file("repo/.atm.toml/x", "");
        let error = place.load(&[]).unwrap_err().to_string();
        let path = place.path(NAME).display().to_string();
        assert!(error.starts_with(&format!("{path} cannot be read: ")), "{error}");
    }
}
