//! [`AccountState`]: what an account may do, in the registry and in the state database.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    /// It can log in with its keys.
    Active,
    /// None of its keys works; everything else stays.
    Suspended,
    /// It is being taken away; a removal that was cut off goes on from here.
    Removing,
}

impl AccountState {
    /// As the databases and people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Removing => "removing",
        }
    }
}

/// The text is no state of an account.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no state of an account")]
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
