//! The mail about the ends of several imports.

use super::milestone::MilestoneDetails;
use super::parts::{
    ErrorFileEntry, FailureEntry, MAX_TEXT, MailTexts, RejectionEntry, SafeText, render, safe_text,
    thousands,
};
use crate::outbox::mail::attachment::Enclosure;
use crate::outbox::milestone::Milestone;
use crate::report::Report;

/// The maximum number of rejections or findings that the mail lists for each import. The import's
/// report has all of them.
const TOP: usize = 3;

/// The values for the templates of the digest, which is the mail about the ends of several
/// imports.
struct DigestMail {
    account: SafeText,
    subject: String,
    headline: String,
    colour: &'static str,
    read: String,
    accepted: String,
    rejected: String,
    has_rejections: bool,
    needs_work: bool,
    items: Vec<DigestItem>,
}

struct DigestItem {
    import: SafeText,
    file: SafeText,
    verdict: String,
    colour: &'static str,
    failure: Option<FailureEntry>,
    rejections: Vec<RejectionEntry>,
    error_file: Option<ErrorFileEntry>,
}

/// Returns the texts of the mail about several imports of one account. Each import has its error
/// file.
pub(super) fn write_texts(
    imports: &[MilestoneDetails],
    error_files: &[Enclosure],
) -> Result<MailTexts, askama::Error> {
    let mail = &DigestMail::new(imports, error_files);
    render!(mail, DigestMail, "digest/subject.txt", "digest/body.txt", "digest/body.html")
}

impl DigestMail {
    fn new(imports: &[MilestoneDetails], error_files: &[Enclosure]) -> Self {
        let is_failed = |import: &&MilestoneDetails| import.milestone == Milestone::Failed;
        let failed = imports.iter().filter(is_failed).count();
        let sum = |count: fn(&Report) -> u64| imports.iter().map(|i| count(&i.report)).sum();
        let rejected: u64 = sum(|report| report.records.rejected);
        let account = imports.first().and_then(|import| import.report.account.as_deref());
        let all = imports.len();
        let items = imports.iter().zip(error_files);
        Self {
            account: safe_text(account.unwrap_or_default(), MAX_TEXT),
            subject: match failed {
                0 => format!("{all} imports are complete"),
                n if n == all => format!("{all} imports failed"),
                n => format!("{} imports are complete, {n} failed", all - n),
            },
            headline: format!("{all} of your imports have ended."),
            colour: if failed == 0 { "#1a7f4b" } else { "#b3261e" },
            read: thousands(sum(|report| report.records.read)),
            accepted: thousands(sum(|report| report.records.accepted)),
            rejected: thousands(rejected),
            has_rejections: rejected > 0,
            needs_work: rejected > 0 || failed > 0,
            items: items.map(|(import, error_file)| DigestItem::new(import, error_file)).collect(),
        }
    }
}

impl DigestItem {
    fn new(details: &MilestoneDetails, error_file: &Enclosure) -> Self {
        let report = &details.report;
        let counts = report.records;
        let (accepted, read) = (thousands(counts.accepted), thousands(counts.read));
        let failed = details.milestone == Milestone::Failed;
        let error_file_name = report.error_file.as_deref();
        let failure = report.failure.as_ref().map(|failure| {
            let mut failure = FailureEntry::new(failure);
            failure.details.truncate(TOP);
            failure
        });
        Self {
            import: safe_text(report.import.as_ref().map_or("", |id| id.as_str()), MAX_TEXT),
            file: safe_text(report.data_file.as_ref().unwrap_or(&report.manifest), MAX_TEXT),
            verdict: match (failed, report.dry_run) {
                (true, _) if failure.is_some() => "failed".to_owned(),
                (true, _) => format!("failed: all {read} records were rejected"),
                (false, true) => format!("dry run: {accepted} of {read} records are valid"),
                (false, false) => format!("complete: {accepted} of {read} records"),
            },
            colour: match (failed, counts.rejected) {
                (true, _) => "#b3261e",
                (false, 0) => "#1a7f4b",
                (false, _) => "#9a6700",
            },
            failure,
            rejections: details.rejections(TOP),
            error_file: error_file_name.and_then(|name| ErrorFileEntry::new(name, error_file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{attached, ended, hostile, rejected, report, whole};
    use super::*;
    use crate::report::ImportState;

    fn details(milestone: Milestone, report: Report, samples: &[&str]) -> MilestoneDetails {
        let samples = samples.iter().map(|text| Some((*text).to_owned())).collect();
        MilestoneDetails { milestone, report, samples }
    }

    #[test]
    fn a_digest_lists_three_imports() {
        let mut clean = report();
        clean.records = crate::report::Counts { read: 4, accepted: 4, rejected: 0 };
        ended(&mut clean, ImportState::Completed);
        let mut mixed = report();
        rejected(&mut mixed, 1200, &[("Event name is mandatory", 2), ("FLOAT value expected", 1)]);
        ended(&mut mixed, ImportState::Completed);
        let mut failed = report();
        failed.failure = Some(crate::report::Failure::new(
            crate::report::FailureText::NoDataFile,
            "\"orders.csv\" is not in incoming",
        ));
        ended(&mut failed, ImportState::Failed);
        let imports = [
            details(Milestone::Completed, clean, &[]),
            details(Milestone::Completed, mixed, &[",1,a@b.example"]),
            details(Milestone::Failed, failed, &[]),
        ];
        let error_files = [Enclosure::None, attached(), Enclosure::None];
        insta::assert_snapshot!(whole(&write_texts(&imports, &error_files).unwrap()));
    }

    #[test]
    fn hostile_names_have_no_effect() {
        let evil = "a\r\nBcc: x@evil.example\r\n\r\n<script>\"'><img src=x>\u{1b}[2J\u{202e}\0";
        for milestone in [Milestone::Completed, Milestone::Failed] {
            let one = || details(milestone, hostile(evil), &[evil]);
            let texts = write_texts(&[one(), one()], &[attached(), attached()]).unwrap();
            for text in [&texts.subject, &texts.text, &texts.html] {
                assert!(!text.contains(['\r', '\u{1b}', '\u{202e}', '\0']), "{text}");
                assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
            }
            assert!(!texts.html.contains("<script") && !texts.html.contains("<img"));
        }
    }
}
