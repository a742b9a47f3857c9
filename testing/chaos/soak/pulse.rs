//! What the operating system says of a server: its memory, its open files, and what is left of its Codex.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A life shorter than this, from the time when everybody is there, says nothing about growth.
const LONG: Duration = Duration::from_secs(60);
/// By how much the open files may grow.
const FDS_MORE: usize = 32;
/// By how much the memory may grow, in kB: so much, and 30%.
const MEMORY_MORE: u64 = 10 * 1024;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// In kB.
    pub(super) memory: u64,
    pub(super) fds: usize,
}

impl Sample {
    /// Where there is `/proc`.
    fn of(pid: u32) -> Option<Sample> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let memory = memory.trim().trim_end_matches(" kB").parse().ok()?;
        Some(Sample { memory, fds: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() })
    }

    fn median(samples: &[Sample]) -> Option<Sample> {
        let mut memory: Vec<u64> = samples.iter().map(|sample| sample.memory).collect();
        let mut fds: Vec<usize> = samples.iter().map(|sample| sample.fds).collect();
        memory.sort_unstable();
        fds.sort_unstable();
        Some(Sample { memory: *memory.get(samples.len() / 2)?, fds: fds[samples.len() / 2] })
    }
}

/// The pulse of one server, from the time when everybody is there.
#[derive(Debug)]
pub(super) struct Pulse {
    since: Instant,
    samples: Vec<Sample>,
}

/// A life in five parts: the median of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) length: Duration,
    pub(super) parts: [Sample; 5],
}

impl Pulse {
    pub(super) fn begins() -> Pulse {
        Pulse { since: Instant::now(), samples: Vec::new() }
    }

    pub(super) fn feel(&mut self, pid: u32) {
        self.samples.extend(Sample::of(pid));
    }

    pub(super) fn change(&self) -> Option<Change> {
        let fifth = self.samples.len() / 5;
        let part = |part: usize| Sample::median(&self.samples[part * fifth..(part + 1) * fifth]);
        let parts = [part(0)?, part(1)?, part(2)?, part(3)?, part(4)?];
        Some(Change { length: self.since.elapsed(), parts })
    }
}

impl Change {
    /// Whether it is more than a long life may bring.
    pub(super) fn is_growth(&self) -> bool {
        let Change { length, parts: [first, .., last] } = self;
        let is_more = last.fds > first.fds + FDS_MORE || last.memory > first.memory * 13 / 10 + MEMORY_MORE;
        *length > LONG && is_more
    }
}

/// The app-servers that carry this Codex home in their environment.
pub(super) fn codexes(codex_home: &Path) -> Vec<String> {
    let mark = format!("CODEX_HOME={}", codex_home.display());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let marked = processes.filter(|process| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    });
    let lines = marked.map(|process| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        format!("{}: {}", process.display(), String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(" app-server")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_life_shows_growth() {
        let change = |secs, memory: u64, fds| {
            let (first, last) = (Sample { memory: 40 * 1024, fds: 100 }, Sample { memory: memory * 1024, fds });
            Change { length: Duration::from_secs(secs), parts: [first, first, first, first, last] }
        };
        assert!(change(61, 40, 133).is_growth() && change(61, 63, 100).is_growth());
        assert!(!change(61, 62, 132).is_growth() && !change(60, 99, 999).is_growth());
    }

    #[test]
    fn a_change_is_that_of_the_medians() {
        let of = |memory| Sample { memory, fds: 5 };
        let samples = [9, 1, 2, 5, 5, 5, 3, 3, 3, 5, 5, 5, 7, 8, 99, 4].map(of).to_vec();
        let change = Pulse { since: Instant::now(), samples }.change().unwrap();
        assert_eq!(change.parts, [2, 5, 3, 5, 8].map(of));
        assert_eq!(Pulse::begins().change(), None);
    }
}
