//! What the queue promises, with real files and threads; `tests/binary` has the processes and their deaths.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
#[cfg(unix)]
use crate::home::private_dir;
use crate::ids::{ThreadId, TurnId};
use crate::watch::Watcher;

fn queue() -> (tempfile::TempDir, Queue) {
    let dir = tempfile::tempdir().unwrap();
    let queue = Queue::at(dir.path().join("agent").join("stdin_queue"), Limits::default());
    (dir, queue)
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned(), ..Text::default() }
}

fn receipt() -> Receipt {
    Receipt { thread: ThreadId::parse("thread-1").unwrap(), turn: TurnId::parse("turn-1").unwrap() }
}

fn claim(claimer: &mut Claimer, most: usize) -> Vec<Claim> {
    claimer.claim(most, &DeliveryId::next()).unwrap()
}

fn texts(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| claim.text().text.as_str()).collect()
}

/// A foreign file, last changed so long ago.
fn foreign(queue: &Queue, id: &str, content: &[u8], age: Duration) {
    queue.make().unwrap();
    let path = queue.dir().join(format!("{id}.json"));
    fs::write(&path, content).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

fn files(queue: &Queue) -> Vec<String> {
    let names = fs::read_dir(queue.dir()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with("delivered")).collect();
    names.sort();
    names
}

const OLD: Duration = Duration::from_secs(60);
const V4: [&str; 3] = [
    "c0ffee00-0000-4000-8000-000000000001",
    "bbbbbbbb-0000-4000-8000-000000000002",
    "AAAAAAAA-0000-4000-8000-000000000003",
];

#[test]
fn entries_are_claimed_in_the_order_in_which_they_were_enqueued() {
    let (_dir, queue) = queue();
    for n in 0..25 {
        queue.enqueue(&text(&format!("{n}"))).unwrap();
    }
    let mut claimer = queue.claimer();
    let mut seen = Vec::new();
    loop {
        let claims = claim(&mut claimer, 10);
        if claims.is_empty() {
            break;
        }
        seen.extend(texts(&claims).into_iter().map(str::to_owned));
        Claim::ack_all(claims, &receipt()).unwrap();
    }
    assert_eq!(seen, (0..25).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(files(&queue), [""; 0]);
}

#[test]
fn what_is_given_back_comes_again_in_its_old_place_and_what_is_acknowledged_never() {
    let (_dir, queue) = queue();
    for n in 0..30 {
        queue.enqueue(&text(&format!("{n}"))).unwrap();
    }
    let mut claimer = queue.claimer();
    let mut claims = claim(&mut claimer, 3);
    let third = claims.pop().unwrap();
    claims.pop().unwrap().release().unwrap();
    claims.pop().unwrap().ack(&receipt()).unwrap();
    drop(third);
    let claims = claim(&mut claimer, 3);
    assert_eq!(texts(&claims), ["1", "2", "3"]);
    claims.into_iter().for_each(|claim| claim.failed("Codex refused it").unwrap());
    let again = claim(&mut claimer, 1);
    assert_eq!((texts(&again), again[0].attempts()), (vec!["1"], 1));
    let listed = queue.list().unwrap();
    assert_eq!(listed[1].tries.as_ref().unwrap().last, "Codex refused it");
    assert!(matches!(&listed[0].state, Standing::Claimed(Some(holder)) if holder.process.pid == std::process::id()));
    assert_eq!((listed.len(), &listed[1].state), (29, &Standing::Waiting));
}

#[test]
fn one_that_came_late_is_not_overtaken_by_what_its_writer_wrote_after_it() {
    let (_dir, queue) = queue();
    let [late, known, after, gone] = [(); 4].map(|()| EntryId::next());
    for id in [&known, &gone] {
        foreign(&queue, id.as_str(), b"x", OLD);
    }
    let mut claimer = queue.claimer();
    drop(claim(&mut claimer, 2));
    fs::remove_file(queue.files.entry(&gone)).unwrap();
    for id in [&late, &after] {
        foreign(&queue, id.as_str(), b"x", OLD);
    }
    let claims = claim(&mut claimer, 2);
    let ids: Vec<&EntryId> = claims.iter().map(Claim::id).collect();
    assert_eq!(ids, [&known, &late]);
}

#[test]
fn an_entry_has_one_claimer_and_those_behind_it_wait_for_it() {
    let (_dir, queue) = queue();
    queue.enqueue(&text("first")).unwrap();
    queue.enqueue(&text("second")).unwrap();
    let (mut one, mut other) = (queue.claimer(), queue.claimer());
    let claims = claim(&mut one, 1);
    assert_eq!(texts(&claims), ["first"]);
    assert!(claim(&mut other, 10).is_empty(), "the second would overtake the first");
    assert!(other.look_again_in().is_some());
    claims.into_iter().for_each(|claim| claim.ack(&receipt()).unwrap());
    assert_eq!(texts(&claim(&mut other, 10)), ["second"]);
}

#[test]
fn an_urgent_entry_overtakes_the_others_and_keeps_its_order_among_its_like() {
    let (_dir, queue) = queue();
    queue.enqueue(&text("waits")).unwrap();
    let urgent = |what: &str| Text { urgency: Urgency::Urgent, ..text(what) };
    queue.enqueue(&urgent("now")).unwrap();
    let mut claimer = queue.claimer();
    let held = claimer.claim_urgent(10, &DeliveryId::next()).unwrap();
    assert_eq!(texts(&held), ["now"]);
    queue.enqueue(&urgent("and this")).unwrap();
    claimer.arrived();
    assert!(claimer.claim_urgent(10, &DeliveryId::next()).unwrap().is_empty());
    held.into_iter().for_each(|claim| claim.ack(&receipt()).unwrap());
    assert_eq!(texts(&claimer.claim_urgent(10, &DeliveryId::next()).unwrap()), ["and this"]);
    assert_eq!(texts(&claim(&mut claimer, 1)), ["waits"]);
}

#[test]
fn a_dead_claimers_entry_is_taken_over_at_once_with_the_doubt_and_alone() {
    let (_dir, queue) = queue();
    for n in 0..3 {
        queue.enqueue(&text(&format!("{n}"))).unwrap();
    }
    let delivery = DeliveryId::next();
    let mut claims = queue.claimer().claim(2, &delivery).unwrap();
    claims.iter_mut().for_each(Claim::sent);
    drop(claims);
    let mut claimer = queue.claimer();
    for _ in 0..2 {
        let doubtful = claim(&mut claimer, 10);
        assert_eq!(texts(&doubtful), ["0", "1"], "what nobody doubts is not mixed in");
        assert!(doubtful.iter().all(|c| *c.delivery() == delivery && c.taken_over_from().is_some()));
        // Dropped without a word, the doubt stays.
    }
    let listed = queue.list().unwrap();
    assert!(matches!(&listed[0].state, Standing::InDoubt(holder) if holder.delivery == delivery));
    assert!(!queue.bury(&listed[0].id, "it may have arrived").unwrap());
    claim(&mut claimer, 10).into_iter().for_each(|claim| claim.release().unwrap());
    let fresh = claim(&mut claimer, 10);
    assert_eq!(texts(&fresh), ["0", "1", "2"]);
    assert!(fresh.iter().all(|claim| claim.taken_over_from().is_none() && *claim.delivery() != delivery));
    assert!(matches!(queue.discard(fresh[0].id()), Err(QueueError::Held(..))), "it is being delivered");
    let mut fresh = fresh.into_iter();
    let (mut first, id) = (fresh.next().unwrap(), listed[0].id.clone());
    first.sent();
    drop(first);
    queue.discard(&id).unwrap();
    assert_eq!(queue.fate(&id), Fate::Gone, "whoever does not want it need not know whether it has arrived");
}

#[test]
fn a_foreign_lock_is_respected_until_it_is_too_old_and_its_entry_lives_on() {
    let (_dir, queue) = queue();
    let id = queue.enqueue(&text("theirs")).unwrap();
    queue.enqueue(&text("ours")).unwrap();
    let lock = queue.dir().join(format!("{id}.lock"));
    File::create_new(&lock).unwrap();
    let mut claimer = queue.claimer();
    assert_eq!(texts(&claim(&mut claimer, 10)), ["ours"], "a foreign claim holds nobody up");
    assert!(claimer.look_again_in().unwrap() <= Duration::from_secs(1), "nobody tells when it is gone");
    assert_eq!(queue.list().unwrap()[0].state, Standing::Foreign);
    File::options().write(true).open(&lock).unwrap().set_modified(SystemTime::now() - OLD * 11).unwrap();
    assert_eq!(texts(&claim(&mut claimer, 10)), ["theirs", "ours"]);
}

#[test]
fn foreign_files_are_taken_by_their_time_and_whatever_they_hold_is_the_message() {
    let (_dir, queue) = queue();
    foreign(&queue, V4[0], b"third\n", OLD);
    foreign(&queue, V4[1], br#"{"v":1,"text":"second"}"#, OLD * 2);
    foreign(&queue, V4[2], "first, with \u{e9} and\r\n two lines".as_bytes(), OLD * 3);
    queue.enqueue(&text("last")).unwrap();
    let claims = claim(&mut queue.claimer(), 10);
    assert_eq!(texts(&claims), ["first, with \u{e9} and\r\n two lines", "second", "third\n", "last"]);
}

#[test]
fn a_file_that_is_being_written_is_left_alone_and_those_behind_it_wait_a_moment() {
    let (_dir, queue) = queue();
    let mut claimer = queue.claimer();
    foreign(&queue, V4[0], b"half a sen", Duration::from_millis(100));
    queue.enqueue(&text("behind")).unwrap();
    assert!(claim(&mut claimer, 10).is_empty());
    assert!(claimer.look_again_in().unwrap() <= Duration::from_millis(400));
    assert_eq!(queue.list().unwrap()[0].state, Standing::BeingWritten);
    foreign(&queue, V4[0], b"half a sentence is whole", Duration::from_millis(600));
    let claims = claim(&mut claimer, 10);
    assert_eq!(texts(&claims), ["half a sentence is whole", "behind"]);
    drop(claims);
    foreign(&queue, V4[1], b"", OLD);
    assert_eq!(texts(&claim(&mut claimer, 10)).len(), 2, "a file that stays empty holds nobody up");
}

#[test]
fn what_cannot_be_said_is_buried_with_the_reason() {
    let (_dir, queue) = queue();
    foreign(&queue, V4[0], b"\xff\xfe", OLD);
    foreign(&queue, V4[1], &vec![b'x'; (1 << 20) + 1], OLD);
    fs::create_dir(queue.dir().join(format!("{}.json", V4[2]))).unwrap();
    queue.enqueue(&text("fine")).unwrap();
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["fine"]);
    let why = |id: &str| match queue.fate(&EntryId::parse(id).unwrap()) {
        Fate::Dead(Some(reason)) => reason.why,
        other => panic!("{other:?}"),
    };
    assert_eq!(why(V4[0]), "it is not UTF-8: byte 1 is wrong");
    assert_eq!(why(V4[1]), "its text has 1048577 bytes, at most 1048576 are allowed");
    assert_eq!(why(V4[2]), "it is not a file");
}

#[cfg(unix)]
#[test]
fn an_entry_that_may_not_be_read_stops_nobody() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, queue) = queue();
    foreign(&queue, V4[0], b"locked", OLD);
    let (id, path) = (EntryId::parse(V4[0]).unwrap(), queue.dir().join(format!("{}.json", V4[0])));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    queue.enqueue(&text("fine")).unwrap();
    if fs::read(&path).is_ok() {
        // Root may read everything.
        return assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["locked", "fine"]);
    }
    assert!(matches!(&queue.list().unwrap()[0].state, Standing::Unusable(why) if why.contains("cannot be read")));
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["fine"]);
    let Fate::Dead(Some(reason)) = queue.fate(&id) else { panic!("dead") };
    assert!(reason.why.contains("cannot be read"), "{reason:?}");
    queue.discard(&id).unwrap();
    assert_eq!((queue.fate(&id), queue.list_dead().unwrap()), (Fate::Gone, vec![]));
}

