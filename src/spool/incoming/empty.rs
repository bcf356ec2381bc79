//! [`Empty`]: remembers an empty incoming, so that one stat(2) shows whether it is still empty.
//!
//! Invariant: every new name changes the folder's ctime, which nobody can set. An `Empty` is only
//! created if a later change is certain to have another ctime.

use std::os::fd::OwnedFd;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstatat};

use super::entry::Entry;
use crate::account::AccountId;
use crate::spool::layout::{INCOMING, Layout};

/// Longer than a tick of the kernel's clock, and of a file system that stores whole seconds.
const MOMENT: SignedDuration = SignedDuration::from_secs(3);

/// The identity and ctime of an empty incoming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty {
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

impl Empty {
    /// Remembers the folder of `stat`, which was read before the folder was found empty. `None` if
    /// the folder changed shortly before `now`.
    pub fn of(stat: &FileStat, now: Timestamp) -> Option<Self> {
        let Entry { dev, ino, ctime, .. } = Entry::new("", stat);
        (now.duration_since(ctime) > MOMENT).then_some(Self { dev, ino, ctime })
    }

    fn is(&self, stat: &FileStat) -> bool {
        let Entry { dev, ino, ctime, .. } = Entry::new("", stat);
        *self == Self { dev, ino, ctime }
    }
}

/// Returns the accounts whose incoming may have changed since it was empty. Makes one system call
/// per account, and allocates nothing for unchanged ones.
pub fn stirred<'a>(
    layout: &Layout,
    accounts: impl IntoIterator<Item = (&'a AccountId, Option<&'a Empty>)>,
) -> Vec<AccountId> {
    let mut incomings = Incomings::open(layout.root());
    let accounts = accounts.into_iter();
    let stirred = accounts.filter(|(id, empty)| !empty.is_some_and(|e| incomings.are(id, e)));
    stirred.map(|(id, _)| id.clone()).collect()
}

/// Reads the incoming folders relative to the open accounts' folder, so that its path is resolved
/// once.
struct Incomings {
    /// `None` if it cannot be opened. Then every account may have changed.
    root: Option<OwnedFd>,
    name: String,
}

impl Incomings {
    fn open(root: &Path) -> Self {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Self { root: open(root, flags, Mode::empty()).ok(), name: String::new() }
    }

    /// Returns whether the incoming of `account` is unchanged since `empty`.
    fn are(&mut self, account: &AccountId, empty: &Empty) -> bool {
        let Some(root) = &self.root else { return false };
        self.name.clear();
        self.name.extend([account.as_str(), "/", INCOMING]);
        let stat = fstatat(root, self.name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| empty.is(&stat))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::sys::stat::lstat;

    use super::*;
    use crate::spool::test_host::TestHost;

    #[test]
    fn whatever_comes_or_came_just_now_is_not_missed() {
        let host = TestHost::new();
        let (path, now) = (host.incoming(), Timestamp::now());
        let empty = |now| Empty::of(&lstat(&path).unwrap(), now);
        assert_eq!(empty(now), None, "a file may arrive in the same tick");
        assert_eq!(empty(now - MOMENT), None, "the clock was set back");
        let then = empty(now + 2 * MOMENT).unwrap();
        let stirred = |empty| !stirred(&host.layout, [(&host.account, empty)]).is_empty();
        assert!(!stirred(Some(&then)));
        assert!(stirred(None), "no known state");
        std::thread::sleep(std::time::Duration::from_millis(15));
        fs::write(path.join("x"), "").unwrap();
        assert!(stirred(Some(&then)));
        fs::remove_file(path.join("x")).unwrap();
        assert!(stirred(Some(&then)), "a file was added and removed");
        let again = empty(now + 2 * MOMENT).unwrap();
        assert!(!stirred(Some(&again)));
        let aside = host.results().join("aside");
        fs::rename(&path, &aside).unwrap();
        assert!(stirred(Some(&again)), "the folder is missing");
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        assert!(stirred(Some(&again)), "a symbolic link is not followed");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(stirred(Some(&again)), "the folder was recreated");
        let last = empty(now + 2 * MOMENT).unwrap();
        fs::remove_dir_all(host.layout.root()).unwrap();
        assert!(stirred(Some(&last)), "the accounts' folder is missing");
    }

    #[test]
    fn those_that_are_still_are_left_out() {
        let host = TestHost::new();
        let ids: Vec<AccountId> = ["a", "b", "c"].map(|id| id.parse().unwrap()).into();
        ids.iter().for_each(|id| host.add_account(id));
        let empty = |id| {
            let stat = lstat(&host.layout.incoming(id)).unwrap();
            Empty::of(&stat, Timestamp::now() + 2 * MOMENT)
        };
        let known: Vec<_> = ids.iter().map(|id| (id, empty(id))).collect();
        std::thread::sleep(std::time::Duration::from_millis(15));
        fs::write(host.layout.incoming(&ids[1]).join("x"), "").unwrap();
        let known = known.iter().map(|(id, empty)| (*id, empty.as_ref()));
        assert_eq!(stirred(&host.layout, known), [ids[1].clone()]);
    }
}
