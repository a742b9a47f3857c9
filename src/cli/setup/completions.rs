//! Completions for shells: what they are, where a shell looks for them, and what is left to the user.

use std::path::{Path, PathBuf};

use clap_complete::Shell;

use super::super::NAME;
use super::super::shell::quoted;

/// The user's directories, as shells know them.
pub(super) struct Dirs {
    pub(super) home: PathBuf,
    pub(super) config: PathBuf,
    pub(super) data: PathBuf,
}

impl Dirs {
    /// `XDG_CONFIG_HOME` and `XDG_DATA_HOME`, else their defaults; `None` without a home directory.
    pub(super) fn find() -> Option<Dirs> {
        let home = std::env::home_dir()?;
        let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let config = set("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let data = set("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local").join("share"));
        Some(Dirs { home, config, data })
    }

    /// Where the completions of a shell belong.
    pub(super) fn file(&self, shell: Shell) -> PathBuf {
        match shell {
            Shell::Bash => self.data.join("bash-completion").join("completions").join(NAME),
            Shell::Zsh => self.home.join(".zfunc").join(format!("_{NAME}")),
            Shell::Fish => self.config.join("fish").join("completions").join(format!("{NAME}.fish")),
            Shell::Elvish => self.config.join("elvish").join("lib").join(format!("{NAME}.elv")),
            // PowerShell, and whatever clap_complete learns later: no directory is looked into.
            shell => self.config.join("atm").join("completions").join(format!("{NAME}.{}", ending(shell))),
        }
    }
}

fn ending(shell: Shell) -> String {
    if shell == Shell::PowerShell { "ps1".to_owned() } else { shell.to_string() }
}

/// What the user has to do once, if the shell does not find them by itself.
pub(super) fn advice(shell: Shell, file: &Path) -> Option<String> {
    let path = file.display().to_string();
    match shell {
        Shell::Bash => Some("bash finds them if it has bash-completion; open a new shell".to_owned()),
        Shell::Zsh => Some("zsh finds them with this in ~/.zshrc, before compinit: fpath+=~/.zfunc".to_owned()),
        Shell::Elvish => Some(format!("elvish finds them with this in rc.elv: use {NAME}")),
        Shell::PowerShell => Some(format!("PowerShell finds them with this in $PROFILE: . {}", quoted(&path))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completions_go_where_the_shell_looks() {
        let dirs = Dirs { home: "/h".into(), config: "/h/.config".into(), data: "/h/.local/share".into() };
        let file = |shell| dirs.file(shell).display().to_string().replace('\\', "/");
        assert_eq!(file(Shell::Bash), "/h/.local/share/bash-completion/completions/atm-agent-mcp");
        assert_eq!(file(Shell::Zsh), "/h/.zfunc/_atm-agent-mcp");
        assert_eq!(file(Shell::Fish), "/h/.config/fish/completions/atm-agent-mcp.fish");
        assert_eq!(file(Shell::PowerShell), "/h/.config/atm/completions/atm-agent-mcp.ps1");
    }
}