#[cfg(unix)]
#[test]
fn a_pipe_with_the_name_of_an_entry_stops_nobody() {
    let (_dir, queue) = queue();
    queue.make().unwrap();
    let pipe = queue.dir().join(format!("{}.json", V4[0]));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    queue.enqueue(&text("fine")).unwrap();
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["fine"]);
}

#[test]
fn an_expired_entry_is_buried_and_a_retry_gives_it_another_life() {
    let (_dir, queue) = queue();
    let expires_at = Some(Timestamp::now() - jiff::SignedDuration::from_secs(1));
    let id = queue.enqueue(&Text { expires_at, ..text("too late") }).unwrap();
    queue.enqueue(&text("in time")).unwrap();
    let mut claimer = queue.claimer();
    drop(claim(&mut claimer, 10));
    let dead = queue.list_dead().unwrap();
    assert!(matches!(&dead[..], [Listed { state: Standing::Dead(Some(why)), .. }] if why.why.contains("expired")));
    assert_eq!(queue.depth().unwrap().dead, 1);
    queue.retry(&id).unwrap();
    assert_eq!(queue.list_dead().unwrap(), []);
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["too late", "in time"]);
    assert!(matches!(queue.retry(&id), Err(QueueError::NotFound(_))));
}

#[test]
fn what_became_of_an_entry_can_be_asked() {
    let (_dir, queue) = queue();
    let ids: Vec<EntryId> = (0..4).map(|n| queue.enqueue(&text(&format!("{n}"))).unwrap()).collect();
    let mut claims = claim(&mut queue.claimer(), 3).into_iter();
    claims.next().unwrap().ack(&receipt()).unwrap();
    claims.next().unwrap().bury("nobody wants it").unwrap();
    drop(claims);
    queue.discard(&ids[2]).unwrap();
    let Fate::Delivered(delivered) = queue.fate(&ids[0]) else { panic!("delivered") };
    assert_eq!(delivered.receipt, receipt());
    let Fate::Dead(Some(reason)) = queue.fate(&ids[1]) else { panic!("dead") };
    assert_eq!(reason.why, "nobody wants it");
    assert_eq!((queue.fate(&ids[2]), queue.fate(&ids[3])), (Fate::Gone, Fate::Waiting));
    queue.discard(&ids[1]).unwrap();
    queue.discard(&ids[3]).unwrap();
    assert_eq!((queue.fate(&ids[1]), queue.fate(&ids[3])), (Fate::Gone, Fate::Gone));
    assert_eq!(files(&queue), ["dead"]);
}

