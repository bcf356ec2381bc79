//! Takes the names of lingering manifests out of incoming (see [`super::linger`]), so that a client
//! that opens one for writing at that moment loses nothing.
//!
//! It is a claim in small: a read lease, a rename into the spool, then the question whether what
//! came is what was meant and still unwritten. Then it is deleted, else given back. Nothing is
//! synced: a name that comes back with a loss of power is swept again, as the import's row tells.
//! What a crash leaves in the spool is given back by [`give_back`]. What is left is an open(2) that
//! found the file before the rename and has not come to the lease when all this is over.

use std::io;

use nix::errno::Errno;
use nix::fcntl::RenameFlags;
use nix::sys::stat::fstat;

use super::entry::Entry;
use super::folder::Folder;
use super::layout::Layout;
use super::linger::Lingering;
use super::scan::{Incoming, Opened};
use super::scan_error::ScanError;
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::sys::ReadLease;

/// What the name in the spool ends in, after the import's id.
const ENDING: &str = ".lingered";

impl Incoming {
    /// Takes a lingering manifest away. False: it is being written, or has changed or gone.
    ///
    /// # Errors
    /// The host does not let us.
    pub fn sweep(&self, layout: &Layout, lingering: &Lingering) -> Result<bool, ScanError> {
        let (entry, folder) = (&lingering.entry, self.folder());
        let Opened::Leased(lease) = self.lease(entry)? else { return Ok(false) };
        let failed = |errno: Errno| self.unreadable(entry, errno.into());
        let spool = Folder::open(&layout.spool())?;
        let name = spooled_name(&lingering.import);
        // Over what a crash has left there: it was an earlier content of the same name.
        match folder.rename(&entry.name, &spool, &name, RenameFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ENOENT) => return Ok(false),
            Err(errno) => return Err(failed(errno)),
        }
        let known = self.is_known(lingering, &lease, &spool).unwrap_or_else(|error| {
            tracing::warn!("{entry:?} keeps its name: {error}");
            false
        });
        match known {
            true => spool.remove(&name).map(|()| true).map_err(failed),
            false => {
                to_incoming(&spool, &name, folder, &entry.name).map(|()| false).map_err(failed)
            }
        }
    }

    /// Whether what lies in the spool is the leased file, unwritten, with the bytes that were
    /// claimed.
    fn is_known(
        &self,
        lingering: &Lingering,
        lease: &ReadLease,
        spool: &Folder,
    ) -> io::Result<bool> {
        let moved = spool.stat(spooled_name(&lingering.import).as_str())?;
        let open = fstat(lease.file())?;
        let same = moved.st_ino == open.st_ino && Entry::new("", &open).is_plain();
        Ok(same && lingering.digest.read(lease.file())?.is_some() && lease.is_whole()?)
    }
}

/// The imports whose lingering manifests a crash has left in the spool; none without a spool.
///
/// # Errors
/// The spool can't be listed.
pub fn left_behind(layout: &Layout) -> Result<Vec<ImportId>, ScanError> {
    let path = layout.spool();
    let failed = |source| ScanError::List { path: path.clone(), source };
    let entries = match std::fs::read_dir(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut imports = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let import = name.to_str().and_then(|name| name.strip_suffix(ENDING)?.parse().ok());
        imports.extend(import);
    }
    Ok(imports)
}

/// Gives such a manifest back to the account that it is of, under its name; deletes it where nobody
/// can have it, or a new file has the name.
///
/// # Errors
/// The host does not let us.
pub fn give_back(
    layout: &Layout,
    import: &ImportId,
    to: Option<(&AccountId, &str)>,
) -> Result<(), ScanError> {
    let (spool, name) = (Folder::open(&layout.spool())?, spooled_name(import));
    let incoming = to.and_then(|(account, _)| Folder::open(&layout.incoming(account)).ok());
    let given = match (incoming, to) {
        (Some(incoming), Some((_, manifest))) => to_incoming(&spool, &name, &incoming, manifest),
        _ => gone_or(spool.remove(&name)),
    };
    given.map_err(|errno| ScanError::Read {
        path: spool.path().to_owned(),
        name,
        source: errno.into(),
    })
}

fn to_incoming(spool: &Folder, name: &str, incoming: &Folder, manifest: &str) -> nix::Result<()> {
    match spool.rename(name, incoming, manifest, RenameFlags::RENAME_NOREPLACE) {
        // As if the new file had been renamed over it.
        Err(Errno::EEXIST) => gone_or(spool.remove(name)),
        given => gone_or(given),
    }
}

fn gone_or(done: nix::Result<()>) -> nix::Result<()> {
    done.or_else(|errno| if errno == Errno::ENOENT { Ok(()) } else { Err(errno) })
}

fn spooled_name(import: &ImportId) -> String {
    format!("{import}{ENDING}")
}

#[cfg(test)]
#[path = "swept_tests.rs"]
mod tests;
