//! The system's own tools for users and groups: useradd and its family (shadow).
//!
//! They take the locks on /etc/passwd and its companions, write them safely and tell nscd and
//! sssd. Names that get here are account ids, which cannot be taken for options.
//!
//! Each call reads and writes these files whole: with 10,000 users (shadow 4.13) groupadd takes
//! 0.05 s, useradd 0.07 s, and 0.75 s when it has a membership to write too. Hence groupmod adds the
//! members, up to a thousand users per call.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ProvisionError;
use super::host::{GECOS, HOME, SHELL};
use super::lock::Turn;
use crate::account::AccountId;

/// How long to wait for another one of these tools, which each hold the lock for milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// Part of the error message of a tool that finds its files locked.
const LOCKED: &str = "cannot lock";

/// What the tools need beside an account.
pub(super) struct Tools<'a> {
    /// Held by every tool as long as it runs.
    pub turn: &'a Turn,
    /// The group that sshd_config matches.
    pub accounts_group: &'a str,
}

impl Tools<'_> {
    /// groupadd(8).
    pub fn add_group(&self, account: &AccountId, gid: u32) -> Result<(), ProvisionError> {
        self.run("groupadd", account.as_str(), &["--gid", &gid.to_string()])
    }

    /// useradd(8), for a user that has no password, no home, no shell and no subordinate ids.
    ///
    /// The password is `*`, not useradd's `!`: sshd without PAM takes `!` for a locked account and
    /// refuses its keys too. No ageing, whatever the site's defaults are: a password that doesn't
    /// exist must not expire. Upper case and leading digits are bad names to useradd, and fine.
    pub fn add_user(&self, account: &AccountId, uid: u32) -> Result<(), ProvisionError> {
        let uid = uid.to_string();
        let mut options = vec!["--badname", "--uid", &uid, "--gid", &uid];
        options.extend(["--comment", GECOS, "--shell", SHELL]);
        options.extend(["--home-dir", HOME, "--no-create-home", "--no-log-init"]);
        options.extend(["--password", "*", "--inactive", "-1", "--expiredate", ""]);
        options.extend(["--key", "PASS_MAX_DAYS=-1"]);
        options.extend(["--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0"]);
        self.run("useradd", account.as_str(), &options)
    }

    /// usermod(8): the shell again.
    pub fn mend_user(&self, account: &AccountId) -> Result<(), ProvisionError> {
        self.run("usermod", account.as_str(), &["--shell", SHELL])
    }

    /// groupmod(8): who is a member stays one.
    pub fn add_members(&self, accounts: &[AccountId]) -> Result<(), ProvisionError> {
        let names: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
        let options = ["--append", "--users", &names.join(",")];
        self.run("groupmod", self.accounts_group, &options)
    }

    /// userdel(8). It takes the group of the same name along when the site says so (login.defs).
    pub fn remove_user(&self, account: &AccountId) -> Result<(), ProvisionError> {
        self.run("userdel", account.as_str(), &[])
    }

    /// groupdel(8). That userdel took it along is fine.
    pub fn remove_group(&self, account: &AccountId) -> Result<(), ProvisionError> {
        match self.run("groupdel", account.as_str(), &[]) {
            Err(ProvisionError::Tool { message, .. }) if message.contains("does not exist") => {
                Ok(())
            }
            result => result,
        }
    }

    /// Runs a tool, and retries while another process holds the lock on its files.
    fn run(&self, tool: &'static str, name: &str, options: &[&str]) -> Result<(), ProvisionError> {
        let begun = Instant::now();
        loop {
            let message = match self.attempt(tool, name, options) {
                Ok(None) => return Ok(()),
                Ok(Some(message)) => message,
                Err(error) => error.to_string(),
            };
            if !message.contains(LOCKED) || begun.elapsed() > PATIENCE {
                return Err(ProvisionError::Tool { tool, name: name.to_owned(), message });
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Runs a tool once. None: it did what it should, else what it said.
    fn attempt(&self, tool: &str, name: &str, options: &[&str]) -> io::Result<Option<String>> {
        let output = Command::new(format!("/usr/sbin/{tool}"))
            .args(options)
            .arg(name)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C") // the message is looked at
            .stdin(self.turn.for_tool()?)
            .stdout(Stdio::null())
            .process_group(0) // Ctrl-C is for us, not for a tool that is writing /etc/passwd
            .output()?;
        if output.status.success() {
            return Ok(None);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Ok(Some(format!("{} ({})", said.trim(), output.status)))
    }
}
