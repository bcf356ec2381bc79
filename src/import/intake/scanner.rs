//! [`Scanner`] has all resources of a scan, and the data that scans keep for later scans.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::empty_accounts::EmptyAccounts;
use super::readme::CheckedReadmes;
use crate::account::AccountId;
use crate::import::context::Context;
use crate::import::run::early_start::EarlyStarts;
use crate::import::upload_audit::UploadAudit;
use crate::spool::{Arrivals, ManifestCache};

/// Data that scans keep for later scans. This data is lost at a restart.
#[derive(Debug)]
pub struct IntakeMemory {
    /// The order in which manifests arrived, recorded by the watcher.
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) empty_accounts: EmptyAccounts,
    pub(super) readmes: CheckedReadmes,
    manifests: Mutex<HashMap<AccountId, ManifestCache>>,
}

impl IntakeMemory {
    pub fn new(arrivals: Arc<Arrivals>) -> Self {
        Self {
            arrivals,
            empty_accounts: EmptyAccounts::default(),
            readmes: CheckedReadmes::default(),
            manifests: Mutex::default(),
        }
    }

    /// Removes the account's manifest cache and returns it.
    pub(super) fn take_manifests(&self, account: &AccountId) -> ManifestCache {
        // A panic leaves no incomplete change, because every change inserts or removes one whole
        // entry.
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        manifests.remove(account).unwrap_or_default()
    }

    pub(super) fn keep_manifests(&self, account: &AccountId, cache: ManifestCache) {
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        manifests.insert(account.clone(), cache);
    }
}

/// All resources that a scan uses.
#[derive(Clone, Copy)]
pub struct Scanner<'a> {
    pub context: &'a Context,
    pub memory: &'a IntakeMemory,
    pub early_starts: &'a EarlyStarts,
    /// The audit of uploads, if uploads are audited.
    pub audit: Option<&'a UploadAudit>,
}
