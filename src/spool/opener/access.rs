//! [`Access`] decides which files the opener process, which has capabilities, opens and leases.
//!
//! Invariant: an opened file is a regular file with one name, and belongs to an account or to the
//! user of this process. The file is directly in the incoming folder of an account or in the folder
//! of a claimed import, and is opened only for reading. Every folder below the accounts' folder is
//! opened by its name in its parent, and no symbolic link is followed.

use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::geteuid;

use super::super::incoming::entry::{DirEntry, FileKind, usable_name};
use super::super::incoming::temporary::hidden_temporary_name;
use super::super::layout::{DATA, INCOMING, MANIFEST, SPOOL};
use crate::account::AccountId;
use crate::files::dir::Folder;
use crate::import_id::ImportId;

/// A folder in which the opener may open files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenerFolder {
    Incoming(AccountId),
    /// The folder in the spool with the files of a claimed import.
    Spooled(ImportId),
}

/// Opens files below the accounts' folder that belong to user ids of accounts.
#[derive(Clone, Debug)]
pub struct Access {
    root: PathBuf,
    accounts: RangeInclusive<u32>,
}

impl Access {
    /// Allows the opener to open files below `root` that belong to user ids in `accounts`. `root`
    /// is the folder of all accounts.
    pub fn new(root: &Path, accounts: RangeInclusive<u32>) -> Self {
        Self { root: root.to_owned(), accounts }
    }

    /// Opens `name` in `place` for reading.
    ///
    /// # Errors
    /// Errors of the kernel. `EINVAL` if no file with the name may be opened. `ENXIO` if the file
    /// is not a regular file with one name. `EPERM` if the owner of the file is neither an account
    /// nor the user of this process.
    pub(super) fn open(&self, place: &OpenerFolder, name: &str) -> nix::Result<File> {
        let is_possible = match place {
            OpenerFolder::Incoming(_) => {
                usable_name(name.as_bytes()).is_some()
                    || hidden_temporary_name(name.as_bytes()).is_some()
            }
            OpenerFolder::Spooled(_) => [DATA, MANIFEST].contains(&name),
        };
        if !is_possible {
            return Err(Errno::EINVAL);
        }
        let root = Folder::at(&self.root)?;
        let folder = match place {
            OpenerFolder::Incoming(account) => {
                root.subfolder(account.as_str())?.subfolder(INCOMING)?
            }
            OpenerFolder::Spooled(import) => root.subfolder(SPOOL)?.subfolder(import.as_str())?,
        };
        let file = folder.read(name)?;
        self.check(&file, DirEntry::is_plain)?;
        Ok(file)
    }

    /// Checks that `file` may be leased. Without this check the daemon's user could lease any file
    /// that it can read, and could thereby block the writers of that file. Fails like
    /// [`Access::open`].
    pub(super) fn check_lease(&self, file: &File) -> nix::Result<()> {
        self.check(file, |entry| entry.kind == FileKind::Regular)
    }

    fn check(&self, file: &File, is_right_kind: impl Fn(&DirEntry) -> bool) -> nix::Result<()> {
        let stat = fstat(file)?;
        if !is_right_kind(&DirEntry::new("", &stat)) {
            return Err(Errno::ENXIO);
        }
        let is_owner = self.accounts.contains(&stat.st_uid) || stat.st_uid == geteuid().as_raw();
        if is_owner { Ok(()) } else { Err(Errno::EPERM) }
    }
}
