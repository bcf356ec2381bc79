//! Tests of the files that the opener process opens or refuses. The attacker is a client that has
//! the rights of the daemon's user and can write below the accounts' folder.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, chown, symlink};
use std::path::Path;

use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::super::test_host::TestHost;
use super::message::MAX_REQUEST;
use super::*;
use crate::import_id::ImportId;

/// A user id that belongs neither to this process nor to an account.
const STRANGER: u32 = 4711;

/// Returns the socket of an opener process. In this test a thread takes the role of the process.
fn socket(host: &TestHost) -> OwnedFd {
    let (ours, theirs) = pair().unwrap();
    let access = Access::new(host.layout.root(), 70_000..=99_999);
    std::thread::spawn(move || serve(theirs, access).unwrap());
    ours
}

fn opener(host: &TestHost) -> Opener {
    Opener::connect(socket(host))
}

fn incoming(host: &TestHost) -> OpenerFolder {
    OpenerFolder::Incoming(host.account.clone())
}

#[test]
fn files_are_leased_through_the_opener_socket() {
    let host = TestHost::new();
    let path = host.put("e.csv", "content");
    let opener = opener(&host);
    let mut text = String::new();
    opener.open(&incoming(&host), "e.csv").unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "content");
    let writer = OpenOptions::new().append(true).open(&path).unwrap();
    let refused = opener.lease(opener.open(&incoming(&host), "e.csv").unwrap());
    assert!(matches!(refused, Err(LeaseError::Writer)), "{refused:?}");
    drop(writer);
    host.closed("e.csv");
    let lease = opener.lease(opener.open(&incoming(&host), "e.csv").unwrap()).unwrap();
    assert!(lease.is_unbroken().unwrap() && lease.is_unbroken().unwrap());
    let late = OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK).open(&path);
    assert_eq!(late.unwrap_err().raw_os_error(), Some(libc::EWOULDBLOCK));
    assert!(!lease.is_unbroken().unwrap());
}

/// The kernel's errors must be passed on, because callers make decisions based on them.
#[test]
fn the_opener_process_returns_the_same_errors() {
    let host = TestHost::new();
    host.put("e.csv", "x");
    let process = opener(&host);
    for (place, name) in [
        (incoming(&host), "other.csv"),
        (OpenerFolder::Incoming("nobody".parse().unwrap()), "e.csv"),
        (OpenerFolder::Spooled(host.import.clone()), "data"),
    ] {
        assert_eq!(process.open(&place, name).unwrap_err(), Errno::ENOENT, "{place:?}");
        assert_eq!(host.opener.open(&place, name).unwrap_err(), Errno::ENOENT, "{place:?}");
    }
    let file = || File::open("/dev/null").unwrap();
    assert!(matches!(host.opener.lease(file()), Err(LeaseError::Unsupported(_))));
    assert!(
        matches!(process.lease(file()), Err(LeaseError::Other(_))),
        "the file is not a regular file"
    );
}

#[test]
fn hostile_client_opens_only_accounts_files() {
    let host = TestHost::new();
    let (incoming_path, spooled) = (host.incoming(), host.spooled());
    std::fs::create_dir(&spooled).unwrap();
    let secret = host.layout.root().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    host.put("two-names", "x");
    std::fs::hard_link(incoming_path.join("two-names"), spooled.join("data")).unwrap();
    symlink(&secret, spooled.join("manifest")).unwrap();
    symlink(&secret, incoming_path.join("link")).unwrap();
    mkfifo(&incoming_path.join("fifo"), Mode::S_IRWXU).unwrap();
    drop(std::os::unix::net::UnixListener::bind(incoming_path.join("socket")).unwrap());
    std::fs::create_dir(incoming_path.join("folder")).unwrap();
    symlink(&incoming_path, host.layout.spool().join("sftp1-7")).unwrap();
    symlink(&secret, incoming_path.join("data")).unwrap();
    let opener = opener(&host);
    let here = || OpenerFolder::Spooled(host.import.clone());
    let linked: ImportId = "sftp1-7".parse().unwrap();
    for (place, name, errno) in [
        (incoming(&host), "two-names", Errno::ENXIO),
        (incoming(&host), "link", Errno::ELOOP),
        (incoming(&host), "fifo", Errno::ENXIO),
        (incoming(&host), "socket", Errno::ENXIO),
        (incoming(&host), "folder", Errno::ENXIO),
        (incoming(&host), "..", Errno::EINVAL),
        (incoming(&host), ".", Errno::EINVAL),
        (incoming(&host), ".hidden", Errno::EINVAL),
        (incoming(&host), "", Errno::EINVAL),
        (incoming(&host), "../results", Errno::EINVAL),
        (incoming(&host), "x\0", Errno::EINVAL),
        (here(), "data", Errno::ENXIO),
        (here(), "manifest", Errno::ELOOP),
        (here(), "log", Errno::EINVAL),
        (OpenerFolder::Spooled(linked), "data", Errno::ENOTDIR),
    ] {
        assert_eq!(opener.open(&place, name).unwrap_err(), errno, "{place:?} {name:?}");
    }
    std::fs::rename(&incoming_path, host.results().join("aside")).unwrap();
    symlink(host.layout.root(), &incoming_path).unwrap();
    assert_eq!(opener.open(&incoming(&host), "secret").unwrap_err(), Errno::ENOTDIR);
}

