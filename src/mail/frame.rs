//! What the text of a mail may ask beside being read: Claude's frames, which are JSON, and urgency. Rules only.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::envelope::cut;

/// How much of a result is told in a frame, in characters.
pub const RESULT_MAX: usize = 8192;
/// How much of a summary or a reason is told in a frame, in characters.
pub const REASON_MAX: usize = 1024;

/// Whether a mail may join a running turn: its entry says `priority: "urgent"`, or its text begins with `[urgent]`, which
/// people write in any case and with space before it.
pub fn is_urgent(priority: Option<&str>, text: &str) -> bool {
    const WORD: &str = "[urgent]";
    let first = text.trim_start().get(..WORD.len());
    priority == Some("urgent") || first.is_some_and(|first| first.eq_ignore_ascii_case(WORD))
}

/// A frame that came as the text of a mail, as Claude Code 2.1.330 knows it; shown, it is text that a reader understands.
///
/// Names in it are its writer's word; who sent the mail, the mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The agent shall end, and say so.
    ShutdownRequest {
        /// By which the answer is known.
        request_id: String,
        /// Who asks.
        from: String,
        /// Why.
        reason: Option<String>,
    },
    /// The agent shall do a task of the team's list.
    TaskAssignment {
        /// Its number in the list.
        task_id: String,
        /// It in one line.
        subject: String,
        /// It in full.
        description: String,
        /// Who gave it.
        assigned_by: String,
    },
    /// Something to be read, and no more.
    Readable(String),
}

impl Frame {
    /// Reads a text as a frame. What is not a JSON object of a known `type` with the fields of that type is no frame, but
    /// text; further fields are nothing to us.
    pub fn parse(text: &str) -> Option<Frame> {
        // serde would take an array for a frame too.
        let object = Some(text).filter(|text| text.trim_start().starts_with('{'))?;
        serde_json::from_str::<Wire>(object).ok().map(Frame::from)
    }
}

/// A text as a reader understands it: a frame in words, anything else as it stands.
pub fn readable(text: &str) -> Cow<'_, str> {
    Frame::parse(text).map_or(Cow::Borrowed(text), |frame| Cow::Owned(frame.to_string()))
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::ShutdownRequest { from, reason, .. } => {
                write!(f, "{from} asks you to shut down{}.", behind(": ", reason.as_deref()))
            }
            Frame::TaskAssignment { task_id, subject, description, assigned_by } => {
                write!(f, "{assigned_by} gives you task {task_id}: {subject}\n\n{description}")
            }
            Frame::Readable(text) => f.write_str(text),
        }
    }
}

/// That an agent shall end, as the text of a mail.
pub fn shutdown_request(request_id: &str, from: &str, reason: &str, at: Timestamp) -> String {
    let (request_id, from, reason) = (request_id.to_owned(), from.to_owned(), Some(bounded(reason, REASON_MAX)));
    json(&Wire::ShutdownRequest { request_id, from, reason, timestamp: format!("{at:.3}") })
}

/// The answer to a shutdown request that is followed, as the text of a mail.
pub fn shutdown_approved(request_id: &str, from: &str, at: Timestamp) -> String {
    let (request_id, from) = (request_id.to_owned(), from.to_owned());
    json(&Wire::ShutdownApproved { request_id, from, timestamp: format!("{at:.3}") })
}

/// A question to the lead, as the text of a mail: Claude Code shows its user a dialog (2.1.330).
pub fn permission_request(request: &str, from: &str, tool: &str, description: &str, input: Value) -> String {
    json(&Wire::PermissionRequest {
        request_id: request.to_owned(),
        agent_id: from.to_owned(),
        tool_name: tool.to_owned(),
        tool_use_id: request.to_owned(),
        description: bounded(description, REASON_MAX),
        input,
        permission_suggestions: Vec::new(),
    })
}

/// The answer to such a question, if the text of a mail is one: to which, and whether it is a yes, or why it is a no.
pub fn permission_response(text: &str) -> Option<(String, Result<(), Option<String>>)> {
    match serde_json::from_str(text).ok()? {
        Wire::PermissionResponse { request_id, subtype: Answer::Success, .. } => Some((request_id, Ok(()))),
        Wire::PermissionResponse { request_id, subtype: Answer::Error, error } => Some((request_id, Err(error))),
        _ => None,
    }
}

