//! The wording of mails: the headline, the next step for the partner, and numbers and times for
//! people. Pure.

use jiff::{SignedDuration, Timestamp};

use super::parts::{MAX_TEXT, SafeText, safe_text, thousands};
use crate::config::Size;
use crate::outbox::milestone::Milestone;
use crate::report::{FailureText, ImportState, Report};

/// The no-break space. It keeps a number and its unit on one line.
const NBSP: char = '\u{a0}';

/// One row in the table of facts about an import, which a mail contains.
pub(super) struct FactRow {
    pub label: &'static str,
    pub value: SafeText,
}

/// Returns the first sentence of the mail about `milestone`.
pub(super) fn headline(milestone: Milestone, report: &Report) -> String {
    let counts = report.records;
    match milestone {
        Milestone::PickedUp => "Your import has begun.".to_owned(),
        Milestone::StillProcessing if report.state == ImportState::Queued => {
            "Your import is waiting for its turn.".to_owned()
        }
        Milestone::StillProcessing => "Your import is still running.".to_owned(),
        Milestone::Completed => {
            let (accepted, read) = (thousands(counts.accepted), thousands(counts.read));
            let verb = match (report.dry_run, counts.accepted) {
                (true, 1) => "is valid",
                (true, _) => "are valid",
                (false, 1) => "was imported",
                (false, _) => "were imported",
            };
            let stored = if report.dry_run { " Nothing was stored: it was a dry run." } else { "" };
            let records = if counts.read == 1 { "record" } else { "records" };
            match counts.rejected {
                0 if counts.read == 1 => format!("The record {verb}.{stored}"),
                0 => format!("All {read} {records} {verb}.{stored}"),
                _ => format!("{accepted} of {read} {records} {verb}.{stored}"),
            }
        }
        Milestone::Failed if report.failure.is_some() => "Your import failed.".to_owned(),
        Milestone::Failed => "Your import failed: every record was rejected.".to_owned(),
    }
}

/// Returns the next step for the partner: the necessary corrections and uploads.
pub(super) fn next_step(report: &Report) -> String {
    let Some(failure) = &report.failure else {
        return if report.records.accepted == 0 {
            "Fix the records in the error file, or the manifest if it names the wrong columns. \
             Upload the file again, and then a new manifest with an unused name."
        } else {
            "Fix the records in the error file, upload it, and then upload a new manifest with an \
             unused name. The column Failure Description may stay: it is ignored. Leave out \
             accepted records: they would be imported twice."
        }
        .to_owned();
    };
    let upload = match failure.message {
        FailureText::NoDataFile | FailureText::Unreadable => {
            "Upload it again, and then a new manifest with an unused name."
        }
        FailureText::Manifest => {
            "Upload the data file again, and then the manifest with an unused name. \
             The command sftp-import check finds such errors before an upload."
        }
        FailureText::Infra | FailureText::Internal => {
            "Upload the data file again, and then a new manifest with an unused name. \
             If it fails again, contact us and name the import."
        }
    };
    format!("{} {upload}", failure.message.advice())
}

/// Returns the facts about an import for the table in a mail. The times are in chronological
/// order.
pub(super) fn facts(report: &Report) -> Vec<FactRow> {
    let mut facts = Vec::new();
    let mut add =
        |label, value: String| facts.push(FactRow { label, value: safe_text(&value, MAX_TEXT) });
    add("Import", report.import.as_ref().map(ToString::to_string).unwrap_or_default());
    add("Account", report.account.clone().unwrap_or_default());
    if let Some(kind) = report.data_type {
        add("Type", kind.as_str().to_owned());
    }
    add("Manifest", report.manifest.clone());
    if let Some(name) = &report.data_file {
        let size = if report.bytes > 0 {
            format!(" ({})", Size::from_bytes(report.bytes))
        } else {
            String::new()
        };
        add("Data file", format!("{name}{size}"));
    }
    for (label, at) in [("First event", report.first_ts), ("Last event", report.last_ts)] {
        if let Some(at) = at {
            add(label, clock(at));
        }
    }
    if let Some(place) = report.place {
        add("Place", place_in_queue(place));
    }
    if let Some(progress) = &report.progress {
        let records = thousands(report.records.read);
        let rate = thousands(progress.records_per_second);
        add("Read so far", format!("{records} records, {rate} a second"));
        add("Bytes read", share(progress.bytes_read, report.bytes));
        if let Some(end) = progress.estimated_end {
            add("Ends about", clock(end));
        }
    }
    add("Received", clock(report.received_at));
    if let Some(started) = report.started_at {
        add("Started", clock(started));
    }
    if let Some(finished) = report.finished_at {
        let since = report.started_at.unwrap_or(report.received_at);
        add("Ended", format!("{} ({})", clock(finished), period(finished.duration_since(since))));
    }
    facts
}

/// Describes an import's place in the queue of its account.
fn place_in_queue(place: u64) -> String {
    match place {
        0 | 1 => "1: your next import".to_owned(),
        2 => "2: after one other import of yours".to_owned(),
        n => format!("{}: after {} other imports of yours", thousands(n), thousands(n - 1)),
    }
}

/// Returns the percentage of `done` in `all`, at most 100. Returns `None` if `all` is 0.
pub(super) fn percent(done: u64, all: u64) -> Option<u64> {
    Some(done.saturating_mul(100).checked_div(all)?.min(100))
}

/// Formats two numbers of bytes with units, such as `1.0 GB of 4.0 GB (25 %)`.
fn share(done: u64, all: u64) -> String {
    let done_of_all = format!("{} of {}", Size::from_bytes(done), Size::from_bytes(all));
    match percent(done, all) {
        Some(percent) => format!("{done_of_all} ({percent} %)"),
        None => done_of_all,
    }
}

fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Formats a number of seconds in the largest unit that needs no fraction, such as `a day` or `90
/// min`.
pub(super) fn length(seconds: u64) -> String {
    match seconds {
        86_400 => "a day".to_owned(),
        n if n > 0 && n % 86_400 == 0 => format!("{} days", n / 86_400),
        n if n > 0 && n % 3600 == 0 => format!("{} h", n / 3600),
        n if n > 0 && n % 60 == 0 => format!("{} min", n / 60),
        n => format!("{n} s"),
    }
}

/// Formats a duration as a text that can follow a time, such as `after 2 h 1 min`.
pub(super) fn period(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => "in less than a second".to_owned(),
        (0, 0, s) => format!("after {s}{NBSP}s"),
        (0, m, s) => format!("after {m}{NBSP}min {s}{NBSP}s"),
        (h, m, _) => format!("after {h}{NBSP}h {m}{NBSP}min"),
    }
}
