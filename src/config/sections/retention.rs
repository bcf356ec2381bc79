//! `[retention]`: how long what has served is kept.

use serde::Deserialize;

use crate::config::Period;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// `[retention]`, per account the same.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retention {
    /// The spooled files of imports that completed.
    pub completed_uploads: Period,
    /// The spooled files of imports that failed, for `import retry`.
    pub failed_uploads: Period,
    /// Reports and error files in results/.
    pub results: Period,
    /// What was told of an import, with every attempt at it.
    pub deliveries: Period,
    /// What became of an import. The names of manifests are spent for ever.
    pub imports: Period,
    /// The activity log.
    pub activity: Period,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            completed_uploads: Period::seconds(0),
            failed_uploads: Period::seconds(7 * DAY),
            results: Period::seconds(90 * DAY),
            deliveries: Period::seconds(90 * DAY),
            imports: Period::seconds(365 * DAY),
            activity: Period::seconds(365 * DAY),
        }
    }
}
