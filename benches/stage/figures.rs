//! Figures of one kind, and the machine that they were taken on.

use std::time::Duration;
use std::{fmt, fs, thread};

/// In milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// What every figure depends on: how many processors, and how much else they had to do.
pub(crate) fn machine() -> String {
    let count = thread::available_parallelism().map_or("unknown".into(), |count| count.to_string());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().map(|load| format!(", load {load}"));
    format!("{count} CPUs{}", load.unwrap_or_default())
}

/// Figures of one kind, the smallest first; never none.
pub(crate) struct Figures(Vec<f64>);

impl FromIterator<f64> for Figures {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Figures {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Figures(figures)
    }
}

impl Figures {
    /// What so many percent of them do not exceed.
    pub(crate) fn at(&self, percent: usize) -> f64 {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    pub(crate) const HEAD: &str = "                            median     p90     p99     min     max";
}

/// As [`Figures::HEAD`] says.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = [50, 90, 99, 0, 100];
        columns.iter().try_for_each(|percent| write!(f, "{:8.2}", self.at(*percent)))
    }
}
