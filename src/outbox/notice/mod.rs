//! Notices: mails to an account's contact that are not about a milestone of an import.
//!
//! A notice is stored and delivered like a milestone. It is written in the same transaction as its
//! cause.

pub(super) mod endpoint_disabled;
pub(super) mod files_unclaimed;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::milestone::message_id;
use crate::account::AccountId;
use crate::state::deliveries::{self, Channel};
use crate::state::{self, Transaction};

/// The body of a notice, as it is stored in the state database.
#[derive(Serialize, Deserialize)]
pub(super) struct NoticeBody<T> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    pub data: T,
}

/// Writes a notice of the type `kind` and its delivery to `contact`, in the transaction of the
/// caller.
fn enqueue_mail<T: Serialize>(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    contact: &str,
    kind: &str,
    data: T,
) -> state::Result<()> {
    let body = NoticeBody { kind: kind.to_owned(), timestamp: at, data };
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
