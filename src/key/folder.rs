//! The folder of the published keys, with its lock and the file keys.db. Only root can change the
//! folder.
//!
//! A new keys.db is written beside the previous file, synced, and renamed. The helper reads either
//! the complete previous file or the complete new file.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown,
};
use std::path::{Path, PathBuf};

use nix::libc::{O_DIRECTORY, O_NOFOLLOW};
use nix::unistd::{Group, geteuid};

use super::error::PublishError;
use crate::authorized_keys::trust;
use crate::files::IoError;
use crate::files::durable::{create_private_file, publish, remove_file};
use crate::files::lock::{FileLock, LockFile};

/// The group of the Unix user that runs the helper for sshd.
pub const GROUP: &str = "_sftp-import-keys";

const DATABASE: &str = "keys.db";

/// Returns the user ids that may own the folder: root and the user of this process. Wherever keys
/// are published for sshd, the user of this process is root. Tests run as any user.
pub(super) fn owners() -> [u32; 2] {
    [0, geteuid().as_raw()]
}

/// The open and checked folder. Invariant: only root can change a name on the folder's path or in
/// the folder.
pub(super) struct KeysFolder {
    /// The path of the folder, without symbolic links.
    path: PathBuf,
    handle: File,
}

impl KeysFolder {
    /// Opens the folder at `path`. Creates it if it is missing.
    ///
    /// # Errors
    /// Another user than root can change the folder or one of its parent folders.
    pub fn open(path: &Path) -> Result<Self, PublishError> {
        let above = path.parent().unwrap_or(Path::new("/"));
        trust::resolve(above, &owners()).map_err(PublishError::Untrusted)?;
        create(path)?;
        let path = trust::resolve(path, &owners()).map_err(PublishError::Untrusted)?;
        let handle = OpenOptions::new()
            .read(true)
            .custom_flags(O_DIRECTORY | O_NOFOLLOW)
            .open(&path)
            .map_err(IoError::of("open", &path))?;
        let found = handle.metadata().map_err(IoError::of("examine", &path))?;
        trust::check_folder(&path, &found, &owners()).map_err(PublishError::Untrusted)?;
        Ok(Self { path, handle })
    }

    /// Waits until no other process publishes keys. Only root can open the lock file, so that no
    /// other user can delay a revocation.
    pub fn lock(&self) -> Result<FileLock, IoError> {
        LockFile::open(&self.path.join(".lock"))?.lock()
    }

    /// Replaces keys.db with the file that `fill` writes. `fill` gets the path of an empty file. On
    /// return the new keys.db is in place and on the disk.
    ///
    /// After a failure the folder keeps its modification time, which is the time of the last
    /// publication. The daemon reports this time, because its user can't read the files in the
    /// folder.
    pub fn replace<T>(
        &self,
        fill: impl FnOnce(&Path) -> Result<T, PublishError>,
    ) -> Result<T, PublishError> {
        let found = self.handle.metadata().and_then(|found| found.modified());
        let before = found.map_err(IoError::of("examine", &self.path))?;
        self.try_replace(fill).inspect_err(|_| {
            // An error here is ignored, because the caller gets the first error.
            let _ = self.handle.set_modified(before);
        })
    }

    fn try_replace<T>(
        &self,
        fill: impl FnOnce(&Path) -> Result<T, PublishError>,
    ) -> Result<T, PublishError> {
        let (new, database) = (&self.path.join(".keys.db.new"), &self.path.join(DATABASE));
        self.create_empty(new)?;
        let filled = fill(new)?;
        publish(new, database)?;
        Ok(filled)
    }

    /// Creates an empty file at `path` that the folder's group can read. First removes a file with
    /// this name that an earlier crash may have left.
    fn create_empty(&self, path: &Path) -> Result<(), IoError> {
        remove_file(path)?;
        let file = create_private_file(path)?;
        let group = self.handle.metadata().map_err(IoError::of("examine", &self.path))?.gid();
        fchown(&file, None, Some(group)).map_err(IoError::of("set the group of", path))?;
        file.set_permissions(Permissions::from_mode(0o640)).map_err(IoError::of("protect", path))
    }
}

/// Creates the folder if it is missing. Sets the folder's group to the helper's group, if the host
/// has that group.
fn create(folder: &Path) -> Result<(), IoError> {
    match DirBuilder::new().mode(0o750).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(IoError::of("make", folder))?,
    }
    let group = Group::from_name(GROUP).map_err(IoError::of("find the group of", folder))?;
    if let Some(group) = group {
        chown(folder, None, Some(group.gid.as_raw()))
            .map_err(IoError::of("set the group of", folder))?;
    }
    fs::set_permissions(folder, Permissions::from_mode(0o750))
        .map_err(IoError::of("protect", folder))
}
