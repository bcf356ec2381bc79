//! Creates and renames files and folders so that they survive a power failure. A file is synced
//! before it gets its name. The folder is synced after that.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::libc::O_NONBLOCK;

use super::error::IoError;

/// The mode of new folders, which allows the group to read.
const FOLDER_MODE: u32 = 0o750;
/// The mode of new files, which allows the group to read.
const FILE_MODE: u32 = 0o640;

/// Creates `path` and the missing parent folders. On return the name of each new folder is on the
/// disk.
pub fn create_folders(path: &Path) -> Result<(), IoError> {
    match make_folder(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().ok_or_else(|| IoError::new("create", path, error))?;
            create_folders(parent)?;
            create_folders(path)
        }
        Err(error) => Err(IoError::new("create", path, error)),
    }
}

/// Creates the folder `path`, which must not exist. On return the name is not yet on the disk,
/// because [`publish`] will change the name.
pub fn create_temporary_folder(path: &Path) -> Result<(), IoError> {
    make_folder(path).map_err(IoError::of("create", path))
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)?;
    // mkdir(2) applies the umask. The mode is set explicitly, so that the group can read with any
    // umask.
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// Creates the file `path`, which must not exist.
pub fn create_file(path: &Path) -> Result<File, IoError> {
    let file = create_new(path, FILE_MODE)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))
        .map_err(IoError::of("set the mode of", path))?;
    Ok(file)
}

/// Creates the file `path`, which must not exist. Only its owner can read the file.
pub fn create_private_file(path: &Path) -> Result<File, IoError> {
    create_new(path, 0o600)
}

/// Creates a file for reading and writing and removes its name `path` immediately. Replaces a file
/// with that name, which an earlier crash may have left.
pub fn create_nameless(path: &Path) -> Result<File, IoError> {
    remove_file(path)?;
    let file = create_new(path, 0o600)?;
    remove_file(path)?;
    Ok(file)
}

fn create_new(path: &Path, mode: u32) -> Result<File, IoError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(mode).open(path);
    file.map_err(IoError::of("create", path))
}

/// Removes the file `path` if it exists.
pub fn remove_file(path: &Path) -> Result<(), IoError> {
    ignore_missing(fs::remove_file(path)).map_err(IoError::of("remove", path))
}

/// Removes the folder `path` and its content if the folder exists.
pub fn remove_folder(path: &Path) -> Result<(), IoError> {
    ignore_missing(fs::remove_dir_all(path)).map_err(IoError::of("remove", path))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Returns whether the error means that a path does not exist, or that a parent folder is a file.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Writes the bytes of a file, or the names in a folder, to the disk. Fails for a FIFO.
pub fn sync(path: &Path) -> Result<(), IoError> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
    file.and_then(|file| file.sync_all()).map_err(IoError::of("sync", path))
}

/// Writes the name `path` to the disk by syncing its parent folder.
pub fn sync_parent(path: &Path) -> Result<(), IoError> {
    sync(parent(path))
}

/// Returns the parent folder of `path`.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Syncs the file or folder `from`, renames it to `to`, and syncs the new name. Replaces an
/// existing file `to`. If `from` is a folder, its files must already be synced.
pub fn publish(from: &Path, to: &Path) -> Result<(), IoError> {
    sync(from)?;
    rename(from, to)
}

/// Renames `from` to `to` and syncs the new name. `from` must already be synced. Replaces an
/// existing file `to`.
pub fn rename(from: &Path, to: &Path) -> Result<(), IoError> {
    fs::rename(from, to).map_err(IoError::of("rename", from))?;
    sync_parent(to)
}

/// A new file with a temporary name. If it is dropped before it is published, the file is
/// removed. Files that SQLite may have created beside it are removed as well.
#[derive(Debug)]
#[must_use = "dropping this value removes the file"]
pub struct TempFile {
    path: PathBuf,
}

impl TempFile {
    /// Creates the empty file `path`, which must not exist. Only its owner can read the file.
    pub fn create(path: PathBuf) -> Result<Self, IoError> {
        create_private_file(&path)?;
        Ok(Self { path })
    }

    /// Creates the empty file `path`, which must not exist, with the mode that the umask allows.
    /// The caller writes through the returned handle, because other users who can write to the
    /// folder can replace the name.
    pub fn create_by_umask(path: PathBuf) -> Result<(Self, File), IoError> {
        let file = create_new(&path, 0o666)?;
        Ok((Self { path }, file))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the file, renames it to `to`, and syncs the new name. Returns false and does not
    /// rename the file if a file `to` exists.
    pub fn publish_new(self, to: &Path) -> Result<bool, IoError> {
        sync(&self.path)?;
        let renamed = renameat2(AT_FDCWD, &self.path, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE);
        let renamed = match renamed {
            // The file system does not support RENAME_NOREPLACE.
            Err(Errno::EINVAL) => self.link_or_rename(to),
            renamed => renamed.map_err(io::Error::from),
        };
        let is_new = match renamed {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            renamed => renamed.map(|()| true).map_err(IoError::of("rename to", to))?,
        };
        sync_parent(to)?;
        Ok(is_new)
    }

    /// Gives the file the name `to` unless a file with that name exists. On a file system without
    /// hard links, such as vfat, the check and the rename are two steps.
    fn link_or_rename(&self, to: &Path) -> io::Result<()> {
        match fs::hard_link(&self.path, to) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            Err(_) if to.symlink_metadata().is_err() => fs::rename(&self.path, to),
            // Dropping `self` removes the old name.
            linked => linked,
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // After the rename no file has these names. The removal then fails without effect.
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

/// Returns `path` with `suffix` after its last component.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_modes_do_not_depend_on_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        create_folders(&deep).unwrap();
        create_folders(&deep).unwrap();
        let file = deep.join("f");
        create_file(&file).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!([mode(&deep), mode(&folder.path().join("a"))], [FOLDER_MODE; 2]);
        assert_eq!(mode(&file), FILE_MODE);
        assert!(create_file(&file).is_err(), "an existing file must not be replaced");
    }

    #[test]
    fn a_nameless_file_replaces_an_existing_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "left").unwrap();
        let file = create_nameless(&path).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert!(!path.exists());
    }

    #[test]
    fn creating_a_folder_below_a_file_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "").unwrap();
        assert!(create_folders(&path).is_err());
        assert!(create_folders(&path.join("below")).is_err());
    }

    #[test]
    fn publishing_keeps_an_existing_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, to) = (folder.path().join(".new"), folder.path().join("f"));
        let new = TempFile::create(path.clone()).unwrap();
        fs::write(with_suffix(&path, "-wal"), "").unwrap();
        assert!(new.publish_new(&to).unwrap());
        assert!(!TempFile::create(path).unwrap().publish_new(&to).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
