//! Creates, fixes and removes the folders of accounts.
//!
//! Owners and modes are set through a handle on a folder that was opened without following links.
//! The folder of all accounts is root's, so no other user can replace a path in it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use nix::libc::{O_DIRECTORY, O_NOFOLLOW};

use super::host::Ownership;
use super::step::RequiredFolders;
use crate::account::AccountId;
use crate::files::IoError;
use crate::files::durable::remove_folder;
use crate::spool::{self, Layout};

/// Creates the folder `path` if it is missing, and sets its owner, group and mode.
pub(super) fn ensure(path: &Path, want: Ownership) -> Result<(), IoError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(IoError::new("make the folder", path, error));
        }
        _ => {}
    }
    let folder = open(path)?;
    fchown(&folder, Some(want.uid), Some(want.gid)).map_err(IoError::of("give its owner", path))?;
    folder
        .set_permissions(Permissions::from_mode(want.mode))
        .map_err(IoError::of("set the mode of", path))
}

fn open(path: &Path) -> Result<File, IoError> {
    OpenOptions::new()
        .read(true)
        .custom_flags(O_DIRECTORY | O_NOFOLLOW)
        .open(path)
        .map_err(IoError::of("open the folder", path))
}

/// Creates the account's chroot under a hidden name and renames it when it is complete. So the
/// daemon, which watches the folder of all accounts, sees no incomplete chroot, and the log socket
/// is linked before the first session.
pub(super) fn add(
    layout: &Layout,
    account: &AccountId,
    want: &RequiredFolders,
) -> Result<(), IoError> {
    let root = layout.root();
    let new = root.join(format!(".new-{account}"));
    remove_folder(&new)?; // the remains of a crash
    fix(layout, &new, want)?;
    let chroot = layout.account(account);
    fs::rename(&new, &chroot).map_err(IoError::of("make the folder", &chroot))
}

/// Flushes the folder of all accounts, so that new chroots survive a power failure.
pub(super) fn flush(root: &Path) -> Result<(), IoError> {
    open(root)?.sync_all().map_err(IoError::of("flush", root))
}

/// Creates what is missing in `chroot` and sets owners and modes. The daemon replaces a stale link
/// to the log socket.
pub(super) fn fix(layout: &Layout, chroot: &Path, want: &RequiredFolders) -> Result<(), IoError> {
    ensure(chroot, want.chroot)?;
    ensure(&chroot.join("incoming"), want.incoming)?;
    ensure(&chroot.join("results"), want.results)?;
    let dev = chroot.join("dev");
    ensure(&dev, want.dev)?;
    spool::link_into(layout, &dev).map_err(IoError::of("link the log socket into", &dev))
}

/// Renames the account's chroot to a hidden name, then removes it with everything in it.
pub(super) fn remove(root: &Path, account: &AccountId) -> Result<(), IoError> {
    let old = root.join(format!(".old-{account}"));
    remove_folder(&old)?; // the remains of a crash
    let chroot = root.join(account);
    match fs::rename(&chroot, &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(IoError::new("remove the folder", chroot, error));
        }
        _ => remove_folder(&old),
    }
}
