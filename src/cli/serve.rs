//! `serve`: the MCP server on stdin and stdout.

use crate::cli::ending::Asked;
use crate::cli::error::CliError;
use crate::cli::place::Place;
use crate::config::ServeFlags;
use crate::serve::{InboxSocket, Resume, Serve};

/// Serve MCP on stdin and stdout
///
/// A client starts it; there is nothing to type. What a flag does not say, the environment and the settings files say.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  claude mcp add --scope user codex -- atm-agent-mcp serve
  claude mcp add --scope user codex -- atm-agent-mcp serve --team my-team --model gpt-5.5 --sandbox read-only")]
pub(super) struct Args {
    #[command(flatten)]
    flags: ServeFlags,
}

pub(super) async fn run(Args { flags }: Args) -> Result<(), CliError> {
    let Place { home, cwd, loaded } = Place::find(&flags)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let resume = flags.resume.map(|who| who.map_or(Resume::Last, Resume::Named));
    // Claude Code tells it to the servers that it starts (2.1.330).
    let claude_session = std::env::var("CLAUDE_CODE_SESSION_ID").ok();
    let inbox_socket = inbox_socket();
    let serve = Serve { settings: loaded.settings, home, own_directory: cwd, resume, claude_session, inbox_socket };
    Ok(serve.run(super::stdio::stdin(), super::stdio::stdout(), asked_to_stop()).await?)
}

/// Where Claude Code (since 2.1.224) wants its session to be spoken to by the servers that it starts.
fn inbox_socket() -> Option<InboxSocket> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let path = set("CLAUDE_CODE_MESSAGING_SOCKET")?;
    Some(InboxSocket::new(path.into(), set("CLAUDE_CODE_MESSAGING_TOKEN")))
}

/// Comes when the system or the user asks the program to end.
async fn asked_to_stop() {
    let Ok(mut asked) = Asked::listen() else { return std::future::pending().await };
    let mut one = async move || {
        tokio::select! {
            _ = asked.signal() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    one().await;
    tokio::spawn(async move {
        one().await;
        // Whoever asks twice does not want to wait. Codex ends with us, however we do.
        std::process::exit(1);
    });
}
