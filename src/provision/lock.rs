//! The lock that allows one provisioning at a time on this host.

use std::io;
use std::process::Stdio;

use crate::config::Config;
use crate::files::IoError;
use crate::files::lock::{FileLock, LockFile};

/// The lock file, in a folder that only root can enter, so that no other user can hold it.
const LOCK: &str = "provision.lock";

/// Permission to change users and folders, held until it is dropped.
///
/// It is a file lock (flock(2)), so it ends with the process that holds it and with the tools that
/// the process has started: see [`ProvisionLock::for_tool`].
#[derive(Debug)]
#[must_use]
pub(super) struct ProvisionLock(FileLock);

impl ProvisionLock {
    /// Waits until no other process provisions.
    pub(super) fn acquire(config: &Config) -> Result<Self, IoError> {
        Ok(Self(LockFile::open_private(&config.paths.admin, LOCK)?.lock()?))
    }

    /// Returns the lock as a tool's standard input, which no tool reads. If this process is killed,
    /// the next one still waits until the tool has ended.
    pub(super) fn for_tool(&self) -> io::Result<Stdio> {
        self.0.share()
    }
}
