//! Completions as a shell itself makes them.

use std::process::Command;

use atm_agent_mcp::cli;
use clap_complete::Shell;

/// What a real bash offers for the last of these words.
fn offered(words: &[&str]) -> Vec<String> {
    let [.., before, last] = words else { panic!("two words at least") };
    let complete = "name=$1 last=$2 before=$3; shift 3; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                    complete() { [ \"${@: -1}\" = \"$name\" ] && function=$2; }; eval \"$SCRIPT\"; \
                    \"$function\" \"$name\" \"$last\" \"$before\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", complete, "bash", cli::NAME, last, before]).args(words);
    let output = bash.env("SCRIPT", cli::completions(Shell::Bash)).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    assert_eq!(offered(&["atm-agent-mcp", "sess"]), ["sessions"]);
    assert_eq!(offered(&["atm-agent-mcp", "sessions", "--pru"]), ["--prune"]);
    assert_eq!(offered(&["atm-agent-mcp", "setup", "--scope", "pro"]), ["project"]);
    assert_eq!(offered(&["atm-agent-mcp", "queue", "re"]), ["retry"]);
    assert_eq!(offered(&["atm-agent-mcp", "queue", "push", "--urg"]), ["--urgent"]);
}

#[test]
fn every_shell_is_told_the_subcommands_and_their_options_and_nothing_hidden() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish] {
        let script = cli::completions(shell);
        assert!(script.contains("sessions") && script.contains("all-teams"), "{shell}");
        assert!(!script.contains("agent-tools"), "{shell}");
    }
}
