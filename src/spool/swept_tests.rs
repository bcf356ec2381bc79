//! Sweeping on a real file system: what is known goes, whatever else lies there stays.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use nix::libc;

use super::super::digest::Digest;
use super::super::test_host::TestHost;
use super::*;

const NAME: &str = "e.manifest";

fn lingering(host: &TestHost) -> Lingering {
    Lingering {
        entry: host.entry(NAME),
        digest: Digest::of(b"{}"),
        import: host.import.clone(),
        left: Duration::ZERO,
    }
}

fn with_manifest() -> (TestHost, Lingering) {
    let host = TestHost::new();
    host.put(NAME, "{}");
    let lingering = lingering(&host);
    (host, lingering)
}

fn sweep(host: &TestHost, lingering: &Lingering) -> bool {
    host.open().sweep(&host.layout, lingering).unwrap()
}

fn spool_is_empty(host: &TestHost) -> bool {
    std::fs::read_dir(host.layout.spool()).unwrap().next().is_none()
}

#[test]
fn the_name_goes_and_nothing_stays_in_the_spool() {
    let (host, lingering) = with_manifest();
    assert!(sweep(&host, &lingering));
    assert!(!sweep(&host, &lingering), "it is gone");
    assert_eq!(host.names("incoming"), [""; 0]);
    assert!(spool_is_empty(&host));
}

#[test]
fn what_is_written_or_another_file_stays() {
    let (host, lingering) = with_manifest();
    let writer = OpenOptions::new().append(true).open(host.incoming().join(NAME)).unwrap();
    assert!(!sweep(&host, &lingering));
    drop(writer);
    std::thread::sleep(Duration::from_millis(15)); // the next tick of the file system's clock
    host.put(NAME, "{ }");
    assert!(!sweep(&host, &lingering), "it has changed");
    assert_eq!(std::fs::read(host.incoming().join(NAME)).unwrap(), b"{ }");
    assert!(spool_is_empty(&host));
}

/// Written within the tick that was claimed: times can't tell.
#[test]
fn other_bytes_are_given_back_under_another_time() {
    let (host, known) = with_manifest();
    let other = Lingering { digest: Digest::of(b"[]"), ..known.clone() };
    std::thread::sleep(Duration::from_millis(15));
    assert!(!sweep(&host, &other));
    assert_ne!(host.entry(NAME).ctime, known.entry.ctime, "it is read again");
    assert!(spool_is_empty(&host));
}

#[test]
fn a_writer_that_opens_it_under_the_sweep_gets_it_back() {
    let (host, lingering) = with_manifest();
    let incoming = host.open();
    let Opened::Leased(lease) = incoming.lease(&lingering.entry).unwrap() else { panic!() };
    let late = OpenOptions::new()
        .append(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(host.incoming().join(NAME));
    assert_eq!(late.unwrap_err().raw_os_error(), Some(libc::EWOULDBLOCK));
    let spool = Folder::open(&host.layout.spool()).unwrap();
    let name = spooled_name(&host.import);
    incoming.folder().rename(NAME, &spool, &name, RenameFlags::empty()).unwrap();
    assert!(!incoming.is_known(&lingering, &lease, &spool).unwrap());
}

#[test]
fn what_is_written_while_it_is_swept_stays() {
    let mut late = 0;
    for _ in 0..100 {
        let (host, lingering) = with_manifest();
        let path = host.incoming().join(NAME);
        let start = std::sync::Barrier::new(2);
        let (wrote, swept) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                start.wait();
                let file = OpenOptions::new().append(true).open(&path);
                file.and_then(|mut file| file.write_all(b"more"))
            });
            start.wait();
            let swept = sweep(&host, &lingering);
            (writer.join().unwrap().is_ok(), swept)
        });
        match (wrote, swept) {
            (true, false) => assert_eq!(std::fs::read(&path).unwrap(), b"{}more"),
            (true, true) => late += 1, // its open(2) was on its way when all was over
            (false, _) => {}
        }
        assert!(spool_is_empty(&host));
    }
    assert!(late <= 2, "{late}");
}

#[test]
fn what_a_crash_left_is_given_back_unless_nobody_can_have_it() {
    let (host, _) = with_manifest();
    let left = host.layout.spool().join(spooled_name(&host.import));
    let to = Some((&host.account, NAME));
    let strand = || std::fs::rename(host.incoming().join(NAME), &left).unwrap();
    strand();
    assert_eq!(left_behind(&host.layout).unwrap(), std::slice::from_ref(&host.import));
    give_back(&host.layout, &host.import, to).unwrap();
    give_back(&host.layout, &host.import, to).unwrap();
    assert_eq!(host.names("incoming"), [NAME]);
    strand();
    host.put(NAME, "new");
    give_back(&host.layout, &host.import, to).unwrap();
    assert_eq!(std::fs::read(host.incoming().join(NAME)).unwrap(), b"new");
    strand();
    give_back(&host.layout, &host.import, None).unwrap();
    assert!(spool_is_empty(&host) && host.names("incoming").is_empty());
}
