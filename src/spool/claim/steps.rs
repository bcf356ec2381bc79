//! The steps of a claim: open the folders, acquire a lease, check, rename, verify, sync, undo.
//!
//! The module [`super`] explains the steps and their order. Each function in this file makes one or
//! two system calls and interprets their errors.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::RenameFlags;
use nix::sys::stat::{Mode, fstat};

use super::error::ClaimError;
use super::file::{FileId, PairFile};
use crate::account::AccountId;
use crate::files::IoError;
use crate::files::dir::{Folder, FolderError};
use crate::import_id::ImportId;
use crate::spool::incoming::entry::{DirEntry, FileKind};
use crate::spool::layout::{DATA, Layout};
use crate::spool::opener::{Lease, Opener, OpenerFolder};
use crate::sys::LeaseError;

/// The reason why a file could not be moved back to incoming.
pub enum UndoError {
    /// incoming no longer exists.
    IncomingGone,
    Failed(ClaimError),
}

/// The open folders of one claim.
pub struct ClaimFolders {
    /// An error if the account is being removed. A claim that has already moved all files succeeds
    /// nevertheless.
    pub incoming: Result<Folder, FolderError>,
    pub spool: Folder,
    /// The folder of the import in the spool.
    pub spooled: Folder,
    pub import: ImportId,
    /// The folder `incoming` in the form that `opener` needs.
    pub source: OpenerFolder,
    /// The folder `spooled` in the form that `opener` needs.
    pub target: OpenerFolder,
    pub opener: Opener,
}

impl ClaimFolders {
    pub fn open(
        layout: &Layout,
        account: &AccountId,
        import: &ImportId,
        opener: &Opener,
    ) -> Result<Self, ClaimError> {
        let incoming = match Folder::open(&layout.incoming(account)) {
            Err(error @ FolderError::Io(_)) => return Err(error.into()),
            other => other,
        };
        let spool = Folder::open(&layout.spool())?;
        match spool.create_folder(import.as_str(), Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(io_error("create", layout.spooled(import), errno)),
        }
        let spooled = Folder::open(&layout.spooled(import))?;
        let (source, target) =
            (OpenerFolder::Incoming(account.clone()), OpenerFolder::Spooled(import.clone()));
        let (import, opener) = (import.clone(), opener.clone());
        Ok(Self { incoming, spool, spooled, import, source, target, opener })
    }

    /// Moves one file into the spool unless the file is already in the spool. Returns a lease. The
    /// lease proves that no process is writing to the file.
    pub fn move_in(&self, part: PairFile, id: &FileId) -> Result<Option<Lease>, ClaimError> {
        if part == PairFile::Data && !id.plain {
            return Err(id.changed()); // a data file must be plain, even in an invalid row
        }
        let part = part.name();
        match self.spooled.stat(part) {
            // The file was moved before a crash. Its name in incoming can't be checked any more,
            // but its writers can.
            Ok(_) if !id.plain => self.verify_name(part, id).map(|()| None),
            Ok(_) => {
                let lease = self.lease(&self.spooled, &self.target, part, id)?;
                self.verify(part, id, &lease).map(|()| Some(lease))
            }
            Err(Errno::ENOENT) if !id.plain => {
                self.check_listed(id)?;
                self.rename(part, id)?;
                self.verify_name(part, id).map(|()| None)
            }
            Err(Errno::ENOENT) => {
                let lease = self.lease(self.incoming(id)?, &self.source, &id.name, id)?;
                self.check_same(id, &lease)?;
                self.rename(part, id)?;
                self.verify(part, id, &lease).map(|()| Some(lease))
            }
            Err(errno) => {
                Err(io_error("read the attributes of", self.spooled.path().join(part), errno))
            }
        }
    }

    pub fn incoming(&self, id: &FileId) -> Result<&Folder, ClaimError> {
        self.incoming.as_ref().map_err(|_| ClaimError::Gone { name: id.name.clone() })
    }

    /// Opens `name` in `folder` and acquires a read lease. `place` is the same folder, in the form
    /// that the opener needs.
    pub fn lease(
        &self,
        folder: &Folder,
        place: &OpenerFolder,
        name: &str,
        id: &FileId,
    ) -> Result<Lease, ClaimError> {
        let file = self.opener.open(place, name).map_err(|errno| match errno {
            Errno::ENOENT => ClaimError::Gone { name: id.name.clone() },
            // The name no longer belongs to a regular file with one name.
            Errno::ELOOP | Errno::ENXIO | Errno::ENODEV => id.changed(),
            errno => io_error("open", folder.path().join(name), errno),
        })?;
        let stat = fstat(&file)
            .map_err(|e| io_error("read the attributes of", folder.path().join(name), e))?;
        if !DirEntry::new(&id.name, &stat).is_plain() {
            return Err(id.changed());
        }
        self.opener.lease(file).map_err(|error| match error {
            LeaseError::Writer => ClaimError::StillWritten { name: id.name.clone() },
            source => ClaimError::Lease { name: id.name.clone(), source },
        })
    }

    /// Checks that the open file is the file that was scanned, and that it is unchanged.
    pub fn check_same(&self, id: &FileId, lease: &Lease) -> Result<(), ClaimError> {
        let stat = fstat(lease.file())
            .map_err(|errno| io_error("read the attributes of", self.incoming_path(id), errno))?;
        if FileId::of(&DirEntry::new(&id.name, &stat)) == *id { Ok(()) } else { Err(id.changed()) }
    }

