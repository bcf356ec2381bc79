//! Checks the mail addresses and domains of a new account. This module does no I/O.

use email_address::EmailAddress;

use crate::manifest::is_address;

/// The error for a text that is not a valid mail address or domain of an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecipient {
    #[error("{0:?} is not an email address")]
    Address(String),
    #[error("{0:?} is not a domain such as example.com")]
    Domain(String),
}

/// Checks a mail address.
pub fn check_address(text: &str) -> Result<String, InvalidRecipient> {
    match is_address(text) {
        true => Ok(text.to_owned()),
        false => Err(InvalidRecipient::Address(text.to_owned())),
    }
}

/// Checks a domain, and returns it in lower case.
pub fn check_domain(text: &str) -> Result<String, InvalidRecipient> {
    match format!("x@{text}").parse::<EmailAddress>() {
        Ok(_) if !text.contains(['@', '[', '<']) => Ok(text.to_ascii_lowercase()),
        _ => Err(InvalidRecipient::Domain(text.to_owned())),
    }
}
