//! [`Ledger`]: everything heard of all accounts, line after line. Pure.
//!
//! Always holds: a line is its account's by the user id that the kernel vouches for, and by nothing
//! that it says; memory is bounded by the number of accounts, whatever they do. An account that
//! nothing is heard of costs nothing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::Login;
use super::facts::{Changes, End, Fact, Facts, worse};
use super::line::{Said, Spelled, parse};
use super::name::Name;
use super::shown::{Limit, Shown};
use crate::account::AccountId;

/// How many sessions are remembered; over that their addresses are forgotten.
const MOST_SESSIONS: usize = 65_536;

/// How many lines wait for an account that is about to be known.
const MOST_HELD: usize = 1_000;

/// How much of a path the activity log shows.
const SHOWN_PATH: usize = 300;

/// A datagram, and who sent it when.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The sender's user id.
    pub uid: u32,
    /// The sender's process.
    pub pid: i32,
    /// When it was sent.
    pub at: Timestamp,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// What is to be written down of one account.
#[derive(Clone, Debug)]
pub struct Page {
    /// Whose.
    pub account: AccountId,
    /// Facts on its files.
    pub changes: Changes,
    /// Lines for the activity log.
    pub lines: Vec<Shown>,
    /// The last use of each of its keys, by fingerprint.
    pub uses: Vec<(String, Use)>,
}

/// A key was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub from: String,
}

/// A session of an SFTP server's process.
#[derive(Debug, Default)]
struct Session {
    from: Option<String>,
    /// What its last line changed, should that have failed: facts as they were.
    undo: Vec<(Name, Option<Fact>)>,
    /// That line opened a file.
    opened: bool,
}

/// One account's part.
#[derive(Debug, Default)]
struct Part {
    facts: Facts,
    limit: Limit,
    /// Each key's last use, and whether it is to be written down.
    uses: HashMap<String, (Use, bool)>,
}

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    /// User ids that accounts may have.
    range: RangeInclusive<u32>,
    accounts: HashMap<u32, AccountId>,
    parts: HashMap<AccountId, Part>,
    /// Those that may have something to be written down, now or by a later time.
    stirred: HashSet<AccountId>,
    sessions: HashMap<(u32, i32), Session>,
    held: VecDeque<Heard>,
}

impl Ledger {
    /// Of accounts with user ids in `range`.
    pub fn new(range: RangeInclusive<u32>) -> Self {
        Self {
            range,
            accounts: HashMap::new(),
            parts: HashMap::new(),
            stirred: HashSet::new(),
            sessions: HashMap::new(),
            held: VecDeque::new(),
        }
    }

    /// These are the accounts now.
    pub fn follow(&mut self, accounts: impl Iterator<Item = (u32, AccountId)>) {
        self.accounts = accounts.collect();
        let mut parts = HashMap::with_capacity(self.accounts.len());
        for account in self.accounts.values() {
            let part = self.parts.remove(account).unwrap_or_default();
            parts.insert(account.clone(), part);
        }
        self.parts = parts;
        for heard in std::mem::take(&mut self.held) {
            self.hear_known(&heard); // what is nobody's now won't be anybody's
        }
    }

    /// Takes in a line.
    pub fn hear(&mut self, heard: Heard) {
        if !self.hear_known(&heard) && self.range.contains(&heard.uid) {
            if self.held.len() >= MOST_HELD {
                self.held.pop_front();
            }
            self.held.push_back(heard);
        }
    }

    /// False: it is no account's.
    fn hear_known(&mut self, heard: &Heard) -> bool {
        let Some(account) = self.accounts.get(&heard.uid) else { return false };
        let Some(said) = parse(&heard.bytes) else { return true };
        if self.sessions.len() >= MOST_SESSIONS {
            self.sessions.clear();
        }
        let Some(part) = self.parts.get_mut(account) else { return false };
        self.stirred.insert(account.clone());
        let key = (heard.uid, heard.pid);
        if said == Said::SessionClosed {
            let session = self.sessions.remove(&key).unwrap_or_default();
            let from = session.from.unwrap_or_default();
            part.limit.add(heard.at, "session.closed", || from);
            return true;
        }
        Turn { part, session: self.sessions.entry(key).or_default(), at: heard.at }.take(&said);
        true
    }

