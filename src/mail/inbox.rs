//! One member's inbox: read as it stands, changed under its lock, bounded if it is ours.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::entry::{self, Message};
use super::lock::{Held, Missing, Stop, holding};
use super::look::{Looked, look};
use super::{MailError, archive, linked, splice};
use crate::ids::MessageId;
use crate::steps;

/// An inbox without mail.
const EMPTY: &str = "[]";

/// An inbox file.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) path: PathBuf,
    pub(super) patience: Duration,
}

/// The text of an inbox, an array; and where a file went that was none.
#[derive(Debug)]
pub(super) struct Content {
    text: String,
    pub(super) set_aside: Option<PathBuf>,
}

impl Content {
    fn empty() -> Content {
        Content { text: EMPTY.to_owned(), set_aside: None }
    }

    /// The messages in it, in their order, each once.
    pub(super) fn messages(&self) -> Vec<Message> {
        let mut seen = std::collections::HashSet::new();
        let entries = splice::elements(&self.text).expect("it was seen to be an array");
        entry::read(&entries).into_iter().flatten().filter(|message| seen.insert(message.id.clone())).collect()
    }
}

impl Inbox {
    /// What is in it, without its lock; one that is not there is empty, one that is broken is set aside.
    pub(super) fn read(&self) -> Result<Content, MailError> {
        linked::check(&self.path)?;
        match look(&self.path, is_inbox)? {
            Looked::Whole(text) => Ok(Content { text, set_aside: None }),
            Looked::Absent => Ok(Content::empty()),
            // Whoever writes it does so under the lock, so only under the lock it can be said to be broken.
            Looked::Broken => self
                .change(Missing::Begin(EMPTY), |held, content| {
                    if content.set_aside.is_some() {
                        held.replace(EMPTY)?;
                    }
                    Ok(())
                })
                .map(|((), content)| content),
        }
    }

    /// Puts entries behind those that are there, if `check`, asked again under the lock, says that its owner still is.
    pub(super) fn append(
        &self,
        new: &[String],
        check: impl Fn() -> Result<(), MailError>,
    ) -> Result<Option<PathBuf>, MailError> {
        let appended = self.change(Missing::Begin(EMPTY), |held, content| {
            if let Err(gone) = check() {
                if held.begun() && content.text == EMPTY {
                    fs::remove_file(held.file()).map_err(MailError::files(&self.path))?;
                }
                return Err(gone.into());
            }
            let longer = splice::extended(&content.text, new.iter().map(String::as_str));
            held.replace(&longer.expect("it was seen to be an array"))
        });
        appended.map(|((), content)| content.set_aside)
    }

    /// Marks messages read, and answers how many of them it found unread. If there is an archive, what was read long ago
    /// goes there in the same step.
    pub(super) fn mark(
        &self,
        ids: &[MessageId],
        archive: Option<&Path>,
    ) -> Result<(usize, Option<PathBuf>), MailError> {
        if !self.path.exists() {
            return Ok((0, None));
        }
        let marked = self.change(Missing::Leave, |held, content| {
            let entries = splice::elements(&content.text).expect("it was seen to be an array");
            let mut messages = entry::read(&entries);
            let mut texts: Vec<String> = entries.iter().map(|entry| entry.get().to_owned()).collect();
            let mut marked = 0;
            for (text, message) in texts.iter_mut().zip(&mut messages) {
                let unread = message.as_mut().filter(|message| !message.read && ids.contains(&message.id));
                if let Some((message, changed)) = unread.and_then(|message| Some((message, entry::marked(text)?))) {
                    (*text, message.read) = (changed, true);
                    marked += 1;
                }
            }
            let surplus = archive.map(|_| archive::surplus(&messages, Timestamp::now())).unwrap_or_default();
            if let Some(archive) = archive.filter(|_| !surplus.is_empty()) {
                let all = messages.iter().zip(&texts).enumerate().filter(|(at, _)| surplus.contains(at));
                let lines = all.filter_map(|(_, (message, text))| Some((&message.as_ref()?.id, text.as_str())));
                archive::append(archive, lines).map_err(MailError::files(archive))?;
                steps::at("mail.archived");
            }
            if marked > 0 || !surplus.is_empty() || content.set_aside.is_some() {
                let kept = texts.iter().enumerate().filter(|(at, _)| !surplus.contains(at));
                held.replace(&splice::array(kept.map(|(_, text)| text.as_str())))?;
            }
            Ok(marked)
        });
        marked.map(|(marked, content)| (marked, content.set_aside))
    }

    fn change<T>(
        &self,
        missing: Missing,
        mut act: impl FnMut(&Held, &Content) -> Result<T, Stop>,
    ) -> Result<(T, Content), MailError> {
        linked::check(&self.path)?;
        holding(&self.path, missing, self.patience, |held| {
            let content = match look(held.file(), is_inbox)? {
                Looked::Whole(text) => Content { text, set_aside: None },
                Looked::Absent => Content::empty(),
                Looked::Broken => {
                    linked::check_broken(&self.path, held.file())?;
                    let aside = set_aside(held.file()).map_err(MailError::files(&self.path))?;
                    steps::at("mail.set_aside");
                    Content { set_aside: Some(aside), ..Content::empty() }
                }
            };
            Ok((act(held, &content)?, content))
        })
    }
}

fn is_inbox(text: &str) -> bool {
    splice::elements(text).is_ok()
}

