//! [`Facts`]: how the last write to each file in an account's incoming ended, by the log. Pure.
//!
//! Invariant: of two possible outcomes, the worse one counts. The log is complete only since
//! [`Facts::since`]. A file that changed before then, but after its outcome was recorded, is
//! unknown. A file that nobody wrote by SFTP since then has no outcome and needs none.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::logged_name::Name;

/// The maximum number of files with an outcome per account. Beyond it all outcomes of the account
/// are dropped, and its files count as unknown.
pub const MOST: usize = 10_000;

/// The maximum number of sessions per file. With more of them, its writers are unknown.
const MAX_SESSIONS: usize = 16;

/// The server logs a request before it serves it. The change is made within this time, by the
/// kernel's coarse clock.
const SLACK: SignedDuration = SignedDuration::from_millis(100);

/// How a write ended, ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The client closed the file.
    Closed,
    /// Unknown: the file was changed while the log was incomplete.
    Unknown,
    /// The file was opened and the log has no close: it is still open, or the server process was
    /// killed.
    Open,
    /// The connection ended before the client closed the file.
    Forced,
}

/// The number of an SFTP session, counted from the daemon's start. Unlike process ids, these
/// numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The sessions that changed a file, as far as the log names them. They are not stored, so they are
/// unknown after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writers {
    /// Whether every session is known that changed the file since it was created or truncated.
    all_known: bool,
    /// The sessions that have not ended.
    open: BTreeSet<SessionId>,
    /// When the last of the ended sessions ended.
    last_end: Option<Timestamp>,
}

/// The session that sent a request, and when.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// `None` if the log does not have the session's start.
    pub session: Option<SessionId>,
    /// When the log line was sent.
    pub at: Timestamp,
    /// The client's address, if known.
    pub from: Option<&'a str>,
}

/// Whether the sessions that changed a file are done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sessions {
    /// The log does not show it, or a session has not ended.
    #[default]
    Unknown,
    /// All sessions have ended, and nobody changed the file since.
    Ended,
    /// The last session ended while it had the file open.
    Cut,
}

/// What the log shows about a file in incoming, for pairing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    pub sessions: Sessions,
    /// When the client last closed the file. `None` if unknown.
    pub closed_at: Option<Timestamp>,
    /// When a complete file with this name was last opened for writing or renamed over. `None` if
    /// that did not happen or is unknown.
    pub replaced_at: Option<Timestamp>,
    /// Whether the log has the whole last write. Then a `replaced_at` of `None` is certain.
    pub is_known: bool,
    /// When the log last announced a change. The change follows immediately.
    pub announced_at: Option<Timestamp>,
}

/// How the last write to a file ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fact {
    pub end: End,
    /// The number of bytes that the handle wrote, if known.
    pub bytes: Option<u64>,
    /// When the write ended; if the file is still open, when it began.
    pub at: Timestamp,
    /// The client's address, if known.
    pub from: Option<String>,
    /// When the log last mentioned the file.
    pub known_at: Timestamp,
    pub writers: Writers,
    /// See [`Upload::replaced_at`]. Not stored.
    pub replaced_at: Option<Timestamp>,
}

/// Why a file may not be what the client wanted to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The last write did not end with a close by the client.
    CutOff(Fact),
    /// The log does not show how the last write ended.
    Unknown,
}

/// The upload outcomes of one account's files.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    since: Option<Timestamp>,
    known: HashMap<Name, Fact>,
    /// Whether a name among them was truncated in the log.
    some_cut: bool,
    /// The names whose outcome differs from the stored one.
    changed: HashSet<Name>,
    /// Whether all stored outcomes are to be deleted.
    cleared: bool,
}

/// The changes of an account's outcomes that are to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Whether to delete all stored outcomes of the account first.
    pub cleared: bool,
    /// The new outcome of each changed file. `None` deletes it.
    pub names: Vec<(Name, Option<Fact>)>,
}

