//! Audits uploads: reads the SFTP server's log, stores the outcomes of uploads in the state
//! database, and provides the outcomes for claims.
//!
//! One thread only reads the log socket, and records the lines in the [`SessionTracker`] in memory.
//! Another thread links the socket into chroots and stores the tracker's changes. A claim first
//! reads the datagrams that are queued in the socket. The SFTP server logs that a file is closed
//! before it closes the file. Therefore the tracker then knows every upload that ended before the
//! claim.

mod log_links;
mod wakeup;
mod warnings;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use self::log_links::LogLinks;
use self::wakeup::Wakeup;
use self::warnings::warnings;
use super::context::Context;
use crate::account::AccountId;
use crate::audit::logged_name::encode_bytes;
use crate::audit::{
    AccountUpdate, KeyUse, LoggedName, Login, RefusedLogins, RefusedUpdate, SessionTracker,
    UploadState,
};
use crate::files::dir::FolderError;
use crate::sanitize::chain;
use crate::spool::{self, Layout, LogSocket, LogSocketError, PlannedClaim, has_log_folder};
use crate::state::accounts::{self, AccountRow};
use crate::state::{self, State, activity, keys, refused, uploads};

/// The maximum number of lines that are read without a pause. The number is many times the kernel's
/// queue (net.unix.max_dgram_qlen). It is small enough that a flood of lines from one account
/// doesn't delay another account's claim for long.
const MAX_LINES: usize = 10_000;

/// The age at which the outcome of a file that no longer exists is removed.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A function that is called when a session that changed files of an account has ended.
pub type OnSessionEnd = Box<dyn Fn(AccountId) + Send + Sync>;

/// The log socket and the tracker of uploads.
pub struct UploadAudit {
    /// The log socket. `None` if the socket could not be created. In that case, the error was
    /// logged.
    socket: Option<LogSocket>,
    tracker: Mutex<SessionTracker>,
    refused: Mutex<RefusedLogins>,
    links: Mutex<LogLinks>,
    wakeup: Wakeup,
    on_session_end: OnSessionEnd,
}

