//! [`AccountState`] is the state of an account in the registry and in the state database.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The state of an account. The state decides whether the account can log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// The account can log in with its keys.
    Active,
    /// The account can't log in with any of its keys. Its files and settings are kept.
    Suspended,
    /// The account is being removed. If the command `account remove` was interrupted, a second run
    /// completes the removal.
    Removing,
}

impl AccountState {
    /// Returns the name of the state in the databases and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removing => "removing",
        }
    }
}

/// The error for a text that is not the name of an account state.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an account state")]
pub struct InvalidAccountState(String);

impl FromStr for AccountState {
    type Err = InvalidAccountState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "active" => Ok(Self::Active),
            "suspended" => Ok(Self::Suspended),
            "removing" => Ok(Self::Removing),
            other => Err(InvalidAccountState(other.to_owned())),
        }
    }
}

impl fmt::Display for AccountState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
