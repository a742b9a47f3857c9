//! What a part has come to, in a small table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use atm_agent_mcp::steps;

use crate::history::{Account, History, Verdict};

/// How many of each kind of fault are told one by one.
const TOLD: usize = 20;

/// Who was killed.
#[derive(Debug, Default)]
pub(crate) struct Kills {
    pub(crate) random: u32,
    /// Of these, how many app-servers.
    pub(crate) codexes: u32,
    pub(crate) at_steps: BTreeMap<&'static str, u32>,
}

impl Kills {
    /// A process was killed when it came to this step.
    pub(crate) fn fell_at(&mut self, step: &'static str) {
        *self.at_steps.entry(step).or_default() += 1;
    }
}

/// One part's figures.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) part: &'static str,
    /// Whether processes of this part come to a step.
    pub(crate) comes_to: fn(&str) -> bool,
    pub(crate) history: History,
    pub(crate) verdict: Verdict,
    pub(crate) kills: Kills,
    pub(crate) taken_over: usize,
    pub(crate) times: Vec<Duration>,
    /// What should not have happened, or is left behind.
    pub(crate) trouble: Vec<String>,
}

impl Figures {
    /// Whether every promise was kept.
    pub(crate) fn is_good(&self) -> bool {
        self.verdict == Verdict::default() && self.trouble.is_empty()
    }

    /// Which steps no process has fallen at.
    fn missed(&self) -> Vec<&'static str> {
        let steps = steps::ALL.into_iter().filter(|step| (self.comes_to)(step));
        steps.filter(|step| !self.kills.at_steps.contains_key(step)).collect()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts = || self.history.accounts.values();
        let acked: usize = accounts().map(|account: &Account| account.acked.len()).sum();
        let tried: u64 = accounts().map(|account| account.tried).sum();
        let at_steps: u32 = self.kills.at_steps.values().sum();
        writeln!(f, "{}", self.part)?;
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<18}{value:>9}");
        row("enqueued", acked.to_string())?;
        row("tried", tried.to_string())?;
        row("delivered", self.history.arrived.len().to_string())?;
        row("fragments", self.history.fragments.len().to_string())?;
        row("buried", self.history.buried.len().to_string())?;
        row("still waiting", self.history.waiting.len().to_string())?;
        row("lost", self.verdict.lost.len().to_string())?;
        row("duplicated", self.verdict.duplicated.len().to_string())?;
        row("reordered", self.verdict.reordered.len().to_string())?;
        row("kills", (self.kills.random + at_steps).to_string())?;
        row("  random", self.kills.random.to_string())?;
        if self.kills.codexes > 0 {
            row("  of Codex", self.kills.codexes.to_string())?;
        }
        row("  at steps", at_steps.to_string())?;
        row("taken over", self.taken_over.to_string())?;
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = |share: f64| times.get(((times.len().max(1) - 1) as f64 * share).round() as usize);
        let shown = |share: f64| at(share).map_or("-".to_owned(), |time| format!("{:.1} ms", time.as_secs_f64() * 1e3));
        row("  after, median", shown(0.5))?;
        row("  after, p99", shown(0.99))?;
        row("  after, max", shown(1.0))?;
        let hit: Vec<String> = self.kills.at_steps.iter().map(|(step, times)| format!("{step} {times}")).collect();
        writeln!(f, "  steps: {}", hit.join(", "))?;
        let missed = self.missed();
        if !missed.is_empty() {
            writeln!(f, "  never killed at: {}", missed.join(", "))?;
        }
        let faults: Vec<String> = self.verdict.faults().chain(self.trouble.iter().cloned()).collect();
        faults.iter().take(TOLD).try_for_each(|fault| writeln!(f, "  ! {fault}"))?;
        match faults.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => writeln!(f, "  ! and {more} more"),
        }
    }
}
