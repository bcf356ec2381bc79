//! [`ScanTarget`]: what a watch wakes the daemon to scan, and [`WatchError`]: why it cannot.

use std::io;
use std::path::PathBuf;

use crate::account::AccountId;

/// What to scan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScanTarget {
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
