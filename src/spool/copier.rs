//! The other way of a claimed manifest into the spool: a copy, while the manifest keeps its name.
//!
//! Always holds: a copy that counts has the bytes that were judged, by their digest, and is synced.
//! What a crash leaves of one is told by the digest too, and written again.

use std::fs::File;
use std::io::Write;

use nix::errno::Errno;
use nix::sys::stat::Mode;

use super::claim::{ClaimError, FileId, MANIFEST};
use super::digest::Digest;
use super::mover::{Mover, Undo, io_error};

impl Mover {
    /// Writes a copy of the manifest into the spool, or finds it there, and syncs it. Proves that
    /// nobody wrote to the manifest while it was read.
    pub(super) fn copy(&self, id: &FileId, digest: &Digest) -> Result<(), ClaimError> {
        let copy = match self.copied(digest)? {
            Some(copy) => copy,
            None => self.write_copy(id, &self.read(id, digest)?)?,
        };
        copy.sync_all().map_err(|source| self.copy_error("sync", source))
    }

    /// The manifest's text, to be kept elsewhere until there is a copy. Proves that nobody wrote to it
    /// while it was read. What is no text is copied.
    pub(super) fn text(&self, id: &FileId, digest: &Digest) -> Result<Option<String>, ClaimError> {
        match String::from_utf8(self.read(id, digest)?) {
            Ok(text) => Ok(Some(text)),
            Err(_) => self.copy(id, digest).map(|()| None),
        }
    }

    /// The copy that an earlier try made, if it is whole.
    fn copied(&self, digest: &Digest) -> Result<Option<File>, ClaimError> {
        let file = match self.spooled.read(MANIFEST) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(self.copy_error("open", errno.into())),
        };
        let whole = digest.read(&file).map_err(|source| self.copy_error("read", source))?;
        Ok(whole.map(|_| file))
    }

    fn read(&self, id: &FileId, digest: &Digest) -> Result<Vec<u8>, ClaimError> {
        let lease = self.lease(self.incoming(id)?, &id.name, id)?;
        self.still_same(id, &lease)?;
        let failed =
            |operation, source| ClaimError::Io { operation, path: self.incoming_path(id), source };
        let bytes = digest.read(lease.file()).map_err(|source| failed("read", source))?;
        if !lease.is_whole().map_err(|source| failed("ask for writers of", source))? {
            return Err(ClaimError::StillWritten { name: id.name.clone() });
        }
        bytes.ok_or_else(|| id.changed())
    }

    fn write_copy(&self, id: &FileId, bytes: &[u8]) -> Result<File, ClaimError> {
        let created = self.spooled.create(MANIFEST, Mode::S_IRUSR | Mode::S_IWUSR);
        let mut copy = created
            .map_err(|errno| io_error("create", self.spooled.path().join(MANIFEST), errno))?;
        copy.write_all(bytes).map_err(|source| self.copy_error("write", source))?;
        tracing::debug!(import = %self.import, "copied {:?}", id.name);
        Ok(copy)
    }

    /// The manifest never left incoming: what is undone is the copy.
    pub(super) fn remove_copy(&self) -> Result<(), Undo> {
        match self.spooled.remove(MANIFEST) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Undo::Failed(self.copy_error("remove", errno.into()))),
        }
    }

    fn copy_error(&self, operation: &'static str, source: std::io::Error) -> ClaimError {
        ClaimError::Io { operation, path: self.spooled.path().join(MANIFEST), source }
    }
}