/// Whether the text of a mail says that this shutdown request is followed.
pub fn is_shutdown_approved(text: &str, request: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(Wire::ShutdownApproved { request_id, .. }) if request_id == request)
}

/// The answer to a shutdown request that is not followed, as the text of a mail.
pub fn shutdown_rejected(request_id: &str, from: &str, reason: &str, at: Timestamp) -> String {
    let (request_id, from, reason) = (request_id.to_owned(), from.to_owned(), bounded(reason, REASON_MAX));
    json(&Wire::ShutdownRejected { request_id, from, reason, timestamp: format!("{at:.3}") })
}

/// That an agent has come to rest, as the text of a mail. Long texts are cut, and end with a word on that.
pub fn idle_notification(idle: &Idle, at: Timestamp) -> String {
    let bounded = |text: &Option<String>, most| text.as_deref().map(|text| bounded(text, most));
    let idle = Idle {
        summary: bounded(&idle.summary, REASON_MAX),
        failure_reason: bounded(&idle.failure_reason, REASON_MAX),
        result: bounded(&idle.result, RESULT_MAX),
        ..idle.clone()
    };
    json(&Wire::IdleNotification { idle, timestamp: format!("{at:.3}") })
}

/// An agent that has come to rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Idle {
    /// Which agent.
    pub from: String,
    /// Why it rests.
    pub idle_reason: IdleReason,
    /// What it did, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The task that it worked on, in the team's list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_task_id: Option<String>,
    /// What became of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_status: Option<CompletedStatus>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// Its last word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// Why an agent rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdleReason {
    /// It is done.
    Available,
    /// It was interrupted.
    Interrupted,
    /// Its turn failed.
    Failed,
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompletedStatus {
    /// It is done.
    Resolved,
    /// It waits for something.
    Blocked,
    /// It failed.
    Failed,
}

/// The frames as they are written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum Wire {
    ShutdownRequest {
        request_id: String,
        from: String,
        reason: Option<String>,
        timestamp: String,
    },
    ShutdownApproved {
        request_id: String,
        from: String,
        timestamp: String,
    },
    ShutdownRejected {
        request_id: String,
        from: String,
        reason: String,
        timestamp: String,
    },
    TaskAssignment {
        task_id: String,
        subject: String,
        description: String,
        assigned_by: String,
        timestamp: String,
    },
    TaskCompleted {
        from: String,
        task_id: String,
        task_subject: Option<String>,
    },
    TeammateTerminated {
        message: String,
    },
    IdleNotification {
        #[serde(flatten)]
        idle: Idle,
        timestamp: String,
    },
    PlanApprovalRequest {
        from: String,
        plan_file_path: String,
        plan_content: String,
        request_id: String,
        timestamp: String,
    },
    PlanApprovalResponse {
        request_id: String,
        approved: bool,
        feedback: Option<String>,
        timestamp: String,
    },
    #[serde(rename_all = "snake_case")]
    PermissionRequest {
        request_id: String,
        agent_id: String,
        tool_name: String,
        #[serde(default)]
        tool_use_id: String,
        description: String,
        #[serde(default)]
        input: Value,
        #[serde(default)]
        permission_suggestions: Vec<Value>,
    },
    #[serde(rename_all = "snake_case")]
    PermissionResponse {
        request_id: String,
        subtype: Answer,
        error: Option<String>,
    },
    ModeSetRequest {},
    TeamPermissionUpdate {},
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Success,
    Error,
}

