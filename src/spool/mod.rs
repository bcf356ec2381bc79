//! The only code that touches account folders: what lies in incoming, taking it out, answering.
//!
//! Account holders are hostile. Below incoming everything goes through a directory handle, never
//! through a path; nothing is followed; what was opened is asked, not what the name says. Accounts'
//! files are opened by an [`opener`], which in the daemon is another process. A look
//! at an account goes: [`watch`] says "look" → [`scan`] lists and reads new manifests → [`pair`]
//! decides (pure) → the caller writes its row → [`claim`] moves the files into the spool →
//! [`spooled`] reads them there → [`results`] takes the answers.

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
