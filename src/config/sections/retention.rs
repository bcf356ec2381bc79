//! The section `[retention]` of the configuration file sets how long the files and rows of ended
//! imports are kept.

use serde::Deserialize;

use crate::config::Period;

/// The length of one day in seconds.
const DAY: u64 = 24 * 60 * 60;

/// The section `[retention]` of the configuration file, and the section `[account.ID.retention]` of
/// one account.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retention {
    /// The time for which the spooled files of completed imports are kept.
    pub completed_uploads: Period,
    /// The time for which the spooled files of failed imports are kept, so that `import retry` can
    /// use them.
    pub failed_uploads: Period,
    /// The time for which reports and error files in results/ are kept.
    pub results: Period,
    /// The time for which deliveries and their attempts are kept.
    pub deliveries: Period,
    /// The time for which the rows of ended imports are kept. Used manifest names stay reserved
    /// forever.
    pub imports: Period,
    /// The time for which lines of the activity log are kept.
    pub activity: Period,
    /// How long keys that sshd refused are kept, from the last refusal on.
    pub refused: Period,
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
            refused: Period::seconds(30 * DAY),
        }
    }
}
