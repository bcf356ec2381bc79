//! `[webhooks]`: requests to endpoints, and when an endpoint is disabled.

use ipnet::IpNet;
use serde::Deserialize;

use crate::config::Period;

/// `[webhooks]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhooks {
    /// For a whole request.
    pub timeout: Period,
    /// An endpoint that has failed for this long without a success is disabled.
    pub disable_after: Period,
    /// How long after `webhook rotate` the old secret also signs.
    pub old_secret_for: Period,
    /// Networks that are allowed for endpoints although they are not public: `10.1.0.0/16`.
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
