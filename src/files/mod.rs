//! Changes files and folders durably, locks them, opens directories, and changes file rights.

pub mod dir;
pub mod durable;
pub mod error;
pub mod lock;
pub mod owner;
pub mod private;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::O_NONBLOCK;

pub use error::IoError;

/// Opens the file at `path` for reading. Returns `None` if it is not a regular file. The open does
/// not wait for the other end of a FIFO.
pub fn open_regular(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        assert_eq!(open_regular(&path).err().unwrap().kind(), io::ErrorKind::NotFound);
        mkfifo(&path, Mode::S_IRUSR).unwrap();
        assert!(open_regular(&path).unwrap().is_none());
        assert!(open_regular(folder.path()).unwrap().is_none());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a").unwrap();
        assert!(open_regular(&path).unwrap().is_some());
    }
}
