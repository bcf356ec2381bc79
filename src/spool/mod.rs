//! The only code that touches account folders: what lies in incoming, taking it out, answering.
//!
//! Account holders are hostile. Below incoming everything goes through a directory handle, never
//! through a path; nothing is followed; what was opened is asked, not what the name says. Accounts'
//! files are opened by an [`opener`], which in the daemon is another process. A look
//! at an account goes: [`watch`] says "look" → [`scan`] lists and reads new manifests → [`pair`]
//! decides (pure) → the caller writes its row → [`claim`] moves the files into the spool →
//! [`spooled`] reads them there → [`results`] takes the answers.

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
