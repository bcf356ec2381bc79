//! The audit of uploads: reads the SFTP server's log for the state database and for claims.
//!
//! One thread reads the log socket into the [`SessionTracker`] in memory and never blocks on anything
//! else. Another links the socket into chroots and stores the ledger's changes. A claim first reads
//! the datagrams that are queued in the socket: the server logs a close before it closes, so the
//! ledger then knows every upload that ended before the claim.

pub mod log_links;
pub mod wakeup;
pub mod warnings;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use self::log_links::LogLinks;
use self::wakeup::News;
use self::warnings::warnings;
use super::Engine;
use crate::account::AccountId;
use crate::audit::logged_name::encode_bytes;
use crate::audit::{AccountUpdate, KeyUse, LoggedName, Login, SessionTracker, UploadState};
use crate::sanitize::chain;
use crate::spool::PlannedClaim;
use crate::spool::{self, FolderError, LogSocket, LogSocketError, has_log_folder};
use crate::state::accounts::{self, AccountRow};
use crate::state::{self, activity, keys, uploads};

/// The most lines read in one go: many times what the kernel queues (net.unix.max_dgram_qlen), and
/// few enough that a flood of lines from one account doesn't delay another's claim for long.
const AT_ONCE: usize = 10_000;

/// A fact whose file no longer exists is removed at this age.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Called when a session that changed files of an account has ended.
pub type OnSessionEnd = Box<dyn Fn(AccountId) + Send + Sync>;

