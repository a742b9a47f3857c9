//! What a post office does for its members, wherever it keeps their mail.

use std::path::PathBuf;

use jiff::Timestamp;

use super::MailError;
use super::entry::{Draft, Message};
use super::member::{Lead, Member, NewMember, Ours, Person};
use super::roster::Activity;
use crate::ids::{AgentId, AgentName, MemberName, MessageId, TeamName};

/// The mail of one team. All of it blocks: for milliseconds as a rule, for half a minute beside a program that hangs.
///
/// A team that is not there has no members and no mail; only what would write to it fails.
pub trait Post: Send + Sync {
    /// Whose mail it is.
    fn team(&self) -> &TeamName;

    /// Whether there is such a team.
    fn exists(&self) -> bool;

    /// Makes the team, with its lead, if it is not there.
    fn create(&self, lead: &Lead) -> Result<(), MailError>;

    /// Its members, in their order.
    fn roster(&self) -> Result<Vec<Member>, MailError>;

    /// Puts an agent of ours into the team. It may be in it already; a member that is not ours may not be called so.
    fn join(&self, new: &NewMember) -> Result<(), MailError>;

    /// Takes an agent of ours out of the team.
    fn leave(&self, agent: &AgentId) -> Result<(), MailError>;

    /// Puts a person into the team; answers whether it was not in it already. Another member may not be called so.
    fn join_person(&self, person: &Person) -> Result<bool, MailError>;

    /// Takes a person out of the team who has joined it so; nobody else.
    fn leave_person(&self, name: &AgentName) -> Result<(), MailError>;

    /// Takes those of our agents out of the team that are not `alive`, and answers their names; others are never touched.
    fn remove_ours(&self, alive: &dyn Fn(&str, &Ours) -> bool) -> Result<Vec<String>, MailError>;

    /// Says whether an agent of ours is at work; answers whether it is a member.
    fn set_active(&self, agent: &AgentId, activity: Activity) -> Result<bool, MailError>;

    /// Whether this member is there, and is the only one whom its inbox belongs to.
    fn check_recipient(&self, to: &MemberName) -> Result<(), MailError>;

    /// Puts messages into a member's inbox, all or none.
    fn send(&self, to: &MemberName, drafts: &[Draft]) -> Result<Sent, MailError>;

    /// Sends a message to every member but its sender, each a copy with an id of its own. One that fails hinders no other.
    fn broadcast(&self, draft: &Draft) -> Result<Vec<Copy>, MailError>;

    /// The messages in an inbox that are asked for, the newest last.
    fn read(&self, of: &MemberName, filter: &Filter) -> Result<Page, MailError>;

    /// The oldest unread messages, at most so many.
    fn unread(&self, of: &MemberName, most: usize) -> Result<Page, MailError>;

    /// How many messages are unread.
    fn count_unread(&self, of: &MemberName) -> Result<usize, MailError>;

    /// Marks messages read. Those that are not there any more, or are read already, are passed over.
    fn mark_read(&self, of: &MemberName, ids: &[MessageId]) -> Result<Marked, MailError>;

    /// The same for an agent of ours, whose inbox stays bounded: what it has read goes to an archive of ours when there are
    /// more than 200 such, or after a week.
    fn mark_read_of_ours(&self, of: &AgentName, ids: &[MessageId]) -> Result<Marked, MailError>;

    /// What became of these messages to a member, in their order, as far as the recipient's files can tell.
    fn fates(&self, to: &MemberName, ids: &[MessageId]) -> Result<Vec<Fate>, MailError>;

    /// The file that changes when mail for this member arrives; it need not be there yet, nor its directory.
    fn inbox_path(&self, of: &MemberName) -> PathBuf;
}

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The ids, in the order of the drafts.
    pub ids: Vec<MessageId>,
    /// Where the recipient's inbox was put because it was broken.
    pub set_aside: Option<PathBuf>,
}

/// One copy of a broadcast.
#[derive(Debug)]
pub struct Copy {
    /// To whom.
    pub to: String,
    /// What came of it.
    pub sent: Result<Sent, MailError>,
}

/// Which messages to read.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Read or not.
    pub which: Which,
    /// Not older than this; messages that do not say how old they are are shown.
    pub since: Option<Timestamp>,
    /// From this sender, exactly as it stands in the messages.
    pub from: Option<String>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

/// Read messages or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Which {
    /// Those that nobody has read yet.
    #[default]
    Unread,
    /// Those that were read too.
    All,
}

impl Filter {
    pub(super) fn takes(&self, message: &Message) -> bool {
        (self.which == Which::All || !message.read)
            && self.since.is_none_or(|since| message.at.is_none_or(|at| at >= since))
            && self.from.as_ref().is_none_or(|from| message.from == *from)
    }
}

/// Messages of an inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Those that were asked for.
    pub messages: Vec<Message>,
    /// How many there were before the limit.
    pub total: usize,
    /// Where the inbox was put because it was broken.
    pub set_aside: Option<PathBuf>,
}

/// What was marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// How many entries were unread and are read now.
    pub marked: usize,
    /// Where the inbox was put because it was broken.
    pub set_aside: Option<PathBuf>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has read it.
    Unread,
    /// It was read.
    Read,
    /// It is not in the inbox: Claude Code (2.1.330) takes out what it delivers. Or it was never there.
    Gone,
}
