//! Checks the machine: its clock, and mandatory access control that could block logins or imports.

pub mod inotify_limits;
pub mod path_owners;
pub mod storage;

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use crate::doctor::finding::Finding;
use crate::state::State;
use crate::state::health;

const CLOCK: &str = "clock";
const ACCESS: &str = "mandatory-access";

/// The time by which the activity log may be ahead of the clock, because another process reads the
/// clock later.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// Checks the clock and mandatory access control.
pub fn check(state: Option<&State>, now: Timestamp) -> Vec<Finding> {
    let backlog = state.and_then(|state| state.read(|tx| health::read_backlog(tx, now)).ok());
    let newest = backlog.and_then(|backlog| backlog.newest_activity);
    vec![
        judge_clock(is_synchronised(), newest, now),
        judge_access(
            fs::read_to_string("/sys/fs/selinux/enforce").ok().as_deref(),
            fs::read_to_string("/sys/kernel/security/apparmor/profiles").ok().as_deref(),
        ),
    ]
}

/// Returns whether the clock is synchronised. `None` if no service on this host reports it.
fn is_synchronised() -> Option<bool> {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Some(true);
    }
    let show = ["show", "--property=NTPSynchronized", "--value"];
    let output = Command::new("timedatectl").args(show).output().ok()?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn judge_clock(synchronised: Option<bool>, newest: Option<Timestamp>, now: Timestamp) -> Finding {
    let ntp =
        "set the clock by the network: `timedatectl set-ntp true` (systemd-timesyncd or chrony)";
    let ahead = newest.map(|newest| newest.duration_since(now)).unwrap_or_default();
    if ahead > TOLERANCE {
        let message = format!(
            "the clock was turned back: the activity log is {} s ahead; expiry, retries and webhooks' times are wrong",
            ahead.as_secs()
        );
        return Finding::fail(CLOCK, message).fix(ntp);
    }
    match synchronised {
        Some(true) => Finding::ok(CLOCK, "the clock is synchronised"),
        Some(false) => Finding::warn(
            CLOCK,
            "the clock is not synchronised: receivers refuse webhooks that are 5 minutes off",
        )
        .fix(ntp),
        None => Finding::ok(
            CLOCK,
            "the clock was not turned back; no service reports whether it is synchronised",
        ),
    }
}

/// Judges SELinux's file `enforce` and AppArmor's file `profiles`. A value is `None` if the kernel
/// lacks the file.
fn judge_access(enforce: Option<&str>, profiles: Option<&str>) -> Finding {
    if enforce.is_some_and(|enforce| enforce.trim() == "1") {
        return Finding::warn(ACCESS, "SELinux is enforcing: it may block sshd from the helper and the chroots")
            .log("avc:  denied")
            .fix(
                "ausearch -m avc -ts recent; setsebool -P ssh_chroot_rw_homedirs on, and semanage fcontext \
                 for /srv/sftp-import and /var/lib/sftp-import",
            );
    }
    let ours = |line: &&str| line.contains("sshd") || line.contains("sftp-import");
    let mut enforced = profiles.unwrap_or_default().lines().filter(ours);
    match enforced.find(|line| line.ends_with("(enforce)")) {
        Some(profile) => Finding::warn(ACCESS, format!("AppArmor enforces {profile}"))
            .log("apparmor=\"DENIED\"")
            .fix(
                "journalctl -k -g apparmor; allow the denied operations in /etc/apparmor.d/local/",
            ),
        None => Finding::ok(ACCESS, "neither SELinux nor AppArmor restricts sshd"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn reports_a_clock_turned_back_or_unsynchronised() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let of = |sync, newest| judge_clock(sync, Some(at(newest)), at(1000));
        assert_eq!(of(Some(true), 1030).level, Level::Ok);
        assert_eq!(of(Some(false), 900).level, Level::Warn);
        assert_eq!(of(None, 900).level, Level::Ok);
        let back = of(Some(true), 5000);
        assert_eq!((back.level, back.message.contains("4000 s ahead")), (Level::Fail, true));
    }

    #[test]
    fn reports_access_control_that_could_block_sshd() {
        assert_eq!(judge_access(None, None).level, Level::Ok);
        assert_eq!(
            judge_access(Some("0"), Some("firefox (enforce)\nsshd (complain)\n")).level,
            Level::Ok
        );
        assert!(judge_access(Some("1\n"), None).log.unwrap().contains("avc"));
        let profile = judge_access(None, Some("a (enforce)\n/usr/sbin/sshd (enforce)\n"));
        assert!(profile.message.contains("/usr/sbin/sshd"));
    }
}
