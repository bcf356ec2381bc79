//! The model's state: one account's incoming, the spool, the rows and the daemon's memory. This
//! file has the possible moves and the checks of a state. `client` and `daemon` make the moves.
//!
//! A file is an inode with a version, which represents its content. Each step of a client consists
//! of two moves: the SFTP server logs the step, then executes it. Times are in milliseconds. A tick
//! of the kernel's clock is four milliseconds.

mod client;
mod daemon;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;

use super::rules::Rules;
use super::scripts::{DATA, Do, MANIFESTS, PART, Script};
use crate::account::AccountId;
use crate::audit::{LogLine, LoggedName, SessionTracker, UploadOutcome, UploadState};
use crate::config::{Pairing, ReusedManifest};
use crate::spool::incoming::snapshot::ArrivingFile;
use crate::spool::watch::arrivals::{Arrival, ArrivalOrder};
use crate::spool::{Age, ListedManifest, ManifestContent, ParsedManifest, PlannedClaim, Snapshot};
use crate::spool::{Claim, ClaimStep, DirEntry, FileId, FileKind, PairFile, pairing};

const UID: u32 = 70_000;
const TICK: i64 = 4;
/// A duration in ms that is longer than `settle`.
const SETTLE: i64 = 2000 + TICK;
/// A duration in ms that is longer than every grace period.
const LONG: i64 = 61_000;

/// The maximum number of events of each kind in one exploration.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Budget {
    /// The maximum number of ticks of the clock.
    pub ticks: usize,
    /// The maximum number of pauses longer than `settle`.
    pub settles: usize,
    /// The maximum number of times that the daemon is killed.
    pub crashes: usize,
}

/// A move of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A connection executes its next half step.
    Client(usize),
    /// The daemon scans incoming and decides which pairs to claim.
    Scan,
    /// The daemon executes the next step of its plan.
    Next,
    Tick,
    Settle,
    /// The daemon is killed before or after its upload outcomes were stored.
    Crash {
        stored: bool,
    },
    Restart,
}

#[derive(Clone, Debug)]
struct Connection {
    steps: Vec<Do>,
    at: usize,
    /// Whether the next step of the connection is logged but not executed yet.
    logged: bool,
    session: i32,
    /// The inode that the connection has open.
    handle: Option<u64>,
}

#[derive(Clone, Debug, Hash)]
pub(super) struct Inode {
    pub(super) ino: u64,
    pub(super) ctime: i64,
    /// Whether a client set the mtime. A write sets the mtime to the ctime.
    pub(super) time_is_set: bool,
    pub(super) version: usize,
    pub(super) is_complete: bool,
    /// The time at which a writer last closed the file.
    pub(super) closed: i64,
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
    tracker: SessionTracker,
    order: ArrivalOrder,
    plan: Vec<PlannedClaim>,
    /// The current claim: its import, its next step, and the time at which it began.
    claiming: Option<(usize, ClaimStep, Timestamp)>,
    /// Whether the current claim has renamed the earlier answer.
    has_renamed: bool,
}

