//! Reads and removes the files of a claimed import in the spool.
//!
//! The files belong to the account, often with mode 0600. Therefore an [`Opener`] opens them. A
//! data file is read under a lease. After the read, [`SpooledData::unchanged`] returns whether
//! anybody could have written to the file during the read (see [`super::claim`]).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::errno::Errno;

use super::layout::{DATA, Layout, MANIFEST};
use super::opener::{Lease, Opener, OpenerFolder};
use crate::config::Size;
use crate::files::dir::{Folder, FolderError};
use crate::files::{IoError, durable};
use crate::import_id::ImportId;
use crate::sys::LeaseError;

/// The reason why the files of a claimed import cannot be read or removed.
#[derive(Debug, thiserror::Error)]
pub enum SpooledError {
    /// The folder of the import in the spool is missing or can't be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// [`super::opener::Access`] describes the errors of opening a file.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The file was claimed only in order to be refused, so it is not opened.
    #[error("the file {} is not a regular file with one name", path.display())]
    NotPlain { path: PathBuf },
    #[error("the file {} is larger than {max} bytes", path.display())]
    TooLarge { path: PathBuf, max: u64 },
    /// The lease can't be acquired. The account causes [`LeaseError::Writer`], and the host causes
    /// the other errors.
    #[error("cannot get a read lease on the file {}", path.display())]
    Lease { path: PathBuf, source: LeaseError },
}

/// The open folder of a claimed import in the spool.
#[derive(Debug)]
pub struct SpooledImport {
    folder: Folder,
    place: OpenerFolder,
    opener: Opener,
}

/// A claimed data file that is open for reading under a lease.
#[derive(Debug)]
pub struct SpooledData {
    lease: Lease,
    path: PathBuf,
    opened: FileStamp,
}

/// The attributes of a file. Every change of the file's content or names changes at least one of
/// these attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileStamp {
    size: u64,
    ctime: (i64, i64),
    nlink: u64,
}

impl SpooledImport {
    /// Opens the folder of an import in the spool. `opener` opens the files in the folder.
    pub fn open(layout: &Layout, import: &ImportId, opener: &Opener) -> Result<Self, SpooledError> {
        let folder = Folder::open(&layout.spooled(import))?;
        Ok(Self { folder, place: OpenerFolder::Spooled(import.clone()), opener: opener.clone() })
    }

    /// Reads the manifest of the import. The manifest may have at most `max` bytes.
    pub fn manifest(&self, max: Size) -> Result<Vec<u8>, SpooledError> {
        let (file, path) = self.plain(MANIFEST)?;
        let mut bytes = Vec::new();
        match file.take(max.bytes().saturating_add(1)).read_to_end(&mut bytes) {
            Err(error) => Err(IoError::new("read", path, error).into()),
            Ok(_) if bytes.len() as u64 > max.bytes() => {
                Err(SpooledError::TooLarge { path, max: max.bytes() })
            }
            Ok(_) => Ok(bytes),
        }
    }

    /// Opens the data file of the import under a read lease. Fails if any process has the file
    /// open for writing.
    pub fn data(&self) -> Result<SpooledData, SpooledError> {
        let (file, path) = self.plain(DATA)?;
        let lease = match self.opener.lease(file) {
            Ok(lease) => lease,
            Err(source) => return Err(SpooledError::Lease { path, source }),
        };
        match FileStamp::of(lease.file()) {
            Ok(opened) => Ok(SpooledData { lease, path, opened }),
            Err(error) => Err(IoError::new("read", path, error).into()),
        }
    }

    fn plain(&self, name: &str) -> Result<(File, PathBuf), SpooledError> {
        let path = self.folder.path().join(name);
        let file = match self.opener.open(&self.place, name) {
            Ok(file) => file,
            Err(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => {
                return Err(SpooledError::NotPlain { path });
            }
            Err(errno) => return Err(IoError::new("open", path, errno).into()),
        };
        match file.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.nlink() == 1 => Ok((file, path)),
            Ok(_) => Err(SpooledError::NotPlain { path }),
            Err(error) => Err(IoError::new("read", path, error).into()),
        }
    }
}

impl SpooledData {
    /// Returns the size of the data file in bytes at the time when it was opened.
    pub fn size(&self) -> u64 {
        self.opened.size
    }

    /// Returns a handle for reading the data file. All handles share one position, and `self` keeps
    /// the lease. Fails only if no file descriptor is available.
    pub fn reader(&self) -> Result<File, SpooledError> {
        self.lease.file().try_clone().map_err(|error| self.unreadable(error))
    }

    /// Returns whether the file is unchanged since [`SpooledImport::data`]. The caller calls this
    /// function after it has read the whole file. If the result is false, the file "changed while
    /// being read".
    pub fn unchanged(&self) -> Result<bool, SpooledError> {
        let whole = self.lease.is_unbroken().map_err(|error| self.unreadable(error))?;
        let now = FileStamp::of(self.lease.file()).map_err(|error| self.unreadable(error))?;
        Ok(whole && now == self.opened)
    }

    fn unreadable(&self, error: io::Error) -> SpooledError {
        IoError::new("read", &self.path, error).into()
    }
}

impl FileStamp {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            size: metadata.len(),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
            nlink: metadata.nlink(),
        })
    }
}

/// Lists the imports that have a folder in the spool, each with the time of the folder's last
/// change. The list is empty if the spool does not exist. Names that are not import ids are
/// skipped.
pub fn list(layout: &Layout) -> Result<Vec<(ImportId, Timestamp)>, SpooledError> {
    let path = layout.spool();
    let failed = |error: io::Error| IoError::new("read", &path, error);
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
            // The folder was just removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            changed => changed.map_err(failed)?,
        };
        // If the time is out of range, the clock of the host is wrong. The folder is treated as
        // new.
        imports.push((import, changed.try_into().unwrap_or(Timestamp::MAX)));
    }
    Ok(imports)
}

/// Returns the size of a claimed import's data file in bytes. Returns 0 if the import has no data
/// file.
pub fn spooled_bytes(layout: &Layout, import: &ImportId) -> u64 {
    std::fs::metadata(layout.spooled(import).join(DATA)).map_or(0, |data| data.len())
}

/// Removes the files of a claimed import. A missing file is not an error.
pub fn discard(layout: &Layout, import: &ImportId) -> Result<(), SpooledError> {
    Ok(durable::remove_folder(&layout.spooled(import))?)
}