    /// An account logged in. What was heard before is nothing new: sshd's log is read again from
    /// some time ago whenever somebody begins to listen to it.
    pub fn logged_in(&mut self, login: Login) {
        let Some(part) = self.parts.get_mut(&login.account) else { return };
        let Login { at, from, algorithm, fingerprint, .. } = login;
        if part.uses.get(&fingerprint).is_some_and(|(last, _)| last.at >= at) {
            return;
        }
        part.limit.add(at, "session.login", || format!("{algorithm} {fingerprint} from {from}"));
        part.uses.insert(fingerprint, (Use { at, from }, true));
        self.stirred.insert(login.account);
    }

    /// A use of a key that was written down before.
    pub fn remember_use(&mut self, account: &AccountId, fingerprint: String, last: Use) {
        let part = self.parts.entry(account.clone()).or_default();
        part.uses.insert(fingerprint, (last, false));
    }

    /// The facts of `account`.
    pub fn facts(&mut self, account: &AccountId) -> &mut Facts {
        self.stirred.insert(account.clone());
        &mut self.parts.entry(account.clone()).or_default().facts
    }

    /// Accounts with facts older than `before`.
    pub fn with_facts_older_than(&self, before: Timestamp) -> Vec<AccountId> {
        let old = |part: &Part| part.facts.older_than(before).next().is_some();
        self.parts.iter().filter(|(_, part)| old(part)).map(|(id, _)| id.clone()).collect()
    }

    /// Whether there may be something to be written down, now or later.
    pub fn is_stirred(&self) -> bool {
        !self.stirred.is_empty()
    }

    /// What is to be written down by `now`, once.
    pub fn take_pages(&mut self, now: Timestamp) -> Vec<Page> {
        let mut pages = Vec::new();
        for account in std::mem::take(&mut self.stirred) {
            let Some(part) = self.parts.get_mut(&account) else { continue };
            let (changes, lines) = (part.facts.take_changes(), part.limit.take(now));
            let new = part.uses.iter_mut().filter(|(_, (_, new))| *new);
            let uses: Vec<_> = new
                .map(|(fingerprint, (last, new))| {
                    *new = false;
                    (fingerprint.clone(), last.clone())
                })
                .collect();
            if part.limit.owes() {
                self.stirred.insert(account.clone());
            }
            if changes != Changes::default() || !lines.is_empty() || !uses.is_empty() {
                pages.push(Page { account, changes, lines, uses });
            }
        }
        pages
    }

    /// They could not be written down.
    pub fn put_back(&mut self, pages: Vec<Page>) {
        for Page { account, changes, lines, uses } in pages {
            if let Some(part) = self.parts.get_mut(&account) {
                part.facts.put_back(changes);
                part.limit.put_back(lines);
                for (fingerprint, _) in uses {
                    part.uses.entry(fingerprint).and_modify(|(_, new)| *new = true);
                }
                self.stirred.insert(account);
            }
        }
    }
}

/// One line's way into the part of its account.
struct Turn<'a> {
    part: &'a mut Part,
    session: &'a mut Session,
    at: Timestamp,
}

