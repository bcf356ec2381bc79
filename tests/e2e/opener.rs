//! Tests of the capabilities of processes, and of attacks between processes of the daemon's user.
//! The daemon parses data from accounts and has no capability. Its opener process has two
//! capabilities, and opens only uploads.

use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use sftp_import::spool::opener;

use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::pair::Pair;
use crate::support::process::{run, until};

const AS_DAEMON: [&str; 3] = ["--reuid=sftp-import", "--regid=sftp-import", "--clear-groups"];
/// The capabilities of the opener: CAP_DAC_READ_SEARCH is bit 2, and CAP_LEASE is bit 28
/// (capabilities(7)).
const TWO: &str = "0000000010000004";
const NONE: &str = "0000000000000000";

fn status(process: Pid) -> String {
    fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default()
}

/// Returns the process id of the opener of the host's daemon.
fn opener_of(host: &Host) -> Pid {
    let parent = format!("PPid:\t{}\n", host.daemon().as_ref().unwrap().id());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let name = format!("Name:\t{}\n", opener::PROCESS);
    let is_it = |id: &i32| {
        let status = status(Pid::from_raw(*id));
        status.contains(&parent) && status.contains(&name)
    };
    Pid::from_raw(ids.find(is_it).expect("the daemon has an opener process"))
}

/// Returns a host that sends mail with `program`.
fn mailing_by(program: &str) -> Host {
    let host = Host::new("");
    let config = fs::read_to_string(host.config()).unwrap();
    let smtp = format!("smtp://127.0.0.1:{}", host.catchers.smtp_port);
    fs::write(host.config(), config.replace(&smtp, &format!("sendmail:{program}"))).unwrap();
    host
}

#[test]
fn the_daemon_and_its_children_have_no_capabilities() {
    let folder = tempfile::tempdir_in("/srv").unwrap();
    set_mode(folder.path(), 0o777);
    let program = folder.path().join("sendmail");
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\ngrep Cap /proc/self/status >capabilities\n\
        cat /etc/shadow >shadow\ncat >/dev/null\nmv capabilities done\n";
    fs::write(&program, script).unwrap();
    set_mode(&program, 0o755);
    let host = mailing_by(text(&program));
    host.start_daemon();
    let account = host.account("e2e-child");
    account.import_all(&Pair::events(&account.local(), "e", 2), 2);
    let seen = until("the mail", SOON, || fs::read_to_string(folder.path().join("done")).ok());
    let daemon = host.daemon().as_ref().unwrap().id();
    for status in [status(daemon), seen] {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t{NONE}\n")), "{status}");
        }
    }
    assert_eq!(
        fs::read(folder.path().join("shadow")).unwrap(),
        b"",
        "/etc/shadow must not be readable"
    );
    let opener = status(opener_of(&host));
    for (set, has) in [("CapInh", NONE), ("CapPrm", TWO), ("CapEff", TWO), ("CapAmb", NONE)] {
        assert!(opener.contains(&format!("{set}:\t{has}\n")), "{opener}");
    }
    assert!(opener.contains("NoNewPrivs:\t1\n"), "{opener}");
}

/// Prints the files of the given processes that it could open.
const INTRUDER: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(what, work):
    try:
        work()
        print(what)
    except OSError:
        pass
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno())
for pid in sys.argv[1:]:
    of = f"/proc/{pid}/"
    for name in "mem environ maps smaps auxv pagemap stack syscall io fd/0 root/etc/passwd cwd/x".split():
        attempt(of + name, lambda: os.open(of + name, os.O_RDONLY))
    attempt(of + "mem, to write", lambda: os.open(of + "mem", os.O_RDWR))
    for name in "root cwd exe fd/0".split():
        attempt(of + name, lambda: os.readlink(of + name))
    for name in "fd map_files fdinfo".split():
        attempt(of + name, lambda: os.listdir(of + name))
    buffer = (ctypes.c_ulong * 2)()
    attempt(of + "by ptrace", lambda: call(101, 16, int(pid), 0, 0))
    attempt(of + "by pidfd_getfd", lambda: call(438, os.pidfd_open(int(pid)), 0, 0))
print("tried")
"#;

