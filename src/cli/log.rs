//! The log: to stderr, as much as `ATM_LOG` says.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts it. `ATM_LOG` is trace, debug, info, warn (default), error or off; other crates' own notes come with trace.
pub(super) fn start() {
    let level = std::env::var("ATM_LOG").ok().and_then(|text| text.trim().to_lowercase().parse().ok());
    let level = level.unwrap_or(LevelFilter::WARN);
    let others = if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    let targets = Targets::new().with_default(others).with_target("atm_agent_mcp", level).with_target("codex", level);
    let plain =
        std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || std::env::var_os("ATM_NO_COLOR").is_some();
    let coloured = !plain && std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(coloured).with_target(false);
    tracing_subscriber::registry().with(targets).with(lines).init();
}
