//! What lies in incoming: counted whole, listed as far as an account may fill it.
//!
//! Always holds: a listing has at most one name more than its caller wants, however many lie there. What comes after that is neither looked at nor counted until there is less.

use nix::errno::Errno;

use super::entry::{Entry, usable_name};
use crate::account::AccountId;
use crate::files::dir::Folder;
use crate::spool::layout::Layout;
use crate::spool::scan_error::ScanError;

/// Everything in incoming with a usable name, and how much lies there in all.
#[derive(Debug, Default)]
pub struct Listing {
    /// What has a usable name, in no order.
    pub entries: Vec<Entry>,
    /// How many names are unusable (not UTF-8, control characters); hidden ones don't count.
    pub unusable: usize,
    /// How much lies there.
    pub held: Held,
}

/// How much lies in incoming: every name counts, hidden, unusable or in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Names.
    pub files: usize,
    /// Their sizes in bytes; a sparse file's holes count.
    pub bytes: u64,
    /// There are more: nobody looked at them.
    pub cut: bool,
}

impl Listing {
    /// Lists `folder` until it has seen more than `max_files` names.
    pub fn read(folder: &Folder, max_files: usize) -> nix::Result<Self> {
        let mut listing = Self::default();
        for entry in folder.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if listing.held.files > max_files {
                listing.held.cut = true;
                break;
            }
            match folder.stat(name) {
                Ok(stat) => listing.add(name.to_bytes(), &stat),
                Err(Errno::ENOENT) => {} // gone since it was listed
                Err(errno) => return Err(errno),
            }
        }
        Ok(listing)
    }

    fn add(&mut self, name: &[u8], stat: &nix::sys::stat::FileStat) {
        self.held.files += 1;
        self.held.bytes = self.held.bytes.saturating_add(u64::try_from(stat.st_size).unwrap_or(0));
        match usable_name(name) {
            Some(name) => self.entries.push(Entry::new(name, stat)),
            None => self.unusable += usize::from(!name.starts_with(b".")),
        }
    }
}

/// Hands `each` every name in the account's incoming, usable or not.
///
/// # Errors
/// It can't be opened or read.
pub fn each_name(
    layout: &Layout,
    account: &AccountId,
    mut each: impl FnMut(&[u8]),
) -> Result<(), ScanError> {
    let folder = Folder::open(&layout.incoming(account))?;
    let failed =
        |errno: Errno| ScanError::List { path: folder.path().to_owned(), source: errno.into() };
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
    fn counts_every_name_and_lists_the_usable() {
        let host = TestHost::new();
        host.put("e.csv", "12345");
        host.put(".hidden", "123");
        std::fs::write(host.incoming().join(std::ffi::OsStr::from_bytes(b"\xff.csv")), "1")
            .unwrap();
        let listing = host.list(100);
        assert_eq!(listing.held, Held { files: 3, bytes: 9, cut: false });
        assert_eq!((listing.entries.len(), listing.unusable), (1, 1));
    }

    #[test]
    fn stops_one_name_above_the_limit() {
        let host = TestHost::new();
        for n in 0..10 {
            std::fs::write(host.incoming().join(format!("{n}.csv")), "1").unwrap();
        }
        for (max, files, cut) in [(10, 10, false), (9, 10, false), (8, 9, true), (0, 1, true)] {
            let held = host.list(max).held;
            assert_eq!((held.files, held.cut), (files, cut), "{max}");
        }
    }
}
