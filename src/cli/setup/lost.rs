//! The lost `codex mcp-server` in a client's settings, and what stands for it.

use super::super::claude_config::{Launch, stem};
use crate::codex::program::{LOST_ITS_SERVER, Version};
use crate::policy::{ApprovalPolicy, Sandbox};

/// Programs that start another one that stands among their arguments.
const STARTERS: [&str; 8] = ["npx", "npm", "pnpm", "pnpx", "yarn", "bun", "bunx", "cmd"];
/// Programs whose arguments hold a line that they take apart themselves.
const SHELLS: [&str; 8] = ["sh", "bash", "zsh", "dash", "ksh", "fish", "pwsh", "powershell"];

/// The options of Codex whose value is the next word.
const WITH_VALUE: [&str; 20] = [
    "-c",
    "--config",
    "--enable",
    "--disable",
    "-i",
    "--image",
    "-m",
    "--model",
    "--local-provider",
    "-p",
    "--profile",
    "-s",
    "--sandbox",
    "-a",
    "--ask-for-approval",
    "-C",
    "--cd",
    "--add-dir",
    "--remote",
    "--remote-auth-token-env",
];

/// What stands for the lost server.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) enum Successor {
    /// `serve`, with what it takes of what the lost server was given.
    Serve(Serve),
    /// The same, but somebody has to write it: the lost server is started in a way that we do not take apart.
    ByHand,
}

/// How `serve` is started.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::cli) struct Serve {
    pub(super) args: Vec<String>,
    /// What stood before the program as variables for it.
    pub(super) variables: Vec<Variable>,
    /// What the lost server was given and `serve` does not take.
    pub(super) left_out: Vec<String>,
    /// The settings among those whose values look like secrets.
    pub(super) secrets: Vec<String>,
}

/// A variable of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
}

/// What stands for a server; `None` if it is not the lost one.
///
/// `codex mcp serve` is how it was started before `codex mcp-server`. A version that is named is kept if it may be one
/// that has it.
pub(in crate::cli) fn successor(launch: &Launch) -> Option<Successor> {
    let words: Vec<&str> = [&launch.command].into_iter().chain(&launch.args).map(String::as_str).collect();
    of(&words)
}

/// A word as `env` takes it: `NAME=value`.
pub(super) fn variable(word: &str) -> Option<Variable> {
    let (name, value) = word.split_once('=')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_variable = name.chars().all(is_name) && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    is_variable.then(|| Variable { name: name.to_owned(), value: value.to_owned() })
}

fn of(words: &[&str]) -> Option<Successor> {
    let program = stem(words.first()?);
    let by_hand = || words[1..].iter().any(|word| is_started_in(word)).then_some(Successor::ByHand);
    if program == "env" {
        return behind_env(&words[1..]);
    }
    if SHELLS.contains(&program) {
        return by_hand();
    }
    let codex = match program {
        "codex" => 0,
        starter if STARTERS.contains(&starter) => match behind_starter(words) {
            Some(at) => at,
            None => return by_hand(),
        },
        _ => return None,
    };
    serve(&words[codex + 1..]).map(Successor::Serve)
}

/// `env` sets variables; what else it can do, an entry cannot say.
fn behind_env(words: &[&str]) -> Option<Successor> {
    let variables: Vec<Variable> = words.iter().map_while(|word| variable(word)).collect();
    let rest = &words[variables.len()..];
    if rest.first()?.starts_with('-') {
        return is_started_in(&rest.join(" ")).then_some(Successor::ByHand);
    }
    match of(rest)? {
        Successor::Serve(serve) => {
            let variables = variables.into_iter().chain(serve.variables).collect();
            Some(Successor::Serve(Serve { variables, ..serve }))
        }
        Successor::ByHand => Some(Successor::ByHand),
    }
}

/// Where Codex stands among what a starter is given.
fn behind_starter(words: &[&str]) -> Option<usize> {
    let is_option = |word: &&str| word.starts_with('-');
    let is_package = |at: usize| ["-p", "--package"].contains(&words[at - 1]);
    let packages = words.iter().map(|word| word.strip_prefix("--package=").unwrap_or(word));
    if packages.into_iter().any(may_have_server) {
        return None;
    }
    (1..words.len()).find(|at| is_codex(words[*at]) && !is_option(&words[*at]) && !is_package(*at))
}

/// Whether a package of Codex is named in a version of its own that may still have the server.
fn may_have_server(word: &str) -> bool {
    let version = word.strip_prefix("@openai/").unwrap_or(word).strip_prefix("codex@");
    version.is_some_and(|version| !has_lost_it(version))
}

