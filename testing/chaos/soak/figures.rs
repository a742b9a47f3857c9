//! What the soak has come to, in a small table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::ledger::{Verdict, Way};
use super::pulse::{Change, Sample};

/// How many faults are told one by one.
const TOLD: usize = 30;

/// The figures.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(super) short_lived: u32,
    pub(super) calls: u32,
    pub(super) answered: u32,
    /// Answered with an error, by its code.
    pub(super) refused: BTreeMap<String, u32>,
    pub(super) withdrawn: u32,
    /// Without an answer, because the server was killed; because it was told to end a moment later.
    pub(super) gone: u32,
    pub(super) cut_short: u32,
    /// The longest that a call took that was answered, and which.
    pub(super) slowest: (Duration, String),
    pub(super) asks: usize,
    pub(super) codex_kills: u32,
    pub(super) codex_stops: u32,
    pub(super) server_kills: u32,
    /// How long each server took to end that was told to.
    pub(super) ends: Vec<Duration>,
    /// What became of each server's memory and files.
    pub(super) lives: Vec<Change>,
    pub(super) drained: Duration,
    pub(super) buried: Vec<String>,
    pub(super) given_up: usize,
    pub(super) verdict: Verdict,
    /// What should not have happened.
    pub(super) trouble: Vec<String>,
}

impl Figures {
    /// Whether every promise was kept.
    pub(crate) fn is_good(&self) -> bool {
        self.faults().next().is_none()
    }

    fn faults(&self) -> impl Iterator<Item = String> {
        let lost = self.verdict.lost.iter().map(|what| format!("lost: {what}"));
        let twice = self.verdict.twice.iter().map(|what| format!("twice: {what}"));
        let grown = self.lives.iter().filter(|life| life.is_growth()).map(|life| format!("grown: {}", told(life)));
        lost.chain(twice).chain(grown).chain(self.trouble.iter().cloned())
    }
}

fn told(life: &Change) -> String {
    let each = |shown: &dyn Fn(&Sample) -> String| life.parts.iter().map(shown).collect::<Vec<_>>().join(" ");
    let memory = each(&|part| format!("{:.1}", part.memory as f64 / 1024.0));
    let files = each(&|part| part.fds.to_string());
    format!("{:.0} s: memory {memory} MiB, files {files}", life.length.as_secs_f64())
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let refused: u32 = self.refused.values().sum();
        let arrived = |ways: &[Way]| -> (usize, usize) {
            let of = ways.iter().filter_map(|way| self.verdict.ways.get(way));
            of.fold((0, 0), |all, (accepted, arrived)| (all.0 + accepted, all.1 + arrived))
        };
        let (texts, mails) = (arrived(&[Way::Entry, Way::Steer]), arrived(&[Way::Mail]));
        writeln!(f, "soak")?;
        let mut row = |name: &str, value: String| writeln!(f, "  {name:<18}{value:>9}");
        row("calls", self.calls.to_string())?;
        row("  answered", (self.answered + refused).to_string())?;
        row("  with an error", refused.to_string())?;
        row("  withdrawn", self.withdrawn.to_string())?;
        row("  killed", self.gone.to_string())?;
        row("  cut short", self.cut_short.to_string())?;
        row("  slowest", secs(self.slowest.0))?;
        row("asks", self.asks.to_string())?;
        row("short-lived", self.short_lived.to_string())?;
        row("texts accepted", texts.0.to_string())?;
        row("  there", texts.1.to_string())?;
        row("mails accepted", mails.0.to_string())?;
        row("  there", mails.1.to_string())?;
        row("prompts there", arrived(&[Way::Prompt]).1.to_string())?;
        row("lost", self.verdict.lost.len().to_string())?;
        row("twice", self.verdict.twice.len().to_string())?;
        row("buried", self.buried.len().to_string())?;
        row("given up", self.given_up.to_string())?;
        row("Codex killed", self.codex_kills.to_string())?;
        row("Codex stopped", self.codex_stops.to_string())?;
        row("servers killed", self.server_kills.to_string())?;
        row("servers ended", self.ends.len().to_string())?;
        row("  slowest", secs(self.ends.iter().copied().max().unwrap_or_default()))?;
        row("drained in", secs(self.drained))?;
        let codes: Vec<String> = self.refused.iter().map(|(code, times)| format!("{code} {times}")).collect();
        writeln!(f, "  errors: {}", codes.join(", "))?;
        writeln!(f, "  slowest: {}", self.slowest.1)?;
        self.lives.iter().try_for_each(|life| writeln!(f, "  life of {}", told(life)))?;
        self.buried.iter().take(TOLD).try_for_each(|buried| writeln!(f, "  buried: {buried}"))?;
        self.faults().take(TOLD).try_for_each(|fault| writeln!(f, "  ! {fault}"))?;
        match self.faults().count().saturating_sub(TOLD) {
            0 => Ok(()),
            more => writeln!(f, "  ! and {more} more"),
        }
    }
}
