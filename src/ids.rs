//! The names of things: a type each, checked when it is made, so that nothing unchecked becomes a path.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of a team or an agent, in characters.
const NAME_MAX: usize = 64;
/// The longest name of somebody else's, in characters.
const MEMBER_MAX: usize = 100;

/// A name that was not taken, with what would have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not allowed: {allowed}")]
pub struct IdError {
    what: &'static str,
    given: String,
    allowed: &'static str,
}

impl IdError {
    fn new(what: &'static str, given: &str, allowed: &'static str) -> Self {
        let mut shown: String = given.chars().take(40).collect();
        if shown.len() < given.len() {
            shown.push('…');
        }
        IdError { what, given: shown, allowed }
    }
}

const NAME_ALLOWED: &str = "use 1 to 64 of a-z, 0-9 and \"-\", beginning with a letter or a digit";
const UUID_ALLOWED: &str = "it is a UUID, as agent_sessions lists it";
const ENTRY_ALLOWED: &str = "it is a UUID, as `queue list` shows it";
const MEMBER_ALLOWED: &str = "use 1 to 100 characters without spaces, \"@\", \"/\", \"\\\" or control characters, and none of \".\" and \"-\" first";
const MESSAGE_ALLOWED: &str = "it is 1 to 128 visible ASCII characters, as atm_read shows it";
const CODEX_ID_ALLOWED: &str = "use 1 to 128 of a-z, A-Z, 0-9, \"-\" and \"_\"";

fn is_name(s: &str) -> bool {
    (1..=NAME_MAX).contains(&s.len())
        && !s.starts_with('-')
        && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

fn is_agent_id(s: &str) -> bool {
    s.len() == 36 && uuid::Uuid::try_parse(s).is_ok_and(|u| u.to_string() == s)
}

/// Writers of the queue are not ours alone: a UUID with its hyphens, in small letters or capitals.
fn is_entry_id(s: &str) -> bool {
    s.len() == 36 && uuid::Uuid::try_parse(s).is_ok()
}

fn is_codex_id(s: &str) -> bool {
    (1..=128).contains(&s.len())
        && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_'))
}

/// Claude gives its members any names; those that could be taken for something else cannot be written to.
fn is_member(s: &str) -> bool {
    (1..=MEMBER_MAX).contains(&s.chars().count())
        && !s.starts_with(['.', '-'])
        && !s.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '/' | '\\'))
}

