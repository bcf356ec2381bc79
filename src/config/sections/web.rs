//! The settings of the console, in the section `[web]`.

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
    /// The policy for the keys of this account. `None` if the policy in the section `[web]`
    /// applies.
    pub keys: Option<KeyPolicy>,
}

/// The people who may save keys through the console. Keys can always be revoked through the
/// console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyPolicy {
    /// The account's owners and the operators may save keys.
    #[default]
    Owners,
    /// The account's owners and the operators may save keys, but only with a signature by one of
    /// the account's approved keys.
    Signed,
    /// Only the operators may save keys.
    Operators,
    /// Nobody may save keys through the console. Only root's commands add keys.
    Root,
}

/// The people who may add, suspend and resume accounts through the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountPolicy {
    #[default]
    Operators,
    /// Nobody may change accounts through the console. Only root's commands change accounts.
    Root,
}
