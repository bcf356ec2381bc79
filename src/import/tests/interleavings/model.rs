//! One account's incoming, the spool, the rows and what the daemon has in memory.
//!
//! A file is an inode with a version, which stands for its content. Each step of a client is two: the
//! SFTP server logs it, then does it. Times are milliseconds; a tick of the kernel's clock is four.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;

use super::rules::{self, Rules};
use super::scripts::{DATA, Do, MANIFESTS, Script};
use crate::account::AccountId;
use crate::audit::{Fact, Heard, Ledger, Name, Upload};
use crate::config::Pairing;
use crate::spool::arrivals::{Arrival, Order};
use crate::spool::pair::{Age, Content, ManifestSeen, Sight, Take, Verdict};
use crate::spool::{Claim, Entry, FileId, Kind, Part, Step, pair};

const UID: u32 = 70_000;
const TICK: i64 = 4;
/// Longer than `settle`.
const SETTLE: i64 = 2000 + TICK;
/// Longer than every grace period.
const LONG: i64 = 61_000;

/// How often the explorer may let something happen.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Budget {
    /// The clock ticks.
    pub ticks: usize,
    /// Nothing happens for longer than `settle`.
    pub settles: usize,
    /// The daemon is killed.
    pub crashes: usize,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The next half step of a connection.
    Client(usize),
    /// The daemon scans incoming and decides.
    Scan,
    /// It takes the next step of what it decided.
    Next,
    Tick,
    Settle,
    /// The daemon is killed. What it knew of uploads was stored, or not yet.
    Crash {
        stored: bool,
    },
    Restart,
}

