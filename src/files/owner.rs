//! The file rights of a folder's owner, for root's commands.
//!
//! Root opens, creates and removes files in folders that the daemon's user can write. That user can
//! replace any name in them by a link or a FIFO at any moment, and SQLite opens `-wal`, `-shm` and
//! `-journal` by name on later statements, so no check of a path before its use is enough. With the
//! owner's rights a link gives access only to files that the owner itself can use.
//!
//! The rights are the file system ids of one thread (setfsuid(2)). The kernel removes the
//! capabilities for files (`CAP_DAC_OVERRIDE`, `CAP_CHOWN` and others) with them. Threads started
//! under them inherit them; other threads, and root's other capabilities, stay as they are.

use std::fs::metadata;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Uid, getegid, geteuid, getgroups, setfsgid, setfsuid, setgroups};

use super::error::IoError;

/// A user and group whose file rights this process can use; `None` if they are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(Option<(Uid, Gid)>);

impl Owner {
    /// Returns the owner of `folder`, or the process itself unless it runs as root.
    ///
    /// Removes the supplementary groups of the process if it is root and the owner is not: they
    /// would give rights that the owner does not have, and root needs none of them. This needs
    /// `CAP_SETGID`.
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

    /// Gives this thread the file rights of the owner of `folder` until the result is dropped.
    pub fn assume_of(folder: &Path) -> Result<OwnerRights, IoError> {
        Self::of(folder).and_then(Self::assume).map_err(IoError::of("act as the owner of", folder))
    }

    /// Returns the process's own user, for the use of its own files while another owner's rights
    /// are in effect.
    pub fn of_process() -> Self {
        Self(Some((geteuid(), getegid())))
    }

    /// Gives this thread the owner's file rights until the result is dropped. Needs `CAP_SETUID`
    /// and `CAP_SETGID`.
    pub fn assume(self) -> io::Result<OwnerRights> {
        let Some((user, group)) = self.0 else {
            return Ok(OwnerRights { before: None, thread: PhantomData });
        };
        let before = Some((setfsuid(user), setfsgid(group)));
        let rights = OwnerRights { before, thread: PhantomData };
        // Both calls return the ids from before the call and report no error.
        if setfsuid(user) != user || setfsgid(group) != group {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(rights)
    }
}

/// The file rights of an [`Owner`]. When this is dropped, the thread gets its former rights again.
#[derive(Debug)]
#[must_use = "when it is dropped, the thread gets its former rights again"]
pub struct OwnerRights {
    before: Option<(Uid, Gid)>,
    /// Not `Send`: the rights are this thread's.
    thread: PhantomData<*const ()>,
}

impl Drop for OwnerRights {
    fn drop(&mut self) {
        if let Some((user, group)) = self.before {
            // This can't fail: these are real ids of the process, or were allowed when they were
            // set.
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

    /// Creates a folder of another user, and beside it a file that only root and its group can
    /// read.
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
    fn root_gets_its_own_rights_again() {
        let Some((root, folder)) = folder() else { return };
        let (secret, new) = (root.path().join("secret"), root.path().join("new"));
        {
            let _rights = Owner::of(&folder).unwrap().assume().unwrap();
            fs::write(folder.join("made"), "").unwrap();
            let denied = |result: io::Result<()>| {
                assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
            };
            denied(fs::read(&secret).map(drop)); // nor by root's group
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
    fn other_threads_keep_their_rights() {
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
    fn a_folder_of_root_needs_no_rights() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Owner::of(root.path()).unwrap(), Owner(None));
        assert!(Owner::of(&root.path().join("missing")).is_err() || !geteuid().is_root());
    }
}
