//! Why a tool of mail did nothing: a sentence for a model, and a word for programs.

use crate::ids::MemberName;
use crate::mail::MailError;
use crate::plain;
use crate::session::RosterError;

/// Why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The word.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    /// Whatever others say in it: it is one line, and bounded.
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: plain::error(&message.into()) }
    }

    /// Nobody is called so.
    pub fn nobody(to: &MemberName, known: &str) -> Refusal {
        Refusal::new("UNKNOWN_RECIPIENT", format!("there is no {to} to write to; {known}"))
    }

    /// An argument that cannot be used.
    pub(super) fn argument(message: impl Into<String>) -> Refusal {
        Refusal::new("INVALID_ARGUMENT", message)
    }
}

impl From<MailError> for Refusal {
    fn from(error: MailError) -> Refusal {
        let code = match &error {
            MailError::Name(_) | MailError::Message(_) => "INVALID_ARGUMENT",
            MailError::UnknownRecipient { .. } | MailError::SharedInbox { .. } | MailError::Oneself(_) => {
                "UNKNOWN_RECIPIENT"
            }
            MailError::NoTeam { .. } | MailError::TeamGone(_) => "UNKNOWN_TEAM",
            MailError::NameTaken { .. } => "IDENTITY_CONFLICT",
            MailError::Locked { .. } => "BUSY",
            MailError::Roster { .. } | MailError::Linked { .. } | MailError::Files { .. } => "FILES",
        };
        Refusal::new(code, error.to_string())
    }
}

impl From<RosterError> for Refusal {
    fn from(error: RosterError) -> Refusal {
        Refusal::new("FILES", error.to_string())
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Refusal {
        Refusal::new("FILES", error.to_string())
    }
}
