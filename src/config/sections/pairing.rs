//! `[pairing]`: when a manifest and its data file are a complete pair.

use serde::Deserialize;

use crate::config::Period;

/// `[pairing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pairing {
    /// How long a manifest waits for its data file to appear.
    pub data_file_grace: Period,
    /// How long a manifest waits for its data file to be closed by its writer.
    pub open_file_grace: Period,
    /// How long a manifest that doesn't parse must be unchanged before it is refused.
    pub manifest_quiet_period: Period,
    /// How long a manifest and its data file must be unchanged before they are claimed while the
    /// sessions that uploaded them are still open. Zero: they are claimed immediately.
    pub settle: Period,
    /// Ignored, with a warning. Up to version 0.1 a claimed manifest kept its name for this long.
    pub linger: Option<Period>,
    /// A data file that no manifest has named for this long is reported once. Zero: never.
    pub unclaimed_after: Period,
    /// Every account is scanned this often even without a wake-up.
    pub rescan_every: Period,
    pub reused_manifest: ReusedManifest,
}

/// What happens to a manifest whose name was used before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReusedManifest {
    /// It is refused.
    #[default]
    Refuse,
    /// It is a new import.
    Accept,
}

impl Default for Pairing {
    fn default() -> Self {
        Self {
            data_file_grace: Period::seconds(60),
            open_file_grace: Period::seconds(30 * 60),
            manifest_quiet_period: Period::seconds(2),
            settle: Period::seconds(2),
            linger: None,
            unclaimed_after: Period::seconds(24 * 60 * 60),
            rescan_every: Period::seconds(60),
            reused_manifest: ReusedManifest::default(),
        }
    }
}