impl Facts {
    /// Loads an outcome that was stored before.
    pub fn remember(&mut self, name: Name, fact: Fact) {
        self.some_cut |= name.cut;
        self.known.insert(name, fact);
    }

    /// Notes that the log is complete from `at` on.
    pub fn hears_since(&mut self, at: Timestamp) {
        self.since = Some(self.since.map_or(at, |since| since.max(at)));
    }

    /// Returns since when the log is complete. `None` if it is not.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// Returns the outcome of exactly this name.
    pub fn get(&self, name: &Name) -> Option<&Fact> {
        self.known.get(name)
    }

    /// Returns whether a file with exactly this name exists, by the log.
    pub fn has(&self, name: &Name) -> bool {
        let was_open = |fact: &&Fact| matches!(fact.end, End::Closed | End::Forced);
        let fact = self.known.get(name).filter(was_open);
        !name.cut && fact.is_some_and(|fact| self.is_fresh(fact))
    }

    /// Returns every name whose outcome is older than `before`.
    pub fn older_than(&self, before: Timestamp) -> impl Iterator<Item = &Name> {
        self.known.iter().filter(move |(_, fact)| fact.known_at < before).map(|(name, _)| name)
    }

    /// Sets or removes the outcome of `name`.
    pub fn set(&mut self, name: &Name, fact: Option<Fact>) {
        match fact {
            Some(fact) => {
                if self.known.len() >= MOST && !self.known.contains_key(name) {
                    self.lose_track(fact.known_at);
                }
                self.some_cut |= name.cut;
                self.known.insert(name.clone(), fact);
                self.changed.insert(name.clone());
            }
            None if self.known.remove(name).is_some() => {
                self.changed.insert(name.clone());
                self.some_cut &= !name.cut || self.known.keys().any(|name| name.cut);
            }
            None => {}
        }
    }

    /// Drops all outcomes: something happened at `at` to a file that cannot be identified.
    pub fn lose_track(&mut self, at: Timestamp) {
        self.known.clear();
        self.changed.clear();
        self.cleared = true;
        self.hears_since(at.checked_add(SLACK).unwrap_or(at));
    }

    /// Records that a handle for writing is opened. `empties` is whether that creates or truncates
    /// the file.
    pub fn opened(&mut self, name: &Name, empties: bool, by: By<'_>) {
        if self.sticks(name) {
            return;
        }
        let before = self.known.get(name);
        let mut writers = before.map(|fact| fact.writers.clone()).unwrap_or_default();
        writers.all_known |= empties;
        writers.add(by.session);
        let replaced_at = replaced_at(before, by.at);
        self.set(name, Some(Fact { writers, replaced_at, ..fact(End::Open, None, by) }));
    }

    /// Records that a handle is closed, by the client or because the session ended (`forced`).
    pub fn closed(&mut self, name: &Name, forced: bool, moved: Option<(u64, u64)>, by: By<'_>) {
        let known = self.known.get(name);
        let was_open = known.is_some_and(|fact| fact.end == End::Open);
        let (read, written) = moved.unzip();
        // If the log has the file's opening, a handle that wrote nothing is one that only reads.
        let heard = known.is_some_and(|fact| self.is_fresh(fact));
        let may_have_written = forced && !heard && read == Some(0);
        if written == Some(0) && !was_open && !may_have_written {
            return;
        }
        if forced || !self.sticks(name) {
            let end = if forced { End::Forced } else { End::Closed };
            let mut writers = known.map(|fact| fact.writers.clone()).unwrap_or_default();
            // An open that is not in the log may belong to another session.
            writers.all_known &= by.session.is_some_and(|id| writers.open.contains(&id));
            let replaced_at = known.and_then(|fact| fact.replaced_at);
            self.set(name, Some(Fact { writers, replaced_at, ..fact(end, written, by) }));
        }
    }

    /// Records that a file's mode, times or size are set. If its outcome is older than the complete
    /// log, it becomes unknown: the file's ctime can no longer show a change that the log missed.
    pub fn touched(&mut self, name: &Name, by: By<'_>) {
        if let Some(fact) = self.known.get(name) {
            let touched = self.touched_fact(fact.clone(), by);
            self.set(name, Some(touched));
        }
    }