impl fmt::Debug for UploadAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadAudit").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl UploadAudit {
    /// Binds the socket and loads the stored upload outcomes. If the socket can't be bound, the
    /// error is logged. Uploads are then not audited, but they are still imported.
    pub fn start(context: &Context, on_session_end: OnSessionEnd) -> state::Result<Self> {
        let socket = LogSocket::bind(&context.layout).inspect_err(|error| {
            tracing::error!("uploads are not audited: {}", chain(error));
        });
        let accounts = &context.config.accounts;
        let mut tracker = SessionTracker::new(accounts.first_uid..=accounts.last_uid);
        let stored_until = context.state.read(|tx| {
            // The tracker needs the accounts immediately, because the journal's last day is read
            // before the accounts are scanned for the first time.
            let rows = accounts::list(tx)?.into_iter();
            tracker.set_accounts(rows.filter_map(|row| Some((row.uid?, row.id))));
            for (account, name, outcome) in uploads::list(tx)? {
                tracker.outcomes_mut(&account).load(name, outcome);
            }
            for key in keys::list(tx, None, true)? {
                if let (Some(at), Some(from)) = (key.last_used_at, key.last_used_from) {
                    tracker.load_key_use(&key.account, key.fingerprint, KeyUse { at, from });
                }
            }
            refused::last_time(tx, Timestamp::now())
        })?;
        let refused = RefusedLogins::new(stored_until.unwrap_or(Timestamp::UNIX_EPOCH));
        Ok(Self {
            socket: socket.ok(),
            tracker: Mutex::new(tracker),
            refused: Mutex::new(refused),
            links: Mutex::new(LogLinks::new(Instant::now())),
            wakeup: Wakeup::default(),
            on_session_end,
        })
    }

    /// Reads lines until the socket fails. Returns immediately if no socket is bound.
    pub fn read_lines(&self) -> Result<(), LogSocketError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        loop {
            socket.wait()?;
            self.receive()?;
        }
    }

    /// Reads the datagrams in the socket that were sent before the call.
    fn receive(&self) -> Result<(), LogSocketError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        self.change(|tracker| {
            let now = Timestamp::now();
            for _ in 0..MAX_LINES {
                let Some(line) = socket.receive()? else { break };
                let at = line.at;
                tracker.process(line);
                if at > now {
                    // All datagrams that were sent before `now` have been read.
                    break;
                }
            }
            Ok(())
        })
    }

    /// Replaces the set of accounts whose uploads are audited.
    pub(super) fn set_accounts(&self, accounts: &[AccountRow]) {
        let with_user = || accounts.iter().filter_map(|row| Some((row.uid?, row.id.clone())));
        self.change(|tracker| tracker.set_accounts(with_user()));
        if self.links().set_accounts(with_user().map(|(_, id)| id).collect()) {
            self.wakeup.wake_to_link();
        }
    }

    /// Waits until a chroot needs a link or a change must be stored. The wait ends after `pause` at
    /// the latest, and when all links must be checked again. After a log line, the function waits
    /// for `gather`, so that several lines share one transaction. Returns false if the process is
    /// about to end.
    pub fn wait_for_work(&self, gather: Duration, pause: Duration) -> bool {
        let next_check = self.links().next_check_in(Instant::now());
        self.wakeup.wait(gather, pause.min(next_check))
    }

    /// Ends the current wait of the storing thread and all its later waits.
    pub fn stop(&self) {
        self.wakeup.shut_down();
    }

    /// Records a login that sshd logged.
    pub fn record_login(&self, login: Login) {
        if !self.tracker().has_account(&login.account) {
            return;
        }
        let refused_pending = {
            let mut refused = self.refused();
            refused.record(login.clone(), Timestamp::now());
            refused.has_pending()
        };
        if login.is_accepted {
            self.change(|tracker| tracker.record_login(login));
        }
        if refused_pending {
            self.wakeup.wake_to_store();
        }
    }

    /// Links the socket into chroots that have no link.
    pub fn link(&self) {
        let Some(socket) = &self.socket else { return };
        // The lock is released before the chroots are linked.
        let due = self.links().due(Instant::now());
        for account in due {
            let linked = socket.link(&account);
            let is_new = self.links().mark_done(&account);
            match linked {
                Ok(since) => {
                    self.change(|tracker| tracker.outcomes_mut(&account).set_complete_since(since))
                }
                // The account is being added or removed, so its folder does not exist.
                Err(LogSocketError::Folder(FolderError::Missing { .. }))
                    if !socket.layout().account(&account).is_dir() =>
                {
                    self.links().mark_due(&account);
                }
                Err(error) if is_new => {
                    tracing::warn!(%account, "the account's uploads are not audited: {}", chain(&error));
                }
                Err(_) => {}
            }
        }
    }

    /// Reads the datagrams that were sent before the call. Must be called before a decision about
    /// the files of `account`.
    pub(super) fn catch_up(&self, account: &AccountId) {
        if let Err(error) = self.receive() {
            tracing::error!(%account, "{}", chain(&error));
        }
    }

    /// Returns the state of the upload of a file in incoming, according to the SFTP server's log.
    pub(super) fn upload(&self, account: &AccountId, file: &spool::DirEntry) -> UploadState {
        let tracker = self.tracker();
        let outcomes = tracker.outcomes(account);
        outcomes
            .map(|outcomes| outcomes.upload_state(&LoggedName::of(&file.name), file.ctime))
            .unwrap_or_default()
    }

    /// Returns the warnings about the files of a pair before the pair is claimed.
    pub(super) fn warnings(&self, account: &AccountId, take: &PlannedClaim) -> Vec<String> {
        let Some(socket) = &self.socket else { return Vec::new() };
        self.catch_up(account);
        let mut tracker = self.tracker();
        let outcomes = tracker.outcomes_mut(account);
        if outcomes.complete_since().is_none() && !has_log_folder(socket.layout(), account) {
            // The account's uploads are not audited.
            return Vec::new();
        }
        let doubt = |entry: &spool::DirEntry| {
            outcomes.doubt(&LoggedName::of(&entry.name).text, entry.ctime)
        };
        let data = take.data.as_ref().ok().map(|data| (data.name.as_str(), doubt(data)));
        warnings(data, (&take.manifest.name, doubt(&take.manifest)))
    }

    /// Removes the upload outcomes of files that were claimed. `at` is the time of the claim. The
    /// outcomes of later files with the same names are kept.
    pub(super) fn forget_claimed<'n>(
        &self,
        account: &AccountId,
        names: impl Iterator<Item = &'n str>,
        at: Timestamp,
    ) {
        self.change(|tracker| {
            for name in names {
                tracker.outcomes_mut(account).remove_claimed(&LoggedName::of(name), at);
            }
        });
    }

    /// Stores all received log lines before the process ends. Refused logins that are held back are
    /// not stored, because the next process reads them from the journal again.
    pub fn store_all(&self, state: &State) -> state::Result<()> {
        self.tracker().confirm_all();
        self.store(state).map(drop)
    }

    /// Stores the tracker's changes and the refused keys in one transaction. Returns whether some
    /// changes are kept for a later call. After an error the next call stores the same changes.
    pub fn store(&self, state: &State) -> state::Result<bool> {
        let now = Timestamp::now();
        let (updates, more) = {
            let mut tracker = self.tracker();
            (tracker.drain_updates(now), tracker.has_pending())
        };
        let (refused, more) = {
            let mut refused = self.refused();
            (refused.drain(now), more || refused.has_pending())
        };
        if refused.left_out > 0 {
            tracing::warn!(
                "{} refused logins were not recorded: too many in a minute",
                refused.left_out
            );
        }
        if updates.is_empty() && refused.keys.is_empty() {
            return Ok(more);
        }
        let written = state.write(|tx| {
            updates.iter().try_for_each(|update| write(tx, update))?;
            refused::add(tx, &refused.keys)
        });
        if let Err(error) = written {
            self.tracker().requeue(updates);
            self.refused().requeue(RefusedUpdate { left_out: 0, ..refused });
            return Err(error);
        }
        Ok(more)
    }

    /// Removes the outcomes of files that no longer exist.
    pub fn forget_missing_files(&self, layout: &Layout, now: Timestamp) {
        let Ok(before) = now.checked_sub(FORGOTTEN_AFTER) else { return };
        let accounts = self.tracker().accounts_with_outcomes_before(before);
        for account in accounts {
            let old = |tracker: &mut SessionTracker| -> Vec<LoggedName> {
                tracker.outcomes_mut(&account).known_before(before).cloned().collect()
            };
            let names = old(&mut self.tracker());
            let mut missing: HashSet<&LoggedName> = names.iter().collect();
            let listed = spool::each_name(layout, &account, |name| {
                let name = encode_bytes(name);
                missing.retain(|known| !known.may_be(&name));
            });
            if listed.is_err() {
                // The account is being removed.
                continue;
            }
            self.change(|tracker| {
                let still_old: HashSet<LoggedName> = old(tracker).into_iter().collect();
                for name in missing.into_iter().filter(|name| still_old.contains(*name)) {
                    tracker.outcomes_mut(&account).set(name, None);
                }
            });
        }
    }

    /// Changes the tracker, and wakes the thread that stores the tracker's changes.
    fn change<T>(&self, change: impl FnOnce(&mut SessionTracker) -> T) -> T {
        let mut tracker = self.tracker();
        let changed = change(&mut tracker);
        if tracker.has_pending() {
            self.wakeup.wake_to_store();
        }
        let ended = tracker.drain_ended();
        drop(tracker);
        ended.into_iter().for_each(&self.on_session_end);
        changed
    }

    /// Locks the tracker for reading, or for a change that needs no wake-up.
    fn tracker(&self) -> MutexGuard<'_, SessionTracker> {
        // The tracker can be used after a panic, because a panic loses at most one line of the log.
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, RefusedLogins> {
        // The refused logins can be used after a panic, because a panic loses at most one login.
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, LogLinks> {
        // The links can be used after a panic, because every change is one insertion or removal and
        // is never incomplete.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(tx: &state::Transaction<'_>, update: &AccountUpdate) -> state::Result<()> {
    let AccountUpdate { account, changes, lines, uses } = update;
    if accounts::get(tx, account)?.is_none() {
        // The account was erased, so its data is not stored again.
        return Ok(());
    }
    uploads::write(tx, account, changes)?;
    for line in lines {
        activity::log(tx, line.at, Some(account), None, line.action, &line.detail)?;
    }
    for (fingerprint, last) in uses {
        keys::record_login(tx, account, fingerprint, last.at, &last.from)?;
    }
    Ok(())
}
