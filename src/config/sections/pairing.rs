//! The section `[pairing]` of the configuration file sets the conditions under which a manifest and
//! its data file are claimed as a pair.

use serde::Deserialize;

use crate::config::Period;

/// The section `[pairing]` of the configuration file, and `[account.ID.pairing]` of one account.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pairing {
    /// The time for which a manifest waits until its data file exists.
    pub data_file_grace: Period,
    /// The time for which a manifest waits until the uploader closes its data file.
    pub open_file_grace: Period,
    /// The time for which an invalid manifest must be unchanged before it is refused.
    pub manifest_quiet_period: Period,
    /// The time for which a manifest and its data file must be unchanged before they are claimed.
    /// Applies only while the sessions that uploaded the files are open. Zero means that they are
    /// claimed immediately.
    pub settle: Period,
    /// Ignored, with a warning. In version 0.1 and before, a claimed manifest kept its name in
    /// incoming for this time.
    pub linger: Option<Period>,
    /// The age at which a data file without a manifest is reported. It is reported only once. Zero
    /// means never.
    pub unclaimed_after: Period,
    /// The interval at which every account is scanned, even without a wake-up.
    pub rescan_every: Period,
    pub reused_manifest: ReusedManifest,
}

/// The handling of a manifest whose name was used before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReusedManifest {
    /// The manifest is refused.
    #[default]
    Refuse,
    /// The manifest starts a new import.
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
