//! A look at one account: what lies in incoming becomes claimed imports.
//!
//! A look takes no input but the account: it lists, decides, writes one row per claim, and only
//! then moves files. Whatever woke it, and whatever was cut off before, leads to the same result.

use std::time::Duration;

use jiff::Timestamp;

use super::{Engine, ImportRow, chain};
use crate::account::AccountId;
use crate::import_id::ImportId;
use crate::manifest::Manifest;
use crate::report::{Failure, FailureText, ImportState};
use crate::spool::claim::{Claim, ClaimError};
use crate::spool::pair::{self, Decisions, Pair, Policy, Refusal};
use crate::spool::results;
use crate::spool::scan::{self, Incoming};
use crate::state::accounts::AccountRow;
use crate::state::imports::{self, NewImport, Origin};
use crate::state::{self, accounts, activity};

/// What a look at an account found.
#[derive(Debug, Default)]
pub struct Looked {
    /// Imports claimed and queued, in order, by running number and id.
    pub queued: Vec<(i64, ImportId)>,
    /// Look again after this long, even if nothing happens.
    pub again: Option<Duration>,
}

/// Why an account could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// incoming can't be read.
    #[error(transparent)]
    Scan(#[from] scan::Error),
    /// The state database's.
    #[error(transparent)]
    State(#[from] state::Error),
}

/// The refusal of a manifest whose name `import` has used before.
pub(super) fn spent(name: &str, import: &str) -> Failure {
    let detail = format!(
        "the name {name} was used before, by import {import}; \
         create a new manifest file with a new name"
    );
    Failure::new(FailureText::Manifest, detail)
}
