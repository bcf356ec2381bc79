//! Log lines about milestones. Each milestone is logged once, after it is durable.
//!
//! In the journal each line has the fields ACCOUNT and IMPORT, and a MESSAGE_ID for its milestone
//! (docs/metrics.md). The message repeats account and import, because `systemctl status` shows only
//! the message.

use jiff::Timestamp;

use crate::import::row::ImportRow;
use crate::outbox::Milestone;
use crate::report::{Counts, ImportState, Report};
use crate::sanitize::printable;

/// Counts and logs that an import began to run for the first time, at `now`.
pub(super) fn log_picked_up(row: &ImportRow, now: Timestamp) {
    crate::metrics::count_pickup(now.duration_since(row.received_at).unsigned_abs());
    let (account, import, message_id) = (&row.account, &row.id, Milestone::PickedUp.journal_id());
    tracing::info!(%account, %import, message_id, "import {import} of account {account} was picked up");
}

/// Logs that an import has the milestone `still_processing`.
pub(super) fn log_still_processing(row: &ImportRow, report: &Report) {
    let (account, import, state) = (&row.account, &row.id, report.state.as_str());
    let (message_id, read) = (Milestone::StillProcessing.journal_id(), report.records.read);
    tracing::info!(%account, %import, message_id,
        "import {import} of account {account} is still {state}: {read} records read");
}

/// Counts and logs that an import ended.
pub(super) fn log_end(row: &ImportRow, report: &Report) {
    crate::metrics::count_end(report);
    let (account, import, state) = (&row.account, &row.id, report.state.as_str());
    let Counts { read, accepted, rejected } = report.records;
    let milestone = match report.state {
        ImportState::Completed => Milestone::Completed,
        _ => Milestone::Failed,
    };
    let message_id = milestone.journal_id();
    match &report.failure {
        None => tracing::info!(%account, %import, message_id, read, accepted, rejected,
            "import {import} of account {account} {state}: \
             {read} read, {accepted} accepted, {rejected} rejected"),
        Some(failure) => tracing::info!(%account, %import, message_id,
            "import {import} of account {account} {state}: {}: {}",
            failure.message.as_str(), printable(&failure.detail)),
    }
}
