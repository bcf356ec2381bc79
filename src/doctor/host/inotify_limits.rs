//! Checks inotify's limits: the daemon needs one watch for each account, and [`OTHER_WATCHES`].
//!
//! The kernel has a limit for the host and one for the user namespace (an unprivileged container).
//! The lower one applies.

use std::fs;

use crate::config::Config;
use crate::doctor::daemon::find_process;
use crate::doctor::finding::Finding;

const CHECK: &str = "watches";

/// The number of inotify watches for the folder of all accounts and for the state database.
const OTHER_WATCHES: usize = 2;

/// A limit of the kernel on inotify.
#[derive(Clone, Copy, Debug)]
struct KernelLimit {
    /// The name of the sysctl that sets the limit.
    name: &'static str,
    value: usize,
}

/// The limits on inotify, the number of needed watches and the number of existing watches.
#[derive(Clone, Copy, Debug)]
struct WatchFacts {
    allowed: Option<KernelLimit>,
    instances: Option<KernelLimit>,
    /// The number of accounts that have folders.
    accounts: usize,
    /// The number of inotify watches of the daemon. `None` if the daemon doesn't run or can't be
    /// examined.
    watched: Option<usize>,
}

/// Checks that every one of `accounts` is watched, and that the limit has some reserve.
pub fn check(config: &Config, accounts: usize) -> Finding {
    judge(WatchFacts {
        allowed: lower_limit("fs.inotify.max_user_watches", "user.max_inotify_watches"),
        instances: lower_limit("fs.inotify.max_user_instances", "user.max_inotify_instances"),
        accounts,
        watched: find_process(config).and_then(count_watches),
    })
}

fn lower_limit(of_host: &'static str, of_namespace: &'static str) -> Option<KernelLimit> {
    let limits = [of_host, of_namespace].into_iter().filter_map(read_sysctl);
    limits.min_by_key(|limit| limit.value)
}

fn read_sysctl(name: &'static str) -> Option<KernelLimit> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    let value = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    Some(KernelLimit { name, value })
}

/// Counts the inotify watches of a process. Each watch has a line in the fdinfo of a descriptor
/// (proc(5)).
fn count_watches(process: i32) -> Option<usize> {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).ok()?;
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let count = |text: String| text.lines().filter(|line| line.starts_with("inotify ")).count();
    Some(texts.map(count).sum())
}

fn judge(watches: WatchFacts) -> Finding {
    let needed = watches.accounts + OTHER_WATCHES;
    let unlimited = KernelLimit { name: "fs.inotify.max_user_watches", value: usize::MAX };
    let KernelLimit { name, value: allowed } = watches.allowed.unwrap_or(unlimited);
    let raise = |to: usize| {
        format!(
            "echo {name}={to} >/etc/sysctl.d/60-sftp-import.conf; sysctl --system; \
             systemctl restart sftp-importd"
        )
    };
    if allowed < needed {
        let message = format!("{needed} watches are needed, but {name} is {allowed}");
        let log = "the limit of inotify watches is reached";
        return Finding::fail(CHECK, message).log(log).fix(raise(needed * 2));
    }
    if let Some(KernelLimit { name, value: 0 }) = watches.instances {
        return Finding::fail(CHECK, format!("the limit {name} is 0"))
            .log("cannot use inotify")
            .fix(format!("sysctl {name}=128"));
    }
    match watches.watched {
        Some(watched) if watched < needed => {
            let accounts = watches.accounts;
            let message = format!("the daemon has {watched} watches for {accounts} accounts");
            Finding::warn(CHECK, message).log("cannot watch").fix(
                "`journalctl -u sftp-importd -g watch` shows why; until then a rescan finds uploads",
            )
        }
        _ if allowed < needed + needed / 4 => {
            let message = format!("{needed} of {allowed} watches are needed");
            Finding::warn(CHECK, message).fix(raise(needed * 2))
        }
        _ => Finding::ok(CHECK, format!("{needed} watches are needed, and {allowed} are allowed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn reports_too_few_watches_for_the_accounts() {
        let limit = |value| Some(KernelLimit { name: "fs.inotify.max_user_watches", value });
        let of = |allowed, watched| {
            let (allowed, instances) = (limit(allowed), limit(128));
            judge(WatchFacts { allowed, instances, accounts: 9, watched })
        };
        assert_eq!(of(100, Some(11)).level, Level::Ok);
        assert_eq!(of(100, None).level, Level::Ok);
        assert_eq!(of(12, Some(11)).level, Level::Warn);
        let few = of(9, None);
        assert_eq!((few.level, few.message.contains("11 watches are needed")), (Level::Fail, true));
        assert!(few.fix.unwrap().contains("max_user_watches=22"));
        assert!(of(100, Some(10)).message.contains("10 watches for 9 accounts"));
    }

    #[test]
    fn counts_the_watches_of_a_process() {
        let inotify = inotify::Inotify::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        inotify.watches().add(folder.path(), inotify::WatchMask::CREATE).unwrap();
        assert!(count_watches(std::process::id() as i32).unwrap() >= 1);
    }
}
