//! [`UploadOutcomes`]: how the last write to each file in an account's incoming ended, according to
//! the log. This module is pure.
//!
//! Invariant: of two possible outcomes, the worse one counts. The log is complete only since
//! [`UploadOutcomes::complete_since`]. A file that changed before then, but after its outcome was
//! recorded, is unknown. A file that nobody wrote by SFTP since then has no outcome and needs none.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::logged_name::LoggedName;

/// The maximum number of files with an outcome per account. If an account has more, all its
/// outcomes are dropped, and its files count as unknown.
pub const MAX_OUTCOMES: usize = 10_000;

/// The maximum number of sessions per file. If a file has more, its writers are unknown.
const MAX_SESSIONS: usize = 16;

/// The time within which a logged request changes its file, by the kernel's coarse clock. The
/// server logs a request before serving it.
const SLACK: SignedDuration = SignedDuration::from_millis(100);

/// The ways in which a write can end, ordered from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriteEnd {
    /// The client closed the file.
    Closed,
    /// The outcome is unknown: the file was changed while the log was incomplete.
    Unknown,
    /// The file was opened, and the log has no line that the file was closed. Either the file is
    /// still open, or the server process was killed.
    Open,
    /// The connection ended before the client closed the file.
    Forced,
}

/// The number of an SFTP session, counted from the daemon's start. Unlike process ids, these
/// numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The sessions that changed a file, as far as the log names them. The sessions are not stored, and
/// are therefore unknown after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writers {
    /// Whether the log names every session that changed the file since it was created or truncated.
    all_known: bool,
    /// The sessions that changed the file and have not ended.
    open: BTreeSet<SessionId>,
    /// The time at which the last of the ended sessions ended. `None` if no session has ended.
    last_end: Option<Timestamp>,
}

/// The session that sent a request, and the time of the request.
#[derive(Clone, Copy, Debug)]
pub struct RequestOrigin<'a> {
    /// The session that sent the request. `None` if the log does not have the session's start.
    pub session: Option<SessionId>,
    /// The time at which the SFTP server logged the request.
    pub at: Timestamp,
    /// The address of the client that sent the request, if known.
    pub from: Option<&'a str>,
}

/// Whether the sessions that changed a file have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriterState {
    /// The log does not show the sessions that changed the file, or a session has not ended.
    #[default]
    Unknown,
    /// All sessions that changed the file have ended, and nobody has changed the file since then.
    Ended,
    /// The last session that changed the file ended while it had the file open.
    Cut,
}

/// The state of a file in incoming according to the log. Pairing uses this state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UploadState {
    pub sessions: WriterState,
    /// The time at which the client last closed the file. `None` if unknown.
    pub closed_at: Option<Timestamp>,
    /// The time at which a complete file with this name was last opened for writing or replaced by
    /// a rename. `None` if this did not happen, or if it is unknown.
    pub replaced_at: Option<Timestamp>,
    /// True if the log has the whole last write to the file. A `replaced_at` of `None` is then
    /// certain.
    pub is_known: bool,
    /// The time at which the log last announced a change of the file. The change follows
    /// immediately.
    pub announced_at: Option<Timestamp>,
}

/// Describes how the last write to a file ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UploadOutcome {
    pub end: WriteEnd,
    /// The number of bytes that were written through the file handle, if known.
    pub bytes: Option<u64>,
    /// The time at which the write ended, or at which it began if the file is still open.
    pub at: Timestamp,
    /// The address of the client that wrote the file, if known.
    pub from: Option<String>,
    /// The time at which the log last mentioned the file.
    pub known_at: Timestamp,
    pub writers: Writers,
    /// The same time as [`UploadState::replaced_at`]. This field is not stored.
    pub replaced_at: Option<Timestamp>,
}

/// The reason why a file may differ from the file that the client wanted to upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The last write did not end with a close by the client.
    CutOff(UploadOutcome),
    /// The log does not show how the last write ended.
    Unknown,
}

/// The upload outcomes of one account's files.
#[derive(Clone, Debug, Default)]
pub struct UploadOutcomes {
    complete_since: Option<Timestamp>,
    known: HashMap<LoggedName, UploadOutcome>,
    /// Whether the log truncated one of the file names in `known`.
    some_cut: bool,
    /// The names of the files whose outcome differs from the stored outcome.
    changed: HashSet<LoggedName>,
    /// Whether all stored outcomes of the account are to be deleted.
    cleared: bool,
}

/// The changes of an account's outcomes that are to be stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutcomeChanges {
    /// Whether to delete all stored outcomes of the account first.
    pub cleared: bool,
    /// The new outcome of each changed file. `None` deletes the stored outcome.
    pub names: Vec<(LoggedName, Option<UploadOutcome>)>,
}

