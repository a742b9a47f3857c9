//! The children of a part: started, heard, killed, and started again.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use atm_agent_mcp::steps;
use fastrand::Rng;

use crate::armoury::Armoury;
use crate::figures::Kills;
use crate::history::Account;
use crate::life::now;
use crate::producer::Kind;

/// After so many nanoseconds a process's number may be another's: what was taken over then is not the first one's.
const REUSED: u128 = 60_000_000_000;

/// How long an armed child is left to come to its step.
const TIME_TO_FALL: Duration = Duration::from_secs(4);
/// For about how long an armed producer enqueues at most, in milliseconds.
const TIME_TO_ENQUEUE: u64 = 600;
/// How long one may take to end that was told to.
const GOODBYE: Duration = Duration::from_secs(20);

/// Where the children work.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) queue: PathBuf,
    pub(crate) aside: PathBuf,
    pub(crate) sink: PathBuf,
    /// The longest pause of a producer, in milliseconds.
    pub(crate) pause: u64,
}

impl Place {
    /// A copy of this program in a role; a producer begins `from` there.
    fn command(&self, role: Role, from: u64) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        match role {
            Role::Producer(number, kind) => {
                command.args(["producer", "--kind", kind.word(), "--producer", &number.to_string()]);
                command.args(["--from", &from.to_string(), "--pause", &self.pause.to_string()]);
                command.arg("--aside").arg(&self.aside);
            }
            Role::Drainer => {
                command.arg("drainer").arg("--sink").arg(&self.sink);
            }
        }
        command.arg("--queue").arg(&self.queue);
        Ok(command)
    }
}

/// What a child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Producer(u32, Kind),
    Drainer,
}

/// One place in the crew, and who fills it now.
#[derive(Debug)]
struct Member {
    role: Role,
    /// Nobody follows on the one that is there.
    leaving: bool,
    life: Option<Life>,
}

#[derive(Debug)]
struct Life {
    child: Child,
    /// The step at which it will fall.
    armed: Option<&'static str>,
    shot: bool,
    since: Instant,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What comes from a child.
enum Word {
    Line(String),
    /// Its stdout is closed.
    End,
}

/// All children of a part; they end with it.
pub(crate) struct Crew {
    place: Place,
    rng: Rng,
    members: Vec<Member>,
    armoury: Armoury,
    tell: Sender<(usize, Word)>,
    told: Receiver<(usize, Word)>,
    /// What the producers said.
    pub(crate) accounts: BTreeMap<u32, Account>,
    pub(crate) kills: Kills,
    /// When which process was killed by the parent.
    shots: Vec<(u32, u128)>,
    /// When claims of which process were taken over. It may live: who takes over and then leaves it to the next, leaves its
    /// name.
    takes: HashMap<u32, Vec<u128>>,
    /// What should not have happened.
    pub(crate) trouble: Vec<String>,
}

impl Crew {
    pub(crate) fn new(place: Place, mut rng: Rng) -> Crew {
        let (tell, told) = channel();
        Crew {
            place,
            armoury: Armoury::new(&mut rng),
            rng,
            members: Vec::new(),
            tell,
            told,
            accounts: BTreeMap::new(),
            kills: Kills::default(),
            shots: Vec::new(),
            takes: HashMap::new(),
            trouble: Vec::new(),
        }
    }

    /// Fills one place more.
    pub(crate) fn hire(&mut self, role: Role) -> io::Result<()> {
        if let Role::Producer(number, kind) = role {
            self.accounts.insert(number, Account { writes_in_place: kind == Kind::InPlace, ..Account::default() });
        }
        self.members.push(Member { role, leaving: false, life: None });
        self.start(self.members.len() - 1)
    }

    /// Hears what the children say, and fills the places of those that fell, until it is so late.
    pub(crate) fn hear(&mut self, until: Instant) -> io::Result<()> {
        while let Ok((at, word)) = self.told.recv_timeout(until.saturating_duration_since(Instant::now())) {
            match word {
                Word::Line(line) => self.note(at, &line),
                Word::End => self.fallen(at)?,
            }
        }
        Ok(())
    }

    /// Kills one of them.
    pub(crate) fn shoot(&mut self) -> io::Result<()> {
        let may_fall = |life: &Life| !life.shot && (life.armed.is_none() || life.since.elapsed() > TIME_TO_FALL);
        let targets = self.members.iter_mut().filter_map(|member| member.life.as_mut().filter(|life| may_fall(life)));
        let mut targets: Vec<&mut Life> = targets.collect();
        if let Some(life) = self.rng.choice(&mut targets) {
            life.shot = true;
            self.shots.push((life.child.id(), now()));
            life.child.kill()?;
        }
        Ok(())
    }

