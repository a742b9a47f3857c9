//! What the model does with a request: the replies there are, and the script that takes them from the prompt.

use serde_json::{Value, json};

use super::{Gate, Request};

/// The longest text that [`spoken`] answers with, in characters.
const SAID_MAX: usize = 2000;

/// What the model does with one request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Says one message, which ends the turn.
    Say(String),
    /// Calls one tool under a fresh id; Codex asks again with what it gave back.
    Call {
        /// The tool's name; `namespace.name` if it is in a namespace, as in [`Request::tool_names`].
        name: String,
        /// Its arguments, an object; for a freeform tool such as `apply_patch`, the text it is given.
        arguments: Value,
    },
    /// Fails with an HTTP error; held at a gate first, with a `response.failed` event.
    Fail {
        /// The HTTP status; 500 if it is none of 400 to 599.
        status: u16,
        /// What the error says.
        message: String,
    },
    /// Begins the response, waits at the gate, and goes on.
    Held(Gate, Box<Reply>),
    /// Begins to say something, and breaks off: the connection is closed in the middle of the response.
    Cut(String),
    /// Takes the request and never answers.
    Silence,
}

impl Reply {
    /// Says `text`.
    pub fn say(text: impl Into<String>) -> Reply {
        Reply::Say(text.into())
    }

    /// Calls the tool `name`.
    pub fn call(name: impl Into<String>, arguments: Value) -> Reply {
        Reply::Call { name: name.into(), arguments }
    }

    /// The same reply, once `gate` is open.
    pub fn after(self, gate: &Gate) -> Reply {
        Reply::Held(gate.clone(), Box::new(self))
    }
}

/// The script that does what the prompt says.
///
/// | prompt | reply |
/// |---|---|
/// | `SAY text` | says the text |
/// | `RUN command` | runs it with `exec_command`, then says what it printed |
/// | `CALL tool {…}` | calls any tool with these arguments, in JSON, then says its output |
/// | `FAIL status` | an HTTP error of that status |
/// | `CUT text` | begins to say the text, and breaks off |
/// | `SILENCE` | nothing, ever |
/// | anything else | says `ok: ` and the prompt |
pub fn spoken(request: &Request) -> Reply {
    if request.last_item_is_output() {
        let outputs = request.outputs();
        return Reply::Say(bounded(printed(outputs.last().map_or("", String::as_str))));
    }
    let prompt = request.last_user_text();
    let prompt = prompt.trim();
    command(prompt).unwrap_or_else(|| Reply::Say(bounded(&format!("ok: {prompt}"))))
}

fn command(prompt: &str) -> Option<Reply> {
    let (verb, rest) = prompt.split_once(char::is_whitespace).unwrap_or((prompt, ""));
    Some(match verb {
        "SAY" => Reply::Say(bounded(rest)),
        // Without a login shell nothing of the user's profile stands in the output.
        "RUN" => Reply::call("exec_command", json!({ "cmd": rest, "login": false })),
        "CALL" => {
            let (name, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, "{}"));
            Reply::call(name, serde_json::from_str(arguments).ok()?)
        }
        "FAIL" => Reply::Fail { status: rest.parse().ok()?, message: "the prompt asked for it".to_owned() },
        "CUT" => Reply::Cut(rest.to_owned()),
        "SILENCE" => Reply::Silence,
        _ => return None,
    })
}

/// What a command printed, without the chunk id, time and exit code that Codex puts before it.
fn printed(output: &str) -> &str {
    match output.split_once("\nOutput:\n") {
        Some((_, printed)) => printed.trim_end(),
        None => output,
    }
}

fn bounded(text: &str) -> String {
    let mut bounded: String = text.chars().take(SAID_MAX).collect();
    if bounded.len() < text.len() {
        bounded.push('…');
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(prompt: &str) -> Reply {
        spoken(&Request { body: json!({ "input": [{ "type": "message", "role": "user", "content": prompt }] }) })
    }

    fn said(reply: Reply) -> String {
        match reply {
            Reply::Say(text) => text,
            other => panic!("not said: {other:?}"),
        }
    }

    #[test]
    fn the_prompt_is_the_script() {
        assert_eq!(said(told("SAY hi\nthere")), "hi\nthere");
        assert_eq!(said(told("what now?")), "ok: what now?");
        assert!(matches!(told("FAIL 503"), Reply::Fail { status: 503, .. }));
        assert!(matches!(told("SILENCE"), Reply::Silence));
        assert!(matches!(told("CUT in the"), Reply::Cut(text) if text == "in the"));
        let Reply::Call { name, arguments } = told("RUN echo a b") else { panic!("no call") };
        assert_eq!((name.as_str(), &arguments["cmd"]), ("exec_command", &json!("echo a b")));
        let Reply::Call { name, arguments } = told(r#"CALL atm.send {"to": "bo"}"#) else { panic!("no call") };
        assert_eq!((name.as_str(), arguments), ("atm.send", json!({ "to": "bo" })));
    }

    #[test]
    fn a_command_it_cannot_read_is_answered_like_any_other_text() {
        assert_eq!(said(told("FAIL often")), "ok: FAIL often");
        assert_eq!(said(told("CALL me maybe")), "ok: CALL me maybe");
    }

    #[test]
    fn after_a_tool_it_says_what_the_tool_gave() {
        let after = |output: &str| {
            said(spoken(&Request {
                body: json!({ "input": [
                { "type": "message", "role": "user", "content": "RUN echo hello" },
                { "type": "function_call_output", "call_id": "a", "output": output },
            ] }),
            }))
        };
        assert_eq!(after("Chunk ID: 360f47\nProcess exited with code 0\nOutput:\nhello\n"), "hello");
        assert_eq!(after("rejected by user"), "rejected by user");
    }

    #[test]
    fn what_it_says_is_bounded() {
        let text = said(told(&format!("SAY {}", "é".repeat(SAID_MAX + 1))));
        assert_eq!(text.chars().count(), SAID_MAX + 1);
        assert!(text.ends_with("é…"));
    }
}
