//! The claim: moves a pair from incoming to the spool, where only the daemon can change it. A
//! [`Claim`] names the files; [`Claim::execute`] moves them. After a crash at any step, executing
//! it again leads to the same state.
//!
//! Both files are renamed, the data file first: a manifest in the spool means that the claim is
//! complete. [`Step`] defines the order of the steps. It is pure.
//!
//! # Why nobody can change a claimed file
//! 1. Nobody has it open for writing. The kernel grants a read lease (fcntl(2), F_SETLEASE) only
//!    while the inode has no writer; a writable mapping counts as one until it is removed. The
//!    lease is acquired before the rename and renewed after it. If anybody opened the file for
//!    writing or truncated it in between, the lease is broken or its renewal refused
//!    (`Lease::is_whole`). A broken lease delays that open(2) until the daemon releases the lease,
//!    at most `/proc/sys/fs/lease-break-time` seconds (45). By then the file is back in incoming,
//!    and nothing is lost.
//! 2. Nobody can open it any more. Its only name (link count 1, checked before and after) is in a
//!    folder of mode 0700 that the daemon owns. A read handle cannot become a write handle inside
//!    the chroot, which has no /proc.
//! 3. An open(2) or link(2) may have resolved the name before the rename and still be running
//!    inside the kernel after it. So [`super::spooled`] holds its own lease while the file is read,
//!    and checks it again at the end.

pub mod lease_probe;
pub mod steps;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::steps::{Mover, Undo};
use super::incoming::entry::Entry;
use super::layout::Layout;
use super::opener::Opener;
use crate::account::AccountId;
use crate::files::IoError;
use crate::files::dir::FolderError;
use crate::import_id::ImportId;
use crate::sys::LeaseError;

/// The data file's name in the spool.
pub(super) const DATA: &str = "data";

/// The manifest's name in the spool.
pub(super) const MANIFEST: &str = "manifest";

/// A file to claim: exactly this content under this name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Its name in incoming.
    pub name: String,
    pub dev: u64,
    pub ino: u64,
    pub ctime: Timestamp,
    /// Whether it is a regular file with one name. Other files are moved unopened, to be refused.
    pub plain: bool,
}

impl FileId {
    pub fn of(entry: &Entry) -> Self {
        let Entry { dev, ino, ctime, .. } = *entry;
        Self { name: entry.name.clone(), dev, ino, ctime, plain: entry.is_plain() }
    }
}

/// The files to move into the spool. Stored in the import's row before any file moves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The data file. `None` if the manifest is refused.
    pub data: Option<FileId>,
    pub manifest: FileId,
}

/// One of the files of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Data,
    Manifest,
}

impl Part {
    /// Its name in the spool.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Data => DATA,
            Self::Manifest => MANIFEST,
        }
    }
}

/// The next step of a claim whose row is stored. Pure. After a crash the claim starts again at the
/// first step; every step can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Rename a file into the spool, if it is the scanned one.
    Take(Part),
    /// All files are in the spool: the row becomes `queued`.
    Queue,
    /// Rename a file back into incoming, if it was moved.
    Return(Part),
    /// Nothing is in the spool: delete the row.
    Drop,
}

impl Step {
    pub fn first(claim: &Claim) -> Self {
        Self::Take(if claim.data.is_some() { Part::Data } else { Part::Manifest })
    }

    /// Returns the step after this one.
    #[must_use]
    pub fn done(self, claim: &Claim) -> Self {
        match self {
            Self::Take(Part::Data) => Self::Take(Part::Manifest),
            Self::Take(Part::Manifest) | Self::Queue => Self::Queue,
            Self::Return(Part::Manifest) if claim.data.is_some() => Self::Return(Part::Data),
            Self::Return(_) | Self::Drop => Self::Drop,
        }
    }

    /// Returns the step after a file was found missing, changed or open for writing.
    #[must_use]
    pub fn undo() -> Self {
        Self::Return(Part::Manifest)
    }
}

/// The durable result of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The data file's size in bytes, if the claim has one.
    pub data_size: Option<u64>,
}

/// Why a claim failed.
///
/// After [`Gone`](Self::Gone), [`Changed`](Self::Changed) and [`StillWritten`](Self::StillWritten)
/// all files are in incoming again: delete the import's row and scan again. After
/// [`Stranded`](Self::Stranded) fail the import. After other errors, execute the same claim again
/// later.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The account deleted or renamed the file; it is neither in incoming nor in the spool.
    #[error("{name:?} is gone from incoming")]
    Gone { name: String },
    /// Another file, or other content, has this name now.
    #[error("{name:?} changed since the scan")]
    Changed { name: String },
    #[error("{name:?} is still being written")]
    StillWritten { name: String },
    /// The claim must be undone, but incoming is gone, because the account is being removed. The
    /// file stays in the spool.
    #[error("{name:?} stays in the spool: incoming is gone")]
    Stranded {
        name: String,
        /// Why the claim must be undone.
        source: Box<ClaimError>,
    },
    /// incoming and the spool are not one mount.
    #[error(
        "cannot rename from {} to {}: they are two file systems, or two mounts of one; \
         the accounts' folder must be one mount, also inside the service's unit \
         (one ReadWritePaths= or BindPaths= for all of it)",
        from.display(), to.display()
    )]
    TwoMounts {
        /// The account's incoming.
        from: PathBuf,
        /// The import's spool folder.
        to: PathBuf,
    },
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The lease could not be requested.
    #[error("cannot check whether {name:?} is being written")]
    Lease { name: String, source: LeaseError },
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Claim {
    /// Moves the files into the import's spool folder, durably. Idempotent. [`ClaimError`]
    /// documents the state after each error.
    pub fn execute(
        &self,
        layout: &Layout,
        account: &AccountId,
        import: &ImportId,
        opener: &Opener,
    ) -> Result<Claimed, ClaimError> {
        let mover = Mover::open(layout, account, import, opener)?;
        let mut leases = Vec::with_capacity(2);
        let mut cause = None;
        let mut step = Step::first(self);
        loop {
            match step {
                Step::Take(part) => match mover.take(part, self.file(part)) {
                    Ok(lease) => leases.extend(lease),
                    Err(error) if error.is_final() => {
                        cause = Some(error);
                        step = Step::undo();
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                Step::Return(part) => match mover.give_back(part, self.file(part)) {
                    Ok(()) => {}
                    Err(Undo::NoPlace) => {
                        let name = self.file(part).name.clone();
                        let source = cause.unwrap_or_else(|| self.manifest.changed());
                        return Err(ClaimError::Stranded { name, source: Box::new(source) });
                    }
                    Err(Undo::Failed(error)) => return Err(error),
                },
                Step::Drop => {
                    mover.remove_folder()?;
                    return Err(cause.unwrap_or_else(|| self.manifest.changed()));
                }
                Step::Queue => break,
            }
            step = step.done(self);
        }
        let data_size = match (&self.data, leases.first()) {
            (Some(_), Some(data)) => Some(mover.size(data)?),
            _ => None,
        };
        mover.sync(&leases)?;
        Ok(Claimed { data_size })
    }

    /// Returns the file for `part`. In a claim without a data file that is always the manifest.
    fn file(&self, part: Part) -> &FileId {
        match (part, &self.data) {
            (Part::Data, Some(data)) => data,
            _ => &self.manifest,
        }
    }
}

impl ClaimError {
    /// Returns whether the same claim cannot succeed later, so that it must be undone.
    fn is_final(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Changed { .. } | Self::StillWritten { .. })
    }
}

#[cfg(test)]
mod tests;