/// Keeps a broken file under another name. It stays in its place too until it is replaced, for others lock and read it: so
/// it may be met again, and what is kept already is not kept twice.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut beginning = path.as_os_str().to_owned();
    beginning.push(".corrupt-");
    if let Some(kept) = kept_before(path, &beginning)? {
        return Ok(kept);
    }
    let mut name = beginning;
    name.push(Timestamp::now().strftime("%Y%m%dT%H%M%S.%fZ").to_string());
    let aside = PathBuf::from(name);
    match fs::hard_link(path, &aside) {
        // There are file systems without hard links.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => copy(path, &aside)?,
        linked => linked?,
    }
    tracing::warn!(inbox = %path.display(), kept = %aside.display(), "a broken inbox was set aside");
    Ok(aside)
}

/// The file beside this one whose path begins so, and that says the same.
fn kept_before(path: &Path, beginning: &OsStr) -> io::Result<Option<PathBuf>> {
    let content = fs::read(path)?;
    let beginning = beginning.as_encoded_bytes();
    for entry in fs::read_dir(path.parent().unwrap_or(Path::new(".")))? {
        let kept = entry?.path();
        let is_kept = kept.as_os_str().as_encoded_bytes().starts_with(beginning);
        let is_as_long = || fs::metadata(&kept).is_ok_and(|file| file.len() == content.len() as u64);
        if is_kept && is_as_long() && fs::read(&kept).is_ok_and(|other| other == content) {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

/// All of it or nothing: a part would pass for the whole.
fn copy(path: &Path, to: &Path) -> io::Result<()> {
    fs::copy(path, to).map(drop).inspect_err(|_| drop(fs::remove_file(to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_aside_in(dir: &Path) -> Vec<PathBuf> {
        let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.to_string_lossy().contains(".corrupt-")).collect()
    }

    #[test]
    fn a_broken_inbox_that_cannot_be_replaced_is_set_aside_once_however_often_it_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = Inbox { path: dir.path().join("ana.json"), patience: Duration::from_secs(5) };
        fs::write(&inbox.path, "{broken").unwrap();
        for _ in 0..3 {
            let full = MailError::files(&inbox.path)(io::ErrorKind::StorageFull.into());
            let mut failed = Some(full);
            let tried = inbox.change(Missing::Leave, |_, content| {
                assert!(content.set_aside.is_some());
                Err::<(), _>(Stop::Failed(failed.take().expect("it is tried once")))
            });
            assert!(tried.is_err());
        }
        let kept = set_aside_in(dir.path());
        // One path may say more exactly where it is than the other.
        let name = |path: Option<&PathBuf>| path.and_then(|path| path.file_name()).map(ToOwned::to_owned);
        assert_eq!(name(inbox.read().unwrap().set_aside.as_ref()), name(kept.first()));
        assert_eq!((fs::read_to_string(&inbox.path).unwrap().as_str(), set_aside_in(dir.path())), ("[]", kept.clone()));
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "{broken");
        fs::write(&inbox.path, "{another").unwrap();
        inbox.read().unwrap();
        assert_eq!(set_aside_in(dir.path()).len(), 2, "what says something else is kept too");
    }

    /// `teams/red/inboxes/ana.json`, a link to a file with this content, and that file.
    #[cfg(unix)]
    fn linked(dir: &Path, target: &str, content: &str) -> (Inbox, PathBuf) {
        let dir = dir.canonicalize().unwrap();
        let inbox = Inbox { path: dir.join("teams/red/inboxes/ana.json"), patience: Duration::from_secs(5) };
        let target = dir.join(target);
        for path in [&inbox.path, &target] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        fs::write(&target, content).unwrap();
        std::os::unix::fs::symlink(&target, &inbox.path).unwrap();
        (inbox, target)
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_in_place_of_an_inbox_leads_to_elsewhere_is_left_as_it_is() {
        // Broken, no inbox of the directory is set aside; whole, no file of another place is used.
        for (place, content) in [("victim", "precious"), ("victim", "[]"), ("teams/red/config.json", "{}")] {
            let dir = tempfile::tempdir().unwrap();
            let (inbox, target) = linked(dir.path(), place, content);
            let id = MessageId::next();
            let refusals = [
                inbox.read().map(drop),
                inbox.append(&["{}".to_owned()], || Ok(())).map(drop),
                inbox.mark(&[id], None).map(drop),
            ];
            for refused in refusals {
                let told = refused.unwrap_err().to_string();
                assert!([&inbox.path, &target].iter().all(|path| told.contains(path.to_str().unwrap())), "{told}");
            }
            assert!(inbox.path.is_symlink(), "{place}");
            assert_eq!(fs::read_to_string(&target).unwrap(), content);
            let beside = fs::read_dir(target.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
            let beside: Vec<_> = beside.filter(|name| name.to_string_lossy().starts_with("victim")).collect();
            assert!(beside.len() <= 1 && set_aside_in(target.parent().unwrap()).is_empty(), "{beside:?}");
        }
        let dir = tempfile::tempdir().unwrap();
        let (inbox, target) = linked(dir.path(), "victim", "[]");
        fs::remove_file(&target).unwrap();
        assert!(inbox.append(&["{}".to_owned()], || Ok(())).is_err() && inbox.path.is_symlink() && !target.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_an_inbox_of_the_same_teams_is_followed() {
        for (place, content) in [("teams/blue/ana.json", "[]"), ("teams/red/inboxes/ben.json", "broken")] {
            let dir = tempfile::tempdir().unwrap();
            let (inbox, target) = linked(dir.path(), place, content);
            inbox.append(&["{}".to_owned()], || Ok(())).unwrap();
            assert!(inbox.path.is_symlink() && fs::read_to_string(&target).unwrap().contains("{}"), "{place}");
            assert_eq!(set_aside_in(target.parent().unwrap()).len(), usize::from(content == "broken"));
        }
    }

    #[test]
    fn a_copy_that_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("absent"), dir.path().join("to"));
        fs::write(&to, "half of it").unwrap();
        copy(&from, &to).unwrap_err();
        assert!(!to.exists());
    }
}
