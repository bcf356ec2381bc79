//! Which account to look at: told by the kernel, or by a timer where it tells nothing.
//!
//! Always holds: an account that is followed has a watch, or is polled; nothing is missed, and a
//! lost event costs latency only. Wake-ups carry no data.
//!
//! Polling is a look at every such account, which compares with what the state database knows.
//! A poller that remembers files and compares their times, as the notify crate's `PollWatcher`
//! does, would be worse in each respect: its table grows with what an account puts there, its
//! times (in notify 8.2) are whole seconds and must grow, so it misses a close in the second of
//! the last round, and an upload that brings its file's older time along; and all that to save a
//! listing that it makes itself.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::arrivals::Arrivals;
use super::events::Events;
use super::layout::Layout;
use crate::account::AccountId;
use crate::config::{Method, Watch};

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

/// What [`Watcher::follow`] did.
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
        let (events, start) = match watch.method {
            Method::Poll => (None, None),
            Method::Inotify => match Events::new(layout, arrivals) {
                Ok(events) => (Some(events), None),
                Err(error @ WatchError::Start(_)) => (None, Some(error)),
                Err(error) => return Err(error),
            },
        };
        let every = watch.poll_every.get();
        let (polled, next_poll) = (BTreeSet::new(), Instant::now() + every);
        Ok(Self { events, polled, every, next_poll, start, limit_told: false })
    }

    /// Follows exactly `accounts`: watches what is missing or was made anew, ends what is gone,
    /// polls what can't be watched.
    pub fn follow(&mut self, accounts: impl IntoIterator<Item = AccountId>) -> Followed {
        let Some(events) = &mut self.events else {
            let before = std::mem::replace(&mut self.polled, accounts.into_iter().collect());
            let look = self.polled.difference(&before).cloned().collect();
            return Followed { look, errors: self.start.take().into_iter().collect() };
        };
        let (look, root, unwatched) = events.follow(accounts);
        let mut followed = Followed { look, errors: Vec::new() };
        followed.errors.extend(root);
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

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