#[test]
fn limits_hold_at_the_door_and_nothing_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let queue = Queue::at(dir.path().join("q"), Limits { bytes: 10, entries: 20, ttl: None });
    let error = queue.enqueue(&text("eleven byte")).unwrap_err().to_string();
    assert_eq!(error, "the message was not enqueued: its text has 11 bytes, at most 10 are allowed");
    assert!(queue.enqueue(&text(" \n")).unwrap_err().to_string().contains("blank"));
    let named = Text { from: Some("x".repeat(257)), ..text("x") };
    assert!(queue.enqueue(&named).unwrap_err().to_string().contains("its from has 257 bytes"));
    assert!(!queue.dir().exists());
    for _ in 0..20 {
        queue.enqueue(&text("x")).unwrap();
    }
    let error = queue.enqueue(&text("x")).unwrap_err().to_string();
    assert!(error.contains("20 entries wait (queue_max_entries)") && error.contains("queue drop"), "{error}");
    assert_eq!(files(&queue).len(), 20);
    claim(&mut queue.claimer(), 1).pop().unwrap().ack(&receipt()).unwrap();
    queue.enqueue(&text("x")).unwrap();
    assert!(matches!(queue.enqueue(&text("x")), Err(QueueError::Full { most: 20, .. })));
}

#[cfg(unix)]
#[test]
fn a_queue_is_for_its_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, queue) = queue();
    let id = queue.enqueue(&text("secret")).unwrap();
    let _claim = claim(&mut queue.claimer(), 1);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(queue.dir()), 0o700);
    for file in [queue.files.entry(&id), queue.files.lock(&id)] {
        assert_eq!(mode(&file), 0o600);
    }
}

