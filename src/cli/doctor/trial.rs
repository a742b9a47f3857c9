//! What a trial turn with the scripted model shows.

use std::path::Path;
use std::time::Duration;

use super::codex::{seconds, shown};
use super::finding::{Check, Finding};
use crate::demo::trial::{self, Trial};

/// How long all of it may take; it takes a second or two.
const LIMIT: Duration = Duration::from_secs(60);

/// Plays it with this Codex.
pub(super) async fn play(codex: &Path) -> Vec<Finding> {
    let played = tokio::time::timeout(LIMIT, trial::play(codex)).await;
    judge(played.unwrap_or_else(|_| Err(format!("it takes longer than {} s", LIMIT.as_secs()))))
}

fn judge(played: Result<Trial, String>) -> Vec<Finding> {
    let Trial { answered_after, command, tool } = match played {
        Ok(trial) => trial,
        Err(why) => {
            let finding = Check::Trial.error(format!("no turn: {}", shown(&why)));
            let finding = finding.because("agents have their turns from the same server and the same Codex");
            return vec![finding.mend("ATM_LOG=debug atm-agent-mcp demo, to see what Codex says")];
        }
    };
    vec![
        Check::Trial.ok(format!("an agent answered {} after the start of its server", seconds(answered_after))),
        match command {
            Ok(()) => Check::Trial.ok("it has run a command in Codex's sandbox"),
            Err(why) => Check::Trial
                .warning(format!("a command in Codex's sandbox has failed: {}", shown(&why)))
                .because("without its sandbox an agent can run nothing")
                .mend("codex sandbox -- echo works, to see it in Codex itself"),
        },
        match tool {
            Ok(()) => Check::Trial.ok("it has called a tool of its team"),
            Err(why) => Check::Trial
                .warning(format!("it could not call a tool of its team: {}", shown(&why)))
                .because("agents cannot write to each other with this Codex")
                .mend("npm install -g @openai/codex@latest"),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_trial_without_a_turn_is_an_error_and_one_without_a_sandbox_a_warning() {
        let trial = |command, tool| Ok(Trial { answered_after: Duration::from_millis(600), command, tool });
        let levels = |played| judge(played).iter().map(|finding| finding.level).collect::<Vec<_>>();
        assert_eq!(levels(trial(Ok(()), Ok(()))), [Level::Ok; 3]);
        assert_eq!(levels(trial(Err("denied".into()), Ok(()))), [Level::Ok, Level::Warning, Level::Ok]);
        assert_eq!(levels(trial(Ok(()), Err("no tool".into()))), [Level::Ok, Level::Ok, Level::Warning]);
        assert_eq!(levels(Err("Codex died".into())), [Level::Error]);
    }
}
