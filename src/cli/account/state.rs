//! `account suspend`, `resume` and `remove`.

use jiff::Timestamp;

use super::{CliError, CliResult, Context, Host, confirmed, existing, hinted};
use crate::account::AccountId;
use crate::account_state::AccountState;
use crate::admission::{Admission, AdmissionError};
use crate::cli::admission::refused;
use crate::config::Config;
use crate::provision;
use crate::registry::Account;
use crate::state::{Transaction, accounts};

/// `account suspend`: blocks new logins, and then ends the open sessions.
pub(super) fn suspend(id: &AccountId, config: &Config, context: &Context) -> CliResult {
    let registry = context.registry(config)?;
    let admission = Admission { config, registry: &registry };
    let suspended = set_state(&admission, id, AccountState::Suspended, context)?;
    let ended = provision::end_sessions(config, &suspended).map_err(hinted)?;
    let state = context.copy(&admission, id)?;
    let output = context.output();
    output.json(&state.read(|tx| existing(tx, id))?)?;
    output.line(&format!(
        "account {id} is suspended: none of its keys works, {ended} session processes ended"
    ))?;
    output.line(&format!("to let it log in again: sftp-import account resume {id}"))?;
    Ok(true)
}

/// `account resume`
pub(super) fn resume(id: &AccountId, config: &Config, context: &Context) -> CliResult {
    let registry = context.registry(config)?;
    let admission = Admission { config, registry: &registry };
    set_state(&admission, id, AccountState::Active, context)?;
    let state = context.copy(&admission, id)?;
    context.output().json(&state.read(|tx| existing(tx, id))?)?;
    context.output().line(&format!("account {id} is active: its keys work again"))?;
    Ok(true)
}

fn set_state(
    admission: &Admission<'_>,
    id: &AccountId,
    to: AccountState,
    context: &Context,
) -> Result<Account, CliError> {
    admission.set_state(Timestamp::now(), id, to).map_err(|error| match error {
        AdmissionError::NoAccount(id) if is_copied(&id, admission.config, context) => {
            refused(AdmissionError::NotApproved(id))
        }
        error => refused(error),
    })
}

/// Reports whether the state database has the account.
fn is_copied(id: &AccountId, config: &Config, context: &Context) -> bool {
    let row = context.state(config).map(|state| state.read(|tx| accounts::get(tx, id)));
    matches!(row, Ok(Ok(Some(_))))
}

impl Host<'_> {
    pub(super) fn remove(&self, id: &AccountId, yes: bool, force: bool) -> CliResult {
        self.state.read(|tx| removable(tx, id, force))?;
        let question = format!("Remove account {id} and all files in its folder?");
        if !yes && !confirmed(id, &question)? {
            return Err(CliError::new(format_args!("account {id} is not removed"))
                .hint(format_args!("sftp-import account remove {id} --yes")));
        }
        let registry = self.registry()?;
        let admission = self.admission(&registry);
        self.state.read(|tx| removable(tx, id, force))?;
        // If it is interrupted after this point, the same command finishes it: rows go last.
        let at = Timestamp::now();
        let shut_out = admission.shut_out(&self.state, at, id);
        let account = self.state.read(|tx| existing(tx, id))?;
        shut_out.and_then(|()| admission.forget(&self.state, at, id)).map_err(refused)?;
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
    Err(refused(AdmissionError::Unfinished { account: id.clone(), count: unfinished }))
}
