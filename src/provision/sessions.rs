//! Ends the processes of an account's Unix user. These are the account's SFTP sessions with their
//! running uploads.

use std::collections::HashSet;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::error::{ProvisionError, Result};

/// The time between SIGTERM and SIGKILL. In this time, a session can end by itself.
const GRACE: Duration = Duration::from_secs(2);
/// The time after which a process that is still running causes an error.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time during which no new process may appear. A login that was accepted just before its key
/// was unpublished becomes a process of the user a short time later.
const QUIET: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(20);

/// Ends every process of the Unix user `uid`, first with SIGTERM, and with SIGKILL after [`GRACE`].
/// Returns the number of ended processes when no process has appeared for [`QUIET`].
///
/// # Errors
/// A process is still running after [`PATIENCE`], or `uid` is below 1000 and therefore not the id
/// of an account.
pub fn end(uid: u32) -> Result<usize> {
    if uid < 1000 {
        return Err(ProvisionError::Sessions(uid));
    }
    let begun = Instant::now();
    let mut quiet_since = begun;
    let mut seen = HashSet::new();
    while quiet_since.elapsed() < QUIET {
        let processes = processes_of(uid);
        if !processes.is_empty() {
            quiet_since = Instant::now();
        }
        if begun.elapsed() > PATIENCE {
            return Err(ProvisionError::Sessions(uid));
        }
        let late = begun.elapsed() > GRACE;
        for pid in processes {
            // The function sends SIGTERM once, and then SIGKILL until the process has ended. A
            // process that has already ended is not an error.
            if seen.insert(pid) && !late {
                let _ = kill(pid, Signal::SIGTERM);
            } else if late {
                let _ = kill(pid, Signal::SIGKILL);
            }
        }
        sleep(PAUSE);
    }
    Ok(seen.len())
}

/// Returns the processes whose real, effective, saved or file system user id is `uid`. Zombies are
/// excluded.
fn processes_of(uid: u32) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            // A process may end after it was listed and before its status file is read.
            fs::read_to_string(format!("/proc/{pid}/status"))
                .is_ok_and(|status| belongs_to(&status, uid))
        })
        .map(Pid::from_raw)
        .collect()
}

/// Returns whether `status`, the content of `/proc/<pid>/status` (proc(5)), belongs to a living
/// process of the user `uid`.
fn belongs_to(status: &str, uid: u32) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    let ids = field("Uid:").unwrap_or_default();
    let dead = field("State:").is_some_and(|state| state.trim_start().starts_with('Z'));
    !dead && ids.split_whitespace().any(|id| id.parse() == Ok(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_owner_of_a_process() {
        let status = "Name:\tsshd\nState:\tS (sleeping)\nUid:\t0\t70001\t70001\t70001\n";
        assert!(belongs_to(status, 70_001));
        assert!(!belongs_to(status, 7000));
        assert!(!belongs_to(&status.replace("S (", "Z ("), 70_001));
        assert!(!belongs_to("", 0));
    }

    #[test]
    fn system_processes_are_never_ended() {
        assert!(end(0).is_err());
    }
}