    /// Records that `old` is renamed to `new`, along with its outcome.
    pub fn renamed(&mut self, old: &Name, new: &Name, by: By<'_>) {
        let replaced_at = replaced_at(self.known.get(new), by.at);
        let Some(fact) = self.about(&old.text, old.cut) else {
            // Nothing is known about the renamed file, and the rename may have failed.
            if let Some(fact) = self.known.get(new) {
                let mut touched = self.touched_fact(fact.clone(), by);
                touched.writers.all_known = false;
                self.set(new, Some(Fact { replaced_at, ..touched }));
            }
            return;
        };
        let carried = Fact { replaced_at, ..self.touched_fact(fact, by) };
        if !old.cut && !self.sticks(old) {
            self.set(old, None);
        }
        if !self.sticks(new) || carried.end >= End::Open {
            self.set(new, Some(carried));
        }
    }

    /// Records that `session` ended at `at`. Returns whether it had changed a file.
    pub fn session_ended(&mut self, session: SessionId, at: Timestamp) -> bool {
        let mut changed = false;
        for fact in self.known.values_mut() {
            changed |= fact.writers.end(session, at);
        }
        changed
    }

    /// Removes the outcome of the file `name`, which was claimed from `at` on. The outcome of a new
    /// file with the same name stays.
    pub fn claimed(&mut self, name: &Name, at: Timestamp) {
        let new = self.known.get(name).filter(|fact| fact.at > at);
        let new = new.map(|fact| Fact { replaced_at: None, ..fact.clone() });
        self.set(name, new);
    }

    /// Returns what is known about the file `name`, last changed at `ctime`.
    pub fn upload(&self, name: &Name, ctime: Timestamp) -> Upload {
        let Some(fact) = self.known.get(name) else { return Upload::default() };
        let is_known = self.is_fresh(fact) && fact.end != End::Unknown;
        let is_closed = is_known && fact.end == End::Closed;
        let sessions = match fact.end {
            End::Forced => Sessions::Cut,
            // A truncated name in the log may be this name.
            End::Closed if is_closed && !self.some_cut && fact.writers.ended_by(ctime) => {
                Sessions::Ended
            }
            _ => Sessions::Unknown,
        };
        let closed_at = is_closed.then_some(fact.at);
        let announced_at = Some(fact.known_at);
        Upload { sessions, closed_at, replaced_at: fact.replaced_at, is_known, announced_at }
    }

    /// Returns why the upload of a file is in doubt, if it is. `whole` is its name as the log
    /// spells it, and `ctime` its last change.
    pub fn doubt(&self, whole: &str, ctime: Timestamp) -> Option<Doubt> {
        let Some(fact) = self.about(whole, false) else {
            let heard = self.since.is_some_and(|since| since <= ctime);
            return (!heard).then_some(Doubt::Unknown);
        };
        if fact.end >= End::Open {
            return Some(Doubt::CutOff(fact));
        }
        let lasts = fact.known_at.checked_add(SLACK).is_ok_and(|until| until >= ctime);
        let holds = fact.end == End::Closed && (self.is_fresh(&fact) || lasts);
        (!holds).then_some(Doubt::Unknown)
    }

