//! Creates and removes the Unix users and folders of accounts to match the registry.
//!
//! [`Host::read`] reads the host, [`plan()`] decides on [`Step`]s (pure), and `apply` carries them
//! out. After a crash, a second run completes the work. A lock allows only one provisioning at a
//! time. Users and groups that this program did not create are never changed. They are detected
//! before anything is written.

mod error;
mod folders;
pub mod host;
mod lock;
pub mod plan;
mod sessions;
mod shadow_utils;
mod step;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use jiff::Timestamp;

pub use error::{ProvisionError, Refusal, Result};
pub use host::Host;
pub use lock::ProvisionLock;
pub use plan::{ProvisionPlan, plan};
use shadow_utils::ShadowUtils;
pub use step::Step;

use crate::account::AccountId;
use crate::config::Config;
use crate::registry::{Account, Registry, accounts};
use crate::spool::Layout;

/// Checks that this host can have a Unix user for the new account `id`. The check runs before the
/// account's row is written.
///
/// # Errors
/// A user or group with the same name exists, and this program did not create it.
pub fn check_new_account(config: &Config, id: &AccountId) -> Result<()> {
    let host = Host::read_for(config, id)?;
    Ok(plan::check_name(id, None, &host)?)
}

/// Assigns a Unix user id to `account` in the registry if the account has none.
pub fn assign_uid(config: &Config, registry: &Registry, account: &AccountId) -> Result<()> {
    let _lock = ProvisionLock::acquire(config)?;
    let host = Host::read_for(config, account)?;
    row_with_uid(config, registry, account, &host).map(drop)
}

/// Creates the Unix user and the folders of `account` unless they exist. Writes the user's id to
/// the registry. After an error, a second run completes the work.
pub fn ensure_account(config: &Config, registry: &Registry, account: &AccountId) -> Result<()> {
    let lock = ProvisionLock::acquire(config)?;
    let host = Host::read_for(config, account)?;
    let Some(row) = row_with_uid(config, registry, account, &host)? else { return Ok(()) };
    plan_and_apply(config, &lock, &row, &host)
}

/// Ends every process of the account's Unix user. Returns the number of these processes.
pub fn end_sessions(config: &Config, row: &Account) -> Result<usize> {
    let Some(uid) = row.uid else { return Ok(0) };
    plan::check_processes(&row.id, uid, &Host::read_for(config, &row.id)?)?;
    sessions::end(uid)
}

/// Ends the sessions of an account that is being removed. Then removes its folders, Unix user and
/// group.
pub fn remove_account(config: &Config, row: &Account) -> Result<()> {
    let lock = ProvisionLock::acquire(config)?;
    plan_and_apply(config, &lock, row, &Host::read_for(config, &row.id)?)
}

/// Returns whether this host has a user, a group or folders of `account`. The account may be
/// missing in the registry. A user or group that this program did not create does not count.
pub fn has_leftovers(config: &Config, account: &AccountId) -> Result<bool> {
    match Host::read_for(config, account) {
        Ok(host) => Ok(!plan::leftover_steps(account, &host).is_empty()),
        Err(ProvisionError::NotInstalled { .. }) => Ok(false), // the host has no uploads
        Err(error) => Err(error),
    }
}

/// Ends the sessions of an account that is not in the registry, for example after a restore. Then
/// removes the account's user, group and folders.
pub fn remove_leftovers(config: &Config, registry: &Registry, account: &AccountId) -> Result<()> {
    let lock = ProvisionLock::acquire(config)?;
    let host = match Host::read_for(config, account) {
        Err(ProvisionError::NotInstalled { .. }) => return Ok(()),
        host => host?,
    };
    // The registry is read after the lock is taken, so that an account that another command has
    // just added keeps its user.
    match registry.read(|tx| accounts::get(tx, account))? {
        Some(_) => Ok(()),
        None => apply(config, &lock, &plan::leftover_steps(account, &host)),
    }
}

/// Creates or fixes the user and the folders of every account in the registry. Removes the user and
/// the folders of accounts that are being removed. The keys of these accounts must not be published
/// any more. Returns the steps that were carried out and the accounts that were refused. A refusal
/// does not affect other accounts.
pub fn reconcile(config: &Config, registry: &Registry) -> Result<ProvisionPlan> {
    let lock = ProvisionLock::acquire(config)?;
    let rows = registry.read(accounts::list)?;
    let ids: Vec<AccountId> = rows.iter().map(|row| row.id.clone()).collect();
    let plan = plan(&rows, &Host::read(config, &ids)?);
    apply(config, &lock, &plan.steps)?;
    Ok(plan)
}

fn plan_and_apply(config: &Config, lock: &ProvisionLock, row: &Account, host: &Host) -> Result<()> {
    let mut plan = plan(std::slice::from_ref(row), host);
    match plan.refusals.pop() {
        Some(refusal) => Err(refusal.into()),
        None => apply(config, lock, &plan.steps),
    }
}

/// Carries out `steps` in order, and stops after the first step that fails. A later plan omits the
/// completed steps.
fn apply(config: &Config, lock: &ProvisionLock, steps: &[Step]) -> Result<()> {
    let done = steps.iter().try_for_each(|step| carry_out(config, lock, step));
    // All new folders are synced in one call, because each sync takes some milliseconds.
    match steps.iter().any(|step| matches!(step, Step::AddFolders { .. })) {
        true => done.and_then(|()| Ok(folders::flush(&config.paths.accounts)?)),
        false => done,
    }
}

fn carry_out(config: &Config, lock: &ProvisionLock, step: &Step) -> Result<()> {
    tracing::debug!(?step, "provision");
    let root = &config.paths.accounts;
    let layout = Layout::new(&config.paths);
    let tools = ShadowUtils { lock, accounts_group: &config.accounts.group };
    match step {
        Step::Root(want) => Ok(folders::ensure(root, *want)?),
        Step::Spool(want) => Ok(folders::ensure(&root.join(".spool"), *want)?),
        Step::AddGroup { account, gid } => tools.add_group(account, *gid),
        Step::AddUser { account, uid } => tools.add_user(account, *uid),
        Step::FixUser(account) => tools.set_shell(account),
        Step::AddMembers(accounts) => tools.add_members(accounts),
        Step::AddFolders { account, want } => Ok(folders::add(&layout, account, want)?),
        Step::FixFolders { account, want } => Ok(folders::fix(&layout, &root.join(account), want)?),
        Step::EndSessions { uid } => sessions::end(*uid).map(drop),
        Step::RemoveFolders(account) => Ok(folders::remove(root, account)?),
        Step::RemoveUser(account) => tools.remove_user(account),
        Step::RemoveGroup(account) => tools.remove_group(account),
    }
}

/// Returns the row of an account. If the account has no Unix user id, first assigns a free id.
/// `None` if the account is not in the registry.
fn row_with_uid(
    config: &Config,
    registry: &Registry,
    account: &AccountId,
    host: &Host,
) -> Result<Option<Account>> {
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

/// Returns the lowest Unix id of the configured range that no user, group or account has.
fn free_uid(config: &Config, rows: &[Account], host: &Host) -> Result<u32> {
    let (first, last) = (config.accounts.first_uid, config.accounts.last_uid);
    let assigned: HashSet<u32> = rows.iter().filter_map(|row| row.uid).collect();
    (first..=last)
        .find(|id| !assigned.contains(id) && !host.is_taken(*id))
        .ok_or(ProvisionError::NoFreeUid { first, last })
}