    /// Checks that `id` is unchanged like [`Self::check_same`], but without opening the file.
    fn check_listed(&self, id: &FileId) -> Result<(), ClaimError> {
        match self.incoming(id)?.stat(id.name.as_str()) {
            Ok(stat) => {
                let entry = DirEntry::new(&id.name, &stat);
                let same = FileId::of(&entry) == *id && entry.kind != FileKind::Folder;
                if same { Ok(()) } else { Err(id.changed()) }
            }
            Err(Errno::ENOENT) => Err(ClaimError::Gone { name: id.name.clone() }),
            Err(errno) => Err(io_error("read the attributes of", self.incoming_path(id), errno)),
        }
    }

    pub fn rename(&self, part: &str, id: &FileId) -> Result<(), ClaimError> {
        let incoming = self.incoming(id)?;
        let moved = incoming.rename(&id.name, &self.spooled, part, RenameFlags::RENAME_NOREPLACE);
        moved.map_err(|errno| match errno {
            Errno::ENOENT => ClaimError::Gone { name: id.name.clone() },
            Errno::EXDEV => ClaimError::TwoMounts {
                from: incoming.path().to_owned(),
                to: self.spooled.path().to_owned(),
            },
            errno => io_error("move into the spool", self.incoming_path(id), errno),
        })
    }

    /// Checks three conditions: the leased file is in the spool, it has no other name, and no
    /// process has written to it.
    pub fn verify(&self, part: &str, id: &FileId, lease: &Lease) -> Result<(), ClaimError> {
        let path = || self.spooled.path().join(part);
        let stat = fstat(lease.file())
            .map_err(|errno| io_error("read the attributes of", path(), errno))?;
        let open = DirEntry::new(&id.name, &stat);
        if open.ino != id.ino || !open.is_plain() {
            return Err(id.changed());
        }
        self.verify_name(part, id)?;
        let whole = lease.is_unbroken();
        let whole = whole.map_err(|error| io_error("check for writers of", path(), error))?;
        if whole { Ok(()) } else { Err(ClaimError::StillWritten { name: id.name.clone() }) }
    }

    /// Checks that the name in the spool refers to the claimed inode. The device is not compared,
    /// because its number can change when the host restarts.
    fn verify_name(&self, part: &str, id: &FileId) -> Result<(), ClaimError> {
        let stat = self.spooled.stat(part).map_err(|errno| {
            io_error("read the attributes of", self.spooled.path().join(part), errno)
        })?;
        if stat.st_ino == id.ino { Ok(()) } else { Err(id.changed()) }
    }

    /// Renames a file back to incoming if the file is in the spool. If incoming contains a new file
    /// with the same name, the new file stays. The client could also have overwritten the earlier
    /// file.
    pub fn move_back(&self, part: PairFile, id: &FileId) -> Result<(), UndoError> {
        let part = part.name();
        let Ok(incoming) = &self.incoming else { return Err(UndoError::IncomingGone) };
        match self.spooled.rename(part, incoming, &id.name, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EEXIST) => self.spooled.remove(part).map_err(|errno| {
                UndoError::Failed(io_error("remove", self.spooled.path().join(part), errno))
            }),
            Err(errno) => {
                let path = self.spooled.path().join(part);
                Err(UndoError::Failed(io_error("move back to incoming", path, errno)))
            }
        }
    }

    pub fn remove_folder(&self) -> Result<(), ClaimError> {
        match self.spool.remove_folder(self.import.as_str()) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => {
                return Err(io_error("remove", self.spooled.path().to_owned(), errno));
            }
        }
        self.sync_folders([Some(&self.spool), self.incoming.as_ref().ok()])
    }

    pub fn size(&self, lease: &Lease) -> Result<u64, ClaimError> {
        let path = || self.spooled.path().join(DATA);
        let metadata = lease.file().metadata();
        let failed = |error| io_error("read the attributes of", path(), error);
        Ok(metadata.map_err(failed)?.len())
    }

    /// Syncs the files and then the folders, because sshd does not sync uploads.
    pub fn sync(&self, leases: &[Lease]) -> Result<(), ClaimError> {
        for lease in leases {
            let synced = lease.file().sync_data();
            synced.map_err(IoError::of("sync a file in", self.spooled.path()))?;
        }
        self.sync_folders([Some(&self.spooled), Some(&self.spool), self.incoming.as_ref().ok()])
    }

    fn sync_folders<'f>(
        &self,
        folders: impl IntoIterator<Item = Option<&'f Folder>>,
    ) -> Result<(), ClaimError> {
        for folder in folders.into_iter().flatten() {
            folder.sync().map_err(|errno| io_error("sync", folder.path().to_owned(), errno))?;
        }
        Ok(())
    }

    fn incoming_path(&self, id: &FileId) -> PathBuf {
        match &self.incoming {
            Ok(folder) => folder.path().join(&id.name),
            Err(_) => PathBuf::from(&id.name),
        }
    }
}

fn io_error(
    operation: &'static str,
    path: PathBuf,
    source: impl Into<std::io::Error>,
) -> ClaimError {
    IoError::new(operation, path, source).into()
}
