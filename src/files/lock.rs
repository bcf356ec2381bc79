//! Lock files: opened without following a link or waiting for a FIFO's other end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::private;

/// Opens the lock file `path`, which only its owner can open, and creates it if it is missing. It
/// must be a regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// Opens the lock file `name` in `folder`, and creates both if they are missing. Only this
/// process's user may have rights in the folder, because another user could hold the lock for ever.
pub fn open_private(folder: &Path, name: &str) -> io::Result<File> {
    private::make_folder(folder)?;
    open(&folder.join(name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use nix::sys::stat::Mode;
    use nix::unistd::{geteuid, mkfifo};

    use super::*;

    #[test]
    fn a_link_and_a_fifo_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        symlink(&target, &link).unwrap();
        assert!(open(&link).is_err() && !target.exists());
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert!(open(&fifo).is_err());
        let _reader = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(&fifo).unwrap();
        assert_eq!(open(&fifo).unwrap_err().to_string(), "it is not a regular file");
    }

    #[test]
    fn a_private_folder_is_made_and_checked() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("admin");
        open_private(&folder, "x.lock").unwrap();
        open_private(&folder, "x.lock").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&folder), mode(&folder.join("x.lock"))), (0o700, 0o600));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o710)).unwrap();
        let error = open_private(&folder, "x.lock").unwrap_err().to_string();
        assert!(error.ends_with(&format!("chmod 0700 {}", folder.display())), "{error}");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        if geteuid().is_root() {
            chown(&folder, Some(4711), None).unwrap();
            let error = open_private(&folder, "x.lock").unwrap_err().to_string();
            assert!(error.contains("user id 4711"), "{error}");
        }
    }
}
