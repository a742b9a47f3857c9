//! How a session comes to life: its actor, and the handle to it.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};

use super::actor::Actor;
use super::approving::Approvals;
use super::calling::ToolCalls;
use super::delivery::UnderWay;
use super::handle::{self, Handle};
use super::identity::Lock;
use super::kept::Kept;
use super::record::Record;
use super::rules::Rules;
use super::setup::Setup;
use super::snapshot::Snapshot;
use super::watchdog::Watchdog;
use crate::codex::Codex;

/// Starts the session of this agent; `ends` says when its server ends.
pub(super) fn begin(
    setup: &Setup,
    codex: Arc<Codex>,
    record: Record,
    owner: Lock,
    ends: watch::Receiver<bool>,
) -> Handle {
    let (rules, first) = Rules::new();
    let (commands, received) = mpsc::channel(handle::DEPTH);
    let activity: Arc<str> = Arc::from("starting");
    let (shown, snapshot) = watch::channel(Snapshot::of(&rules, &record, &activity, 0));
    let outbox = Arc::default();
    let handle = Handle {
        agent: record.agent_id.clone(),
        identity: record.identity.clone(),
        named: record.named,
        commands,
        snapshot,
        outbox: Arc::clone(&outbox),
        counts: Arc::default(),
        ends: ends.clone(),
    };
    let actor = Actor {
        rules,
        codex,
        kept: Kept::new(record, setup),
        _owner: owner,
        toolbox: setup.tools.clone(),
        tool_calls: ToolCalls::default(),
        approvals: Approvals::new(setup.approval_timeout),
        watchdog: Watchdog::new(setup.stall),
        commands: received,
        snapshot: shown,
        outbox,
        live: None,
        opening: false,
        was_open: false,
        calls: HashMap::new(),
        under_way: UnderWay::default(),
        questions: Vec::new(),
        turn: None,
        ended: None,
        activity,
        answered: 0,
        notes: Vec::new(),
        work: FuturesUnordered::new(),
        give_up: None,
        farewell: None,
        ends,
    };
    // The actor ends when it is told to or its last handle is gone; whoever ends it waits for its word.
    tokio::spawn(actor.run(first));
    handle
}
