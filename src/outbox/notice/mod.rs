//! [`EndpointDisabled`]: the notice to an account's contact that an endpoint was disabled.
//!
//! It is not a milestone of an import, but is stored and delivered as one. It is written in the
//! transaction that disables the endpoint.

pub mod files_unclaimed;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::milestone::message_id;
use crate::account::AccountId;
use crate::state::Transaction;
use crate::state::deliveries::{self, Channel};
use crate::state::{self, accounts};

/// The notice's type; the others are those of the milestones.
pub(super) const KIND: &str = "webhook.disabled";

/// The data of the notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndpointDisabled {
    pub account: String,
    pub endpoint: String,
    pub url: String,
    /// The last answer, or the reason why there was none.
    pub reason: String,
    /// When the failure began. `None` if the endpoint answered 410 Gone.
    pub failing_since: Option<Timestamp>,
}

/// The stored body of any notice.
#[derive(Serialize, Deserialize)]
pub(super) struct Body<T> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
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
    let row = deliveries::MilestoneRow {
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
