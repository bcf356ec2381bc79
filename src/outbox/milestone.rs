//! [`Milestone`]: the four steps of an import that partners are notified of. The module also makes
//! their JSON. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::report::Report;

/// A step of an import that its partner is notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Milestone {
    /// The daemon began to run the import.
    #[serde(rename = "import.picked_up")]
    PickedUp,
    /// The import has not ended yet. This milestone is repeated at regular intervals.
    #[serde(rename = "import.still_processing")]
    StillProcessing,
    /// The import ended with at least one accepted record.
    #[serde(rename = "import.completed")]
    Completed,
    /// The import ended without an accepted record.
    #[serde(rename = "import.failed")]
    Failed,
}

impl Milestone {
    /// Returns the type of the milestone, as it is written in webhooks, the state database and the
    /// activity log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PickedUp => "import.picked_up",
            Self::StillProcessing => "import.still_processing",
            Self::Completed => "import.completed",
            Self::Failed => "import.failed",
        }
    }

    /// Returns the MESSAGE_ID that the milestone has in the journal (systemd.journal-fields(7)).
    /// The ids must never change.
    pub fn journal_id(self) -> &'static str {
        match self {
            Self::PickedUp => "0d1b3c9ae6a24f0c9d3f6a5be9f3a7c1",
            Self::StillProcessing => "5f2e7c04b8d94c5e8a1c2f9d07b6e3a2",
            Self::Completed => "a94c6e1f3b7d4a28b5d0e8c71f42d9b3",
            Self::Failed => "c7e80b52d91f4e6fa3b6495c8e20f1d4",
        }
    }
}

/// The body of a milestone's webhook (Standard Webhooks 1.0, "payload structure").
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MilestoneBody {
    #[serde(rename = "type")]
    pub milestone: Milestone,
    pub timestamp: Timestamp,
    /// The import's report at the time `timestamp`.
    pub data: Report,
}

/// The number of bytes up to which the body of a webhook stays unchanged. A longer body is
/// shortened, to at most 256 KiB.
const MAX_WHOLE: usize = 64 * 1024;

/// The limits of a shortened report: the number of warnings, and the characters of each text. JSON
/// needs up to six bytes for a character (\u0000). Even so, a shortened body has less than 256 KiB.
const KEPT_WARNINGS: usize = 20;
const KEPT_TEXT: usize = 200;
const KEPT_DETAIL: usize = 4000;

/// Returns the JSON body of the webhook about `milestone`. `timestamp` is the time of the
/// milestone. The body has at most 256 KiB.
pub(super) fn body(
    milestone: Milestone,
    timestamp: Timestamp,
    report: &Report,
) -> serde_json::Result<String> {
    let whole =
        serde_json::to_string(&MilestoneBody { milestone, timestamp, data: report.clone() })?;
    if whole.len() <= MAX_WHOLE {
        return Ok(whole);
    }
    serde_json::to_string(&MilestoneBody {
        milestone,
        timestamp,
        data: shorten_report(report.clone()),
    })
}

/// Shortens the parts of a report that have no size limit. Only the report in results/ is
/// complete.
fn shorten_report(mut report: Report) -> Report {
    let more = report.warnings.len().saturating_sub(KEPT_WARNINGS);
    report.warnings.truncate(KEPT_WARNINGS);
    report.warnings.iter_mut().for_each(|text| cut_text(text, KEPT_TEXT));
    if more > 0 {
        report.warnings.push(format!("the report in results/ has {more} more warnings"));
    }
    report.rejections.iter_mut().for_each(|rejection| cut_text(&mut rejection.message, KEPT_TEXT));
    if let Some(failure) = &mut report.failure {
        cut_text(&mut failure.detail, KEPT_DETAIL);
    }
    report
}

/// Shortens `text` to at most `max` characters. The character `…` marks a shortened text.
fn cut_text(text: &mut String, max: usize) {
    if let Some((end, _)) = text.char_indices().nth(max) {
        text.truncate(end);
        text.push('…');
    }
}

/// Returns a new message id: `msg_` and a UUID of version 7. Such ids sort by time.
pub fn message_id() -> String {
    format!("msg_{}", Uuid::now_v7().simple())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Failure, FailureText, MAX_REJECTIONS, RejectionCount};

    #[test]
    fn a_milestone_is_serialized_as_its_name() {
        use Milestone::*;
        for milestone in [PickedUp, StillProcessing, Completed, Failed] {
            assert_eq!(serde_json::to_value(milestone).unwrap(), milestone.as_str());
        }
    }

    #[test]
    fn large_bodies_are_shortened() {
        let at = Timestamp::UNIX_EPOCH;
        let mut report = Report::queued("e.manifest", at);
        report.warnings = vec!["unknown key".into(); 30];
        let whole = body(Milestone::Failed, at, &report).unwrap();
        assert_eq!(whole.matches("unknown key").count(), 30);

        report.warnings = vec!["\u{1}".repeat(1000); 1000];
        let detail = "\u{1}".repeat(100_000);
        report.failure = Some(Failure::new(FailureText::Manifest, detail));
        let message = "\u{1}".repeat(1000);
        report.rejections =
            vec![RejectionCount { message, count: 1, first_line: 2 }; MAX_REJECTIONS];
        report.data_file = Some("\u{1}".repeat(255)); // the longest file name (NAME_MAX)
        let short = body(Milestone::Failed, at, &report).unwrap();
        assert!(short.len() <= 256 * 1024, "{}", short.len());
        let read: MilestoneBody = serde_json::from_str(&short).unwrap();
        assert_eq!(read.data.warnings.len(), 21);
        assert!(read.data.warnings[20].contains("980 more warnings"));
    }

    #[test]
    fn message_ids_differ_and_are_header_safe() {
        let (a, b) = (message_id(), message_id());
        assert_ne!(a, b);
        assert!(a.starts_with("msg_") && a.len() == 36);
        assert!(a.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_'));
    }
}
