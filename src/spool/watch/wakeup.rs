//! [`ScanTarget`] names the accounts that must be scanned. [`WatchError`] is the reason why a
//! folder can't be watched.

use std::io;
use std::path::PathBuf;

use crate::account::AccountId;
use crate::files::IoError;

/// The accounts that must be scanned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScanTarget {
    /// The list of accounts must be read. The caller then calls
    /// [`Watcher::follow`](super::Watcher::follow).
    Accounts,
    /// The incoming folder of every account must be scanned.
    All,
    /// The incoming folder of one account must be scanned.
    Account(AccountId),
}

/// The reason why a folder is not watched. The folder is polled instead.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The host has no free inotify instance.
    #[error(
        "cannot use inotify, so all accounts are polled until the next start; \
         check whether the limit fs.inotify.max_user_instances (sysctl) is reached"
    )]
    Start(#[source] io::Error),
    /// The thread for notify's watcher can't be started.
    #[error("cannot poll with notify; all accounts are scanned every watch.poll-every")]
    Poll(#[source] io::Error),
    /// The limit of inotify watches is reached.
    #[error(
        "cannot watch {}: the limit of inotify watches is reached, so further accounts are polled; \
         raise fs.inotify.max_user_watches (sysctl), because every account needs one watch",
        path.display()
    )]
    Limit {
        /// The path of the first folder that is not watched.
        path: PathBuf,
    },
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("cannot read inotify events")]
    Read(#[source] io::Error),
}
