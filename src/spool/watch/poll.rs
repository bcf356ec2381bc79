//! notify's `PollWatcher` as a source of wake-ups, for file systems without inotify events.
//!
//! Invariant: it keeps and compares three entries per account (its folder, incoming, results),
//! however many files an account uploads. A file added to or removed from incoming changes
//! incoming's own time. Missed changes cost only latency, because the watcher scans every polled
//! account anyway. notify 8.2 compares whole seconds, so it misses a second change within one
//! second. It also misses writes to an existing file.
//!
//! Measured, unoptimised: 10,000 accounts take 15 MB, and 0.1 s of CPU time per round; 200,000
//! files in an incoming add nothing. The files themselves are not watched. For them notify would
//! keep every name and time (30 MB for these 200,000 files, which any account could cause) and stat
//! each of them in every round. It would still miss a second change within one second.
//!
//! A file system that hangs blocks notify's thread and this one's, never the caller.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use notify::{Config, Event, PollWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::account::AccountId;
use crate::spool::layout::{INCOMING, Layout};

/// Reports the accounts whose folders have changed.
pub struct Poller {
    follow: Sender<BTreeSet<AccountId>>,
    changed: Arc<ChangedAccounts>,
}

/// The accounts to scan, without duplicates, so bounded by their number.
#[derive(Debug, Default)]
struct ChangedAccounts {
    accounts: Mutex<BTreeSet<AccountId>>,
    wake: Notify,
}

impl Poller {
    /// Starts a thread that polls the folders at the interval `every`. [`Poller::follow`] sets the
    /// accounts. Fails only if no thread can be started.
    pub fn new(layout: &Layout, every: Duration) -> std::io::Result<Self> {
        let changed = Arc::<ChangedAccounts>::default();
        let (follow, wanted) = channel();
        let (layout, changed_accounts) = (layout.clone(), Arc::clone(&changed));
        thread::Builder::new()
            .name("polling".into())
            .spawn(move || keep_watching(&layout, every, changed_accounts, &wanted))?;
        Ok(Self { follow, changed })
    }

    /// Watches exactly `accounts`, after the round that is running.
    pub fn follow(&self, accounts: BTreeSet<AccountId>) {
        // An error means that the thread has ended. The accounts are still scanned at every poll.
        let _ = self.follow.send(accounts);
    }

    /// Waits for changes and returns the changed accounts. Cancel-safe.
    pub async fn next(&self) -> BTreeSet<AccountId> {
        loop {
            let woken = self.changed.wake.notified();
            let accounts = std::mem::take(&mut *self.changed.lock());
            if !accounts.is_empty() {
                return accounts;
            }
            woken.await;
        }
    }
}

impl ChangedAccounts {
    fn notify(&self, account: AccountId) {
        self.lock().insert(account);
        self.wake.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<AccountId>> {
        // A panic cannot leave a half change: every change is one insertion, or a swap of the set.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns the watcher until the [`Poller`] is dropped. This needs a thread, because adding a watch
/// waits for the round that is running.
fn keep_watching(
    layout: &Layout,
    every: Duration,
    changed: Arc<ChangedAccounts>,
    wanted: &Receiver<BTreeSet<AccountId>>,
) {
    let root = layout.root().to_owned();
    let notify = move |event: notify::Result<Event>| {
        // An error means that a folder is gone or cannot be read. The next scan reports which.
        let paths = event.map(|event| event.paths).unwrap_or_default();
        let accounts = paths.iter().filter_map(|path| account_of(&root, path));
        accounts.for_each(|account| changed.notify(account));
    };
    let config = Config::default().with_poll_interval(every).with_follow_symlinks(false);
    let mut watcher = match PollWatcher::new(notify, config) {
        Ok(watcher) => watcher,
        Err(error) => return tracing::error!("cannot poll by notify: {error}"),
    };
    let mut watched = BTreeSet::new();
    while let Ok(mut accounts) = wanted.recv() {
        // Only the latest set of accounts counts.
        while let Ok(later) = wanted.try_recv() {
            accounts = later;
        }
        watched = watch(layout, &mut watcher, &watched, accounts);
    }
}

/// Watches exactly `accounts`. Returns those with a watch; the others are tried again next time.
fn watch(
    layout: &Layout,
    watcher: &mut PollWatcher,
    watched: &BTreeSet<AccountId>,
    mut accounts: BTreeSet<AccountId>,
) -> BTreeSet<AccountId> {
    for gone in watched.difference(&accounts) {
        // An error means that the folder is not watched anyway.
        let _ = watcher.unwatch(&layout.account(gone));
    }
    accounts.retain(|account| {
        let folder = layout.account(account);
        watched.contains(account)
            || folder.is_dir() && watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok()
    });
    accounts
}

/// Returns the account whose folder or incoming is at `path`. `None` for results/, which only the
/// daemon changes.
fn account_of(root: &Path, path: &Path) -> Option<AccountId> {
    let mut names = path.strip_prefix(root).ok()?.iter();
    let account = names.next()?.to_str()?.parse().ok()?;
    names.next().is_none_or(|name| name == INCOMING).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folder_and_incoming_name_an_account() {
        let of = |path: &str| account_of("/srv/x".as_ref(), path.as_ref());
        let account: AccountId = "acme".parse().unwrap();
        assert_eq!(of("/srv/x/acme"), Some(account.clone()));
        assert_eq!(of("/srv/x/acme/incoming"), Some(account));
        for other in ["/srv/x", "/srv/x/acme/results", "/srv/x/.spool", "/srv/y/acme"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
