//! [`enqueue`]: the only way into the outbox. Always in the transaction of what is told.

use jiff::Timestamp;

use super::milestone::{self, Milestone, message_id};
use crate::account::{AccountId, InvalidAccountId};
use crate::report::Report;
use crate::state::Transaction;
use crate::state::deliveries::{self, Channel};
use crate::state::{self, activity, endpoints};

/// Who may be told. The caller has applied the account's recipient rule to `client_email`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipients {
    /// The manifest's clientEmail, where the manifest could be read that far, or the address that
    /// the account's recipient rule puts in its place.
    pub client_email: Option<String>,
    /// The account's own contact.
    pub contact: Option<String>,
    /// The name of the endpoint that the account chose.
    pub webhook: Option<String>,
}

impl Recipients {
    /// The addresses that `milestone` goes to, each once: the contact hears of failures alone.
    fn addresses(&self, milestone: Milestone) -> Vec<&str> {
        let contact = self.contact.as_deref().filter(|_| milestone == Milestone::Failed);
        let mut addresses: Vec<&str> = self.client_email.as_deref().into_iter().collect();
        addresses
            .extend(contact.filter(|to| !addresses.iter().any(|a| a.eq_ignore_ascii_case(to))));
        addresses
    }
}

/// Why a milestone was not enqueued.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The report names no import: it comes from `check`, which tells nobody.
    #[error("a report without import and account has no milestones")]
    NoImport,
    /// The report's account is not an account id.
    #[error("the report's account {0:?} is not one")]
    Account(String, #[source] InvalidAccountId),
    /// The report can't be written as JSON.
    #[error("the report can't be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The state database's.
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Writes `milestone`, its deliveries and its line in the activity log, in the caller's transaction.
///
/// Returns whether it is new. `picked_up`, `completed` and `failed` happen once to an import, and
/// `still_processing` once at a time `at`: a redo after a crash adds nothing. A webhook is
/// delivered only to an endpoint that exists and isn't disabled now. Deliveries are made whether
/// or not mail is configured: without it they fail with that reason, can be seen, and retried.
///
/// # Errors
/// The report names no import or account, or the state database's error.
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
    let at = state::timestamp(state::millis(at))?; // as exact as it is stored
    let row = deliveries::Milestone {
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
        let target = endpoints::target(tx, account.as_str(), name, at)?;
        if target.is_some_and(|target| target.disabled.is_none()) {
            deliveries::add(tx, &row, Channel::Webhook, name)?;
        }
    }
    activity::log(tx, at, Some(&account), Some(import), milestone.as_str(), &detail(report))?;
    Ok(true)
}

/// What the activity log says of a milestone.
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
    fn tells_each_address_once_and_the_contact_of_failures_alone() {
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
