//! [`EndpointDisabled`]: the notice to an account's contact that an endpoint was disabled.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::enqueue_mail;
use crate::account::AccountId;
use crate::state::{self, Transaction, accounts};

/// The type of the notice about a disabled endpoint. It is stored in the same column as the types
/// of milestones.
pub const KIND: &str = "webhook.disabled";

/// The data of the notice about a disabled endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointDisabled {
    pub account: String,
    pub endpoint: String,
    pub url: String,
    /// The last answer of the endpoint, or the reason why the endpoint did not answer.
    pub reason: String,
    /// The time when the endpoint began to fail. `None` if the endpoint answered 410 Gone.
    pub failing_since: Option<Timestamp>,
}

/// Writes the notice about a disabled endpoint and its delivery to the account's contact. Does
/// nothing if the account has no contact.
pub fn enqueue(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    notice: &EndpointDisabled,
) -> state::Result<()> {
    let Some(contact) = accounts::get(tx, account)?.and_then(|account| account.email) else {
        return Ok(());
    };
    enqueue_mail(tx, at, account, &contact, KIND, notice)
}
