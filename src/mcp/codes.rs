//! Every word for an error, its number, and on whose side it was. Those of atm-agent-mcp 0.14.0 keep their numbers.

use serde_json::{Value, json};

/// Whose error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Ours, or of the call.
    Proxy,
    /// Codex's.
    Child,
}

impl Side {
    /// As `error_source` has it.
    pub fn word(self) -> &'static str {
        match self {
            Side::Proxy => "proxy",
            Side::Child => "child",
        }
    }
}

/// An error.
#[derive(Debug)]
pub struct Code {
    /// In `error`.
    pub word: &'static str,
    /// In `code`.
    pub number: i64,
    /// In `error_source`.
    pub side: Side,
    /// What has happened, and what to do.
    pub meaning: &'static str,
}

const fn code(word: &'static str, number: i64, side: Side, meaning: &'static str) -> Code {
    Code { word, number, side, meaning }
}

/// All of them.
pub const ALL: [Code; 27] = [
    code("IDENTITY_CONFLICT", -32001, Side::Proxy, "somebody has the name; choose another, or close the holder"),
    code(
        "SESSION_NOT_FOUND",
        -32002,
        Side::Proxy,
        "there is no such agent, or it does not run; agent_sessions lists them",
    ),
    code("SESSION_CLOSED", -32003, Side::Proxy, "the agent was closed; continue it with codex and its agent_id"),
    code("MAX_SESSIONS_EXCEEDED", -32004, Side::Proxy, "as many agents are live as may be; close one"),
    code("CHILD_PROCESS_DEAD", -32005, Side::Child, "Codex died in the turn; the next codex-reply starts it again"),
    code("REQUEST_TIMEOUT", -32006, Side::Proxy, "the turn took longer than request_timeout_secs; use background"),
    code("INVALID_SESSION_PARAMS", -32007, Side::Proxy, "an argument cannot be used; the sentence names it"),
    code("AGENT_FILE_NOT_FOUND", -32008, Side::Proxy, "a file that was named cannot be read"),
    code(
        "IDENTITY_REQUIRED",
        -32009,
        Side::Proxy,
        "nobody can speak as that; leave identity out, or name an agent of this server",
    ),
    code("SESSION_ELSEWHERE", -32010, Side::Proxy, "another server runs the agent; use that one, or end it"),
    code("TURN_FAILED", -32011, Side::Child, "the turn failed in Codex; codex_error_info says how"),
    code("TURN_REFUSED", -32012, Side::Child, "the turn could not begin; the sentence says why"),
    code("INTERRUPTED", -32013, Side::Proxy, "the turn was interrupted, or its server ended"),
    code("CANCELLED", -32014, Side::Proxy, "the call was withdrawn"),
    code("ASK_NOT_FOUND", -32015, Side::Proxy, "nothing has that ask_id; agent_status shows what waits"),
    code("ASK_CLOSED", -32016, Side::Proxy, "it was decided before, or its turn is over"),
    code("QUEUE_FULL", -32017, Side::Proxy, "too much waits for the agent; it takes more when it has taken some"),
    code("NOT_DELIVERED", -32018, Side::Proxy, "a text did not reach the agent; queue show tells why"),
    code("UNKNOWN_RECIPIENT", -32019, Side::Proxy, "there is no such member; the sentence names those that there are"),
    code("UNKNOWN_TEAM", -32028, Side::Proxy, "there is no such team"),
    code("RATE_LIMITED", -32023, Side::Proxy, "too often, or to too many; the sentence says when again"),
    code("NOT_FOUND", -32024, Side::Proxy, "there is no such message"),
    code("BUSY", -32025, Side::Proxy, "another program holds a file; nothing was written, try again"),
    code("FILES", -32026, Side::Proxy, "a file cannot be read or written; the sentence names it"),
    code("CALL_NOT_TAKEN", -32029, Side::Proxy, "too much waits for the agent; collect results with agent_wait first"),
    code("SERVER_ENDS", -32030, Side::Proxy, "the server ends; the agents are kept, the next server continues them"),
    code("INTERNAL", -32027, Side::Proxy, "a fault of this program; its log says more"),
];

/// The words that say the same as another.
pub const ALIASES: [(&str, &str); 2] =
    [("INVALID_ARGUMENT", "INVALID_SESSION_PARAMS"), ("UNKNOWN_TOOL", "INVALID_SESSION_PARAMS")];

/// The error of this word; a word that is none is a fault of ours.
pub fn of(word: &str) -> &'static Code {
    let word = ALIASES.into_iter().find(|(alias, _)| *alias == word).map_or(word, |(_, same)| same);
    let known = ALL.iter().find(|code| code.word == word);
    debug_assert!(known.is_some(), "{word} has no number");
    known.unwrap_or(&ALL[ALL.len() - 1])
}

/// What a JSON-RPC error carries in `data` if it has a word here.
pub(super) fn data(word: &'static str) -> Value {
    let code = of(word);
    json!({ "error": code.word, "code": code.number, "error_source": code.side.word() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_each_there_once_and_collide_with_none_of_the_protocols() {
        for (at, code) in ALL.iter().enumerate() {
            let others = &ALL[at + 1..];
            assert!(others.iter().all(|other| other.word != code.word && other.number != code.number), "{}", code.word);
            // 2026-07-28 has these for itself.
            assert!(
                ![-32020, -32021, -32022].contains(&code.number) && (-32099..=-32000).contains(&code.number),
                "{}",
                code.word
            );
        }
        assert_eq!(of("IDENTITY_REQUIRED").number, -32009);
        assert_eq!(of("INVALID_ARGUMENT").number, of("INVALID_SESSION_PARAMS").number);
    }
}