impl Turn<'_> {
    fn take(mut self, said: &Said<'_>) {
        if let Said::Failed(status) = said {
            return self.failed(status);
        }
        self.session.undo.clear();
        self.session.opened = matches!(said, Said::Opened { .. });
        match said {
            Said::SessionOpened { from } => {
                *self.session = Session { from: Some((*from).to_owned()), ..Session::default() };
                self.show("session.opened", || (*from).to_owned());
            }
            Said::Opened { path, writes } => self.opened(*path, *writes),
            Said::Closed { path, bytes, forced } => {
                let moved = bytes.map(|bytes| (bytes.read, bytes.written));
                self.closed(*path, moved, *forced);
            }
            Said::Renamed { paths, text } => self.renamed(paths, text),
            Said::Removed(path) => {
                if let Some(name) = self.remember(*path) {
                    self.part.facts.set(&name, None);
                }
                self.show("file.removed", || shown(*path));
            }
            Said::Set(path) => {
                if let Some(name) = self.remember(*path) {
                    self.part.facts.touched(&name, self.at);
                }
            }
            Said::SessionClosed | Said::Failed(_) => {}
        }
    }

    fn opened(&mut self, path: Spelled<'_>, writes: bool) {
        if let Some(name) = self.remember(path)
            && writes
        {
            self.part.facts.opened(&name, self.at, self.session.from.as_deref());
        }
        let what = if writes { "to write" } else { "to read" };
        self.show("file.opened", || format!("{} {what}", shown(path)));
    }

    fn closed(&mut self, path: Spelled<'_>, moved: Option<(u64, u64)>, forced: bool) {
        if let Some(name) = Name::in_incoming(path) {
            let from = self.session.from.as_deref();
            self.part.facts.closed(&name, forced, moved, self.at, from);
        }
        let action = if forced { "file.cut_off" } else { "file.closed" };
        self.show(action, || match moved {
            Some((read, written)) => {
                format!("{}: {written} bytes written, {read} read", shown(path))
            }
            None => shown(path),
        });
    }

    fn renamed(&mut self, paths: &[(Spelled<'_>, Spelled<'_>)], text: &str) {
        let facts = &mut self.part.facts;
        // Where quotes leave it open which name is which, the one that is known decides.
        let names =
            paths.iter().map(|(old, new)| (Name::in_incoming(*old), Name::in_incoming(*new)));
        let known =
            |name: &Option<Name>| name.as_ref().is_some_and(|name| facts.get(name).is_some());
        let mut all: Vec<_> = names.collect();
        if all.len() > 1 {
            all.retain(|(old, _)| known(old));
        }
        match &all[..] {
            [(old, new)] => {
                for name in [old, new].into_iter().flatten() {
                    self.session.undo.push((name.clone(), facts.get(name).cloned()));
                }
                match (old, new) {
                    (Some(old), Some(new)) => facts.renamed(old, new, self.at),
                    (Some(old), None) => facts.set(old, None),
                    _ => {} // from outside incoming: the account can write nowhere else
                }
            }
            _ => facts.lose_track(self.at),
        }
        self.show("file.renamed", || shown(Spelled { text, cut: false }));
    }

    /// The request of the line before this one was answered with `status`, or one was that is not
    /// logged: what that line changed may not have happened.
    fn failed(&mut self, status: &str) {
        let denied = status == "Permission denied";
        for (name, before) in self.session.undo.drain(..) {
            let now = self.part.facts.get(&name).cloned();
            let is_open = now.as_ref().is_some_and(|fact| fact.end == End::Open);
            if self.session.opened && is_open && !denied {
                continue; // a write failed, and not the opening
            }
            let fact = if self.session.opened { before } else { worse(before, now) };
            self.part.facts.set(&name, fact);
        }
    }

    /// The file that a line is about; its fact is kept in case that the line's request fails.
    fn remember(&mut self, path: Spelled<'_>) -> Option<Name> {
        let name = Name::in_incoming(path)?;
        self.session.undo.push((name.clone(), self.part.facts.get(&name).cloned()));
        Some(name)
    }

    fn show(&mut self, action: &'static str, detail: impl FnOnce() -> String) {
        self.part.limit.add(self.at, action, detail);
    }
}

/// A path for people: the log's spelling, which is printable, cut short.
fn shown(path: Spelled<'_>) -> String {
    match path.text.get(..SHOWN_PATH) {
        Some(begin) => format!("{begin}…"),
        None => path.text.to_owned(),
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
