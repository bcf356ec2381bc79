//! [`Access`]: which files may be opened and leased, by the process that has the capabilities for it.
//!
//! Invariant: what is opened is a regular file with one name, of an account or of this process's own
//! user, directly in an account's incoming or in the folder of a claimed import, and is open for
//! reading only. Every folder on the way below the accounts' folder is opened by its name in the one
//! before it, and no symbolic link is followed.

use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::geteuid;

use super::super::claim::{DATA, MANIFEST};
use super::super::incoming::entry::{Entry, Kind, usable_name};
use super::super::layout::{INCOMING, SPOOL};
use crate::account::AccountId;
use crate::files::dir::Folder;
use crate::import_id::ImportId;

/// A folder that files are opened in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An account's incoming.
    Incoming(AccountId),
    /// A claimed import's folder in the spool.
    Spooled(ImportId),
}

/// What may be opened.
#[derive(Clone, Debug)]
pub struct Access {
    root: PathBuf,
    accounts: RangeInclusive<u32>,
}

impl Access {
    /// Access to files below `root`, the folder of all accounts, whose user ids are `accounts`.
    pub fn new(root: &Path, accounts: RangeInclusive<u32>) -> Self {
        Self { root: root.to_owned(), accounts }
    }

    /// Opens `name` in `place` for reading.
    ///
    /// # Errors
    /// The kernel's; `EINVAL` for a name that nothing to be opened has, `ENXIO` if it is no regular
    /// file with one name, `EPERM` if its owner is neither an account nor this process's user.
    pub(super) fn open(&self, place: &Place, name: &str) -> nix::Result<File> {
        let is_possible = match place {
            Place::Incoming(_) => usable_name(name.as_bytes()).is_some(),
            Place::Spooled(_) => [DATA, MANIFEST].contains(&name),
        };
        if !is_possible {
            return Err(Errno::EINVAL);
        }
        let root = Folder::at(&self.root)?;
        let folder = match place {
            Place::Incoming(account) => root.subfolder(account.as_str())?.subfolder(INCOMING)?,
            Place::Spooled(import) => root.subfolder(SPOOL)?.subfolder(import.as_str())?,
        };
        let file = folder.read(name)?;
        self.check(&file, Entry::is_plain)?;
        Ok(file)
    }

    /// Checks that a lease may be taken on `file`: without this, whoever can open a file of the
    /// host for reading could hold up those who write to it.
    ///
    /// # Errors
    /// As [`Access::open`].
    pub(super) fn check_lease(&self, file: &File) -> nix::Result<()> {
        self.check(file, |entry| entry.kind == Kind::Regular)
    }

    fn check(&self, file: &File, is_right_kind: impl Fn(&Entry) -> bool) -> nix::Result<()> {
        let stat = fstat(file)?;
        if !is_right_kind(&Entry::new("", &stat)) {
            return Err(Errno::ENXIO);
        }
        let is_owner = self.accounts.contains(&stat.st_uid) || stat.st_uid == geteuid().as_raw();
        if is_owner { Ok(()) } else { Err(Errno::EPERM) }
    }
}
