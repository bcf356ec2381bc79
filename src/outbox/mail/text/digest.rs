//! The mail about the ends of several imports.

use askama::Template;

use super::wording::thousands;
use super::{ErrorFile, Failure, File, MAX_TEXT, Rejection, Shown, Texts, plain_words, shown};
use crate::outbox::milestone::Milestone;
use crate::outbox::told::Told;
use crate::report::Report;

/// How many rejections, or findings, the mail lists for each import; its report has all.
const TOP: usize = 3;

struct Digest {
    account: Shown,
    subject: String,
    headline: String,
    colour: &'static str,
    read: String,
    accepted: String,
    rejected: String,
    has_rejections: bool,
    needs_work: bool,
    items: Vec<Item>,
}

struct Item {
    import: Shown,
    file: Shown,
    verdict: String,
    colour: &'static str,
    failure: Option<Failure>,
    rejections: Vec<Rejection>,
    error_file: Option<File>,
}

#[derive(Template)]
#[template(path = "digest/subject.txt")]
struct Subject<'a> {
    l: &'a Digest,
}

#[derive(Template)]
#[template(path = "digest/body.txt")]
struct Text<'a> {
    l: &'a Digest,
}

#[derive(Template)]
#[template(path = "digest/body.html")]
struct Html<'a> {
    l: &'a Digest,
}

/// Returns the texts of the mail about `told`, which are imports of one account.
pub(in super::super) fn digest_texts(told: &[(Told, ErrorFile)]) -> Result<Texts, askama::Error> {
    let l = &Digest::new(told);
    Ok(Texts {
        subject: plain_words(Subject { l }.render()?.trim()),
        text: Text { l }.render()?,
        html: Html { l }.render()?,
    })
}

impl Digest {
    fn new(told: &[(Told, ErrorFile)]) -> Self {
        let failed = told.iter().filter(|(t, _)| t.milestone == Milestone::Failed).count();
        let sum = |count: fn(&Report) -> u64| told.iter().map(|(t, _)| count(&t.report)).sum();
        let rejected: u64 = sum(|report| report.records.rejected);
        let account = told.first().and_then(|(t, _)| t.report.account.as_deref());
        let all = told.len();
        Self {
            account: shown(account.unwrap_or_default(), MAX_TEXT),
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
            items: told.iter().map(|(told, error_file)| Item::new(told, error_file)).collect(),
        }
    }
}

impl Item {
    fn new(told: &Told, error_file: &ErrorFile) -> Self {
        let report = &told.report;
        let counts = report.records;
        let (accepted, read) = (thousands(counts.accepted), thousands(counts.read));
        let failed = told.milestone == Milestone::Failed;
        let failure = report.failure.as_ref().map(|failure| {
            let mut failure = Failure::new(failure);
            failure.details.truncate(TOP);
            failure
        });
        Self {
            import: shown(report.import.as_ref().map_or("", |id| id.as_str()), MAX_TEXT),
            file: shown(report.data_file.as_ref().unwrap_or(&report.manifest), MAX_TEXT),
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
            rejections: told.rejections(TOP).map(|(c, s)| Rejection::new(c, s)).collect(),
            error_file: report.error_file.as_deref().and_then(|name| File::new(name, error_file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ended, hostile, rejected, report};
    use super::*;
    use crate::report::ImportState;

    fn told(milestone: Milestone, report: Report, samples: &[&str]) -> Told {
        let samples = samples.iter().map(|text| Some((*text).to_owned())).collect();
        Told { milestone, report, samples }
    }

    #[test]
    fn three_imports_in_one_mail() {
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
        let texts = digest_texts(&[
            (told(Milestone::Completed, clean, &[]), ErrorFile::None),
            (told(Milestone::Completed, mixed, &[",1,a@b.example"]), ErrorFile::Attached),
            (told(Milestone::Failed, failed, &[]), ErrorFile::None),
        ])
        .unwrap();
        insta::assert_snapshot!(format!(
            "Subject: {}\n\n{}\n{}",
            texts.subject, texts.text, texts.html
        ));
    }

    #[test]
    fn a_hostile_name_breaks_out_of_nothing() {
        let evil = "a\r\nBcc: x@evil.example\r\n\r\n<script>\"'><img src=x>\u{1b}[2J\u{202e}\0";
        for milestone in [Milestone::Completed, Milestone::Failed] {
            let one = || (told(milestone, hostile(evil), &[evil]), ErrorFile::Attached);
            let texts = digest_texts(&[one(), one()]).unwrap();
            for text in [&texts.subject, &texts.text, &texts.html] {
                assert!(!text.contains(['\r', '\u{1b}', '\u{202e}', '\0']), "{text}");
                assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
            }
            assert!(!texts.html.contains("<script") && !texts.html.contains("<img"));
        }
    }
}
