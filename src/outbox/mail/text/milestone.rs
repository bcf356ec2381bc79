//! [`MilestoneDetails`]: the content of the mail about a milestone of one import. Pure.

use super::parts::{
    ErrorFileEntry, FailureEntry, MAX_SUBJECT_NAME, MAX_TEXT, MailTexts, RejectionEntry, SafeText,
    render, safe_lines, safe_text, thousands,
};
use super::wording::{FactRow, facts, headline, next_step, percent};
use crate::outbox::mail::attachment::Enclosure;
use crate::outbox::milestone::Milestone;
use crate::report::{ImportState, RejectionCount, Report};

/// The maximum number of rejections that a mail about one import lists.
pub const TOP_REJECTIONS: usize = 5;

/// A milestone of an import with its report and sample records.
#[derive(Clone, Debug)]
pub struct MilestoneDetails {
    pub milestone: Milestone,
    pub report: Report,
    /// A sample record for each of the first rejections; `None` for a rejection without a sample.
    pub samples: Vec<Option<String>>,
}

impl MilestoneDetails {
    /// Returns the `top` most frequent rejections of the import. Each rejection has its sample
    /// record.
    pub(super) fn rejections(&self, top: usize) -> Vec<RejectionEntry> {
        let sample = |n: usize| self.samples.get(n).and_then(Option::as_deref);
        let rejections = self.report.rejections.iter().take(top).enumerate();
        let entry = |(n, count): (usize, &RejectionCount)| RejectionEntry::new(count, sample(n));
        rejections.map(entry).collect()
    }
}

/// The values for the templates of the mail about one milestone.
struct MilestoneMail {
    import: SafeText,
    account: SafeText,
    subject_file: SafeText,
    colour: &'static str,
    headline: String,
    is_queued: bool,
    /// The percentage of the data file that was read.
    percent: Option<u64>,
    read: String,
    accepted: String,
    rejected: String,
    has_rejections: bool,
    rejections: Vec<RejectionEntry>,
    more_rejections: usize,
    failure: Option<FailureEntry>,
    next: String,
    warnings: Vec<SafeText>,
    error_file: Option<ErrorFileEntry>,
    facts: Vec<FactRow>,
}

/// Returns the texts of the mail about one milestone.
pub(super) fn write_texts(
    details: &MilestoneDetails,
    error_file: &Enclosure,
) -> Result<MailTexts, askama::Error> {
    let mail = &MilestoneMail::new(details, error_file);
    match details.milestone {
        Milestone::PickedUp => render!(
            mail,
            MilestoneMail,
            "picked_up/subject.txt",
            "picked_up/body.txt",
            "picked_up/body.html"
        ),
        Milestone::StillProcessing => render!(
            mail,
            MilestoneMail,
            "still_processing/subject.txt",
            "still_processing/body.txt",
            "still_processing/body.html"
        ),
        Milestone::Completed => render!(
            mail,
            MilestoneMail,
            "completed/subject.txt",
            "completed/body.txt",
            "completed/body.html"
        ),
        Milestone::Failed => render!(
            mail,
            MilestoneMail,
            "failed/subject.txt",
            "failed/body.txt",
            "failed/body.html"
        ),
    }
}

impl MilestoneMail {
    fn new(details: &MilestoneDetails, error_file: &Enclosure) -> Self {
        let MilestoneDetails { milestone, ref report, .. } = *details;
        let file = report.data_file.as_ref().unwrap_or(&report.manifest);
        let error_file_name = report.error_file.as_deref();
        Self {
            import: safe_text(report.import.as_ref().map_or("", |id| id.as_str()), MAX_TEXT),
            account: safe_text(report.account.as_deref().unwrap_or_default(), MAX_TEXT),
            subject_file: safe_text(file, MAX_SUBJECT_NAME),
            colour: match milestone {
                Milestone::PickedUp | Milestone::StillProcessing => "#2563a8",
                Milestone::Completed => "#1a7f4b",
                Milestone::Failed => "#b3261e",
            },
            headline: headline(milestone, report),
            percent: report.progress.as_ref().and_then(|p| percent(p.bytes_read, report.bytes)),
            is_queued: report.state == ImportState::Queued,
            read: thousands(report.records.read),
            accepted: thousands(report.records.accepted),
            rejected: thousands(report.records.rejected),
            has_rejections: report.records.rejected > 0,
            rejections: details.rejections(TOP_REJECTIONS),
            more_rejections: report.rejections.len().saturating_sub(TOP_REJECTIONS),
            failure: report.failure.as_ref().map(FailureEntry::new),
            next: next_step(report),
            warnings: safe_lines(report.warnings.iter().map(String::as_str)),
            error_file: error_file_name.and_then(|name| ErrorFileEntry::new(name, error_file)),
            facts: facts(report),
        }
    }
}
