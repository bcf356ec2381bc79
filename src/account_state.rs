//! [`AccountState`]: what an account may do, as the registry and the state database store it.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// It can log in with its keys.
    Active,
    /// None of its keys works; its files and settings are kept.
    Suspended,
    /// It is being removed. If `account remove` was interrupted, running it again completes it.
    Removing,
}

impl AccountState {
    /// Returns the word that the databases and the command line use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removing => "removing",
        }
    }
}

/// The error for a text that is not an account state.
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
