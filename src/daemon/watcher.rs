//! Hears what the watcher says, and goes on when it can't.
//!
//! Always holds: a watcher that fails means a look at every account, and a pause before it is asked
//! again, so that nothing is missed and the loop does not spin.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::account::AccountId;
use crate::sanitize::chain;
use crate::spool::{Followed, Look, Watcher};

/// When inotify fails, it is asked again after this.
const DEAF_FOR: Duration = Duration::from_secs(5);

/// The watcher, and how it does.
pub struct Ears {
    watcher: Watcher,
    /// It failed: it isn't asked before this.
    deaf_until: Option<Instant>,
    watched: usize,
}

impl Ears {
    /// With no account watched yet.
    pub fn new(watcher: Watcher) -> Self {
        Self { watcher, deaf_until: None, watched: 0 }
    }

    /// The next wake-ups. May be dropped at any time; nothing is lost by it.
    pub async fn next(&mut self) -> Vec<Look> {
        if let Some(until) = self.deaf_until {
            sleep_until(until.into()).await;
            self.deaf_until = None;
        }
        self.watcher.next().await.unwrap_or_else(|error| {
            tracing::error!("{}", chain(&error));
            self.deaf_until = Some(Instant::now() + DEAF_FOR);
            vec![Look::All]
        })
    }

    /// Watches these accounts and no other. Returns those whose watch is new.
    pub fn follow(&mut self, accounts: &[AccountId]) -> Vec<AccountId> {
        self.watched = accounts.len();
        let followed = self.watcher.follow(accounts);
        self.tell(followed)
    }

    /// Sets the watches of these right, which are watched. Returns those whose watch is new.
    pub fn renew(&mut self, accounts: &[AccountId]) -> Vec<AccountId> {
        let followed = self.watcher.renew(accounts);
        self.tell(followed)
    }

    fn tell(&self, followed: Followed) -> Vec<AccountId> {
        for error in &followed.errors {
            tracing::error!("{}", chain(error));
        }
        crate::metrics::set_watched(self.watched - followed.errors.len().min(self.watched));
        followed.look
    }

    /// How many accounts are followed.
    pub fn watched(&self) -> usize {
        self.watched
    }
}
