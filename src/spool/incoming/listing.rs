//! Lists and counts the files in incoming, up to the account's limit.
//!
//! Invariant: a listing has at most one name more than the limit. Further names are neither read
//! nor counted.

use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::stat::FileStat;

use super::entry::{DirEntry, usable_name};
use super::readme::is_readme;
use super::temporary::hidden_temporary_name;
use crate::account::AccountId;
use crate::files::IoError;
use crate::files::dir::{Folder, FolderError};
use crate::spool::layout::Layout;
use crate::sys::LeaseError;

/// The reason why incoming, or a file in incoming, could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// [`crate::spool::opener::Access`] describes the errors of opening a file.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A read lease on the file could not be requested.
    #[error("cannot check whether {} is being written", path.display())]
    Lease { path: PathBuf, source: LeaseError },
}

/// The files in incoming that have usable names, and the total size of all files in incoming.
#[derive(Debug, Default)]
pub struct IncomingListing {
    /// The files with usable names, in no particular order.
    pub entries: Vec<DirEntry>,
    /// The files with hidden names. A client may be uploading a data file under such a name.
    pub hidden: Vec<DirEntry>,
    /// The number of unusable file names. They are not UTF-8 or have control characters. Hidden
    /// names do not count.
    pub unusable: usize,
    pub usage: IncomingUsage,
    /// Whether the daemon's README.txt is in incoming. README.txt does not count as an upload.
    pub has_readme: bool,
}

/// The number and the size of all files in incoming, including files with hidden and unusable
/// names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IncomingUsage {
    pub files: usize,
    /// The sum of the sizes of all files in bytes. The holes of sparse files count too.
    pub bytes: u64,
    /// Whether incoming contains more files than the listing, because the listing stopped at its
    /// limit.
    pub cut: bool,
}

impl IncomingListing {
    /// Lists the files in `folder`. The listing stops when it has more than `max_files` names.
    pub fn read(folder: &Folder, max_files: usize) -> nix::Result<Self> {
        let mut listing = Self::default();
        for entry in folder.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if listing.usage.files > max_files {
                listing.usage.cut = true;
                break;
            }
            match folder.stat(name) {
                Ok(stat) => listing.add(name.to_bytes(), &stat),
                Err(Errno::ENOENT) => {} // the file was removed after the listing
                Err(errno) => return Err(errno),
            }
        }
        Ok(listing)
    }

    fn add(&mut self, name: &[u8], stat: &FileStat) {
        if is_readme(name, stat) {
            self.has_readme = true;
            return;
        }
        self.usage.files += 1;
        self.usage.bytes =
            self.usage.bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
        match usable_name(name) {
            Some(name) => self.entries.push(DirEntry::new(name, stat)),
            None => match hidden_temporary_name(name) {
                Some(name) => self.hidden.push(DirEntry::new(name, stat)),
                None => self.unusable += usize::from(!name.starts_with(b".")),
            },
        }
    }
}

/// Calls `each` with every file name in the account's incoming, including unusable names.
pub fn each_name(
    layout: &Layout,
    account: &AccountId,
    mut each: impl FnMut(&[u8]),
) -> Result<(), ScanError> {
    let folder = Folder::open(&layout.incoming(account))?;
    let failed = |errno: Errno| IoError::new("list", folder.path(), errno);
    for entry in folder.entries().map_err(failed)? {
        each(entry.map_err(failed)?.file_name().to_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::spool::test_host::TestHost;

    #[test]
    fn listing_counts_all_and_lists_usable_names() {
        let host = TestHost::new();
        host.put("e.csv", "12345");
        host.put(".hidden", "123");
        std::fs::write(host.incoming().join(std::ffi::OsStr::from_bytes(b"\xff.csv")), "1")
            .unwrap();
        let listing = host.list(100);
        assert_eq!(listing.usage, IncomingUsage { files: 3, bytes: 9, cut: false });
        assert_eq!((listing.entries.len(), listing.unusable), (1, 1));
    }

    #[test]
    fn listing_stops_one_name_above_the_limit() {
        let host = TestHost::new();
        for n in 0..10 {
            std::fs::write(host.incoming().join(format!("{n}.csv")), "1").unwrap();
        }
        for (max, files, cut) in [(10, 10, false), (9, 10, false), (8, 9, true), (0, 1, true)] {
            let usage = host.list(max).usage;
            assert_eq!((usage.files, usage.cut), (files, cut), "{max}");
        }
    }
}
