//! [`EmptyIncoming`]: the identity and the ctime of an incoming folder that was empty. If stat(2)
//! returns the same ctime later, the folder is still empty.
//!
//! Invariant: a new name changes the folder's ctime, and no process can set a ctime. An
//! `EmptyIncoming` is created only if every later change is certain to have another ctime.

use std::os::fd::OwnedFd;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstatat};

use super::entry::DirEntry;
use crate::account::AccountId;
use crate::spool::layout::{INCOMING, Layout};

/// The minimum age of a folder's last change. It exceeds a tick of the kernel's clock, and a tick
/// of a file system that stores whole seconds.
const SAFE_AGE: SignedDuration = SignedDuration::from_secs(3);

/// The identity and the ctime of an incoming folder that is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmptyIncoming {
    dev: u64,
    ino: u64,
    ctime: Timestamp,
}

impl EmptyIncoming {
    /// Records the state of an empty folder. `stat` has the attributes that were read before the
    /// folder was found empty. `None` if the folder changed shortly before `now`.
    pub fn of(stat: &FileStat, now: Timestamp) -> Option<Self> {
        let DirEntry { dev, ino, ctime, .. } = DirEntry::new("", stat);
        (now.duration_since(ctime) > SAFE_AGE).then_some(Self { dev, ino, ctime })
    }

    fn is(&self, stat: &FileStat) -> bool {
        let DirEntry { dev, ino, ctime, .. } = DirEntry::new("", stat);
        *self == Self { dev, ino, ctime }
    }
}

/// Returns the accounts whose incoming may have changed since it was empty. The function makes one
/// system call per account, and allocates no memory for unchanged accounts.
pub fn changed_accounts<'a>(
    layout: &Layout,
    accounts: impl IntoIterator<Item = (&'a AccountId, Option<&'a EmptyIncoming>)>,
) -> Vec<AccountId> {
    let mut incomings = IncomingFolders::open(layout.root());
    let accounts = accounts.into_iter();
    let changed_accounts =
        accounts.filter(|(id, empty)| !empty.is_some_and(|e| incomings.is_unchanged(id, e)));
    changed_accounts.map(|(id, _)| id.clone()).collect()
}

/// Reads incoming folders relative to the open accounts' folder, so that the path of the accounts'
/// folder is resolved only once.
struct IncomingFolders {
    /// A handle of the accounts' folder. `None` if the folder cannot be opened. Every account may
    /// have changed in this case.
    root: Option<OwnedFd>,
    name: String,
}

impl IncomingFolders {
    fn open(root: &Path) -> Self {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Self { root: open(root, flags, Mode::empty()).ok(), name: String::new() }
    }

    /// Returns whether the incoming of `account` is unchanged since it had the state `empty`.
    fn is_unchanged(&mut self, account: &AccountId, empty: &EmptyIncoming) -> bool {
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
    fn every_change_of_empty_incoming_is_detected() {
        let host = TestHost::new();
        let (path, now) = (host.incoming(), Timestamp::now());
        let empty = |now| EmptyIncoming::of(&lstat(&path).unwrap(), now);
        assert_eq!(empty(now), None, "a file may arrive in the same tick");
        assert_eq!(empty(now - SAFE_AGE), None, "the clock was set back");
        let then = empty(now + 2 * SAFE_AGE).unwrap();
        let changed_accounts =
            |empty| !changed_accounts(&host.layout, [(&host.account, empty)]).is_empty();
        assert!(!changed_accounts(Some(&then)));
        assert!(changed_accounts(None), "the account has no known state");
        std::thread::sleep(std::time::Duration::from_millis(15));
        fs::write(path.join("x"), "").unwrap();
        assert!(changed_accounts(Some(&then)));
        fs::remove_file(path.join("x")).unwrap();
        assert!(changed_accounts(Some(&then)), "a file was added and removed");
        let again = empty(now + 2 * SAFE_AGE).unwrap();
        assert!(!changed_accounts(Some(&again)));
        let aside = host.results().join("aside");
        fs::rename(&path, &aside).unwrap();
        assert!(changed_accounts(Some(&again)), "the folder is missing");
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        assert!(changed_accounts(Some(&again)), "a symbolic link is not followed");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(changed_accounts(Some(&again)), "the folder was recreated");
        let last = empty(now + 2 * SAFE_AGE).unwrap();
        fs::remove_dir_all(host.layout.root()).unwrap();
        assert!(changed_accounts(Some(&last)), "the accounts' folder is missing");
    }

    #[test]
    fn unchanged_accounts_are_skipped() {
        let host = TestHost::new();
        let ids: Vec<AccountId> = ["a", "b", "c"].map(|id| id.parse().unwrap()).into();
        ids.iter().for_each(|id| host.add_account(id));
        let empty = |id| {
            let stat = lstat(&host.layout.incoming(id)).unwrap();
            EmptyIncoming::of(&stat, Timestamp::now() + 2 * SAFE_AGE)
        };
        let known: Vec<_> = ids.iter().map(|id| (id, empty(id))).collect();
        std::thread::sleep(std::time::Duration::from_millis(15));
        fs::write(host.layout.incoming(&ids[1]).join("x"), "").unwrap();
        let known = known.iter().map(|(id, empty)| (*id, empty.as_ref()));
        assert_eq!(changed_accounts(&host.layout, known), [ids[1].clone()]);
    }
}
