//! Checks the fields of a request against the configuration. The look up of the peer's user is the
//! only I/O.

use jiff::Timestamp;
use nix::unistd::User;

use super::failure::{failed, forbidden, invalid, of_admission};
use crate::account::AccountId;
use crate::admission::{AdmissionError, check_address, check_domain};
use crate::config::{AccountPolicy, Config, KeyPolicy};
use crate::key::parse::KeyFileError;
use crate::key::{self, KeyRestrictions, PublicKey};
use crate::recipient::RecipientRule;
use crate::sanitize::is_unprintable;
use crate::wire::admin::{AddAccount, AdminError, SaveKey};

/// The maximum number of characters of the name of the person who asks for a change.
const MAX_BY: usize = 256;
/// The maximum number of domains that an account may have.
const MAX_DOMAINS: usize = 100;

/// A key that passed the checks.
#[derive(Debug)]
pub(super) struct CheckedKey {
    pub account: AccountId,
    pub key: PublicKey,
    pub restrictions: KeyRestrictions,
    /// True if a signature by the account is required.
    pub needs_signature: bool,
}

/// An account that passed the checks.
#[derive(Debug)]
pub(super) struct CheckedAccount {
    pub id: AccountId,
    pub contact: Option<String>,
    pub recipients: RecipientRule,
}

/// Checks that the peer is root or the broker. The broker runs as the same user as the daemon.
pub(super) fn peer(config: &Config, uid: u32) -> Result<(), AdminError> {
    if uid == 0 {
        return Ok(());
    }
    let service = User::from_name(&config.accounts.service_user);
    match service.map_err(|error| failed(&error))? {
        Some(service) if service.uid.as_raw() == uid => Ok(()),
        _ => Err(forbidden(&format!("user id {uid} may not change accounts and keys"))),
    }
}

/// Checks the name of the person who asks for a change.
pub(super) fn by(text: &str) -> Result<(), AdminError> {
    short_text("by", text)
}

fn short_text(field: &str, text: &str) -> Result<(), AdminError> {
    let is_valid =
        (1..=MAX_BY).contains(&text.chars().count()) && !text.chars().any(is_unprintable);
    match is_valid {
        true => Ok(()),
        false => Err(invalid(field, "must have 1 to 256 printable characters")),
    }
}

/// Parses the id of an account in `field`.
pub(super) fn account(field: &str, id: &str) -> Result<AccountId, AdminError> {
    id.parse().map_err(|error| invalid(field, &format!("{error}")))
}

/// Checks that the configuration allows changes of accounts.
pub(super) fn account_policy(config: &Config) -> Result<(), AdminError> {
    match config.web.accounts {
        AccountPolicy::Operators => Ok(()),
        AccountPolicy::Root => {
            Err(forbidden("accounts are changed by root's commands only ([web] accounts)"))
        }
    }
}

/// Checks all fields of a request to save a key, except the signature. Also checks that the
/// configuration allows the key.
pub(super) fn key(
    config: &Config,
    request: &SaveKey,
    now: Timestamp,
) -> Result<CheckedKey, AdminError> {
    let account = account("account", &request.account)?;
    let needs_signature = match config.key_policy_of(&account) {
        // Only the broker can distinguish owners from operators.
        KeyPolicy::Owners | KeyPolicy::Operators => false,
        KeyPolicy::Signed => true,
        KeyPolicy::Root => {
            return Err(forbidden("keys are added by root's commands only ([web] keys)"));
        }
    };
    short_text("confirmation", &request.confirmation)?;
    key::check_name(&request.name).map_err(|error| of_admission(&AdmissionError::Key(error)))?;
    let key = PublicKey::from_file(request.key.as_bytes())
        .map_err(|error| invalid("key", &explain(&error)))?;
    let from = request.from.as_deref().map(key::parse_from_hosts).transpose();
    let from = from.map_err(|error| invalid("from", &error.to_string()))?;
    let expires_at = request.expires.as_deref().map(|text| key::parse_expiry(text, now));
    let expires_at =
        expires_at.transpose().map_err(|error| invalid("expires", &error.to_string()))?;
    let restrictions = KeyRestrictions { from, expires_at };
    Ok(CheckedKey { account, key, restrictions, needs_signature })
}

/// Returns a text that describes the error in a key and, if possible, how to correct it.
fn explain(error: &KeyFileError) -> String {
    match (error, error.hint()) {
        // The text of the error names options of the command `key add`. The console has fields
        // instead of these options.
        (KeyFileError::Options, _) => {
            "there are options in front of the key: limit the key by its fields instead".to_owned()
        }
        (error, Some(hint)) => format!("{error}; {hint}"),
        (error, None) => error.to_string(),
    }
}

/// Checks that `text` is the fingerprint of a key. The name of a key is not accepted.
pub(super) fn fingerprint(text: &str) -> Result<&str, AdminError> {
    match text.starts_with("SHA256:") && text.len() < 100 {
        true => Ok(text),
        false => Err(invalid("fingerprint", "must begin with SHA256:")),
    }
}

/// Checks the fields of a new account.
pub(super) fn new_account(request: &AddAccount) -> Result<CheckedAccount, AdminError> {
    let id = account("id", &request.id)?;
    let contact = request.contact.as_deref().map(check_address).transpose();
    let contact = contact.map_err(|error| invalid("contact", &error.to_string()))?;
    let domains: Result<Vec<String>, _> =
        request.domains.iter().map(|domain| check_domain(domain)).collect();
    let domains = domains.map_err(|error| invalid("domains", &error.to_string()))?;
    if domains.len() > MAX_DOMAINS {
        return Err(invalid("domains", "must be at most 100 domains"));
    }
    if contact.is_none() && domains.is_empty() {
        return Err(invalid("contact", "an account needs a contact or a domain"));
    }
    let domains = Some(domains).filter(|domains| !domains.is_empty());
    let recipients = RecipientRule::limited(contact.as_deref(), Vec::new(), domains);
    Ok(CheckedAccount { id, contact, recipients })
}
