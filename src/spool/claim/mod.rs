//! The claim moves a pair from incoming to the spool, where only the daemon can change the pair. A
//! [`Claim`] names the files, and [`Claim::execute`] moves them. After a crash at any step, a
//! repeated execution has the same result.
//!
//! Both files are renamed, the data file first. Therefore a manifest in the spool means that the
//! claim is complete. [`ClaimStep`] defines the order of the steps. It is pure.
//!
//! # Why nobody can change a claimed file
//! 1. Nobody has the file open for writing. The kernel grants a read lease (fcntl(2), F_SETLEASE)
//!    only if the inode has no writer. A writable mapping counts as a writer until it is removed.
//!    The lease is acquired before the rename and renewed after the rename. If any process opened
//!    the file for writing or truncated it between these steps, the lease is broken or its renewal
//!    is refused (`Lease::is_unbroken`). A broken lease delays the writer's open(2) until the
//!    daemon releases the lease, at most `/proc/sys/fs/lease-break-time` seconds (45). By that time
//!    the file is back in incoming, and nothing is lost.
//! 2. Nobody can open the file any more. Its only name is in a folder of mode 0700 that the daemon
//!    owns. The link count of 1 is checked before and after the rename. A read handle can't become
//!    a write handle inside the chroot, because the chroot has no /proc.
//! 3. An open(2) or link(2) may have resolved the name before the rename and may still be running
//!    inside the kernel after the rename. Therefore [`super::spooled`] holds its own lease while
//!    the file is read, and checks the lease again at the end.

pub mod earlier_version;
pub mod error;
pub mod file;
pub mod lease_probe;
pub mod steps;

use serde::{Deserialize, Serialize};

use self::error::ClaimError;
use self::file::{FileId, PairFile};
use self::steps::{ClaimFolders, UndoError};
use super::layout::Layout;
use super::opener::Opener;
use crate::account::AccountId;
use crate::import_id::ImportId;

/// The files that a claim moves into the spool. The claim is stored in the row of the import before
/// any file is moved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The data file that the claim moves. `None` if the manifest is refused.
    pub data: Option<FileId>,
    pub manifest: FileId,
}

/// The next step of a claim whose row is stored. Its functions are pure. After a crash the claim
/// starts again at the first step. Every step can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimStep {
    /// The step renames a file into the spool if it is the file that was scanned.
    Move(PairFile),
    /// The step sets the row of the import to `queued`, because all files are in the spool.
    Queue,
    /// The step renames a file from the spool to incoming if the file was moved before.
    MoveBack(PairFile),
    /// The step deletes the row of the import, because no file is in the spool.
    Drop,
}

impl ClaimStep {
    pub fn first(claim: &Claim) -> Self {
        Self::Move(if claim.data.is_some() { PairFile::Data } else { PairFile::Manifest })
    }

    /// Returns the step of the claim that follows this step.
    #[must_use]
    pub fn next(self, claim: &Claim) -> Self {
        match self {
            Self::Move(PairFile::Data) => Self::Move(PairFile::Manifest),
            Self::Move(PairFile::Manifest) | Self::Queue => Self::Queue,
            Self::MoveBack(PairFile::Manifest) if claim.data.is_some() => {
                Self::MoveBack(PairFile::Data)
            }
            Self::MoveBack(_) | Self::Drop => Self::Drop,
        }
    }

    /// Returns the next step of a claim after a file was found to be missing, changed or open for
    /// writing.
    #[must_use]
    pub fn undo() -> Self {
        Self::MoveBack(PairFile::Manifest)
    }
}

impl Claim {
    /// Moves the files into the folder of the import in the spool, and syncs the change. The
    /// execution can be repeated. [`ClaimError`] describes the state after each error. Returns the
    /// size of the data file in bytes if the claim has a data file.
    pub fn execute(
        &self,
        layout: &Layout,
        account: &AccountId,
        import: &ImportId,
        opener: &Opener,
    ) -> Result<Option<u64>, ClaimError> {
        let folders = ClaimFolders::open(layout, account, import, opener)?;
        let mut leases = Vec::with_capacity(2);
        let mut cause = None;
        let mut step = ClaimStep::first(self);
        loop {
            match step {
                ClaimStep::Move(part) => match folders.move_in(part, self.file(part)) {
                    Ok(lease) => leases.extend(lease),
                    Err(error) if error.is_final() => {
                        cause = Some(error);
                        step = ClaimStep::undo();
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                ClaimStep::MoveBack(part) => match folders.move_back(part, self.file(part)) {
                    Ok(()) => {}
                    Err(UndoError::IncomingGone) => {
                        let name = self.file(part).name.clone();
                        let source = cause.unwrap_or_else(|| self.manifest.changed());
                        return Err(ClaimError::Stranded { name, source: Box::new(source) });
                    }
                    Err(UndoError::Failed(error)) => return Err(error),
                },
                ClaimStep::Drop => {
                    folders.remove_folder()?;
                    return Err(cause.unwrap_or_else(|| self.manifest.changed()));
                }
                ClaimStep::Queue => break,
            }
            step = step.next(self);
        }
        let data_size = match (&self.data, leases.first()) {
            (Some(_), Some(data)) => Some(folders.size(data)?),
            _ => None,
        };
        folders.sync(&leases)?;
        Ok(data_size)
    }

    /// Returns the file of the claim for `part`. If the claim has no data file, this is always the
    /// manifest.
    fn file(&self, part: PairFile) -> &FileId {
        match (part, &self.data) {
            (PairFile::Data, Some(data)) => data,
            _ => &self.manifest,
        }
    }
}

#[cfg(test)]
mod tests;
