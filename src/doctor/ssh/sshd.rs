//! Runs sshd to test its configuration and to read the settings that it would use for an account.

use std::path::Path;
use std::process::Command;

use crate::account::AccountId;
use crate::doctor::finding::Finding;

const CHECK: &str = "sshd-config";

/// The path of sshd on Debian, Red Hat and SUSE.
const PROGRAM: &str = "/usr/sbin/sshd";

/// An sshd with its configuration file, and the address that accounts log in from.
pub struct Sshd<'a> {
    pub config: &'a Path,
    pub from: &'a str,
}

impl Sshd<'_> {
    /// Tests the configuration (`sshd -t`). If sshd refuses the configuration, the error is the
    /// finding.
    pub fn test(&self) -> Result<Finding, Finding> {
        let accepted = format!("sshd accepts {}", self.config.display());
        match self.run(&["-t"]) {
            Ok(_) => Ok(Finding::ok(CHECK, accepted)),
            Err(output) => Err(refusal(self.config, &output)),
        }
    }

    /// Returns the settings that sshd would use for `account` (`sshd -T -C`).
    pub fn effective_config(&self, account: &AccountId) -> Result<EffectiveConfig, Finding> {
        let connection = format!("user={account},host={from},addr={from}", from = self.from);
        self.run(&["-T", "-C", &connection])
            .map(|output| EffectiveConfig::parse(&output))
            .map_err(|output| refusal(self.config, &output).of(account))
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(PROGRAM);
        command.arg("-f").arg(self.config).args(arguments).env("LC_ALL", "C");
        let output = command.output().map_err(|error| format!("{PROGRAM}: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

fn refusal(config: &Path, output: &str) -> Finding {
    let first = output.lines().next().unwrap_or("sshd printed nothing");
    Finding::fail(CHECK, format!("sshd refuses {}: {first}", config.display())).log(first).fix(
        format!(
            "correct that line, then `sshd -t -f {}`; do not reload sshd before",
            config.display()
        ),
    )
}

/// Settings as `sshd -T` prints them: a keyword in lower case, then its value. Keywords can be
/// repeated.
#[derive(Clone, Debug, Default)]
pub struct EffectiveConfig(Vec<(String, String)>);

impl EffectiveConfig {
    pub fn parse(output: &str) -> Self {
        let lines = output.lines().filter_map(|line| line.split_once(' '));
        Self(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// Returns the first value of `keyword`, which must be in lower case, or `none`.
    pub fn get(&self, keyword: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == keyword);
        found.map_or("none", |(_, value)| value.as_str())
    }

    /// Returns every value of `keyword`.
    pub fn all<'a>(&'a self, keyword: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == keyword).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_the_output_of_sshd() {
        let effective =
            EffectiveConfig::parse("port 22\nallowgroups a\nallowgroups b\nloglevel INFO\n");
        assert_eq!(effective.get("loglevel"), "INFO");
        assert_eq!(effective.get("chrootdirectory"), "none");
        assert_eq!(effective.all("allowgroups").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_refused_configuration_is_reported_with_its_line() {
        let output = "/etc/ssh/x.conf line 3: Bad configuration option: Foo\nterminating";
        let finding = refusal(Path::new("/etc/ssh/sshd_config"), output);
        assert!(finding.message.ends_with("x.conf line 3: Bad configuration option: Foo"));
        assert!(finding.fix.unwrap().contains("sshd -t -f /etc/ssh/sshd_config"));
    }
}
