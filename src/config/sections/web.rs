//! `[web]`: the console.

use serde::Deserialize;

/// The section `[web]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Web {
    pub keys: KeyPolicy,
    pub accounts: AccountPolicy,
}

/// The section `[account.ID.web]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AccountWeb {
    /// `None` if the value of `[web]` applies.
    pub keys: Option<KeyPolicy>,
}

/// Who may save keys through the console. Revoking is always allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPolicy {
    /// The account's owners and the operators.
    #[default]
    Owners,
    /// The same, with a signature by one of the account's approved keys.
    Signed,
    /// The operators.
    Operators,
    /// Nobody. Only root's commands add keys.
    Root,
}

/// Who may add, suspend and resume accounts through the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountPolicy {
    #[default]
    Operators,
    /// Nobody. Only root's commands change accounts.
    Root,
}
