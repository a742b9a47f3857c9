//! Starting an app-server: over its socket, else over its pipes, and the task that owns it from then on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::Client;
use super::process::Process;
use super::program::{self, OLDEST, Version};
use super::run_dir::RunDir;
use super::threads::Threads;
use super::wire::{self, method};
use super::{Keeper, Launch, ServerInfo, StartError, Transport};
use crate::rpc::{CallError, Connection, Incoming, Peer};

/// How long the end of a process is waited for whose connection is closed.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long an app-server that is joined may take to answer.
const JOIN_DEADLINE: Duration = Duration::from_secs(10);
/// How often a socket that is not there yet is tried.
#[cfg(unix)]
const RETRY: Duration = Duration::from_millis(3);

/// A child with which a connection is open.
struct Open {
    process: Process,
    connection: Connection,
    transport: Transport,
    socket: Option<PathBuf>,
}

/// One that has said hello, and has no keeper yet.
pub(super) struct Begun {
    pub(super) process: Process,
    pub(super) run: RunDir,
    pub(super) peer: Peer,
    pub(super) incoming: Receiver<Incoming>,
    pub(super) tasks: JoinSet<()>,
    pub(super) info: ServerInfo,
    /// Where its settings and threads are, if it tells.
    pub(super) codex_home: Option<PathBuf>,
}

/// Starts one, and leaves it with its keeper.
pub(super) async fn launch(launch: Launch, stop: watch::Receiver<bool>, keeper: Keeper) -> Result<Client, StartError> {
    let Begun { process, run, peer, incoming, mut tasks, info, codex_home: _ } = begin(&launch).await?;
    let ServerInfo { program, version, transport, .. } = &info;
    tracing::info!(program = %program.display(), version, ?transport, "Codex runs");
    let (client, tell_gone) = client(&peer, info);
    let threads = client.threads.clone();
    let keeping = tokio::spawn(async move {
        let why = keep(process, &threads, &peer, incoming, stop).await;
        tell_gone.send_replace(Some(why.clone()));
        threads.lost(&why).await;
        tasks.shutdown().await;
        drop(run);
    });
    *keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeping);
    Ok(client)
}

/// Starts one; whoever asks for it owns it.
pub(super) async fn begin(launch: &Launch) -> Result<Begun, StartError> {
    let program = program::find(launch.program.as_deref())?;
    let home = launch.home.clone();
    let until = Instant::now() + launch.deadline;
    let no_directory = |source| StartError::NoDirectory { path: launch.home.run_dir(), source };
    let locked = |_| no_directory(std::io::Error::other("another process holds sweep.lock in it; which?"));
    let made = tokio::time::timeout_at(until, tokio::task::spawn_blocking(move || RunDir::create(&home))).await;
    let run = made.map_err(locked)?.map_err(|e| no_directory(e.into()))?.map_err(no_directory)?;
    let Open { mut process, connection, transport, socket } = open(&program, &run, until, launch).await?;

    let mut tasks = JoinSet::new();
    let (peer, incoming) = Peer::start(connection, &mut tasks);
    let hello = match handshake(&peer, launch.pieces, until).await {
        Ok(hello) => hello,
        Err(CallError::TimedOut { .. }) => return Err(silent(&program, launch, process).await),
        Err(CallError::Closed) => {
            let how = after_closing(&mut process).await;
            process.end().await;
            return Err(StartError::Died { program, how });
        }
        Err(CallError::Refused(error)) => {
            let how = process.last_words().after(&format!("it refused to be initialized: {error}"));
            process.end().await;
            return Err(StartError::Died { program, how });
        }
    };
    let wire::Initialized { user_agent, codex_home } = hello;
    if let Some(version) = Version::in_user_agent(&user_agent).filter(|version| *version < OLDEST) {
        process.end().await;
        return Err(StartError::TooOld { program, version });
    }
    peer.notify(method::INITIALIZED);
    let version = Version::in_user_agent(&user_agent).map_or(user_agent, |v| v.to_string());
    let info = ServerInfo { program, version, transport, socket, pid: process.pid() };
    Ok(Begun { process, run, peer, incoming, tasks, info, codex_home })
}

/// Speaks with an app-server that somebody else runs, until its connection ends.
pub(super) async fn join(connection: Connection, pieces: bool) -> Result<Client, StartError> {
    let mut tasks = JoinSet::new();
    let (peer, incoming) = Peer::start(connection, &mut tasks);
    let program = PathBuf::from("(joined)");
    let refused = |error: CallError| StartError::Died { program: program.clone(), how: error.to_string() };
    let version = handshake(&peer, pieces, Instant::now() + JOIN_DEADLINE).await.map_err(refused)?.user_agent;
    peer.notify(method::INITIALIZED);
    let info = ServerInfo { program, version, transport: Transport::Pipes, socket: None, pid: 0 };
    let (client, tell_gone) = client(&peer, info);
    let threads = client.threads.clone();
    tokio::spawn(async move {
        threads.dispatch(&peer, incoming).await;
        let why: Arc<str> = Arc::from("Codex is gone: it closed its connection");
        tell_gone.send_replace(Some(why.clone()));
        threads.lost(&why).await;
        tasks.shutdown().await;
    });
    Ok(client)
}

/// Speaks with an app-server beside its owner; what it says is the caller's to hear, and to answer or not.
pub(super) async fn visit(
    connection: Connection,
    tasks: &mut JoinSet<()>,
) -> Result<(Client, Receiver<Incoming>), CallError> {
    let (peer, incoming) = Peer::start(connection, tasks);
    let version = handshake(&peer, false, Instant::now() + JOIN_DEADLINE).await?.user_agent;
    peer.notify(method::INITIALIZED);
    let program = PathBuf::from("(visited)");
    let info = ServerInfo { program, version, transport: Transport::Socket, socket: None, pid: 0 };
    Ok((client(&peer, info).0, incoming))
}

