//! Whether there is anybody to get a message, asked before anything is made for it.

use super::office::{Office, Speaker, off_the_loop};
use super::people;
use super::refusal::Refusal;
use crate::ids::{Address, AgentName};
use crate::mail::MailError;

impl Office {
    /// Refuses a message that nobody would get; nothing is made and nothing written down. `lead` is who leads our team, also
    /// while it is not made.
    pub async fn look_for(&self, speaker: &Speaker, to: &Address, lead: &AgentName) -> Result<(), Refusal> {
        let (inner, speaker, Address { name: to, team }, lead) =
            (self.inner.clone(), speaker.clone(), to.clone(), lead.clone());
        off_the_loop(move || {
            let (teams, from) = (&inner.teams, inner.name(&speaker));
            let post = team.as_ref().map_or_else(|| teams.own().clone(), |team| teams.of(team));
            if post.team() != teams.own().team() {
                return Ok(post.check_recipient(&to)?);
            }
            if to == from {
                return Err(MailError::Oneself(to).into());
            }
            let is_agent = people::agent(&inner.dir, &to)?.is_some_and(|record| !record.closed);
            let in_session = team.is_none().then(|| teams.session()).flatten();
            if is_agent
                || to.as_str() == lead.as_str()
                || in_session.is_some_and(|session| session.check_recipient(&to).is_ok())
            {
                return Ok(());
            }
            match post.check_recipient(&to) {
                Err(MailError::UnknownRecipient { .. } | MailError::NoTeam { .. }) => {
                    Err(Refusal::nobody(&to, &people::known(teams, &inner.dir, from.as_str())))
                }
                looked => Ok(looked?),
            }
        })
        .await
    }
}
