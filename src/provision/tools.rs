//! The system's own tools for users and groups: useradd and its family (shadow).
//!
//! They take the locks on /etc/passwd and its companions, write them safely and tell nscd and
//! sssd. Names that get here are account ids, which cannot be taken for options.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::ProvisionError;
use super::host::{GECOS, SHELL};
use crate::account::AccountId;

/// How long to wait for another one of these tools, which each hold the lock for milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// groupadd(8).
pub(super) fn add_group(account: &AccountId, gid: u32) -> Result<(), ProvisionError> {
    run("groupadd", account, &["--gid", &gid.to_string()])
}

/// useradd(8), for a user that has no password, no home, no shell and no subordinate ids.
///
/// The password is `*`, not useradd's `!`: sshd without PAM takes `!` for a locked account and
/// refuses its keys too. No ageing, whatever the site's defaults are: a password that doesn't
/// exist must not expire.
pub(super) fn add_user(
    account: &AccountId,
    uid: u32,
    accounts_group: &str,
) -> Result<(), ProvisionError> {
    let uid = uid.to_string();
    let arguments = [
        "--badname", // upper case and leading digits are fine for sshd and for us
        "--uid",
        &uid,
        "--gid",
        &uid,
        "--groups",
        accounts_group,
        "--comment",
        GECOS,
        "--home-dir",
        "/nonexistent",
        "--no-create-home",
        "--shell",
        SHELL,
        "--no-log-init",
        "--password",
        "*",
        "--inactive",
        "-1",
        "--expiredate",
        "",
        "--key",
        "PASS_MAX_DAYS=-1",
        "--key",
        "SUB_UID_COUNT=0",
        "--key",
        "SUB_GID_COUNT=0",
    ];
    run("useradd", account, &arguments)
}

/// usermod(8): shell and membership again.
pub(super) fn mend_user(account: &AccountId, accounts_group: &str) -> Result<(), ProvisionError> {
    run("usermod", account, &["--shell", SHELL, "--append", "--groups", accounts_group])
}

/// userdel(8). It takes the group of the same name along when the site says so (login.defs).
pub(super) fn remove_user(account: &AccountId) -> Result<(), ProvisionError> {
    run("userdel", account, &[])
}

/// groupdel(8). That userdel took it along is fine.
pub(super) fn remove_group(account: &AccountId) -> Result<(), ProvisionError> {
    match run("groupdel", account, &[]) {
        Err(ProvisionError::Tool { message, .. }) if message.contains("does not exist") => Ok(()),
        result => result,
    }
}

/// Runs a tool, and again while another one holds the lock on its files.
fn run(tool: &'static str, account: &AccountId, options: &[&str]) -> Result<(), ProvisionError> {
    let begun = Instant::now();
    loop {
        let message = match attempt(tool, account, options) {
            Ok(None) => return Ok(()),
            Ok(Some(message)) => message,
            Err(error) => error.to_string(),
        };
        if !message.contains("cannot lock") || begun.elapsed() > PATIENCE {
            return Err(ProvisionError::Tool { tool, account: account.to_string(), message });
        }
        sleep(Duration::from_millis(100));
    }
}

/// Runs a tool once. None: it did what it should, else what it said.
fn attempt(tool: &str, account: &AccountId, options: &[&str]) -> std::io::Result<Option<String>> {
    let output = Command::new(format!("/usr/sbin/{tool}"))
        .args(options)
        .arg(account.as_str())
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C") // the message is looked at
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(Some(format!("{} ({})", said.trim(), output.status)))
}
