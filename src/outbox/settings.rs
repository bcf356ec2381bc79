//! Changes the endpoints of an account: saves, enables, removes or chooses an endpoint, or replaces
//! its secret. Each change and its line in the activity log are written in one transaction.

use std::io;

use jiff::Timestamp;

use super::webhook::endpoint::{InvalidEndpoint, check_name, check_url};
use super::webhook::signature::Secret;
use crate::account::AccountId;
use crate::config::Webhooks;
use crate::state::endpoints::{self, AddOutcome};
use crate::state::{self, State, Transaction, accounts, activity};

/// The reason why an endpoint was not changed.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error(transparent)]
    Invalid(#[from] InvalidEndpoint),
    #[error("there is no account {0}")]
    NoAccount(AccountId),
    #[error("account {account} already has an endpoint {name}")]
    NameTaken { account: AccountId, name: String },
    #[error("account {account} has no endpoint {name}")]
    NoEndpoint { account: AccountId, name: String },
    /// The system's random numbers can't be read.
    #[error(transparent)]
    Random(#[from] io::Error),
    /// The time at which the old secret expires is too far in the future.
    #[error(transparent)]
    Time(#[from] jiff::Error),
    #[error(transparent)]
    State(#[from] state::Error),
}

/// The result of [`rotate_secret`].
pub struct RotatedSecret {
    /// The new secret, which begins with `whsec_`. The secret can't be read again later.
    pub secret: String,
    /// The time until which webhooks are also signed with the old secret.
    pub old_secret_until: Timestamp,
}

/// Saves an endpoint. Returns its secret, which begins with `whsec_`. The secret can't be read
/// again later. The addresses of the URL's host are not checked by this function, but by
/// [`super::SsrfGuard`].
pub fn save_endpoint(
    state: &State,
    at: Timestamp,
    account: &AccountId,
    name: &str,
    url: &str,
) -> Result<String, EndpointError> {
    check_name(name)?;
    check_url(url)?;
    let secret = Secret::generate()?.reveal();
    state.write(|tx| match endpoints::add(tx, at, account, name, url, &secret)? {
        AddOutcome::Added => {
            let detail = format!("{name}: {url}");
            Ok(activity::log(tx, at, Some(account), None, "webhook.added", &detail)?)
        }
        AddOutcome::NoAccount => Err(EndpointError::NoAccount(account.clone())),
        AddOutcome::NameTaken => {
            Err(EndpointError::NameTaken { account: account.clone(), name: name.to_owned() })
        }
    })?;
    Ok(secret)
}

/// Replaces the secret of an endpoint. During the period `webhooks.old_secret_for`, webhooks are
/// also signed with the old secret.
pub fn rotate_secret(
    state: &State,
    webhooks: &Webhooks,
    at: Timestamp,
    account: &AccountId,
    name: &str,
) -> Result<RotatedSecret, EndpointError> {
    let secret = Secret::generate()?.reveal();
    let old_secret_until = at.checked_add(webhooks.old_secret_for.get())?;
    change(state, at, account, name, "webhook.rotated", |tx| {
        endpoints::rotate_secret(tx, account, name, &secret, old_secret_until)
    })?;
    Ok(RotatedSecret { secret, old_secret_until })
}

/// Enables a disabled endpoint.
pub fn enable_endpoint(
    state: &State,
    at: Timestamp,
    account: &AccountId,
    name: &str,
) -> Result<(), EndpointError> {
    change(state, at, account, name, "webhook.enabled", |tx| endpoints::enable(tx, account, name))
}

/// Removes an endpoint and gives up its pending deliveries.
pub fn remove_endpoint(
    state: &State,
    at: Timestamp,
    account: &AccountId,
    name: &str,
) -> Result<(), EndpointError> {
    change(state, at, account, name, "webhook.removed", |tx| {
        endpoints::remove(tx, at, account, name)
    })
}

/// Chooses the endpoint that gets the account's milestones. If the name is `None`, no endpoint gets
/// the milestones.
pub fn choose_endpoint(
    tx: &Transaction<'_>,
    at: Timestamp,
    account: &AccountId,
    name: Option<&str>,
) -> Result<(), EndpointError> {
    if accounts::set_webhook(tx, at, account, name)? {
        return Ok(());
    }
    let account = account.clone();
    Err(match name {
        Some(name) => EndpointError::NoEndpoint { account, name: name.to_owned() },
        None => EndpointError::NoAccount(account),
    })
}

/// Changes an endpoint and logs the change.
fn change(
    state: &State,
    at: Timestamp,
    account: &AccountId,
    name: &str,
    action: &str,
    change: impl FnOnce(&Transaction<'_>) -> state::Result<bool>,
) -> Result<(), EndpointError> {
    state.write(|tx| {
        if !change(tx)? {
            let (account, name) = (account.clone(), name.to_owned());
            return Err(EndpointError::NoEndpoint { account, name });
        }
        Ok(activity::log(tx, at, Some(account), None, action, name)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipient::RecipientRule;

    #[test]
    fn only_completed_endpoint_changes_are_logged() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state.db")).unwrap();
        let (at, acme) = (Timestamp::UNIX_EPOCH, "acme".parse().unwrap());
        let choose = |name| state.write(|tx| choose_endpoint(tx, at, &acme, name));
        let save = |name, url| save_endpoint(&state, at, &acme, name, url);
        let url = "https://crm.example/in";
        assert!(matches!(save("crm", url), Err(EndpointError::NoAccount(_))));
        assert!(matches!(choose(None), Err(EndpointError::NoAccount(_))));
        state.write(|tx| accounts::add(tx, at, &acme, None, &RecipientRule::Any)).unwrap();
        assert!(matches!(choose(Some("crm")), Err(EndpointError::NoEndpoint { .. })));
        assert!(matches!(save("c r m", url), Err(EndpointError::Invalid(_))));
        assert!(matches!(save("crm", "x"), Err(EndpointError::Invalid(_))));

        let secret = save("crm", url).unwrap();
        assert!(matches!(save("crm", url), Err(EndpointError::NameTaken { .. })));
        choose(Some("crm")).unwrap();
        let rotated = rotate_secret(&state, &Webhooks::default(), at, &acme, "crm").unwrap();
        let target = state.read(|tx| endpoints::find_target(tx, "acme", "crm", at)).unwrap();
        let target = target.unwrap();
        assert_eq!((target.secret, target.old_secret), (rotated.secret, Some(secret)));
        enable_endpoint(&state, at, &acme, "crm").unwrap();
        remove_endpoint(&state, at, &acme, "crm").unwrap();
        for refused in [
            rotate_secret(&state, &Webhooks::default(), at, &acme, "crm").map(drop),
            enable_endpoint(&state, at, &acme, "crm"),
            remove_endpoint(&state, at, &acme, "crm"),
        ] {
            assert!(matches!(refused, Err(EndpointError::NoEndpoint { .. })));
        }
        let log = state.read(|tx| activity::recent(tx, None, 100)).unwrap();
        let actions: Vec<&str> = log.iter().map(|line| line.action.as_str()).collect();
        assert_eq!(
            actions,
            [
                "account.added",
                "webhook.added",
                "account.changed",
                "webhook.rotated",
                "webhook.enabled",
                "webhook.removed"
            ]
        );
    }
}
