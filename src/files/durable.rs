//! Files and folders that survive a power cut: made with their mode, fsynced, renamed, in order.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::libc::O_NONBLOCK;

use super::error::IoError;

/// Folders: the group may read.
const FOLDER_MODE: u32 = 0o750;
/// Files: the group may read.
const FILE_MODE: u32 = 0o640;

/// Makes `path` and what is missing above it; each new folder's name is on disk at the return.
pub fn create_folders(path: &Path) -> Result<(), IoError> {
    match make_folder(path) {
        Ok(()) => sync_parent(path),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().ok_or_else(|| IoError::of("create", path)(error))?;
            create_folders(parent)?;
            create_folders(path)
        }
        Err(error) => Err(IoError::of("create", path)(error)),
    }
}

/// Makes the folder `path`, which is not there yet. Its name is not on disk at the return: it is
/// about to get another, by [`publish_folder`].
pub fn create_passing_folder(path: &Path) -> Result<(), IoError> {
    make_folder(path).map_err(IoError::of("create", path))
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)?;
    // mkdir(2) subtracts the umask; what the group may read is not left to it.
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// Makes the file `path`, which must not be there yet.
pub fn create_file(path: &Path) -> Result<File, IoError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(IoError::of("create", path))?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))
        .map_err(IoError::of("set the mode of", path))?;
    Ok(file)
}

/// Makes a file that has the name `path` for a moment only, for reading and writing; one that a
/// crash left under it is replaced.
pub fn create_nameless(path: &Path) -> Result<File, IoError> {
    remove_file(path)?;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(IoError::of("create", path))?;
    remove_file(path)?;
    Ok(file)
}

/// Removes the file `path`, if it is there.
pub fn remove_file(path: &Path) -> Result<(), IoError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(IoError::of("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Brings a file's bytes, or a folder's names, to the disk. A FIFO is an error.
pub fn sync(path: &Path) -> Result<(), IoError> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
    file.and_then(|file| file.sync_all()).map_err(IoError::of("sync", path))
}

/// Brings the name `path` to the disk.
pub fn sync_parent(path: &Path) -> Result<(), IoError> {
    path.parent().map_or(Ok(()), sync)
}

/// Whether a path leads to nothing, a file in the way of a folder included.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Renames the folder `from`, whose files are synced, to `to`, which is not there yet.
pub fn publish_folder(from: &Path, to: &Path) -> Result<(), IoError> {
    sync(from)?;
    fs::rename(from, to).map_err(IoError::of("rename", from))?;
    sync_parent(to)
}

/// Syncs the file `from` and renames it to `to`.
pub fn publish_file(from: &Path, to: &Path) -> Result<(), IoError> {
    sync(from)?;
    fs::rename(from, to).map_err(IoError::of("rename", from))?;
    sync_parent(to)
}

/// Removes the folder `path` and what is in it, if it is there.
pub fn remove_folder(path: &Path) -> Result<(), IoError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(IoError::of("remove", path)(error))
        }
        _ => Ok(()),
    }
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
    fn a_nameless_file_replaces_what_a_crash_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "left").unwrap();
        let file = create_nameless(&path).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "").unwrap();
        assert!(create_folders(&path).is_err());
        assert!(create_folders(&path.join("below")).is_err());
    }
}
