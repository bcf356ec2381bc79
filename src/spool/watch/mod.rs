//! Returns which accounts to scan: on inotify events, or on a timer where there are none.
//!
//! Invariant: a followed account has a watch or is polled. A lost event costs only latency, because
//! wake-ups carry no data.
//!
//! Polling has two parts. Every polled account is scanned every `poll-every`; a scan compares with
//! the state database and misses nothing. With [`Method::Poll`], notify's `PollWatcher` also checks
//! the accounts' folders [`POLLS_PER_SCAN`] times as often, so that most uploads are found sooner.
//! Changes that it misses ([`self::poll`]) are found by the scan.

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

/// How many times notify checks the folders per scan of every account.
const POLLS_PER_SCAN: u32 = 5;

/// The result of [`Watcher::follow`] or [`Watcher::renew`].
#[derive(Debug, Default)]
pub struct FollowResult {
    /// The accounts to scan, because their watch is new.
    pub look: Vec<AccountId>,
    /// Why something became unwatched. Each error is reported once.
    pub errors: Vec<WatchError>,
}

/// Watches the accounts' folder and every account's incoming, or polls them.
pub struct Watcher {
    /// `None` if the configuration sets polling, or the host has no inotify instance left.
    events: Option<InotifyWatches>,
    /// Wakes before the next poll. Set if the configuration sets polling.
    poller: Option<Poller>,
    polled: BTreeSet<AccountId>,
    every: Duration,
    next_poll: Instant,
    /// Why there are no events, until it is reported.
    start: Option<WatchError>,
    /// Whether the reached limit of watches has been reported.
    limit_reported: bool,
}

impl Watcher {
    /// Begins to watch for accounts. Must run inside a tokio runtime. Notes the arrival order of
    /// manifests in `arrivals`. Without an inotify instance all accounts are polled, which is no
    /// error.
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

    /// Follows exactly `accounts`: adds missing watches, removes others, and polls accounts that
    /// cannot be watched.
    pub fn follow(&mut self, accounts: &[AccountId]) -> FollowResult {
        let Some(events) = &mut self.events else {
            let before = std::mem::replace(&mut self.polled, accounts.iter().cloned().collect());
            let look = self.polled.difference(&before).cloned().collect();
            return self.poll(look);
        };
        let renewed = events.follow(accounts);
        self.renewed(renewed)
    }

    /// Re-adds missing watches of `accounts`, which are already followed, and of polled accounts.
    pub fn renew(&mut self, accounts: &[AccountId]) -> FollowResult {
        let Some(events) = &mut self.events else { return self.poll(Vec::new()) };
        let wanted: BTreeSet<_> = accounts.iter().chain(&self.polled).collect();
        let renewed = events.renew(wanted);
        self.renewed(renewed)
    }

    /// Polls all accounts, because there are no events.
    fn poll(&mut self, look: Vec<AccountId>) -> FollowResult {
        if let Some(poller) = &self.poller {
            poller.follow(self.polled.clone());
        }
        FollowResult { look, errors: self.start.take().into_iter().collect() }
    }

    /// Polls the accounts that have no watch, and returns new watches and errors.
    fn renewed(&mut self, renewed: RenewResult) -> FollowResult {
        let RenewResult { new, root, unwatched } = renewed;
        let mut followed = FollowResult { look: new, errors: root.into_iter().collect() };
        let before = std::mem::take(&mut self.polled);
        let mut limit = false;
        for (account, error) in unwatched {
            let at_limit = matches!(error, WatchError::Limit { .. });
            if !before.contains(&account) {
                followed.look.push(account.clone()); // its watch may have missed earlier uploads
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

    /// Waits for events or the next round of polling, and returns what to scan, without duplicates.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Result<Vec<ScanTarget>, WatchError> {
        tokio::select! {
            looks = next_event(self.events.as_mut()) => looks,
            accounts = next_change(self.poller.as_ref()) => {
                // Skips accounts that are no longer followed.
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
