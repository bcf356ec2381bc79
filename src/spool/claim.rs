//! The claim: a pair leaves incoming by two renames and lies in the spool, where nobody but us
//! can change it. A [`Claim`] says which files; [`Claim::execute`] moves them, and is its own
//! recovery: after a crash at any step, executing it again ends in the same state.
//!
//! # Why nobody can change a claimed file
//! 1. Nobody has it open for writing. A read lease (fcntl(2), F_SETLEASE) is given only while the
//!    kernel counts no writer on the inode; a writable mapping counts as one until it is gone.
//!    The lease is taken before the rename, and asked again after it: had anybody opened the file
//!    for writing or truncated it in between, the lease would be broken, or its renewal refused
//!    ([`ReadLease::is_whole`]). A broken lease delays that open(2) until we give the lease back,
//!    at most `/proc/sys/fs/lease-break-time` seconds (45): by then the file is back in incoming,
//!    and nothing is lost.
//! 2. Nobody can open it any more. Its one name (link count 1, asked before and after) lies in a
//!    folder of mode 0700 that is ours. A handle for reading cannot be turned into one for writing
//!    inside the chroot, which has no /proc.
//! 3. What is left is an open(2) or link(2) that found the file before the rename and is still on
//!    its way inside the kernel after it. Hence [`super::spooled`] holds a lease of its own while
//!    the file is read, and asks once more when it has been.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::RenameFlags;
use nix::sys::stat::{Mode, fstat};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Kind};
use super::folder::{Folder, FolderError};
use super::layout::Layout;
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::sys::{LeaseError, ReadLease};

/// The data file's name in the spool.
pub(super) const DATA: &str = "data";

/// The manifest's name in the spool.
pub(super) const MANIFEST: &str = "manifest";

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

