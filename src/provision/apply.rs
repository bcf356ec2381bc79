//! Carries out the steps of a plan. Decides nothing.

use super::lock::ProvisionLock;
use super::shadow_utils::Tools;
use super::step::Step;
use super::{ProvisionError, folders, sessions};
use crate::config::Config;
use crate::spool::Layout;

/// Carries out `steps` in order, and stops at the first that fails. A later plan leaves out those
/// that were done.
pub(super) fn apply(
    config: &Config,
    turn: &ProvisionLock,
    steps: &[Step],
) -> Result<(), ProvisionError> {
    let done = steps.iter().try_for_each(|step| carry_out(config, turn, step));
    // One flush for all new folders, because each takes the disk some milliseconds.
    match steps.iter().any(|step| matches!(step, Step::AddFolders { .. })) {
        true => done.and_then(|()| Ok(folders::flush(&config.paths.accounts)?)),
        false => done,
    }
}

fn carry_out(config: &Config, turn: &ProvisionLock, step: &Step) -> Result<(), ProvisionError> {
    tracing::debug!(?step, "provision");
    let root = &config.paths.accounts;
    let layout = Layout::new(&config.paths);
    let tools = Tools { turn, accounts_group: &config.accounts.group };
    match step {
        Step::Root(want) => folders::make(root, *want)?,
        Step::Spool(want) => folders::make(&root.join(".spool"), *want)?,
        Step::AddGroup { account, gid } => tools.add_group(account, *gid)?,
        Step::AddUser { account, uid } => tools.add_user(account, *uid)?,
        Step::MendUser(account) => tools.mend_user(account)?,
        Step::AddMembers(accounts) => tools.add_members(accounts)?,
        Step::AddFolders { account, want } => folders::add(&layout, account, want)?,
        Step::MendFolders { account, want } => folders::mend(&layout, &root.join(account), want)?,
        Step::EndSessions { uid } => {
            sessions::end(*uid)?;
        }
        Step::RemoveFolders(account) => folders::remove(root, account)?,
        Step::RemoveUser(account) => tools.remove_user(account)?,
        Step::RemoveGroup(account) => tools.remove_group(account)?,
    }
    Ok(())
}
