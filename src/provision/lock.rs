//! The lock that allows only one provisioning at a time on this host.

use std::io;
use std::process::Stdio;

use super::error::Result;
use crate::config::Config;
use crate::files::lock::{FileLock, LockFile};

/// The name of the lock file for provisioning. Only root can enter the folder of the file, so no
/// other user can hold the lock.
const LOCK: &str = "provision.lock";

/// The permission to change users and folders, held until it is dropped.
///
/// The permission is a file lock (flock(2)). The lock ends when the process that holds it and all
/// tools that this process started have ended: see [`ProvisionLock::as_stdin`].
#[derive(Debug)]
#[must_use = "other processes can provision after the lock was dropped"]
pub struct ProvisionLock(FileLock);

impl ProvisionLock {
    /// Waits until no other process provisions, and then takes the lock.
    pub fn acquire(config: &Config) -> Result<Self> {
        Ok(Self(LockFile::open_private(&config.paths.admin, LOCK)?.lock()?))
    }

    /// Returns the lock for use as the standard input of a tool, which no tool reads. If this
    /// process is killed, the next process therefore waits until the tool has ended.
    pub(super) fn as_stdin(&self) -> io::Result<Stdio> {
        self.0.share()
    }
}
