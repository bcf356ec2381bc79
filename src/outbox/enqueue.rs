//! [`enqueue`]: adds a milestone and its deliveries to the outbox.
//!
//! `enqueue` runs in the same transaction as the change that it reports.

use jiff::Timestamp;

use super::milestone::{self, Milestone, message_id};
use crate::account::{AccountId, InvalidAccountId};
use crate::report::Report;
use crate::state::Transaction;
use crate::state::deliveries::{self, Channel};
use crate::state::{self, activity, endpoints};

/// The addresses and the endpoint that are notified of a milestone. The caller has applied the
/// account's recipient rule to `client_email`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// The manifest's `clientEmail`, or the address that the account's recipient rule puts in its
    /// place. `None` if parsing the manifest failed before `clientEmail`.
    pub client_email: Option<String>,
    /// The address of the account's contact.
    pub contact: Option<String>,
    /// The name of the endpoint that the account has chosen.
    pub webhook: Option<String>,
}

impl Recipients {
    /// Returns the addresses that get a mail about `milestone`, without duplicates. The contact
    /// gets a mail only if the import failed.
    fn addresses(&self, milestone: Milestone) -> Vec<&str> {
        let contact = self.contact.as_deref().filter(|_| milestone == Milestone::Failed);
        let mut addresses: Vec<&str> = self.client_email.as_deref().into_iter().collect();
        addresses
            .extend(contact.filter(|to| !addresses.iter().any(|a| a.eq_ignore_ascii_case(to))));
        addresses
    }
}

/// The reason why a milestone was not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The report names no import. Only `sftp-import check` writes such reports, and it sends no
    /// notifications.
    #[error("a report without import and account has no milestones")]
    NoImport,
    #[error("the report's account {0:?} is not an account id")]
    Account(String, #[source] InvalidAccountId),
    #[error("the report can't be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Writes `milestone`, its deliveries and its line in the activity log.
///
/// Returns whether the milestone is new. An import has `picked_up`, `completed` and `failed` at
/// most once, and `still_processing` once per time `at`: a repetition after a crash adds nothing. A
/// webhook delivery is added only for an endpoint that exists and is enabled. Email deliveries are
/// added even if mail is not configured: they fail with that reason, are listed, and can be
/// retried.
pub fn enqueue(
    tx: &Transaction<'_>,
    at: Timestamp,
    milestone: Milestone,
    report: &Report,
    recipients: &Recipients,
) -> Result<bool, Error> {
    let (Some(import), Some(account)) = (&report.import, &report.account) else {
        return Err(Error::NoImport);
    };
    let account: AccountId = account.parse().map_err(|e| Error::Account(account.clone(), e))?;
    let at = state::timestamp(state::millis(at))?; // the database stores milliseconds
    let row = deliveries::MilestoneRow {
        id: message_id(),
        import: Some(import.to_string()),
        account: account.to_string(),
        kind: milestone.as_str().to_owned(),
        at,
        body: milestone::body(milestone, at, report)?,
    };
    if !deliveries::add_milestone(tx, &row)? {
        return Ok(false);
    }
    for address in recipients.addresses(milestone) {
        deliveries::add(tx, &row, Channel::Email, address)?;
    }
    if let Some(name) = &recipients.webhook {
        let target = endpoints::find_target(tx, account.as_str(), name, at)?;
        if target.is_some_and(|target| target.disabled.is_none()) {
            deliveries::add(tx, &row, Channel::Webhook, name)?;
        }
    }
    activity::log(tx, at, Some(&account), Some(import), milestone.as_str(), &detail(report))?;
    Ok(true)
}

/// Returns the detail text for the line about a milestone in the activity log.
fn detail(report: &Report) -> String {
    let (manifest, counts) = (&report.manifest, report.records);
    if let Some(progress) = &report.progress {
        let (done, all, rate) = (progress.bytes_read, report.bytes, progress.records_per_second);
        let read = counts.read;
        return format!("{manifest}: {read} read, {rate} a second; {done} of {all} bytes");
    }
    if let Some(place) = report.place {
        return format!("{manifest}: queued, place {place}");
    }
    match &report.failure {
        Some(failure) => format!("{}: {failure}", report.manifest),
        None if counts.read == 0 => report.manifest.clone(),
        None => format!(
            "{}: {} read, {} accepted, {} rejected",
            report.manifest, counts.read, counts.accepted, counts.rejected
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unique_and_contacts_get_failures_only() {
        let mut recipients = Recipients {
            client_email: Some("data@acme.example".into()),
            contact: Some("ops@acme.example".into()),
            webhook: None,
        };
        assert_eq!(recipients.addresses(Milestone::Completed), ["data@acme.example"]);
        let both = ["data@acme.example", "ops@acme.example"];
        assert_eq!(recipients.addresses(Milestone::Failed), both);
        recipients.contact = Some("DATA@acme.example".into());
        assert_eq!(recipients.addresses(Milestone::Failed), ["data@acme.example"]);
        recipients.client_email = None;
        assert_eq!(recipients.addresses(Milestone::Failed), ["DATA@acme.example"]);
        assert!(recipients.addresses(Milestone::PickedUp).is_empty());
    }
}
