//! Writes what is made from the command line: man pages and completions. `cargo xtask dist` runs it.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use atm_agent_mcp::cli;
use clap::Command;
use clap_complete::{Generator, Shell};
use clap_mangen::Man;

/// The shells that have completions.
const SHELLS: [Shell; 5] = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish];

fn main() -> ExitCode {
    let Some(dir) = env::args_os().nth(1) else {
        eprintln!("error: a directory is needed");
        return ExitCode::from(2);
    };
    match write(Path::new(&dir)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {}: {why}", dir.display());
            ExitCode::FAILURE
        }
    }
}

/// `man/` with a page for the program and each subcommand, `completions/` with a script for each shell.
fn write(dir: &Path) -> io::Result<()> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    fs::create_dir_all(&man)?;
    let mut command = cli::command().disable_help_subcommand(true);
    command.build();
    write_pages(&man, command)?;
    fs::create_dir_all(&completions)?;
    for shell in SHELLS {
        fs::write(completions.join(shell.file_name(cli::NAME)), cli::completions(shell))?;
    }
    Ok(())
}

fn write_pages(dir: &Path, command: Command) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_pages(dir, below.clone())?;
    }
    let page = Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    fs::write(dir.join(page.get_filename()), with_examples(&String::from_utf8_lossy(&text)))
}

/// What stands behind a command's help are its examples, to be shown line by line as they are.
fn with_examples(page: &str) -> String {
    let Some((before, behind)) = page.split_once(".SH EXTRA\nExamples:\n") else { return page.to_owned() };
    let (examples, rest) =
        behind.split_once("\n.SH ").map_or((behind, None), |(examples, rest)| (examples, Some(rest)));
    let rest = rest.map(|rest| format!("\n.SH {rest}")).unwrap_or_default();
    format!("{before}.SH EXAMPLES\n.nf\n{examples}\n.fi{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_command_has_a_page_and_every_shell_a_script() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path()).unwrap();
        let shown =
            ["_atm-agent-mcp", "_atm-agent-mcp.ps1", "atm-agent-mcp.bash", "atm-agent-mcp.elv", "atm-agent-mcp.fish"];
        assert_eq!(names(&dir.path().join("completions")), shown);
        for script in shown.map(|name| dir.path().join("completions").join(name)) {
            let script = fs::read_to_string(script).unwrap();
            assert!(script.contains("sessions") && !script.contains("agent-tools"), "{script}");
        }
        let pages = names(&dir.path().join("man"));
        for command in cli::command().get_subcommands() {
            let page = format!("{}-{}.1", cli::NAME, command.get_name());
            assert!(pages.contains(&page), "{page} of {pages:?}");
        }
        let page = fs::read_to_string(dir.path().join("man/atm-agent-mcp-sessions.1")).unwrap();
        assert!(page.starts_with(".ie") && page.contains("all\\-teams"), "{page}");
        assert!(page.contains(".SH EXAMPLES\n.nf\n  atm\\-agent\\-mcp sessions"), "{page}");
    }
}
