//! [`SessionTracker`]: tracks the sessions and uploads of all accounts from the server's log lines.
//! This module is pure.
//!
//! Invariant: a line is assigned to an account by the sender's user id, which the kernel reports,
//! and never by its text. Memory is bounded by the number of accounts. An account without log lines
//! needs no work.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::activity_limit::ActivityLine;
use super::session::{AccountActivity, LineHandler, Session};
use super::sftp_server_log::{ServerMessage, parse};
use super::sshd_login::{KeyUse, Login};
use super::upload_outcome::{OutcomeChanges, SessionId, UploadOutcomes};
use crate::account::AccountId;

/// The maximum number of open sessions. If more are open, all sessions and their addresses are
/// dropped.
const MAX_SESSIONS: usize = 65_536;

/// The maximum number of log lines that are held for accounts that are still being created.
const MAX_UNASSIGNED: usize = 1_000;

/// A datagram of the SFTP server's log, and its sender.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// The user id of the sender.
    pub uid: u32,
    /// The process id of the sender.
    pub pid: i32,
    /// The time at which the datagram was sent.
    pub at: Timestamp,
    pub bytes: Vec<u8>,
}

/// The changes of one account that are to be stored.
#[derive(Clone, Debug)]
pub struct AccountUpdate {
    pub account: AccountId,
    /// Changes of the upload outcomes of the account's files.
    pub changes: OutcomeChanges,
    /// New lines for the activity log of the account.
    pub lines: Vec<ActivityLine>,
    /// The last use of each key of the account, by fingerprint.
    pub uses: Vec<(String, KeyUse)>,
}

/// Tracks the sessions and uploads of all accounts.
#[derive(Clone, Debug)]
pub struct SessionTracker {
    /// The user ids that accounts may have.
    range: RangeInclusive<u32>,
    accounts: HashMap<u32, AccountId>,
    accounts_activity: HashMap<AccountId, AccountActivity>,
    /// The accounts that may have changes to store, now or later.
    pending: HashSet<AccountId>,
    sessions: HashMap<(u32, i32), Session>,
    last_session: u64,
    /// The accounts with a session that changed files and that ended after the last call of
    /// `drain_ended`.
    ended: HashSet<AccountId>,
    unassigned: VecDeque<LogLine>,
}

impl SessionTracker {
    /// Creates a tracker for accounts with user ids in `range`.
    pub fn new(range: RangeInclusive<u32>) -> Self {
        Self {
            range,
            accounts: HashMap::new(),
            accounts_activity: HashMap::new(),
            pending: HashSet::new(),
            sessions: HashMap::new(),
            last_session: 0,
            ended: HashSet::new(),
            unassigned: VecDeque::new(),
        }
    }

    /// Sets the accounts to track. Drops the state of all other accounts.
    pub fn set_accounts(&mut self, accounts: impl Iterator<Item = (u32, AccountId)>) {
        self.accounts = accounts.collect();
        let mut accounts_activity = HashMap::with_capacity(self.accounts.len());
        for account in self.accounts.values() {
            let activity = self.accounts_activity.remove(account).unwrap_or_default();
            accounts_activity.insert(account.clone(), activity);
        }
        self.accounts_activity = accounts_activity;
        for line in std::mem::take(&mut self.unassigned) {
            // This call drops lines that still have no account.
            self.process_known(&line);
        }
    }

    /// Processes a log line. A line of an unknown account is held until the account is known.
    pub fn process(&mut self, line: LogLine) {
        if !self.process_known(&line) && self.range.contains(&line.uid) {
            if self.unassigned.len() >= MAX_UNASSIGNED {
                self.unassigned.pop_front();
            }
            self.unassigned.push_back(line);
        }
    }

    /// Processes a log line if its account is known. Returns whether the account is known.
    fn process_known(&mut self, line: &LogLine) -> bool {
        let Some(account) = self.accounts.get(&line.uid) else { return false };
        let Some(message) = parse(&line.bytes) else { return true };
        if self.sessions.len() >= MAX_SESSIONS {
            self.sessions.clear();
        }
        let Some(activity) = self.accounts_activity.get_mut(account) else { return false };
        self.pending.insert(account.clone());
        let key = (line.uid, line.pid);
        if message == ServerMessage::SessionClosed {
            let mut session = self.sessions.remove(&key).unwrap_or_default();
            if session.id.is_some_and(|id| activity.outcomes.end_session(id, line.at)) {
                self.ended.insert(account.clone());
            }
            LineHandler { activity, session: &mut session, at: line.at, next: None }
                .apply(&message);
            return true;
        }
        let begins = matches!(message, ServerMessage::SessionOpened { .. });
        // The kernel reports process id 0 for every process outside the daemon's pid namespace.
        let next = (begins && line.pid != 0).then(|| {
            self.last_session += 1;
            SessionId(self.last_session)
        });
        let session = self.sessions.entry(key).or_default();
        LineHandler { activity, session, at: line.at, next }.apply(&message);
        true
    }

