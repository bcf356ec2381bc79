//! [`Facts`]: how the last write to each file of an account's incoming ended, by the log. Pure.
//!
//! Always holds: what is not known for certain counts as the worse. Nothing was heard before
//! [`Facts::since`], so a file that was changed before then and after its fact may be anything; and
//! a file that nobody wrote by SFTP since then has no fact, and needs none.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::logged_name::Name;

/// How many files' facts are kept of one account; over that they are forgotten, and its files
/// count as not heard of.
pub const MOST: usize = 10_000;

/// How many sessions are kept for one file; with more of them, its writers are unknown.
const MAX_SESSIONS: usize = 16;

/// A change that a line announces has been made after this, by the kernel's coarse clock.
const SLACK: SignedDuration = SignedDuration::from_millis(100);

/// How a write ended, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The client closed the file.
    Closed,
    /// Nobody knows: it was touched when what came before was not heard.
    Unknown,
    /// The file was opened, and its close not heard: the server's process was killed.
    Open,
    /// The connection ended before.
    Forced,
}

/// A session of the SFTP server, numbered from the daemon's start. Process ids repeat, these don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The sessions that changed a file, as far as the log names them. Not stored: after a restart they
/// are unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writers {
    /// Every session that changed the file since it was created or emptied is known.
    all_known: bool,
    /// Those that have not ended.
    open: BTreeSet<SessionId>,
    /// When the last of the others ended.
    last_end: Option<Timestamp>,
}

/// Who does something to a file, and when.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The session; `None` if its begin is not in the log.
    pub session: Option<SessionId>,
    /// When the line was sent.
    pub at: Timestamp,
    /// The client's address, where known.
    pub from: Option<&'a str>,
}

/// Whether the sessions that changed a file are done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sessions {
    /// The log can't say, or one has not ended.
    #[default]
    Unknown,
    /// All have ended, and nobody changed the file since.
    Ended,
    /// The last one ended while it had the file open.
    Cut,
}

/// What the log says of a file in incoming, for pairing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// Whether its sessions have ended.
    pub sessions: Sessions,
    /// When the client closed it last; `None` if unknown.
    pub closed_at: Option<Timestamp>,
    /// When a complete file of this name was last opened for writing or renamed over; `None` if
    /// that did not happen, or is unknown.
    pub replaced_at: Option<Timestamp>,
    /// Its last write is in the log from its begin: a `replaced_at` of `None` is certain.
    pub is_known: bool,
    /// When the log last announced a change; the change follows at once.
    pub announced_at: Option<Timestamp>,
}

/// How the last write to a file ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fact {
    /// How.
    pub end: End,
    /// Bytes that the handle wrote, where known.
    pub bytes: Option<u64>,
    /// When it ended, or began while it is open.
    pub at: Timestamp,
    /// The client's address, where known.
    pub from: Option<String>,
    /// Up to when nothing else was done to the file.
    pub known_at: Timestamp,
    /// Who changed it.
    pub writers: Writers,
    /// See [`Upload::replaced_at`]. Not stored.
    pub replaced_at: Option<Timestamp>,
}

/// Why a file may not be what its client wanted to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its last write did not end with a close by the client.
    CutOff(Fact),
    /// Nobody heard how it ended.
    Unknown,
}

/// The facts of one account.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    since: Option<Timestamp>,
    known: HashMap<Name, Fact>,
    /// A name among them was cut.
    some_cut: bool,
    /// What differs from what was written down.
    changed: HashSet<Name>,
    /// All that was written down is forgotten.
    cleared: bool,
}

/// What to write down of an account's facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Forget all of it first.
    pub cleared: bool,
    /// Each file's fact now; none: forget it.
    pub names: Vec<(Name, Option<Fact>)>,
}

impl Facts {
    /// A fact that was written down before.
    pub fn remember(&mut self, name: Name, fact: Fact) {
        self.some_cut |= name.cut;
        self.known.insert(name, fact);
    }

    /// Everything from `at` on is heard.
    pub fn hears_since(&mut self, at: Timestamp) {
        self.since = Some(self.since.map_or(at, |since| since.max(at)));
    }

