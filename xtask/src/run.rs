//! Runs other programs, each shown on stderr first.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::process::{Command, ExitCode, ExitStatus, Output, Stdio};

use crate::Error;

/// Runs to the end with our own input and output, and answers with the exit code.
pub(crate) fn run(command: &mut Command) -> Result<ExitCode, Error> {
    show(command);
    let status = command.status().map_err(|e| failed(command, &e))?;
    Ok(exit_code(status))
}

/// Runs to the end with no input and keeps the output.
pub(crate) fn output(command: &mut Command) -> Result<Output, Error> {
    show(command);
    command.stdin(Stdio::null()).output().map_err(|e| failed(command, &e))
}

/// Whether the program is there and succeeds; what it says is not kept.
pub(crate) fn answers(command: &mut Command) -> bool {
    output(command).is_ok_and(|output| output.status.success())
}

/// The last lines of what a program said, stdout before stderr.
pub(crate) fn last_lines(output: &Output, count: usize) -> String {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn show(command: &Command) {
    eprintln!("$ {}", line(command));
}

/// The command as a person would type it in a shell.
fn line(command: &Command) -> String {
    let set = command.get_envs().filter_map(|(name, value)| Some(format!("{}={}", name.display(), quoted(value?))));
    let words = [command.get_program()].into_iter().chain(command.get_args()).map(|word| quoted(word).into_owned());
    set.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> Cow<'_, str> {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./\\:=@+,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")).into() }
}

fn failed(command: &Command, why: &std::io::Error) -> Error {
    format!("{} cannot be run: {why}", command.get_program().display())
}

/// A program ended by a signal counts as 128 and the signal's number, as in a shell.
fn exit_code(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let code = status.code().or_else(|| std::os::unix::process::ExitStatusExt::signal(&status).map(|n| 128 + n));
    #[cfg(not(unix))]
    let code = status.code();
    let failure = if status.success() { 0 } else { 1 };
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("cargo");
        command.env("RUSTDOCFLAGS", "-D warnings").args(["nextest", "run", "-E", "test(it's)", ""]);
        assert_eq!(line(&command), r"RUSTDOCFLAGS='-D warnings' cargo nextest run -E 'test(it'\''s)' ''");
    }

    #[test]
    fn only_the_last_lines_are_told() {
        let output =
            Output { status: ExitStatus::default(), stdout: b"one\ntwo\n".into(), stderr: b"three\n\n".into() };
        assert_eq!(last_lines(&output, 2), "two\nthree");
        assert_eq!(last_lines(&output, 9), "one\ntwo\nthree");
    }
}
