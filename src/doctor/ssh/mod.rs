//! Checks how sshd accepts accounts: its configuration, the drop-in, its access lists, and the helper
//! that it runs for keys.

mod access;
mod drop_in;
mod helper;
mod keys_folder;
mod sshd;
mod sshd_files;

use std::path::Path;

use self::sshd::Sshd;
use super::accounts::AccountChecks;
use super::finding::Finding;
use crate::config::Config;

/// The most accounts for which sshd prints its effective configuration. Each run takes some 10 ms,
/// and the configurations differ only if the site has a `Match` for single accounts. `--account`
/// checks any account.
const MAX_ACCOUNTS: usize = 20;

/// Checks sshd and the helper. `from` is the address from which accounts log in.
pub(super) fn check(
    config: &Config,
    sshd_config: &Path,
    from: &str,
    accounts: &AccountChecks,
) -> Vec<Finding> {
    let sshd = Sshd { config: sshd_config, from };
    let mut findings = match sshd.test() {
        Ok(accepted) => vec![accepted],
        Err(refused) => return vec![refused],
    };
    let settings = sshd_files::read(sshd_config);
    let mut first = None;
    for account in accounts.with_login().take(MAX_ACCOUNTS) {
        match sshd.effective_config(account.id()) {
            Ok(effective) => {
                findings.extend(drop_in::judge(account.id(), &effective, &settings, config));
                findings.extend(access::judge(account, &effective, from));
                first.get_or_insert((account, effective));
            }
            Err(refused) => findings.push(refused),
        }
    }
    let (account, effective) = first.unzip();
    findings.extend(helper::check(config, account, effective.as_ref()));
    findings.extend(keys_folder::check(config));
    findings
}
