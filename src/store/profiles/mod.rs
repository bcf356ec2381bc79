//! Merges an import's profile changes into the profiles of an account. An engine provides the
//! database ([`ProfileTable`](table::ProfileTable)). All other code is shared between engines.
//!
//! Records are collected into a window. Its size is limited by the memory of its ids, and most
//! imports fit into one window. The profile of a record depends on the earlier records and on the
//! stored ids, so records are assigned to profiles in file order. Then one merge pass reads, merges
//! and writes each profile about once, in the order of the table. The result does not depend on how
//! records are divided into windows. One transaction contains the whole import.
//!
//! A window has three phases:
//!
//! ```text
//!                         the account has no ids
//!   new window ───────────────────────────────────────────┐
//!       │                                                  │
//!       ▼        the records have many of the stored ids,  │
//!   ┌─────────┐  which fit into memory                     │
//!   │ Waiting │────────────────────────┐                   │
//!   └─────────┘◄──────────┐            ▼                   ▼
//!       │          too    │   ┌─────────────┐  loaded  ┌───────────┐
//!       │          large  └───│ Loading ids │─────────►│ Streaming │
//!       │                     └─────────────┘          └───────────┘
//!       │ window full, or end of the import                │
//!       │ look up the ids, assign the records              │ window full, or end of the import
//!       ▼                                                  ▼
//!   ┌──────────────────────────────────────────────────────────────┐   records left
//!   │ Merge pass: sorted runs of each partition, in profile order  │──────────► Waiting
//!   └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! A profile that loses its last id is *absorbed* by the winner: it passes the properties that the
//! winner lacks on to it, and is removed. Absorptions and the later records of the winners are
//! merged after the merge pass, in file order.
//!
//! - *Spill*: bytes above a memory limit are written to a temporary file and read back in order.
//! - *Partition*: the records of a range of profiles, in file order. The ranges ascend.
//! - *Run*: as many records of a partition as fit into memory, sorted by profile.
//! - *Merge pass*: one pass over the profile table that applies all runs to it.

pub mod batch;
pub mod identity;
mod properties;
pub mod rows;
pub mod table;
pub mod writer;

pub use self::properties::merge::Merger;
