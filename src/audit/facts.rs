//! [`Facts`]: how the last write to each file of an account's incoming ended, by the log. Pure.
//!
//! Always holds: what is not known for certain counts as the worse. Nothing was heard before
//! [`Facts::since`], so a file that was changed before then and after its fact may be anything; and
//! a file that nobody wrote by SFTP since then has no fact, and needs none.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::name::Name;

/// How many files' facts are kept of one account; over that they are forgotten, and its files
/// count as not heard of.
pub const MOST: usize = 10_000;

/// A change that a line announces has been made after this, by the kernel's coarse clock.
const SLACK: SignedDuration = SignedDuration::from_millis(100);

/// How a write ended, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// How the last write to a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
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
            None if self.known.remove(name).is_some() => drop(self.changed.insert(name.clone())),
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

    /// A handle that writes is opened.
    pub fn opened(&mut self, name: &Name, at: Timestamp, from: Option<&str>) {
        let sticks = self.sticks(name);
        if !sticks {
            self.set(name, Some(fact(End::Open, None, at, from)));
        }
    }

    /// A handle is closed, by the client or because the session ended (`forced`).
    pub fn closed(
        &mut self,
        name: &Name,
        forced: bool,
        moved: Option<(u64, u64)>,
        at: Timestamp,
        from: Option<&str>,
    ) {
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
            self.set(name, Some(fact(end, written, at, from)));
        }
    }

    /// A file's mode, times or size are set. A fact from before everything was heard says nothing
    /// any more: what happened meanwhile can no longer be seen by the file's last change.
    pub fn touched(&mut self, name: &Name, at: Timestamp) {
        if let Some(fact) = self.known.get(name) {
            let touched = self.touched_fact(fact.clone(), at);
            self.set(name, Some(touched));
        }
    }

    /// `old` is renamed to `new`, whose fact it takes with it.
    pub fn renamed(&mut self, old: &Name, new: &Name, at: Timestamp) {
        let Some(fact) = self.about(&old.text, old.cut) else {
            // Of a file that nobody knows nothing good can be said, and nothing bad.
            return self.touched(new, at);
        };
        let carried = self.touched_fact(fact, at);
        if !old.cut && !self.sticks(old) {
            self.set(old, None);
        }
        if !self.sticks(new) || carried.end >= End::Open {
            self.set(new, Some(carried));
        }
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

    fn touched_fact(&self, mut fact: Fact, at: Timestamp) -> Fact {
        if !self.is_fresh(&fact) {
            fact.end = fact.end.max(End::Unknown);
        }
        fact.known_at = at;
        fact
    }
}

fn fact(end: End, bytes: Option<u64>, at: Timestamp, from: Option<&str>) -> Fact {
    Fact { end, bytes, at, from: from.map(str::to_owned), known_at: at }
}

/// The worse of two.
pub fn worse(one: Option<Fact>, other: Option<Fact>) -> Option<Fact> {
    [one, other].into_iter().flatten().max_by_key(|fact| (fact.end, fact.at))
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
