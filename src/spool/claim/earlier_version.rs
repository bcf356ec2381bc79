//! Completes claims that versions before schema 8 began. These versions copied the manifest into
//! the spool, or stored its text, and left the file in incoming for some time.
//!
//! The upgrade runs once, before the first scan. If a file in incoming has another inode than the
//! claimed file, it is a new upload and stays.

use std::io::{self, Write};

use nix::errno::Errno;
use nix::fcntl::RenameFlags;
use nix::sys::stat::Mode;

use super::Claim;
use crate::account::AccountId;
use crate::files::dir::Folder;
use crate::import_id::ImportId;
use crate::spool::layout::{Layout, MANIFEST};

/// An import that an earlier version claimed.
#[derive(Debug)]
pub struct EarlierClaim<'a> {
    pub account: &'a AccountId,
    pub import: &'a ImportId,
    pub claim: &'a Claim,
    /// Whether a crash interrupted the claim. If so, the claim is executed again.
    pub is_claiming: bool,
    /// The text of the manifest. `Some` if the row of the import contains the text, because the
    /// spool may not contain the manifest in this case.
    pub text: Option<&'a str>,
}

impl EarlierClaim<'_> {
    /// Ensures that the manifest of the import is in only one place. If the claim is executed
    /// again, this place is incoming, otherwise the spool. The function can be repeated.
    pub fn finish(&self, layout: &Layout) -> io::Result<()> {
        let spooled =
            Folder::open_existing(&layout.spooled(self.import)).map_err(io::Error::other)?;
        if let (Some(spooled), Some(text)) = (&spooled, self.text) {
            let mut manifest = spooled.create(MANIFEST, Mode::S_IRUSR | Mode::S_IWUSR)?;
            manifest.write_all(text.as_bytes())?;
            manifest.sync_all()?;
            spooled.sync()?;
        }
        let Some(incoming) =
            Folder::open_existing(&layout.incoming(self.account)).map_err(io::Error::other)?
        else {
            return Ok(());
        };
        if let Some(spool) = Folder::open_existing(&layout.spool()).map_err(io::Error::other)? {
            self.finish_sweep(&spool, &incoming)?;
        }
        let name = self.claim.manifest.name.as_str();
        if !self.is_claiming && self.is_claimed(&incoming, name)? {
            incoming.remove_existing(name)?;
        }
        if !self.is_claiming {
            return Ok(());
        }
        match &spooled {
            Some(spooled) if !self.is_claimed(spooled, MANIFEST)? => {
                Ok(spooled.remove_existing(MANIFEST).map(drop)?)
            }
            _ => Ok(()),
        }
    }

    /// Completes the removal of the manifest from incoming. The earlier version moved the manifest
    /// to a temporary name in the spool before it removed the manifest.
    fn finish_sweep(&self, spool: &Folder, incoming: &Folder) -> io::Result<()> {
        let name = format!("{}.lingered", self.import);
        let to = self.claim.manifest.name.as_str();
        match spool.rename(&name, incoming, to, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EEXIST) => Ok(spool.remove_existing(&name).map(drop)?),
            Err(errno) => Err(errno.into()),
        }
    }

    fn is_claimed(&self, folder: &Folder, name: &str) -> io::Result<bool> {
        match folder.stat(name) {
            Ok(stat) => Ok(stat.st_ino == self.claim.manifest.ino),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}