    /// Returns and resets the changes that are to be stored.
    pub fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let names = changed.into_iter().map(|name| {
            let fact = self.known.get(&name).cloned();
            (name, fact)
        });
        Changes { cleared: std::mem::take(&mut self.cleared), names: names.collect() }
    }

    /// Requeues changes that could not be stored.
    pub fn put_back(&mut self, changes: Changes) {
        self.cleared |= changes.cleared;
        self.changed.extend(changes.names.into_iter().map(|(name, _)| name));
    }

    /// Returns whether there are no outcomes and no changes to store.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.changed.is_empty() && !self.cleared
    }

    /// Returns the worst outcome of all names that may be `whole`.
    fn about(&self, whole: &str, cut: bool) -> Option<Fact> {
        let exact = self.known.get(&Name { text: whole.to_owned(), cut });
        let cut = self.some_cut.then(|| {
            let may_be = self.known.iter().filter(|(name, _)| name.cut && name.may_be(whole));
            may_be.map(|(_, fact)| fact)
        });
        let all = exact.into_iter().chain(cut.into_iter().flatten());
        all.max_by_key(|fact| (fact.end, fact.at)).cloned()
    }

    /// Returns whether a bad outcome must stay, because a truncated name may be several files.
    fn sticks(&self, name: &Name) -> bool {
        name.cut && self.known.get(name).is_some_and(|fact| fact.end == End::Forced)
    }

    /// Returns whether the log has been complete since the outcome.
    fn is_fresh(&self, fact: &Fact) -> bool {
        self.since.is_some_and(|since| since <= fact.known_at)
    }

    fn touched_fact(&self, mut fact: Fact, by: By<'_>) -> Fact {
        if !self.is_fresh(&fact) {
            fact.end = fact.end.max(End::Unknown);
        }
        fact.known_at = by.at;
        fact.writers.add(by.session);
        fact
    }
}

impl Writers {
    fn add(&mut self, session: Option<SessionId>) {
        match session {
            Some(session) if self.open.len() < MAX_SESSIONS => drop(self.open.insert(session)),
            _ => self.all_known = false,
        }
    }

    /// Marks `session` as ended at `at`. Returns whether it was among the open sessions.
    fn end(&mut self, session: SessionId, at: Timestamp) -> bool {
        let known = self.open.remove(&session);
        if known {
            self.last_end = self.last_end.max(Some(at));
        }
        known
    }

    /// Combines the sessions of two possible outcomes.
    fn joined(&self, other: &Self) -> Self {
        let open: BTreeSet<_> = self.open.union(&other.open).copied().collect();
        let all_known = self.all_known && other.all_known && open.len() <= MAX_SESSIONS;
        let open = open.into_iter().take(MAX_SESSIONS).collect();
        // `None` (no session has ended) sorts as the earliest.
        Self { all_known, open, last_end: self.last_end.min(other.last_end) }
    }

    /// Returns whether all sessions have ended, and the last change (`ctime`) was before the last
    /// end.
    fn ended_by(&self, ctime: Timestamp) -> bool {
        self.all_known && self.open.is_empty() && self.last_end.is_some_and(|end| ctime <= end)
    }
}

/// Returns when a complete file of this name was last replaced, after one more change at `at`.
/// `before` is its outcome before the change.
fn replaced_at(before: Option<&Fact>, at: Timestamp) -> Option<Timestamp> {
    before.and_then(|fact| if fact.end == End::Closed { Some(at) } else { fact.replaced_at })
}

fn fact(end: End, bytes: Option<u64>, by: By<'_>) -> Fact {
    Fact {
        end,
        bytes,
        at: by.at,
        from: by.from.map(str::to_owned),
        known_at: by.at,
        writers: Writers::default(),
        replaced_at: None,
    }
}

/// Returns the outcome if either `one` or `other` is true: the worse of both. If one is `None`, the
/// sessions are unknown.
pub fn worse(one: Option<Fact>, other: Option<Fact>) -> Option<Fact> {
    let (Some(one), Some(other)) = (one.clone(), other.clone()) else {
        return unsure(one.or(other));
    };
    let writers = one.writers.joined(&other.writers);
    let replaced_at = one.replaced_at.max(other.replaced_at);
    let worse = if (other.end, other.at) >= (one.end, one.at) { other } else { one };
    Some(Fact { writers, replaced_at, ..worse })
}

/// Returns the outcome of a file that unknown sessions may have changed too.
pub fn unsure(fact: Option<Fact>) -> Option<Fact> {
    fact.map(|mut fact| {
        fact.writers.all_known = false;
        fact
    })
}

#[cfg(test)]
mod tests;
