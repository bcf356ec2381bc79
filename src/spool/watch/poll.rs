//! Uses notify's `PollWatcher` to find changed folders on file systems without inotify events.
//!
//! Invariant: the watcher keeps and compares three entries per account, which are the account's
//! folder, incoming and results. The number of uploaded files does not matter. An added or removed
//! file changes the modification time of incoming. A missed change costs only time, because every
//! polled account is also scanned at intervals. notify 8.2 compares whole seconds, so it misses the
//! second of two changes within one second. It also misses writes to an existing file.
//!
//! Measured without optimisation: 10,000 accounts take 15 MB of memory and 0.1 s of CPU time per
//! round. 200,000 files in an incoming folder add nothing. The files themselves are not watched.
//! Otherwise notify would keep the name and time of every file, and would stat every file in every
//! round. The names of 200,000 files take 30 MB, and any account could upload that many. notify
//! would still miss the second of two changes within one second.
//!
//! A hanging file system blocks notify's thread and the thread of this file, but never the caller.

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

/// Polls the folders of accounts, and reports the accounts whose folders have changed.
pub struct Poller {
    follow: Sender<BTreeSet<AccountId>>,
    changed: Arc<ChangedAccounts>,
}

/// The accounts that must be scanned, without duplicates. Their number is limited by the number of
/// accounts.
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

    /// Watches exactly the given accounts, beginning after the current round of polling.
    pub fn follow(&self, accounts: BTreeSet<AccountId>) {
        // An error means that the thread has ended. The accounts are still scanned at every
        // interval.
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
        // A panic cannot leave the set in an incomplete state, because every change is one
        // insertion or one swap of the set.
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns the watcher until the [`Poller`] is dropped. Runs in its own thread, because adding a watch
/// waits until the current round of polling has ended.
fn keep_watching(
    layout: &Layout,
    every: Duration,
    changed: Arc<ChangedAccounts>,
    wanted: &Receiver<BTreeSet<AccountId>>,
) {
    let root = layout.root().to_owned();
    let notify = move |event: notify::Result<Event>| {
        // An error means that a folder was removed or can't be read. The next scan reports the
        // folder.
        let paths = event.map(|event| event.paths).unwrap_or_default();
        let accounts = paths.iter().filter_map(|path| account_of(&root, path));
        accounts.for_each(|account| changed.notify(account));
    };
    let config = Config::default().with_poll_interval(every).with_follow_symlinks(false);
    let mut watcher = match PollWatcher::new(notify, config) {
        Ok(watcher) => watcher,
        Err(error) => {
            return tracing::error!("cannot start the thread that polls the folders: {error}");
        }
    };
    let mut watched = BTreeSet::new();
    while let Ok(mut accounts) = wanted.recv() {
        // Only the latest set of accounts is watched.
        while let Ok(later) = wanted.try_recv() {
            accounts = later;
        }
        watched = watch(layout, &mut watcher, &watched, accounts);
    }
}

/// Watches exactly the given accounts. Returns the accounts with a watch. The next call tries the
/// other accounts again.
fn watch(
    layout: &Layout,
    watcher: &mut PollWatcher,
    watched: &BTreeSet<AccountId>,
    mut accounts: BTreeSet<AccountId>,
) -> BTreeSet<AccountId> {
    for gone in watched.difference(&accounts) {
        // An error means that the folder has no watch already.
        let _ = watcher.unwatch(&layout.account(gone));
    }
    accounts.retain(|account| {
        let folder = layout.account(account);
        watched.contains(account)
            || folder.is_dir() && watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok()
    });
    accounts
}

/// Returns the account whose folder or incoming is at `path`. `None` for results/, because only the
/// daemon changes that folder.
fn account_of(root: &Path, path: &Path) -> Option<AccountId> {
    let mut names = path.strip_prefix(root).ok()?.iter();
    let account = names.next()?.to_str()?.parse().ok()?;
    names.next().is_none_or(|name| name == INCOMING).then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_not_watched() {
        let of = |path: &str| account_of("/srv/x".as_ref(), path.as_ref());
        let account: AccountId = "acme".parse().unwrap();
        assert_eq!(of("/srv/x/acme"), Some(account.clone()));
        assert_eq!(of("/srv/x/acme/incoming"), Some(account));
        for other in ["/srv/x", "/srv/x/acme/results", "/srv/x/.spool", "/srv/y/acme"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