    /// From now on nobody is armed.
    pub(crate) fn calm(&mut self) {
        self.armoury.close();
    }

    /// Tells these to end, and waits until they have.
    pub(crate) fn dismiss(&mut self, which: impl Fn(Role) -> bool) -> io::Result<()> {
        for member in self.members.iter_mut().filter(|member| which(member.role)) {
            member.leaving = true;
            if let Some(life) = &mut member.life {
                drop(life.child.stdin.take());
            }
        }
        let until = Instant::now() + GOODBYE;
        while let Some(one) = self.members.iter().find(|member| which(member.role) && member.life.is_some()) {
            if Instant::now() > until {
                return Err(io::Error::other(format!("{:?} does not end", one.role)));
            }
            self.hear(Instant::now() + Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// How long it took after each kill of ours until claims of the dead were taken over; many had none.
    pub(crate) fn takeovers(&self) -> Vec<Duration> {
        let first = |(pid, shot): &(u32, u128)| {
            let after = self.takes.get(pid)?.iter().filter_map(|took| took.checked_sub(*shot)).min()?;
            if after > REUSED {
                return None;
            }
            Some(Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX)))
        };
        self.shots.iter().filter_map(first).collect()
    }

    /// Of how many processes claims were taken over.
    pub(crate) fn taken_over(&self) -> usize {
        self.takes.len()
    }

    fn start(&mut self, at: usize) -> io::Result<()> {
        let role = self.members[at].role;
        let last = u32::try_from(TIME_TO_ENQUEUE / self.place.pause.max(1)).unwrap_or(u32::MAX) + 1;
        let (from, armed) = match role {
            Role::Producer(number, Kind::Ours) => (self.next(number), self.armoury.for_producer(&mut self.rng, last)),
            Role::Producer(number, Kind::Renamed | Kind::InPlace) => (self.next(number), None),
            Role::Drainer => (0, self.armoury.for_drainer(&mut self.rng)),
        };
        let mut command = self.place.command(role, from)?;
        command.args(["--seed", &self.rng.u64(..).to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some((step, time)) = armed {
            command.env(steps::KILL_AT, format!("{step}:{time}"));
        }
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| io::Error::other("a child without stdout"))?;
        let tell = self.tell.clone();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                tell.send((at, Word::Line(line))).ok();
            }
            tell.send((at, Word::End)).ok();
        });
        let armed = armed.map(|(step, _)| step);
        self.members[at].life = Some(Life { child, armed, shot: false, since: Instant::now() });
        Ok(())
    }

    /// The number with which a producer goes on.
    fn next(&self, producer: u32) -> u64 {
        self.accounts.get(&producer).map_or(0, |account| account.tried) + 1
    }

    fn note(&mut self, at: usize, line: &str) {
        let known = line.split_once(' ').and_then(|(word, rest)| match (self.members[at].role, word) {
            (Role::Producer(number, _), "try" | "ack" | "late") => {
                let account = self.accounts.entry(number).or_default();
                let text = rest.parse().ok()?;
                match word {
                    "try" => account.tried = account.tried.max(text),
                    "ack" => drop(account.acked.insert(text)),
                    _ => {}
                }
                Some(())
            }
            (Role::Drainer, "took") => {
                let (pid, time) = rest.split_once(' ')?;
                let (pid, time): (u32, u128) = (pid.parse().ok()?, time.parse().ok()?);
                self.takes.entry(pid).or_default().push(time);
                Some(())
            }
            _ => None,
        });
        if known.is_none() {
            self.trouble.push(format!("{:?} says {line:?}", self.members[at].role));
        }
    }

    /// A child has ended: as it was to, or another takes its place.
    fn fallen(&mut self, at: usize) -> io::Result<()> {
        let Some(mut life) = self.members[at].life.take() else { return Ok(()) };
        let status = life.child.wait()?;
        let role = self.members[at].role;
        let leaving = self.members[at].leaving;
        match (status.code(), life.shot, life.armed) {
            (Some(0), ..) if leaving => {}
            (None, true, _) => self.kills.random += 1,
            (None, false, Some(step)) => self.kills.fell_at(step),
            // It should say why on stderr, and may do so a thousand times.
            _ => {
                self.trouble.push(format!("{role:?} ended by itself: {status}"));
                return Ok(());
            }
        }
        if leaving { Ok(()) } else { self.start(at) }
    }
}
