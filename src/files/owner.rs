//! Lets a command of root act with the file rights of a folder's owner.
//!
//! Root's commands open, create and remove files in folders that the daemon's user can write to.
//! The daemon's user can replace any name in such a folder by a link or a FIFO at any moment.
//! SQLite opens `-wal`, `-shm` and `-journal` files by name during later statements. Therefore a
//! check of a path before its use is not enough. With the owner's rights, a link gives access only
//! to files that the owner can use anyway.
//!
//! The rights are the file system user id and group id of one thread (setfsuid(2)). When they
//! change, the kernel also removes the capabilities for files (`CAP_DAC_OVERRIDE`, `CAP_CHOWN` and
//! others) from the thread. New threads inherit the rights of the thread that starts them. Other
//! threads and root's other capabilities do not change.

use std::fs::metadata;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups, setfsgid, setfsuid, setgroups};

use super::error::IoError;

/// A user and a group whose file rights this process can use. `None` if the process already has
/// these rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(Option<(Uid, Gid)>);

impl Owner {
    /// Returns the owner of `folder`. Returns the process itself if the process does not run as
    /// root.
    ///
    /// If the process is root and the owner is another user, also removes the supplementary groups
    /// of the process. The groups would give rights that the owner does not have, and root needs no
    /// groups. The removal requires `CAP_SETGID`.
    pub fn of(folder: &Path) -> io::Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        let found = metadata(folder)?;
        if found.uid() == 0 {
            return Ok(Self(None));
        }
        if !getgroups()?.is_empty() {
            setgroups(&[])?;
        }
        Ok(Self(Some((Uid::from_raw(found.uid()), Gid::from_raw(found.gid())))))
    }

    /// Gives this thread the file rights of the owner of `folder` until the returned value is
    /// dropped.
    pub fn assume_of(folder: &Path) -> Result<OwnerRights, IoError> {
        Self::of(folder).and_then(Self::assume).map_err(IoError::of("act as the owner of", folder))
    }

    /// Returns the user of this process. This user's rights are needed to open the process's own
    /// files while the rights of another owner are in effect.
    pub fn of_process() -> Self {
        Self(Some((geteuid(), getegid())))
    }

    /// Gives this thread the file rights of the owner until the returned value is dropped. Requires
    /// `CAP_SETUID` and `CAP_SETGID`.
    pub fn assume(self) -> io::Result<OwnerRights> {
        let Some((user, group)) = self.0 else {
            return Ok(OwnerRights { before: None, thread: PhantomData });
        };
        let before = Some((setfsuid(user), setfsgid(group)));
        let rights = OwnerRights { before, thread: PhantomData };
        // Both system calls return the ids from before the call and report no error.
        if setfsuid(user) != user || setfsgid(group) != group {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(rights)
    }
}

/// The file rights of an [`Owner`]. On drop, the thread gets its previous rights again.
#[derive(Debug)]
#[must_use = "dropping this value gives the thread its previous rights again"]
pub struct OwnerRights {
    before: Option<(Uid, Gid)>,
    /// A field that prevents `Send`, because the rights belong to this thread.
    thread: PhantomData<*const ()>,
}

impl Drop for OwnerRights {
    fn drop(&mut self) {
        if let Some((user, group)) = self.before {
            // The calls can't fail. The ids are either real ids of the process, or were allowed
            // when they were set.
            setfsuid(user);
            setfsgid(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    const DAEMON: u32 = 4711;

    /// Creates a folder that belongs to another user. Also creates a file that only root and root's
    /// group can read.
    fn folder() -> Option<(tempfile::TempDir, std::path::PathBuf)> {
        if !geteuid().is_root() {
            return None;
        }
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (folder, secret) = (root.path().join("state"), root.path().join("secret"));
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(DAEMON), Some(DAEMON)).unwrap();
        fs::write(&secret, "x").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
        Some((root, folder))
    }

    #[test]
    fn root_regains_its_own_file_rights() {
        let Some((root, folder)) = folder() else { return };
        let (secret, new) = (root.path().join("secret"), root.path().join("new"));
        {
            let _rights = Owner::of(&folder).unwrap().assume().unwrap();
            fs::write(folder.join("made"), "").unwrap();
            let denied = |result: io::Result<()>| {
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            };
            // Not even the rights of root's group allow this.
            denied(fs::read(&secret).map(drop));
            denied(fs::write(&new, ""));
            denied(std::thread::scope(|scope| {
                scope.spawn(|| fs::read(&secret).map(drop)).join().unwrap()
            }));
            {
                let _own = Owner::of_process().assume().unwrap();
                fs::read(&secret).unwrap();
            }
            denied(fs::read(&secret).map(drop));
        }
        assert_eq!(fs::metadata(folder.join("made")).unwrap().uid(), DAEMON);
        assert_eq!(fs::metadata(folder.join("made")).unwrap().gid(), DAEMON);
        fs::read(&secret).unwrap();
        fs::write(&new, "").unwrap();
    }

    #[test]
    fn other_threads_keep_their_file_rights() {
        let Some((root, folder)) = folder() else { return };
        let secret = root.path().join("secret");
        let (assumed, wait) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _rights = Owner::of(&folder).unwrap().assume().unwrap();
                assumed.wait();
                wait.wait();
            });
            assumed.wait();
            let read = fs::read(&secret);
            wait.wait();
            read.unwrap();
        });
    }

    #[test]
    fn folders_owned_by_root_keep_roots_rights() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Owner::of(root.path()).unwrap(), Owner(None));
        assert!(Owner::of(&root.path().join("missing")).is_err() || !geteuid().is_root());
    }
}
