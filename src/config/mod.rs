//! The settings: flags before the environment, before the repository's file, before the user's, before the defaults.
//!
//! Every source is read into a `Layer` in which each value knows where it came from; the layers are laid over
//! one another, and `settle` fills the rest. A value is checked where it is read, so that one that is
//! hidden by a stronger source is still known to be wrong.
//!
//! Nothing here reads the process's environment: it is handed in, as are the directories.

mod environment;
mod error;
mod file;
mod flags;
mod given;
mod layer;
mod listing;
mod mail;
mod settings;
mod source;
#[cfg(test)]
mod testing;
mod trust;

use std::io;
use std::path::{Path, PathBuf};

use crate::home::Home;
use crate::repo::Repository;

pub use error::{ConfigError, UnknownRole, Warning};
pub use flags::ServeFlags;
pub use layer::PolicyWord;
pub use listing::Listed;
pub use mail::MailSettings;
pub use settings::{AgentDefaults, Settings};
pub use source::Source;
pub use trust::{Events, TrustSettings};

use file::Author;
use layer::Layer;
use source::Sourced;

/// The settings of a repository, in its root or between there and the working directory.
const REPOSITORY_FILE: &str = ".atm.toml";

/// Where settings come from.
pub struct Sources<'a> {
    /// The command line.
    pub flags: &'a ServeFlags,
    /// The environment: the value of a variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The working directory.
    pub cwd: &'a Path,
    /// Where the user's file is.
    pub home: &'a Home,
}

/// The settings, and what is to be said about them.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What does not do what its writer may think.
    pub warnings: Vec<Warning>,
    /// Every value and where it came from; of model, reasoning effort, sandbox and approval policy those that a new
    /// agent gets.
    pub listing: Vec<Listed>,
}

/// Reads every source.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, ConfigError> {
    let cwd = std::path::absolute(sources.cwd).unwrap_or_else(|_| sources.cwd.to_owned());
    let repository = Repository::around(&cwd);
    let mut warnings = Vec::new();

    let mut layer = sources.flags.layer().over(environment::read(sources.env, &cwd, &mut warnings)?);
    for (path, author) in files(sources, &cwd, repository.as_ref()) {
        layer = layer.over(file::read(&path, author, &mut warnings)?);
    }
    if sources.flags.fast {
        layer.general.model = Some(fast_model(&layer)?);
    }
    let (settings, listing) = settings::settle(layer, repository.as_ref())?;
    warnings.extend(settings.warnings());
    Ok(Loaded { settings, warnings, listing })
}