#[test]
fn programs_cannot_access_the_daemon_and_opener() {
    let host = Host::running();
    let daemon = host.daemon().as_ref().unwrap().id().to_string();
    let intrude = |victims: &[&str]| {
        let python = ["/usr/bin/python3", "-c", INTRUDER];
        run("setpriv", &[&AS_DAEMON[..], &python, victims].concat()).ok().stdout
    };
    let opener = opener_of(&host).to_string();
    assert_eq!(intrude(&[&daemon, &opener]), "tried\n");
    let mut own = Command::new("setpriv").args(AS_DAEMON).args(["sleep", "60"]).spawn().unwrap();
    let found = until("the program to run", SOON, || {
        let found = intrude(&[&own.id().to_string()]);
        found.contains("/mem, to write").then_some(found)
    });
    own.kill().unwrap();
    own.wait().unwrap();
    for what in ["environ", "maps", "fd", "root", "by ptrace"] {
        assert!(found.contains(what), "the attack must include {what}: {found}");
    }
}

/// An opener process, started as by the daemon. The test sends the requests in place of the daemon.
struct Asked {
    socket: OwnedFd,
    process: Child,
}

impl Asked {
    fn start(host: &Host, uid: u32) -> Self {
        let (ours, theirs) = opener::pair().unwrap();
        let (program, accounts) = (host.root.join("lib/sftp-importd"), host.accounts());
        let exec = "exec -a sftp-import-opener \"$0\" \"$@\"";
        let process = Command::new("setpriv")
            .args(AS_DAEMON)
            .args(["--inh-caps=-all,+dac_read_search,+lease"])
            .args(["--ambient-caps=-all,+dac_read_search,+lease"])
            .args(["bash", "-c", exec, text(&program), text(&accounts)])
            .args([uid.to_string(), uid.to_string()])
            .stdin(Stdio::from(theirs))
            .spawn()
            .unwrap();
        let mut socket = File::from(ours);
        let mut report = [0];
        assert_eq!(socket.read(&mut report).unwrap(), 1, "the opener process must not have ended");
        assert_eq!(report, [2], "the opener process must have both capabilities");
        Self { socket: socket.into(), process }
    }

