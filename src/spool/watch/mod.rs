//! Which account to look at: told by the kernel, or by a timer where it tells nothing.
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

/// How often notify looks at the folders while every account is looked at once.
const GLANCES: u32 = 5;

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Look {
    /// Which accounts there are; then [`Watcher::follow`].
    Accounts,
    /// Everything.
    All,
    /// One account's incoming.
    Account(AccountId),
}

/// Why something is not watched; until it is, it is polled.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// No inotify instance.
    #[error(
        "cannot use inotify, all accounts are polled until the next start; \
         is fs.inotify.max_user_instances (sysctl) reached?"
    )]
    Start(#[source] io::Error),
    /// No thread for notify's watcher.
    #[error("cannot poll by notify; all accounts are looked at every watch.poll-every")]
    Poll(#[source] io::Error),
    /// The limit of watches is reached.
    #[error(
        "cannot watch {}: the limit of inotify watches is reached, what has none is polled; \
         raise fs.inotify.max_user_watches (sysctl), one watch an account is needed",
        path.display()
    )]
    Limit {
        /// The first folder that is not watched.
        path: PathBuf,
    },
    /// A folder can't be watched.
    #[error("cannot watch {}", path.display())]
    Add {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel gives no events.
    #[error("cannot read inotify events")]
    Read(#[source] io::Error),
}

/// What [`Watcher::follow`] or [`Watcher::renew`] did.
#[derive(Debug, Default)]
pub struct Followed {
    /// The accounts whose watch is new: look at them.
    pub look: Vec<AccountId>,
    /// What became unwatched, each told once.
    pub errors: Vec<WatchError>,
}

/// Watches the accounts' folder and every account's incoming, or polls them.
pub struct Watcher {
    /// None where the configuration wants none, or the host has none.
    events: Option<Events>,
    /// Wakes before the next poll, where the configuration wants polling.
    poller: Option<Poller>,
    polled: BTreeSet<AccountId>,
    every: Duration,
    next_poll: Instant,
    /// Why there are no events, until it is told.
    start: Option<WatchError>,
    /// Whether the limit of watches was told, since it was last not reached.
    limit_told: bool,
}

impl Watcher {
    /// Begins to watch for accounts; inside a tokio runtime. The order in which manifests come is
    /// noted in `arrivals`.
    ///
    /// # Errors
    /// The accounts' folder can't be watched. Without an inotify instance everything is polled.
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

    /// Follows exactly `accounts`: watches what is missing or was made anew, ends what is gone,
    /// polls what can't be watched.
    pub fn follow(&mut self, accounts: &[AccountId]) -> Followed {
        let Some(events) = &mut self.events else {
            let before = std::mem::replace(&mut self.polled, accounts.iter().cloned().collect());
            let look = self.polled.difference(&before).cloned().collect();
            return self.poll(look);
        };
        let renewed = events.follow(accounts);
        self.renewed(renewed)
    }

    /// Sets right what is missing or was made anew of `accounts`, which are followed, and of what is
    /// polled for want of a watch.
    pub fn renew(&mut self, accounts: &[AccountId]) -> Followed {
        let Some(events) = &mut self.events else { return self.poll(Vec::new()) };
        let wanted: BTreeSet<_> = accounts.iter().chain(&self.polled).collect();
        let renewed = events.renew(wanted);
        self.renewed(renewed)
    }

    /// Without events all are polled.
    fn poll(&mut self, look: Vec<AccountId>) -> Followed {
        if let Some(poller) = &self.poller {
            poller.follow(self.polled.clone());
        }
        Followed { look, errors: self.start.take().into_iter().collect() }
    }

    /// Polls what has no watch, and says what is new.
    fn renewed(&mut self, renewed: Renewed) -> Followed {
        let Renewed { new, root, unwatched } = renewed;
        let mut followed = Followed { look: new, errors: root.into_iter().collect() };
        let before = std::mem::take(&mut self.polled);
        let mut limit = false;
        for (account, error) in unwatched {
            let at_limit = matches!(error, WatchError::Limit { .. });
            if !before.contains(&account) {
                followed.look.push(account.clone()); // whatever came before it was polled
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

    /// Waits for events or the next round of polling, and says what to look at, each thing once.
    /// Can be cancelled and called again; nothing gets lost.
    ///
    /// # Errors
    /// The kernel gives no events any more.
    pub async fn next(&mut self) -> Result<Vec<Look>, WatchError> {
        tokio::select! {
            looks = next_event(self.events.as_mut()) => looks,
            accounts = next_change(self.poller.as_ref()) => {
                // One that is followed no more may have been told of before.
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
