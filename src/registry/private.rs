//! The registry's file: checked before it is opened, and made whole.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{Error, Result};
use crate::files::private;

/// Whether the registry `path` in `folder` is there, and nobody else could have written it.
pub(super) fn check(folder: &Path, path: &Path) -> Result<()> {
    // The folder may be reached through links of root's; the file may be none.
    let found = |looked: io::Result<fs::Metadata>, at: &Path| match looked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::Missing(path.to_owned()))
        }
        looked => looked.map_err(Error::io("look at", at)),
    };
    private::check(folder, &found(fs::metadata(folder), folder)?)?;
    let file = found(fs::symlink_metadata(path), path)?;
    if !file.is_file() {
        return Err(Error::NotAFile(path.to_owned()));
    }
    Ok(private::check(path, &file)?)
}

/// Makes the folder if it is missing, and checks it.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    private::make_folder(folder).map_err(Error::io("use", folder))
}

/// A file that has no name of its own yet; dropped before that, it goes.
pub(super) struct Unfinished {
    /// Where it lies until then.
    pub path: PathBuf,
    name: PathBuf,
}

impl Unfinished {
    /// Makes an empty file that is to be called `name`.
    pub(super) fn create(name: &Path) -> Result<Self> {
        let path = name.with_extension(format!("db.{}.new", std::process::id()));
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        file.map_err(Error::io("create", &path))?;
        Ok(Self { path, name: name.to_owned() })
    }

    /// Gives it its name, unless another file has it.
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
        // Once it has its name, there is nothing of this one.
        for beside in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(beside);
            let _ = fs::remove_file(path);
        }
    }
}