/// Whoever writes a message gives it the id that he likes.
fn is_message_id(s: &str) -> bool {
    (1..=128).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:ident, $allowed:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes `text` if it keeps the rule of this kind of name.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                if $rule(text) {
                    Ok($name(text.to_owned()))
                } else {
                    Err(IdError::new($what, text, $allowed))
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                $name::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// The durable scope of names, records and queues: `[a-z0-9-]`, 1 to 64 characters.
    Team, "team", is_name, NAME_ALLOWED
}
id! {
    /// An agent's name in its team: `[a-z0-9-]`, 1 to 64 characters.
    AgentName, "identity", is_name, NAME_ALLOWED
}
id! {
    /// One agent for ever, whatever it is called: a UUID (version 7 when we make it).
    AgentId, "agent_id", is_agent_id, UUID_ALLOWED
}
id! {
    /// Codex's own id of a thread.
    ThreadId, "threadId", is_codex_id, CODEX_ID_ALLOWED
}
id! {
    /// Codex's own id of a turn.
    TurnId, "turn id", is_codex_id, CODEX_ID_ALLOWED
}

id! {
    /// One entry of a queue: a UUID, kept as its writer spelled it.
    EntryId, "entry", is_entry_id, ENTRY_ALLOWED
}
id! {
    /// One delivery into a thread, of one entry or of several: a UUID, in the thread's history for ever.
    DeliveryId, "delivery", is_agent_id, UUID_ALLOWED
}

id! {
    /// A member of a team in Claude's files, ours or anybody's, to whom a message can be addressed.
    MemberName, "member name", is_member, MEMBER_ALLOWED
}
id! {
    /// A team in Claude's files, ours or anybody's.
    TeamName, "team", is_member, MEMBER_ALLOWED
}
id! {
    /// One message in an inbox: the id that its writer gave it, or one derived from what it says.
    MessageId, "message id", is_message_id, MESSAGE_ALLOWED
}

/// A name as Claude makes a file's of it (2.1.330): what is none of `a-zA-Z0-9_-` becomes `-`.
fn mapped(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' };
    // Claude goes by UTF-16: a character beyond the first plane is two of it.
    name.chars().flat_map(|c| std::iter::repeat_n(keep(c), c.len_utf16())).collect()
}

impl MemberName {
    /// What its inbox is called, without `.json`. Different names may share one (`a.b`, `a-b`).
    pub fn file_stem(&self) -> String {
        mapped(&self.0)
    }

    /// Whether a member of that name, whatever it is, has the same inbox.
    pub fn shares_inbox_with(&self, name: &str) -> bool {
        mapped(&self.0) == mapped(name)
    }
}

impl From<&AgentName> for MemberName {
    fn from(ours: &AgentName) -> MemberName {
        MemberName(ours.0.clone())
    }
}

impl TeamName {
    /// The team of an interactive Claude Code session, as Claude names it (2.1.330); `None` for what is no session's id.
    pub fn of_session(session_id: &str) -> Option<TeamName> {
        let name = TeamName(format!("{SESSION}{}", session_id.get(..8)?));
        name.is_of_session().then_some(name)
    }

    /// Whether Claude makes and deletes it with a session.
    pub fn is_of_session(&self) -> bool {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        self.0.strip_prefix(SESSION).is_some_and(|id| id.len() == 8 && id.bytes().all(hex))
    }

    /// The directory with its config.json: here Claude keeps letters and digits only, and those small.
    pub fn config_dir(&self) -> String {
        mapped(&self.0).replace('_', "-").to_ascii_lowercase()
    }

    /// The directory with its inboxes; another one than that of its config.json for a name like `my_Team`.
    pub fn inboxes_dir(&self) -> String {
        mapped(&self.0)
    }
}

impl From<&Team> for TeamName {
    fn from(ours: &Team) -> TeamName {
        TeamName(ours.0.clone())
    }
}

/// Where a message goes to or comes from: `name`, or `name@team` for a member of another team.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Who.
    pub name: MemberName,
    /// In which team, if it is said.
    pub team: Option<TeamName>,
}

