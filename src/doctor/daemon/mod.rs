//! Checks the daemon: whether it runs, with which privileges, and whether systemd starts it.
//!
//! The daemon is the process that holds the lock of the state folder, however the process was
//! started. The opener process is its child.

pub mod database;
pub mod delivery;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nix::sys::stat::{major, minor};
use nix::unistd::User;

use crate::config::Config;
use crate::doctor::finding::Finding;
use crate::spool;
use crate::state::INSTANCE_LOCK_FILE;

const RUNNING: &str = "sidecar-running";
const PRIVILEGES: &str = "sidecar-privileges";
const UNIT: &str = "sidecar-unit";
const LOGINS: &str = "login-audit";

/// The socket unit from which the daemon reads sshd's log entries.
const JOURNAL_UNIT: &str = "sftp-import-journal.socket";

/// The two capabilities of the opener process: CAP_DAC_READ_SEARCH (2) and CAP_LEASE (28)
/// (capabilities(7)).
const CAPABILITIES: u64 = 1 << 2 | 1 << 28;

/// Returns the process id of the daemon, which holds the daemon's lock.
pub fn find_process(config: &Config) -> Option<i32> {
    let lock = fs::metadata(config.paths.state.join(INSTANCE_LOCK_FILE)).ok()?;
    let device = format!("{:02x}:{:02x}", major(lock.dev()), minor(lock.dev()));
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let is_daemon = |process: i32| {
        let name = fs::read_to_string(format!("/proc/{process}/comm"));
        name.is_ok_and(|name| name.trim() == "sftp-importd")
    };
    find_lock_holder(&locks, &device, lock.ino(), is_daemon)
}

/// Finds in the text of /proc/locks (proc(5)) the process that holds a flock(2) on a file. On btrfs
/// and overlayfs, the devices in /proc/locks and stat(2) differ. There the inode and the name of the
/// process are compared instead.
fn find_lock_holder(
    locks: &str,
    device: &str,
    inode: u64,
    is_daemon: impl Fn(i32) -> bool,
) -> Option<i32> {
    let held = locks.lines().filter_map(|line| {
        // A line is `1: FLOCK ADVISORY WRITE 4711 08:01:1234 0 EOF`. A waiting lock has `->` after
        // the number.
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["FLOCK", _, _, process, file, ..] = words.get(1..)? else { return None };
        let (on, number) = file.rsplit_once(':')?;
        (number.parse() == Ok(inode)).then_some((process.parse().ok()?, on))
    });
    let held: Vec<(i32, &str)> = held.collect();
    let exact = held.iter().find(|(_, on)| *on == device);
    exact.or_else(|| held.iter().find(|(process, _)| is_daemon(*process))).map(|held| held.0)
}

/// Checks the daemon's process, its privileges and its systemd unit.
pub fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    match find_process(config) {
        Some(process) => {
            findings.push(judge_program(process));
            let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            let service = User::from_name(&config.accounts.service_user).ok().flatten();
            let service = service.map(|user| user.uid.as_raw());
            findings.push(judge_privileges(
                &status,
                read_opener_status(process).as_deref(),
                service,
            ));
        }
        None => {
            let message = "no sftp-importd runs on this state folder: uploads wait";
            let fix = "systemctl start sftp-importd; \
                       `journalctl -u sftp-importd -n 50` shows why the daemon ended";
            let log = "sftp-importd.service: Failed";
            findings.push(Finding::fail(RUNNING, message).log(log).fix(fix));
        }
    }
    if Path::new("/run/systemd/system").exists() {
        findings.push(judge_unit(&show_unit("sftp-importd")));
        findings.push(judge_journal(&show_unit(JOURNAL_UNIT)));
    }
    findings
}

/// Checks that the daemon runs the installed program and not an older program.
fn judge_program(process: i32) -> Finding {
    let program = fs::read_link(format!("/proc/{process}/exe")).unwrap_or_default();
    match program.to_string_lossy().ends_with(" (deleted)") {
        false => Finding::ok(RUNNING, format!("the daemon runs as process {process}")),
        true => Finding::warn(
            RUNNING,
            "the daemon runs a program file that was replaced after its start",
        )
        .fix("systemctl restart sftp-importd"),
    }
}