/// Whether what a package manager takes for this version cannot have the server. Of a range, or a release before another one,
/// that is not known.
fn has_lost_it(version: &str) -> bool {
    let is_fixed = version.chars().all(|c| c.is_ascii_digit() || c == '.');
    version == "latest" || is_fixed && Version::in_words(version).is_some_and(|version| version >= LOST_ITS_SERVER)
}

/// Whether a line of a shell starts the lost server.
fn is_started_in(line: &str) -> bool {
    let words = line.split(|c: char| c.is_whitespace() || "\"';&|()".contains(c)).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    (0..words.len()).any(|at| is_codex(words[at]) && lost_command(&words[at + 1..]).is_some())
}

/// Where, and over how many words, Codex is told to be the lost server.
fn lost_command(given: &[&str]) -> Option<(usize, usize)> {
    let mut at = 0;
    // What stands before is an option or its value, or ends what is a starter's own.
    while given.get(at)?.starts_with('-') {
        at += if WITH_VALUE.contains(&given[at]) { 2 } else { 1 };
    }
    match given[at..] {
        ["mcp-server", ..] => Some((at, 1)),
        ["mcp", "serve", ..] => Some((at, 2)),
        _ => None,
    }
}

/// What `serve` takes of what Codex is given.
fn serve(given: &[&str]) -> Option<Serve> {
    let (at, length) = lost_command(given)?;
    let mut serve = Serve { args: vec!["serve".to_owned()], ..Serve::default() };
    // `--` ends what is a starter's own.
    let mut rest = given[..at].iter().chain(&given[at + length..]).copied().filter(|word| *word != "--");
    while let Some(word) = rest.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            _ => (word, None),
        };
        let value = value.or_else(|| WITH_VALUE.contains(&option).then(|| rest.next()).flatten());
        serve.secrets.extend(secret(option, value).map(str::to_owned));
        match serves(option, value) {
            Some((flag, value)) => serve.args.extend([flag.to_owned(), value]),
            None => serve.left_out.push([Some(option), value].into_iter().flatten().collect::<Vec<_>>().join(" ")),
        }
    }
    Some(serve)
}

/// The setting of Codex that this sets to what looks like a secret.
fn secret<'a>(option: &'a str, value: Option<&'a str>) -> Option<&'a str> {
    let setting = match option {
        "-c" | "--config" => value?,
        _ => option.strip_prefix("-c")?,
    };
    let (key, value) = setting.split_once('=')?;
    let names_one =
        |text: &str| ["key", "token", "secret", "password"].iter().any(|word| text.to_ascii_lowercase().contains(word));
    let is_plain = value.parse::<f64>().is_ok() || value.parse::<bool>().is_ok();
    // What is called so is the name of a variable.
    let is_variable = ["env_key", "env_var"].iter().any(|end| key.ends_with(end));
    let is_secret = names_one(key) && !is_plain && !is_variable || value.starts_with('{') && names_one(value);
    is_secret.then_some(key)
}

/// The flag of `serve` that says the same.
fn serves(option: &str, value: Option<&str>) -> Option<(&'static str, String)> {
    let (key, value) = match option {
        "-c" | "--config" => value?.split_once('=')?,
        "-m" | "--model" => ("model", value?),
        "-s" | "--sandbox" => ("sandbox_mode", value?),
        "-a" | "--ask-for-approval" => ("approval_policy", value?),
        _ => return None,
    };
    let value = value.trim().trim_matches(['"', '\'']);
    match key.trim() {
        "model" if !value.is_empty() => Some(("--model", value.to_owned())),
        // Full access needs the word of the user.
        "sandbox_mode" => match Sandbox::parse(value).ok()? {
            Sandbox::ReadOnly | Sandbox::WorkspaceWrite => Some(("--sandbox", value.to_owned())),
            Sandbox::DangerFullAccess => None,
        },
        "approval_policy" => ApprovalPolicy::parse(value).ok().map(|_| ("--approval-policy", value.to_owned())),
        _ => None,
    }
}

