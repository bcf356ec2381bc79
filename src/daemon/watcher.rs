//! Forwards the watcher's wake-ups. After a watcher error, rescans every account.
//!
//! Invariant: after an error every account is scanned and the watcher pauses, so that no upload is
//! missed and the loop does not run without a pause.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use crate::account::AccountId;
use crate::sanitize::chain;
use crate::spool::{FollowResult, ScanTarget, Watcher};

/// The pause after an error of inotify.
const PAUSE: Duration = Duration::from_secs(5);

/// The watcher of the accounts' incoming folders, with the pause after an error.
pub struct AccountWatcher {
    watcher: Watcher,
    /// The time at which the pause after an error ends.
    paused_until: Option<Instant>,
    watched: usize,
}

impl AccountWatcher {
    /// Makes an `AccountWatcher` from a watcher that watches no account yet.
    pub fn new(watcher: Watcher) -> Self {
        Self { watcher, paused_until: None, watched: 0 }
    }

    /// Waits for the next wake-ups. The call can be cancelled and repeated without losing a
    /// wake-up.
    pub async fn next(&mut self) -> Vec<ScanTarget> {
        if let Some(until) = self.paused_until {
            sleep_until(until.into()).await;
            self.paused_until = None;
        }
        self.watcher.next().await.unwrap_or_else(|error| {
            tracing::error!("{}", chain(&error));
            self.paused_until = Some(Instant::now() + PAUSE);
            vec![ScanTarget::All]
        })
    }

    /// Watches exactly the accounts in `accounts`. Returns the accounts whose watch is new.
    pub fn follow(&mut self, accounts: &[AccountId]) -> Vec<AccountId> {
        self.watched = accounts.len();
        let followed = self.watcher.follow(accounts);
        self.log_errors(followed)
    }

    /// Re-adds missing inotify watches for `accounts`. Returns the accounts whose watch is new.
    pub fn renew(&mut self, accounts: &[AccountId]) -> Vec<AccountId> {
        let followed = self.watcher.renew(accounts);
        self.log_errors(followed)
    }

    fn log_errors(&self, followed: FollowResult) -> Vec<AccountId> {
        for error in &followed.errors {
            tracing::error!("{}", chain(error));
        }
        crate::metrics::set_watched_accounts(
            self.watched - followed.errors.len().min(self.watched),
        );
        followed.to_scan
    }

    /// Returns the number of accounts that are watched.
    pub fn watched(&self) -> usize {
        self.watched
    }
}
