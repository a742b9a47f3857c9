//! The log: to stderr, as much as `ATM_LOG` says.

use std::fmt::Debug;
use std::io::IsTerminal;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::plain::on_one_line;

/// Starts it. `ATM_LOG` is trace, debug, info, warn (default), error or off; other crates' own notes come with trace.
pub(super) fn start() {
    let level = std::env::var("ATM_LOG").ok().and_then(|text| text.trim().to_lowercase().parse().ok());
    let plain =
        std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || std::env::var_os("ATM_NO_COLOR").is_some();
    let coloured = !plain && std::io::stderr().is_terminal();
    log(level.unwrap_or(LevelFilter::WARN), coloured, std::io::stderr).init();
}

fn log<W>(level: LevelFilter, coloured: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let others = if level == LevelFilter::TRACE { level } else { level.min(LevelFilter::WARN) };
    let targets = Targets::new().with_default(others).with_target("atm_agent_mcp", level).with_target("codex", level);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(coloured).with_target(false);
    // What others say could otherwise make lines of its own, and move the cursor (tracing-subscriber 0.3.23).
    let fields = debug_fn(|line, field, value: &dyn Debug| {
        let said = on_one_line(&format!("{value:?}"));
        if field.name() == "message" { write!(line, "{said}") } else { write!(line, "{}={said}", field.name()) }
    });
    tracing_subscriber::registry().with(targets).with(lines.fmt_fields(fields.delimited(" ")))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn what_others_say_stays_on_its_line_and_moves_no_cursor() {
        for coloured in [false, true] {
            let mut file = tempfile::tempfile().unwrap();
            let writer = file.try_clone().unwrap();
            let log = log(LevelFilter::WARN, coloured, move || writer.try_clone().unwrap());
            let foreign = "mallory\n2026-01-01 ERROR forged\r\u{1b}[2K\u{9b}31m\u{202e}";
            tracing::subscriber::with_default(log, || {
                tracing::warn!(from = %foreign, text = foreign, ?foreign, "mail of {foreign}");
            });
            let mut said = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut said).unwrap();
            assert_eq!(said.lines().count(), 1, "{said:?}");
            assert_eq!(
                said.matches("mallory\\n2026-01-01 ERROR forged\\r\\u{1b}[2K\\u{9b}31m\\u{202e}").count(),
                4,
                "{said:?}"
            );
            assert!(said.ends_with('\n') && !said.trim_end().contains(['\r', '\u{9b}', '\u{202e}']), "{said:?}");
            assert_eq!(said.contains('\u{1b}'), coloured, "of its own colours only: {said:?}");
        }
    }
}
