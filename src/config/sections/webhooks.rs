//! `[webhooks]`: how endpoints are asked, and when no more.

use ipnet::IpNet;
use serde::Deserialize;

use crate::config::Period;

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhooks {
    /// How long one request may take in all.
    pub timeout: Period,
    /// An endpoint that has failed for so long, without a success in between, is disabled.
    pub disable_after: Period,
    /// After `webhook rotate` the old secret signs as well for so long.
    pub old_secret_for: Period,
    /// Networks that endpoints may lie in although they are not public: `10.1.0.0/16`.
    pub allow: Vec<IpNet>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            timeout: Period::seconds(20),
            disable_after: Period::seconds(3 * 24 * 60 * 60),
            old_secret_for: Period::seconds(24 * 60 * 60),
            allow: Vec::new(),
        }
    }
}