/// An entry that was on its way when its claimer died, and its delivery.
fn in_doubt(queue: &Queue, what: &str) -> (EntryId, DeliveryId) {
    let id = queue.enqueue(&text(what)).unwrap();
    let delivery = DeliveryId::next();
    let mut claims = queue.claimer().claim(1, &delivery).unwrap();
    claims.iter_mut().for_each(Claim::sent);
    (id, delivery)
}

#[test]
fn a_doubt_outlives_whatever_its_entrys_file_has_become() {
    let (_dir, queue) = queue();
    let (id, delivery) = in_doubt(&queue, "whole when it was sent");
    for changed in [b"{\"half".as_slice(), b"", b"\xff"] {
        foreign(&queue, id.as_str(), changed, if changed == b"\xff" { OLD } else { Duration::ZERO });
        let claims = claim(&mut queue.claimer(), 10);
        assert!(matches!(&claims[..], [one] if *one.delivery() == delivery), "{claims:?}");
        drop(claims);
        assert!(matches!(&queue.list().unwrap()[0].state, Standing::InDoubt(holder) if holder.delivery == delivery));
    }
    assert_eq!(queue.depth().unwrap().dead, 0, "it may be in the thread");
    // Its user has found out that it has not arrived: now it is what it is.
    claim(&mut queue.claimer(), 1).pop().unwrap().release().unwrap();
    assert!(claim(&mut queue.claimer(), 10).is_empty());
    assert!(matches!(queue.fate(&id), Fate::Dead(Some(reason)) if reason.why.contains("not UTF-8")));
}

#[cfg(unix)]
#[test]
fn a_doubt_outlives_a_removal_that_failed() {
    let (_dir, queue) = queue();
    let (id, delivery) = in_doubt(&queue, "sent");
    let entry = queue.files.entry(&id);
    fs::remove_file(&entry).unwrap();
    // It can neither be removed nor be buried.
    for path in [entry, queue.files.dead(&id)] {
        fs::create_dir_all(path.join("kept")).unwrap();
    }
    assert!(matches!(queue.discard(&id), Err(QueueError::Files { .. })));
    assert!(matches!(&queue.list().unwrap()[0].state, Standing::InDoubt(holder) if holder.delivery == delivery));
}