    /// Returns whether the log has the start of a session.
    #[cfg(test)]
    pub fn has_session_start(&self, uid: u32, pid: i32) -> bool {
        self.sessions.get(&(uid, pid)).is_some_and(|session| session.id.is_some())
    }

    /// Returns and resets the accounts with a session that changed files and has ended.
    pub fn drain_ended(&mut self) -> HashSet<AccountId> {
        std::mem::take(&mut self.ended)
    }

    /// Returns whether `account` is tracked.
    pub fn has_account(&self, account: &AccountId) -> bool {
        self.accounts_activity.contains_key(account)
    }

    /// Records an accepted login. A login that is not later than the key's last use is ignored: at every
    /// start, the daemon reads a part of sshd's log again.
    pub fn record_login(&mut self, login: Login) {
        let Some(activity) = self.accounts_activity.get_mut(&login.account) else { return };
        let Login { at, from, algorithm, fingerprint, .. } = login;
        if activity.uses.get(&fingerprint).is_some_and(|(last, _)| last.at >= at) {
            return;
        }
        activity
            .limit
            .add(at, "session.login", || format!("{algorithm} {fingerprint} from {from}"));
        activity.uses.insert(fingerprint, (KeyUse { at, from }, true));
        self.pending.insert(login.account);
    }

    /// Loads the last use of a key from the state database.
    pub fn load_key_use(&mut self, account: &AccountId, fingerprint: String, last: KeyUse) {
        let activity = self.accounts_activity.entry(account.clone()).or_default();
        activity.uses.insert(fingerprint, (last, false));
    }

    /// Returns the upload outcomes of `account`, so that the caller can change them.
    pub fn outcomes_mut(&mut self, account: &AccountId) -> &mut UploadOutcomes {
        self.pending.insert(account.clone());
        &mut self.accounts_activity.entry(account.clone()).or_default().outcomes
    }

    /// Returns the upload outcomes of `account` for reading. `None` if the account is not tracked.
    pub fn outcomes(&self, account: &AccountId) -> Option<&UploadOutcomes> {
        self.accounts_activity.get(account).map(|activity| &activity.outcomes)
    }

    /// Returns the accounts with an outcome older than `before`.
    pub fn accounts_with_outcomes_before(&self, before: Timestamp) -> Vec<AccountId> {
        let old =
            |activity: &AccountActivity| activity.outcomes.known_before(before).next().is_some();
        self.accounts_activity
            .iter()
            .filter(|(_, activity)| old(activity))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Returns whether any account may have changes to store, now or later.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Stops waiting for answers to requests, because the process ends.
    pub fn confirm_all(&mut self) {
        self.accounts_activity.values_mut().for_each(|activity| activity.limit.confirm_all());
    }

    /// Returns and resets the changes that are to be stored at the time `now`.
    pub fn drain_updates(&mut self, now: Timestamp) -> Vec<AccountUpdate> {
        let mut updates = Vec::new();
        for account in std::mem::take(&mut self.pending) {
            let Some(activity) = self.accounts_activity.get_mut(&account) else { continue };
            let (changes, lines) =
                (activity.outcomes.drain_changes(), activity.limit.drain_due(now));
            let new = activity.uses.iter_mut().filter(|(_, (_, new))| *new);
            let uses: Vec<_> = new
                .map(|(fingerprint, (last, new))| {
                    *new = false;
                    (fingerprint.clone(), last.clone())
                })
                .collect();
            if activity.limit.has_pending() {
                self.pending.insert(account.clone());
            }
            if changes != OutcomeChanges::default() || !lines.is_empty() || !uses.is_empty() {
                updates.push(AccountUpdate { account, changes, lines, uses });
            }
        }
        updates
    }

    /// Requeues updates that could not be stored.
    pub fn requeue(&mut self, updates: Vec<AccountUpdate>) {
        for AccountUpdate { account, changes, lines, uses } in updates {
            if let Some(activity) = self.accounts_activity.get_mut(&account) {
                activity.outcomes.requeue(changes);
                activity.limit.requeue(lines);
                for (fingerprint, _) in uses {
                    activity.uses.entry(fingerprint).and_modify(|(_, new)| *new = true);
                }
                self.pending.insert(account);
            }
        }
    }
}

#[cfg(test)]
mod tests;
