//! Makes the errors for answers to the broker. The text of an error is one line of limited length.

use std::error::Error;

use crate::admission::AdmissionError;
use crate::key::KeyError;
use crate::provision::ProvisionError;
use crate::sanitize::{chain, printable_start};
use crate::wire::admin::{AdminError, ErrorCode};

/// The maximum number of characters of an error text.
const MAX_TEXT: usize = 1000;

fn error(code: ErrorCode, text: &str) -> AdminError {
    AdminError { code, field: None, after: None, text: printable_start(text, MAX_TEXT) }
}

/// Returns the error for a request that is not valid as a whole.
pub(super) fn invalid_request(text: &str) -> AdminError {
    error(ErrorCode::Invalid, text)
}

/// Returns the error for a request in which the field `field` is not valid.
pub(super) fn invalid(field: &str, text: &str) -> AdminError {
    AdminError { field: Some(field.to_owned()), ..error(ErrorCode::Invalid, text) }
}

pub(super) fn forbidden(text: &str) -> AdminError {
    error(ErrorCode::Forbidden, text)
}

pub(super) fn failed(cause: &dyn Error) -> AdminError {
    error(ErrorCode::Failed, &chain(cause))
}

pub(super) fn failed_configuration() -> AdminError {
    error(ErrorCode::Failed, "the configuration is not valid; root's journal has the fault")
}

/// Inserts `text` at the start of an error's text.
pub(super) fn before(text: &str, error: AdminError) -> AdminError {
    AdminError { text: printable_start(&format!("{text}: {}", error.text), MAX_TEXT), ..error }
}

/// Returns the error for a change that was not made or not completed.
pub(super) fn of_admission(cause: &AdmissionError) -> AdminError {
    use ErrorCode::{Conflict, Failed, Invalid, NotFound, NotOurs, TooMany};
    let (code, field) = match cause {
        AdmissionError::NoAccount(_) => (NotFound, Some("account")),
        AdmissionError::AccountExists(_) | AdmissionError::NotApproved(_) => (Conflict, Some("id")),
        AdmissionError::Removing(_) | AdmissionError::Unfinished { .. } => (Conflict, None),
        AdmissionError::TooManyKeys { .. } | AdmissionError::HourlyLimit { .. } => (TooMany, None),
        AdmissionError::Provision(ProvisionError::Refused(_)) => (NotOurs, None),
        AdmissionError::Key(key) => match key {
            KeyError::NoAccount(_) => (NotFound, Some("account")),
            KeyError::NoKey { .. } => (NotFound, Some("fingerprint")),
            KeyError::Removing(_) => (Conflict, None),
            KeyError::Name(_) => (Invalid, Some("name")),
            KeyError::NameTaken { .. } => (Conflict, Some("name")),
            KeyError::Duplicate { .. } | KeyError::RevokedBefore { .. } => (Conflict, Some("key")),
            KeyError::Registry(_) => (Failed, None),
        },
        AdmissionError::Provision(_)
        | AdmissionError::Publish(_)
        | AdmissionError::Registry(_)
        | AdmissionError::State(_) => (Failed, None),
    };
    let after = match cause {
        AdmissionError::HourlyLimit { wait, .. } => Some(wait.as_secs().max(1)),
        _ => None,
    };
    AdminError { field: field.map(str::to_owned), after, ..error(code, &chain(cause)) }
}