impl Address {
    /// Takes `name` or `name@team`.
    pub fn parse(text: &str) -> Result<Address, IdError> {
        let (name, team) = text.split_once('@').map_or((text, None), |(name, team)| (name, Some(team)));
        Ok(Address { name: MemberName::parse(name)?, team: team.map(TeamName::parse).transpose()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.team {
            Some(team) => write!(f, "{}@{team}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

impl MessageId {
    /// A new id; ids made later sort later.
    pub fn next() -> Self {
        MessageId(uuid::Uuid::now_v7().to_string())
    }

    /// The id of a message that has none: always the same for the `nth` (from 0) of equal ones.
    pub fn derived(from: &str, timestamp: &str, text: &str, nth: usize) -> Self {
        let parts = serde_json::to_vec(&(from, timestamp, text, nth)).expect("texts are JSON");
        MessageId(uuid::Uuid::new_v5(&DERIVED, &parts).to_string())
    }
}

impl DeliveryId {
    /// The delivery of these messages from the mail of this team: always the same for the same ones.
    pub fn of_mail(team: &TeamName, messages: &[MessageId]) -> Self {
        let parts = serde_json::to_vec(&(team, messages)).expect("texts are JSON");
        DeliveryId(uuid::Uuid::new_v5(&DERIVED, &parts).to_string())
    }
}

/// The namespace of ids that are derived.
const DERIVED: uuid::Uuid = uuid::uuid!("0199e0a4-6c1d-7d3e-9a55-2f5f7c1b8e40");
/// How the names of teams begin that belong to a Claude Code session.
const SESSION: &str = "session-";

impl Team {
    /// The team of a repository: its directory's name brought into the allowed letters, if any are left.
    pub fn from_repository_name(name: &str) -> Option<Self> {
        let mut slug = String::new();
        for c in name.chars().map(|c| c.to_ascii_lowercase()) {
            match c {
                'a'..='z' | '0'..='9' => slug.push(c),
                _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
                _ => {}
            }
        }
        slug.truncate(NAME_MAX);
        Team::parse(slug.trim_end_matches('-')).ok()
    }
}

impl AgentName {
    /// This name with a number behind it (`codex` and 2 make `codex-2`), cut so that it stays a name.
    pub fn numbered(&self, number: usize) -> Self {
        let suffix = format!("-{number}");
        let kept = self.0.len().min(NAME_MAX - suffix.len());
        AgentName(format!("{}{suffix}", &self.0[..kept]))
    }
}

impl AgentId {
    /// A new id; ids made later sort later.
    pub fn new() -> Self {
        AgentId(uuid::Uuid::now_v7().to_string())
    }
}

impl Default for AgentId {
    fn default() -> Self {
        AgentId::new()
    }
}

impl EntryId {
    /// A new id; ids that one process makes later sort later, also within a millisecond or when the clock jumps back.
    pub fn next() -> Self {
        EntryId(uuid::Uuid::now_v7().to_string())
    }

    /// Its number, by which entries of one millisecond are ordered.
    pub fn number(&self) -> u128 {
        self.uuid().as_u128()
    }

    /// When it was made, in nanoseconds since 1970, if it tells: a UUID of version 7 does, to the millisecond.
    pub fn made_at(&self) -> Option<u128> {
        let uuid = self.uuid();
        (uuid.get_version_num() == 7).then(|| (uuid.as_u128() >> 80) * 1_000_000)
    }

    fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::try_parse(&self.0).expect("it was parsed when it was made")
    }
}

impl DeliveryId {
    /// A new id.
    pub fn next() -> Self {
        DeliveryId(uuid::Uuid::now_v7().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_could_leave_its_directory_is_refused() {
        let long = "a".repeat(300);
        for bad in ["", "../../x", "..", "/etc", "a/b", "a\\b", "A", "a b", "-a", "ä", "a\0", "a.", long.as_str()] {
            let error = AgentName::parse(bad).expect_err(bad).to_string();
            assert!(error.contains("identity"), "{error}");
            assert!(error.contains("a-z, 0-9"), "{error}");
            assert!(error.len() < 300, "{error}");
        }
    }

    #[test]
    fn a_repository_gives_its_team_a_name() {
        let team = |s| Team::from_repository_name(s).map(String::from);
        assert_eq!(team("My Repo_1"), Some("my-repo-1".into()));
        assert_eq!(team(".dotfiles"), Some("dotfiles".into()));
        assert_eq!(team("日本"), None);
        assert_eq!(team(&"x-".repeat(80)).map(|s| s.len()), Some(63));
    }

    #[test]
    fn numbered_names_stay_names() {
        let base = AgentName::parse(&"a".repeat(64)).unwrap();
        assert!(AgentName::parse(base.numbered(12345).as_str()).is_ok());
        assert_eq!(AgentName::parse("codex").unwrap().numbered(2).as_str(), "codex-2");
    }

    #[test]
    fn an_agent_id_is_what_we_print_and_nothing_else() {
        let id = AgentId::new();
        assert_eq!(AgentId::parse(id.as_str()), Ok(id.clone()));
        assert!(AgentId::parse(&id.as_str().to_uppercase()).is_err());
        assert!(AgentId::parse(&id.as_str().replace('-', "")).is_err());
    }

    #[test]
    fn an_entry_id_is_a_uuid_in_anybodys_spelling() {
        let theirs = EntryId::parse("9C5B94B1-35AD-49BB-B118-8E8FC24ABF80").unwrap();
        assert_eq!((theirs.as_str(), theirs.made_at()), ("9C5B94B1-35AD-49BB-B118-8E8FC24ABF80", None));
        for bad in ["", "../../../../../../../../../../etc/passw", "9c5b94b135ad49bbb1188e8fc24abf80", "{9c5b94b1}"] {
            assert!(EntryId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn entry_ids_of_one_process_sort_in_the_order_in_which_they_were_made() {
        let ids: Vec<EntryId> = (0..5000).map(|_| EntryId::next()).collect();
        assert!(ids.is_sorted_by(|a, b| a.number() < b.number() && a.made_at() <= b.made_at()));
        let now = u128::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
        assert!(now.abs_diff(ids[0].made_at().unwrap()) < 60_000_000_000);
    }

    #[test]
    fn a_member_name_that_could_be_taken_for_something_else_is_refused() {
        let long = "a".repeat(101);
        for bad in
            ["", ".", "..", "../x", ".hidden", "-f", "a/b", "a\\b", "a b", " a", "a\n", "a\0", "a@b", long.as_str()]
        {
            let error = MemberName::parse(bad).expect_err(bad).to_string();
            assert!(error.contains("member name") && error.contains("use 1 to 100"), "{error}");
        }
        for good in ["team-lead", "Explore_2", "gpt-5.1", "prüfer", long[1..].as_ref()] {
            assert!(MemberName::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_become_files_as_claude_makes_them() {
        let stem = |name| MemberName::parse(name).unwrap().file_stem();
        assert_eq!([stem("gpt-5.1"), stem("My_Agent"), stem("ü\u{1F600}")], ["gpt-5-1", "My_Agent", "---"]);
        let team = TeamName::parse("my_Team-1").unwrap();
        assert_eq!((team.config_dir(), team.inboxes_dir()), ("my-team-1".into(), "my_Team-1".into()));
        let ours = Team::parse("my-team").unwrap();
        assert_eq!([TeamName::from(&ours).config_dir(), TeamName::from(&ours).inboxes_dir()], ["my-team", "my-team"]);
    }

    #[test]
    fn a_session_has_a_team_of_its_own() {
        let team = TeamName::of_session("6075f866-f103-4be1-b2e9-8dbf66009eb9").unwrap();
        assert!(team.as_str() == "session-6075f866" && team.is_of_session());
        assert!(
            ["", "6075f86", "../../..", "6075F866", "ääääääää"].iter().all(|id| TeamName::of_session(id).is_none())
        );
    }

    #[test]
    fn an_address_is_a_name_or_a_name_in_a_team() {
        for text in ["arch", "team-lead@session-6075f866"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "@", "a@", "@t", "a@t@u", "a@../x"] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_derived_tells_equal_messages_apart_and_stays_the_same() {
        let id = MessageId::derived("a", "t", "x", 0);
        assert_eq!(id.as_str(), "50268818-afc4-5ef4-892c-231d8869ba5b");
        assert!(MessageId::derived("a", "t", "x", 1) != id && MessageId::derived("at", "", "x", 0) != id);
    }

    proptest! {
        #[test]
        fn any_member_and_team_is_one_plain_path_component(name in "\\PC{0,110}") {
            let one = |text: &str| std::path::Path::new(text).components().count() == 1 && text.is_ascii();
            if let (Ok(member), Ok(team)) = (MemberName::parse(&name), TeamName::parse(&name)) {
                prop_assert!(one(&member.file_stem()) && one(&team.config_dir()) && one(&team.inboxes_dir()));
            }
        }

        #[test]
        fn any_team_made_from_a_repository_is_a_team(name in ".{0,200}") {
            if let Some(team) = Team::from_repository_name(&name) {
                prop_assert_eq!(Team::parse(team.as_str()), Ok(team));
            }
        }

        #[test]
        fn what_parses_is_one_plain_path_component(name in ".{0,80}") {
            if let Ok(name) = AgentName::parse(&name) {
                let path = std::path::Path::new(name.as_str());
                prop_assert_eq!(path.components().count(), 1);
                prop_assert!(path.file_name().is_some());
            }
        }
    }
}
