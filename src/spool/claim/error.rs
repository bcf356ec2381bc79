//! [`ClaimError`] is the reason why a claim failed. It also determines where the claimed files are
//! afterwards.

use std::path::PathBuf;

use crate::files::IoError;
use crate::files::dir::FolderError;
use crate::sys::LeaseError;

/// The reason why a claim failed.
///
/// After [`Gone`](Self::Gone), [`Changed`](Self::Changed) and [`StillWritten`](Self::StillWritten)
/// all files are in incoming again. The caller deletes the row of the import and scans again. After
/// [`Stranded`](Self::Stranded) the caller fails the import. After all other errors the caller
/// executes the same claim again later.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The account deleted or renamed the file, so that the file is neither in incoming nor in the
    /// spool.
    #[error("the file {name:?} no longer exists in incoming")]
    Gone { name: String },
    /// The name of the file now belongs to another file, or the content of the file has changed.
    #[error("the file {name:?} changed since the scan")]
    Changed { name: String },
    #[error("the file {name:?} is still being written")]
    StillWritten { name: String },
    /// The claim must be undone, but incoming no longer exists, because the account is being
    /// removed. The file stays in the spool.
    #[error("the file {name:?} stays in the spool, because incoming no longer exists")]
    Stranded {
        name: String,
        /// The reason why the claim must be undone.
        source: Box<ClaimError>,
    },
    /// The claim cannot rename a file, because incoming and the spool are not on the same mount.
    #[error(
        "cannot rename from {} to {}: they are on two file systems, or on two mounts of one; \
         the accounts' folder must be one mount, also inside the service's unit \
         (one ReadWritePaths= or BindPaths= for the whole folder)",
        from.display(), to.display()
    )]
    TwoMounts {
        /// The incoming folder of the account.
        from: PathBuf,
        /// The folder of the import in the spool.
        to: PathBuf,
    },
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A read lease on the file could not be requested.
    #[error("cannot check whether the file {name:?} is being written")]
    Lease { name: String, source: LeaseError },
    #[error(transparent)]
    Io(#[from] IoError),
}

impl ClaimError {
    /// Returns whether the claim would fail again if it were repeated. Such a claim must be
    /// undone.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Changed { .. } | Self::StillWritten { .. })
    }
}