impl UploadOutcomes {
    /// Loads an outcome from the state database.
    pub fn load(&mut self, name: LoggedName, outcome: UploadOutcome) {
        self.some_cut |= name.cut;
        self.known.insert(name, outcome);
    }

    /// Records that the log is complete from `at` on.
    pub fn set_complete_since(&mut self, at: Timestamp) {
        self.complete_since = Some(self.complete_since.map_or(at, |since| since.max(at)));
    }

    /// Returns the time since which the log is complete. `None` if the log is not complete.
    pub fn complete_since(&self) -> Option<Timestamp> {
        self.complete_since
    }

    /// Returns the outcome of the file with exactly this name. `None` if the outcome is unknown.
    pub fn get(&self, name: &LoggedName) -> Option<&UploadOutcome> {
        self.known.get(name)
    }

    /// Returns whether a file with exactly this name exists according to the log.
    pub fn file_exists(&self, name: &LoggedName) -> bool {
        let was_open =
            |outcome: &&UploadOutcome| matches!(outcome.end, WriteEnd::Closed | WriteEnd::Forced);
        let outcome = self.known.get(name).filter(was_open);
        !name.cut && outcome.is_some_and(|outcome| self.log_is_complete_since(outcome))
    }

    /// Returns the names of all files whose outcome is older than `before`.
    pub fn known_before(&self, before: Timestamp) -> impl Iterator<Item = &LoggedName> {
        self.known
            .iter()
            .filter(move |(_, outcome)| outcome.known_at < before)
            .map(|(name, _)| name)
    }

    /// Sets the outcome of the file `name`. Removes the outcome if `outcome` is `None`.
    pub fn set(&mut self, name: &LoggedName, outcome: Option<UploadOutcome>) {
        match outcome {
            Some(outcome) => {
                if self.known.len() >= MAX_OUTCOMES && !self.known.contains_key(name) {
                    self.reset(outcome.known_at);
                }
                self.some_cut |= name.cut;
                self.known.insert(name.clone(), outcome);
                self.changed.insert(name.clone());
            }
            None if self.known.remove(name).is_some() => {
                self.changed.insert(name.clone());
                self.some_cut &= !name.cut || self.known.keys().any(|name| name.cut);
            }
            None => {}
        }
    }

    /// Drops all outcomes, because a file that cannot be identified was changed at `at`.
    pub fn reset(&mut self, at: Timestamp) {
        self.known.clear();
        self.changed.clear();
        self.cleared = true;
        self.set_complete_since(at.checked_add(SLACK).unwrap_or(at));
    }

    /// Records that a file is opened for writing. `empties` is true if the opening creates or
    /// truncates the file.
    pub fn record_open(&mut self, name: &LoggedName, empties: bool, by: RequestOrigin<'_>) {
        if self.keeps_bad_end(name) {
            return;
        }
        let before = self.known.get(name);
        let mut writers = before.map(|outcome| outcome.writers.clone()).unwrap_or_default();
        writers.all_known |= empties;
        writers.add(by.session);
        let replaced_at = replaced_at(before, by.at);
        self.set(
            name,
            Some(UploadOutcome { writers, replaced_at, ..new_outcome(WriteEnd::Open, None, by) }),
        );
    }

    /// Records that a file handle is closed. `forced` is true if the end of the session closed the
    /// handle, and false if the client did.
    pub fn record_close(
        &mut self,
        name: &LoggedName,
        forced: bool,
        moved: Option<(u64, u64)>,
        by: RequestOrigin<'_>,
    ) {
        let known = self.known.get(name);
        let was_open = known.is_some_and(|outcome| outcome.end == WriteEnd::Open);
        let (read, written) = moved.unzip();
        // If the log has the file's opening, a handle that wrote nothing was opened for reading.
        let has_opening = known.is_some_and(|outcome| self.log_is_complete_since(outcome));
        let may_have_written = forced && !has_opening && read == Some(0);
        if written == Some(0) && !was_open && !may_have_written {
            return;
        }
        if forced || !self.keeps_bad_end(name) {
            let end = if forced { WriteEnd::Forced } else { WriteEnd::Closed };
            let mut writers = known.map(|outcome| outcome.writers.clone()).unwrap_or_default();
            // An opening that is not in the log may belong to another session.
            writers.all_known &= by.session.is_some_and(|id| writers.open.contains(&id));
            let replaced_at = known.and_then(|outcome| outcome.replaced_at);
            self.set(
                name,
                Some(UploadOutcome { writers, replaced_at, ..new_outcome(end, written, by) }),
            );
        }
    }

