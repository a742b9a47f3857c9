//! The child: one `codex app-server` for all agents, started at the first need and ended with us.
//!
//! It listens on a Unix socket in a directory that only the user can enter; where that is not to be had (Windows, a
//! Codex without it) it speaks over its pipes. [`Codex::connect`] gives a [`Client`] of the running one and starts it
//! if there is none; when it dies, every subscriber hears [`event::ThreadEvent::Lost`] and the next `connect` starts
//! another.

pub mod access;
pub mod ask;
pub mod client;
mod environment;
pub mod event;
mod form;
pub mod group;
pub mod guest;
mod item;
mod launch;
mod notes;
pub mod probe;
pub mod process;
pub mod program;
pub mod rollout;
pub mod run_dir;
pub mod telling;
mod threads;
pub mod tools;
pub mod wire;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use client::Client;
pub use environment::Environment;
use program::{OLDEST, Version};
pub use threads::Subscription;

use crate::home::Home;
use crate::rpc::Connection;

/// Why there is no app-server. The texts are for a model or a person: what failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No Codex on the machine.
    #[error(
        "Codex was not found (looked for {}). Install it with `npm install -g @openai/codex`, or set \
         ATM_AGENT_MCP_CODEX_BIN or the key codex_bin to its path.", looked_for.display()
    )]
    NotFound {
        /// The name or path.
        looked_for: PathBuf,
    },
    /// It cannot be run.
    #[error("Codex ({}) cannot be started: {source}. Reinstall it with `npm install -g @openai/codex`.", program.display())]
    NotRunnable {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is too old.
    #[error(
        "Codex {version} ({}) is too old: at least {OLDEST} is needed. Update it with `npm install -g @openai/codex@latest`.",
        program.display()
    )]
    TooOld {
        /// Which.
        program: PathBuf,
        /// Its version.
        version: Version,
    },
    /// It ended before it answered.
    #[error("Codex ({}) died at its start: {how}\nRun `codex app-server --help` in a terminal to see it for yourself.", program.display())]
    Died {
        /// Which.
        program: PathBuf,
        /// How, with its last lines.
        how: String,
    },
    /// It did not answer.
    #[error("Codex ({}) did not answer within {} s, and was ended{said}", program.display(), after.as_secs())]
    Silent {
        /// Which.
        program: PathBuf,
        /// How long it had.
        after: Duration,
        /// Its last lines, if any.
        said: String,
    },
    /// There is no private directory for it.
    #[error("no private directory for Codex can be made in {}: {source}", path.display())]
    NoDirectory {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Why a call to Codex has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CodexError {
    /// There is no app-server.
    #[error("{0}")]
    Start(Arc<StartError>),
    /// It refused.
    #[error("Codex refused {method}: {message}")]
    Refused {
        /// What.
        method: &'static str,
        /// In its words.
        message: String,
    },
    /// It did not answer.
    #[error("Codex did not answer {method} within {} s", after.as_secs())]
    Silent {
        /// What.
        method: &'static str,
        /// How long it had.
        after: Duration,
    },
    /// It answered in a form that we cannot read.
    #[error("Codex answered {method} in an unknown form: {error}")]
    Strange {
        /// What.
        method: &'static str,
        /// Where it is unknown.
        error: String,
    },
    /// It is gone.
    #[error("{0}")]
    Lost(Arc<str>),
}

impl CodexError {
    /// Whether it is sure that what was asked was not done. A call that was not answered, or not in a form that we read,
    /// may have been heard.
    pub fn is_sure(&self) -> bool {
        match self {
            CodexError::Start(_) | CodexError::Refused { .. } => true,
            CodexError::Silent { .. } | CodexError::Strange { .. } | CodexError::Lost(_) => false,
        }
    }
}

/// How we speak to the app-server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// WebSocket over a private Unix socket; a human can attach.
    Socket,
    /// Its pipes.
    Pipes,
}

/// Which app-server runs.
#[derive(Debug, Clone)]
pub struct ServerInfo {
    /// Its program.
    pub program: PathBuf,
    /// Its version, as it tells it.
    pub version: String,
    /// How we speak to it.
    pub transport: Transport,
    /// Where it listens, if it does.
    pub socket: Option<PathBuf>,
    /// Its process.
    pub pid: u32,
}

/// Which Codex to start, and where its files go.
#[derive(Debug, Clone)]
pub struct Launch {
    /// A path or a name; `codex` on PATH when there is none.
    pub program: Option<PathBuf>,
    /// What it gets of our environment.
    pub environment: Environment,
    /// For the run directory.
    pub home: Home,
    /// How long it may take to answer.
    pub deadline: Duration,
    /// Whether the pieces of answers are wanted while they are written: most of the traffic of a turn.
    pub pieces: bool,
    /// What holds before Codex's own configuration, each as `key=value`.
    pub overrides: &'static [&'static str],
}

/// The way to the one app-server.
#[derive(Debug)]
pub struct Codex {
    launch: Launch,
    current: Mutex<Current>,
    stop: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Current {
    starting: Option<Starting>,
    keeper: Option<Keeper>,
}

/// A start, awaited by all who need it.
type Starting = Shared<BoxFuture<'static, Result<Client, Arc<StartError>>>>;

/// The task that owns the child process.
type Keeper = Arc<Mutex<Option<JoinHandle<()>>>>;

impl Codex {
    /// Starts nothing yet.
    pub fn new(launch: Launch) -> Codex {
        Codex { launch, current: Mutex::default(), stop: watch::Sender::new(false) }
    }

    /// Speaks with an app-server at the other end of `connection`, which somebody else has started and will end: a
    /// script in a test, with time in its hand.
    pub fn joined_to(connection: Connection, launch: Launch) -> Codex {
        let pieces = launch.pieces;
        let codex = Codex::new(launch);
        codex.current().starting =
            Some(launch::join(connection, pieces).map(|joined| joined.map_err(Arc::new)).boxed().shared());
        codex
    }

    /// The running app-server; it is started if there is none. Who asks while it starts waits for the same start.
    pub async fn connect(&self) -> Result<Client, CodexError> {
        let starting = {
            let mut current = self.current();
            match &current.starting {
                Some(starting) if is_of_use(starting) => starting.clone(),
                _ => {
                    let keeper = Keeper::default();
                    let start = launch::launch(self.launch.clone(), self.stop.subscribe(), keeper.clone());
                    let starting = start.map(|started| started.map_err(Arc::new)).boxed().shared();
                    *current = Current { starting: Some(starting.clone()), keeper: Some(keeper) };
                    starting
                }
            }
        };
        starting.await.map_err(CodexError::Start)
    }

    /// The running app-server, if there is one.
    pub fn running(&self) -> Option<Client> {
        let client = self.current().starting.as_ref()?.peek()?.as_ref().ok()?.clone();
        (!client.is_gone()).then_some(client)
    }

    /// Ends the app-server, and starts none any more.
    pub async fn shutdown(&self) {
        self.stop.send_replace(true);
        let keeper = self.current().keeper.take();
        let task = keeper.and_then(|keeper| keeper.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(task) = task {
            task.await.ok();
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of_use(starting: &Starting) -> bool {
    match starting.peek() {
        None => true,
        Some(Ok(client)) => !client.is_gone(),
        Some(Err(_)) => false,
    }
}
