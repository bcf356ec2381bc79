//! What the SFTP server says, on its way to the state database and to claims.
//!
//! A thread reads the log socket into the [`Ledger`], in memory, and waits for nothing; another
//! links the socket into chroots and writes down what was heard. A claim first takes in what waits
//! in the socket: the server logs a close before it closes, so whatever ended before the claim is
//! known by then.

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
use crate::audit::logged_name::encoded_bytes;
use crate::audit::{Heard, Ledger, Login, Name, Page, Upload, Use};
use crate::sanitize::chain;
use crate::spool::pairing::Take;
use crate::spool::{self, FolderError, LogSocket, LogSocketError, has_log_folder};
use crate::state::accounts::{self, AccountRow};
use crate::state::{self, activity, keys, uploads};

/// How many lines are taken in at once: many times what the kernel queues
/// (net.unix.max_dgram_qlen), so that one account's flood holds nobody's claim up for long.
const AT_ONCE: usize = 10_000;

/// A fact whose file is gone is forgotten when it is this old.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// What to do when a session has ended that changed files of an account.
pub type OnSessionEnd = Box<dyn Fn(AccountId) + Send + Sync>;

/// The log socket, and what was heard.
pub struct Hearing {
    /// None: it could not be made, which has been said.
    socket: Option<LogSocket>,
    ledger: Mutex<Ledger>,
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
    /// Listens, and remembers what is written down.
    ///
    /// # Errors
    /// The state database's. Where nothing can be heard, that is said, and everything goes on.
    pub(super) fn begin(engine: &Engine, on_session_end: OnSessionEnd) -> state::Result<Self> {
        let socket = LogSocket::bind(&engine.layout).inspect_err(|error| {
            tracing::error!("uploads are not audited: {}", chain(error));
        });
        let accounts = &engine.config.accounts;
        let mut ledger = Ledger::new(accounts.first_uid..=accounts.last_uid);
        engine.state.read(|tx| {
            for (account, name, fact) in uploads::list(tx)? {
                ledger.facts(&account).remember(name, fact);
            }
            for key in keys::list(tx, None, true)? {
                if let (Some(at), Some(from)) = (key.last_used_at, key.last_used_from) {
                    ledger.remember_use(&key.account, key.fingerprint, Use { at, from });
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

    /// Waits for lines, and takes them in. Returns at once when there is nothing to listen to.
    ///
    /// # Errors
    /// The socket fails.
    pub fn hear(&self) -> Result<(), LogSocketError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        loop {
            socket.wait()?;
            self.take_in()?;
        }
    }

    /// Takes in what was sent until now.
    fn take_in(&self) -> Result<(), LogSocketError> {
        let Some(socket) = &self.socket else { return Ok(()) };
        self.change(|ledger| {
            let now = Timestamp::now();
            for _ in 0..AT_ONCE {
                let Some(datagram) = socket.receive()? else { break };
                let spool::Datagram { uid, pid, at, bytes } = datagram;
                ledger.hear(Heard { uid, pid, at, bytes });
                if at > now {
                    break; // what was sent before has been read before
                }
            }
            Ok(())
        })
    }

    /// These are the accounts now.
    pub(super) fn follow(&self, accounts: &[AccountRow]) {
        let with_user = || accounts.iter().filter_map(|row| Some((row.uid?, row.id.clone())));
        self.change(|ledger| ledger.follow(with_user()));
        if self.links().follow(with_user().map(|(_, id)| id).collect()) {
            self.news.of_accounts();
        }
    }

    /// Waits until there may be something to link or to write down, at most for `pause` and until
    /// the links are looked at again. What was heard is waited for a little longer, so that it comes
    /// `together`. False: the process ends.
    pub fn wait_for_news(&self, together: Duration, pause: Duration) -> bool {
        let again = self.links().again_in(Instant::now());
        self.news.wait(together, pause.min(again))
    }

    /// Ends the wait for news, for good.
    pub fn stop(&self) {
        self.news.of_the_end();
    }

    /// sshd says that somebody logged in.
    pub fn logged_in(&self, login: Login) {
        self.change(|ledger| ledger.logged_in(login));
    }

    /// Links the socket into chroots that don't have it.
    pub fn link(&self) {
        let Some(socket) = &self.socket else { return };
        let due = self.links().due(Instant::now()); // accounts that come meanwhile don't wait
        for account in due {
            let linked = socket.link(&account);
            let is_new = self.links().done(&account);
            match linked {
                Ok(since) => self.change(|ledger| ledger.facts(&account).hears_since(since)),
                // The account is on its way, or away.
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

    /// Reads what was sent until now, before decisions about `account`.
    pub(super) fn catch_up(&self, account: &AccountId) {
        if let Err(error) = self.take_in() {
            tracing::error!(%account, "{}", chain(&error));
        }
    }

    /// What the log says of a file in incoming.
    pub(super) fn upload(&self, account: &AccountId, file: &spool::Entry) -> Upload {
        let ledger = self.ledger();
        let facts = ledger.facts_of(account);
        facts.map(|facts| facts.upload(&Name::of(&file.name), file.ctime)).unwrap_or_default()
    }

    /// What there is to say of the files of a pair that is about to be claimed.
    pub(super) fn warnings(&self, account: &AccountId, take: &Take) -> Vec<String> {
        let Some(socket) = &self.socket else { return Vec::new() };
        self.catch_up(account);
        let mut ledger = self.ledger();
        let facts = ledger.facts(account);
        if facts.since().is_none() && !has_log_folder(socket.layout(), account) {
            return Vec::new(); // nothing is set up that could have heard
        }
        let doubt = |entry: &spool::Entry| facts.doubt(&Name::of(&entry.name).text, entry.ctime);
        let data = take.data.as_ref().ok().map(|data| (data.name.as_str(), doubt(data)));
        warnings(data, (&take.manifest.name, doubt(&take.manifest)))
    }

    /// These files were claimed, from `at` on: what was known of them has served.
    pub(super) fn claimed<'n>(
        &self,
        account: &AccountId,
        names: impl Iterator<Item = &'n str>,
        at: Timestamp,
    ) {
        self.change(|ledger| {
            for name in names {
                ledger.facts(account).claimed(&Name::of(name), at);
            }
        });
    }

    /// Changes the ledger, and sees to it that this is written down.
    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger();
        let changed = change(&mut ledger);
        if ledger.is_stirred() {
            self.news.of_lines();
        }
        let ended = ledger.take_ended();
        drop(ledger);
        ended.into_iter().for_each(&self.on_session_end);
        changed
    }

    /// The ledger, to read it, or to change what is written down anyway.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Every line is taken in or not; half of one is one line the less.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn links(&self) -> MutexGuard<'_, LogLinks> {
        // Every change is one insertion or removal.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Begins to listen to the SFTP server's log.
    pub fn listen(&self, on_session_end: OnSessionEnd) -> state::Result<()> {
        let hearing = Hearing::begin(self, on_session_end)?;
        // Asked for twice, the first one listens.
        let _ = self.hearing.set(Arc::new(hearing));
        Ok(())
    }

    /// Stores all lines that were received, before the process ends.
    ///
    /// # Errors
    /// The state database's.
    pub fn write_down_all(&self) -> state::Result<()> {
        if let Some(hearing) = self.hearing.get() {
            hearing.ledger().confirm_all();
        }
        self.write_down().map(drop)
    }

    /// Writes down what was heard, in one transaction. Returns whether there will be more to write
    /// though nothing more is heard.
    ///
    /// # Errors
    /// The state database's; nothing is lost by it.
    pub fn write_down(&self) -> state::Result<bool> {
        let Some(hearing) = self.hearing.get() else { return Ok(false) };
        let (pages, more) = {
            let mut ledger = hearing.ledger();
            (ledger.take_pages(Timestamp::now()), ledger.is_stirred())
        };
        if pages.is_empty() {
            return Ok(more);
        }
        let written = self.state.write(|tx| pages.iter().try_for_each(|page| write(tx, page)));
        if let Err(error) = written {
            hearing.ledger().put_back(pages);
            return Err(error);
        }
        Ok(more)
    }

    /// Forgets what is known of files that are no longer there.
    pub(super) fn forget_gone(&self, now: Timestamp) {
        let Some(hearing) = self.hearing.get() else { return };
        let Ok(before) = now.checked_sub(FORGOTTEN_AFTER) else { return };
        let accounts = hearing.ledger().with_facts_older_than(before);
        for account in accounts {
            let old = |ledger: &mut Ledger| -> Vec<Name> {
                ledger.facts(&account).older_than(before).cloned().collect()
            };
            let names = old(&mut hearing.ledger());
            let mut gone: HashSet<&Name> = names.iter().collect();
            let listed = spool::each_name(&self.layout, &account, |name| {
                let name = encoded_bytes(name);
                gone.retain(|known| !known.may_be(&name));
            });
            if listed.is_err() {
                continue; // its folder is gone, and the account soon is
            }
            hearing.change(|ledger| {
                let still_old: HashSet<Name> = old(ledger).into_iter().collect();
                for name in gone.into_iter().filter(|name| still_old.contains(*name)) {
                    ledger.facts(&account).set(name, None);
                }
            });
        }
    }
}

fn write(tx: &state::Transaction<'_>, page: &Page) -> state::Result<()> {
    let Page { account, changes, lines, uses } = page;
    if accounts::get(tx, account)?.is_none() {
        return Ok(()); // erased meanwhile: nothing of it comes back
    }
    uploads::write(tx, account, changes)?;
    for line in lines {
        activity::log(tx, line.at, Some(account), None, line.action, &line.detail)?;
    }
    for (fingerprint, last) in uses {
        keys::used(tx, account, fingerprint, last.at, &last.from)?;
    }
    Ok(())
}