    /// Since when everything is heard; none: it isn't.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// The fact of exactly this name.
    pub fn get(&self, name: &Name) -> Option<&Fact> {
        self.known.get(name)
    }

    /// Whether a file of exactly this name exists, by the log.
    pub fn has(&self, name: &Name) -> bool {
        let was_open = |fact: &&Fact| matches!(fact.end, End::Closed | End::Forced);
        let fact = self.known.get(name).filter(was_open);
        !name.cut && fact.is_some_and(|fact| self.is_fresh(fact))
    }

    /// Every name that has a fact older than `before`.
    pub fn older_than(&self, before: Timestamp) -> impl Iterator<Item = &Name> {
        self.known.iter().filter(move |(_, fact)| fact.known_at < before).map(|(name, _)| name)
    }

    /// Sets or forgets what is known of `name`.
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

    /// Something happened at `at` to a file that can't be told.
    pub fn lose_track(&mut self, at: Timestamp) {
        self.known.clear();
        self.changed.clear();
        self.cleared = true;
        self.hears_since(at.checked_add(SLACK).unwrap_or(at));
    }

    /// A handle that writes is opened. With `empties` the file is created or truncated by that.
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

    /// A handle is closed, by the client or because the session ended (`forced`).
    pub fn closed(&mut self, name: &Name, forced: bool, moved: Option<(u64, u64)>, by: By<'_>) {
        let known = self.known.get(name);
        let was_open = known.is_some_and(|fact| fact.end == End::Open);
        let (read, written) = moved.unzip();
        // A handle that wrote nothing, of a file whose opening was heard: one that only reads.
        let heard = known.is_some_and(|fact| self.is_fresh(fact));
        let may_have_written = forced && !heard && read == Some(0);
        if written == Some(0) && !was_open && !may_have_written {
            return;
        }
        if forced || !self.sticks(name) {
            let end = if forced { End::Forced } else { End::Closed };
            let mut writers = known.map(|fact| fact.writers.clone()).unwrap_or_default();
            // An open that is not in the log may have been another session's too.
            writers.all_known &= by.session.is_some_and(|id| writers.open.contains(&id));
            let replaced_at = known.and_then(|fact| fact.replaced_at);
            self.set(name, Some(Fact { writers, replaced_at, ..fact(end, written, by) }));
        }
    }

    /// A file's mode, times or size are set. A fact from before everything was heard says nothing
    /// any more: what happened meanwhile can no longer be seen by the file's last change.
    pub fn touched(&mut self, name: &Name, by: By<'_>) {
        if let Some(fact) = self.known.get(name) {
            let touched = self.touched_fact(fact.clone(), by);
            self.set(name, Some(touched));
        }
    }

    /// `old` is renamed to `new`, whose fact it takes with it.
    pub fn renamed(&mut self, old: &Name, new: &Name, by: By<'_>) {
        let replaced_at = replaced_at(self.known.get(new), by.at);
        let Some(fact) = self.about(&old.text, old.cut) else {
            // Of a file that nobody knows nothing good can be said, and nothing bad.
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

    /// `session` ended at `at`. Returns whether it had changed a file.
    pub fn session_ended(&mut self, session: SessionId, at: Timestamp) -> bool {
        let mut changed = false;
        for fact in self.known.values_mut() {
            changed |= fact.writers.end(session, at);
        }
        changed
    }

    /// The file called `name` was claimed; its renames began at `at`. What is known of it goes,
    /// but for a new file that has the name since.
    pub fn claimed(&mut self, name: &Name, at: Timestamp) {
        let new = self.known.get(name).filter(|fact| fact.at > at);
        let new = new.map(|fact| Fact { replaced_at: None, ..fact.clone() });
        self.set(name, new);
    }

    /// What is known of the file called `name`, last changed at `ctime`.
    pub fn upload(&self, name: &Name, ctime: Timestamp) -> Upload {
        let Some(fact) = self.known.get(name) else { return Upload::default() };
        let is_known = self.is_fresh(fact) && fact.end != End::Unknown;
        let is_closed = is_known && fact.end == End::Closed;
        let sessions = match fact.end {
            End::Forced => Sessions::Cut,
            // A cut name in the log may be this one.
            End::Closed if is_closed && !self.some_cut && fact.writers.ended_by(ctime) => {
                Sessions::Ended
            }
            _ => Sessions::Unknown,
        };
        let closed_at = is_closed.then_some(fact.at);
        let announced_at = Some(fact.known_at);
        Upload { sessions, closed_at, replaced_at: fact.replaced_at, is_known, announced_at }
    }

    /// Why the file called `whole` (as the log spells it), last changed at `ctime`, is in doubt.
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

    /// What is to be written down, once.
    pub fn take_changes(&mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed);
        let names = changed.into_iter().map(|name| {
            let fact = self.known.get(&name).cloned();
            (name, fact)
        });
        Changes { cleared: std::mem::take(&mut self.cleared), names: names.collect() }
    }

    /// They could not be written down.
    pub fn put_back(&mut self, changes: Changes) {
        self.cleared |= changes.cleared;
        self.changed.extend(changes.names.into_iter().map(|(name, _)| name));
    }

    /// Whether nothing is known, and nothing to be written down.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.changed.is_empty() && !self.cleared
    }