/// Reads /proc/PID/status of the opener process of `daemon`.
fn read_opener_status(daemon: i32) -> Option<String> {
    let daemon = daemon.to_string();
    let statuses = fs::read_dir("/proc").ok()?.flatten();
    let mut statuses = statuses.filter_map(|e| fs::read_to_string(e.path().join("status")).ok());
    statuses.find(|status| {
        field(status, "PPid") == daemon && field(status, "Name") == spool::opener::PROCESS
    })
}

/// Returns the first word of a field of /proc/PID/status.
fn field<'s>(status: &'s str, name: &str) -> &'s str {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()).unwrap_or_default()
}

/// Judges /proc/PID/status (proc_pid_status(5)) of the daemon and of its opener process. `status`
/// is empty if it can't be read.
fn judge_privileges(status: &str, opener: Option<&str>, service: Option<u32>) -> Finding {
    let capabilities = |status, set| u64::from_str_radix(field(status, set), 16);
    let field = |name: &str| field(status, name);
    let unit = "run the daemon as the shipped unit does: remove overrides that \
                `systemctl cat sftp-importd` shows; \
                systemctl restart sftp-importd";
    let uid: Option<u32> = field("Uid").parse().ok();
    if uid.is_none() {
        return Finding::warn(PRIVILEGES, "the daemon's privileges can't be read")
            .fix("run doctor as root");
    }
    if uid == Some(0) || uid != service {
        let message = format!("the daemon runs as user id {}", field("Uid"));
        return Finding::fail(PRIVILEGES, message).log("belongs to the user with id").fix(unit);
    }
    let Some(opener) = opener else {
        return Finding::fail(
            PRIVILEGES,
            "the daemon has no opener process: no upload can be opened",
        )
        .log("the opener process has ended")
        .fix("systemctl restart sftp-importd");
    };
    let left = ["CapPrm", "CapInh", "CapAmb"].map(|set| capabilities(status, set));
    let wrong = [
        (
            left != [Ok(0), Ok(0), Ok(0)],
            "the daemon has capabilities, but only its opener process may have any",
        ),
        (
            capabilities(opener, "CapPrm") != Ok(CAPABILITIES),
            "the opener process has other capabilities than CAP_DAC_READ_SEARCH and CAP_LEASE",
        ),
        (field("NoNewPrivs") != "1", "the daemon may gain privileges (NoNewPrivs 0)"),
        (field("Seccomp") != "2", "the daemon has no filter of system calls (Seccomp 0)"),
    ];
    match wrong.into_iter().find(|(is_so, _)| *is_so) {
        Some((_, message)) => Finding::warn(PRIVILEGES, message).fix(unit),
        None => Finding::ok(
            PRIVILEGES,
            "the daemon has its own user, no capability and a filter of system calls; its opener \
             process has two capabilities",
        ),
    }
}

fn show_unit(unit: &str) -> String {
    let properties =
        "--property=LoadState,UnitFileState,ActiveState,NRestarts,NeedDaemonReload,NConnections";
    let output = Command::new("systemctl").args(["show", properties, unit]).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
}

/// Judges the output of `systemctl show` for the daemon's unit.
fn judge_unit(shown: &str) -> Finding {
    let is = |line: &str| shown.lines().any(|shown| shown == line);
    if !is("LoadState=loaded") {
        let fix = "install -m 0644 sftp-importd.service /etc/systemd/system/; \
                   systemctl enable --now sftp-importd";
        return Finding::warn(UNIT, "systemd has no unit sftp-importd").fix(fix);
    }
    if !is("UnitFileState=enabled") {
        let fix = "systemctl enable sftp-importd";
        return Finding::warn(
            UNIT,
            "the unit is not enabled: the daemon would not start with the host",
        )
        .fix(fix);
    }
    if is("ActiveState=failed") {
        let fix = "`journalctl -u sftp-importd -n 50` shows why; systemctl restart sftp-importd";
        return Finding::fail(UNIT, "the unit has failed").log("Failed with result").fix(fix);
    }
    if is("NeedDaemonReload=yes") {
        let fix = "systemctl daemon-reload && systemctl restart sftp-importd";
        return Finding::warn(UNIT, "the unit's file has changed since systemd read it").fix(fix);
    }
    match shown.lines().find_map(|line| line.strip_prefix("NRestarts=")) {
        Some(n) if n != "0" => {
            Finding::warn(UNIT, format!("systemd has restarted the daemon {n} times"))
                .log("Scheduled restart job")
                .fix("journalctl -u sftp-importd -p warning")
        }
        _ => Finding::ok(UNIT, "the unit is enabled, and systemd has never restarted the daemon"),
    }
}

