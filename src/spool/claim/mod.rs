//! The claim: a pair leaves incoming and lies in the spool, where nobody but us can change it. A
//! [`Claim`] says which files; [`Claim::execute`] moves them, and is its own recovery: after a
//! crash at any step, executing it again ends in the same state.
//!
//! Both files are renamed, the data file first: a manifest in the spool says that the claim is whole.
//! [`Step`] is the order of it, pure.
//!
//! # Why nobody can change a claimed file
//! 1. Nobody has it open for writing. A read lease (fcntl(2), F_SETLEASE) is given only while the
//!    kernel counts no writer on the inode; a writable mapping counts as one until it is gone.
//!    The lease is taken before the rename, and asked again after it: had anybody opened the file
//!    for writing or truncated it in between, the lease would be broken, or its renewal refused
//!    (`Lease::is_whole`). A broken lease delays that open(2) until we give the lease back,
//!    at most `/proc/sys/fs/lease-break-time` seconds (45): by then the file is back in incoming,
//!    and nothing is lost.
//! 2. Nobody can open it any more. Its one name (link count 1, asked before and after) lies in a
//!    folder of mode 0700 that is ours. A handle for reading cannot be turned into one for writing
//!    inside the chroot, which has no /proc.
//! 3. What is left is an open(2) or link(2) that found the file before the rename and is still on
//!    its way inside the kernel after it. Hence [`super::spooled`] holds a lease of its own while
//!    the file is read, and asks once more when it has been.

pub mod lease_probe;
pub mod steps;

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::steps::{Mover, Undo};
use super::incoming::entry::Entry;
use super::layout::Layout;
use super::opener::Opener;
use crate::account::AccountId;
use crate::files::dir::FolderError;
use crate::import_id::ImportId;
use crate::sys::LeaseError;

/// The data file's name in the spool.
pub(super) const DATA: &str = "data";

/// The manifest's name in the spool.
pub(super) const MANIFEST: &str = "manifest";

/// One file to claim: this content under this name, and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileId {
    /// Its name in incoming.
    pub name: String,
    /// Its device.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
    /// Its last change.
    pub ctime: Timestamp,
    /// It is a regular file with one name. What isn't is moved unopened, only to be refused.
    pub plain: bool,
}

impl FileId {
    /// The file that `entry` lists.
    pub fn of(entry: &Entry) -> Self {
        let Entry { dev, ino, ctime, .. } = *entry;
        Self { name: entry.name.clone(), dev, ino, ctime, plain: entry.is_plain() }
    }
}

/// What to bring into the spool. Written into the import's row before anything moves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// The data file; none when the manifest is refused.
    pub data: Option<FileId>,
    /// The manifest.
    pub manifest: FileId,
}

/// One of the files of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The data file.
    Data,
    /// The manifest.
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

/// What to do next about a claim whose row is written. Pure. A crash goes back to the first step;
/// a step that is done already is done again without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Rename a file into the spool, if it is the one that was seen.
    Take(Part),
    /// All files are in the spool: the row becomes `queued`.
    Queue,
    /// Rename a file back into incoming, if it was moved.
    Return(Part),
    /// Nothing is in the spool: delete the row, as if it had never been.
    Drop,
}

impl Step {
    /// The first step.
    pub fn first(claim: &Claim) -> Self {
        Self::Take(if claim.data.is_some() { Part::Data } else { Part::Manifest })
    }

    /// The step after this one was done.
    #[must_use]
    pub fn done(self, claim: &Claim) -> Self {
        match self {
            Self::Take(Part::Data) => Self::Take(Part::Manifest),
            Self::Take(Part::Manifest) | Self::Queue => Self::Queue,
            Self::Return(Part::Manifest) if claim.data.is_some() => Self::Return(Part::Data),
            Self::Return(_) | Self::Drop => Self::Drop,
        }
    }

    /// The step after a file turned out to be gone, changed or open for writing.
    #[must_use]
    pub fn undo() -> Self {
        Self::Return(Part::Manifest)
    }
}

/// What is in the spool now, durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The data file's size in bytes, if there is one.
    pub data_size: Option<u64>,
}

/// Why a claim was not carried out.
///
/// After [`Gone`](Self::Gone), [`Changed`](Self::Changed) and
/// [`StillWritten`](Self::StillWritten) everything is in incoming as it was: drop the import's
/// row and scan again. After [`Stranded`](Self::Stranded) the import can only be failed. After
/// the others, execute the same claim again later.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The account deleted or renamed the file; it is neither in incoming nor in the spool.
    #[error("{name:?} is gone from incoming")]
    Gone {
        /// The file.
        name: String,
    },
    /// Another file, or other content, has this name now.
    #[error("{name:?} changed since it was looked at")]
    Changed {
        /// The file.
        name: String,
    },
    /// Somebody has the file open for writing.
    #[error("{name:?} is still being written")]
    StillWritten {
        /// The file.
        name: String,
    },
    /// The file had to go back to incoming and can't: the account is being removed. It stays in the
    /// spool.
    #[error("{name:?} stays in the spool: incoming is gone")]
    Stranded {
        /// The file.
        name: String,
        /// Why it had to go back.
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
    /// A folder is missing or can't be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Nobody can tell whether the file is still being written.
    #[error("cannot tell whether {name:?} is being written")]
    Lease {
        /// The file.
        name: String,
        /// Why.
        source: LeaseError,
    },
    /// A system call failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Claim {
    /// Brings the files into the import's spool folder and makes that durable. Idempotent.
    ///
    /// # Errors
    /// See [`ClaimError`] for what each leaves behind.
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

    /// The file that is to be `part`; of a claim without a data file it is the manifest.
    fn file(&self, part: Part) -> &FileId {
        match (part, &self.data) {
            (Part::Data, Some(data)) => data,
            _ => &self.manifest,
        }
    }
}

impl ClaimError {
    /// Whether trying the same claim again can't succeed, so that it is to be undone.
    fn is_final(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Changed { .. } | Self::StillWritten { .. })
    }
}

#[cfg(test)]
mod tests;
