//! Creates and removes the Unix users and folders of accounts, as the registry lists them.
//!
//! [`host::look`] reads the host, [`plan()`] decides on [`Step`]s (pure), and `apply` carries them
//! out. Running it again after a crash completes the work. A lock allows one provisioning at a
//! time. Users and groups that we did not create are never changed, and are detected before
//! anything is written.

mod apply;
mod folders;
pub mod host;
mod lock;
mod plan;
mod sessions;
mod shadow_utils;
mod step;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use jiff::Timestamp;

pub use host::{Host, look};
use lock::ProvisionLock;
pub use plan::{Plan, Refusal, plan};
pub use step::Step;

use crate::account::AccountId;
use crate::config::Config;
use crate::files::IoError;
use crate::registry::{self, Account, Registry, accounts};

/// Why users and folders could not be made as the registry lists them.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The group or user that the package creates is missing. `kind` is `group` or `user`.
    #[error("this host has no {kind} {name}")]
    NotInstalled { kind: &'static str, name: String },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(
        "no Unix user id is free from {first} to {last} (accounts.first-uid, accounts.last-uid)"
    )]
    NoFreeUid { first: u32, last: u32 },
    /// useradd(8) or another tool of its family failed. `name` is the user or group.
    #[error("{tool} failed for {name}: {message}")]
    Tool { tool: &'static str, name: String, message: String },
    #[error(transparent)]
    Io(#[from] IoError),
    /// Processes have survived SIGKILL.
    #[error("processes of Unix user id {0} do not end")]
    Sessions(u32),
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl ProvisionError {
    /// Returns what the administrator can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotInstalled { .. } => {
                Some("`systemd-sysusers sftp-import.conf` creates it, as the package does")
            }
            Self::Refused(Refusal::Folder(_)) => Some("move it away"),
            Self::Refused(Refusal::Range { .. }) => {
                Some("if it is to be an account's, widen the range in the configuration")
            }
            Self::Refused(_) => Some("choose another account id, or remove what has that name"),
            Self::NoFreeUid { .. } => Some("widen the range in the configuration"),
            _ => None,
        }
    }
}

/// Prevents provisioning on this host until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it allows provisioning again"]
pub struct Held {
    _turn: ProvisionLock,
}

/// Waits until no process provisions, then prevents others from starting.
pub fn hold(config: &Config) -> Result<Held, ProvisionError> {
    Ok(Held { _turn: ProvisionLock::acquire(config)? })
}

/// Checks that this host can have a Unix user for the new account `id`, before its row is written.
///
/// # Errors
/// A user or group of that name exists and is not one that we created.
pub fn check_new(config: &Config, id: &AccountId) -> Result<(), ProvisionError> {
    let host = look(config, std::slice::from_ref(id))?;
    Ok(plan::check_name(id, None, &host)?)
}

/// Assigns a Unix user id to `account` in the registry, if it has none.
pub fn assign_uid(
    config: &Config,
    registry: &Registry,
    account: &AccountId,
) -> Result<(), ProvisionError> {
    let _turn = ProvisionLock::acquire(config)?;
    let host = look(config, std::slice::from_ref(account))?;
    with_uid(config, registry, account, &host).map(drop)
}

/// Creates the Unix user and the folders of `account` unless they exist, and writes the user's id
/// to the registry. After an error, running it again completes the work.
pub fn ensure(
    config: &Config,
    registry: &Registry,
    account: &AccountId,
) -> Result<(), ProvisionError> {
    let turn = ProvisionLock::acquire(config)?;
    let host = look(config, std::slice::from_ref(account))?;
    let Some(row) = with_uid(config, registry, account, &host)? else { return Ok(()) };
    carry_out(config, &turn, &[row], &host)
}

/// Ends every process of the account's Unix user, and returns their number.
pub fn end_sessions(config: &Config, row: &Account) -> Result<usize, ProvisionError> {
    let Some(uid) = row.uid else { return Ok(0) };
    let host = look(config, std::slice::from_ref(&row.id))?;
    plan::check_processes(&row.id, uid, &host)?;
    sessions::end(uid)
}

