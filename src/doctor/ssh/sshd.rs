//! Runs sshd to test its configuration and to read the settings that it would use for an account.

use std::path::Path;

use crate::account::AccountId;
use crate::doctor::finding::Finding;
use crate::sshd::{self, EffectiveConfig};

const CHECK: &str = "sshd-config";

/// An sshd with its configuration file, and the address from which accounts log in.
pub struct Sshd<'a> {
    pub config: &'a Path,
    pub from: &'a str,
}

impl Sshd<'_> {
    /// Tests the configuration (`sshd -t`). If sshd refuses the configuration, the error is the
    /// finding.
    pub fn test(&self) -> Result<Finding, Finding> {
        let accepted = format!("sshd accepts the configuration {}", self.config.display());
        match sshd::run(self.config, &["-t"]) {
            Ok(_) => Ok(Finding::ok(CHECK, accepted)),
            Err(output) => Err(refusal(self.config, &output)),
        }
    }

    /// Returns the settings that sshd would use for the login of `account` (`sshd -T -C`).
    pub fn effective_config(&self, account: &AccountId) -> Result<EffectiveConfig, Finding> {
        let connection = format!("user={account},host={from},addr={from}", from = self.from);
        sshd::run(self.config, &["-T", "-C", &connection])
            .map(|output| EffectiveConfig::parse(&output))
            .map_err(|output| refusal(self.config, &output).of(account))
    }
}

fn refusal(config: &Path, output: &str) -> Finding {
    let first = output.lines().next().unwrap_or("sshd printed nothing");
    Finding::fail(CHECK, format!("sshd refuses the configuration {}: {first}", config.display()))
        .log(first)
        .fix(format!(
            "correct that line, then run `sshd -t -f {}`; do not reload sshd before that",
            config.display()
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_configuration_is_reported_with_its_line() {
        let output = "/etc/ssh/x.conf line 3: Bad configuration option: Foo\nterminating";
        let finding = refusal(Path::new("/etc/ssh/sshd_config"), output);
        assert!(finding.message.ends_with("x.conf line 3: Bad configuration option: Foo"));
        assert!(finding.fix.unwrap().contains("sshd -t -f /etc/ssh/sshd_config"));
    }
}