impl From<Wire> for Frame {
    fn from(wire: Wire) -> Frame {
        Frame::Readable(match wire {
            Wire::ShutdownRequest { request_id, from, reason, .. } => {
                return Frame::ShutdownRequest { request_id, from, reason };
            }
            Wire::TaskAssignment { task_id, subject, description, assigned_by, .. } => {
                return Frame::TaskAssignment { task_id, subject, description, assigned_by };
            }
            Wire::ShutdownApproved { from, .. } => format!("{from} shuts down, as it was asked to."),
            Wire::ShutdownRejected { from, reason, .. } => format!("{from} does not shut down: {reason}"),
            Wire::TaskCompleted { from, task_id, task_subject, .. } => {
                format!("{from} has completed task {task_id}{}.", behind(": ", task_subject.as_deref()))
            }
            Wire::TeammateTerminated { message } => message,
            Wire::IdleNotification { idle, .. } => at_rest(&idle),
            Wire::PlanApprovalRequest { from, plan_file_path, plan_content, request_id, .. } => format!(
                "{from} asks for approval of a plan (request {request_id}, file {plan_file_path}):\n\n{plan_content}"
            ),
            Wire::PlanApprovalResponse { request_id, approved, feedback, .. } => {
                let decision = if approved { "approved" } else { "rejected" };
                format!("Your plan is {decision} (request {request_id}){}", behind(": ", feedback.as_deref()))
            }
            Wire::PermissionRequest { request_id, agent_id, tool_name, description, .. } => {
                format!("{agent_id} asks for permission to use {tool_name} (request {request_id}): {description}")
            }
            Wire::PermissionResponse { request_id, subtype, error } => {
                let decision = match subtype {
                    Answer::Success => "given",
                    Answer::Error => "refused",
                };
                format!("Permission is {decision} (request {request_id}){}", behind(": ", error.as_deref()))
            }
            Wire::ModeSetRequest {} | Wire::TeamPermissionUpdate {} => "New permissions; void by mail.".to_owned(),
        })
    }
}

fn at_rest(idle: &Idle) -> String {
    let Idle { from, idle_reason, summary, completed_task_id, completed_status, failure_reason, result } = idle;
    let state = match idle_reason {
        IdleReason::Available => "is idle",
        IdleReason::Interrupted => "was interrupted",
        IdleReason::Failed => "has failed",
    };
    let status = completed_status.map(|status| match status {
        CompletedStatus::Resolved => "is done",
        CompletedStatus::Blocked => "is blocked",
        CompletedStatus::Failed => "has failed",
    });
    let task = completed_task_id.as_ref().map(|id| format!("task {id} {}", status.unwrap_or("is over")));
    let reason = behind(": ", failure_reason.as_deref());
    let (task, summary) = (behind("; ", task.as_deref()), behind("\nSummary: ", summary.as_deref()));
    format!("{from} {state}{reason}{task}.{summary}{}", behind("\nResult:\n", result.as_deref()))
}

/// The text, if there is one, behind what leads to it.
fn behind(lead: &str, text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).map(|text| format!("{lead}{text}")).unwrap_or_default()
}

/// The first `most` characters of a text; of a longer one it is said how much is missing.
pub fn bounded(text: &str, most: usize) -> String {
    match cut(text, most) {
        (whole, 0) => whole.to_owned(),
        (shown, hidden) => format!("{shown}\n[{hidden} more characters are not shown]"),
    }
}

