//! The registry's file: checks before it is opened, and its creation by a rename.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{Error, Result};
use crate::files::private;

/// Checks that the registry `path` in `folder` exists, and that no other user could have written
/// it.
pub(super) fn check(folder: &Path, path: &Path) -> Result<()> {
    // A link to the folder is allowed, because only root can have made it; the file must not be
    // one.
    let found = |looked: io::Result<fs::Metadata>, at: &Path| match looked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::Missing(path.to_owned()))
        }
        looked => looked.map_err(Error::io("read the metadata of", at)),
    };
    private::check(folder, &found(fs::metadata(folder), folder)?)?;
    let file = found(fs::symlink_metadata(path), path)?;
    if !file.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    Ok(private::check(path, &file)?)
}

/// Creates the folder if it is missing, and checks it.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    private::make_folder(folder).map_err(Error::io("use", folder))
}

/// A file under a temporary name; removed when dropped before it gets its own name.
pub(super) struct Unfinished {
    /// The temporary path.
    pub path: PathBuf,
    name: PathBuf,
}

impl Unfinished {
    /// Creates an empty file that will get the path `name`.
    pub(super) fn create(name: &Path) -> Result<Self> {
        let path = name.with_extension(format!("db.{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        file.map_err(Error::io("create", &path))?;
        Ok(Self { path, name: name.to_owned() })
    }

    /// Gives the file its name, unless another file has it.
    pub(super) fn take_name(self) -> Result<()> {
        let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all());
        sync(&self.path).map_err(Error::io("flush", &self.path))?;
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(AT_FDCWD, &self.path, AT_FDCWD, &self.name, flags) {
            Err(errno) if errno != Errno::EEXIST => {
                return Err(Error::io("rename to", &self.name)(errno.into()));
            }
            _ => {}
        }
        let folder = self.name.parent().unwrap_or(Path::new("/"));
        sync(folder).map_err(Error::io("flush", folder))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing to remove.
        for beside in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(beside);
            let _ = fs::remove_file(path);
        }
    }
}
