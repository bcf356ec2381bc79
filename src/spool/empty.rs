//! [`Empty`]: an incoming in which there was nothing, to be known again without a listing.
//!
//! Always holds: whatever gets a name there changes the folder's ctime, which nobody can set, and an
//! `Empty` is only made of one that was not about to change in the same tick of the clock.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nix::sys::stat::{FileStat, lstat};

use super::entry::Entry;
use super::layout::Layout;
use crate::account::AccountId;

/// Many ticks of the kernel's clock, and of a file system's that counts seconds.
const MOMENT: SignedDuration = SignedDuration::from_secs(3);

/// The folder that was empty, as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty {
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

impl Empty {
    /// Of the folder that `stat` was asked of before it was found empty, `now`.
    pub(super) fn of(stat: &FileStat, now: Timestamp) -> Option<Self> {
        let Entry { dev, ino, ctime, .. } = Entry::new("", stat);
        (now.duration_since(ctime) > MOMENT).then_some(Self { dev, ino, ctime })
    }

    /// Whether the account's incoming is still this one, and nothing has come.
    pub fn is_still_there(&self, layout: &Layout, account: &AccountId) -> bool {
        self.is_at(&layout.incoming(account))
    }

    fn is_at(&self, path: &Path) -> bool {
        lstat(path).is_ok_and(|stat| {
            let Entry { dev, ino, ctime, .. } = Entry::new("", &stat);
            *self == Self { dev, ino, ctime }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn whatever_comes_or_came_just_now_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("incoming");
        fs::create_dir(&path).unwrap();
        let now = Timestamp::now();
        let empty = |now| Empty::of(&lstat(&path).unwrap(), now);
        assert_eq!(empty(now), None, "a name may come in the same tick");
        assert_eq!(empty(now - MOMENT), None, "the clock was set back");
        let then = empty(now + 2 * MOMENT).unwrap();
        assert!(then.is_at(&path));
        std::thread::sleep(std::time::Duration::from_millis(15));
        fs::write(path.join("x"), "").unwrap();
        assert!(!then.is_at(&path));
        fs::remove_file(path.join("x")).unwrap();
        assert!(!then.is_at(&path), "it came and went");
        fs::remove_dir(&path).unwrap();
        assert!(!then.is_at(&path));
    }
}
