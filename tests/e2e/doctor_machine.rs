//! Tests of doctor's checks of the machine: file systems, leases, watches and access control. A
//! test can't break these for the whole machine. Therefore it runs doctor in a namespace in which
//! they are broken.

use std::path::Path;

use nix::sys::signal::Signal;

use crate::support::findings::{Findings, arguments, examine, examine_under, expect_content};
use crate::support::host::{Host, SOON, text};
use crate::support::process::{run, until};

/// Returns the command line of doctor.
fn doctor(host: &Host) -> String {
    let program = host.root.join("lib/sftp-import");
    let options = arguments(host).join(" ");
    format!("{} --config {} {options}", text(&program), text(&host.config()))
}

#[test]
fn unsuitable_file_systems_are_reported() {
    let host = Host::running();
    host.account("e2e-doctor-disk");
    let (accounts, state) = (host.accounts(), host.state());
    let spool = accounts.join(".spool");
    let tmpfs = |at: &Path, size: &str| format!("mount -t tmpfs -o size={size} x {}", text(at));
    let found = examine_under(&host, &tmpfs(&spool, "1m"));
    found.failed("file-systems", "are on two file systems, but a claim is a rename");
    let read_only = format!("mount --bind {0} {0}; mount -o remount,bind,ro {0}", text(&accounts));
    let found = examine_under(&host, &read_only);
    found.failed("file-systems", "is mounted read-only");
    found.failed("leases", "cannot take a lease");
    let keep = host.root.join("keep");
    let full = format!(
        "cp -a {state} {keep}; {}; cp -a {keep}/. {state}/; dd if=/dev/zero of={state}/fill 2>/dev/null || true",
        tmpfs(&state, "16m"),
        state = text(&state),
        keep = text(&keep),
    );
    let found = examine_under(&host, &full);
    found.failed(
        "free-space",
        "has 0 B free, which is less than imports.free-space-floor: the queue is held",
    );
    found.failed("sidecar-running", "no sftp-importd runs");
    let confined = "mount -t tmpfs x /sys/kernel; mkdir -p /sys/kernel/security/apparmor; \
                    echo '/usr/sbin/sshd (enforce)' >/sys/kernel/security/apparmor/profiles";
    examine_under(&host, confined).warned("mandatory-access", "AppArmor enforces /usr/sbin/sshd");
    let enforced =
        "mount -t tmpfs x /sys/fs; mkdir /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce";
    examine_under(&host, enforced).warned("mandatory-access", "SELinux is enforcing");
    let in_memory = format!("{}; mkdir {}", tmpfs(&accounts, "100m"), text(&spool));
    examine_under(&host, &in_memory).warned("file-systems", "is in memory (tmpfs)");
    expect_content(&host);
}

/// The system call for a lease fails as it does on a file system without leases.
#[test]
fn a_file_system_without_leases_is_reported() {
    let host = Host::running();
    host.account("e2e-doctor-lease");
    // The test searches for the system call that requests the lease. An earlier call sets the
    // signal of a broken lease. In a debug build the library makes one more call for the file.
    let with_call_refused = |n: usize| {
        let strace = format!(
            "exec strace -D -qq -o /dev/null -e trace=fcntl -e inject=fcntl:error=EINVAL:when={n} -P {}/.doctor-$$ {}",
            text(&host.accounts().join(".spool")),
            doctor(&host)
        );
        Findings::of(&run("sh", &["-c", &strace]))
    };
    let without = "warn: the file system does not support leases";
    let found = (2..=3).map(with_call_refused).find(|f| f.text("leases").starts_with(without));
    found
        .expect("no call asks for a lease")
        .warned("leases", "the file system does not support leases");
    expect_content(&host);
}

/// Doctor runs in a user namespace with lower limits of the kernel, as in an unprivileged
/// container. The limits also apply to the child processes of doctor.
#[test]
fn too_low_inotify_limits_are_reported() {
    let host = Host::running();
    host.account("e2e-doctor-watch");
    let under = |limit: &str| {
        // The process is root in the namespace as soon as the id map is written. It gets root's
        // capabilities by another exec.
        let pipes = host.root.join("pipes");
        let script = format!(
            "mkdir {pipes}; mkfifo {pipes}/up {pipes}/down
             unshare --user sh -c 'echo >{pipes}/up; read x <{pipes}/down; exec sh -c \"{limit} && exec {doctor}\"' &
             read x <{pipes}/up
             for map in uid_map gid_map; do echo '0 0 4294967295' >/proc/$!/$map; done
             echo >{pipes}/down; wait $!; status=$?; rm -r {pipes}; exit $status",
            pipes = text(&pipes),
            doctor = doctor(&host)
        );
        Findings::of(&run("sh", &["-c", &script]))
    };
    let found = under("echo 1 >/proc/sys/user/max_inotify_watches");
    let log = found.failed("watches", "3 watches are needed, but user.max_inotify_watches is 1");
    assert!(log.contains("the limit of inotify watches"), "{log}");
    let found = under("echo 0 >/proc/sys/user/max_inotify_instances");
    found.failed("watches", "user.max_inotify_instances is 0");

    // The daemon does not watch the new account yet.
    let signal = |signal| host.daemon().as_ref().unwrap().signal(signal);
    signal(Signal::SIGSTOP);
    host.account("e2e-doctor-watch-2");
    examine(&host).warned("watches", "watches for 2 accounts");
    signal(Signal::SIGCONT);
    until("the daemon to watch both accounts", SOON, || {
        examine(&host).text("watches").starts_with("ok").then_some(())
    });
}

#[test]
fn an_incoming_over_its_limit_is_reported() {
    let host = Host::new("[limits]\nmax-waiting-files = 2\n");
    host.start_daemon();
    let account = host.account("e2e-doctor-full");
    let file = account.local().join("x.csv");
    std::fs::write(&file, "x\n").unwrap();
    let puts: String = (0..4).map(|n| format!("put {} {n}.csv\n", file.display())).collect();
    account.sftp(&puts).ok();
    until("the daemon to report it", SOON, || {
        examine(&host).text("incoming-full").starts_with("warn").then_some(())
    });
    examine(&host).warned("incoming-full", "incoming has been over its limit since");
}