#[test]
fn other_users_files_are_neither_opened_nor_leased() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can change the owner of a file");
        return;
    }
    let host = TestHost::new();
    let path = host.put("e.csv", "x");
    let opener = opener(&host);
    let lease = |file: &Path| opener.lease(File::open(file).unwrap());
    chown(&path, Some(70_123), None).unwrap();
    assert!(lease(&path).unwrap().is_unbroken().unwrap());
    opener.open(&incoming(&host), "e.csv").unwrap();
    chown(&path, Some(STRANGER), None).unwrap();
    assert_eq!(opener.open(&incoming(&host), "e.csv").unwrap_err(), Errno::EPERM);
    assert!(matches!(lease(&path), Err(LeaseError::Denied(_))), "{:?}", lease(&path));
    let taken = Lease { lease: ReadLease::take(File::open(&path).unwrap()).unwrap(), opener };
    assert_eq!(taken.is_unbroken().unwrap_err().raw_os_error(), Some(libc::EPERM));
}

/// After an invalid message, the opener process must not end and must not return a file.
#[test]
fn invalid_requests_are_answered_without_a_file() {
    let host = TestHost::new();
    host.put("e.csv", "x");
    let socket = socket(&host);
    let file = File::open(host.incoming().join("e.csv")).unwrap();
    let good = OpenerRequest::Open(incoming(&host), "e.csv".into()).encode();
    let long = vec![b'x'; MAX_REQUEST + 1];
    for (bytes, with_file) in [
        (&b"x"[..], false),
        (&long, false),
        (&good, true),
        (&OpenerRequest::Lease.encode(), false),
        (&OpenerRequest::Renew.encode(), false),
    ] {
        send(socket.as_fd(), bytes, &[], SendFlags::empty()).unwrap();
        let (answers, theirs) = pair().unwrap();
        let mut descriptors = vec![theirs.as_fd()];
        descriptors.extend(with_file.then_some(file.as_fd()));
        send(socket.as_fd(), bytes, &descriptors, SendFlags::empty()).unwrap();
        drop(theirs);
        let mut number = [0; 4];
        let (length, passed) = receive(&answers, &mut number).unwrap();
        let is_refused = length == 0 || i32::from_ne_bytes(number) == libc::EINVAL;
        assert!(is_refused && passed.is_empty(), "{number:?}");
    }
    // The opener cannot send the answer in two cases: the descriptor is a file instead of a
    // socket, or the socket is full.
    send(socket.as_fd(), &good, &[file.as_fd()], SendFlags::empty()).unwrap();
    let (_answers, theirs) = pair().unwrap();
    while send(theirs.as_fd(), b"full", &[], SendFlags::DONTWAIT).is_ok() {}
    for _ in 0..20 {
        send(socket.as_fd(), &good, &[theirs.as_fd()], SendFlags::empty()).unwrap();
    }
    Opener::connect(socket).open(&incoming(&host), "e.csv").unwrap();
}

#[test]
fn requests_fail_after_the_opener_ended() {
    let host = TestHost::new();
    host.put("e.csv", "x");
    let (ours, theirs) = pair().unwrap();
    let opener = Opener::connect(ours);
    let asked = {
        let (opener, place) = (opener.clone(), incoming(&host));
        std::thread::spawn(move || opener.open(&place, "e.csv"))
    };
    // The opener process ends while the request is in its queue.
    let mut ready = [nix::poll::PollFd::new(theirs.as_fd(), nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut ready, nix::poll::PollTimeout::NONE).unwrap();
    drop(theirs);
    assert_eq!(asked.join().unwrap().unwrap_err(), Errno::EPIPE);
    assert_eq!(opener.open(&incoming(&host), "e.csv").unwrap_err(), Errno::EPIPE);
    let file = File::open(host.incoming().join("e.csv")).unwrap();
    assert!(matches!(opener.lease(file), Err(LeaseError::Other(_))));
}
