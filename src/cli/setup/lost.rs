//! The lost `codex mcp-server` in a client's settings, and what stands for it.

use super::super::claude_config::{Launch, stem};
use crate::policy::{ApprovalPolicy, Sandbox};

/// Programs that start another one that stands among their arguments.
const STARTERS: [&str; 5] = ["npx", "bunx", "pnpx", "pnpm", "cmd"];

/// What `serve` is given in place of the lost server.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Successor {
    pub(super) args: Vec<String>,
    /// What the lost server was given and `serve` does not take.
    pub(super) left_out: Vec<String>,
}

/// What stands for a server; `None` if it is not the lost one.
///
/// `codex mcp serve` is how it was started before `codex mcp-server`. A version that is named is kept: it may be one
/// that has it.
pub(in crate::cli) fn successor(launch: &Launch) -> Option<Successor> {
    let words: Vec<&str> = [&launch.command].into_iter().chain(&launch.args).map(String::as_str).collect();
    let codex = match stem(words[0]) {
        "codex" => 0,
        starter if STARTERS.contains(&starter) => words.iter().position(|word| is_codex(word))?,
        _ => return None,
    };
    let given = &words[codex + 1..];
    let (at, length) = match given.iter().position(|word| *word == "mcp-server") {
        Some(at) => (at, 1),
        None => (given.windows(2).position(|pair| pair == ["mcp", "serve"])?, 2),
    };
    let mut successor = Successor { args: vec!["serve".to_owned()], left_out: Vec::new() };
    let mut rest = given[..at].iter().chain(&given[at + length..]).copied();
    while let Some(word) = rest.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value)),
            _ => (word, None),
        };
        let takes_one = ["-c", "--config", "-m", "--model", "-s", "--sandbox", "-a", "--ask-for-approval"];
        let value = value.or_else(|| takes_one.contains(&option).then(|| rest.next()).flatten());
        match serves(option, value) {
            Some((flag, value)) => successor.args.extend([flag.to_owned(), value]),
            None => successor.left_out.push([Some(option), value].into_iter().flatten().collect::<Vec<_>>().join(" ")),
        }
    }
    Some(successor)
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
    matches!(stem(word), "codex" | "codex@latest") && (!word.starts_with('@') || word.starts_with("@openai/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<(String, Vec<String>)> {
        let mut words = line.split(' ').map(str::to_owned);
        let launch = Launch { command: words.next().unwrap(), args: words.collect() };
        successor(&launch).map(|it| (it.args.join(" "), it.left_out))
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
            "cmd /c codex mcp-server",
        ] {
            assert_eq!(of(line), Some(("serve".into(), vec![])), "{line}");
        }
    }

    #[test]
    fn what_is_not_the_lost_server_is_left_alone() {
        for line in [
            "codex",
            "codex app-server",
            "codex mcp list",
            "codex-wrapper mcp-server",
            "node mcp-server",
            "npx -y @other/codex mcp-server",
            "npx -y @openai/codex@0.150.0 mcp-server",
            "atm-agent-mcp serve",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn what_it_was_given_is_given_to_serve_or_named() {
        let (args, left) =
            of("codex -m gpt-5 mcp-server -c sandbox_mode=\"read-only\" --config=approval_policy='never'").unwrap();
        assert_eq!((args.as_str(), left), ("serve --model gpt-5 --sandbox read-only --approval-policy never", vec![]));
        let (args, left) = of("codex mcp-server -c sandbox_mode=danger-full-access --enable x -c a.b=1").unwrap();
        assert_eq!(
            (args.as_str(), left.join("; ")),
            ("serve", "-c sandbox_mode=danger-full-access; --enable; x; -c a.b=1".into())
        );
    }
}
