//! One provisioning at a time, on this host.

use std::fs::File;
use std::io;
use std::process::Stdio;

use super::ProvisionError;
use crate::config::Config;
use crate::files::lock;

/// The lock file, in the folder that is root's alone: no other user can hold it.
const LOCK: &str = "provision.lock";

/// The right to change users and folders, held until it is dropped.
///
/// It is a lock on a file (flock(2)), so it ends with the process that holds it, and with the
/// tools that process has started: see [`Turn::for_tool`].
#[derive(Debug)]
#[must_use]
pub(super) struct Turn(File);

impl Turn {
    /// Waits until no one else provisions.
    pub(super) fn take(config: &Config) -> Result<Self, ProvisionError> {
        let path = config.paths.admin.join(LOCK);
        let failed = |source| ProvisionError::File { what: "lock", path: path.clone(), source };
        let lock = lock::open_private(&config.paths.admin, LOCK).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(Self(lock))
    }

    /// The lock as a tool's standard input, which none of them reads: should this process be
    /// killed, whoever comes next still waits for the tool to end.
    pub(super) fn for_tool(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }
}
