//! What the client does at random, and what happens to Codex.

use std::time::{Duration, Instant};

use atm_agent_mcp::queue::{Text, Urgency};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use super::calls::{Call, Purpose};
use super::ledger::Way;
use super::model::SILENCE;
use super::{AGENTS, Soak, name};

/// How many turns wait for an agent at most, that of now included.
const TURNS_MAX: u64 = 3;
/// How many calls are under way at most.
const CALLS_MAX: usize = 60;
/// For how long Codex is stopped at most, in milliseconds.
const STOPPED: u64 = 4_000;
/// How long a short-lived agent lives at most, in milliseconds.
const LIFE: u64 = 4_000;
/// What agent_approve knows; yes is likelier.
const DECISIONS: [&str; 6] = ["accept", "accept", "accept_for_session", "decline", "decline", "cancel"];

/// What is to be done later.
#[derive(Debug)]
pub(super) enum Deed {
    /// An agent is closed.
    Close(String),
    /// An ask is decided on.
    Decide(String),
    /// Codex goes on.
    Continue(Pid),
}

impl Soak<'_> {
    /// One deed of the client's.
    pub(super) fn act(&mut self) {
        if self.calls.under_way() > CALLS_MAX {
            return;
        }
        let agent = self.rng.usize(..AGENTS);
        match self.rng.u8(..20) {
            0..6 => self.prompt(agent),
            6..8 => self.wait(),
            8..10 => self.steer(agent),
            10..12 => self.push(agent),
            12..16 => self.mail(agent),
            16 => self.call("agent_interrupt", json!({"identity": name(agent)}), Purpose::Plain),
            17 => self.read(agent),
            18 => self.list(),
            _ => self.hire(),
        }
    }

    /// Codex is killed, or stopped for a while.
    pub(super) fn strike(&mut self) {
        let Some(codex) = self.codex.take() else { return };
        // It may have gone a moment ago.
        if self.rng.u8(..3) > 0 {
            self.figures.codex_kills += u32::from(kill_process(codex, Signal::KILL).is_ok());
            self.trace.tell(format_args!("Codex {codex:?} is killed"));
        } else if kill_process_group(codex, Signal::STOP).is_ok() {
            self.figures.codex_stops += 1;
            self.trace.tell(format_args!("Codex {codex:?} is stopped"));
            let until = self.in_millis(STOPPED);
            self.agenda.push((until, Deed::Continue(codex)));
        }
    }

    pub(super) fn do_now(&mut self, deed: Deed) {
        match deed {
            Deed::Close(name) => {
                let summary = self.rng.u8(..4) == 0;
                self.call("agent_close", json!({"identity": name, "summary": summary}), Purpose::Plain);
            }
            Deed::Decide(ask) => {
                let decision = DECISIONS[self.rng.usize(..DECISIONS.len())];
                let decided = json!({"ask_id": ask, "decision": decision, "reason": "the soak wants it"});
                self.call("agent_approve", decided, Purpose::Plain);
            }
            Deed::Continue(codex) => {
                let went_on = kill_process_group(codex, Signal::CONT);
                self.trace.tell(format_args!("Codex {codex:?} goes on: {went_on:?}"));
            }
        }
    }

    /// A call that is withdrawn now and then.
    fn call(&mut self, tool: &'static str, arguments: Value, purpose: Purpose) {
        let most = 10_u64.pow(self.rng.u32(1..4));
        let patience = (self.rng.u8(..8) == 0).then(|| Duration::from_millis(self.rng.u64(..most)));
        self.begin(Call { tool, arguments, purpose, patience });
    }

    fn prompt(&mut self, agent: usize) {
        if self.agents[agent].turns + self.agents[agent].waiting >= TURNS_MAX {
            return;
        }
        let (_, mark) = self.ledger.opens(Way::Prompt, agent);
        if self.rng.u8(..12) == 0 {
            let prompt = format!("{SILENCE} {mark}");
            return self.call(
                "codex-reply",
                json!({"identity": name(agent), "prompt": prompt}),
                Purpose::Silent(agent),
            );
        }
        let background = self.rng.bool();
        let prompt = json!({"identity": name(agent), "prompt": format!("Go on {mark}"), "background": background});
        self.call("codex-reply", prompt, Purpose::Turn(agent));
    }

    fn wait(&mut self) {
        let mut wait = json!({"timeout_ms": self.rng.u64(..3_000)});
        wait["mode"] = json!(if self.rng.bool() { "any" } else { "all" });
        if self.rng.bool() {
            let some: Vec<String> = (0..self.rng.usize(1..4)).map(|_| name(self.rng.usize(..AGENTS))).collect();
            wait["agents"] = json!(some);
        }
        self.call("agent_wait", wait, Purpose::Plain);
    }

    fn steer(&mut self, agent: usize) {
        let (mark, text) = self.ledger.opens(Way::Steer, agent);
        let steer = json!({"agent": name(agent), "text": text, "timeout_ms": self.rng.u64(..3_000)});
        self.call("agent_steer", steer, Purpose::Says(mark));
    }

    /// An entry, put into the queue as any program may.
    fn push(&mut self, agent: usize) {
        let (mark, text) = self.ledger.opens(Way::Entry, agent);
        let urgency = if self.rng.u8(..3) == 0 { Urgency::Urgent } else { Urgency::Normal };
        let from = self.rng.bool().then(|| "soak".to_owned());
        match self.agents[agent].queue.enqueue(&Text { text, urgency, from, ..Text::default() }) {
            Ok(_) => self.ledger.accepts(mark),
            Err(error) => self.figures.trouble.push(format!("nothing can be enqueued for {}: {error}", name(agent))),
        }
    }

    /// From the lead, or from another agent; now and then longer than what is shown of it.
    fn mail(&mut self, agent: usize) {
        let (mark, text) = self.ledger.opens(Way::Mail, agent);
        let urgent = if self.rng.u8(..3) == 0 { "[urgent] " } else { "" };
        let more = "and more ".repeat(if self.rng.u8(..20) == 0 { 600 } else { self.rng.usize(..5) });
        let mut mail = json!({"to": name(agent), "message": format!("{urgent}{text} {more}")});
        let from = self.rng.usize(..2 * AGENTS);
        if from < AGENTS && from != agent {
            mail["identity"] = json!(name(from));
        }
        self.call("atm_send", mail, Purpose::Says(mark));
    }

    /// Something is read: an agent's thread, its state, or the lead's mail.
    fn read(&mut self, agent: usize) {
        match self.rng.u8(..4) {
            0 => self.call("agent_read", json!({"identity": name(agent), "turns": 3}), Purpose::Plain),
            1 => self.call("agent_status", json!({"identity": name(agent)}), Purpose::Plain),
            2 => self.call("atm_pending_count", json!({"identity": name(agent)}), Purpose::Plain),
            _ => self.call("atm_read", json!({"limit": 200}), Purpose::Plain),
        }
    }

    fn list(&mut self) {
        let all = json!({"include_closed": self.rng.bool()});
        self.call("agent_sessions", all, Purpose::Plain);
    }

    /// A short-lived agent comes, and is closed whatever it does then.
    fn hire(&mut self) {
        self.figures.short_lived += 1;
        let name = format!("t-{}", self.figures.short_lived);
        let policy = if self.rng.bool() { "untrusted" } else { "never" };
        let start = json!({
            "identity": name, "prompt": "Begin", "background": self.rng.bool(), "approval-policy": policy,
        });
        self.call("codex", start, Purpose::Plain);
        let end = self.in_millis(LIFE);
        self.agenda.push((end, Deed::Close(name)));
    }

    /// A moment at random, so many milliseconds from now at most.
    pub(super) fn in_millis(&mut self, most: u64) -> Instant {
        Instant::now() + Duration::from_millis(self.rng.u64(..most))
    }
}
