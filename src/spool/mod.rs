//! The only code that touches account folders: scans incoming, claims pairs, writes answers.
//!
//! Account holders are hostile. Files below incoming are reached through a directory handle, never
//! by a path, and symbolic links are not followed. Checks use the opened file, not its name. An
//! [`opener`] opens the accounts' files; in the daemon it is another process. The steps for an
//! account: [`watch`] wakes the caller → [`scan`] lists incoming and reads new manifests → [`pair`]
//! decides (pure) → the caller writes the import's row → [`claim`] moves the files into the spool →
//! [`spooled`] reads them there → [`results`] holds the answers.

pub mod claim;
pub mod export_copy;
pub mod incoming;
pub mod layout;
mod lingering;
pub mod log_socket;
pub mod opener;
pub mod pairing;
pub mod results;
pub mod scan_error;
pub mod spooled;
pub mod watch;

#[cfg(test)]
mod test_host;

pub use crate::files::dir::{Folder, FolderError};
pub use claim::lease_probe::{ProbeError, gives_leases};
pub use claim::{Claim, ClaimError, Claimed, FileId, Part, Step};
pub use export_copy::{CopyError, copy_folder};
pub use incoming::empty::{Empty, stirred};
pub use incoming::entry::{Entry, Kind};
pub use incoming::listing::{Held, each_name};
pub use incoming::manifest_cache::Memory;
pub use incoming::scan::{Incoming, Seen};
pub use incoming::unclaimed::unclaimed;
pub use layout::Layout;
pub use lingering::Lingering;
pub use log_socket::{
    Datagram, Linked, LogSocket, LogSocketError, has_log_folder, link_into, linked,
};
pub use opener::{Access, Lease, Opener, Place};
pub use pairing::{Decisions, Known, Take, Verdict};
pub use results::usage::answered_bytes;
pub use results::{Results, ResultsError, Temp};
pub use scan_error::ScanError;
pub use spooled::{SpooledData, SpooledError, SpooledImport, discard, list, spooled_bytes};
pub use watch::arrivals::{Arrival, Arrivals, Order};
pub use watch::{Followed, Look, WatchError, Watcher};
