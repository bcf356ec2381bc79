//! The lock that allows one provisioning at a time on this host.

use std::fs::File;
use std::io;
use std::process::Stdio;

use super::error::{ProvisionError, Result};
use crate::config::Config;
use crate::files::lock;

/// The lock file, in a folder that only root can enter, so that no other user can hold it.
const LOCK: &str = "provision.lock";

/// Permission to change users and folders, held until it is dropped.
///
/// It is a file lock (flock(2)), so it ends with the process that holds it and with the tools that
/// the process has started: see [`ProvisionLock::as_stdin`].
#[derive(Debug)]
#[must_use = "dropping it allows provisioning again"]
pub struct ProvisionLock(File);

impl ProvisionLock {
    /// Waits until no other process provisions.
    pub fn acquire(config: &Config) -> Result<Self> {
        let path = config.paths.admin.join(LOCK);
        let failed = |source| ProvisionError::File { what: "lock", path: path.clone(), source };
        let lock = lock::open_private(&config.paths.admin, LOCK).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Self(lock))
    }

    /// Returns the lock as a tool's standard input, which no tool reads. If this process is killed,
    /// the next one still waits until the tool has ended.
    pub(super) fn as_stdin(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }
}
