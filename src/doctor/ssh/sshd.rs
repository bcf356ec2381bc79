//! Runs sshd to test its configuration and to read the settings that it would use for an account.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::AccountId;
use crate::doctor::finding::Finding;

const CONFIG: &str = "sshd-config";

/// The path of sshd on Debian, Red Hat and SUSE.
const PROGRAM: &str = "/usr/sbin/sshd";

/// An sshd with its configuration file, and the address that accounts log in from.
pub struct Sshd {
    config: PathBuf,
    from: String,
}

impl Sshd {
    pub fn new(config: PathBuf, from: String) -> Self {
        Self { config, from }
    }

    /// Tests the configuration (`sshd -t`). `None` if sshd accepts it.
    pub fn judge_test(&self) -> Option<Finding> {
        let said = self.run(&["-t"]).err()?;
        Some(refusal(&self.config, &said))
    }

    pub fn accepted(&self) -> Finding {
        Finding::ok(CONFIG, format!("sshd accepts {}", self.config.display()))
    }

    /// Returns the settings that sshd would use for `account` (`sshd -T -C`).
    pub fn effective(&self, account: &AccountId) -> Result<Effective, Finding> {
        let connection = format!("user={account},host={from},addr={from}", from = self.from);
        self.run(&["-T", "-C", &connection])
            .map(|said| Effective::parse(&said))
            .map_err(|said| refusal(&self.config, &said).of(account))
    }

    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(PROGRAM);
        command.arg("-f").arg(&self.config).args(arguments).env("LC_ALL", "C");
        let output = command.output().map_err(|error| format!("{PROGRAM}: {error}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

fn refusal(config: &Path, said: &str) -> Finding {
    let first = said.lines().next().unwrap_or("sshd printed nothing");
    Finding::fail(CONFIG, format!("sshd refuses {}: {first}", config.display())).log(first).fix(
        format!("correct that line, then `sshd -t -f {}`; do not reload before", config.display()),
    )
}

/// Settings as `sshd -T` prints them: a keyword in lower case, then its value. Some are repeated.
#[derive(Clone, Debug, Default)]
pub struct Effective(Vec<(String, String)>);

impl Effective {
    pub fn parse(said: &str) -> Self {
        let lines = said.lines().filter_map(|line| line.split_once(' '));
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
    fn reads_what_sshd_prints() {
        let effective = Effective::parse("port 22\nallowgroups a\nallowgroups b\nloglevel INFO\n");
        assert_eq!(effective.get("loglevel"), "INFO");
        assert_eq!(effective.get("chrootdirectory"), "none");
        assert_eq!(effective.all("allowgroups").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_refusal_says_the_line() {
        let said = "/etc/ssh/x.conf line 3: Bad configuration option: Foo\nterminating";
        let finding = refusal(Path::new("/etc/ssh/sshd_config"), said);
        assert!(finding.message.ends_with("x.conf line 3: Bad configuration option: Foo"));
        assert!(finding.fix.unwrap().contains("sshd -t -f /etc/ssh/sshd_config"));
    }
}
