//! Returns which accounts to scan: on inotify events, or on a timer where there are none.
//!
//! Always holds: an account that is followed has a watch, or is polled; nothing is missed, and a
//! lost event costs latency only. Wake-ups carry no data.
//!
//! Polling is two things. The net: every such account is looked at every `poll-every`, which compares
//! with what the state database knows, and misses nothing. Above it, with [`Method::Poll`], notify's
//! `PollWatcher` looks at the accounts' folders [`GLANCES`] times as often, so that most uploads are
//! noticed sooner; what it can't see ([`self::poll`]) the net catches.
//!
pub mod arrivals;
pub mod inotify;
pub mod poll;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::arrivals::Arrivals;
use self::inotify::{Events, Renewed};
use self::poll::Poller;
use super::layout::Layout;
use crate::account::AccountId;
use crate::config::{Method, Watch};

/// How many times notify checks the folders per scan of every account.
const GLANCES: u32 = 5;

/// What to scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// The list of accounts. Call [`Watcher::follow`] afterwards.
    Accounts,
    /// Every account's incoming.
    All,
    /// One account's incoming.
    Account(AccountId),
}

/// Why something is not watched. It is polled instead.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The host has no inotify instance left.
    #[error(
        "cannot use inotify, all accounts are polled until the next start; \
         is fs.inotify.max_user_instances (sysctl) reached?"
    )]
    Start(#[source] io::Error),
    /// No thread can be started for notify's watcher.
    #[error("cannot poll by notify; all accounts are scanned every watch.poll-every")]
    Poll(#[source] io::Error),
    /// The limit of watches is reached.
    #[error(
        "cannot watch {}: the limit of inotify watches is reached, the rest is polled; \
         raise fs.inotify.max_user_watches (sysctl), one watch an account is needed",
        path.display()
    )]
    Limit {
        /// The first folder that is not watched.
        path: PathBuf,
    },
    #[error("cannot watch {}", path.display())]
    Add { path: PathBuf, source: io::Error },
    #[error("cannot read inotify events")]
    Read(#[source] io::Error),
}

/// The result of [`Watcher::follow`] or [`Watcher::renew`].
#[derive(Debug, Default)]
pub struct Followed {
    /// The accounts to scan, because their watch is new.
    pub look: Vec<AccountId>,
    /// Why something became unwatched. Each error is reported once.
    pub errors: Vec<WatchError>,
}

/// Watches the accounts' folder and every account's incoming, or polls them.
pub struct Watcher {
    /// `None` if the configuration sets polling, or the host has no inotify instance left.
    events: Option<Events>,
    /// Wakes before the next poll. Set if the configuration sets polling.
    poller: Option<Poller>,
    polled: BTreeSet<AccountId>,
    every: Duration,
    next_poll: Instant,
    /// Why there are no events, until it is reported.
    start: Option<WatchError>,
    /// Whether the reached limit of watches has been reported.
    limit_told: bool,
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
            Method::Poll => match Poller::new(layout, every / GLANCES) {
                Ok(poller) => (None, Some(poller), None),
                Err(error) => (None, None, Some(WatchError::Poll(error))),
            },
            Method::Inotify => match Events::new(layout, arrivals) {
                Ok(events) => (Some(events), None, None),
                Err(error @ WatchError::Start(_)) => (None, None, Some(error)),
                Err(error) => return Err(error),
            },
        };
        let (polled, next_poll) = (BTreeSet::new(), Instant::now() + every);
        Ok(Self { events, poller, polled, every, next_poll, start, limit_told: false })
    }

    /// Follows exactly `accounts`: adds missing watches, removes others, and polls accounts that
    /// cannot be watched.
    pub fn follow(&mut self, accounts: &[AccountId]) -> Followed {
        let Some(events) = &mut self.events else {
            let before = std::mem::replace(&mut self.polled, accounts.iter().cloned().collect());
            let look = self.polled.difference(&before).cloned().collect();
            return self.poll(look);
        };
        let renewed = events.follow(accounts);
        self.renewed(renewed)
    }

    /// Re-adds missing watches of `accounts`, which are already followed, and of polled accounts.
    pub fn renew(&mut self, accounts: &[AccountId]) -> Followed {
        let Some(events) = &mut self.events else { return self.poll(Vec::new()) };
        let wanted: BTreeSet<_> = accounts.iter().chain(&self.polled).collect();
        let renewed = events.renew(wanted);
        self.renewed(renewed)
    }

    /// Polls all accounts, because there are no events.
    fn poll(&mut self, look: Vec<AccountId>) -> Followed {
        if let Some(poller) = &self.poller {
            poller.follow(self.polled.clone());
        }
        Followed { look, errors: self.start.take().into_iter().collect() }
    }

    /// Polls the accounts that have no watch, and returns new watches and errors.
    fn renewed(&mut self, renewed: Renewed) -> Followed {
        let Renewed { new, root, unwatched } = renewed;
        let mut followed = Followed { look: new, errors: root.into_iter().collect() };
        let before = std::mem::take(&mut self.polled);
        let mut limit = false;
        for (account, error) in unwatched {
            let at_limit = matches!(error, WatchError::Limit { .. });
            if !before.contains(&account) {
                followed.look.push(account.clone()); // its watch may have missed earlier uploads
            }
            if if at_limit { !limit && !self.limit_told } else { !before.contains(&account) } {
                followed.errors.push(error);
            }
            limit |= at_limit;
            self.polled.insert(account);
        }
        self.limit_told = limit;
        followed
    }

    /// Waits for events or the next round of polling, and returns what to scan, without duplicates.
    /// Cancel-safe.
    pub async fn next(&mut self) -> Result<Vec<Look>, WatchError> {
        tokio::select! {
            looks = next_event(self.events.as_mut()) => looks,
            accounts = next_change(self.poller.as_ref()) => {
                // Skips accounts that are no longer followed.
                Ok(accounts.intersection(&self.polled).cloned().map(Look::Account).collect())
            }
            () = sleep_until(self.next_poll), if !self.polled.is_empty() => {
                self.next_poll = Instant::now() + self.every;
                Ok(self.polled.iter().cloned().map(Look::Account).collect())
            }
        }
    }
}

async fn next_event(events: Option<&mut Events>) -> Result<Vec<Look>, WatchError> {
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