    /// Records that a file's mode, times or size are set. An outcome older than the complete log
    /// becomes unknown: the file's ctime can no longer show a change that the log missed.
    pub fn record_touch(&mut self, name: &LoggedName, by: RequestOrigin<'_>) {
        if let Some(outcome) = self.known.get(name) {
            let touched = self.with_touch(outcome.clone(), by);
            self.set(name, Some(touched));
        }
    }

    /// Records that the file `old` is renamed to `new`. The outcome of the file stays the same.
    pub fn record_rename(&mut self, old: &LoggedName, new: &LoggedName, by: RequestOrigin<'_>) {
        let replaced_at = replaced_at(self.known.get(new), by.at);
        let Some(outcome) = self.worst_match(&old.text, old.cut) else {
            // Nothing is known about the renamed file, and the rename may have failed.
            if let Some(outcome) = self.known.get(new) {
                let mut touched = self.with_touch(outcome.clone(), by);
                touched.writers.all_known = false;
                self.set(new, Some(UploadOutcome { replaced_at, ..touched }));
            }
            return;
        };
        let carried = UploadOutcome { replaced_at, ..self.with_touch(outcome, by) };
        if !old.cut && !self.keeps_bad_end(old) {
            self.set(old, None);
        }
        if !self.keeps_bad_end(new) || carried.end >= WriteEnd::Open {
            self.set(new, Some(carried));
        }
    }

    /// Records that `session` ended at `at`. Returns whether the session had changed a file.
    pub fn end_session(&mut self, session: SessionId, at: Timestamp) -> bool {
        let mut changed = false;
        for outcome in self.known.values_mut() {
            changed |= outcome.writers.end(session, at);
        }
        changed
    }

    /// Removes the outcome of the file `name`, which was claimed at `at`. The outcome of a later
    /// file with the same name is kept.
    pub fn remove_claimed(&mut self, name: &LoggedName, at: Timestamp) {
        let new = self.known.get(name).filter(|outcome| outcome.at > at);
        let new = new.map(|outcome| UploadOutcome { replaced_at: None, ..outcome.clone() });
        self.set(name, new);
    }

    /// Returns the upload state of the file `name`, which was last changed at `ctime`.
    pub fn upload_state(&self, name: &LoggedName, ctime: Timestamp) -> UploadState {
        let Some(outcome) = self.known.get(name) else { return UploadState::default() };
        let is_known = self.log_is_complete_since(outcome) && outcome.end != WriteEnd::Unknown;
        let is_closed = is_known && outcome.end == WriteEnd::Closed;
        let sessions = match outcome.end {
            WriteEnd::Forced => WriterState::Cut,
            // A truncated name in the log may be the name of this file.
            WriteEnd::Closed if is_closed && !self.some_cut && outcome.writers.ended_by(ctime) => {
                WriterState::Ended
            }
            _ => WriterState::Unknown,
        };
        let closed_at = is_closed.then_some(outcome.at);
        let announced_at = Some(outcome.known_at);
        UploadState {
            sessions,
            closed_at,
            replaced_at: outcome.replaced_at,
            is_known,
            announced_at,
        }
    }

    /// Returns the reason for doubt about the upload of a file, if any. `whole` is the file's name
    /// in the spelling of the log. `ctime` is the time of the file's last change.
    pub fn doubt(&self, whole: &str, ctime: Timestamp) -> Option<Doubt> {
        let Some(outcome) = self.worst_match(whole, false) else {
            let is_logged = self.complete_since.is_some_and(|since| since <= ctime);
            return (!is_logged).then_some(Doubt::Unknown);
        };
        if outcome.end >= WriteEnd::Open {
            return Some(Doubt::CutOff(outcome));
        }
        let lasts = outcome.known_at.checked_add(SLACK).is_ok_and(|until| until >= ctime);
        let holds =
            outcome.end == WriteEnd::Closed && (self.log_is_complete_since(&outcome) || lasts);
        (!holds).then_some(Doubt::Unknown)
    }

    /// Returns and resets the changes that are to be stored.
    pub fn drain_changes(&mut self) -> OutcomeChanges {
        let changed = std::mem::take(&mut self.changed);
        let names = changed.into_iter().map(|name| {
            let outcome = self.known.get(&name).cloned();
            (name, outcome)
        });
        OutcomeChanges { cleared: std::mem::take(&mut self.cleared), names: names.collect() }
    }

    /// Requeues changes that could not be stored.
    pub fn requeue(&mut self, changes: OutcomeChanges) {
        self.cleared |= changes.cleared;
        self.changed.extend(changes.names.into_iter().map(|(name, _)| name));
    }

