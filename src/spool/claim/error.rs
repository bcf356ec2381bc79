//! [`ClaimError`]: the reason why a claim failed, and where its files are afterwards.

use std::path::PathBuf;

use crate::files::IoError;
use crate::files::dir::FolderError;
use crate::sys::LeaseError;

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

impl ClaimError {
    /// Returns whether the same claim cannot succeed later, so that it must be undone.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Changed { .. } | Self::StillWritten { .. })
    }
}
