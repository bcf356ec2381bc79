//! The folder of the published keys, which only root can change: its lock and its file, keys.db.
//!
//! A new keys.db is written beside the old one, flushed, and renamed over it. The helper sees the
//! old file or the new one, never a part of one.

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

/// The group of the user that sshd runs the helper as.
pub const GROUP: &str = "_sftp-import-keys";

const DATABASE: &str = "keys.db";

/// The user ids that may own the folder: root, and this process's user, which is root wherever keys
/// are published for sshd. (Tests run as any user.)
pub(super) fn owners() -> [u32; 2] {
    [0, geteuid().as_raw()]
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> PublishError + 'a {
    move |source| PublishError::File { what, path: path.to_owned(), source }
}

/// The folder, open and checked. Invariant: only root can change a name on its path or in it.
pub(super) struct KeysFolder {
    /// Has no symbolic links.
    path: PathBuf,
    handle: File,
}

impl KeysFolder {
    /// Opens the folder at `path`, and creates it if it is missing.
    ///
    /// # Errors
    /// Another user than root can change it or a folder above it.
    pub fn open(path: &Path) -> Result<Self, PublishError> {
        let above = path.parent().unwrap_or(Path::new("/"));
        trust::resolve(above, &owners()).map_err(PublishError::Untrusted)?;
        create(path)?;
        let path = trust::resolve(path, &owners()).map_err(PublishError::Untrusted)?;
        let handle = OpenOptions::new()
            .read(true)
            .custom_flags(O_DIRECTORY | O_NOFOLLOW)
            .open(&path)
            .map_err(failed("open", &path))?;
        let found = handle.metadata().map_err(failed("examine", &path))?;
        trust::check_folder(&path, &found, &owners()).map_err(PublishError::Untrusted)?;
        Ok(Self { path, handle })
    }

    /// Waits until no other process publishes, then holds the lock until the returned file is
    /// closed. Only root can open the lock file, so no other user can delay a revocation.
    pub fn lock(&self) -> Result<File, PublishError> {
        let path = &self.path.join(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(O_NOFOLLOW)
            .open(path)
            .map_err(failed("open", path))?;
        lock.lock().map_err(failed("lock", path))?;
        Ok(lock)
    }

    /// Replaces keys.db with the file that `fill` writes. `fill` gets the path of an empty file. On
    /// return the new keys.db is in place and on disk.
    ///
    /// After a failure the folder keeps its modification time, the time of the last publication.
    /// The daemon reports it, because its user can't read the folder itself.
    pub fn replace<T>(
        &self,
        fill: impl FnOnce(&Path) -> Result<T, PublishError>,
    ) -> Result<T, PublishError> {
        let found = self.handle.metadata().and_then(|found| found.modified());
        let before = found.map_err(failed("examine", &self.path))?;
        self.try_replace(fill).inspect_err(|_| {
            // The caller gets the first error.
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
        File::open(new).and_then(|file| file.sync_all()).map_err(failed("flush", new))?;
        fs::rename(new, database).map_err(failed("replace", database))?;
        self.handle.sync_all().map_err(failed("flush", &self.path))?;
        Ok(filled)
    }

    /// Creates an empty file at `path` that the folder's group can read. Removes the remains of a
    /// crash first.
    fn create_empty(&self, path: &Path) -> Result<(), PublishError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", path)(error));
            }
            _ => {}
        }
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(failed("create", path))?;
        let group = self.handle.metadata().map_err(failed("examine", &self.path))?.gid();
        fchown(&file, None, Some(group)).map_err(failed("set the group of", path))?;
        file.set_permissions(Permissions::from_mode(0o640)).map_err(failed("protect", path))
    }
}

/// Creates the folder if it is missing, and gives it to the helper's group if the host has one.
fn create(folder: &Path) -> Result<(), PublishError> {
    match DirBuilder::new().mode(0o750).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made.map_err(failed("make", folder))?,
    }
    if let Some(group) = Group::from_name(GROUP)
        .map_err(io::Error::from)
        .map_err(failed("find the group of", folder))?
    {
        chown(folder, None, Some(group.gid.as_raw()))
            .map_err(failed("set the group of", folder))?;
    }
    fs::set_permissions(folder, Permissions::from_mode(0o750)).map_err(failed("protect", folder))
}