/// What to move into the spool. Written into the import's row before anything moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The data file; none when the manifest is refused.
    pub data: Option<FileId>,
    /// The manifest.
    pub manifest: FileId,
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
    /// Moves the files into the import's spool folder and makes that durable. Idempotent.
    ///
    /// # Errors
    /// See [`ClaimError`] for what each leaves behind.
    pub fn execute(
        &self,
        layout: &Layout,
        account: &AccountId,
        import: &ImportId,
    ) -> Result<Claimed, ClaimError> {
        let mover = Mover::open(layout, account, import)?;
        let mut leases = Vec::with_capacity(2);
        for (part, id) in self.parts() {
            match mover.take(part, id) {
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
        Ok(Claimed { data_size })
    }

    /// The data file comes first: a manifest still in incoming tells that the claim isn't whole.
    fn parts(&self) -> impl DoubleEndedIterator<Item = (&'static str, &FileId)> {
        let data = self.data.iter().map(|id| (DATA, id));
        data.chain(std::iter::once((MANIFEST, &self.manifest)))
    }

    /// Moves back what was moved, the manifest first; returns why it had to be.
    fn undo(&self, mover: &Mover, cause: ClaimError) -> ClaimError {
        for (part, id) in self.parts().rev() {
            match mover.give_back(part, id) {
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

enum Undo {
    NoPlace,
    Failed(ClaimError),
}

/// The folders of one claim, and the steps between them.
struct Mover {
    /// None when the account is being removed; a claim that had moved everything still holds.
    incoming: Result<Folder, FolderError>,
    spool: Folder,
    /// The import's own.
    spooled: Folder,
    import: ImportId,
}

impl Mover {
    fn open(layout: &Layout, account: &AccountId, import: &ImportId) -> Result<Self, ClaimError> {
        let incoming = match Folder::open(&layout.incoming(account)) {
            Err(error @ FolderError::Open { .. }) => return Err(error.into()),
            other => other,
        };
        let spool = Folder::open(&layout.spool())?;
        match spool.create_folder(import.as_str(), Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(io_error("create", layout.spooled(import), errno)),
        }
        let spooled = Folder::open(&layout.spooled(import))?;
        Ok(Self { incoming, spool, spooled, import: import.clone() })
    }

    /// Brings one file into the spool, or finds it there; proves that nobody is writing to it.
    fn take(&self, part: &str, id: &FileId) -> Result<Option<ReadLease>, ClaimError> {
        if part == DATA && !id.plain {
            return Err(id.changed()); // not a data file, whoever wrote the claim
        }
        match self.spooled.stat(part) {
            // Moved before a crash: its name can't be asked about any more, its writers can.
            Ok(_) if !id.plain => self.verify_name(part, id).map(|()| None),
            Ok(_) => {
                let lease = self.lease(&self.spooled, part, id)?;
                self.verify(part, id, &lease).map(|()| Some(lease))
            }
            Err(Errno::ENOENT) if !id.plain => {
                self.still_listed(id)?;
                self.rename(part, id)?;
                self.verify_name(part, id).map(|()| None)
            }
            Err(Errno::ENOENT) => {
                let lease = self.lease(self.incoming(id)?, &id.name, id)?;
                self.still_same(id, &lease)?;
                self.rename(part, id)?;
                self.verify(part, id, &lease).map(|()| Some(lease))
            }
            Err(errno) => Err(io_error("look at", self.spooled.path().join(part), errno)),
        }
    }

    fn incoming(&self, id: &FileId) -> Result<&Folder, ClaimError> {
        self.incoming.as_ref().map_err(|_| ClaimError::Gone { name: id.name.clone() })
    }

    /// Opens `name` in `folder` and takes a read lease.
    fn lease(&self, folder: &Folder, name: &str, id: &FileId) -> Result<ReadLease, ClaimError> {
        let file = folder.read(name).map_err(|errno| match errno {
            Errno::ENOENT => ClaimError::Gone { name: id.name.clone() },
            // A symbolic link, a socket, a device without a driver is there instead.
            Errno::ELOOP | Errno::ENXIO | Errno::ENODEV => id.changed(),
            errno => io_error("open", folder.path().join(name), errno),
        })?;
        let stat = fstat(&file).map_err(|e| io_error("look at", folder.path().join(name), e))?;
        if !Entry::new(&id.name, &stat).is_plain() {
            return Err(id.changed());
        }
        ReadLease::take(file).map_err(|error| match error {
            LeaseError::Writer => ClaimError::StillWritten { name: id.name.clone() },
            source => ClaimError::Lease { name: id.name.clone(), source },
        })
    }

    /// Whether the open file is the one that was looked at, unchanged since.
    fn still_same(&self, id: &FileId, lease: &ReadLease) -> Result<(), ClaimError> {
        let stat = fstat(lease.file())
            .map_err(|errno| io_error("look at", self.incoming_path(id), errno))?;
        if FileId::of(&Entry::new(&id.name, &stat)) == *id { Ok(()) } else { Err(id.changed()) }
    }

    /// As [`Self::still_same`] for what is not opened.
    fn still_listed(&self, id: &FileId) -> Result<(), ClaimError> {
        match self.incoming(id)?.stat(&id.name) {
            Ok(stat) => {
                let entry = Entry::new(&id.name, &stat);
                let same = FileId::of(&entry) == *id && entry.kind != Kind::Folder;
                if same { Ok(()) } else { Err(id.changed()) }
            }
            Err(Errno::ENOENT) => Err(ClaimError::Gone { name: id.name.clone() }),
            Err(errno) => Err(io_error("look at", self.incoming_path(id), errno)),
        }
    }

    fn rename(&self, part: &str, id: &FileId) -> Result<(), ClaimError> {
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

    /// Whether what lies in the spool is the leased file, without another name, unwritten.
    fn verify(&self, part: &str, id: &FileId, lease: &ReadLease) -> Result<(), ClaimError> {
        let path = || self.spooled.path().join(part);
        let stat = fstat(lease.file()).map_err(|errno| io_error("look at", path(), errno))?;
        let open = Entry::new(&id.name, &stat);
        if open.ino != id.ino || !open.is_plain() {
            return Err(id.changed());
        }
        self.verify_name(part, id)?;
        let whole = lease.is_whole().map_err(|source| ClaimError::Io {
            operation: "ask for writers of",
            path: path(),
            source,
        })?;
        if whole { Ok(()) } else { Err(ClaimError::StillWritten { name: id.name.clone() }) }
    }

    /// Whether the name in the spool stands for the claimed inode. The device is not compared: it
    /// can have another number after a restart of the host.
    fn verify_name(&self, part: &str, id: &FileId) -> Result<(), ClaimError> {
        let stat = self
            .spooled
            .stat(part)
            .map_err(|errno| io_error("look at", self.spooled.path().join(part), errno))?;
        if stat.st_ino == id.ino { Ok(()) } else { Err(id.changed()) }
    }

    fn give_back(&self, part: &str, id: &FileId) -> Result<(), Undo> {
        let Ok(incoming) = &self.incoming else { return Err(Undo::NoPlace) };
        match self.spooled.rename(part, incoming, &id.name, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EEXIST) => Err(Undo::NoPlace),
            Err(errno) => {
                let path = self.spooled.path().join(part);
                Err(Undo::Failed(io_error("move back to incoming", path, errno)))
            }
        }
    }

    fn remove_folder(&self) -> Result<(), ClaimError> {
        match self.spool.remove_folder(self.import.as_str()) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => {
                return Err(io_error("remove", self.spooled.path().to_owned(), errno));
            }
        }
        self.sync_folders([Some(&self.spool), self.incoming.as_ref().ok()])
    }

    fn size(&self, lease: &ReadLease) -> Result<u64, ClaimError> {
        let path = || self.spooled.path().join(DATA);
        let metadata = lease.file().metadata();
        let failed = |source| ClaimError::Io { operation: "look at", path: path(), source };
        Ok(metadata.map_err(failed)?.len())
    }

    /// sshd doesn't sync uploads; the names follow their content.
    fn sync(&self, leases: &[ReadLease]) -> Result<(), ClaimError> {
        for lease in leases {
            lease.file().sync_data().map_err(|source| {
                let path = self.spooled.path().to_owned();
                ClaimError::Io { operation: "sync a file in", path, source }
            })?;
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

impl FileId {
    fn changed(&self) -> ClaimError {
        ClaimError::Changed { name: self.name.clone() }
    }
}

fn io_error(operation: &'static str, path: PathBuf, errno: Errno) -> ClaimError {
    ClaimError::Io { operation, path, source: errno.into() }
}

#[cfg(test)]
#[path = "claim_tests.rs"]
mod tests;
