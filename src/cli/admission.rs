//! Adds hints to the errors of changes of accounts and keys.

use super::CliError;
use super::account::hinted;
use crate::admission::AdmissionError;
use crate::key::KeyError;
use crate::registry;

/// Converts `error` to a failure with a hint.
pub(super) fn refused(error: AdmissionError) -> CliError {
    let hint = match &error {
        AdmissionError::NoAccount(id) => Some(format!("sftp-import account add {id} --email ADDR")),
        AdmissionError::AccountExists(id) => Some(format!("sftp-import account show {id}")),
        AdmissionError::NotApproved(_) => Some("sftp-import registry take-over".to_owned()),
        AdmissionError::Removing(id) => Some(format!("sftp-import account remove {id}")),
        AdmissionError::Unfinished { account, .. } => Some(format!(
            "sftp-import account suspend {account} and wait for them to end, or use --force"
        )),
        AdmissionError::Key(error) => return of_key(error),
        AdmissionError::Provision(_) => None,
        AdmissionError::Registry(error) => return of_registry(error),
        AdmissionError::Publish(_) => Some("run the same command again".to_owned()),
        AdmissionError::State(_) => None,
    };
    match error {
        AdmissionError::Provision(error) => hinted(error),
        error => CliError::from(error).hint_if(hint),
    }
}

fn of_key(error: &KeyError) -> CliError {
    let hint = match error {
        KeyError::NoAccount(id) => Some(format!("sftp-import account add {id} --email ADDR")),
        KeyError::NoKey { account, .. } => Some(format!("sftp-import key list {account}")),
        KeyError::Removing(id) => Some(format!("sftp-import account remove {id}")),
        KeyError::RevokedBefore { .. } => {
            Some("to let it work again: the same command with --again".to_owned())
        }
        _ => None,
    };
    CliError::new(crate::sanitize::chain(error)).hint_if(hint)
}

fn of_registry(error: &registry::Error) -> CliError {
    let hint = matches!(error, registry::Error::Missing(_)).then_some(
        "`sftp-import restore` the last backup, or list the state database's accounts and keys: \
         sftp-import registry take-over",
    );
    CliError::new(crate::sanitize::chain(error)).hint_if(hint)
}
