//! The function [`hint`] returns the next step for the user after an error.

use std::error::Error;

use crate::admission::AdmissionError;
use crate::config::SecretError;
use crate::key::{KeyError, parse};
use crate::outbox::settings::EndpointError;
use crate::provision::ProvisionError;
use crate::registry;
use crate::state::BackupError;

/// Returns the next step after `error`. `None` if no step is known.
pub(super) fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    None.or_else(|| error.downcast_ref().and_then(after_admission))
        .or_else(|| error.downcast_ref().and_then(after_key))
        .or_else(|| error.downcast_ref().and_then(after_registry))
        .or_else(|| error.downcast_ref().and_then(after_endpoint))
        .or_else(|| error.downcast_ref().and_then(after_copy))
        .or_else(|| error.downcast_ref().and_then(ProvisionError::hint).map(str::to_owned))
        .or_else(|| error.downcast_ref().and_then(parse::KeyFileError::hint))
        .or_else(|| error.downcast_ref().map(SecretError::hint))
}

fn after_admission(error: &AdmissionError) -> Option<String> {
    match error {
        AdmissionError::NoAccount(id) => Some(format!("sftp-import account add {id} --email ADDR")),
        AdmissionError::AccountExists(id) => Some(format!("sftp-import account show {id}")),
        AdmissionError::NotApproved(_) => Some("sftp-import registry take-over".to_owned()),
        AdmissionError::Removing(id) => Some(format!("sftp-import account remove {id}")),
        AdmissionError::Unfinished { account, .. } => Some(format!(
            "run `sftp-import account suspend {account}` and wait until its imports end, or use --force"
        )),
        AdmissionError::Key(error) => after_key(error),
        AdmissionError::Provision(error) => error.hint().map(str::to_owned),
        AdmissionError::Registry(error) => after_registry(error),
        AdmissionError::Publish(_) => Some("run the same command again".to_owned()),
        AdmissionError::State(_)
        | AdmissionError::TooManyKeys { .. }
        | AdmissionError::HourlyLimit { .. } => None,
    }
}

fn after_key(error: &KeyError) -> Option<String> {
    match error {
        KeyError::NoAccount(id) => Some(format!("sftp-import account add {id} --email ADDR")),
        KeyError::NoKey { account, .. } => Some(format!("sftp-import key list {account}")),
        KeyError::Removing(id) => Some(format!("sftp-import account remove {id}")),
        KeyError::RevokedBefore { .. } => {
            Some("to let the key work again, run the same command with --again".to_owned())
        }
        _ => None,
    }
}

fn after_registry(error: &registry::Error) -> Option<String> {
    let hint = "restore the last backup with `sftp-import restore`, or list the state database's \
                accounts and keys: sftp-import registry take-over";
    matches!(error, registry::Error::Missing(_)).then(|| hint.to_owned())
}

fn after_endpoint(error: &EndpointError) -> Option<String> {
    match error {
        EndpointError::NoAccount(id) => Some(format!("sftp-import account add {id} --email ADDR")),
        EndpointError::NameTaken { account, name } => {
            Some(format!("sftp-import webhook remove {account} {name}"))
        }
        EndpointError::NoEndpoint { account, .. } => {
            Some(format!("sftp-import webhook list {account}"))
        }
        _ => None,
    }
}

fn after_copy(error: &BackupError) -> Option<String> {
    let hint = match error {
        BackupError::Exists(_) => "choose a file name that does not exist yet",
        BackupError::Damaged { .. } => "restore an older backup with `sftp-import restore`",
        BackupError::InUse(_) => "wait for other sftp-import commands to end",
        _ => return None,
    };
    Some(hint.to_owned())
}
