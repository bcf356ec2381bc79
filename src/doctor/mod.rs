//! Checks every part of the host that an upload depends on, and reports how to fix each fault.
//!
//! Each file has one group of checks. A check first gathers facts from the host. A pure function
//! then judges the facts, so that tests don't have to break the host. No check changes the host: a
//! check that creates a file removes it again.

mod accounts;
mod daemon;
mod finding;
mod host;
mod registry;
mod ssh;

use std::path::PathBuf;

use jiff::Timestamp;

pub use finding::{Finding, Level, check_names};

use self::accounts::AccountChecks;
use crate::account::AccountId;
use crate::config::Config;

/// The scope of the checks: one account or all, and the tested login.
#[derive(Clone, Debug)]
pub struct CheckScope {
    /// The account to check, with everything that it depends on. `None` checks every account.
    pub account: Option<AccountId>,
    /// The path of the sshd_config of the sshd that accounts log in to.
    pub sshd_config: PathBuf,
    /// The address from which an account logs in, for `Match Address`.
    pub from: String,
}

/// Runs every check on this host, and returns the findings in the order of [`check_names`].
pub fn examine(config: &Config, scope: &CheckScope) -> Vec<Finding> {
    let now = Timestamp::now();
    let databases = daemon::database::gather(config, now);
    let accounts = AccountChecks::gather(config, &databases, now, scope.account.as_ref());
    let mut findings = ssh::check(config, &scope.sshd_config, &scope.from, &accounts);
    findings.extend(accounts.judge());
    findings.extend(host::storage::check(config));
    findings.push(host::inotify_limits::check(config, accounts.count_with_user()));
    findings.extend(daemon::check(config));
    findings.push(registry::judge(&databases.registry));
    findings.extend(databases.judge(config));
    findings.extend(daemon::delivery::check(config, databases.state.as_ref(), now));
    findings.extend(host::check(databases.state.as_ref(), now));
    let place = |finding: &Finding| check_names().position(|name| name == finding.check);
    findings.sort_by_key(|finding| (place(finding), finding.level));
    findings
}
