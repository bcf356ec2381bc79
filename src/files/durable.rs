//! Files and folders that survive a power failure. A file is synced before it gets its name, and
//! the folder is synced after that.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::libc::O_NONBLOCK;

use super::error::IoError;

/// The mode of folders: the group may read.
const FOLDER_MODE: u32 = 0o750;
/// The mode of files: the group may read.
const FILE_MODE: u32 = 0o640;

/// Creates `path` and the missing folders above it. On return the name of each new folder is on
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

/// Creates the folder `path`, which must not exist. On return its name is not on disk, because
/// [`publish`] will change it.
pub fn create_temporary_folder(path: &Path) -> Result<(), IoError> {
    make_folder(path).map_err(IoError::of("create", path))
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)?;
    // mkdir(2) subtracts the umask, which must not decide whether the group may read.
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// Creates the file `path`, which must not exist.
pub fn create_file(path: &Path) -> Result<File, IoError> {
    let file = create_new(path, FILE_MODE)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))
        .map_err(IoError::of("set the mode of", path))?;
    Ok(file)
}

/// Creates the file `path`, which must not exist and which only its owner can read.
pub fn create_private_file(path: &Path) -> Result<File, IoError> {
    create_new(path, 0o600)
}

/// Creates a file for reading and writing that has the name `path` only for a moment. Replaces one
/// that a crash left under that name.
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

/// Removes the file `path`, if it exists.
pub fn remove_file(path: &Path) -> Result<(), IoError> {
    ignore_missing(fs::remove_file(path)).map_err(IoError::of("remove", path))
}

/// Removes the folder `path` and its content, if it exists.
pub fn remove_folder(path: &Path) -> Result<(), IoError> {
    ignore_missing(fs::remove_dir_all(path)).map_err(IoError::of("remove", path))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Returns whether a path leads to nothing, or to a file in the place of a folder.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Writes a file's bytes, or a folder's names, to the disk. A FIFO is an error.
pub fn sync(path: &Path) -> Result<(), IoError> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
    file.and_then(|file| file.sync_all()).map_err(IoError::of("sync", path))
}

/// Writes the name `path` to the disk.
pub fn sync_parent(path: &Path) -> Result<(), IoError> {
    sync(parent(path))
}

/// Returns the folder that `path` is in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Syncs the file or folder `from`, renames it to `to`, and syncs the name. Replaces a file at
/// `to`. The files in a folder must have been synced.
pub fn publish(from: &Path, to: &Path) -> Result<(), IoError> {
    sync(from)?;
    rename(from, to)
}

/// Renames `from`, which is synced, to `to`, and syncs the name. Replaces a file at `to`.
pub fn rename(from: &Path, to: &Path) -> Result<(), IoError> {
    fs::rename(from, to).map_err(IoError::of("rename", from))?;
    sync_parent(to)
}

/// A new private file under a temporary name. Dropped before it is published, it is removed, with
/// the files that SQLite may have created beside it.
#[derive(Debug)]
#[must_use = "the file is removed when this is dropped"]
pub struct TempFile {
    path: PathBuf,
}

impl TempFile {
    /// Creates the empty file `path`, which must not exist and which only its owner can read.
    pub fn create(path: PathBuf) -> Result<Self, IoError> {
        create_private_file(&path)?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the file, renames it to `to` unless a file of that name exists, and syncs the name.
    /// Returns whether the file was renamed.
    pub fn publish_new(self, to: &Path) -> Result<bool, IoError> {
        sync(&self.path)?;
        let renamed = renameat2(AT_FDCWD, &self.path, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE);
        let renamed = match renamed {
            Err(Errno::EINVAL) => self.link_or_rename(to), // the file system can't do it
            renamed => renamed.map_err(io::Error::from),
        };
        let is_new = match renamed {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
            renamed => renamed.map(|()| true).map_err(IoError::of("rename to", to))?,
        };
        sync_parent(to)?;
        Ok(is_new)
    }

    /// Gives the file the name `to` unless a file of that name exists. A file system without hard
    /// links, such as vfat, can't do both in one step.
    fn link_or_rename(&self, to: &Path) -> io::Result<()> {
        match fs::hard_link(&self.path, to) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(error),
            Err(_) if to.symlink_metadata().is_err() => fs::rename(&self.path, to),
            linked => linked, // dropping `self` removes the other name
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(with_suffix(&self.path, suffix));
        }
    }
}

/// Appends `suffix` to the last name of `path`.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_do_not_depend_on_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        create_folders(&deep).unwrap();
        create_folders(&deep).unwrap();
        let file = deep.join("f");
        create_file(&file).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!([mode(&deep), mode(&folder.path().join("a"))], [FOLDER_MODE; 2]);
        assert_eq!(mode(&file), FILE_MODE);
        assert!(create_file(&file).is_err(), "never over another file");
    }

    #[test]
    fn a_nameless_file_replaces_a_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "left").unwrap();
        let file = create_nameless(&path).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_as_parent_folder_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "").unwrap();
        assert!(create_folders(&path).is_err());
        assert!(create_folders(&path.join("below")).is_err());
    }

    #[test]
    fn a_temporary_file_replaces_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, to) = (folder.path().join(".new"), folder.path().join("f"));
        let new = TempFile::create(path.clone()).unwrap();
        fs::write(with_suffix(&path, "-wal"), "").unwrap();
        assert!(new.publish_new(&to).unwrap());
        assert!(!TempFile::create(path).unwrap().publish_new(&to).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
