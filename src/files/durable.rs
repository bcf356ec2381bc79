//! Files and folders that survive a power failure: created with their mode, synced, then renamed.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use nix::libc::O_NONBLOCK;

use super::error::IoError;

const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

/// Creates the folder `path` and its missing parents. The names of the new folders are durable when
/// this returns.
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

/// Creates the folder `path`, which must not exist. Its name is not synced, since [`publish_folder`]
/// renames it later.
pub fn create_passing_folder(path: &Path) -> Result<(), IoError> {
    make_folder(path).map_err(IoError::of("create", path))
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)?;
    // mkdir(2) subtracts the umask. The group must be able to read the folder in any case.
    fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE))
}

/// Creates the file `path`, which must not exist.
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

/// Creates a file for reading and writing and unlinks its name `path`. Replaces a file that a crash
/// left there.
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

/// Removes the file `path` if it exists.
pub fn remove_file(path: &Path) -> Result<(), IoError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(IoError::of("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Syncs the contents of a file, or the names in a folder. A FIFO is an error.
pub fn sync(path: &Path) -> Result<(), IoError> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
    file.and_then(|file| file.sync_all()).map_err(IoError::of("sync", path))
}

/// Syncs the folder that contains `path`, so that the name `path` is durable.
pub fn sync_parent(path: &Path) -> Result<(), IoError> {
    path.parent().map_or(Ok(()), sync)
}

/// Whether the path does not exist. A file in place of a parent folder counts as well.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Renames the folder `from`, whose files are synced, to `to`, which must not exist.
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

/// Removes the folder `path` with its contents, if it exists.
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
