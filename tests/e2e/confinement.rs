//! Tests that an account can't leave its chroot, make links, get a shell, forward ports or affect
//! other accounts.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::support::host::{Host, SOON, free_port, set_mode, text};
use crate::support::pair::Pair;
use crate::support::process::{Process, run, until};
use crate::support::unix::changing_users;

/// The server refuses each request, and the session continues.
#[test]
fn forbidden_sftp_requests_are_refused() {
    let host = Host::new("");
    let account = host.account("e2e-confined");
    let file = account.local().join("f.csv");
    std::fs::write(&file, "x\n").unwrap();
    account.sftp(&format!("put {}\n", file.display())).ok();
    for request in [
        "ln f.csv h.csv",
        "symlink /etc/passwd s.csv",
        "ln -s f.csv s.csv",
        "mkdir folder",
        "cp f.csv copy.csv",
        "chmod 777 /incoming",
        "chmod 777 /",
        "chmod 777 /results",
        "chown 0 f.csv",
        "chgrp 0 f.csv",
        "rmdir /incoming",
        "rmdir /results",
        "rename /incoming /elsewhere",
        "rename f.csv /results/f.csv",
        "rename f.csv /f.csv",
        "put f.csv /results/f.csv",
        "put f.csv /f.csv",
        "get /etc/passwd",
        "get ../../../../etc/passwd",
        "ls /srv",
        "cd ../..//srv",
    ] {
        let request = request.replace("put f.csv", &format!("put {}", file.display()));
        let ran = account.sftp(&format!("{request}\n"));
        assert_eq!(ran.code, Some(1), "{request}: {ran:#?}");
        assert!(!ran.stderr.contains("Connection"), "{request}: {ran:#?}");
    }
    account.sftp("ls -l\n").ok();
    assert_eq!(names(&account.incoming()), ["f.csv"]);
    assert_eq!(names(&account.results()), [""; 0]);
    assert_eq!(names(&host.accounts().join(&account.id)), ["dev", "incoming", "results"]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// `/` is the chroot. All files below it belong to the account.
#[test]
fn an_account_sees_only_its_chroot() {
    let host = Host::new("");
    let (account, other) = (host.account("e2e-root"), host.account("e2e-root-other"));
    let secret = other.local().join("secret.csv");
    std::fs::write(&secret, "x\n").unwrap();
    other.sftp(&format!("put {}\n", secret.display())).ok();
    let listing = account.sftp("pwd\nls -1 /\nls -1 /..\n").ok().stdout;
    let lines: Vec<&str> = listing.lines().filter(|line| !line.starts_with("sftp>")).collect();
    let expected = [
        "Remote working directory: /incoming",
        "/dev",
        "/incoming",
        "/results",
        "/../dev",
        "/../incoming",
        "/../results",
    ];
    assert_eq!(lines, expected);
    account.sftp(&format!("get {}\n", text(&other.incoming().join("secret.csv")))).refused();
    account.sftp(&format!("ls ../../{}/incoming\n", other.id)).refused();
}

/// Prints each of the given paths that a user can access. The arguments are the name of the user,
/// the folder of all accounts, and the paths.
const REACH: &str = r#"
import os, pwd, socket, sys
user, root, *paths = sys.argv[1:]
user = pwd.getpwnam(user)
os.initgroups(user.pw_name, user.pw_gid)
os.setgid(user.pw_gid)
os.setuid(user.pw_uid)
def attempt(what, call):
    try:
        call()
        print(what)
    except PermissionError:
        pass
    except OSError as error:
        print(what, error)
attempt("list " + root, lambda: os.listdir(root))
for path in paths:
    attempt("stat " + path, lambda: os.lstat(path))
    attempt("open " + path, lambda: os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    if path.endswith("/log"):
        sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        attempt("send to " + path, lambda: sender.sendto(b"<38>x", path))
"#;

/// Returns the owner, the group and the mode of `folder`, as printed by stat(1).
fn group_and_mode(folder: &Path) -> String {
    run("stat", &["-c", "%U:%G %a", text(folder)]).ok().stdout.trim().to_owned()
}

/// Rejected records are in results/ with the mode 0644, and every user may write to the log socket.
/// Therefore the folder of all accounts must keep other users out. The account itself must work as
/// before.
#[test]
fn other_users_cannot_access_account_folders() {
    let host = Host::running();
    let account = host.account("e2e-reach");
    let rejecting = Pair::events_with(&account.local(), "bad", 5, &[2]);
    account.upload(&rejecting);
    account.report("bad");
    let found = run("find", &[text(&host.accounts()), "-mindepth", "1"]).ok().stdout;
    let paths: Vec<&str> = found.lines().collect();
    for name in ["/results/bad.errors.csv", "/results/bad.result.json", "/dev/log", "/incoming"] {
        assert!(paths.iter().any(|path| path.ends_with(name)), "{name} is not in {paths:#?}");
    }
    for user in ["_sftp-import-keys", "nobody", &account.id] {
        let accounts = host.accounts();
        let words = [&["-c", REACH, user, text(&accounts)], &paths[..]].concat();
        assert_eq!(run("python3", &words).ok().stdout, "", "{user}");
    }

    account.sftp("ls -l /results\nget /results/bad.errors.csv /dev/null\n").ok();
    account.import_all(&Pair::events(&account.local(), "e", 3), 3);
    let closed = "SELECT 1 FROM activity WHERE action = 'file.closed' AND detail LIKE '%e.csv%'";
    until("the session's log lines", SOON, || (!host.query(closed).is_empty()).then_some(()));

    let wanted = group_and_mode(&host.accounts());
    assert_eq!(wanted, "root:sftp-import 750");
    run("chgrp", &["root", text(&host.accounts())]).ok();
    set_mode(&host.accounts(), 0o711); // as in earlier versions
    changing_users(|| host.cli(&["provision"])).ok();
    assert_eq!(group_and_mode(&host.accounts()), wanted);
}

/// The account must get neither a shell nor a command, with or without a terminal. sshd runs its
/// SFTP server for every request.
#[test]
fn shells_and_commands_are_refused() {
    let host = Host::new("");
    let account = host.account("e2e-shell");
    for args in [&[][..], &["-tt"], &["-s"]] {
        for command in [&[][..], &["id"], &["sh", "-c", "id"], &["/bin/sh"]] {
            let ran = account.ssh(args, command);
            assert_ne!(ran.code, Some(0), "{ran:#?}");
            assert_ne!(ran.code, Some(124), "the request must not hang: {ran:#?}");
            assert!(!ran.stdout.contains("uid="), "{ran:#?}");
        }
    }
    let ran = account.ssh(&["-tt"], &[]);
    assert!(ran.stderr.contains("PTY allocation request failed"), "{ran:#?}");
}

/// No password is valid for an account.
#[test]
fn password_logins_are_refused() {
    let host = Host::new("");
    let account = host.account("e2e-password");
    let ran = account.ssh(&["-o", "PreferredAuthentications=password,keyboard-interactive"], &[]);
    assert!(ran.stderr.contains("Permission denied (publickey)"), "{ran:#?}");
}

#[test]
fn remote_and_stdio_forwarding_and_tunnels_are_refused() {
    let host = Host::new("");
    let account = host.account("e2e-forward");
    let port = free_port();
    let remote = format!("127.0.0.1:{port}:127.0.0.1:{}", host.port);
    let target = format!("127.0.0.1:{}", host.port);
    let strict = "ExitOnForwardFailure=yes";
    account.ssh(&["-N", "-o", strict, "-R", &remote], &[]).refused();
    account.ssh(&["-N", "-o", strict, "-R", &port.to_string()], &[]).refused();
    account.ssh(&["-W", &target], &[]).refused();
    account.ssh(&["-N", "-o", strict, "-w", "0:0"], &[]).refused();
    let socket = format!("/incoming/socket:{target}");
    account.ssh(&["-N", "-o", strict, "-R", &socket], &[]).refused();
}

/// sshd must refuse to forward an X11 display. The session continues without it.
#[test]
fn x11_forwarding_is_refused() {
    let host = Host::new("");
    let account = host.account("e2e-x11");
    let mut args = vec!["DISPLAY=127.0.0.1:99".to_owned(), "ssh".into()];
    args.extend(["-Y", "-o", "LogLevel=INFO"].map(String::from));
    args.extend(account.options());
    args.extend(["-p".into(), host.port.to_string(), account.login()]);
    let ran = crate::support::process::run("/usr/bin/env", &args);
    assert!(ran.stderr.contains("X11 forwarding request failed"), "{ran:#?}");
}

/// The client listens, but the server refuses to forward the connection. No byte may arrive at the
/// target.
#[test]
fn local_forwarding_is_refused() {
    let host = Host::new("");
    let account = host.account("e2e-local-forward");
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    target.set_nonblocking(true).unwrap();
    let to = format!("127.0.0.1:{}", target.local_addr().unwrap().port());
    let (local, dynamic) = (free_port(), free_port());
    let mut args = account.options();
    args.extend(["-p".into(), host.port.to_string(), "-N".into()]);
    args.extend(["-L".into(), format!("{local}:{to}"), "-D".into(), dynamic.to_string()]);
    args.push(account.login());
    let _client = Process::start("ssh", &args, &host.root.join("log/forward-client"));
    let mut stream =
        until("the client to listen", SOON, || TcpStream::connect(("127.0.0.1", local)).ok());
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let read = std::io::Read::read(&mut stream, &mut [0; 1]);
    assert_eq!(read.unwrap_or(0), 0, "the channel must be closed without data");
    assert!(target.accept().is_err(), "no connection may reach the target");
    let through_socks = crate::support::process::run(
        "/usr/bin/python3",
        &["-c", SOCKS, &dynamic.to_string(), to.rsplit(':').next().unwrap()],
    );
    assert_ne!(through_socks.stdout.trim(), "0", "{through_socks:#?}");
    assert!(target.accept().is_err(), "no connection may reach the target");
}

/// Asks a SOCKS 5 server (RFC 1928) for a connection to 127.0.0.1, and prints the reply. The reply
/// 0 means success.
const SOCKS: &str = r#"
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
s.sendall(b"\5\1\0"); s.recv(2)
s.sendall(b"\5\1\0\1\x7f\0\0\1" + struct.pack(">H", int(sys.argv[2])))
reply = s.recv(10)
print(reply[1] if len(reply) > 1 else "closed")
"#;