#[cfg(unix)]
#[test]
fn a_name_that_leads_nowhere_stops_nobody() {
    let (_dir, queue) = queue();
    queue.make().unwrap();
    let link = |to: &str, at: &Path| std::os::unix::fs::symlink(to, at).unwrap();
    let [nowhere, round, under] = V4.map(|id| EntryId::parse(id).unwrap());
    link("nowhere", &queue.files.entry(&nowhere));
    link(&format!("{round}.json"), &queue.files.entry(&round));
    fs::write(queue.dir().join("file"), "").unwrap();
    link("file/under", &queue.files.entry(&under));
    queue.enqueue(&text("fine")).unwrap();
    let unusable =
        |listed: &&Listed| matches!(&listed.state, Standing::Unusable(why) if why.contains("cannot be read"));
    assert_eq!(queue.list().unwrap().iter().filter(unusable).count(), 3);
    assert_eq!((queue.depth().unwrap().waiting, queue.fate(&nowhere)), (4, Fate::Waiting));
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["fine"]);
    assert_eq!((queue.depth().unwrap().waiting, queue.list_dead().unwrap().len()), (1, 3));
    for id in [nowhere, round, under] {
        assert!(matches!(queue.fate(&id), Fate::Dead(Some(_))));
        queue.discard(&id).unwrap();
    }
    assert_eq!(queue.list_dead().unwrap(), []);
}

#[cfg(unix)]
#[test]
fn behind_a_lock_that_leads_nowhere_nobody_waits() {
    let (_dir, queue) = queue();
    let ids = ["nowhere", "round"].map(|what| queue.enqueue(&text(what)).unwrap());
    queue.enqueue(&text("behind")).unwrap();
    std::os::unix::fs::symlink("nowhere", queue.files.lock(&ids[0])).unwrap();
    std::os::unix::fs::symlink(queue.files.lock(&ids[1]), queue.files.lock(&ids[1])).unwrap();
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["behind"]);
    assert!(!queue.bury(&ids[0], "it is locked").unwrap());
    let old = Queue::at(queue.dir(), Limits { ttl: Some(Duration::ZERO), ..queue.limits() });
    assert_eq!(texts(&claim(&mut old.claimer(), 10)), ["nowhere", "round", "behind"]);
}

#[test]
fn a_queue_buries_even_if_the_name_of_its_graveyard_is_taken() {
    let (_dir, queue) = queue();
    foreign(&queue, V4[0], b"\xff", OLD);
    fs::write(queue.files.dead_dir(), "mine").unwrap();
    queue.enqueue(&text("fine")).unwrap();
    assert_eq!((queue.depth().unwrap().dead, queue.list_dead().unwrap()), (0, vec![]));
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["fine"]);
    assert_eq!(queue.depth().unwrap().dead, 1);
    let aside: Vec<String> = files(&queue).into_iter().filter(|name| name.starts_with("dead.")).collect();
    assert_eq!(fs::read(queue.dir().join(&aside[0])).unwrap(), b"mine");
}

#[test]
fn a_buried_directory_can_be_dropped_and_a_retry_overwrites_nothing() {
    let (_dir, queue) = queue();
    queue.make().unwrap();
    let [directory, twice] = [V4[0], V4[1]].map(|id| EntryId::parse(id).unwrap());
    fs::create_dir(queue.files.entry(&directory)).unwrap();
    foreign(&queue, V4[1], b"first", OLD);
    claim(&mut queue.claimer(), 1).pop().unwrap().bury("the test says so").unwrap();
    foreign(&queue, V4[1], b"second", OLD);
    assert!(matches!(queue.retry(&twice), Err(QueueError::Twice(_))));
    assert_eq!(queue.show(&twice).unwrap().unwrap().text.unwrap().text, "second");
    queue.discard(&twice).unwrap();
    assert!(matches!(queue.fate(&twice), Fate::Dead(_)), "what waited is dropped first");
    queue.retry(&twice).unwrap();
    assert_eq!(texts(&claim(&mut queue.claimer(), 1)), ["first"]);
    queue.discard(&directory).unwrap();
    assert_eq!(queue.fate(&directory), Fate::Gone);
}

#[test]
fn an_entry_that_has_arrived_ends_whatever_stands_in_its_place() {
    let (_dir, queue) = queue();
    for n in 0..4 {
        queue.enqueue(&text(&format!("{n}"))).unwrap();
    }
    let claims = claim(&mut queue.claimer(), 3);
    let ids: Vec<EntryId> = claims.iter().map(|claim| claim.id().clone()).collect();
    for id in &ids[..2] {
        fs::remove_file(queue.files.entry(id)).unwrap();
        fs::create_dir(queue.files.entry(id)).unwrap();
    }
    fs::create_dir(queue.files.entry(&ids[1]).join("kept")).unwrap();
    Claim::ack_all(claims, &receipt()).unwrap();
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["3"]);
    assert!(matches!(queue.fate(&ids[0]), Fate::Delivered(_)) && matches!(queue.fate(&ids[1]), Fate::Dead(Some(_))));
    assert!(queue.files.dead(&ids[1]).join("kept").is_dir(), "nothing of anybody's is deleted");
}

