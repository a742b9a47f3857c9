//! What can go wrong with mail at the command line.

use crate::ids::{AgentName, Team};
use crate::tools::Refusal;

/// Why a `mail` command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum MailFailure {
    /// There is no such team, or none yet.
    #[error("the team {0} has no mail: nobody has written in it yet")]
    NoTeam(Team),
    /// Nobody is called so.
    #[error("the team {team} has no member {name}")]
    NoMember {
        /// Who was meant.
        name: AgentName,
        /// The team that was looked through.
        team: Team,
    },
    /// Somebody else's name.
    #[error("{0} is an agent of this team, and its mail is its own")]
    IsAgent(AgentName),
    /// The name of a member whom others have put there.
    #[error("the member {name} of the team {team} has not joined it by --as, and its mail is its own")]
    IsOther {
        /// Who was meant.
        name: AgentName,
        /// In which team.
        team: Team,
    },
    /// The lead stays.
    #[error("{0} is the lead of this team, and does not leave it")]
    IsLead(AgentName),
    /// Nothing is said.
    #[error("the message was not sent: it is blank")]
    Blank,
    /// The post office refuses, or cannot.
    #[error("{}", .0.message)]
    Refused(Refusal),
}
