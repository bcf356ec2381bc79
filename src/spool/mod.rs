//! The only code that touches account folders: scans incoming, claims pairs, writes answers.
//!
//! Account holders are hostile. Files below incoming are reached through a directory handle, never
//! by a path, and symbolic links are not followed. Checks use the opened file, not its name. An
//! [`opener`] opens the accounts' files; in the daemon it is another process. The steps for an
//! account: [`watch`] wakes the caller → [`scan`] lists incoming and reads new manifests → [`pair`]
//! decides (pure) → the caller writes the import's row → [`claim`] moves the files into the spool →
//! [`spooled`] reads them there → [`results`] holds the answers.

mod answered;
pub mod arrivals;
pub mod claim;
pub mod copy;
pub mod empty;
pub mod entry;
mod events;
pub mod folder;
mod judge;
pub mod layout;
mod lingering;
mod listing;
pub mod log_socket;
mod memory;
mod mover;
pub mod opener;
pub mod pair;
mod poller;
mod probe;
pub mod results;
pub mod scan;
pub mod scan_error;
pub mod spooled;
pub mod unclaimed;
pub mod watch;

#[cfg(test)]
mod test_host;

pub use answered::answered_bytes;
pub use arrivals::{Arrival, Arrivals, Order};
pub use claim::{Claim, ClaimError, Claimed, FileId, Part, Step};
pub use copy::{CopyError, copy_folder};
pub use empty::{Empty, stirred};
pub use entry::{Entry, Kind};
pub(crate) use folder::Folder;
pub use folder::FolderError;
pub use layout::Layout;
pub use lingering::Lingering;
pub use listing::{Held, each_name};
pub use log_socket::{
    Datagram, Linked, LogSocket, LogSocketError, has_log_folder, link_into, linked,
};
pub use memory::Memory;
pub use opener::{Access, Lease, Opener, Place};
pub use pair::{Decisions, Known, Take, Verdict};
pub use probe::{ProbeError, gives_leases};
pub use results::{Results, ResultsError, Temp};
pub use scan::{Incoming, Seen};
pub use scan_error::ScanError;
pub use spooled::{SpooledData, SpooledError, SpooledImport, discard, list, spooled_bytes};
pub use unclaimed::unclaimed;
pub use watch::{Followed, Look, WatchError, Watcher};
