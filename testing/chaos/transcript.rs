//! The transcripts of threads, read from Codex itself when all is over, by a process of its own in the world's environment.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use atm_agent_mcp::codex::wire::{Item, ThreadOptions, Turn};
use atm_agent_mcp::codex::{Client, Codex, CodexError, Environment, Launch};
use atm_agent_mcp::demo::world::World;
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::ThreadId;

use crate::life::say;
use crate::server::Programs;

/// Which threads.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Order {
    #[arg(long)]
    pub(crate) home: PathBuf,
    #[arg(long)]
    pub(crate) codex: PathBuf,
    #[arg(long = "thread")]
    pub(crate) threads: Vec<String>,
}

/// Says every message of the user of each thread, in order, each with its parts, as one JSON list.
pub(crate) async fn read(order: &Order) -> io::Result<()> {
    let program = Some(order.codex.clone());
    let codex = Codex::new(Launch {
        program,
        environment: Environment::default(),
        home: Home::at(&order.home),
        deadline: Duration::from_secs(60),
        pieces: false,
        overrides: &[],
    });
    let threads = all(&codex, &order.threads).await;
    codex.shutdown().await;
    say(format_args!("{}", serde_json::to_string(&threads?)?))
}

/// The same, as such a process reads it in this world.
pub(crate) async fn of(world: &World, programs: &Programs, threads: &[&str]) -> io::Result<Vec<Vec<Vec<String>>>> {
    let mut reader = world.command(&std::env::current_exe()?, &programs.codex);
    reader.arg("transcript").arg("--home").arg(world.home()).arg("--codex").arg(&programs.codex);
    reader.args(threads.iter().flat_map(|thread| ["--thread", thread]));
    let output = reader.output().await?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn all(codex: &Codex, threads: &[String]) -> io::Result<Vec<Vec<Vec<String>>>> {
    let client = codex.connect().await.map_err(io::Error::other)?;
    let mut all = Vec::new();
    for thread in threads {
        let thread = ThreadId::parse(thread).map_err(io::Error::other)?;
        all.push(messages(&client, &thread).await.map_err(io::Error::other)?);
    }
    Ok(all)
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