fn json(frame: &Wire) -> String {
    serde_json::to_string(frame).expect("it has nothing but texts")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Timestamp {
        "2026-11-25T13:12:36.0001Z".parse().unwrap()
    }

    fn shown(text: &str) -> String {
        Frame::parse(text).unwrap_or_else(|| panic!("no frame: {text}")).to_string()
    }

    fn idle() -> Idle {
        Idle {
            from: "arch".to_owned(),
            idle_reason: IdleReason::Available,
            summary: None,
            completed_task_id: None,
            completed_status: None,
            failure_reason: None,
            result: None,
        }
    }

    #[test]
    fn a_question_to_the_lead_is_answered_by_its_number() {
        let asked = permission_request("perm-1", "arch", "Bash", "run it", serde_json::json!({"command": "make"}));
        assert_eq!(shown(&asked), "arch asks for permission to use Bash (request perm-1): run it");
        assert!(
            asked.contains(r#""tool_use_id":"perm-1""#) && asked.contains(r#""permission_suggestions":[]"#),
            "{asked}"
        );
        let answer = |subtype| {
            format!(r#"{{"type":"permission_response","request_id":"perm-1","subtype":"{subtype}","error":"no"}}"#)
        };
        assert_eq!(permission_response(&answer("success")), Some(("perm-1".to_owned(), Ok(()))));
        assert_eq!(permission_response(&answer("error")), Some(("perm-1".to_owned(), Err(Some("no".to_owned())))));
        assert_eq!(permission_response(&asked), None);
    }

    #[test]
    fn a_shutdown_request_and_a_task_are_more_than_text() {
        let request = r#" {"type":"shutdown_request","requestId":"shutdown-17@arch","from":"team-lead","reason":"done",
            "timestamp":"2026-11-25T13:12:36.000Z","new":{"x":[1]}}"#;
        let (request_id, from) = ("shutdown-17@arch".to_owned(), "team-lead".to_owned());
        let expected = Frame::ShutdownRequest { request_id, from, reason: Some("done".to_owned()) };
        assert_eq!(Frame::parse(request), Some(expected));
        assert_eq!(shown(request), "team-lead asks you to shut down: done.");
        let task = r#"{"type":"task_assignment","taskId":"3","subject":"Fix it","description":"All of it.\nSoon.",
            "assignedBy":"team-lead","timestamp":"yesterday"}"#;
        assert!(matches!(Frame::parse(task), Some(Frame::TaskAssignment { task_id, .. }) if task_id == "3"));
        assert_eq!(shown(task), "team-lead gives you task 3: Fix it\n\nAll of it.\nSoon.");
    }

    #[test]
    fn every_frame_can_be_read() {
        let frames = [
            (
                r#"{"type":"shutdown_approved","requestId":"r","from":"arch","timestamp":"t","paneId":"%1","backendType":"tmux"}"#,
                "arch shuts down, as it was asked to.",
            ),
            (
                r#"{"type":"shutdown_rejected","requestId":"r","from":"arch","reason":"busy","timestamp":"t"}"#,
                "arch does not shut down: busy",
            ),
            (
                r#"{"type":"task_completed","from":"arch","taskId":"3","taskSubject":"Fix it","timestamp":"t"}"#,
                "arch has completed task 3: Fix it.",
            ),
            (r#"{"type":"task_completed","from":"arch","taskId":"3"}"#, "arch has completed task 3."),
            (r#"{"type":"teammate_terminated","message":"arch has shut down."}"#, "arch has shut down."),
            (r#"{"type":"idle_notification","from":"arch","timestamp":"t","idleReason":"available"}"#, "arch is idle."),
            (
                r#"{"type":"idle_notification","from":"arch","timestamp":"t","idleReason":"failed","summary":"it was hard",
                    "completedTaskId":"3","completedStatus":"blocked","failureReason":"no disk","result":"half"}"#,
                "arch has failed: no disk; task 3 is blocked.\nSummary: it was hard\nResult:\nhalf",
            ),
            (
                r##"{"type":"plan_approval_request","from":"arch","timestamp":"t","planFilePath":"p.md","planContent":"# Plan",
                    "requestId":"r"}"##,
                "arch asks for approval of a plan (request r, file p.md):\n\n# Plan",
            ),
            (
                r#"{"type":"plan_approval_response","requestId":"r","approved":true,"timestamp":"t","permissionMode":"default"}"#,
                "Your plan is approved (request r)",
            ),
            (
                r#"{"type":"plan_approval_response","requestId":"r","approved":false,"feedback":"too long","timestamp":"t"}"#,
                "Your plan is rejected (request r): too long",
            ),
            (
                r#"{"type":"permission_request","request_id":"perm-1","agent_id":"arch","tool_name":"Bash","tool_use_id":"u",
                    "description":"run the tests","input":{"command":"make"},"permission_suggestions":[]}"#,
                "arch asks for permission to use Bash (request perm-1): run the tests",
            ),
            (
                r#"{"type":"permission_response","request_id":"perm-1","subtype":"success","tool_use_id":"u",
                    "approved_request":{"tool_use_id":"u","tool_name":"Bash","input_digest":"d"},"response":{"updated_input":{}}}"#,
                "Permission is given (request perm-1)",
            ),
            (
                r#"{"type":"permission_response","request_id":"perm-1","subtype":"error","tool_use_id":"u","error":"no"}"#,
                "Permission is refused (request perm-1): no",
            ),
            (r#"{"type":"mode_set_request","mode":"plan"}"#, "New permissions; void by mail."),
            (r#"{"type":"team_permission_update"}"#, "New permissions; void by mail."),
        ];
        for (frame, expected) in frames {
            assert_eq!(shown(frame), expected);
        }
    }

    #[test]
    fn what_is_no_frame_is_text() {
        let texts = [
            "",
            "hello",
            "null",
            "{",
            r#""shutdown_request""#,
            r#"["shutdown_request","r","lead",null,"t"]"#,
            r#"{"type":"shutdown_request"}"#,
            r#"{"type":"shutdown_request","requestId":"r","from":"lead"}"#,
            r#"{"type":"shutdown_request","requestId":7,"from":"lead","timestamp":"t"}"#,
            r#"{"type":"shutdown_request","requestId":"r","from":"lead","timestamp":7}"#,
            r#"{"type":"shutdown_request","type":"task_completed","requestId":"r","from":"lead","timestamp":"t"}"#,
            r#"{"type":"shutdown_request","requestId":"r","from":"lead","timestamp":"t"} and more"#,
            r#"{"type":["shutdown_request"],"requestId":"r","from":"lead","timestamp":"t"}"#,
            r#"{"type":"task_assignment","taskId":"3","subject":"Fix it","assignedBy":"lead","timestamp":"t"}"#,
            r#"{"type":"idle_notification","from":"arch","timestamp":"t","idleReason":"bored"}"#,
            r#"{"type":"sandbox_permission_request"}"#,
            r#"{"type":"Shutdown_Request","requestId":"r","from":"lead","timestamp":"t"}"#,
        ];
        for text in texts {
            assert_eq!(Frame::parse(text), None, "{text}");
        }
        assert_eq!(Frame::parse(&"{\"type\":".repeat(100_000)), None);
    }

    #[test]
    fn what_is_written_has_claudes_shape() {
        let request = Frame::parse(&shutdown_request("r", "lead", "done", at()));
        let (request_id, from, reason) = ("r".to_owned(), "lead".to_owned(), Some("done".to_owned()));
        assert_eq!(request, Some(Frame::ShutdownRequest { request_id, from, reason }));
        assert_eq!(
            shutdown_approved("r", "arch", at()),
            r#"{"type":"shutdown_approved","requestId":"r","from":"arch","timestamp":"2026-11-25T13:12:36.000Z"}"#
        );
        assert_eq!(
            shutdown_rejected("r", "arch", "busy", at()),
            r#"{"type":"shutdown_rejected","requestId":"r","from":"arch","reason":"busy","timestamp":"2026-11-25T13:12:36.000Z"}"#
        );
        assert_eq!(
            idle_notification(&idle(), at()),
            r#"{"type":"idle_notification","from":"arch","idleReason":"available","timestamp":"2026-11-25T13:12:36.000Z"}"#
        );
        let full = Idle {
            idle_reason: IdleReason::Interrupted,
            summary: Some("s".to_owned()),
            completed_task_id: Some("3".to_owned()),
            completed_status: Some(CompletedStatus::Resolved),
            failure_reason: Some("f".to_owned()),
            result: Some("\"r\"\n".to_owned()),
            ..idle()
        };
        assert_eq!(
            idle_notification(&full, at()),
            r#"{"type":"idle_notification","from":"arch","idleReason":"interrupted","summary":"s","completedTaskId":"3","completedStatus":"resolved","failureReason":"f","result":"\"r\"\n","timestamp":"2026-11-25T13:12:36.000Z"}"#
        );
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        assert_eq!(shown(&shutdown_approved("r", "arch", at())), "arch shuts down, as it was asked to.");
        assert_eq!(shown(&shutdown_rejected("r", "arch", "busy", at())), "arch does not shut down: busy");
        let idle = Idle { result: Some("all\nof it".to_owned()), ..idle() };
        assert_eq!(shown(&idle_notification(&idle, at())), "arch is idle.\nResult:\nall\nof it");
    }

    #[test]
    fn a_long_result_is_cut_and_says_so() {
        let idle = Idle { result: Some("é".repeat(RESULT_MAX + 5)), ..idle() };
        let told = shown(&idle_notification(&idle, at()));
        assert!(told.ends_with("é\n[5 more characters are not shown]"));
        assert_eq!(told.matches('é').count(), RESULT_MAX);
        assert!(shutdown_rejected("r", "arch", &"x".repeat(100_000), at()).len() < 1300);
    }

    #[test]
    fn a_mail_is_urgent_if_its_entry_or_its_beginning_says_so() {
        assert!(
            is_urgent(Some("urgent"), "") && is_urgent(None, "[urgent] stop") && is_urgent(None, "\n [URGENT]stop")
        );
        for text in ["", "[urgen", "urgent: stop", "this is [urgent]", "«[urgent]»", "[urgént] stop"] {
            assert!(!is_urgent(None, text) && !is_urgent(Some("Urgent"), text), "{text}");
        }
    }
}
