//! [`AdmissionError`] is the error of changes of accounts and keys.

use std::time::Duration;

use crate::account::AccountId;
use crate::key::{KeyError, PublishError};
use crate::provision::ProvisionError;
use crate::{registry, state};

pub type Result<T, E = AdmissionError> = std::result::Result<T, E>;

/// The reason why a change of an account or key was not made, or was not completed.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    #[error("there is no account {0}")]
    NoAccount(AccountId),
    #[error("account {0} exists already")]
    AccountExists(AccountId),
    /// The account is in the state database, but no command of root added it.
    #[error("the state database has an account {0}, but root has not approved it")]
    NotApproved(AccountId),
    #[error("account {0} is being removed")]
    Removing(AccountId),
    #[error("account {account} has {count} imports that are waiting or running")]
    Unfinished { account: AccountId, count: u32 },
    /// This limit applies only to changes by the console.
    #[error("account {account} has {max} keys already")]
    TooManyKeys { account: AccountId, max: usize },
    /// This limit applies only to changes by the console. `wait` is the time until the change may
    /// be repeated.
    #[error("{max} changes of the kind {change} were made within an hour")]
    HourlyLimit { change: &'static str, max: u32, wait: Duration },
    /// The change of the key was refused, because the key can't be added or revoked.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An operation on users, groups or folders failed.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The change is in the registry, but sshd does not use it yet.
    #[error("the change is saved, but sshd does not use it yet")]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Registry(#[from] registry::Error),
    #[error(transparent)]
    State(#[from] state::Error),
}