fn client(peer: &Peer, info: ServerInfo) -> (Client, watch::Sender<Option<Arc<str>>>) {
    let (tell_gone, gone) = watch::channel(None);
    let client = Client { peer: peer.clone(), threads: Arc::default(), gone, info: Arc::new(info) };
    (client, tell_gone)
}

/// Owns the child until it ends, or its connection does, or we stop; tells why it is gone.
async fn keep(
    mut process: Process,
    threads: &Threads,
    peer: &Peer,
    incoming: Receiver<Incoming>,
    mut stop: watch::Receiver<bool>,
) -> Arc<str> {
    let why = tokio::select! {
        how = process.ended() => format!("Codex is gone: {how}"),
        () = threads.dispatch(peer, incoming) => format!("Codex is gone: {}", after_closing(&mut process).await),
        () = stopped(&mut stop) => "the server is being stopped".to_owned(),
    };
    process.end().await;
    if !*stop.borrow() {
        tracing::warn!("{why}");
    }
    Arc::from(why)
}

/// How a child ended whose connection is closed; that closes a moment before the process can be waited for.
async fn after_closing(process: &mut Process) -> String {
    let ended = tokio::time::timeout(FAREWELL, process.ended()).await;
    ended.unwrap_or_else(|_| process.last_words().after("it closed its connection"))
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}

async fn handshake(peer: &Peer, pieces: bool, until: Instant) -> Result<wire::Initialized, CallError> {
    let unwanted = wire::OPTED_OUT.into_iter().filter(|method| !pieces || *method != wire::PIECES);
    let hello = wire::Initialize {
        client_info: wire::ClientInfo {
            name: env!("CARGO_PKG_NAME"),
            title: "atm-agent-mcp",
            version: env!("CARGO_PKG_VERSION"),
        },
        capabilities: wire::Capabilities { experimental_api: true, opt_out_notification_methods: unwanted.collect() },
    };
    let left = until.saturating_duration_since(Instant::now());
    let answer = peer.call(method::INITIALIZE, &hello, left).end().await?;
    Ok(serde_json::from_str(answer.get()).unwrap_or_default())
}

async fn silent(program: &Path, launch: &Launch, process: Process) -> StartError {
    let said = process.last_words().after("");
    process.end().await;
    StartError::Silent { program: program.to_owned(), after: launch.deadline, said }
}

/// Says it at the first child, and not at every further one.
fn say_once(what: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| tracing::warn!("{what}"));
}

/// Over the socket if this Codex has it, else over the pipes.
#[cfg(unix)]
async fn open(program: &Path, run: &RunDir, until: Instant, launch: &Launch) -> Result<Open, StartError> {
    let socket = run.socket();
    let mut listen = OsString::from("unix://");
    listen.push(&socket);
    let args = ["--listen".into(), listen];
    let mut process = start(program, &args, launch, run, false)?;
    let connected = tokio::select! {
        connected = connect(&socket) => connected,
        how = process.ended() => {
            if process.last_words().mention("--listen") {
                say_once("this Codex does not listen on a socket: it is spoken to over its pipes, and nobody can attach");
                process.end().await;
                return open_pipes(program, run, launch);
            }
            return Err(StartError::Died { program: program.to_owned(), how });
        }
        () = tokio::time::sleep_until(until) => return Err(silent(program, launch, process).await),
    };
    match connected {
        Ok(connection) => Ok(Open { process, connection, transport: Transport::Socket, socket: Some(socket) }),
        Err(error) => {
            let how = process.last_words().after(&format!("its socket cannot be used: {error}"));
            process.end().await;
            Err(StartError::Died { program: program.to_owned(), how })
        }
    }
}

#[cfg(not(unix))]
async fn open(program: &Path, run: &RunDir, _: Instant, launch: &Launch) -> Result<Open, StartError> {
    say_once("on this system Codex is spoken to over its pipes, and nobody can attach");
    open_pipes(program, run, launch)
}

#[cfg(unix)]
async fn connect(socket: &Path) -> Result<Connection, Box<tokio_tungstenite::tungstenite::Error>> {
    loop {
        if let Ok(stream) = tokio::net::UnixStream::connect(socket).await {
            return Connection::over_socket(stream).await;
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn open_pipes(program: &Path, run: &RunDir, launch: &Launch) -> Result<Open, StartError> {
    let mut process = start(program, &[], launch, run, true)?;
    let no_pipes = || std::io::Error::other("it has no pipes");
    let (stdout, stdin) =
        process.pipes().ok_or_else(|| StartError::NotRunnable { program: program.to_owned(), source: no_pipes() })?;
    let connection = Connection::over_lines(stdout, stdin);
    Ok(Open { process, connection, transport: Transport::Pipes, socket: None })
}

fn start(program: &Path, args: &[OsString], launch: &Launch, run: &RunDir, piped: bool) -> Result<Process, StartError> {
    let overrides = launch.overrides.iter().flat_map(|given| ["-c", given]);
    let own = std::iter::once("app-server").chain(overrides).map(OsString::from);
    let args: Vec<OsString> = own.chain(args.iter().cloned()).collect();
    Process::start(program, &args, &launch.environment, run, piped)
        .map_err(|source| StartError::NotRunnable { program: program.to_owned(), source })
}