    /// Returns whether there are neither outcomes nor changes to store.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.changed.is_empty() && !self.cleared
    }

    /// Returns the worst outcome of all logged names that may be the file name `whole`.
    fn worst_match(&self, whole: &str, cut: bool) -> Option<UploadOutcome> {
        let exact = self.known.get(&LoggedName { text: whole.to_owned(), cut });
        let cut = self.some_cut.then(|| {
            let may_be = self.known.iter().filter(|(name, _)| name.cut && name.may_be(whole));
            may_be.map(|(_, outcome)| outcome)
        });
        let all = exact.into_iter().chain(cut.into_iter().flatten());
        all.max_by_key(|outcome| (outcome.end, outcome.at)).cloned()
    }

    /// Returns whether a bad outcome must be kept, because a truncated name may refer to several
    /// files.
    fn keeps_bad_end(&self, name: &LoggedName) -> bool {
        name.cut && self.known.get(name).is_some_and(|outcome| outcome.end == WriteEnd::Forced)
    }

    /// Returns whether the log has been complete since the outcome was recorded.
    fn log_is_complete_since(&self, outcome: &UploadOutcome) -> bool {
        self.complete_since.is_some_and(|since| since <= outcome.known_at)
    }

    fn with_touch(&self, mut outcome: UploadOutcome, by: RequestOrigin<'_>) -> UploadOutcome {
        if !self.log_is_complete_since(&outcome) {
            outcome.end = outcome.end.max(WriteEnd::Unknown);
        }
        outcome.known_at = by.at;
        outcome.writers.add(by.session);
        outcome
    }
}

impl Writers {
    fn add(&mut self, session: Option<SessionId>) {
        match session {
            Some(session) if self.open.len() < MAX_SESSIONS => drop(self.open.insert(session)),
            _ => self.all_known = false,
        }
    }

    /// Marks `session` as ended at `at`. Returns whether `session` was among the open sessions.
    fn end(&mut self, session: SessionId, at: Timestamp) -> bool {
        let known = self.open.remove(&session);
        if known {
            self.last_end = self.last_end.max(Some(at));
        }
        known
    }

    /// Combines the sessions of two possible outcomes of one file.
    fn union(&self, other: &Self) -> Self {
        let open: BTreeSet<_> = self.open.union(&other.open).copied().collect();
        let all_known = self.all_known && other.all_known && open.len() <= MAX_SESSIONS;
        let open = open.into_iter().take(MAX_SESSIONS).collect();
        // `None`, which means that no session has ended, sorts before every time.
        Self { all_known, open, last_end: self.last_end.min(other.last_end) }
    }

    /// Returns whether all sessions have ended, and the last change (`ctime`) was not after the end
    /// of the last session.
    fn ended_by(&self, ctime: Timestamp) -> bool {
        self.all_known && self.open.is_empty() && self.last_end.is_some_and(|end| ctime <= end)
    }
}

/// Returns when a complete file of one name was last replaced. The latest change was made at `at`,
/// and `before` is the outcome of the file before that change.
fn replaced_at(before: Option<&UploadOutcome>, at: Timestamp) -> Option<Timestamp> {
    before.and_then(
        |outcome| if outcome.end == WriteEnd::Closed { Some(at) } else { outcome.replaced_at },
    )
}

fn new_outcome(end: WriteEnd, bytes: Option<u64>, by: RequestOrigin<'_>) -> UploadOutcome {
    UploadOutcome {
        end,
        bytes,
        at: by.at,
        from: by.from.map(str::to_owned),
        known_at: by.at,
        writers: Writers::default(),
        replaced_at: None,
    }
}

/// Returns the worse of two possible outcomes. If one of them is `None`, the sessions are unknown.
pub fn worse_of(one: Option<UploadOutcome>, other: Option<UploadOutcome>) -> Option<UploadOutcome> {
    let (Some(one), Some(other)) = (one.clone(), other.clone()) else {
        return with_unknown_writers(one.or(other));
    };
    let writers = one.writers.union(&other.writers);
    let replaced_at = one.replaced_at.max(other.replaced_at);
    let worse = if (other.end, other.at) >= (one.end, one.at) { other } else { one };
    Some(UploadOutcome { writers, replaced_at, ..worse })
}

/// Returns the outcome of a file that unknown sessions may have changed too.
pub fn with_unknown_writers(outcome: Option<UploadOutcome>) -> Option<UploadOutcome> {
    outcome.map(|mut outcome| {
        outcome.writers.all_known = false;
        outcome
    })
}

#[cfg(test)]
mod tests;