    /// The worst that is known of what may be `whole`.
    fn about(&self, whole: &str, cut: bool) -> Option<Fact> {
        let exact = self.known.get(&Name { text: whole.to_owned(), cut });
        let cut = self.some_cut.then(|| {
            let may_be = self.known.iter().filter(|(name, _)| name.cut && name.may_be(whole));
            may_be.map(|(_, fact)| fact)
        });
        let all = exact.into_iter().chain(cut.into_iter().flatten());
        all.max_by_key(|fact| (fact.end, fact.at)).cloned()
    }

    /// Whether a bad end stays, as a cut name may stand for several files.
    fn sticks(&self, name: &Name) -> bool {
        name.cut && self.known.get(name).is_some_and(|fact| fact.end == End::Forced)
    }

    /// Whether everything since the fact was heard.
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

    /// Returns whether `session` was one of them.
    fn end(&mut self, session: SessionId, at: Timestamp) -> bool {
        let known = self.open.remove(&session);
        if known {
            self.last_end = self.last_end.max(Some(at));
        }
        known
    }

    /// The sessions of a file that these or those changed.
    fn joined(&self, other: &Self) -> Self {
        let open: BTreeSet<_> = self.open.union(&other.open).copied().collect();
        let all_known = self.all_known && other.all_known && open.len() <= MAX_SESSIONS;
        let open = open.into_iter().take(MAX_SESSIONS).collect();
        // `None`, where none has ended, is the earliest.
        Self { all_known, open, last_end: self.last_end.min(other.last_end) }
    }

    /// Whether all have ended, and a file last changed at `ctime` was not changed since.
    fn ended_by(&self, ctime: Timestamp) -> bool {
        self.all_known && self.open.is_empty() && self.last_end.is_some_and(|end| ctime <= end)
    }
}

/// When a complete file of this name was last replaced, with one more change of it at `at`;
/// `before` is what was known of it.
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

/// Returns what is known of a file when either is true: the worse of both. `None` is worse in that
/// its sessions are unknown.
pub fn worse(one: Option<Fact>, other: Option<Fact>) -> Option<Fact> {
    let (Some(one), Some(other)) = (one.clone(), other.clone()) else {
        return unsure(one.or(other));
    };
    let writers = one.writers.joined(&other.writers);
    let replaced_at = one.replaced_at.max(other.replaced_at);
    let worse = if (other.end, other.at) >= (one.end, one.at) { other } else { one };
    Some(Fact { writers, replaced_at, ..worse })
}

/// Returns the same fact of a file that other sessions may have changed too.
pub fn unsure(fact: Option<Fact>) -> Option<Fact> {
    fact.map(|mut fact| {
        fact.writers.all_known = false;
        fact
    })
}

#[cfg(test)]
mod tests;
