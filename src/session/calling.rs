//! An agent's calls of its tools, beside its session's loop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::actor::{Actor, Done};
use super::seen::Unseen;
use super::toolbox::{Given, Then, ToolResult, Toolbox};
use super::turn::shortened;
use crate::codex::ask::Owed;
use crate::codex::tools::ToolCall;
use crate::codex::wire::Turn;
use crate::ids::TurnId;
use crate::steps;

/// How many calls of one agent may be under way.
const CALLS_MAX: usize = 64;
/// How long a tool may take: Codex itself would wait for ever (0.169.0).
const DEADLINE: Duration = Duration::from_secs(120);
/// How much of a tool's text reaches the model, in characters.
const TEXT_MAX: usize = 100_000;

/// The calls that are under way, and the results of which the model is not known to have them.
#[derive(Default)]
pub(super) struct ToolCalls {
    /// Forgotten, a call is given up.
    under_way: Vec<(Option<TurnId>, oneshot::Sender<()>)>,
    pub(super) unseen: Unseen,
}

impl ToolCalls {
    /// Gives up the calls of a turn that is over; answers what is to be done for those of which the model has the results.
    pub(super) fn turn_ended(&mut self, ended: &Turn) -> Vec<Then> {
        self.under_way.retain(|(turn, _)| turn.as_ref() != Some(&ended.id));
        self.unseen.turn_ended(ended)
    }

    /// Gives up every call.
    pub(super) fn lost(&mut self) {
        self.under_way.clear();
        self.unseen.lost();
    }

    /// One more call; the receiver hears when it is given up.
    fn begin(&mut self, turn: Option<TurnId>) -> Result<oneshot::Receiver<()>, String> {
        self.under_way.retain(|(_, wanted)| !wanted.is_closed());
        if self.under_way.len() == CALLS_MAX {
            return Err(format!("{CALLS_MAX} calls of this agent are under way: wait for one to end, and call again."));
        }
        let (wanted, given_up) = oneshot::channel();
        self.under_way.push((turn, wanted));
        Ok(given_up)
    }
}

impl Actor {
    pub(super) fn call_tool(&mut self, call: ToolCall, owed: Owed) {
        let begun = known(self.toolbox.as_ref(), &call)
            .and_then(|toolbox| Ok((toolbox, self.tool_calls.begin(call.turn_id.clone())?)));
        let (toolbox, given_up) = match begun {
            Ok(begun) => begun,
            Err(why) => return owed.gave(&Err(why)),
        };
        let caller = self.kept.caller();
        let is_here = self.live.as_ref().is_some_and(|live| call.thread_id.as_ref() == Some(&live.thread));
        let within = call.turn_id.clone().filter(|_| is_here).map(|turn| (turn, call.call_id.clone()));
        self.work.push(Box::pin(async move {
            let result = tokio::time::timeout(DEADLINE, toolbox.call(caller, &call.tool, call.arguments));
            tokio::select! {
                result = result => {
                    let (result, then) = bounded(result.unwrap_or_else(|_| Err(silent(&call.tool))));
                    owed.gave(&result);
                    steps::at("tool.answered");
                    match (then, within) {
                        (Some(then), Some((turn, call))) => return Done::Gave { turn, call, then },
                        // Of a sub-agent's turn we hear nothing more.
                        (Some(then), None) => then.await,
                        (None, _) => {}
                    }
                }
                _ = given_up => {}
            }
            Done::Nothing
        }));
    }
}

/// The toolbox, if it has the tool.
fn known(
    toolbox: Option<&Arc<dyn Toolbox>>,
    ToolCall { namespace, tool, .. }: &ToolCall,
) -> Result<Arc<dyn Toolbox>, String> {
    let toolbox = toolbox.ok_or_else(|| format!("There is no tool {tool}: this server gives its agents none."))?;
    let tools = toolbox.tools();
    if namespace.as_ref() == Some(&tools.name) && tools.tools.iter().any(|known| known.name == *tool) {
        return Ok(toolbox.clone());
    }
    let names: Vec<_> = tools.tools.iter().map(|known| known.name.as_str()).collect();
    let called = shortened(tool, 100);
    Err(format!("There is no tool {called}. Those of {}: {}.", tools.name, names.join(", ")))
}

fn bounded(result: ToolResult) -> (Result<String, String>, Option<Then>) {
    match result {
        Ok(Given { text, once_seen }) => (Ok(shortened(&text, TEXT_MAX)), once_seen),
        Err(text) => (Err(shortened(&text, TEXT_MAX)), None),
    }
}

fn silent(tool: &str) -> String {
    format!("{tool} gave no result within {} s; whether it has done its work is not known.", DEADLINE.as_secs())
}
