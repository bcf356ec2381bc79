//! [`Ledger`]: everything heard of all accounts, line after line. Pure.
//!
//! Always holds: a line is its account's by the user id that the kernel vouches for, and by nothing
//! that it says; memory is bounded by the number of accounts, whatever they do. An account that
//! nothing is heard of costs nothing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;

use jiff::Timestamp;

use crate::audit::session::{Session, Turn};

use super::Login;
use super::activity_limit::{Limit, Shown};
use super::sftp_server_log::{Said, parse};
use super::upload_outcome::{Changes, Facts, SessionId};
use crate::account::AccountId;

/// How many sessions are remembered; over that their addresses are forgotten.
const MOST_SESSIONS: usize = 65_536;

/// How many lines wait for an account that is about to be known.
const MOST_HELD: usize = 1_000;

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

/// One account's part.
#[derive(Clone, Debug, Default)]
pub struct Part {
    pub(super) facts: Facts,
    pub(super) limit: Limit,
    /// Each key's last use, and whether it is to be written down.
    pub(super) uses: HashMap<String, (Use, bool)>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// User ids that accounts may have.
    range: RangeInclusive<u32>,
    accounts: HashMap<u32, AccountId>,
    parts: HashMap<AccountId, Part>,
    /// Those that may have something to be written down, now or by a later time.
    stirred: HashSet<AccountId>,
    sessions: HashMap<(u32, i32), Session>,
    last_session: u64,
    /// The accounts with a session that changed files and has ended since they were last taken.
    ended: HashSet<AccountId>,
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
            last_session: 0,
            ended: HashSet::new(),
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
            let mut session = self.sessions.remove(&key).unwrap_or_default();
            if session.id.is_some_and(|id| part.facts.session_ended(id, heard.at)) {
                self.ended.insert(account.clone());
            }
            Turn { part, session: &mut session, at: heard.at, next: None }.take(&said);
            return true;
        }
        let begins = matches!(said, Said::SessionOpened { .. });
        // Processes that the kernel can't name for us all have the id 0.
        let next = (begins && heard.pid != 0).then(|| {
            self.last_session += 1;
            SessionId(self.last_session)
        });
        let session = self.sessions.entry(key).or_default();
        Turn { part, session, at: heard.at, next }.take(&said);
        true
    }

    /// Whether the log has the begin of a session's process.
    #[cfg(test)]
    pub fn knows_session(&self, uid: u32, pid: i32) -> bool {
        self.sessions.get(&(uid, pid)).is_some_and(|session| session.id.is_some())
    }

    /// The accounts with a session that changed files and has ended, once.
    pub fn take_ended(&mut self) -> HashSet<AccountId> {
        std::mem::take(&mut self.ended)
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

    /// The facts of `account`, to read them.
    pub fn facts_of(&self, account: &AccountId) -> Option<&Facts> {
        self.parts.get(account).map(|part| &part.facts)
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

    /// Waits for no answer to a request any more: the process ends.
    pub fn confirm_all(&mut self) {
        self.parts.values_mut().for_each(|part| part.limit.confirm_all());
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

#[cfg(test)]
mod tests;
