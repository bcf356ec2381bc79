//! The claim: a pair leaves incoming and lies in the spool, where nobody but us can change it. A
//! [`Claim`] says which files; [`Claim::execute`] moves them, and is its own recovery: after a
//! crash at any step, executing it again ends in the same state.
//!
//! The data file is renamed. So is the manifest, or its bytes are copied and it keeps its name for
//! a while (`Claim::copied`): clients look at what they have uploaded, or set its time, after they
//! closed it, and must find it there. [`super::linger`] says what becomes of the name. The copy is
//! ours, and the digest in the row says that it has the bytes that were judged. A caller that keeps
//! the text itself can have the copy made later ([`Claim::execute_but_copy`]).
//!
//! # Why nobody can change a claimed file
//! 1. Nobody has it open for writing. A read lease (fcntl(2), F_SETLEASE) is given only while the
//!    kernel counts no writer on the inode; a writable mapping counts as one until it is gone.
//!    The lease is taken before the rename, and asked again after it: had anybody opened the file
//!    for writing or truncated it in between, the lease would be broken, or its renewal refused
//!    (`ReadLease::is_whole`). A broken lease delays that open(2) until we give the lease back,
//!    at most `/proc/sys/fs/lease-break-time` seconds (45): by then the file is back in incoming,
//!    and nothing is lost.
//! 2. Nobody can open it any more. Its one name (link count 1, asked before and after) lies in a
//!    folder of mode 0700 that is ours. A handle for reading cannot be turned into one for writing
//!    inside the chroot, which has no /proc.
//!    A copied manifest's name is open to anybody; the copy never was.
//! 3. What is left is an open(2) or link(2) that found the file before the rename and is still on
//!    its way inside the kernel after it. Hence [`super::spooled`] holds a lease of its own while
//!    the file is read, and asks once more when it has been.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::entry::Entry;
use super::folder::FolderError;
use super::layout::Layout;
use super::mover::{Mover, Undo};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::sys::LeaseError;

/// The data file's name in the spool.
pub(super) const DATA: &str = "data";

/// The manifest's name in the spool.
pub(super) const MANIFEST: &str = "manifest";

/// The longest manifest, in bytes, that is given to the caller to keep.
const MOST_KEPT: u64 = 16 << 10;

/// One file to claim: this content under this name, and no other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The data file; none when the manifest is refused.
    pub data: Option<FileId>,
    /// The manifest.
    pub manifest: FileId,
    /// Set where the manifest keeps its name and a copy of these bytes goes into the spool; none
    /// where it is moved, as in all rows of before there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copied: Option<Digest>,
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
/// row and look again. After [`Stranded`](Self::Stranded) the import can only be failed. After
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
    /// The file had to go back to incoming and can't: a new file has its name there, or the
    /// account is being removed. It stays in the spool.
    #[error("{name:?} stays in the spool: its place in incoming is taken or gone")]
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
    ) -> Result<Claimed, ClaimError> {
        Ok(self.carry_out(layout, account, import, false)?.0)
    }

    /// As [`Self::execute`], but of a manifest that keeps its name no copy is made yet: its text is
    /// returned, for the caller to keep durably until [`super::SpooledImport::put_manifest`]. None:
    /// the manifest is in the spool, as it was moved, or is long.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn execute_but_copy(
        &self,
        layout: &Layout,
        account: &AccountId,
        import: &ImportId,
    ) -> Result<Option<String>, ClaimError> {
        Ok(self.carry_out(layout, account, import, true)?.1)
    }

    fn carry_out(
        &self,
        layout: &Layout,
        account: &AccountId,
        import: &ImportId,
        keeps: bool,
    ) -> Result<(Claimed, Option<String>), ClaimError> {
        let mut kept = None;
        let mover = Mover::open(layout, account, import)?;
        let mut leases = Vec::with_capacity(2);
        for (part, id) in self.parts() {
            let taken = match &self.copied {
                Some(digest) if part == MANIFEST && keeps && digest.length() <= MOST_KEPT => {
                    mover.text(id, digest).map(|text| {
                        kept = text;
                        None
                    })
                }
                Some(digest) if part == MANIFEST => mover.copy(id, digest).map(|()| None),
                _ => mover.take(part, id),
            };
            match taken {
                Ok(lease) => leases.extend(lease),
                Err(error) if error.is_final() => return Err(self.undo(&mover, error)),
                Err(error) => return Err(error),
            }
        }
        let data_size = match (&self.data, leases.first()) {
            (Some(_), Some(data)) => Some(mover.size(data)?),
            _ => None,
        };
        mover.sync(&leases)?;
        Ok((Claimed { data_size }, kept))
    }

    /// The data file comes first: a manifest that isn't in the spool tells that the claim isn't whole.
    fn parts(&self) -> impl DoubleEndedIterator<Item = (&'static str, &FileId)> {
        let data = self.data.iter().map(|id| (DATA, id));
        data.chain(std::iter::once((MANIFEST, &self.manifest)))
    }

    /// Moves back what was moved, the manifest first; returns why it had to be.
    fn undo(&self, mover: &Mover, cause: ClaimError) -> ClaimError {
        for (part, id) in self.parts().rev() {
            let undone = match &self.copied {
                Some(_) if part == MANIFEST => mover.remove_copy(),
                _ => mover.give_back(part, id),
            };
            match undone {
                Ok(()) => {}
                Err(Undo::NoPlace) => {
                    let name = id.name.clone();
                    return ClaimError::Stranded { name, source: Box::new(cause) };
                }
                Err(Undo::Failed(error)) => return error,
            }
        }
        match mover.remove_folder() {
            Ok(()) => cause,
            Err(error) => error,
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
#[path = "claim_tests.rs"]
mod tests;