/// The files to read, strongest first, each once, and who has written them. One that `--config` names has to be there.
fn files<'a>(sources: &Sources<'_>, cwd: &'a Path, repository: Option<&'a Repository>) -> Vec<(PathBuf, Author<'a>)> {
    let top = repository.map_or(cwd, Repository::root);
    let within = cwd.ancestors().take_while(|dir| dir.starts_with(top));
    let named = sources.flags.config.iter().map(|path| (cwd.join(path), Author::User));
    let found = within.map(|dir| dir.join(REPOSITORY_FILE)).find(|path| may_be_there(path));
    let found = found.map(|path| (path, Author::Repository { root: top }));
    let user = Some(sources.home.config_file()).filter(|path| may_be_there(path)).map(|path| (path, Author::User));
    let mut files: Vec<(PathBuf, Author<'_>)> = Vec::new();
    for (path, author) in named.chain(found).chain(user) {
        if !files.iter().any(|(known, _)| *known == path) {
            files.push((path, author));
        }
    }
    files
}

/// One that cannot be looked at may have been meant: reading it says why.
fn may_be_there(path: &Path) -> bool {
    let not_there = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    !path.metadata().is_err_and(|error| not_there(&error))
}

fn fast_model(layer: &Layer) -> Result<Sourced<String>, ConfigError> {
    let fast = layer.fast_model.as_ref().ok_or(ConfigError::NoFastModel)?;
    Ok(Source::Flag("--fast").of(fast.value.clone()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::testing::{Place, value};

    /// A file that sets the model, and the team of `[core]`.
    fn setting(word: &str) -> String {
        format!("[core]\ndefault_team = '{word}'\n[plugins.atm-agent-mcp]\nmodel = '{word}'\n")
    }

    #[test]
    fn each_source_beats_the_weaker_ones() {
        let mut place = Place::new();
        let model = |place: &Place, args: &[&str]| value(&place.load(args).unwrap(), "model");
        let team = |place: &Place, args: &[&str]| value(&place.load(args).unwrap(), "team");
        let at = |place: &Place, file, line| format!("{}:{line}", place.path(file).display());
        assert_eq!(model(&place, &[]), (None, "default".into()));
        assert_eq!(team(&place, &[]), (Some("repo".into()), "repository name".into()));

        place = place.file("home/.config/atm/config.toml", &setting("user"));
        assert_eq!(model(&place, &[]), (Some("user".into()), at(&place, "home/.config/atm/config.toml", 4)));
        assert_eq!(team(&place, &[]), (Some("user".into()), at(&place, "home/.config/atm/config.toml", 2)));

        place = place.file("repo/.atm.toml", &setting("repository"));
        assert_eq!(model(&place, &[]), (Some("repository".into()), at(&place, "repo/.atm.toml", 4)));
        assert_eq!(team(&place, &[]), (Some("repository".into()), at(&place, "repo/.atm.toml", 2)));

        place = place.file("repo/named.toml", &setting("named"));
        let named = ["--config", "named.toml"];
        assert_eq!(model(&place, &named), (Some("named".into()), at(&place, "repo/named.toml", 4)));
        assert_eq!(team(&place, &named), (Some("named".into()), at(&place, "repo/named.toml", 2)));

        place = place.env("ATM_AGENT_MCP_MODEL", "environment").env("ATM_TEAM", "environment");
        let environment = |variable: &str| (Some("environment".into()), format!("environment {variable}"));
        assert_eq!(model(&place, &named), environment("ATM_AGENT_MCP_MODEL"));
        assert_eq!(team(&place, &named), environment("ATM_TEAM"));

        let all = ["--config", "named.toml", "--model", "flag", "--team", "flag"];
        assert_eq!(model(&place, &all), (Some("flag".into()), "flag --model".into()));
        assert_eq!(team(&place, &all), (Some("flag".into()), "flag --team".into()));
    }

    #[test]
    fn a_file_adds_to_the_weaker_ones_what_they_do_not_set() {
        let place = Place::new()
            .file("home/.config/atm/config.toml", "[plugins.atm-agent-mcp.roles.r]\nmodel = 'u'\nsandbox = 'read-only'")
            .file("repo/.atm.toml", "[plugins.atm-agent-mcp.roles.r]\nmodel = 'r'");
        let agent = place.load(&[]).unwrap().settings.for_role(Some("r")).unwrap();
        assert_eq!((agent.model.as_deref(), agent.sandbox.is_some()), (Some("r"), true));
    }

    #[test]
    fn our_table_says_the_identity_before_core_does_and_each_file_before_the_next() {
        let both = "[core]\nidentity = 'core'\n[plugins.atm-agent-mcp]\nidentity = 'ours'";
        let core = "[core]\nidentity = 'core'";
        for (repository, user, expected) in [(both, "", "ours"), (core, both, "core"), ("", core, "core")] {
            let place = Place::new().file("repo/.atm.toml", repository).file("home/.config/atm/config.toml", user);
            assert_eq!(place.load(&[]).unwrap().settings.identity.unwrap().as_str(), expected);
        }
    }

    #[test]
    fn the_repositorys_file_is_looked_for_up_to_its_root_and_not_above() {
        let place = Place::new().file(".atm.toml", &setting("outside")).file("repo/.atm.toml", &setting("root"));
        let place = place.file("repo/a/.atm.toml", &setting("nearer")).file("repo/a/b/c", "").file("repo/d/e", "");
        for (dir, expected) in [("repo", "root"), ("repo/d", "root"), ("repo/a", "nearer"), ("repo/a/b", "nearer")] {
            assert_eq!(place.load_in(dir, &[]).unwrap().settings.team.as_str(), expected, "{dir}");
        }
        fs::remove_file(place.path("repo/.atm.toml")).unwrap();
        assert_eq!(place.load_in("repo/d", &[]).unwrap().settings.team.as_str(), "repo");
    }

    #[test]
    fn outside_a_repository_only_the_directory_itself_has_a_file() {
        let place = Place::new().file("plain/.atm.toml", &setting("here")).file("plain/below/x", "");
        assert_eq!(place.load_in("plain", &[]).unwrap().settings.team.as_str(), "here");
        let below = place.load_in("plain/below", &[]).unwrap();
        assert_eq!(value(&below, "team"), (Some("default".into()), "default".into()));
    }

    #[test]
    fn a_repository_whose_name_has_no_letters_for_a_team_is_the_default_team() {
        let place = Place::new().file("日本/.git/HEAD", "").file("My Repo_1/.git/HEAD", "");
        assert_eq!(place.load_in("日本", &[]).unwrap().settings.team.as_str(), "default");
        assert_eq!(place.load_in("My Repo_1", &[]).unwrap().settings.team.as_str(), "my-repo-1");
    }

    #[test]
    fn the_file_that_config_names_has_to_be_there() {
        let place = Place::new();
        let error = place.load(&["--config", "absent.toml"]).unwrap_err().to_string();
        assert!(error.contains(&place.path("repo/absent.toml").display().to_string()), "{error}");
        assert!(error.contains("cannot be read: ") && error.contains("os error"), "{error}");
    }

    #[test]
    fn a_file_that_is_found_and_named_is_read_once() {
        let place = Place::new().file("repo/.atm.toml", "[plugins.atm-agent-mcp]\ntransport = 1");
        assert_eq!(place.load(&["--config", "./.atm.toml"]).unwrap().warnings.len(), 1);
    }
}
