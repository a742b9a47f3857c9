//! What an agent asks, in full: somebody decides on it who sees nothing else.

use serde_json::Value;

use crate::plain::on_one_line;
use crate::session::{Ask, Change, Decision, Question, RequestId, Verdict};

/// Something that is to be decided.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    /// By which its answer is known.
    pub(super) request: RequestId,
    /// What.
    pub(super) ask: Ask,
    /// The item that waits for it.
    pub(super) item: Option<String>,
}

/// Why a key cannot say yes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoYes {
    /// It wants to be told more than yes.
    Answer,
    /// What it would change is not known here.
    Unseen,
}

impl Asked {
    /// Whether a key can say yes.
    pub(super) fn can_be_approved(&self) -> Result<(), NoYes> {
        match &self.ask {
            Ask::FileChange { changes, .. } if changes.is_empty() => Err(NoYes::Unseen),
            ask => ask.answer(&Verdict::from(Decision::Accept)).map(drop).map_err(|_| NoYes::Answer),
        }
    }

    /// It is known by now what would be changed.
    pub(super) fn would_change(&mut self, item: &str, known: &[Change]) {
        if let Ask::FileChange { changes, .. } = &mut self.ask
            && self.item.as_deref() == Some(item)
            && changes.is_empty()
        {
            *changes = known.to_vec();
        }
    }

    /// What kind of thing is asked, in words that go on from the agent's name.
    pub(super) fn kind(&self) -> &'static str {
        match self.ask {
            Ask::Command { .. } => "asks to run a command",
            Ask::FileChange { .. } => "asks to change files",
            Ask::Permissions { .. } => "asks for more permissions",
            Ask::UserInput { .. } => "asks its user",
            Ask::Elicitation { .. } => "asks for an MCP server",
            Ask::ToolCall(_) | Ask::Unknown { .. } => "asks",
        }
    }

    /// All of it, as lines in which nothing is unseen.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let because = |reason: &Option<String>| reason.as_deref().map(|reason| marked("why: ", reason));
        match &self.ask {
            Ask::Command { command, cwd, reason } => {
                lines.extend(marked("$ ", command));
                lines.extend(cwd.as_deref().map(|cwd| marked("in ", cwd)).into_iter().flatten());
                lines.extend(because(reason).into_iter().flatten());
            }
            Ask::FileChange { changes, grant_root, reason } => {
                lines.extend(changes.iter().flat_map(changed));
                if changes.is_empty() {
                    lines.push("What it would change is not known here.".to_owned());
                }
                let root = grant_root.as_deref().map(|root| marked("and everything under it from then on: ", root));
                lines.extend(root.into_iter().chain(because(reason)).flatten());
            }
            Ask::Permissions { permissions, reason } => {
                lines.extend(marked("", &pretty(permissions)));
                lines.extend(because(reason).into_iter().flatten());
            }
            Ask::UserInput { questions } => lines.extend(questions.iter().flat_map(question)),
            Ask::Elicitation { server, message, form } => {
                lines.extend(marked("server: ", server));
                lines.extend(marked("", message));
                lines.extend(form.iter().flat_map(|form| marked("form: ", &pretty(form))));
            }
            Ask::ToolCall(_) | Ask::Unknown { .. } => lines.push(on_one_line(&self.ask.summary())),
        }
        lines
    }
}

/// The lines of a text behind a mark, under which the others are indented. Nothing else ends a line.
fn marked(mark: &str, text: &str) -> Vec<String> {
    let indent = " ".repeat(mark.len());
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n').enumerate();
    lines.map(|(n, line)| format!("{}{}", if n == 0 { mark } else { &indent }, on_one_line(line))).collect()
}

fn changed(Change { path, kind, diff }: &Change) -> Vec<String> {
    let word = if kind.name.is_empty() { "change" } else { &kind.name };
    let to = kind.move_path.as_deref().map(|to| format!(" to {to}")).unwrap_or_default();
    let mut lines = vec![on_one_line(&format!("~ {word} {path}{to}"))];
    lines.extend(marked("  ", diff));
    lines
}

fn question(Question { question, options, is_other, .. }: &Question) -> Vec<String> {
    let mut lines = marked("? ", question);
    lines.extend(options.iter().flatten().flat_map(|choice| marked("  - ", &choice.label)));
    lines.extend(is_other.then(|| "  - or something else".to_owned()));
    lines
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Item;
    use serde_json::json;

    fn asked(ask: Ask) -> Asked {
        Asked { request: RequestId::Number(0), ask, item: Some("item-1".into()) }
    }

    #[test]
    fn of_a_command_every_character_is_shown_and_none_that_hides_others() {
        let command = "touch x\t\r\n\u{202e}y\u{1b}[2J\n".to_owned();
        let ask = asked(Ask::Command { command, cwd: Some("/p".into()), reason: Some("a\nb".into()) });
        assert_eq!(ask.lines(), ["$ touch x\\t\\r", "  \\u{202e}y\\u{1b}[2J", "in /p", "why: a", "     b"]);
        assert_eq!(ask.can_be_approved(), Ok(()));
    }

    #[test]
    fn a_change_is_shown_with_its_diff_and_is_not_approved_before() {
        let mut ask = asked(Ask::FileChange { changes: vec![], grant_root: Some("/p".into()), reason: None });
        assert_eq!(ask.can_be_approved(), Err(NoYes::Unseen));
        assert_eq!(ask.lines()[0], "What it would change is not known here.");
        let item = json!({"type": "fileChange", "id": "item-1", "changes": [{"path": "a", "kind": {"type": "add"}, "diff": "one\ntwo\n"}]});
        let Ok(Item::FileChange { id, changes, .. }) = serde_json::from_value(item) else { panic!("a change") };
        ask.would_change("another", &changes);
        assert_eq!(ask.can_be_approved(), Err(NoYes::Unseen));
        ask.would_change(&id, &changes);
        assert_eq!(ask.lines(), ["~ add a", "  one", "  two", "and everything under it from then on: /p"]);
        assert_eq!(ask.can_be_approved(), Ok(()));
    }

    #[test]
    fn a_form_is_shown_and_a_key_cannot_fill_it_in() {
        let form = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
        let ask = asked(Ask::Elicitation { server: "s".into(), message: "Your name?".into(), form: Some(form) });
        assert!(ask.lines().iter().any(|line| line.contains("\"name\"")), "{:?}", ask.lines());
        assert_eq!(ask.can_be_approved(), Err(NoYes::Answer));
        let which = Question {
            question: "Which?".into(),
            options: Some(serde_json::from_value(json!([{"label": "one"}])).unwrap()),
            ..Question::default()
        };
        let ask = asked(Ask::UserInput { questions: vec![which] });
        assert_eq!(ask.lines(), ["? Which?", "  - one"]);
        assert_eq!(ask.can_be_approved(), Err(NoYes::Answer));
    }

    #[test]
    fn permissions_are_shown_one_by_one() {
        let permissions = json!({"network": {"enabled": true}});
        let ask = asked(Ask::Permissions { permissions, reason: None });
        assert!(ask.lines().join("").contains("\"enabled\": true"));
        assert_eq!(ask.can_be_approved(), Ok(()));
    }
}