    /// Returns the error number or the file from the answer.
    fn ask(&self, request: &[u8], file: Option<&File>) -> Result<Option<File>, i32> {
        let (answers, theirs) = opener::pair().unwrap();
        let descriptors: Vec<BorrowedFd<'_>> =
            [theirs.as_fd()].into_iter().chain(file.map(AsFd::as_fd)).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&self.socket, &[IoSlice::new(request)], &mut control, SendFlags::empty()).unwrap();
        drop(theirs);
        let (mut number, mut space) =
            ([0; 4], [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))]);
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut number)];
        let received = recvmsg(&answers, &mut parts, &mut control, RecvFlags::empty()).unwrap();
        assert_eq!(received.bytes, 4, "the opener must answer");
        let mut files = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut passed) => passed.next(),
            _ => None,
        });
        let file = files.next().map(File::from);
        drop(files);
        match i32::from_ne_bytes(number) {
            0 => Ok(file),
            errno => Err(errno),
        }
    }

    /// Returns the content of the file that the opener opens for `request`.
    fn read(&self, request: &str) -> Result<String, i32> {
        let mut content = String::new();
        self.ask(request.as_bytes(), None)?.unwrap().read_to_string(&mut content).unwrap();
        Ok(content)
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The attacker has the rights of the daemon, with the socket of the opener and access to the
/// spool.
#[test]
fn the_opener_opens_only_uploads() {
    let host = Host::new("");
    let (account, other) = (host.account("e2e-asked"), host.account("e2e-other"));
    // The group of the account has the same id as the user of the account.
    let uid = account.incoming().metadata().unwrap().gid();
    let spooled = host.accounts().join(".spool/e2e-1");
    fs::create_dir(&spooled).unwrap();
    let own = |path: &Path, uid| {
        fs::write(path, "content").unwrap();
        chown(path, Some(uid), None).unwrap();
        set_mode(path, 0);
    };
    own(&account.incoming().join("e.csv"), uid);
    own(&spooled.join("data"), uid);
    // These files belong to users of the host that are not accounts.
    own(&account.incoming().join("strangers.csv"), uid - 1);
    own(&other.incoming().join("out-of-range.csv"), uid + 1);
    let secret = host.root.join("secret");
    own(&secret, 0);
    fs::hard_link(&secret, spooled.join("manifest")).unwrap();
    symlink("/etc/shadow", account.incoming().join("shadow.csv")).unwrap();
    symlink("/etc", host.accounts().join(".spool/e2e-2")).unwrap();
    symlink("/etc", host.accounts().join("e2e-linked")).unwrap();

    let opener = Asked::start(&host, uid);
    assert_eq!(opener.read("incoming e2e-asked/e.csv").unwrap(), "content");
    assert_eq!(opener.read("spooled e2e-1/data").unwrap(), "content");
    for (request, errno) in [
        ("incoming e2e-asked/../../../../../etc/shadow", libc::EINVAL),
        ("incoming ../e.csv", libc::EINVAL),
        ("incoming /etc/shadow", libc::EINVAL),
        ("incoming e2e-asked//etc/shadow", libc::EINVAL),
        ("incoming e2e-asked/..", libc::EINVAL),
        ("spooled ../data", libc::EINVAL),
        ("spooled e2e-1/../e2e-1/data", libc::EINVAL),
        ("incoming e2e-asked/shadow.csv", libc::ELOOP),
        ("incoming e2e-asked/strangers.csv", libc::EPERM),
        ("incoming e2e-other/out-of-range.csv", libc::EPERM),
        ("incoming e2e-linked/e.csv", libc::ENOTDIR),
        ("spooled e2e-2/data", libc::ENOTDIR),
        ("spooled e2e-1/manifest", libc::ENXIO),
    ] {
        assert_eq!(opener.read(request).unwrap_err(), errno, "{request}");
    }
    // The other name of the file is removed, like /etc/shadow's name during a change of a password.
    fs::remove_file(&secret).unwrap();
    assert_eq!(opener.read("spooled e2e-1/manifest").unwrap_err(), libc::EPERM);
    let passwords = File::open("/etc/passwd").unwrap();
    for request in ["lease", "renew"] {
        let held_up = opener.ask(request.as_bytes(), Some(&passwords));
        assert_eq!(held_up.unwrap_err(), libc::EPERM, "{request} on /etc/passwd");
    }
    let upload = opener.ask(b"incoming e2e-asked/e.csv", None).unwrap().unwrap();
    assert!(opener.ask(b"lease", Some(&upload)).unwrap().is_none());
    assert!(opener.ask(b"renew", Some(&upload)).unwrap().is_none());
    let write = rustix::io::write(&upload, b"x");
    assert_eq!(
        write.unwrap_err(),
        rustix::io::Errno::BADF,
        "the file must be open only for reading"
    );
}

const RECORDS: usize = 400_000;

/// The opener is killed during an import. The daemon must report the reason and end. No record may
/// be lost or stored twice.
#[test]
fn the_daemon_ends_when_its_opener_ends() {
    let host = Host::running();
    let account = host.account("e2e-opener-killed");
    account.upload(&Pair::events(&account.local(), "e", RECORDS));
    let state = || host.query("SELECT state FROM import");
    until("the import to run", SOON, || (state() == ["running"]).then_some(()));
    kill(opener_of(&host), Signal::SIGKILL).unwrap();
    let mut daemon = host.daemon().take().unwrap();
    assert_eq!(
        daemon.wait(Duration::from_secs(20)).code(),
        Some(1),
        "systemd restarts only after a failure"
    );
    assert_ne!(state(), ["completed"], "the import has already ended: increase RECORDS");
    let log = fs::read_to_string(host.root.join("log/daemon")).unwrap();
    assert!(log.contains("the opener process has ended (signal: 9"), "{log}");
    host.start_daemon();
    let report = account.report_within("e", Duration::from_secs(300));
    assert_eq!(report["records"]["accepted"], RECORDS, "{report:#}");
    let imports = host.query("SELECT id FROM import");
    assert_eq!(imports.len(), 1);
    assert_eq!(account.events(&imports[0]).len(), RECORDS);
    assert_eq!(account.event_folders(), [format!("import={}", imports[0])]);
}

/// SIGTERM from systemd reaches every process of the unit. SIGKILL may reach only the daemon.
#[test]
fn the_opener_ends_when_the_daemon_ends() {
    let host = Host::running();
    let account = host.account("e2e-opener-ends");
    let opener = opener_of(&host);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        kill(opener, signal).unwrap();
    }
    account.import_all(&Pair::events(&account.local(), "e", 2), 2);
    host.stop_daemon();
    let is_gone = |process| {
        let status = status(process);
        (!status.contains(opener::PROCESS) || status.contains("State:\tZ")).then_some(())
    };
    until("the opener process to end", SOON, || is_gone(opener));
    host.start_daemon();
    let opener = opener_of(&host);
    host.daemon().as_ref().unwrap().signal(Signal::SIGKILL);
    until("the opener process to end", SOON, || is_gone(opener));
}
