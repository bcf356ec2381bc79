//! The lock that allows one provisioning at a time on this host.

use std::io;
use std::process::Stdio;

use super::error::Result;
use crate::config::Config;
use crate::files::lock::{FileLock, LockFile};

/// The lock file, in a folder that only root can enter, so that no other user can hold it.
const LOCK: &str = "provision.lock";

/// Permission to change users and folders, held until it is dropped.
///
/// It is a file lock (flock(2)), so it ends with the process that holds it and with the tools that
/// the process has started: see [`ProvisionLock::as_stdin`].
#[derive(Debug)]
#[must_use = "dropping it allows provisioning again"]
pub struct ProvisionLock(FileLock);

impl ProvisionLock {
    /// Waits until no other process provisions.
    pub fn acquire(config: &Config) -> Result<Self> {
        Ok(Self(LockFile::open_private(&config.paths.admin, LOCK)?.lock()?))
    }

    /// Returns the lock as a tool's standard input, which no tool reads. If this process is killed,
    /// the next one still waits until the tool has ended.
    pub(super) fn as_stdin(&self) -> io::Result<Stdio> {
        self.0.share()
    }
}