#[derive(Clone, Debug)]
struct Connection {
    steps: Vec<Do>,
    at: usize,
    /// The step is logged, and not yet done.
    logged: bool,
    session: i32,
    /// The inode of its open handle.
    handle: Option<u64>,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Inode {
    pub(super) ino: u64,
    pub(super) ctime: i64,
    /// Its time was set; a write sets it to the ctime.
    pub(super) time_is_set: bool,
    pub(super) version: usize,
    pub(super) is_complete: bool,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Row {
    pub(super) claim: Claim,
    pub(super) refusal: Option<String>,
    pub(super) is_queued: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Answer {
    manifest: String,
    version: usize,
    /// The version of the data file that was imported.
    outcome: Result<usize, String>,
}

#[derive(Clone, Debug)]
struct Daemon {
    ledger: Ledger,
    order: Order,
    plan: Vec<Take>,
    /// The claim under way: its import, its next step, and when it began.
    claiming: Option<(usize, Step, Timestamp)>,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) rules: Rules,
    pub(super) now: i64,
    connections: Vec<Connection>,
    pub(super) incoming: BTreeMap<String, u64>,
    inodes: BTreeMap<u64, Inode>,
    spool: BTreeMap<(usize, Part), u64>,
    pub(super) rows: BTreeMap<usize, Row>,
    /// Which import has spent a manifest name.
    pub(super) spent: BTreeMap<String, usize>,
    last_import: usize,
    daemon: Option<Daemon>,
    /// Facts on uploads, as the state database has them.
    stored: Vec<(String, Fact)>,
    answers: Vec<Answer>,
    /// Files that a client replaces while they were in incoming.
    replaced: BTreeSet<(String, usize)>,
    /// Manifests that were complete in incoming.
    complete: BTreeSet<(String, usize)>,
    budget: Budget,
    has_crashed: bool,
    broken: Option<String>,
}

fn account() -> AccountId {
    "acme".parse().unwrap()
}

impl World {
    pub fn new(script: &Script, rules: Rules, budget: Budget) -> Self {
        let connections = script.connections.iter().cloned().map(|steps| Connection {
            steps,
            at: 0,
            logged: false,
            session: 0,
            handle: None,
        });
        let mut world = Self {
            rules,
            now: 1_000_000,
            connections: connections.collect(),
            incoming: BTreeMap::new(),
            inodes: BTreeMap::new(),
            spool: BTreeMap::new(),
            rows: BTreeMap::new(),
            spent: BTreeMap::new(),
            last_import: 0,
            daemon: None,
            stored: Vec::new(),
            answers: Vec::new(),
            replaced: BTreeSet::new(),
            complete: BTreeSet::new(),
            budget,
            has_crashed: false,
            broken: None,
        };
        world.restart();
        world
    }

    /// The moves that are possible and change something.
    pub fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (n, connection) in self.connections.iter().enumerate() {
            if connection.at < connection.steps.len() {
                moves.push(Move::Client(n));
            }
        }
        let clients_act = !moves.is_empty();
        let Some(daemon) = &self.daemon else {
            moves.push(Move::Restart);
            return moves;
        };
        let is_busy = daemon.claiming.is_some() || !daemon.plan.is_empty();
        let decides = !is_busy && (self.unfinished().is_some() || !self.decide().is_empty());
        if is_busy {
            moves.push(Move::Next);
        } else if decides {
            moves.push(Move::Scan);
        }
        if self.budget.crashes > 0 && (is_busy || clients_act) {
            moves.extend([true, false].map(|stored| Move::Crash { stored }));
        }
        // Time that changes no decision is left out. A step takes less than `settle`.
        let waits = clients_act && !is_busy && !decides;
        let decides_after = |pause| !self.decide_at(self.now + pause).is_empty();
        if self.budget.ticks > 0 && clients_act && (is_busy || (waits && decides_after(TICK))) {
            moves.push(Move::Tick);
        }
        let is_between_steps = self.connections.iter().all(|connection| !connection.logged);
        if self.budget.settles > 0 && waits && is_between_steps && decides_after(SETTLE) {
            moves.push(Move::Settle);
        }
        moves
    }

    pub fn make(&mut self, step: Move) {
        match step {
            Move::Client(n) => self.client(n),
            Move::Scan => self.scan(),
            Move::Next => self.next(),
            Move::Tick => {
                self.budget.ticks -= 1;
                self.now += TICK;
            }
            Move::Settle => {
                self.budget.settles -= 1;
                self.now += SETTLE;
            }
            Move::Crash { stored } => {
                self.budget.crashes -= 1;
                self.has_crashed = true;
                self.crash(stored);
            }
            Move::Restart => self.restart(),
        }
    }

    /// The promise that is broken, if one is.
    pub fn broken(&self) -> Option<String> {
        self.broken.clone()
    }

    /// Lets the daemon do all that is left to do. Returns the promise that is broken then.
    pub fn end(mut self) -> Option<String> {
        for pause in [TICK, SETTLE, LONG, LONG] {
            self.now += pause;
            while self.unfinished().is_some() || !self.decide().is_empty() {
                self.scan();
                while self
                    .daemon
                    .as_ref()
                    .is_some_and(|d| d.claiming.is_some() || !d.plan.is_empty())
                {
                    self.next();
                }
            }
        }
        for (manifest, version) in &self.complete {
            let of = |answer: &&Answer| answer.manifest == *manifest && answer.version == *version;
            let count = self.answers.iter().filter(of).count();
            let is_replaced = self.replaced.contains(&(manifest.clone(), *version));
            if count > 1 || (count == 0 && !is_replaced) {
                return Some(format!(
                    "{manifest} {version} has {count} answers: {:?}",
                    self.answers
                ));
            }
        }
        self.broken
    }

    /// Hashes all that the future depends on.
    pub fn digest(&self, hasher: &mut impl Hasher) {
        (self.now, self.budget, self.has_crashed).hash(hasher);
        (&self.incoming, &self.inodes, &self.spool, &self.rows, &self.stored).hash(hasher);
        (&self.answers, &self.replaced, &self.complete).hash(hasher);
        for Connection { at, logged, session, handle, .. } in &self.connections {
            (at, logged, session, handle).hash(hasher);
        }
        let Some(daemon) = &self.daemon else { return };
        let facts = daemon.ledger.facts_of(&account());
        facts.and_then(|facts| facts.since()).hash(hasher);
        for name in NAMES {
            facts.and_then(|facts| facts.get(&Name::of(name))).hash(hasher);
            daemon.order.get(name).hash(hasher);
        }
        self.known_sessions().hash(hasher);
        for take in &daemon.plan {
            (take.claim(), take.data.as_ref().err().map(|failure| &failure.detail)).hash(hasher);
        }
        daemon.claiming.hash(hasher);
    }

    /// Which sessions the ledger knows from their begin.
    fn known_sessions(&self) -> Vec<bool> {
        let Some(daemon) = &self.daemon else { return Vec::new() };
        let known = |c: &Connection| daemon.ledger.knows_session(UID, c.session);
        self.connections.iter().map(known).collect()
    }

    // Clients.

    fn client(&mut self, n: usize) {
        let connection = &mut self.connections[n];
        let step = connection.steps[connection.at];
        if !std::mem::replace(&mut connection.logged, true) {
            if step == Do::Begin {
                connection.session += 10;
            }
            // The client has asked for it: nobody refuses a manifest for less.
            if let Do::Open(name, _) | Do::Rename(_, name) = step {
                self.replace(name);
            }
            self.log(n, &line(step));
            if !matches!(step, Do::Begin | Do::End) {
                return;
            }
        }
        let connection = &mut self.connections[n];
        connection.logged = false;
        connection.at += 1;
        match step {
            Do::Begin | Do::End => {}
            Do::Open(name, version) => {
                self.replace(name);
                let ino = self.create(name, version);
                self.connections[n].handle = Some(ino);
            }
            Do::Resume(name) => self.connections[n].handle = self.incoming.get(name).copied(),
            Do::Close(name) => {
                let ino = self.connections[n].handle.take();
                if let Some(inode) = ino.and_then(|ino| self.inodes.get_mut(&ino)) {
                    inode.is_complete = true;
                }
                self.arrived(name);
            }
            Do::Cut(name) => {
                self.connections[n].handle = None;
                self.arrived(name);
            }
            Do::Set(name) => match self.incoming.get(name) {
                None => self.log(n, "sent status No such file"),
                Some(ino) => {
                    let now = self.now;
                    let inode = self.inodes.get_mut(ino).unwrap();
                    (inode.ctime, inode.time_is_set) = (now, true);
                }
            },
            Do::Rename(from, to) => {
                let Some(ino) = self.incoming.remove(from) else { return };
                self.replace(to);
                self.incoming.insert(to.to_owned(), ino);
                self.inodes.get_mut(&ino).unwrap().ctime = self.now;
                self.arrived(to);
            }
        }
    }

    /// Writes to an existing file, or makes a new one. The write is done by then.
    fn create(&mut self, name: &str, version: usize) -> u64 {
        let last = self.inodes.keys().last().copied().unwrap_or_default();
        let ino = *self.incoming.entry(name.to_owned()).or_insert(last + 1);
        let ctime = self.now;
        let inode = Inode { ino, ctime, time_is_set: false, version, is_complete: false };
        self.inodes.insert(ino, inode);
        ino
    }

    /// A client replaces what has the name in incoming, or is to get it back.
    fn replace(&mut self, name: &str) {
        let claimed = self.unfinished().and_then(|n| {
            let is_data = self.rows[&n].claim.data.as_ref().is_some_and(|data| data.name == name);
            self.spool.get(&(n, Part::Data)).filter(|_| is_data)
        });
        if let Some(ino) = self.incoming.get(name).or(claimed) {
            let version = self.inodes[ino].version;
            self.replaced.insert((name.to_owned(), version));
        }
    }

    /// inotify reports a close or a rename.
    fn arrived(&mut self, name: &str) {
        let at = self.moment();
        let Some(inode) = self.incoming.get(name).map(|ino| &self.inodes[ino]) else { return };
        if !MANIFESTS.contains(&name) {
            return;
        }
        if inode.is_complete {
            self.complete.insert((name.to_owned(), inode.version));
        }
        if let Some(daemon) = &mut self.daemon {
            let place = daemon.order.len() as u64;
            daemon.order.entry(name.to_owned()).or_insert(Arrival { at, place });
        }
    }

    fn log(&mut self, n: usize, message: &str) {
        let at = self.moment();
        let pid = i32::try_from(n).unwrap() + self.connections[n].session + 1;
        let bytes = format!("<38>Nov 25 18:12:24 internal-sftp[{pid}]: {message}").into_bytes();
        if let Some(daemon) = &mut self.daemon {
            daemon.ledger.hear(Heard { uid: UID, pid, at, bytes });
        }
    }

    /// Now, as exact as the kernel's own clock: no two steps of clients are at one moment.
    fn moment(&self) -> Timestamp {
        let steps = |c: &Connection| 2 * c.at as i64 + i64::from(c.logged);
        let steps: i64 = self.connections.iter().map(steps).sum();
        Timestamp::from_microsecond(self.now * 1000 + steps).unwrap()
    }

    // The daemon.

    fn restart(&mut self) {
        let mut ledger = Ledger::new(UID..=UID);
        ledger.follow([(UID, account())].into_iter());
        let since = self.moment();
        let facts = ledger.facts(&account());
        for (name, fact) in self.stored.drain(..) {
            let fact = Fact { writers: Default::default(), replaced_at: None, ..fact };
            facts.remember(Name::of(&name), fact);
        }
        facts.hears_since(since);
        self.daemon =
            Some(Daemon { ledger, order: Order::new(), plan: Vec::new(), claiming: None });
    }

    fn crash(&mut self, stored: bool) {
        let Some(daemon) = self.daemon.take() else { return };
        let facts = daemon.ledger.facts_of(&account()).filter(|_| stored);
        self.stored = NAMES
            .iter()
            .filter_map(|name| Some((name.to_string(), facts?.get(&Name::of(name))?.clone())))
            .collect();
    }

    fn unfinished(&self) -> Option<usize> {
        self.rows.iter().find(|(_, row)| !row.is_queued).map(|(n, _)| *n)
    }

    fn scan(&mut self) {
        let began = self.moment();
        if let Some(n) = self.unfinished() {
            let step = Step::first(&self.rows[&n].claim);
            self.daemon.as_mut().unwrap().claiming = Some((n, step, began));
            return;
        }
        let plan = self.decide();
        self.daemon.as_mut().unwrap().plan = plan;
    }

    fn decide(&self) -> Vec<Take> {
        self.decide_at(self.now)
    }

    fn decide_at(&self, now: i64) -> Vec<Take> {
        let sight = self.sight(now);
        if self.rules == Rules::Before {
            return rules::decide(self, &sight);
        }
        let Some(daemon) = &self.daemon else { return Vec::new() };
        let upload = |entry: &Entry| {
            let facts = daemon.ledger.facts_of(&account());
            let upload = facts.map(|facts| facts.upload(&Name::of(&entry.name), entry.ctime));
            upload.unwrap_or_else(Upload::default)
        };
        let spent = |name: &str| self.spent.get(name).map(|n| format!("t-{n}").parse().unwrap());
        pair::decide(&sight, &daemon.order, &Pairing::default(), spent, upload).take
    }

    fn sight(&self, now: i64) -> Sight {
        let mut sight = Sight { tick: self.ms(now), ..Sight::default() };
        for (name, ino) in &self.incoming {
            let inode = &self.inodes[ino];
            let entry = self.entry(name, inode);
            let age = Duration::from_millis((now - inode.ctime).unsigned_abs());
            let age = Age { then: age, since: Duration::ZERO };
            let is_open = self.connections.iter().any(|c| c.handle == Some(*ino));
            if MANIFESTS.contains(&name.as_str()) {
                let content = if is_open { Content::BeingWritten } else { content() };
                sight.manifests.push(ManifestSeen { entry, content, age });
                continue;
            }
            if name == DATA {
                sight.ages.insert(name.clone(), age);
                if is_open {
                    sight.being_written.insert(name.clone());
                }
            }
            sight.files.push(entry);
        }
        sight
    }

    pub(super) fn inode(&self, name: &str) -> Option<&Inode> {
        self.incoming.get(name).map(|ino| &self.inodes[ino])
    }

    fn entry(&self, name: &str, inode: &Inode) -> Entry {
        let (name, ctime) = (name.to_owned(), self.ms(inode.ctime));
        Entry { name, kind: Kind::Regular, size: 1, ctime, dev: 1, ino: inode.ino, nlink: 1 }
    }

    fn ms(&self, ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    /// Writes the next row, or takes the next step of a claim.
    fn next(&mut self) {
        let began = self.moment();
        let daemon = self.daemon.as_mut().unwrap();
        let Some((n, step, began)) = daemon.claiming else {
            let take = daemon.plan.remove(0);
            let claim = take.claim();
            self.last_import += 1;
            let n = self.last_import;
            daemon.claiming = Some((n, Step::first(&claim), began));
            self.spent.entry(claim.manifest.name.clone()).or_insert(n);
            let refusal = take.data.err().map(|failure| failure.to_string());
            self.rows.insert(n, Row { claim, refusal, is_queued: false });
            return;
        };
        let claim = self.rows[&n].claim.clone();
        let file = match step {
            Step::Take(Part::Data) | Step::Return(Part::Data) => claim.data.as_ref(),
            _ => Some(&claim.manifest),
        };
        let next = match (step, file) {
            (Step::Take(part), Some(file)) => match self.take(n, part, file) {
                true => step.done(&claim),
                false => Step::undo(),
            },
            (Step::Return(part), Some(file)) => {
                self.give_back(n, part, file);
                step.done(&claim)
            }
            (Step::Queue, _) => {
                self.queue(n, &claim, began);
                self.daemon.as_mut().unwrap().claiming = None;
                return;
            }
            _ => {
                self.rows.remove(&n);
                self.spent.retain(|_, by| *by != n);
                let daemon = self.daemon.as_mut().unwrap();
                (daemon.claiming, daemon.plan) = (None, Vec::new());
                return;
            }
        };
        self.daemon.as_mut().unwrap().claiming = Some((n, next, began));
    }

    /// As the claim does it: finds the file in the spool, or the very one that was seen in incoming.
    fn take(&mut self, n: usize, part: Part, file: &FileId) -> bool {
        let is_open = |ino| self.connections.iter().any(|c| c.handle == Some(ino));
        if let Some(ino) = self.spool.get(&(n, part)) {
            return *ino == file.ino && !is_open(*ino);
        }
        let Some(inode) = self.inode(&file.name) else { return false };
        let is_same = inode.ino == file.ino && self.ms(inode.ctime) == file.ctime;
        if !is_same || is_open(inode.ino) {
            return false;
        }
        let ino = inode.ino;
        self.spool.insert((n, part), ino);
        if part == Part::Manifest && self.rules == Rules::Before {
            return true; // it is a copy
        }
        self.incoming.remove(&file.name);
        self.inodes.get_mut(&ino).unwrap().ctime = self.now;
        true
    }

    fn give_back(&mut self, n: usize, part: Part, file: &FileId) {
        let Some(ino) = self.spool.remove(&(n, part)) else { return };
        if self.incoming.contains_key(&file.name) {
            // The new file replaces it, as if it had been written over it.
            let version = self.inodes[&ino].version;
            self.replaced.insert((file.name.clone(), version));
            return;
        }
        self.incoming.insert(file.name.clone(), ino);
        self.inodes.get_mut(&ino).unwrap().ctime = self.now;
        let at = self.moment();
        if part == Part::Manifest {
            let order = &mut self.daemon.as_mut().unwrap().order;
            let place = order.len() as u64;
            order.entry(file.name.clone()).or_insert(Arrival { at, place });
        }
    }

    /// The row becomes queued: nothing stops the answer any more.
    fn queue(&mut self, n: usize, claim: &Claim, began: Timestamp) {
        let row = self.rows.get_mut(&n).unwrap();
        row.is_queued = true;
        let version = |part| self.spool.get(&(n, part)).map(|ino| &self.inodes[ino]);
        let manifest = version(Part::Manifest).unwrap().version;
        let outcome = match (&row.refusal, version(Part::Data)) {
            (Some(text), _) => Err(text.clone()),
            (None, data) => Ok(data.unwrap().version),
        };
        if let Some(false) = version(Part::Data).map(|data| data.is_complete) {
            self.breaks_unless_crashed("half a file is imported".into());
        }
        let daemon = self.daemon.as_mut().unwrap();
        daemon.order.remove(&claim.manifest.name);
        for file in claim.data.iter().chain([&claim.manifest]) {
            daemon.ledger.facts(&account()).claimed(&Name::of(&file.name), began);
        }
        let name = &claim.manifest.name;
        self.judge(Answer { manifest: name.clone(), version: manifest, outcome });
    }

    /// Whether an answer is right.
    fn judge(&mut self, answer: Answer) {
        let Answer { manifest, version, outcome } = &answer;
        let is_again = self.answers.iter().any(|before| before.manifest == *manifest);
        let is_replaced = self.replaced.contains(&(DATA.to_owned(), *version));
        match outcome {
            Ok(data) if self.answers.iter().any(|before| before.outcome == Ok(*data)) => {
                self.breaks(|| format!("version {data} is imported twice"));
            }
            Ok(data) if data != version && self.rules == Rules::Now => {
                self.breaks_unless_crashed(format!("{manifest} is imported with version {data}"));
            }
            Ok(_) if is_again => self.breaks(|| format!("{manifest} is imported twice")),
            Ok(_) => {}
            Err(text) if is_again && text.contains("was used before") => {}
            Err(text) if is_replaced && text.contains("was uploaded again before") => {}
            Err(text) => self.breaks_unless_crashed(format!("{manifest} is refused: {text}")),
        }
        let place = |answer: &Answer| MANIFESTS.iter().position(|m| *m == answer.manifest);
        if self.answers.last().is_some_and(|last| place(last) > place(&answer)) {
            self.breaks_unless_crashed(format!("{} comes late", answer.manifest));
        }
        self.answers.push(answer);
    }

    fn breaks(&mut self, what: impl FnOnce() -> String) {
        self.broken.get_or_insert_with(what);
    }

    /// What the clients did while the daemon was down is not in its log, and after a restart the
    /// order of manifests is that of their last changes.
    fn breaks_unless_crashed(&mut self, what: String) {
        if !self.has_crashed {
            self.breaks(|| what);
        }
    }
}

/// Every name in the scripts.
const NAMES: [&str; 5] = [DATA, MANIFESTS[0], MANIFESTS[1], "t", "u"];

fn content() -> Content {
    Content::Read(Verdict::Valid {
        data_type: crate::report::DataType::Event,
        data_file: DATA.into(),
        client_email: "a@example.com".into(),
    })
}

/// What the SFTP server logs before a step.
fn line(step: Do) -> String {
    let moved = "bytes read 0 written 6";
    match step {
        Do::Begin => "session opened for local user acme from [192.0.2.7]".into(),
        Do::Open(name, _) => {
            format!("open \"/incoming/{name}\" flags WRITE,CREATE,TRUNCATE mode 0666")
        }
        Do::Resume(name) => format!("open \"/incoming/{name}\" flags WRITE,CREATE mode 0666"),
        Do::Close(name) => format!("close \"/incoming/{name}\" {moved}"),
        Do::Cut(name) => format!("forced close \"/incoming/{name}\" {moved}"),
        Do::Set(name) => format!("set \"/incoming/{name}\" mode 0640"),
        Do::Rename(from, to) => {
            format!("posix-rename old \"/incoming/{from}\" new \"/incoming/{to}\"")
        }
        Do::End => "session closed for local user acme from [192.0.2.7]".into(),
    }
}