/// The log socket and the ledger of uploads.
pub struct Hearing {
    /// `None` if it could not be created, which was logged.
    socket: Option<LogSocket>,
    ledger: Mutex<SessionTracker>,
    links: Mutex<LogLinks>,
    news: News,
    on_session_end: OnSessionEnd,
}

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hearing").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Hearing {
    /// Binds the socket and loads the stored facts. A socket that can't be bound is logged; uploads
    /// are then not audited, but still imported.
    pub(super) fn begin(engine: &Engine, on_session_end: OnSessionEnd) -> state::Result<Self> {
        let socket = LogSocket::bind(&engine.layout).inspect_err(|error| {
            tracing::error!("uploads are not audited: {}", chain(error));
        });
        let accounts = &engine.config.accounts;
        let mut ledger = SessionTracker::new(accounts.first_uid..=accounts.last_uid);
        engine.state.read(|tx| {
            for (account, name, fact) in uploads::list(tx)? {
                ledger.outcomes_mut(&account).load(name, fact);
            }
            for key in keys::list(tx, None, true)? {
                if let (Some(at), Some(from)) = (key.last_used_at, key.last_used_from) {
                    ledger.load_key_use(&key.account, key.fingerprint, KeyUse { at, from });
                }
            }
            Ok::<_, state::Error>(())
        })?;
        Ok(Self {
            socket: socket.ok(),
            ledger: Mutex::new(ledger),
            links: Mutex::new(LogLinks::new(Instant::now())),
            news: News::default(),
            on_session_end,
        })
    }

    /// Reads lines until the socket fails. Returns immediately if there is no socket.
    pub fn hear(&self) -> Result<(), LogSocketError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        loop {
            socket.wait()?;
            self.take_in()?;
        }
    }

    /// Reads the datagrams that were sent until now.
    fn take_in(&self) -> Result<(), LogSocketError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        self.change(|ledger| {
            let now = Timestamp::now();
            for _ in 0..AT_ONCE {
                let Some(line) = socket.receive()? else { break };
                let at = line.at;
                ledger.process(line);
                if at > now {
                    break; // everything sent before `now` has been read
                }
            }
            Ok(())
        })
    }

    /// Replaces the set of accounts.
    pub(super) fn follow(&self, accounts: &[AccountRow]) {
        let with_user = || accounts.iter().filter_map(|row| Some((row.uid?, row.id.clone())));
        self.change(|ledger| ledger.set_accounts(with_user()));
        if self.links().follow(with_user().map(|(_, id)| id).collect()) {
            self.news.of_accounts();
        }
    }

    /// Waits until there may be something to link or to store, at most for `pause` and until the
    /// links are checked again. After a line it waits for `together`, so that more lines share one
    /// transaction. Returns false if the process ends.
    pub fn wait_for_news(&self, together: Duration, pause: Duration) -> bool {
        let again = self.links().again_in(Instant::now());
        self.news.wait(together, pause.min(again))
    }

    /// Ends every wait from now on.
    pub fn stop(&self) {
        self.news.of_the_end();
    }

    /// Records a login that sshd logged.
    pub fn logged_in(&self, login: Login) {
        self.change(|ledger| ledger.record_login(login));
    }

    /// Links the socket into chroots that lack it.
    pub fn link(&self) {
        let Some(socket) = &self.socket else { return };
        let due = self.links().due(Instant::now()); // the lock is released before linking
        for account in due {
            let linked = socket.link(&account);
            let is_new = self.links().done(&account);
            match linked {
                Ok(since) => {
                    self.change(|ledger| ledger.outcomes_mut(&account).set_complete_since(since))
                }
                // The account is being added or removed.
                Err(LogSocketError::Folder(FolderError::Missing { .. }))
                    if !self.has_chroot(socket, &account) =>
                {
                    self.links().not_done(&account);
                }
                Err(error) if is_new => {
                    tracing::warn!(%account, "its uploads are not audited: {}", chain(&error));
                }
                Err(_) => {}
            }
        }
    }

    fn has_chroot(&self, socket: &LogSocket, account: &AccountId) -> bool {
        socket.layout().account(account).is_dir()
    }

    /// Reads the datagrams sent until now, before decisions about `account`.
    pub(super) fn catch_up(&self, account: &AccountId) {
        if let Err(error) = self.take_in() {
            tracing::error!(%account, "{}", chain(&error));
        }
    }

    /// Returns what the log shows about a file in incoming.
    pub(super) fn upload(&self, account: &AccountId, file: &spool::DirEntry) -> UploadState {
        let ledger = self.ledger();
        let facts = ledger.outcomes(account);
        facts
            .map(|facts| facts.upload_state(&LoggedName::of(&file.name), file.ctime))
            .unwrap_or_default()
    }

    /// Returns the warnings about the files of a pair that is about to be claimed.
    pub(super) fn warnings(&self, account: &AccountId, take: &PlannedClaim) -> Vec<String> {
        let Some(socket) = &self.socket else { return Vec::new() };
        self.catch_up(account);
        let mut ledger = self.ledger();
        let facts = ledger.outcomes_mut(account);
        if facts.complete_since().is_none() && !has_log_folder(socket.layout(), account) {
            return Vec::new(); // the account's uploads are not audited
        }
        let doubt =
            |entry: &spool::DirEntry| facts.doubt(&LoggedName::of(&entry.name).text, entry.ctime);
        let data = take.data.as_ref().ok().map(|data| (data.name.as_str(), doubt(data)));
        warnings(data, (&take.manifest.name, doubt(&take.manifest)))
    }

    /// Removes the facts about files that were claimed from `at` on.
    pub(super) fn claimed<'n>(
        &self,
        account: &AccountId,
        names: impl Iterator<Item = &'n str>,
        at: Timestamp,
    ) {
        self.change(|ledger| {
            for name in names {
                ledger.outcomes_mut(account).remove_claimed(&LoggedName::of(name), at);
            }
        });
    }

    /// Changes the ledger, and wakes the thread that stores it.
    fn change<T>(&self, change: impl FnOnce(&mut SessionTracker) -> T) -> T {
        let mut ledger = self.ledger();
        let changed = change(&mut ledger);
        if ledger.has_pending() {
            self.news.of_lines();
        }
        let ended = ledger.drain_ended();
        drop(ledger);
        ended.into_iter().for_each(&self.on_session_end);
        changed
    }

    /// Locks the ledger for reading, or for a change that needs no wake-up.
    fn ledger(&self) -> MutexGuard<'_, SessionTracker> {
        // A panic loses at most one line.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, LogLinks> {
        // Every change is one insertion or removal.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Begins the audit of uploads.
    pub fn listen(&self, on_session_end: OnSessionEnd) -> state::Result<()> {
        let hearing = Hearing::begin(self, on_session_end)?;
        // If it was called before, the first audit stays.
        let _ = self.hearing.set(Arc::new(hearing));
        Ok(())
    }

    /// Stores all lines that were received, before the process ends.
    pub fn write_down_all(&self) -> state::Result<()> {
        if let Some(hearing) = self.hearing.get() {
            hearing.ledger().confirm_all();
        }
        self.write_down().map(drop)
    }

    /// Stores the ledger's changes in one transaction. Returns whether some are held back for a
    /// later call. After an error the next call stores the same changes.
    pub fn write_down(&self) -> state::Result<bool> {
        let Some(hearing) = self.hearing.get() else { return Ok(false) };
        let (pages, more) = {
            let mut ledger = hearing.ledger();
            (ledger.drain_updates(Timestamp::now()), ledger.has_pending())
        };
        if pages.is_empty() {
            return Ok(more);
        }
        let written = self.state.write(|tx| pages.iter().try_for_each(|page| write(tx, page)));
        if let Err(error) = written {
            hearing.ledger().requeue(pages);
            return Err(error);
        }
        Ok(more)
    }

    /// Removes facts about files that no longer exist.
    pub(super) fn forget_gone(&self, now: Timestamp) {
        let Some(hearing) = self.hearing.get() else { return };
        let Ok(before) = now.checked_sub(FORGOTTEN_AFTER) else { return };
        let accounts = hearing.ledger().accounts_with_outcomes_before(before);
        for account in accounts {
            let old = |ledger: &mut SessionTracker| -> Vec<LoggedName> {
                ledger.outcomes_mut(&account).known_before(before).cloned().collect()
            };
            let names = old(&mut hearing.ledger());
            let mut gone: HashSet<&LoggedName> = names.iter().collect();
            let listed = spool::each_name(&self.layout, &account, |name| {
                let name = encode_bytes(name);
                gone.retain(|known| !known.may_be(&name));
            });
            if listed.is_err() {
                continue; // its folder is gone, and the account soon is
            }
            hearing.change(|ledger| {
                let still_old: HashSet<LoggedName> = old(ledger).into_iter().collect();
                for name in gone.into_iter().filter(|name| still_old.contains(*name)) {
                    ledger.outcomes_mut(&account).set(name, None);
                }
            });
        }
    }
}

fn write(tx: &state::Transaction<'_>, page: &AccountUpdate) -> state::Result<()> {
    let AccountUpdate { account, changes, lines, uses } = page;
    if accounts::get(tx, account)?.is_none() {
        return Ok(()); // erased since: nothing of it is stored again
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
