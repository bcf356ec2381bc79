//! Implements the commands `account suspend`, `account resume` and `account remove`.

use jiff::Timestamp;

use super::show::find_account;
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::admission::{Admission, AdmissionError};
use crate::cli::context::{CliContext, CliError, CliResult};
use crate::cli::prompt::confirm;
use crate::config::Config;
use crate::state::{Transaction, accounts};

/// Runs the command `account suspend`: blocks new logins, and then ends the open sessions. The
/// suspension takes effect even if the state database is broken.
pub(super) fn suspend(context: &CliContext, id: &AccountId) -> CliResult {
    let config = context.config()?;
    let registry = context.registry(&config)?;
    let admission = Admission::of_root(&config, &registry);
    let suspended = admission.suspend(Timestamp::now(), id);
    let ended = suspended.map_err(|error| explain(error, &config, context))?.ended;
    let state = context.copy_account(&admission, id)?;
    let account = state.read(|tx| find_account(tx, id))?;
    context.done(
        &account,
        [
            format!(
                "account {id} is suspended: none of its keys works, {ended} session processes ended"
            ),
            format!("to let the account log in again, run: sftp-import account resume {id}"),
        ],
    )
}

/// Runs the command `account resume`: lets an account log in again, even if the state database is
/// broken.
pub(super) fn resume(context: &CliContext, id: &AccountId) -> CliResult {
    let config = context.config()?;
    let registry = context.registry(&config)?;
    let admission = Admission::of_root(&config, &registry);
    let resumed = admission.resume(Timestamp::now(), id);
    resumed.map_err(|error| explain(error, &config, context))?;
    let state = context.copy_account(&admission, id)?;
    let account = state.read(|tx| find_account(tx, id))?;
    context.done(&account, [format!("account {id} is active: its keys work again")])
}

/// Returns the failure for `error`. An account that only the state database has gets a hint of its
/// own.
fn explain(error: AdmissionError, config: &Config, context: &CliContext) -> CliError {
    match error {
        AdmissionError::NoAccount(id) if is_in_state(&id, config, context) => {
            AdmissionError::NotApproved(id).into()
        }
        error => error.into(),
    }
}

/// Returns whether the state database has the account. Returns false if the state database can't
/// be read.
fn is_in_state(id: &AccountId, config: &Config, context: &CliContext) -> bool {
    let row = context.state(config).map(|state| state.read(|tx| accounts::get(tx, id)));
    matches!(row, Ok(Ok(Some(_))))
}

pub(super) fn remove(context: &CliContext, id: &AccountId, yes: bool, force: bool) -> CliResult {
    let config = context.config()?;
    let state = context.state(&config)?;
    state.read(|tx| check_removable(tx, id, force))?;
    if !yes {
        let question = format!("Remove account {id} and all files in its folder?");
        let command = format!("sftp-import account remove {id} --yes");
        confirm(id, &question, &format!("account {id} is not removed"), &command)?;
    }
    let registry = context.registry(&config)?;
    let admission = Admission::of_root(&config, &registry);
    state.read(|tx| check_removable(tx, id, force))?;
    // If the command is interrupted after this point, a second run of the same command completes
    // the removal, because the rows are deleted last.
    let at = Timestamp::now();
    let shut_out = admission.shut_out(&state, at, id);
    let account = state.read(|tx| find_account(tx, id))?;
    shut_out.and_then(|()| admission.forget(&state, at, id))?;
    context.done(&account, [format!("account {id} is removed")])
}

fn check_removable(tx: &Transaction<'_>, id: &AccountId, force: bool) -> Result<(), CliError> {
    let account = find_account(tx, id)?;
    let count = accounts::unfinished_imports(tx, id)?;
    if count == 0 || force || account.state == AccountState::Removing {
        return Ok(());
    }
    Err(AdmissionError::Unfinished { account: id.clone(), count }.into())
}
