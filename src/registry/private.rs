//! Files and folders that only this process's user, root, can read and write.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::geteuid;

use super::{Error, Result};

/// Whether the registry `path` in `folder` is there, and nobody else could have written it.
pub(super) fn check(folder: &Path, path: &Path) -> Result<()> {
    // The folder may be reached through links of root's; the file may be none.
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::Missing(path.to_owned()));
        }
        found => check_owner(folder, &found.map_err(Error::io("look at", folder))?)?,
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::Missing(path.to_owned()))
        }
        Ok(found) if !found.is_file() => {
            let (problem, fix) = ("is not a regular file", "move it away".to_owned());
            Err(Error::Unsafe { path: path.to_owned(), problem, fix })
        }
        found => check_owner(path, &found.map_err(Error::io("look at", path))?),
    }
}

fn check_owner(path: &Path, found: &Metadata) -> Result<()> {
    let owner = geteuid();
    let (problem, command) = if found.uid() != owner.as_raw() {
        ("is another user's", format!("chown {owner}"))
    } else if found.permissions().mode() & 0o077 != 0 {
        (
            "is open to other users",
            format!("chmod {}", if found.is_dir() { "0700" } else { "0600" }),
        )
    } else {
        return Ok(());
    };
    let fix = format!("{command} {}", path.display());
    Err(Error::Unsafe { path: path.to_owned(), problem, fix })
}

/// Makes the folder when it is missing.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(Error::io("make", folder))?,
    }
    check_owner(folder, &fs::metadata(folder).map_err(Error::io("look at", folder))?)
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
