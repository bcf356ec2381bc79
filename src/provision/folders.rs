//! Creates, fixes and removes the folders of accounts.
//!
//! Owners and modes are set through the handle of a folder that was opened without following links.
//! Root owns the folder of all accounts, so that no other user can replace a path in it.

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
            return Err(IoError::new("create the folder", path, error));
        }
        _ => {}
    }
    let folder = open(path)?;
    fchown(&folder, Some(want.uid), Some(want.gid))
        .map_err(IoError::of("set the owner of the folder", path))?;
    folder
        .set_permissions(Permissions::from_mode(want.mode))
        .map_err(IoError::of("set the mode of the folder", path))
}

fn open(path: &Path) -> Result<File, IoError> {
    OpenOptions::new()
        .read(true)
        .custom_flags(O_DIRECTORY | O_NOFOLLOW)
        .open(path)
        .map_err(IoError::of("open the folder", path))
}

/// Creates the chroot of an account under a hidden name, and renames the chroot when it is
/// complete. The daemon watches the folder that contains all chroots. Because of the hidden name,
/// the daemon never finds an incomplete chroot. The log socket is linked into the chroot before the
/// first session.
pub(super) fn add(
    layout: &Layout,
    account: &AccountId,
    want: &RequiredFolders,
) -> Result<(), IoError> {
    let root = layout.root();
    let new = root.join(format!(".new-{account}"));
    remove_folder(&new)?; // the folder may remain from an earlier crash
    fix(layout, &new, want)?;
    let chroot = layout.account(account);
    fs::rename(&new, &chroot).map_err(IoError::of("create the folder", &chroot))
}

/// Syncs the folder that contains the chroots of all accounts, so that new chroots survive a power
/// failure.
pub(super) fn flush(root: &Path) -> Result<(), IoError> {
    open(root)?.sync_all().map_err(IoError::of("flush", root))
}

/// Creates missing folders in `chroot` and sets owners and modes. If the link to the log socket is
/// outdated, the daemon replaces it.
pub(super) fn fix(layout: &Layout, chroot: &Path, want: &RequiredFolders) -> Result<(), IoError> {
    ensure(chroot, want.chroot)?;
    ensure(&chroot.join("incoming"), want.incoming)?;
    ensure(&chroot.join("results"), want.results)?;
    let dev = chroot.join("dev");
    ensure(&dev, want.dev)?;
    spool::link_into(layout, &dev).map_err(IoError::of("link the log socket into the folder", &dev))
}

/// Renames the chroot of an account to a hidden name, and then removes it with its content.
pub(super) fn remove(root: &Path, account: &AccountId) -> Result<(), IoError> {
    let old = root.join(format!(".old-{account}"));
    remove_folder(&old)?; // the folder may remain from an earlier crash
    let chroot = root.join(account);
    match fs::rename(&chroot, &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(IoError::new("remove the folder", chroot, error))
        }
        _ => remove_folder(&old),
    }
}
