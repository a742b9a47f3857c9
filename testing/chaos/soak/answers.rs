//! What the client makes of the ends of its calls: what was accepted, how things stand, and what is asked.

use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};

use super::calls::{Call, End, Ended, Purpose};
use super::deeds::Deed;
use super::ledger::Way;
use super::lives::Fate;
use super::pulse::Pulse;
use super::{AGENTS, Soak, name};

/// How long an ask waits for its decision at most, in milliseconds.
const DECIDED: u64 = 1_500;

/// A call that is younger when a server ends that was told to may not have been read by it.
const UNREAD: Duration = Duration::from_secs(1);

impl Soak<'_> {
    /// A call has ended.
    pub(super) fn note(&mut self, Ended { call, end, after }: Ended) {
        match call.purpose {
            Purpose::Plain | Purpose::Says(_) => {}
            Purpose::Look => self.is_looking = false,
            Purpose::Turn(agent) => self.agents[agent].turns -= 1,
            Purpose::Silent(agent) => {
                self.agents[agent].turns -= 1;
                self.agents[agent].silent -= 1;
            }
        }
        let shown = || format!("{} {}", call.tool, call.arguments);
        if call.purpose != Purpose::Look {
            self.trace.tell(format_args!("ended {} after {:.1} s: {end:?}", shown(), after.as_secs_f64()));
        }
        if matches!(end, End::Answered(_) | End::Refused(..)) && after > self.figures.slowest.0 {
            self.figures.slowest = (after, shown());
        }
        match end {
            End::Answered(value) => {
                self.figures.answered += 1;
                match call.purpose {
                    Purpose::Says(mark) => self.ledger.accepts(mark),
                    Purpose::Look => self.see(&value),
                    Purpose::Plain | Purpose::Turn(_) | Purpose::Silent(_) => {}
                }
                self.hear_asks(&value);
            }
            End::Refused(code, value) => {
                *self.figures.refused.entry(code).or_default() += 1;
                self.hear_asks(&value);
            }
            End::Withdrawn => self.figures.withdrawn += 1,
            End::Gone => match self.fate {
                Fate::Killed => self.figures.gone += 1,
                // It had no time to read it.
                Fate::Told if after < UNREAD => self.figures.cut_short += 1,
                Fate::Told => self.figures.trouble.push(format!("not answered at the server's end: {}", shown())),
                Fate::Lives => self.figures.trouble.push(format!("no answer, and the server lives: {}", shown())),
            },
            End::Wrong(why) => self.figures.trouble.push(format!("{}: {why}", shown())),
            End::Hangs => {
                self.figures.trouble.push(format!("not answered in {:.0} s: {}", after.as_secs_f64(), shown()))
            }
        }
    }

    /// How things stand: who is not there is called.
    fn see(&mut self, status: &Value) {
        let codex = status["codex"]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        self.codex = codex.and_then(Pid::from_raw);
        let mut is_there = [false; AGENTS];
        for shown in status["agents"].as_array().into_iter().flatten() {
            let Some(number) = number(&shown["identity"]) else { continue };
            is_there[number] = true;
            let agent = &mut self.agents[number];
            agent.waiting = shown["waiting"].as_u64().unwrap_or_default();
            agent.is_idle = shown["status"] == "idle" || shown["status"] == "lost";
            agent.shown = shown.to_string();
        }
        if is_there.iter().all(|there| *there) && self.pulse.is_none() {
            self.pulse = Some(Pulse::begins());
        }
        for number in (0..AGENTS).filter(|number| !is_there[*number]) {
            self.agents[number].is_idle = false;
            if self.agents[number].turns == 0 {
                let (_, mark) = self.ledger.opens(Way::Prompt, number);
                let back = json!({"identity": name(number), "prompt": format!("Go on {mark}")});
                let purpose = Purpose::Turn(number);
                self.begin(Call { tool: "codex-reply", arguments: back, purpose, patience: None });
            }
        }
    }

    /// Whatever is asked anywhere in a result is decided on in a while, once or twice; some of it is left alone.
    fn hear_asks(&mut self, value: &Value) {
        match value {
            Value::Array(all) => all.iter().for_each(|one| self.hear_asks(one)),
            Value::Object(fields) => {
                let ask = fields.get("ask_id").and_then(Value::as_str).filter(|_| fields.contains_key("decisions"));
                if let Some(ask) = ask.filter(|ask| self.decided.insert((*ask).to_owned())) {
                    for _ in 0..[0, 1, 1, 1, 1, 1, 1, 2][self.rng.usize(..8)] {
                        let at = self.in_millis(DECIDED);
                        self.agenda.push((at, Deed::Decide(ask.to_owned())));
                    }
                }
                fields.values().for_each(|one| self.hear_asks(one));
            }
            _ => {}
        }
    }
}

/// Which agent is called so, if it is one that lives through it all.
pub(super) fn number(name: &Value) -> Option<usize> {
    name.as_str()?.strip_prefix("s-")?.parse().ok().filter(|number| *number < AGENTS)
}
