//! Logs a request to the journal: one line before the change, and one line with the result of the
//! change.
//!
//! Both lines have the fields ACCOUNT, VERB, BY, CLIENT and OUTCOME, and a MESSAGE_ID that depends
//! on the verb (docs/metrics.md). A process of root writes the lines, so the broker can't remove
//! them.

use crate::sanitize::printable_start;
use crate::wire::admin::{AdminError, AdminRequest, Change, RevokeKey, SaveKey};

/// The maximum number of characters of each text in a line of the journal.
const MAX_TEXT: usize = 256;

/// The values of a request's fields in the journal. The values are escaped and have a limited
/// length.
#[derive(Debug)]
pub(super) struct JournalEntry {
    verb: &'static str,
    message_id: &'static str,
    account: String,
    by: String,
    /// The network address of the person who asked for the change, or `-` if the broker does not
    /// know the address.
    client: String,
    /// The part of the log message that names the key of the request. Empty if the request has no
    /// key.
    what: String,
}

impl JournalEntry {
    pub fn of(request: &AdminRequest) -> Self {
        let (account, by, client) = match request {
            AdminRequest::SaveKey(of) => (&of.account, &of.by, of.client),
            AdminRequest::RevokeKey(of) => (&of.account, &of.by, of.client),
            AdminRequest::AddAccount(of) => (&of.id, &of.by, of.client),
            AdminRequest::SuspendAccount(of) | AdminRequest::ResumeAccount(of) => {
                (&of.id, &of.by, of.client)
            }
        };
        let shown = |text: &str| printable_start(text, MAX_TEXT);
        let what = match request {
            AdminRequest::SaveKey(SaveKey { name, confirmation, .. }) => {
                format!(", key {}, confirmed by {}", shown(name), shown(confirmation))
            }
            AdminRequest::RevokeKey(RevokeKey { fingerprint, .. }) => {
                format!(", key {}", shown(fingerprint))
            }
            _ => String::new(),
        };
        let (verb, message_id) = verb_and_message_id(request);
        let client = client.map_or("-".to_owned(), |client| client.to_string());
        Self { verb, message_id, account: shown(account), by: shown(by), client, what }
    }

    /// Logs the request. Must be called before the requested change is made.
    pub fn log_request(&self) {
        let Self { verb, message_id, account, by, client, what } = self;
        tracing::info!(
            account,
            verb,
            by,
            client,
            message_id,
            outcome = "requested",
            "{verb} of account {account} requested by {by} from {client}{what}"
        );
    }

    /// Logs the result of the request.
    pub fn log_result(&self, result: &Result<Change, AdminError>) {
        let Self { verb, message_id, account, by, client, .. } = self;
        match result {
            Ok(change) => {
                let detail = describe(change);
                tracing::info!(
                    account,
                    verb,
                    by,
                    client,
                    message_id,
                    outcome = "done",
                    "{verb} of account {account} by {by} done{detail}"
                );
            }
            Err(error) => {
                let (outcome, text) = (error.code.as_str(), &error.text);
                tracing::warn!(
                    account,
                    verb,
                    by,
                    client,
                    message_id,
                    outcome,
                    "{verb} of account {account} by {by} not done: {text}"
                );
            }
        }
    }
}

fn describe(change: &Change) -> String {
    match change {
        Change::SavedKey(key) => format!(": key {}", key.fingerprint),
        Change::RevokedKey(key) => format!(": key {}", key.fingerprint),
        Change::SuspendedAccount(account) => format!(": {} processes ended", account.ended),
        Change::Account(_) => String::new(),
    }
}

/// Returns the verb of a request, and the MESSAGE_ID of its lines in the journal
/// (systemd.journal-fields(7)). The MESSAGE_IDs must never change.
fn verb_and_message_id(request: &AdminRequest) -> (&'static str, &'static str) {
    match request {
        AdminRequest::SaveKey(_) => ("key.save", "3b8f6d21c09e4f7a9d54e1a07c62b8f3"),
        AdminRequest::RevokeKey(_) => ("key.revoke", "e61a0c97f3d84b25b87c4d90a1f5e26b"),
        AdminRequest::AddAccount(_) => ("account.add", "8c25e7b4a6f1493d80b9f37d5e1c04a6"),
        AdminRequest::SuspendAccount(_) => ("account.suspend", "d70f4a1be95c4c688a3e26b1c7f0d954"),
        AdminRequest::ResumeAccount(_) => ("account.resume", "52c9b8e07d3a4e16b5f8a04c9e6d713f"),
    }
}
