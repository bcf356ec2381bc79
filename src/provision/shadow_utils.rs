//! Runs the system's tools for users and groups: useradd and related tools (shadow).
//!
//! The tools lock /etc/passwd and related files, write them safely, and notify nscd and sssd. Every
//! name in a call is an account id, which can't be mistaken for an option.
//!
//! Each call reads and rewrites these files. With 10,000 users (shadow 4.13) groupadd takes 0.05 s
//! and useradd 0.07 s. useradd takes 0.75 s if it also writes a membership. Therefore groupmod adds
//! the members, up to a thousand users per call.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::error::{ProvisionError, Result};
use super::host::{GECOS, HOME, SHELL};
use super::lock::ProvisionLock;
use crate::account::AccountId;

/// The maximum wait for the lock of another tool. Each tool holds its lock for milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// A part of the tools' error messages. It means that another process has locked the files.
const LOCKED: &str = "cannot lock";

/// Runs the tools that change Unix users and groups, such as useradd(8), for one provisioning.
pub(super) struct ShadowUtils<'a> {
    /// The lock of the provisioning. Every tool also holds the lock while the tool runs.
    pub lock: &'a ProvisionLock,
    /// The Unix group that sshd_config matches.
    pub accounts_group: &'a str,
}

impl ShadowUtils<'_> {
    pub fn add_group(&self, account: &AccountId, gid: u32) -> Result<()> {
        self.run("groupadd", account.as_str(), &["--gid", &gid.to_string()])
    }

    /// Creates a user without password, home, shell and subordinate ids.
    ///
    /// The password is set to `*`, because sshd without PAM interprets useradd's default `!` as a
    /// locked account and refuses its keys. Password ageing is off, even if the defaults of the
    /// site turn it on. `--badname` allows upper case and leading digits.
    pub fn add_user(&self, account: &AccountId, uid: u32) -> Result<()> {
        let uid = uid.to_string();
        let mut options = vec!["--badname", "--uid", &uid, "--gid", &uid];
        options.extend(["--comment", GECOS, "--shell", SHELL]);
        options.extend(["--home-dir", HOME, "--no-create-home", "--no-log-init"]);
        options.extend(["--password", "*", "--inactive", "-1", "--expiredate", ""]);
        options.extend(["--key", "PASS_MAX_DAYS=-1"]);
        options.extend(["--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0"]);
        self.run("useradd", account.as_str(), &options)
    }

    pub fn set_shell(&self, account: &AccountId) -> Result<()> {
        self.run("usermod", account.as_str(), &["--shell", SHELL])
    }

    /// Adds the Unix users of `accounts` to the accounts' group. Existing members stay in the
    /// group.
    pub fn add_members(&self, accounts: &[AccountId]) -> Result<()> {
        let names: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
        let options = ["--append", "--users", &names.join(",")];
        self.run("groupmod", self.accounts_group, &options)
    }

    /// Removes the Unix user of an account. If login.defs is configured so, userdel also removes
    /// the group with the same name.
    pub fn remove_user(&self, account: &AccountId) -> Result<()> {
        self.run("userdel", account.as_str(), &[])
    }

    /// Removes the Unix group of an account. userdel may have already removed the group.
    pub fn remove_group(&self, account: &AccountId) -> Result<()> {
        match self.run("groupdel", account.as_str(), &[]) {
            Err(ProvisionError::Tool { message, .. }) if message.contains("does not exist") => {
                Ok(())
            }
            result => result,
        }
    }

    /// Runs a tool. Repeats this while another process holds the lock of the tool's files.
    fn run(&self, tool: &'static str, name: &str, options: &[&str]) -> Result<()> {
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

    /// Runs a tool once. Returns `None` on success, and otherwise the tool's error message.
    fn attempt(&self, tool: &str, name: &str, options: &[&str]) -> io::Result<Option<String>> {
        let output = Command::new(format!("/usr/sbin/{tool}"))
            .args(options)
            .arg(name)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C") // this file compares messages
            .stdin(self.lock.as_stdin()?)
            .stdout(Stdio::null())
            .process_group(0) // Ctrl-C must not interrupt the tool
            .output()?;
        if output.status.success() {
            return Ok(None);
        }
        let message = String::from_utf8_lossy(&output.stderr);
        Ok(Some(format!("{} ({})", message.trim(), output.status)))
    }
}
