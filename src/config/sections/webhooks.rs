//! The section `[webhooks]` of the configuration file sets how requests to endpoints are made, and
//! when an endpoint is disabled.

use ipnet::IpNet;
use serde::Deserialize;

use crate::config::Period;

/// The section `[webhooks]` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Webhooks {
    /// The maximum duration of a whole request to an endpoint.
    pub timeout: Period,
    /// An endpoint is disabled if all its attempts have failed for this time.
    pub disable_after: Period,
    /// The time for which the previous secret still signs webhooks after the command `webhook
    /// rotate`.
    pub old_secret_for: Period,
    /// Private networks that endpoints may use, such as `10.1.0.0/16`. Public networks are always
    /// allowed.
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