/// Judges the output of `systemctl show` for the socket unit of sshd's log entries.
fn judge_journal(shown: &str) -> Finding {
    let is = |line: &str| shown.lines().any(|shown| shown == line);
    let (message, fix) = if !is("ActiveState=active") {
        let message = "sftp-import-journal.socket is not active: logins are not audited";
        let fix = "systemctl start sftp-import-journal.socket; \
                   `journalctl -u sftp-import-journal.socket` shows why the socket ended";
        (message, fix)
    } else if is("NConnections=0") {
        let message = "sftp-importd reads no sshd log entries: logins are not audited";
        let fix = "systemctl restart sftp-importd; \
                   `journalctl -u 'sftp-import-journal@*'` shows why journalctl ended";
        (message, fix)
    } else {
        return Finding::ok(LOGINS, "the daemon reads sshd's logins from the journal");
    };
    Finding::warn(LOGINS, message).log("logins are not audited").fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn finds_the_process_that_holds_a_lock() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 08:01:5 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 22 08:01:5 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 33 08:01:5 0 EOF\n";
        let on = |device, inode, daemon| find_lock_holder(locks, device, inode, |id| id == daemon);
        assert_eq!(on("08:01", 5, 0), Some(22));
        assert_eq!(on("08:01", 6, 22), None);
        assert_eq!(on("00:2f", 5, 0), None);
        assert_eq!(on("00:2f", 5, 22), Some(22), "as on btrfs");
    }

    #[test]
    fn reports_missing_or_excess_privileges() {
        let status = |uid: &str, caps: &str, no_new: &str, seccomp: &str| {
            format!(
                "Name:\tx\nUid:\t{uid}\t{uid}\nCapInh:\t{caps}\nCapPrm:\t{caps}\nCapAmb:\t{caps}\n\
                 NoNewPrivs:\t{no_new}\nSeccomp:\t{seccomp}\n"
            )
        };
        let (none, two) = ("0000000000000000", "0000000010000004");
        let opener = status("999", two, "1", "2");
        let with = |daemon: &str, opener: Option<&String>| {
            judge_privileges(daemon, opener.map(String::as_str), Some(999))
        };
        let of =
            |uid, caps, no_new, seccomp| with(&status(uid, caps, no_new, seccomp), Some(&opener));
        assert_eq!(of("999", none, "1", "2").level, Level::Ok);
        assert_eq!(of("0", none, "1", "2").level, Level::Fail);
        assert_eq!(of("1000", none, "1", "2").level, Level::Fail);
        assert!(of("999", two, "1", "2").message.contains("the daemon has capabilities"));
        assert!(of("999", none, "0", "2").message.contains("NoNewPrivs 0"));
        assert!(of("999", none, "1", "0").message.contains("Seccomp 0"));
        assert_eq!(with("", None).level, Level::Warn);
        let daemon = status("999", none, "1", "2");
        assert!(with(&daemon, None).message.contains("no opener process"));
        for other in [none, "0000000000000004", "00000000100000c4"] {
            let finding = with(&daemon, Some(&status("999", other, "1", "2")));
            assert!(finding.message.contains("other capabilities"), "{}", finding.message);
        }
    }

    #[test]
    fn warns_when_no_sshd_log_is_read() {
        assert_eq!(judge_journal("ActiveState=active\nNConnections=1").level, Level::Ok);
        for (shown, message) in [
            ("LoadState=not-found\nActiveState=inactive", "is not active"),
            ("ActiveState=active\nNConnections=0", "reads no sshd log entries"),
        ] {
            let finding = judge_journal(shown);
            assert_eq!((finding.check, finding.level), (LOGINS, Level::Warn));
            assert!(finding.message.contains(message), "{}", finding.message);
        }
    }

    #[test]
    fn reports_each_fault_of_the_unit() {
        let good = "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nNRestarts=0\n\
                    NeedDaemonReload=no";
        assert_eq!(judge_unit(good).level, Level::Ok);
        for (from, to, message) in [
            ("=loaded", "=not-found", "has no unit"),
            ("=enabled", "=disabled", "would not start"),
            ("=active", "=failed", "has failed"),
            ("NRestarts=0", "NRestarts=3", "restarted the daemon 3 times"),
            ("=no", "=yes", "has changed"),
        ] {
            let finding = judge_unit(&good.replace(from, to));
            assert!(finding.message.contains(message), "{}", finding.message);
        }
    }
}