#[cfg(unix)]
#[test]
fn a_pipe_with_a_name_of_ours_is_not_waited_for() {
    let (_dir, queue) = queue();
    let ids = [queue.enqueue(&text("one")).unwrap(), queue.enqueue(&text("two")).unwrap()];
    let pipe = |path: &Path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
    pipe(&queue.files.tries(&ids[0]));
    pipe(&queue.files.lock(&ids[1]));
    pipe(&queue.files.delivered());
    pipe(&queue.files.delivered_before());
    private_dir(&queue.files.dead_dir()).unwrap();
    pipe(&queue.files.reason(&ids[0]));
    assert_eq!(queue.list().unwrap().len(), 2);
    assert!(matches!(queue.discard(&ids[1]), Err(QueueError::Held(..))));
    let claims = claim(&mut queue.claimer(), 10);
    assert_eq!(texts(&claims), ["one"]);
    Claim::ack_all(claims, &receipt()).unwrap();
    assert!(matches!(queue.fate(&ids[0]), Fate::Delivered(_)), "the pipe is set aside");
    fs::rename(queue.files.lock(&ids[1]), queue.files.dead(&ids[0])).unwrap();
    assert_eq!(queue.list_dead().unwrap().len(), 1);
}

#[test]
fn an_empty_file_that_was_on_its_way_is_asked_for_too() {
    let (_dir, queue) = queue();
    let (id, delivery) = in_doubt(&queue, "sent");
    fs::write(queue.files.entry(&id), "").unwrap();
    let claims = claim(&mut queue.claimer(), 10);
    assert!(matches!(&claims[..], [one] if *one.delivery() == delivery));
    Claim::ack_all(claims, &receipt()).unwrap();
    assert_eq!(files(&queue), [""; 0]);
}

#[test]
fn a_reason_is_one_line_and_counts_the_last_failure() {
    let (_dir, queue) = queue();
    let id = queue.enqueue(&text("no")).unwrap();
    let why = format!("Codex died:\n{}", "its last words\n".repeat(100));
    claim(&mut queue.claimer(), 1).pop().unwrap().failed(&why).unwrap();
    claim(&mut queue.claimer(), 1).pop().unwrap().failed_for_good(&why).unwrap();
    let Fate::Dead(Some(reason)) = queue.fate(&id) else { panic!("dead") };
    assert_eq!(reason.attempts, 2);
    assert!(
        reason.why.starts_with("it failed 2 times, the last time so: Codex died: its last words its"),
        "{reason:?}"
    );
    assert!(reason.why.chars().count() <= 500 && !reason.why.contains('\n'));
}

