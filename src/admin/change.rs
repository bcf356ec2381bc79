//! Makes the change that a request asks for. Uses the same functions as the commands that root
//! runs.

use jiff::Timestamp;

use super::check::{self, CheckedAccount, CheckedKey};
use super::failure::{before, failed, forbidden, of_admission};
use super::signature;
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::admission::{Admission, NewAccount, copy_account, open_or_create_registry};
use crate::config::Config;
use crate::key::NewKey;
use crate::registry::{self, Registry};
use crate::state::State;
use crate::wire::admin::{
    AccountWithState, AddAccount, AdminError, AdminRequest, Change, ChangeState, RevokeKey,
    RevokedKey, SaveKey, SavedKey, SuspendedAccount,
};

/// Checks a request and makes the requested change. `now` is the time of the change.
pub(super) fn make(
    config: &Config,
    request: &AdminRequest,
    now: Timestamp,
) -> Result<Change, AdminError> {
    match request {
        AdminRequest::SaveKey(request) => save_key(config, request, now),
        AdminRequest::RevokeKey(request) => revoke_key(config, request, now),
        AdminRequest::AddAccount(request) => add_account(config, request, now),
        AdminRequest::SuspendAccount(request) => suspend(config, request, now),
        AdminRequest::ResumeAccount(request) => resume(config, request, now),
    }
}

fn save_key(config: &Config, request: &SaveKey, now: Timestamp) -> Result<Change, AdminError> {
    check::by(&request.by)?;
    let checked = check::key(config, request, now)?;
    let registry = open_registry(config, &request.by).map_err(|error| failed(&error))?;
    if checked.needs_signature {
        let Some(signature) = &request.signature else {
            return Err(forbidden("the key needs a signature by a key that the account has"));
        };
        let text = signature::signed_text(config, &request.name, &checked, signature, now)?;
        signature::verify(&registry, &checked.account, &text, signature, now)?;
    }
    let CheckedKey { account, key, restrictions, .. } = checked;
    let state = open_state(config, &request.by)?;
    let admission = Admission::of_console(config, &registry);
    let new = NewKey { name: &request.name, key: &key, restrictions, again: false };
    let added = admission.add_key(&state, now, &account, new);
    let added = added.map_err(|error| of_admission(&error))?;
    Ok(Change::SavedKey(SavedKey {
        account: account.to_string(),
        name: added.key.name,
        fingerprint: added.key.fingerprint,
        published: added.account == AccountState::Active,
    }))
}

fn revoke_key(config: &Config, request: &RevokeKey, now: Timestamp) -> Result<Change, AdminError> {
    check::by(&request.by)?;
    let account = check::account("account", &request.account)?;
    let fingerprint = check::fingerprint(&request.fingerprint)?;
    let registry = open_registry(config, &request.by).map_err(|error| failed(&error))?;
    let admission = Admission::of_console(config, &registry);
    let revoked = admission.revoke_key(now, &account, fingerprint);
    let revoked = revoked.map_err(|error| of_admission(&error))?;
    copy(&admission, &request.by, now, &account)?;
    Ok(Change::RevokedKey(RevokedKey {
        account: account.to_string(),
        fingerprint: revoked.key.fingerprint,
        before: revoked.was_revoked,
    }))
}

fn add_account(
    config: &Config,
    request: &AddAccount,
    now: Timestamp,
) -> Result<Change, AdminError> {
    check::by(&request.by)?;
    check::account_policy(config)?;
    let CheckedAccount { id, contact, recipients } = check::new_account(request)?;
    let state = open_state(config, &request.by)?;
    let registry = match open_registry(config, &request.by) {
        Err(registry::Error::Missing(_)) => {
            open_or_create_registry(config, &state, &actor(&request.by))
                .map_err(|error| of_admission(&error))?
        }
        opened => opened.map_err(|error| failed(&error))?,
    };
    let new = NewAccount { id: &id, email: contact.as_deref(), recipients: &recipients };
    let added = Admission::of_console(config, &registry).add_account(&state, now, &new);
    let added = added.map_err(|error| of_admission(&error))?;
    Ok(with_state(&id, added.state))
}

fn suspend(config: &Config, request: &ChangeState, now: Timestamp) -> Result<Change, AdminError> {
    check::by(&request.by)?;
    check::account_policy(config)?;
    let id = check::account("id", &request.id)?;
    let registry = open_registry(config, &request.by).map_err(|error| failed(&error))?;
    let admission = Admission::of_console(config, &registry);
    let suspension = admission.suspend(now, &id).map_err(|error| of_admission(&error))?;
    copy(&admission, &request.by, now, &id)?;
    Ok(Change::SuspendedAccount(SuspendedAccount {
        account: id.to_string(),
        state: suspension.account.state.as_str().to_owned(),
        ended: suspension.ended as u64,
    }))
}

fn resume(config: &Config, request: &ChangeState, now: Timestamp) -> Result<Change, AdminError> {
    check::by(&request.by)?;
    check::account_policy(config)?;
    let id = check::account("id", &request.id)?;
    let registry = open_registry(config, &request.by).map_err(|error| failed(&error))?;
    let admission = Admission::of_console(config, &registry);
    let resumed = admission.resume(now, &id).map_err(|error| of_admission(&error))?;
    copy(&admission, &request.by, now, &id)?;
    Ok(with_state(&id, resumed.state))
}

fn with_state(id: &AccountId, state: AccountState) -> Change {
    let (account, state) = (id.to_string(), state.as_str().to_owned());
    Change::Account(AccountWithState { account, state })
}

/// Returns the name that the registry records as the actor of a change. `by` is the person's name,
/// which the broker sent. No user of this host can have the returned name.
fn actor(by: &str) -> String {
    format!("admin: {by}")
}

fn open_registry(config: &Config, by: &str) -> registry::Result<Registry> {
    Registry::open(&config.paths.admin, &actor(by))
}

fn open_state(config: &Config, by: &str) -> Result<State, AdminError> {
    let state = State::open(&config.paths.state_db()).map_err(|error| failed(&error))?;
    state.set_actor(by);
    Ok(state)
}

/// Copies the account from the registry to the state database. The change is already in force when
/// this function is called. The state database is opened only after the change, so that nobody can
/// prevent the change by locking the state database.
fn copy(
    admission: &Admission<'_>,
    by: &str,
    now: Timestamp,
    id: &AccountId,
) -> Result<(), AdminError> {
    let copied = open_state(admission.config, by).and_then(|state| {
        copy_account(admission.registry, &state, now, id).map_err(|error| of_admission(&error))
    });
    let not_copied = "the change is in force, but not yet in the state database";
    copied.map(drop).map_err(|error| before(not_copied, error))
}
