//! README.txt in incoming: instructions for partners, who see it after login.
//!
//! Invariant: only a regular file of this process's user counts as the readme. An account can
//! delete or rename the readme, but cannot write to it or create another one. Therefore the limits
//! of incoming do not include it. An account's own README.txt is an upload like any other file, and
//! is never replaced.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, fchmod, fstat};
use nix::unistd::geteuid;

use super::entry::{FileKind, kind};
use crate::files::IoError;
use crate::files::dir::Folder;

/// The name of the file that explains uploads to partners.
pub const README: &str = "README.txt";

/// The permission bits of README.txt. The account has another user and group than the file, but
/// can read the file.
const MODE: Mode = Mode::from_bits_truncate(0o644);

/// Returns whether an entry with the name `name` and the attributes `stat` is the daemon's
/// README.txt.
pub fn is_readme(name: &[u8], stat: &FileStat) -> bool {
    name == README.as_bytes()
        && kind(stat) == FileKind::Regular
        && stat.st_uid == geteuid().as_raw()
}

/// Writes `text` to the readme in `incoming` if the readme is missing or has another text. Returns
/// whether it was written.
///
/// The readme is opened once, checked, and written through its handle. The reason is that an
/// account can rename an upload to this name at any time. After a failed write the readme is empty.
pub fn place(incoming: &Folder, text: &str) -> Result<bool, IoError> {
    let path = || incoming.path().join(README);
    let opened = open(incoming).map_err(IoError::of("open", path()))?;
    let Some(mut file) = opened else { return Ok(false) };
    if has_text(&mut file, text).map_err(IoError::of("read", path()))? {
        return Ok(false);
    }
    fchmod(&file, MODE).map_err(IoError::of("write", path()))?; // independent of the umask
    let written = file.set_len(0).and_then(|()| file.write_all_at(text.as_bytes(), 0));
    written.map_err(|error| {
        let _ = file.set_len(0);
        IoError::new("write", path(), error)
    })?;
    Ok(true)
}

/// Opens the daemon's README.txt, or creates it. Returns `None` if the name belongs to an upload.
fn open(incoming: &Folder) -> nix::Result<Option<File>> {
    let file = match incoming.stat(README) {
        Err(Errno::ENOENT) => incoming.create_new(README, MODE),
        Ok(stat) if is_readme(README.as_bytes(), &stat) => incoming.update(README),
        Ok(_) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    match file {
        Ok(file) => {
            let stat = fstat(&file)?;
            // A second name of another file of this process's user is not the readme.
            let is_own = is_readme(README.as_bytes(), &stat) && stat.st_nlink == 1;
            Ok(is_own.then_some(file))
        }
        // An upload or another file took the name between the two calls.
        Err(Errno::EEXIST | Errno::ENOENT | Errno::EACCES | Errno::ELOOP | Errno::ENXIO) => {
            Ok(None)
        }
        Err(errno) => Err(errno),
    }
}

/// Returns whether the content of README.txt is `text`.
fn has_text(file: &mut File, text: &str) -> io::Result<bool> {
    let mut found = Vec::new();
    file.take(text.len() as u64 + 1).read_to_end(&mut found)?;
    Ok(found == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    use super::*;
    use crate::spool::incoming::listing::IncomingUsage;
    use crate::spool::test_host::TestHost;

    #[test]
    fn the_readme_is_readable_and_not_counted() {
        let host = TestHost::new();
        let incoming = host.open();
        assert!(incoming.place_readme("Welcome.\n").unwrap());
        assert!(!incoming.place_readme("Welcome.\n").unwrap(), "the readme exists already");
        let path = host.incoming().join(README);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        let listing = host.list(0);
        assert_eq!((listing.usage, listing.entries.len()), (IncomingUsage::default(), 0));
        assert!(listing.has_readme);
    }

    #[test]
    fn a_new_text_replaces_the_readme() {
        let host = TestHost::new();
        let incoming = host.open();
        for text in ["One.", "Two.", "A longer one.", ""] {
            assert!(incoming.place_readme(text).unwrap());
            assert_eq!(fs::read_to_string(host.incoming().join(README)).unwrap(), text);
        }
        fs::write(host.incoming().join(README), b"\xff\xff\xff\xff").unwrap();
        assert!(incoming.place_readme("Four").unwrap());
    }

    #[test]
    fn an_uploaded_readme_is_kept() {
        let host = TestHost::new();
        let incoming = host.open();
        let path = host.put(README, "a partner's");
        chown(&path, Some(12_345), None).unwrap();
        assert!(!incoming.place_readme("ours").unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "a partner's");
        let listing = host.list(10);
        assert_eq!((listing.usage.files, listing.has_readme), (1, false));

        fs::remove_file(&path).unwrap();
        let target = host.results().join("x");
        fs::write(&target, "untouched").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(!incoming.place_readme("ours").unwrap(), "a symbolic link is an upload");
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(fs::metadata(&target).unwrap().uid(), geteuid().as_raw());
    }

    #[test]
    fn a_hard_link_is_not_written() {
        let host = TestHost::new();
        let incoming = host.open();
        let report = host.results().join("e.result.json");
        fs::write(&report, "a report").unwrap();
        fs::hard_link(&report, host.incoming().join(README)).unwrap();
        assert!(!incoming.place_readme("ours").unwrap());
        assert_eq!(fs::read_to_string(&report).unwrap(), "a report");
    }
}
