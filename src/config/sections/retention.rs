//! `[retention]`: how long files and rows of ended imports are kept.

use serde::Deserialize;

use crate::config::Period;

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

/// `[retention]`, and `[account.ID.retention]` of one account.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retention {
    /// The spooled files of completed imports.
    pub completed_uploads: Period,
    /// The spooled files of failed imports, for `import retry`.
    pub failed_uploads: Period,
    /// Reports and error files in results/.
    pub results: Period,
    /// Deliveries and their attempts.
    pub deliveries: Period,
    /// Rows of ended imports. The names of manifests stay reserved for ever.
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
