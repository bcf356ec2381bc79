//! [`EndpointDisabled`]: tells an account's contact by mail that an endpoint gets nothing more.
//!
//! Not a milestone of an import, but it travels as one does: written in the transaction that
//! disables the endpoint, delivered by the same rules.

pub mod files_unclaimed;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::milestone::message_id;
use crate::account::AccountId;
use crate::state::Transaction;
use crate::state::deliveries::{self, Channel};
use crate::state::{self, accounts};

/// The notice's type, beside those of the milestones.
pub(super) const KIND: &str = "webhook.disabled";

/// What there is to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointDisabled {
    /// Whose endpoint it is.
    pub account: String,
    /// Its name.
    pub endpoint: String,
    /// Where it lies.
    pub url: String,
    /// What it answered last, or why it could not be asked.
    pub reason: String,
    /// Since when it has failed; none: it said itself that it wants nothing more (410).
    pub failing_since: Option<Timestamp>,
}

/// The stored body of any notice.
#[derive(Serialize, Deserialize)]
pub(super) struct Body<T> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    /// What it tells.
    pub data: T,
}

/// Writes the notice and its delivery to the account's contact, if it has one.
pub(super) fn enqueue(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    notice: &EndpointDisabled,
) -> state::Result<()> {
    let Some(contact) = accounts::get(tx, account)?.and_then(|account| account.email) else {
        return Ok(());
    };
    mail_to(tx, at, account, &contact, KIND, notice)
}

/// Writes a notice of any kind and its delivery to `contact`, in the caller's transaction.
pub(super) fn mail_to<T: Serialize>(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    contact: &str,
    kind: &str,
    data: T,
) -> state::Result<()> {
    let body = Body { kind: kind.to_owned(), timestamp: at, data };
    let row = deliveries::Milestone {
        id: message_id(),
        import: None,
        account: account.to_string(),
        kind: kind.to_owned(),
        at,
        body: serde_json::to_string(&body)?,
    };
    deliveries::add_milestone(tx, &row)?;
    deliveries::add(tx, &row, Channel::Email, contact)
}
