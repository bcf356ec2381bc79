//! Why a change of accounts and keys was not made, or not finished.

use crate::account::AccountId;
use crate::key::{KeyError, PublishError};
use crate::provision::ProvisionError;
use crate::{registry, state};

/// Why a change of accounts and keys was not made, or not finished.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// No such account.
    #[error("there is no account {0}")]
    NoAccount(AccountId),
    /// There is one of that id.
    #[error("there is an account {0} already")]
    AccountExists(AccountId),
    /// A row of the state database that no command of root's made.
    #[error("the state database has an account {0}, but root has not approved it")]
    NotApproved(AccountId),
    /// The account is on its way out.
    #[error("account {0} is being removed")]
    Removing(AccountId),
    /// Imports of the account have not ended.
    #[error("account {account} has {count} imports waiting or running")]
    Unfinished {
        /// Whose.
        account: AccountId,
        /// How many.
        count: u32,
    },
    /// The key can't be added or revoked.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The host failed.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The change is in the registry, and not in force.
    #[error("the change is saved but not in force yet")]
    Publish(#[from] PublishError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The state database failed.
    #[error(transparent)]
    State(#[from] state::Error),
}
