//! inotify's limits against the number of accounts: one watch each, and one for all.

use std::fs;

use super::daemon::process_id;
use super::finding::Finding;
use crate::config::Config;

const CHECK: &str = "watches";

/// What the kernel allows, and what is there.
#[derive(Clone, Copy, Debug)]
struct Watches {
    /// fs.inotify.max_user_watches
    allowed: Option<usize>,
    /// fs.inotify.max_user_instances
    instances: Option<usize>,
    /// Accounts that have folders.
    accounts: usize,
    /// What the sidecar watches now; none when it doesn't run, or can't be looked at.
    watched: Option<usize>,
}

/// Whether every one of `accounts` is watched, and more could be.
pub(super) fn check(config: &Config, accounts: usize) -> Finding {
    judge(Watches {
        allowed: sysctl("max_user_watches"),
        instances: sysctl("max_user_instances"),
        accounts,
        watched: process_id(config).and_then(watched_by),
    })
}

fn sysctl(name: &str) -> Option<usize> {
    fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
}

/// Watches of a process: one line each in its descriptors' fdinfo (proc(5)).
fn watched_by(process: i32) -> Option<usize> {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).ok()?;
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let count = |text: String| text.lines().filter(|line| line.starts_with("inotify ")).count();
    Some(texts.map(count).sum())
}

fn judge(watches: Watches) -> Finding {
    let needed = watches.accounts + 1;
    let allowed = watches.allowed.unwrap_or(usize::MAX);
    let raise = |to: usize| {
        format!(
            "echo fs.inotify.max_user_watches={to} >/etc/sysctl.d/60-sftp-import.conf; sysctl --system; \
             systemctl restart sftp-importd"
        )
    };
    if allowed < needed {
        let message =
            format!("{needed} watches are needed, and fs.inotify.max_user_watches is {allowed}");
        let log = "the limit of inotify watches is reached";
        return Finding::fail(CHECK, message).log(log).fix(raise(needed * 2));
    }
    if watches.instances == Some(0) {
        let fix = "sysctl fs.inotify.max_user_instances=128";
        return Finding::fail(CHECK, "fs.inotify.max_user_instances is 0")
            .log("cannot use inotify")
            .fix(fix);
    }
    match watches.watched {
        Some(watched) if watched < needed => {
            let accounts = watches.accounts;
            let message = format!("the sidecar has {watched} watches for {accounts} accounts");
            Finding::warn(CHECK, message).log("cannot watch").fix(
                "`journalctl -u sftp-importd -g watch` says why; until then a rescan finds uploads",
            )
        }
        _ if allowed < needed + needed / 4 => {
            let message = format!("{needed} of {allowed} watches are needed");
            Finding::warn(CHECK, message).fix(raise(needed * 2))
        }
        _ => Finding::ok(CHECK, format!("{needed} needed, {allowed} allowed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn watches_against_accounts() {
        let of = |allowed, watched| {
            judge(Watches { allowed: Some(allowed), instances: Some(128), accounts: 9, watched })
        };
        assert_eq!(of(100, Some(10)).level, Level::Ok);
        assert_eq!(of(100, None).level, Level::Ok);
        assert_eq!(of(11, Some(10)).level, Level::Warn);
        let few = of(9, None);
        assert_eq!((few.level, few.message.contains("10 watches are needed")), (Level::Fail, true));
        assert!(few.fix.unwrap().contains("max_user_watches=20"));
        assert!(of(100, Some(9)).message.contains("9 watches for 9 accounts"));
    }

    #[test]
    fn counts_its_own() {
        let inotify = inotify::Inotify::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        inotify.watches().add(folder.path(), inotify::WatchMask::CREATE).unwrap();
        assert!(watched_by(std::process::id() as i32).unwrap() >= 1);
    }
}
