//! `account suspend`, `resume` and `remove`: who may log in, and who is there no more.

use jiff::Timestamp;

use super::{CliError, CliResult, Host, confirmed, existing, hinted};
use crate::account::AccountId;
use crate::cli::key::publish;
use crate::provision;
use crate::state::Transaction;
use crate::state::accounts::{self, AccountRow, AccountState};

impl Host<'_> {
    pub(super) fn suspend(&self, id: &AccountId) -> CliResult {
        let account = self.change_state(id, AccountState::Suspended)?;
        // No new login gets in from here on; those before it are ended.
        publish(&self.config, &self.state)?;
        let ended = provision::end_sessions(&self.config, &account).map_err(hinted)?;
        self.context.output().json(&account)?;
        self.context.output().line(&format!(
            "account {id} is suspended: none of its keys works, {ended} session processes ended"
        ))?;
        self.context
            .output()
            .line(&format!("to let it in again: sftp-import account resume {id}"))?;
        Ok(true)
    }

    pub(super) fn resume(&self, id: &AccountId) -> CliResult {
        let account = self.change_state(id, AccountState::Active)?;
        publish(&self.config, &self.state)?;
        self.context.output().json(&account)?;
        self.context.output().line(&format!("account {id} is active: its keys work again"))?;
        Ok(true)
    }

    fn change_state(&self, id: &AccountId, to: AccountState) -> Result<AccountRow, CliError> {
        self.state.write(|tx| {
            if existing(tx, id)?.state == AccountState::Removing {
                return Err(CliError::new(format_args!("account {id} is being removed"))
                    .hint(format_args!("sftp-import account remove {id}")));
            }
            accounts::set_state(tx, Timestamp::now(), id, to)?;
            existing(tx, id)
        })
    }

    pub(super) fn remove(&self, id: &AccountId, yes: bool, force: bool) -> CliResult {
        self.state.read(|tx| removable(tx, id, force))?;
        let question = format!("Remove account {id} with all that lies in its folder?");
        if !yes && !confirmed(id, &question)? {
            return Err(CliError::new(format_args!("account {id} is not removed"))
                .hint(format_args!("sftp-import account remove {id} --yes")));
        }
        // From here on running it again finishes what was cut off: the row goes last.
        let account = self.state.write(|tx| {
            removable(tx, id, force)?;
            accounts::set_state(tx, Timestamp::now(), id, AccountState::Removing)?;
            existing(tx, id)
        })?;
        publish(&self.config, &self.state)?;
        provision::remove(&self.config, &account).map_err(hinted)?;
        self.state.write(|tx| accounts::remove(tx, Timestamp::now(), id))?;
        self.context.output().json(&account)?;
        self.context.output().line(&format!("account {id} is removed"))?;
        Ok(true)
    }
}

fn removable(tx: &Transaction<'_>, id: &AccountId, force: bool) -> Result<(), CliError> {
    let account = existing(tx, id)?;
    let unfinished = accounts::unfinished_imports(tx, id)?;
    if unfinished == 0 || force || account.state == AccountState::Removing {
        return Ok(());
    }
    Err(CliError::new(format_args!("account {id} has {unfinished} imports waiting or running"))
        .hint(format_args!(
            "sftp-import account suspend {id}, wait for them to end, or say --force"
        )))
}
