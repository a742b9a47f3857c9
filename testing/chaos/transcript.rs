//! The transcript of a thread, read from Codex itself when all is over, by a process of its own in the world's environment.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use atm_agent_mcp::codex::wire::{Item, ThreadOptions, Turn};
use atm_agent_mcp::codex::{Client, Codex, CodexError, Environment, Launch};
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::ThreadId;

use crate::life::say;

/// Which thread.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Order {
    #[arg(long)]
    pub(crate) home: PathBuf,
    #[arg(long)]
    pub(crate) codex: PathBuf,
    #[arg(long)]
    pub(crate) thread: String,
}

/// Says every message of the user, in order, each with its parts, as one JSON list.
pub(crate) async fn read(order: &Order) -> io::Result<()> {
    let program = Some(order.codex.clone());
    let codex = Codex::new(Launch {
        program,
        environment: Environment::default(),
        home: Home::at(&order.home),
        deadline: Duration::from_secs(60),
        pieces: false,
    });
    let thread = ThreadId::parse(&order.thread).map_err(io::Error::other)?;
    let messages = match codex.connect().await {
        Ok(client) => messages(&client, &thread).await,
        Err(error) => Err(error),
    };
    codex.shutdown().await;
    let messages = messages.map_err(io::Error::other)?;
    say(format_args!("{}", serde_json::to_string(&messages)?))
}

async fn messages(client: &Client, thread: &ThreadId) -> Result<Vec<Vec<String>>, CodexError> {
    client.thread_resume(thread, &ThreadOptions::default()).await?;
    let mut turns: Vec<Turn> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let (page, next) = client.turn_page(thread, cursor.as_deref()).await?;
        turns.extend(page);
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    // They come the newest first.
    let items = turns.into_iter().rev().flat_map(|turn| turn.items);
    let messages = items.filter_map(|item| match item {
        Item::UserMessage { content, .. } => Some(content.into_iter().filter_map(|part| part.text).collect()),
        _ => None,
    });
    Ok(messages.collect())
}