/// Ends the sessions of an account that is being removed, then removes its folders, Unix user and
/// group.
pub fn remove(config: &Config, row: &Account) -> Result<(), ProvisionError> {
    let turn = ProvisionLock::acquire(config)?;
    let host = look(config, std::slice::from_ref(&row.id))?;
    carry_out(config, &turn, std::slice::from_ref(row), &host)
}

/// Whether this host has a user, a group or folders of `account`, which need not be in the
/// registry. A user or group that we did not create does not count.
pub fn is_left(config: &Config, account: &AccountId) -> Result<bool, ProvisionError> {
    match look(config, std::slice::from_ref(account)) {
        Ok(host) => Ok(!plan::steps_to_remove_left(account, &host).is_empty()),
        Err(ProvisionError::NotInstalled { .. }) => Ok(false), // a host that only ingests
        Err(error) => Err(error),
    }
}

/// Ends the sessions of an account that is not in the registry, as after a restore, and removes
/// what this host has of it.
pub fn remove_left(
    config: &Config,
    registry: &Registry,
    account: &AccountId,
) -> Result<(), ProvisionError> {
    let turn = ProvisionLock::acquire(config)?;
    let host = match look(config, std::slice::from_ref(account)) {
        Err(ProvisionError::NotInstalled { .. }) => return Ok(()),
        host => host?,
    };
    // Check under the lock: an account that another command has just added keeps its user.
    match registry.read(|tx| accounts::get(tx, account))? {
        Some(_) => Ok(()),
        None => apply::apply(config, &turn, &plan::steps_to_remove_left(account, &host)),
    }
}

/// Creates or fixes the user and folders of every account in the registry, and removes those of
/// accounts that are being removed. The keys of the latter must be unpublished before. Returns the
/// steps that were carried out, and the accounts that were refused. A refusal does not affect other
/// accounts.
pub fn reconcile(config: &Config, registry: &Registry) -> Result<Plan, ProvisionError> {
    let turn = ProvisionLock::acquire(config)?;
    let rows = registry.read(accounts::list)?;
    let ids: Vec<AccountId> = rows.iter().map(|row| row.id.clone()).collect();
    let plan = plan(&rows, &look(config, &ids)?);
    apply::apply(config, &turn, &plan.steps)?;
    Ok(plan)
}

fn carry_out(
    config: &Config,
    turn: &ProvisionLock,
    rows: &[Account],
    host: &Host,
) -> Result<(), ProvisionError> {
    let mut plan = plan(rows, host);
    match plan.refusals.pop() {
        Some(refusal) => Err(refusal.into()),
        None => apply::apply(config, turn, &plan.steps),
    }
}

/// Returns the account's row after giving it a Unix user id: the one that it has, or a free one.
/// `None` if the account is not in the registry.
fn with_uid(
    config: &Config,
    registry: &Registry,
    account: &AccountId,
    host: &Host,
) -> Result<Option<Account>, ProvisionError> {
    registry.write(|tx| {
        let Some(mut row) = accounts::get(tx, account)? else { return Ok(None) };
        plan::check_name(account, row.uid, host)?;
        let uid = match (host.users.get(account.as_str()), row.uid) {
            (Some(ours), _) => ours.uid,
            (None, Some(uid)) if !host.has_other_name(uid, account) => uid,
            (None, _) => free_uid(config, &accounts::list(tx)?, host)?,
        };
        accounts::set_uid(tx, Timestamp::now(), account, uid)?;
        row.uid = Some(uid);
        Ok(Some(row))
    })
}

/// Returns the lowest id of the range that no user, group or account has.
fn free_uid(config: &Config, rows: &[Account], host: &Host) -> Result<u32, ProvisionError> {
    let (first, last) = (config.accounts.first_uid, config.accounts.last_uid);
    let promised: HashSet<u32> = rows.iter().filter_map(|row| row.uid).collect();
    (first..=last)
        .find(|id| !promised.contains(id) && !host.is_taken(*id))
        .ok_or(ProvisionError::NoFreeUid { first, last })
}
