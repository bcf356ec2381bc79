//! Unix users and folders of accounts, brought to what the registry says.
//!
//! [`host::look`] finds out what is there, [`plan()`] decides (pure) on [`Step`]s, `apply` does
//! them; running it again finishes what a crash cut off. One provisioning at a time, by a lock. A
//! Unix user or group that is not ours is never touched, and is found before anything is written.

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
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

pub use host::{Host, look};
use lock::Turn;
pub use plan::{Plan, Refusal, plan};
pub use step::Step;

use crate::account::AccountId;
use crate::config::Config;
use crate::registry::{self, Account, Registry, accounts};

/// Why the host is not as the registry says.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The package's group or user is missing.
    #[error("this host has no {kind} {name}")]
    NotInstalled {
        /// `group` or `user`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Something of that name or id is not ours.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No id is left in the configured range.
    #[error(
        "no Unix user id is free from {first} to {last} (accounts.first-uid, accounts.last-uid)"
    )]
    NoFreeUid {
        /// First of the range.
        first: u32,
        /// Last of the range.
        last: u32,
    },
    /// One of useradd, groupadd, usermod, groupmod, userdel, groupdel.
    #[error("{tool} failed for {name}: {message}")]
    Tool {
        /// The tool's name.
        tool: &'static str,
        /// For which user or group.
        name: String,
        /// What it said.
        message: String,
    },
    /// A file or folder.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Processes that outlive SIGKILL.
    #[error("processes of Unix user id {0} do not end")]
    Sessions(u32),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
}

impl ProvisionError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotInstalled { .. } => {
                Some("`systemd-sysusers sftp-import.conf` makes it, as the package does")
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

/// Keeps every provisioning of this host waiting until it is dropped.
#[derive(Debug)]
#[must_use = "dropped, it lets provisioning go on"]
pub struct Held {
    _turn: Turn,
}

/// Waits until no one provisions, and keeps others from it.
///
/// # Errors
/// The lock can't be taken.
pub fn hold(config: &Config) -> Result<Held, ProvisionError> {
    Ok(Held { _turn: Turn::take(config)? })
}

/// Whether an account `id` could be given a Unix user here: asked before its row is written.
///
/// # Errors
/// The package's group or user is missing, or the name belongs to somebody else.
pub fn check_new(config: &Config, id: &AccountId) -> Result<(), ProvisionError> {
    let host = look(config, std::slice::from_ref(id))?;
    Ok(plan::check_name(id, None, &host)?)
}

/// Gives `account` a Unix user id in the registry, if it has none.
///
/// # Errors
/// As [`ensure`].
pub fn assign_uid(
    config: &Config,
    registry: &Registry,
    account: &AccountId,
) -> Result<(), ProvisionError> {
    let _turn = Turn::take(config)?;
    let host = look(config, std::slice::from_ref(account))?;
    with_uid(config, registry, account, &host).map(drop)
}

/// Makes the Unix user and the folders of `account` be there, and notes the user's id in the
/// registry.
///
/// # Errors
/// The name is not ours, or the host failed us. What was done by then stays, and counts when this
/// runs again.
pub fn ensure(
    config: &Config,
    registry: &Registry,
    account: &AccountId,
) -> Result<(), ProvisionError> {
    let turn = Turn::take(config)?;
    let host = look(config, std::slice::from_ref(account))?;
    let Some(row) = with_uid(config, registry, account, &host)? else { return Ok(()) };
    carry_out(config, &turn, &[row], &host)
}

/// Ends every process of the account's Unix user, and returns how many there were.
///
/// # Errors
/// The user is not ours, or processes do not end.
pub fn end_sessions(config: &Config, row: &Account) -> Result<usize, ProvisionError> {
    let Some(uid) = row.uid else { return Ok(0) };
    let host = look(config, std::slice::from_ref(&row.id))?;
    plan::check_processes(&row.id, uid, &host)?;
    sessions::end(uid)
}

/// Ends the sessions of an account that is being removed, and takes its folders, Unix user and
/// group away.
///
/// # Errors
/// As [`ensure`].
pub fn remove(config: &Config, row: &Account) -> Result<(), ProvisionError> {
    let turn = Turn::take(config)?;
    let host = look(config, std::slice::from_ref(&row.id))?;
    carry_out(config, &turn, std::slice::from_ref(row), &host)
}

/// Whether this host has a user, a group or folders of `account`, although the registry need not
/// know it; what is somebody else's does not count.
///
/// # Errors
/// The host can't be looked at.
pub fn is_left(config: &Config, account: &AccountId) -> Result<bool, ProvisionError> {
    match look(config, std::slice::from_ref(account)) {
        Ok(host) => Ok(!plan::steps_to_remove_left(account, &host).is_empty()),
        Err(ProvisionError::NotInstalled { .. }) => Ok(false), // a host that only ingests
        Err(error) => Err(error),
    }
}

/// Ends the sessions of an account that the registry doesn't know, as after a restore, and takes
/// away what this host has of it.
///
/// # Errors
/// As [`ensure`].
pub fn remove_left(
    config: &Config,
    registry: &Registry,
    account: &AccountId,
) -> Result<(), ProvisionError> {
    let turn = Turn::take(config)?;
    let host = match look(config, std::slice::from_ref(account)) {
        Err(ProvisionError::NotInstalled { .. }) => return Ok(()),
        host => host?,
    };
    // Asked while nobody else provisions: one that was added meanwhile keeps what it has.
    match registry.read(|tx| accounts::get(tx, account))? {
        Some(_) => Ok(()),
        None => apply::apply(config, &turn, &plan::steps_to_remove_left(account, &host)),
    }
}

/// Brings every account's user and folders to what the registry says; what there is of accounts that
/// are being removed goes, and their keys must no longer be published. Returns what was done and
/// whom it was refused for.
///
/// # Errors
/// As [`ensure`]; one account's refusal stops no other.
pub fn reconcile(config: &Config, registry: &Registry) -> Result<Plan, ProvisionError> {
    let turn = Turn::take(config)?;
    let rows = registry.read(accounts::list)?;
    let ids: Vec<AccountId> = rows.iter().map(|row| row.id.clone()).collect();
    let plan = plan(&rows, &look(config, &ids)?);
    apply::apply(config, &turn, &plan.steps)?;
    Ok(plan)
}

fn carry_out(
    config: &Config,
    turn: &Turn,
    rows: &[Account],
    host: &Host,
) -> Result<(), ProvisionError> {
    let mut plan = plan(rows, host);
    match plan.refusals.pop() {
        Some(refusal) => Err(refusal.into()),
        None => apply::apply(config, turn, &plan.steps),
    }
}

/// The account's row with a Unix user id that is its own already or is free.
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

/// The lowest id of the range that is neither a user's nor a group's nor promised to an account.
fn free_uid(config: &Config, rows: &[Account], host: &Host) -> Result<u32, ProvisionError> {
    let (first, last) = (config.accounts.first_uid, config.accounts.last_uid);
    let promised: HashSet<u32> = rows.iter().filter_map(|row| row.uid).collect();
    (first..=last)
        .find(|id| !promised.contains(id) && !host.is_taken(*id))
        .ok_or(ProvisionError::NoFreeUid { first, last })
}
