//! README.txt in incoming: instructions for partners, who see it after login.
//!
//! Invariant: only a regular file of this process's user is the readme. An account can delete or
//! rename it, but not write to it or create another one, so it needs no place in the limits. An
//! account's own README.txt is an upload like any other, and is never replaced.

use std::io::{self, Read as _, Write as _};

use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, fchmod};
use nix::unistd::geteuid;

use super::entry::{FileKind, kind};
use crate::files::IoError;
use crate::files::dir::Folder;

/// The name of the file.
pub const README: &str = "README.txt";

/// Readable by the account, which has another user and group.
const MODE: Mode = Mode::from_bits_truncate(0o644);

/// Returns whether the entry `name` with the attributes `stat` is the readme.
pub fn is_readme(name: &[u8], stat: &FileStat) -> bool {
    name == README.as_bytes()
        && kind(stat) == FileKind::Regular
        && stat.st_uid == geteuid().as_raw()
}

/// Makes the readme in `incoming` consist of `text`. Returns whether it had to be written.
pub fn place(incoming: &Folder, text: &str) -> Result<bool, IoError> {
    let path = || incoming.path().join(README);
    let failed = |errno: Errno| IoError::new("write", path(), errno);
    match incoming.stat(README) {
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(failed(errno)),
        Ok(stat) if !is_readme(README.as_bytes(), &stat) => return Ok(false),
        Ok(_) if has_text(incoming, text).map_err(IoError::of("read", path()))? => {
            return Ok(false);
        }
        Ok(_) => drop(incoming.remove_existing(README).map_err(failed)?),
    }
    let mut file = match incoming.create_new(README, MODE) {
        Err(Errno::EEXIST) => return Ok(false), // an upload that has just begun
        file => file.map_err(failed)?,
    };
    fchmod(&file, MODE).map_err(failed)?; // independent of the umask
    if let Err(error) = file.write_all(text.as_bytes()) {
        // A part of it would count as the readme.
        let _ = incoming.remove_existing(README);
        return Err(IoError::new("write", path(), error));
    }
    Ok(true)
}

/// Returns whether the readme consists of `text`.
fn has_text(incoming: &Folder, text: &str) -> io::Result<bool> {
    let mut found = Vec::new();
    incoming.read(README)?.take(text.len() as u64 + 1).read_to_end(&mut found)?;
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
    fn the_readme_is_readable_and_counts_as_nothing() {
        let host = TestHost::new();
        let incoming = host.open();
        assert!(incoming.place_readme("Welcome.\n").unwrap());
        assert!(!incoming.place_readme("Welcome.\n").unwrap(), "it is there");
        let path = host.incoming().join(README);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        let listing = host.list(0);
        assert_eq!((listing.usage, listing.entries.len()), (IncomingUsage::default(), 0));
        assert!(listing.has_readme);
    }

    #[test]
    fn another_text_replaces_the_readme() {
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
    fn an_upload_of_that_name_stays() {
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
}
