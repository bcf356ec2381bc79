//! Upgrades claims of versions before schema 8. They copied the manifest into the spool, or stored
//! its text, and left the file in incoming for a while.
//!
//! Runs once, before the first scan. A file in incoming with another inode than the claimed one is
//! a new upload and stays.

use std::io::{self, Write};

use nix::errno::Errno;
use nix::fcntl::RenameFlags;
use nix::sys::stat::Mode;

use super::Claim;
use crate::account::AccountId;
use crate::files::dir::{Folder, FolderError};
use crate::import_id::ImportId;
use crate::spool::layout::{Layout, MANIFEST};

/// An import that an earlier version claimed.
#[derive(Debug)]
pub struct EarlierClaim<'a> {
    pub account: &'a AccountId,
    pub import: &'a ImportId,
    pub claim: &'a Claim,
    /// Whether a crash interrupted the claim, so that it is executed again.
    pub is_claiming: bool,
    /// The manifest's text, if the import's row has it and the spool may not.
    pub text: Option<&'a str>,
}

impl EarlierClaim<'_> {
    /// Leaves the manifest in one place: in incoming if the claim is executed again, else in the
    /// spool. Idempotent.
    pub fn finish(&self, layout: &Layout) -> io::Result<()> {
        let spooled = open(Folder::open(&layout.spooled(self.import)))?;
        if let (Some(spooled), Some(text)) = (&spooled, self.text) {
            let mut manifest = spooled.create(MANIFEST, Mode::S_IRUSR | Mode::S_IWUSR)?;
            manifest.write_all(text.as_bytes())?;
            manifest.sync_all()?;
            spooled.sync()?;
        }
        let Some(incoming) = open(Folder::open(&layout.incoming(self.account)))? else {
            return Ok(());
        };
        if let Some(spool) = open(Folder::open(&layout.spool()))? {
            self.finish_sweep(&spool, &incoming)?;
        }
        if !self.is_claiming {
            return self.remove_claimed(&incoming, &self.claim.manifest.name);
        }
        match &spooled {
            Some(spooled) if !self.is_claimed(spooled, MANIFEST)? => removed(spooled, MANIFEST),
            _ => Ok(()),
        }
    }

    /// Finishes the removal of the manifest from incoming, which used a temporary name in the
    /// spool.
    fn finish_sweep(&self, spool: &Folder, incoming: &Folder) -> io::Result<()> {
        let name = format!("{}.lingered", self.import);
        let to = self.claim.manifest.name.as_str();
        match spool.rename(&name, incoming, to, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EEXIST) => removed(spool, &name),
            Err(errno) => Err(errno.into()),
        }
    }

    fn remove_claimed(&self, folder: &Folder, name: &str) -> io::Result<()> {
        if self.is_claimed(folder, name)? { removed(folder, name) } else { Ok(()) }
    }

    fn is_claimed(&self, folder: &Folder, name: &str) -> io::Result<bool> {
        match folder.stat(name) {
            Ok(stat) => Ok(stat.st_ino == self.claim.manifest.ino),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

fn removed(folder: &Folder, name: &str) -> io::Result<()> {
    match folder.remove(name) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn open(folder: Result<Folder, FolderError>) -> io::Result<Option<Folder>> {
    match folder {
        Ok(folder) => Ok(Some(folder)),
        Err(FolderError::Missing { .. }) => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}
