//! Copies the files in an account's folders and in the spool, for the export of the account.
//!
//! Files are opened through a directory handle, and symbolic links are not followed. A file is
//! skipped and reported if it is not a regular file or has several names.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::fstat;

use super::incoming::entry::{DirEntry, usable_name};
use crate::files::IoError;
use crate::files::dir::{Folder, FolderError};
use crate::files::durable::{create_private_file, sync};

/// The reason why a folder of an account cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum ExportCopyError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Copies the regular files of the folder `from` into the new folder `to`, if `from` exists. The
/// copies are synced, and only the user of this process can read them. Returns the names of skipped
/// files. Hidden files, which are unpublished, are ignored. Files that are removed during the copy
/// are also ignored.
pub fn copy_folder(from: &Path, to: &Path) -> Result<Vec<String>, ExportCopyError> {
    let Some(folder) = Folder::open_existing(from)? else { return Ok(Vec::new()) };
    let read = |errno: Errno| IoError::new("read", from, errno);
    let written = |error: io::Error| IoError::new("write", to, error);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(written)?;
    let mut left_out = Vec::new();
    for entry in folder.entries().map_err(read)? {
        let entry = entry.map_err(read)?;
        let bytes = entry.file_name().to_bytes();
        if bytes.starts_with(b".") {
            continue;
        }
        let copied = match usable_name(bytes) {
            Some(name) => copy_file(&folder, name, &to.join(name))?,
            None => false,
        };
        if !copied {
            left_out.push(String::from_utf8_lossy(bytes).into_owned());
        }
    }
    sync(to)?;
    Ok(left_out)
}

/// Copies a file of an account. Returns false if the file is not a regular file or has several
/// names.
fn copy_file(folder: &Folder, name: &str, to: &Path) -> Result<bool, ExportCopyError> {
    let path = folder.path().join(name);
    let mut file = match folder.read(name) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(true), // the file was claimed or removed after the listing
        Err(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => return Ok(false),
        Err(errno) => return Err(IoError::new("read", path, errno).into()),
    };
    match fstat(&file) {
        Ok(stat) if DirEntry::new(name, &stat).is_plain() => {}
        Ok(_) => return Ok(false),
        Err(errno) => return Err(IoError::new("read", path, errno).into()),
    }
    let written = |error: io::Error| IoError::new("write", to, error);
    let mut copy = create_private_file(to)?;
    io::copy(&mut file, &mut copy).map_err(written)?;
    copy.sync_all().map_err(written)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn export_copies_only_regular_files() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("a/to"));
        assert!(copy_folder(&from, &to).unwrap().is_empty() && !to.exists());
        fs::create_dir_all(from.join("folder")).unwrap();
        fs::write(from.join("plain.csv"), "x").unwrap();
        fs::write(from.join(".part"), "x").unwrap();
        fs::write(from.join("line\nbreak"), "x").unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), from.join("link")).unwrap();
        fs::hard_link(folder.path().join("secret"), from.join("hard")).unwrap();
        let mut left_out = copy_folder(&from, &to).unwrap();
        left_out.sort();
        assert_eq!(left_out, ["folder", "hard", "line\nbreak", "link"]);
        let names: Vec<_> =
            fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["plain.csv"]);
    }
}