/// The whole state of the model.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) rules: Rules,
    pub(super) now: i64,
    connections: Vec<Connection>,
    pub(super) incoming: BTreeMap<String, u64>,
    inodes: BTreeMap<u64, Inode>,
    spool: BTreeMap<(usize, PairFile), u64>,
    pub(super) rows: BTreeMap<usize, Row>,
    /// The import that spent each manifest name, by manifest name.
    pub(super) spent: BTreeMap<String, usize>,
    last_import: usize,
    daemon: Option<Daemon>,
    /// The upload outcomes, as stored in the state database.
    stored: Vec<(String, UploadOutcome)>,
    answers: Vec<Answer>,
    /// The names of the reports in results/, with the imports that the reports belong to.
    results: BTreeMap<String, usize>,
    reused: ReusedManifest,
    /// The files that a client replaced while they were in incoming.
    replaced: BTreeSet<(String, usize)>,
    /// The manifests that were complete in incoming.
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
            results: BTreeMap::new(),
            reused: script.reused,
            replaced: BTreeSet::new(),
            complete: BTreeSet::new(),
            budget,
            has_crashed: false,
            broken: None,
        };
        world.restart();
        world
    }

    /// Returns the possible moves that change the state.
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
        // Time that changes no decision is skipped. A step of a client takes less than `settle`.
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

    /// Returns a description of the promise that is broken in this state. `None` if all promises
    /// hold.
    pub fn broken(&self) -> Option<String> {
        self.broken.clone()
    }

    /// Lets the daemon finish all its work. Returns a description of the promise that is then
    /// broken. `None` if all promises hold.
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
        self.broken_result().or(self.broken)
    }

    /// Returns a description of the report that is missing in results/ or has a wrong name.
    fn broken_result(&self) -> Option<String> {
        for (n, row) in self.rows.iter().filter(|(_, row)| row.is_queued) {
            let is_same = |other: &&Row| other.claim.manifest.name == row.claim.manifest.name;
            let later = self.rows.range(n + 1..).map(|(_, row)| row);
            let name = match later.clone().any(|other| is_same(&other)) {
                true => format!("t-{n}"),
                false => row.claim.manifest.name.clone(),
            };
            if self.results.get(&name) != Some(n) {
                return Some(format!("import {n} is not {name}: {:?}", self.results));
            }
        }
        None
    }

    /// Hashes all values of the state that later moves depend on.
    pub fn digest(&self, hasher: &mut impl Hasher) {
        (self.now, self.budget, self.has_crashed).hash(hasher);
        (&self.incoming, &self.inodes, &self.spool, &self.rows, &self.stored).hash(hasher);
        (&self.answers, &self.results, &self.replaced, &self.complete).hash(hasher);
        for Connection { at, logged, session, handle, .. } in &self.connections {
            (at, logged, session, handle).hash(hasher);
        }
        let Some(daemon) = &self.daemon else { return };
        let outcomes = daemon.tracker.outcomes(&account());
        outcomes.and_then(|outcomes| outcomes.complete_since()).hash(hasher);
        for name in NAMES {
            outcomes.and_then(|outcomes| outcomes.get(&LoggedName::of(name))).hash(hasher);
            daemon.order.get(name).hash(hasher);
        }
        self.known_sessions().hash(hasher);
        for take in &daemon.plan {
            (take.claim(), take.data.as_ref().err().map(|failure| &failure.detail)).hash(hasher);
        }
        (daemon.claiming, daemon.has_renamed).hash(hasher);
    }

    /// Returns, for each connection, whether the tracker knows its session from the beginning.
    fn known_sessions(&self) -> Vec<bool> {
        let Some(daemon) = &self.daemon else { return Vec::new() };
        let known = |c: &Connection| daemon.tracker.has_session_start(UID, c.session);
        self.connections.iter().map(known).collect()
    }

    /// Returns the current time with the precision of the kernel's clock. Two client steps never
    /// have the same time.
    fn moment(&self) -> Timestamp {
        let steps = |c: &Connection| 2 * c.at as i64 + i64::from(c.logged);
        let steps: i64 = self.connections.iter().map(steps).sum();
        Timestamp::from_microsecond(self.now * 1000 + steps).unwrap()
    }

    pub(super) fn inode(&self, name: &str) -> Option<&Inode> {
        self.incoming.get(name).map(|ino| &self.inodes[ino])
    }

    /// Checks an answer against the promises.
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
            Ok(_) if is_again && self.reused == ReusedManifest::Refuse => {
                self.breaks(|| format!("{manifest} is imported twice"))
            }
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

    /// Records a broken promise unless the daemon crashed. The log lacks the clients' steps during
    /// a crash, and after a restart manifests are in the order of their last changes.
    fn breaks_unless_crashed(&mut self, what: String) {
        if !self.has_crashed {
            self.breaks(|| what);
        }
    }
}

/// The names of all files in the scripts.
const NAMES: [&str; 6] = [DATA, PART, MANIFESTS[0], MANIFESTS[1], "t", "u"];
