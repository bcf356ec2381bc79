//! Checks every part of the host that an upload depends on, and reports how to fix each fault.
//!
//! Each file is a group of checks. A check first gathers facts from the host and then judges them
//! alone (pure), so that a test can check its report without breaking the host. Nothing here
//! changes the host: a check that creates a file removes it again.

mod accounts;
mod daemon;
mod finding;
mod host;
mod registry;
mod ssh;

use std::path::PathBuf;

use jiff::Timestamp;

pub use finding::{CHECKS, Check, Finding, Group, Level};

use self::accounts::Accounts;
use self::accounts::facts::Gathering;
use self::ssh::sshd::Sshd;
use crate::account::AccountId;
use crate::config::Config;

/// What to check.
#[derive(Clone, Debug)]
pub struct Request {
    /// Checks this account and everything that it depends on. `None` for every account.
    pub account: Option<AccountId>,
    /// The sshd_config of the sshd that accounts log in to.
    pub sshd_config: PathBuf,
    /// The address from which an account logs in, for `Match Address`.
    pub from: String,
}

/// The number of accounts for which sshd prints its effective configuration. Each takes some 10 ms,
/// and they differ only if the site has a `Match` for single accounts. `--account` checks any
/// account.
const ASKED_OF_SSHD: usize = 20;

/// Runs every check on this host, and returns the findings in the order of [`CHECKS`].
pub fn examine(config: &Config, request: &Request) -> Vec<Finding> {
    let now = Timestamp::now();
    let database = daemon::database::gather(config, now);
    let gathering = Gathering::new(config, &database, now);
    let accounts = Accounts::gather(&gathering, request.account.as_ref());
    let mut findings = sshd_findings(config, request, &accounts);
    findings.extend(accounts.judge());
    findings.extend(host::storage::check(config));
    findings.push(host::inotify_limits::check(config, accounts.with_user()));
    findings.extend(daemon::check(config));
    findings.push(registry::judge(&database.registry));
    findings.extend(database.judge(config));
    findings.extend(daemon::delivery::check(config, database.state.as_ref(), now));
    findings.extend(host::check(database.state.as_ref(), now));
    let place = |finding: &Finding| CHECKS.iter().position(|check| check.name == finding.check);
    findings.sort_by_key(|finding| (place(finding), finding.level));
    findings
}

fn sshd_findings(config: &Config, request: &Request, accounts: &Accounts) -> Vec<Finding> {
    let sshd = Sshd::new(request.sshd_config.clone(), request.from.clone());
    if let Some(refused) = sshd.judge_test() {
        return vec![refused];
    }
    let mut findings = vec![sshd.accepted()];
    let files = ssh::sshd_files::read(&request.sshd_config);
    let asked = accounts.in_sshd().take(ASKED_OF_SSHD);
    let mut first = None;
    for account in asked {
        let effective = match sshd.effective(account.id()) {
            Ok(effective) => effective,
            Err(finding) => {
                findings.push(finding);
                continue;
            }
        };
        findings.extend(ssh::confinement::judge(account.id(), &effective, &files, config));
        findings.extend(ssh::access::judge(account, &effective, &request.from));
        first.get_or_insert((account, effective));
    }
    let (account, effective) = first.unzip();
    findings.extend(ssh::helper::check(config, account, effective.as_ref()));
    findings.extend(ssh::keys_folder::check(config));
    findings
}
