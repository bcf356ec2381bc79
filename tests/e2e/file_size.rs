//! Tests the limit for the size of uploaded files, which the limits file of the package sets for
//! sshd's sessions. A larger upload must be stopped.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::support::account::Account;
use crate::support::host::{Host, REPOSITORY, SOON};
use crate::support::process::{Ran, until};
use crate::support::sftp_script::Script;
use crate::support::unix::LIMITS_FILE;

const SHIPPED: &str = "openssh/limits.d/50-sftp-import.conf";

/// Returns the limit in the limits file, in bytes.
fn allowed() -> u64 {
    let shipped = std::fs::read_to_string(format!("{REPOSITORY}/{SHIPPED}")).unwrap();
    let line = shipped.lines().find(|line| !line.starts_with('#')).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..3], ["@sftp-import-accounts", "-", "fsize"]);
    words[3].parse::<u64>().unwrap() * 1024
}

/// Writes `bytes` bytes that end at the position `end`. The rest of the file is a hole.
fn write_up_to(account: &Account<'_>, name: &str, end: u64, bytes: u64) -> Ran {
    let code = format!(
        "f = sftp.open({name:?}, 'w'); f.seek({}); f.write(b'x' * {bytes}); f.close()",
        end - bytes
    );
    Script::new(account).run(&code)
}

/// Installs the limits file of the package for pam_limits on this machine until the value is
/// dropped. If a test is killed, the file stays, and the next test removes it.
struct LimitsFile;

impl LimitsFile {
    /// Installs the file. `more` contains additional lines of a sysadmin.
    fn install(more: &str) -> Self {
        let shipped = std::fs::read_to_string(format!("{REPOSITORY}/{SHIPPED}")).unwrap();
        std::fs::write(LIMITS_FILE, shipped + more).unwrap();
        Self
    }
}

impl Drop for LimitsFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(LIMITS_FILE);
    }
}

#[test]
fn a_file_over_the_limit_ends_the_session() {
    let allowed = allowed();
    let defaults = sftp_import::config::Limits::default();
    assert!(
        allowed > defaults.max_data_file.bytes(),
        "a file of the maximum import size must be allowed"
    );
    let host = Host::new("");
    let account = host.account("e2e-file-size");
    let own = host.account("e2e-file-size-own");
    let _limits = LimitsFile::install(&format!("{}  -  fsize  100\n", own.id));
    write_up_to(&account, "largest.csv", allowed, 1000).ok();
    write_up_to(&account, "larger.csv", allowed + 1, 1000).refused();
    let size = |name: &str| account.incoming().join(name).metadata().unwrap().size();
    assert_eq!(size("largest.csv"), allowed);
    assert!(size("larger.csv") <= allowed, "{}", size("larger.csv"));
    Script::new(&account).run(&format!("sftp.truncate('largest.csv', {})", allowed + 1)).refused();
    assert_eq!(size("largest.csv"), allowed);
    assert!(account.can_log_in(), "the next session must work");
    the_session_alone_is_limited(&account, allowed);
    // A line for a single account has priority over the line for the group.
    write_up_to(&own, "largest.csv", 100 * 1024, 1000).ok();
    write_up_to(&own, "larger.csv", 100 * 1024 + 1, 1000).refused();
}

/// Checks that the processes of the account's session have the limit, and that the listening sshd
/// has none.
fn the_session_alone_is_limited(account: &Account<'_>, allowed: u64) {
    let go_on = account.local().join("go-on");
    let mut client = Script::new(account).start(&format!("wait({go_on:?})"));
    let uid = account.incoming().join("largest.csv").metadata().unwrap().uid();
    let of_session = until("the session's process", SOON, || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let mut of_account =
            processes.filter(|path| path.metadata().is_ok_and(|status| status.uid() == uid));
        file_size_limit(&of_account.next()?)
    });
    assert_eq!(of_session, allowed.to_string());
    let own = file_size_limit(Path::new("/proc/self"));
    assert_eq!(own.as_deref(), Some("unlimited"), "the listening sshd must have no limit");
    std::fs::write(&go_on, "").unwrap();
    assert!(client.wait(SOON).success());
}

/// Returns the soft limit of a process from /proc.
fn file_size_limit(process: &Path) -> Option<String> {
    let limits = std::fs::read_to_string(process.join("limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max file size"))?;
    line.split_whitespace().next().map(str::to_owned)
}
