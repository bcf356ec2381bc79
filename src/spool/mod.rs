//! The only code that accesses account folders: scans incoming, claims pairs, writes answers.
//!
//! Account holders are treated as attackers. Files below incoming are reached through a directory
//! handle and not by a path, and symbolic links are not followed. Checks use the opened file and
//! not its name. An [`opener`] opens the files of accounts. In the daemon the opener is another
//! process. The steps for an account: [`watch`] wakes the caller → [`incoming::scan`] lists
//! incoming and reads new manifests → [`pairing`] decides (pure) → the caller writes the row of the
//! import → [`claim`] moves the files into the spool → [`spooled`] reads the files in the spool →
//! [`results`] contains the answers.

pub mod claim;
pub mod export_copy;
pub mod incoming;
pub mod layout;
pub mod log_socket;
pub mod opener;
pub mod pairing;
pub mod results;
pub mod spooled;
pub mod watch;

#[cfg(test)]
mod test_host;

pub use claim::earlier_version::EarlierClaim;
pub use claim::error::ClaimError;
pub use claim::file::{FileId, PairFile};
pub use claim::lease_probe::{ProbeError, check_leases};
pub use claim::{Claim, ClaimStep};
pub use export_copy::{ExportCopyError, copy_folder};
pub use incoming::empty::{EmptyIncoming, changed_accounts};
pub use incoming::entry::{DirEntry, FileKind, data_ending};
pub use incoming::listing::{IncomingUsage, ScanError, each_name};
pub use incoming::manifest_cache::ManifestCache;
pub use incoming::manifest_name::{
    MANIFEST_ENDING, is_manifest_name, manifest_stem, naming_advice, right_name, spent_name,
};
pub use incoming::scan::{Incoming, ScanResult};
pub use incoming::snapshot::{
    Age, ListedManifest, ManifestContent, ManifestValues, ParsedManifest, Snapshot,
};
pub use incoming::unclaimed::unclaimed;
pub use layout::Layout;
pub use log_socket::{LogLink, LogSocket, LogSocketError, has_log_folder, link_into, log_link};
pub use opener::{Access, Lease, Opener, OpenerFolder};
pub use pairing::hints::{is_same_name, missing_file_hints, quote_name, reused_name_advice};
pub use pairing::{Decisions, PlannedClaim};
pub use results::usage::answer_bytes;
pub use results::{Results, ResultsError, UnpublishedFile};
pub use spooled::{SpooledData, SpooledError, SpooledImport, discard, list, spooled_bytes};
pub use watch::arrivals::{Arrival, ArrivalOrder, Arrivals};
pub use watch::wakeup::{ScanTarget, WatchError};
pub use watch::{FollowResult, Watcher};
