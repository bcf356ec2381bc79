//! Reading a claimed import's files in the spool, and clearing them away.
//!
//! The files belong to the account, often with mode 0600: an [`Opener`] opens them. A data file is
//! read under a lease; [`SpooledData::unchanged`] says afterwards whether anybody could have written
//! to it meanwhile (see [`super::claim`]).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::errno::Errno;

use super::claim::{DATA, MANIFEST};
use super::layout::Layout;
use super::opener::{Lease, Opener, Place};
use crate::config::Size;
use crate::files::dir::{Folder, FolderError};
use crate::import_id::ImportId;
use crate::sys::LeaseError;

/// Why a claimed import's files can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SpooledError {
    /// The import's spool folder is missing or can't be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A file can't be opened; see [`super::opener::Access`] for what each error means.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a regular file with one name: it was refused, and nobody opens it.
    #[error("{} is not a regular file with one name", path.display())]
    NotPlain {
        /// The file.
        path: PathBuf,
    },
    /// It is larger than allowed.
    #[error("{} is larger than {max} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// In bytes.
        max: u64,
    },
    /// Somebody is writing to it, or nobody can tell.
    #[error("cannot have {} to ourselves", path.display())]
    Lease {
        /// The file.
        path: PathBuf,
        /// Why; [`LeaseError::Writer`] is the account's doing, the others the host's.
        source: LeaseError,
    },
    /// The folder can't be removed.
    #[error("cannot remove {}", path.display())]
    Remove {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A claimed import's folder in the spool.
#[derive(Debug)]
pub struct SpooledImport {
    folder: Folder,
    place: Place,
    opener: Opener,
}

/// A claimed data file, open for reading under a lease.
#[derive(Debug)]
pub struct SpooledData {
    lease: Lease,
    path: PathBuf,
    opened: Stamp,
}

/// What can't stay the same when content or names change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    ctime: (i64, i64),
    nlink: u64,
}

impl SpooledImport {
    /// Opens the import's folder in the spool, whose files `opener` opens.
    ///
    /// # Errors
    /// It is missing or can't be opened.
    pub fn open(layout: &Layout, import: &ImportId, opener: &Opener) -> Result<Self, SpooledError> {
        let folder = Folder::open(&layout.spooled(import))?;
        Ok(Self { folder, place: Place::Spooled(import.clone()), opener: opener.clone() })
    }

    /// The manifest's bytes, at most `max`.
    ///
    /// # Errors
    /// It was refused unopened, is too large, or can't be read.
    pub fn manifest(&self, max: Size) -> Result<Vec<u8>, SpooledError> {
        let (file, path) = self.plain(MANIFEST)?;
        let mut bytes = Vec::new();
        match file.take(max.bytes().saturating_add(1)).read_to_end(&mut bytes) {
            Err(source) => Err(SpooledError::Read { path, source }),
            Ok(_) if bytes.len() as u64 > max.bytes() => {
                Err(SpooledError::TooLarge { path, max: max.bytes() })
            }
            Ok(_) => Ok(bytes),
        }
    }

    /// The data file.
    ///
    /// # Errors
    /// It can't be opened, or somebody is writing to it.
    pub fn data(&self) -> Result<SpooledData, SpooledError> {
        let (file, path) = self.plain(DATA)?;
        let lease = match self.opener.lease(file) {
            Ok(lease) => lease,
            Err(source) => return Err(SpooledError::Lease { path, source }),
        };
        match Stamp::of(lease.file()) {
            Ok(opened) => Ok(SpooledData { lease, path, opened }),
            Err(source) => Err(SpooledError::Read { path, source }),
        }
    }

    fn plain(&self, name: &str) -> Result<(File, PathBuf), SpooledError> {
        let path = self.folder.path().join(name);
        let file = match self.opener.open(&self.place, name) {
            Ok(file) => file,
            Err(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => {
                return Err(SpooledError::NotPlain { path });
            }
            Err(errno) => return Err(SpooledError::Open { path, source: errno.into() }),
        };
        match file.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.nlink() == 1 => Ok((file, path)),
            Ok(_) => Err(SpooledError::NotPlain { path }),
            Err(source) => Err(SpooledError::Read { path, source }),
        }
    }
}

impl SpooledData {
    /// Its size in bytes when it was opened.
    pub fn size(&self) -> u64 {
        self.opened.size
    }

    /// A handle to read it with, from where the last one stopped; the lease stays with `self`.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn reader(&self) -> Result<File, SpooledError> {
        self.lease.file().try_clone().map_err(|source| self.unreadable(source))
    }

    /// Whether what was read since [`SpooledImport::data`] is what still lies there: asked once
    /// all of it is read. If not, the file "changed while being read".
    ///
    /// # Errors
    /// The kernel doesn't tell.
    pub fn unchanged(&self) -> Result<bool, SpooledError> {
        let whole = self.lease.is_whole().map_err(|source| self.unreadable(source))?;
        let now = Stamp::of(self.lease.file()).map_err(|source| self.unreadable(source))?;
        Ok(whole && now == self.opened)
    }

    fn unreadable(&self, source: io::Error) -> SpooledError {
        SpooledError::Read { path: self.path.clone(), source }
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            size: metadata.len(),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
            nlink: metadata.nlink(),
        })
    }
}

/// The imports that have a folder in the spool, and when it last changed; none when there is no
/// spool yet. What has no import's name is not ours and is left out.
///
/// # Errors
/// The spool can't be listed.
pub fn list(layout: &Layout) -> Result<Vec<(ImportId, Timestamp)>, SpooledError> {
    let path = layout.spool();
    let failed = |source| SpooledError::Read { path: path.clone(), source };
    let mut imports = Vec::new();
    let entries = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(imports),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Some(import) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let changed = match entry.metadata().and_then(|metadata| metadata.modified()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue, // just finished
            changed => changed.map_err(failed)?,
        };
        // A time that a timestamp can't hold is the host's clock gone wrong: as good as new.
        imports.push((import, changed.try_into().unwrap_or(Timestamp::MAX)));
    }
    Ok(imports)
}

/// How large a claimed import's data file is, in bytes; 0 when there is none.
pub fn spooled_bytes(layout: &Layout, import: &ImportId) -> u64 {
    std::fs::metadata(layout.spooled(import).join(DATA)).map_or(0, |data| data.len())
}

/// Removes a claimed import's files; no error when they are gone already.
///
/// # Errors
/// They can't be removed.
pub fn discard(layout: &Layout, import: &ImportId) -> Result<(), SpooledError> {
    let path = layout.spooled(import);
    match std::fs::remove_dir_all(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SpooledError::Remove { path, source }),
    }
}