#[test]
fn a_retried_entry_has_its_old_place_also_if_that_is_its_files_time() {
    let (_dir, queue) = queue();
    let (first, second) = (V4[0], V4[1]);
    foreign(&queue, first, br#"{"v":1,"text":"first","expires_at":"2026-01-01T00:00:00Z"}"#, OLD * 2);
    assert!(claim(&mut queue.claimer(), 1).is_empty());
    foreign(&queue, second, b"second", OLD);
    queue.retry(&EntryId::parse(first).unwrap()).unwrap();
    assert_eq!(texts(&claim(&mut queue.claimer(), 10)), ["first", "second"]);
}

#[test]
fn a_torn_receipt_swallows_no_other() {
    let (_dir, queue) = queue();
    let ids = [queue.enqueue(&text("one")).unwrap(), queue.enqueue(&text("two")).unwrap()];
    let mut claims = claim(&mut queue.claimer(), 2).into_iter();
    claims.next().unwrap().ack(&receipt()).unwrap();
    let receipts = queue.files.delivered();
    let whole = fs::read(&receipts).unwrap();
    fs::write(&receipts, [whole.as_slice(), &whole[..40]].concat()).unwrap();
    claims.next().unwrap().ack(&receipt()).unwrap();
    assert!(ids.iter().all(|id| matches!(queue.fate(id), Fate::Delivered(_))));
}

#[test]
fn what_cannot_be_swept_keeps_nothing_from_being_swept() {
    let (_dir, queue) = queue();
    queue.make().unwrap();
    let ids = [(); 3].map(|()| EntryId::next());
    let old = Queue::at(queue.dir(), Limits { ttl: Some(Duration::ZERO), ..queue.limits() });
    fs::create_dir_all(queue.files.lock(&ids[0]).join("kept")).unwrap();
    fs::create_dir(queue.files.lock(&ids[1])).unwrap();
    fs::create_dir(queue.files.tries(&ids[1])).unwrap();
    fs::create_dir(queue.dir().join(".tmp-dir")).unwrap();
    fs::write(queue.files.lock(&ids[2]), "").unwrap();
    old.sweep(Duration::ZERO);
    assert_eq!(files(&queue), [format!("{}.lock", ids[0])]);
}

#[test]
fn what_crashes_left_is_swept_and_nothing_else() {
    let (_dir, queue) = queue();
    let id = queue.enqueue(&text("alive")).unwrap();
    let claims = claim(&mut queue.claimer(), 1);
    let (gone, foreign) = (EntryId::next(), EntryId::next());
    let orphan = Holder::us(&DeliveryId::next());
    fs::write(queue.files.lock(&gone), serde_json::to_vec(&orphan).unwrap()).unwrap();
    fs::write(queue.files.tries(&gone), "{}").unwrap();
    fs::write(queue.files.lock(&foreign), "").unwrap();
    fs::write(queue.dir().join(".tmp-half"), "{").unwrap();
    queue.sweep(OLD);
    let lock = format!("{id}.lock");
    let kept = [".tmp-half".to_owned(), format!("{id}.json"), lock.clone(), format!("{foreign}.lock")];
    assert_eq!(files(&queue), kept);
    queue.sweep(Duration::ZERO);
    assert_eq!(files(&queue), kept[1..]);
    claims.into_iter().for_each(|claim| claim.ack(&receipt()).unwrap());
}

#[test]
fn threads_that_write_and_take_at_once_lose_double_and_reorder_nothing() {
    let (_dir, queue) = queue();
    const WRITERS: usize = 3;
    const EACH: usize = 100;
    let seen: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let queue = queue.clone();
            scope.spawn(move || (0..EACH).for_each(|n| drop(queue.enqueue(&text(&format!("{writer} {n}"))).unwrap())));
        }
        for taker in 0..3 {
            let (queue, seen) = (queue.clone(), seen.clone());
            scope.spawn(move || {
                let mut claimer = queue.claimer();
                let all = |seen: &Arc<std::sync::Mutex<Vec<String>>>| seen.lock().unwrap().len();
                let mut turns = 0;
                while all(&seen) < WRITERS * EACH {
                    let claims = claim(&mut claimer, 7);
                    turns += 1;
                    // Some are given back, some dropped in doubt.
                    if (turns + taker) % 5 == 0 {
                        continue;
                    }
                    seen.lock().unwrap().extend(texts(&claims).into_iter().map(str::to_owned));
                    Claim::ack_all(claims, &receipt()).unwrap();
                }
            });
        }
    });
    let mut of: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for text in seen.lock().unwrap().iter() {
        let (writer, n) = text.split_once(' ').unwrap();
        of.entry(writer.to_owned()).or_default().push(n.parse().unwrap());
    }
    assert_eq!(of.len(), WRITERS);
    assert!(of.values().all(|seen| *seen == (0..EACH).collect::<Vec<_>>()), "{of:?}");
    assert_eq!(files(&queue), [""; 0]);
}