fn is_codex(word: &str) -> bool {
    let is_it = |name: &str| name == "codex" || name.strip_prefix("codex@").is_some_and(has_lost_it);
    is_it(stem(word)) && (!word.starts_with('@') || word.starts_with("@openai/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_of(line: &str) -> Option<Successor> {
        let mut words = line.split(' ').map(|word| word.replace('·', " "));
        successor(&Launch { command: words.next().unwrap(), args: words.collect() })
    }

    fn of(line: &str) -> Option<(String, Vec<String>)> {
        match all_of(line)? {
            Successor::Serve(serve) => Some((serve.args.join(" "), serve.left_out)),
            Successor::ByHand => panic!("{line} is by hand"),
        }
    }

    #[test]
    fn the_lost_server_is_known_however_it_was_started() {
        for line in [
            "codex mcp-server",
            "codex mcp serve",
            "/opt/bin/codex mcp-server",
            r"C:\npm\codex.cmd mcp-server",
            "npx -y @openai/codex mcp-server",
            "npx -y @openai/codex@latest mcp-server",
            "npx --package @openai/codex codex mcp-server",
            "npx -y --package=@openai/codex codex mcp-server",
            "npm exec --yes -- codex mcp-server",
            "npm exec @openai/codex -- mcp-server",
            "pnpm dlx @openai/codex mcp-server",
            "pnpm --package=@openai/codex dlx codex mcp-server",
            "yarn dlx -p @openai/codex codex mcp-server",
            "yarn codex mcp-server",
            "bunx @openai/codex mcp-server",
            "bun x @openai/codex@latest mcp-server",
            "cmd /c codex mcp-server",
            "cmd /c npx -y @openai/codex mcp-server",
            "/usr/bin/env codex mcp-server",
            "codex --enable a -c b=c mcp-server",
            "npx @openai/codex@0.160.0 mcp-server",
            "npx --package=@openai/codex@0.154.0 codex mcp-server",
        ] {
            assert_eq!(of(line).map(|(args, _)| args), Some("serve".into()), "{line}");
        }
    }

    #[test]
    fn what_is_not_the_lost_server_is_left_alone() {
        for line in [
            "codex",
            "codex app-server",
            "codex mcp list",
            "codex exec mcp-server",
            "codex -c mcp-server",
            "codex exec mcp serve",
            "npx -y @openai/codex exec mcp-server",
            "npx -y @openai/codex@0.153.9 mcp-server",
            "npx -y @openai/codex@0.154.0-alpha.1 mcp-server",
            "npx -y @openai/codex@^0.160.0 mcp-server",
            "bash -lc codex·exec·mcp-server",
            "codex-wrapper mcp-server",
            "node mcp-server",
            "npx -y @other/codex mcp-server",
            "npx -y @openai/codex@0.150.0 mcp-server",
            "npx -p @openai/codex@0.150.0 codex mcp-server",
            "npx --package=@openai/codex@0.150.0 codex mcp-server",
            "env A=1 node mcp-server",
            "env",
            "bash -lc echo·codex",
            "bash codex-mcp-server.sh",
            "atm-agent-mcp serve",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn variables_before_the_program_are_kept() {
        let Some(Successor::Serve(serve)) = all_of("env A=1 B=c=d npx -y @openai/codex mcp-server") else { panic!() };
        let variables: Vec<_> = serve.variables.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect();
        assert_eq!(variables, [("A", "1"), ("B", "c=d")]);
    }

    #[test]
    fn what_is_in_a_line_for_a_shell_is_known_and_left_to_people() {
        for line in [
            "bash -lc codex·mcp-server",
            "/bin/sh -c A=1·exec·/opt/codex·-m·gpt-5·mcp-server;true",
            "bash -c cd·/opt/codex·&&·codex·mcp-server",
            "zsh -c 'npx_-y_@openai/codex·mcp-server'",
            "npx -c codex·mcp-server",
            "cmd /c codex·mcp-server",
            "env -i codex mcp-server",
            "env A=1 bash -c codex·mcp-server",
            "env -S codex·mcp-server",
        ] {
            assert_eq!(all_of(line), Some(Successor::ByHand), "{line}");
        }
    }

    #[test]
    fn settings_that_look_like_secrets_are_known() {
        let Some(Successor::Serve(serve)) = all_of(
            "codex -c a.key=sk-1 -cb.Token=t --config=c.bearer_token=u mcp-server -c d={api_key=\"v\"} -c e.env_key=E \
             -c tool_output_token_limit=100 -c f=g",
        ) else {
            panic!()
        };
        assert_eq!(serve.secrets, ["a.key", "b.Token", "c.bearer_token", "d"]);
    }

    #[test]
    fn what_it_was_given_is_given_to_serve_or_named() {
        let (args, left) =
            of("codex -m gpt-5 mcp-server -c sandbox_mode=\"read-only\" --config=approval_policy='never'").unwrap();
        assert_eq!((args.as_str(), left), ("serve --model gpt-5 --sandbox read-only --approval-policy never", vec![]));
        let (args, left) = of("codex mcp-server -c sandbox_mode=danger-full-access --enable x -c a.b=1").unwrap();
        assert_eq!(
            (args.as_str(), left.join("; ")),
            ("serve", "-c sandbox_mode=danger-full-access; --enable x; -c a.b=1".into())
        );
    }
}
