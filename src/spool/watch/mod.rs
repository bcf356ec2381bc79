//! Reports which accounts must be scanned. Uses inotify events, or a timer if the kernel sends no
//! events.
//!
//! Invariant: a followed account either has a watch or is polled. A lost event costs only time,
//! because a wake-up contains no data.
//!
//! Polling has two parts. Every polled account is scanned at the interval `poll-every`. A scan
//! compares incoming with the state database and misses nothing. With [`Method::Poll`], notify's
//! `PollWatcher` also checks the accounts' folders [`POLLS_PER_SCAN`] times as often, so that most
//! uploads are found earlier. The scan finds the changes that notify misses ([`self::poll`]).

pub mod arrivals;
pub mod inotify;
pub mod poll;
pub mod wakeup;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::arrivals::Arrivals;
use self::inotify::{InotifyWatches, RenewResult};
use self::poll::Poller;
use self::wakeup::{ScanTarget, WatchError};
use super::layout::Layout;
use crate::account::AccountId;
use crate::config::{Method, Watch};

/// The number of times that the notify crate checks the folders during one polling interval.
const POLLS_PER_SCAN: u32 = 5;

/// The result of [`Watcher::follow`] or [`Watcher::renew`].
#[derive(Debug, Default)]
pub struct FollowResult {
    /// The accounts that must be scanned, because their watch is new.
    pub to_scan: Vec<AccountId>,
    /// The reasons why an account or the accounts' folder is not watched any more. Each error is
    /// reported once.
    pub errors: Vec<WatchError>,
}

/// Watches or polls the accounts' folder and the incoming folder of every account.
pub struct Watcher {
    /// The inotify watches. `None` if the configuration sets polling, or if the host has no free
    /// inotify instance.
    events: Option<InotifyWatches>,
    /// The watcher of the notify crate, which finds changes before the next scan. `Some` if the
    /// configuration sets polling.
    poller: Option<Poller>,
    polled: BTreeSet<AccountId>,
    every: Duration,
    next_poll: Instant,
    /// The reason why inotify cannot be used. `None` after this reason was reported.
    start: Option<WatchError>,
    /// Whether the watcher has reported that the limit of inotify watches is reached.
    limit_reported: bool,
}

impl Watcher {
    /// Begins to watch the accounts' folder. Must run inside a tokio runtime. Records the arrival
    /// order of manifests in `arrivals`. Without an inotify instance all accounts are polled. This
    /// is not an error.
    pub fn new(
        layout: &Layout,
        arrivals: Arc<Arrivals>,
        watch: &Watch,
    ) -> Result<Self, WatchError> {
        let every = watch.poll_every.get();
        let (events, poller, start) = match watch.method {
            Method::Poll => match Poller::new(layout, every / POLLS_PER_SCAN) {
                Ok(poller) => (None, Some(poller), None),
                Err(error) => (None, None, Some(WatchError::Poll(error))),
            },
            Method::Inotify => match InotifyWatches::new(layout, arrivals) {
                Ok(events) => (Some(events), None, None),
                Err(error @ WatchError::Start(_)) => (None, None, Some(error)),
                Err(error) => return Err(error),
            },
        };
        let (polled, next_poll) = (BTreeSet::new(), Instant::now() + every);
        Ok(Self { events, poller, polled, every, next_poll, start, limit_reported: false })
    }

    /// Follows exactly the given accounts: adds missing watches, removes all other watches, and
    /// polls accounts that can't be watched.
    pub fn follow(&mut self, accounts: &[AccountId]) -> FollowResult {
        let Some(events) = &mut self.events else {
            let before = std::mem::replace(&mut self.polled, accounts.iter().cloned().collect());
            let to_scan = self.polled.difference(&before).cloned().collect();
            return self.poll(to_scan);
        };
        let renewed = events.follow(accounts);
        self.renewed(renewed)
    }

    /// Adds missing watches of `accounts`, which are already followed, and of polled accounts.
    pub fn renew(&mut self, accounts: &[AccountId]) -> FollowResult {
        let Some(events) = &mut self.events else { return self.poll(Vec::new()) };
        let wanted: BTreeSet<_> = accounts.iter().chain(&self.polled).collect();
        let renewed = events.renew(wanted);
        self.renewed(renewed)
    }

    /// Polls all accounts, because the kernel sends no inotify events.
    fn poll(&mut self, to_scan: Vec<AccountId>) -> FollowResult {
        if let Some(poller) = &self.poller {
            poller.follow(self.polled.clone());
        }
        FollowResult { to_scan, errors: self.start.take().into_iter().collect() }
    }

    /// Polls the accounts without a watch. Returns the accounts with new watches, and the errors.
    fn renewed(&mut self, renewed: RenewResult) -> FollowResult {
        let RenewResult { new, root, unwatched } = renewed;
        let mut followed = FollowResult { to_scan: new, errors: root.into_iter().collect() };
        let before = std::mem::take(&mut self.polled);
        let mut limit = false;
        for (account, error) in unwatched {
            let at_limit = matches!(error, WatchError::Limit { .. });
            if !before.contains(&account) {
                // A file may have been uploaded before the watch began.
                followed.to_scan.push(account.clone());
            }
            if if at_limit { !limit && !self.limit_reported } else { !before.contains(&account) } {
                followed.errors.push(error);
            }
            limit |= at_limit;
            self.polled.insert(account);
        }
        self.limit_reported = limit;
        followed
    }

    /// Waits for events or for the next poll. Returns the scans that are required, without
    /// duplicates. Cancel-safe.
    pub async fn next(&mut self) -> Result<Vec<ScanTarget>, WatchError> {
        tokio::select! {
            targets = next_event(self.events.as_mut()) => targets,
            accounts = next_change(self.poller.as_ref()) => {
                // Accounts that are no longer followed are left out.
                Ok(accounts.intersection(&self.polled).cloned().map(ScanTarget::Account).collect())
            }
            () = sleep_until(self.next_poll), if !self.polled.is_empty() => {
                self.next_poll = Instant::now() + self.every;
                Ok(self.polled.iter().cloned().map(ScanTarget::Account).collect())
            }
        }
    }
}

async fn next_event(events: Option<&mut InotifyWatches>) -> Result<Vec<ScanTarget>, WatchError> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

async fn next_change(poller: Option<&Poller>) -> BTreeSet<AccountId> {
    match poller {
        Some(poller) => poller.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