#[tokio::test]
async fn a_watch_wakes_for_what_was_there_before_and_for_what_comes() {
    let (_dir, queue) = queue();
    let watcher = Arc::new(Watcher::new());
    queue.enqueue(&text("before")).unwrap();
    let watch = Arrivals::of(&queue, &watcher).unwrap();
    let soon = Duration::from_secs(10);
    tokio::time::timeout(soon, watch.next()).await.expect("what came before it started");
    queue.enqueue(&text("after")).unwrap();
    tokio::time::timeout(soon, watch.next()).await.expect("what comes");
    let mut claimer = queue.claimer();
    let mut seen = 0;
    while seen < 2 {
        claimer.arrived();
        let claims = claim(&mut claimer, 10);
        seen += claims.len();
        Claim::ack_all(claims, &receipt()).unwrap();
        if seen < 2 {
            tokio::time::timeout(soon, watch.next()).await.expect("the rest");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_watch_wakes_for_a_queue_that_is_reached_through_a_link() {
    let (dir, queue) = queue();
    queue.make().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(queue.dir(), &link).unwrap();
    let linked = Queue::at(link, Limits::default());
    let watch = Arrivals::of(&linked, &Arc::new(Watcher::new())).unwrap();
    watch.next().await;
    let id = queue.enqueue(&text("hello")).unwrap();
    // The net would come after 30 s.
    tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("an event");
    assert_eq!(linked.list().unwrap()[0].id, id);
}

#[tokio::test]
async fn a_queue_that_was_removed_is_made_anew_and_watched() {
    let (_dir, queue) = queue();
    let watch = Arrivals::of(&queue, &Arc::new(Watcher::new())).unwrap();
    watch.next().await;
    fs::remove_dir_all(queue.dir().parent().unwrap()).unwrap();
    let soon = Duration::from_secs(10);
    tokio::time::timeout(soon, watch.next()).await.expect("it is there again");
    assert!(queue.dir().is_dir());
    queue.enqueue(&text("hello")).unwrap();
    tokio::time::timeout(soon, watch.next()).await.expect("an event");
}

/// What may happen to a queue with three claimers.
#[derive(Debug, Clone)]
enum Act {
    Enqueue { urgent: bool },
    Claim { by: usize, most: usize },
    ClaimUrgent { by: usize, most: usize },
    Ack,
    Release,
    Fail,
    Bury,
    Die,
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => any::<bool>().prop_map(|urgent| Act::Enqueue { urgent }),
        4 => (0..3usize, 1..4usize).prop_map(|(by, most)| Act::Claim { by, most }),
        2 => (0..3usize, 1..4usize).prop_map(|(by, most)| Act::ClaimUrgent { by, most }),
        3 => Just(Act::Ack),
        1 => Just(Act::Release),
        1 => Just(Act::Fail),
        1 => Just(Act::Bury),
        1 => Just(Act::Die),
    ]
}

/// What the model knows of one entry.
#[derive(Debug, Clone, PartialEq)]
struct Modelled {
    id: EntryId,
    urgent: bool,
    held: bool,
    doubt: Option<DeliveryId>,
    attempts: u32,
}

/// What a claim should give: the first that are free, up to one that is held, all in doubt or none.
fn expected(model: &[Modelled], urgent: bool, most: usize) -> Vec<EntryId> {
    let lane = model.iter().filter(|entry| !urgent || entry.urgent);
    let free: Vec<&Modelled> = lane.take_while(|entry| !entry.held).collect();
    let doubtful = free.first().is_some_and(|first| first.doubt.is_some());
    free.into_iter().take_while(|e| e.doubt.is_some() == doubtful).take(most).map(|e| e.id.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is done in whatever order, claims are those of a plain list of what waits.
    #[test]
    fn claims_and_their_order_are_those_of_the_model(acts in proptest::collection::vec(acts(), 1..60)) {
        let (_dir, queue) = queue();
        let mut claimers = [queue.claimer(), queue.claimer(), queue.claimer()];
        let mut model: Vec<Modelled> = Vec::new();
        let mut held: Vec<Claim> = Vec::new();
        for act in acts {
            let next = match act {
                Act::Ack | Act::Release | Act::Fail | Act::Bury | Act::Die if held.is_empty() => continue,
                Act::Ack | Act::Release | Act::Fail | Act::Bury | Act::Die => Some(held.remove(0)),
                _ => None,
            };
            let at = next.as_ref().map(|claim| model.iter().position(|e| e.id == *claim.id()).unwrap());
            match (act, next, at) {
                (Act::Enqueue { urgent }, ..) => {
                    let urgency = if urgent { Urgency::Urgent } else { Urgency::Normal };
                    let id = queue.enqueue(&Text { urgency, ..text("x") }).unwrap();
                    claimers.iter_mut().for_each(Claimer::arrived);
                    model.push(Modelled { id, urgent, held: false, doubt: None, attempts: 0 });
                }
                (act @ (Act::Claim { by, most } | Act::ClaimUrgent { by, most }), ..) => {
                    let urgent = matches!(act, Act::ClaimUrgent { .. });
                    let delivery = DeliveryId::next();
                    let claims = match urgent {
                        true => claimers[by].claim_urgent(most, &delivery).unwrap(),
                        false => claimers[by].claim(most, &delivery).unwrap(),
                    };
                    let ids: Vec<EntryId> = claims.iter().map(|claim| claim.id().clone()).collect();
                    prop_assert_eq!(&ids, &expected(&model, urgent, most));
                    for claim in &claims {
                        let entry = model.iter_mut().find(|entry| entry.id == *claim.id()).unwrap();
                        prop_assert_eq!(claim.attempts(), entry.attempts);
                        prop_assert_eq!(claim.delivery(), entry.doubt.as_ref().unwrap_or(&delivery));
                        entry.held = true;
                    }
                    held.extend(claims);
                }
                (Act::Ack, Some(claim), Some(at)) => {
                    claim.ack(&receipt()).unwrap();
                    model.remove(at);
                }
                (Act::Bury, Some(claim), Some(at)) => {
                    claim.bury("the test says so").unwrap();
                    model.remove(at);
                }
                (Act::Release, Some(claim), Some(at)) => {
                    claim.release().unwrap();
                    model[at] = Modelled { held: false, doubt: None, ..model[at].clone() };
                }
                (Act::Fail, Some(claim), Some(at)) => {
                    claim.failed("the test says so").unwrap();
                    let attempts = model[at].attempts + 1;
                    model[at] = Modelled { held: false, doubt: None, attempts, ..model[at].clone() };
                }
                (Act::Die, Some(mut claim), Some(at)) => {
                    claim.sent();
                    let doubt = Some(claim.delivery().clone());
                    drop(claim);
                    model[at] = Modelled { held: false, doubt, ..model[at].clone() };
                }
                other => unreachable!("{other:?}"),
            }
            let listed: Vec<EntryId> = queue.list().unwrap().into_iter().map(|listed| listed.id).collect();
            prop_assert_eq!(listed, model.iter().map(|entry| entry.id.clone()).collect::<Vec<_>>());
        }
    }
}
