//! Tests of the log socket: its links in chroots, and the senders of log lines.

use std::os::unix::net::UnixDatagram;

use super::super::test_host::TestHost;
use super::*;

fn host() -> TestHost {
    let host = TestHost::new();
    fs::create_dir(host.layout.dev(&host.account)).unwrap();
    host
}

fn send(host: &TestHost, text: &str) -> io::Result<usize> {
    let sender = UnixDatagram::unbound()?;
    sender.send_to(text.as_bytes(), host.layout.dev(&host.account).join(LINK))
}

#[test]
fn log_lines_have_sender_and_time() {
    let host = host();
    let before = Timestamp::now();
    let socket = LogSocket::bind(&host.layout).unwrap();
    let since = socket.link(&host.account).unwrap();
    assert!(socket.receive().unwrap().is_none());
    for text in ["one", "two"] {
        send(&host, text).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(20)); // the log line enters the queue
    let received = Timestamp::now();
    socket.wait().unwrap();
    for text in ["one", "two"] {
        let got = socket.receive().unwrap().unwrap();
        assert_eq!(got.bytes, text.as_bytes());
        assert_eq!(got.uid, nix::unistd::getuid().as_raw());
        assert_eq!(got.pid, i32::try_from(std::process::id()).unwrap());
        assert!(before <= got.at && got.at < received, "the time must be the time of sending");
    }
    assert!(since.duration_since(before).abs() < jiff::SignedDuration::from_secs(1));
    assert_eq!(socket.link(&host.account).unwrap(), since, "the chroot already has a link");
}

#[test]
fn a_new_process_replaces_the_log_socket() {
    let host = host();
    let old = LogSocket::bind(&host.layout).unwrap();
    old.link(&host.account).unwrap();
    assert_eq!(log_link(&host.layout, &host.account), LogLink::Current);
    drop(old);
    let refused = send(&host, "nobody listens").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(nix::libc::ECONNREFUSED), "senders must not wait");
    let new = LogSocket::bind(&host.layout).unwrap();
    assert_eq!(log_link(&host.layout, &host.account), LogLink::Stale);
    fs::write(host.layout.dev(&host.account).join(NEW_LINK), "a crash left it").unwrap();
    new.link(&host.account).unwrap();
    assert_eq!(log_link(&host.layout, &host.account), LogLink::Current);
    send(&host, "again").unwrap();
    assert_eq!(new.receive().unwrap().unwrap().bytes, b"again");
}

#[test]
fn a_new_chroot_has_the_log_socket() {
    let host = host();
    let dev = host.layout.dev(&host.account);
    link_into(&host.layout, &dev).unwrap();
    assert!(!dev.join(LINK).exists(), "no socket exists yet");
    let socket = LogSocket::bind(&host.layout).unwrap();
    link_into(&host.layout, &dev).unwrap();
    send(&host, "early").unwrap();
    assert_eq!(socket.receive().unwrap().unwrap().bytes, b"early");
    let none: AccountId = "none".parse().unwrap();
    assert_eq!(log_link(&host.layout, &none), LogLink::NoFolder);
    let error = socket.link(&none).unwrap_err();
    assert!(matches!(error, LogSocketError::Folder(FolderError::Missing { .. })), "{error}");
}
