//! Claims on a real file system: every step, every crash, every trick of an account holder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::super::folder::Folder;
use super::super::listing::Listing;
use super::super::spooled::{self, SpooledError, SpooledImport};
use super::super::test_host::TestHost;
use super::*;
use crate::config::Size;

impl TestHost {
    fn claim(&self) -> Claim {
        let id = |name| FileId::of(&self.entry(name));
        Claim { data: Some(id("e.csv")), manifest: id("e.manifest") }
    }

    fn execute(&self, claim: &Claim) -> Result<Claimed, ClaimError> {
        claim.execute(&self.layout, &self.account, &self.import)
    }

    fn mover(&self) -> Mover {
        Mover::open(&self.layout, &self.account, &self.import).unwrap()
    }

    fn spool_is_empty(&self) -> bool {
        std::fs::read_dir(self.layout.spool()).unwrap().next().is_none()
    }
}

/// A host with a pair in incoming, and the claim on it.
fn pair() -> (TestHost, Claim) {
    let host = TestHost::new();
    host.put("e.csv", "identity\n1\n");
    host.put("e.manifest", "{}");
    let claim = host.claim();
    (host, claim)
}

fn assert_claimed(host: &TestHost) {
    assert_eq!(std::fs::read(host.spooled().join(DATA)).unwrap(), b"identity\n1\n");
    assert_eq!(std::fs::read(host.spooled().join(MANIFEST)).unwrap(), b"{}");
    assert_eq!(host.names("incoming"), [""; 0]);
}

#[test]
fn moves_the_pair_and_can_be_repeated() {
    let (host, claim) = pair();
    for _ in 0..2 {
        assert_eq!(host.execute(&claim).unwrap(), Claimed { data_size: Some(11) });
        assert_claimed(&host);
    }
    let mode = std::fs::metadata(host.spooled()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    spooled::discard(&host.layout, &host.import).unwrap();
    spooled::discard(&host.layout, &host.import).unwrap();
    assert!(host.spool_is_empty());
}

#[test]
fn is_stored_as_json() {
    let (_host, claim) = pair();
    let json = serde_json::to_string(&claim).unwrap();
    assert_eq!(serde_json::from_str::<Claim>(&json).unwrap(), claim);
}

#[test]
fn goes_on_after_a_crash_at_any_step() {
    for steps in 0..=3 {
        let (host, claim) = pair();
        let before = [
            |host: &TestHost| drop(host.mover()),
            |host: &TestHost| {
                std::fs::rename(host.incoming().join("e.csv"), host.spooled().join(DATA)).unwrap();
            },
            |host: &TestHost| {
                let manifest = host.incoming().join("e.manifest");
                std::fs::rename(manifest, host.spooled().join(MANIFEST)).unwrap();
            },
        ];
        before[..steps].iter().for_each(|step| step(&host));
        host.execute(&claim).unwrap();
        assert_claimed(&host);
    }
}

#[test]
fn a_claim_that_moved_everything_holds_without_its_account() {
    let (host, claim) = pair();
    host.execute(&claim).unwrap();
    std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
    host.execute(&claim).unwrap();
}

#[test]
fn a_refused_manifest_goes_alone() {
    let (host, claim) = pair();
    let claim = Claim { data: None, ..claim };
    assert_eq!(host.execute(&claim).unwrap(), Claimed { data_size: None });
    assert_eq!(host.names("incoming"), ["e.csv"]);
}

#[test]
fn a_writer_keeps_either_file_in_incoming() {
    for name in ["e.csv", "e.manifest"] {
        let (host, claim) = pair();
        let mut writer = OpenOptions::new().append(true).open(host.incoming().join(name)).unwrap();
        let error = host.execute(&claim).unwrap_err();
        assert!(matches!(&error, ClaimError::StillWritten { name: n } if n == name), "{error:?}");
        assert_eq!(host.names("incoming"), ["e.csv", "e.manifest"]);
        assert!(host.spool_is_empty());
        writer.write_all(b"2\n").unwrap();
        drop(writer);
        host.closed(name);
        // What was looked at is not what lies there: look again.
        assert!(matches!(host.execute(&claim), Err(ClaimError::Changed { .. })));
        host.execute(&host.claim()).unwrap();
    }
}

#[test]
fn a_writer_across_the_crash_gets_the_pair_back_to_incoming() {
    let (host, claim) = pair();
    let writer = OpenOptions::new().append(true).open(host.incoming().join("e.csv")).unwrap();
    drop(host.mover());
    std::fs::rename(host.incoming().join("e.csv"), host.spooled().join(DATA)).unwrap();
    let error = host.execute(&claim).unwrap_err();
    assert!(matches!(error, ClaimError::StillWritten { .. }), "{error:?}");
    assert_eq!(host.names("incoming"), ["e.csv", "e.manifest"]);
    drop(writer);
}

#[test]
fn a_writer_between_lease_and_rename_is_seen() {
    let (host, claim) = pair();
    let id = claim.data.as_ref().unwrap();
    let mover = host.mover();
    let lease = mover.lease(mover.incoming(id).unwrap(), &id.name, id).unwrap();
    mover.still_same(id, &lease).unwrap();
    let late = OpenOptions::new()
        .append(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(host.incoming().join("e.csv"));
    assert_eq!(late.unwrap_err().raw_os_error(), Some(libc::EWOULDBLOCK));
    mover.rename(DATA, id).unwrap();
    let error = mover.verify(DATA, id, &lease).unwrap_err();
    assert!(matches!(error, ClaimError::StillWritten { .. }), "{error:?}");
    drop(lease);
    claim.undo(&mover, error);
    assert_eq!(host.names("incoming"), ["e.csv", "e.manifest"]);
    assert!(host.spool_is_empty());
}

/// Each round is one race; a claim costs some syncs.
const ROUNDS: u32 = 100;

#[test]
fn a_claimed_file_never_changes_however_writers_race() {
    let (mut claimed, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let (host, claim) = pair();
        let path = host.incoming().join("e.csv");
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                start.wait();
                let file = OpenOptions::new().append(true).open(&path);
                file.and_then(|mut file| file.write_all(b"2\n"))
            });
            start.wait();
            match host.execute(&claim) {
                Ok(_) => {
                    let read = || std::fs::read(host.spooled().join(DATA)).unwrap();
                    let now = read();
                    let _ = writer.join().unwrap();
                    assert_eq!(now, read());
                    assert_eq!(now, b"identity\n1\n");
                    claimed += 1;
                }
                Err(error) => {
                    assert!(error.is_final(), "{error:?}");
                    writer.join().unwrap().unwrap();
                    assert_eq!(std::fs::read(&path).unwrap(), b"identity\n1\n2\n");
                    refused += 1;
                }
            }
        });
    }
    assert_eq!(claimed + refused, ROUNDS);
}

#[test]
fn what_is_not_the_file_that_was_seen_stays() {
    type Trick = fn(&Path);
    let tricks: [(&str, Trick); 6] = [
        ("hard link", |file| std::fs::hard_link(file, file.with_file_name("other")).unwrap()),
        ("symbolic link", |file| {
            std::fs::remove_file(file).unwrap();
            symlink("/etc/passwd", file).unwrap();
        }),
        ("FIFO", |file| {
            std::fs::remove_file(file).unwrap();
            mkfifo(file, Mode::S_IRWXU).unwrap();
        }),
        ("folder", |file| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
        }),
        ("another file", |file| {
            std::fs::write(file.with_file_name("new"), "identity\n1\n").unwrap();
            std::fs::rename(file.with_file_name("new"), file).unwrap();
        }),
        ("other content, same size", |file| std::fs::write(file, "identity\n2\n").unwrap()),
    ];
    for (what, trick) in tricks {
        for name in ["e.csv", "e.manifest"] {
            let (host, claim) = pair();
            // Later than the claim by more than a tick of the file system's clock.
            std::thread::sleep(std::time::Duration::from_millis(15));
            trick(&host.incoming().join(name));
            let error = host.execute(&claim).unwrap_err();
            let changed = matches!(&error, ClaimError::Changed { name: n } if n == name);
            assert!(changed, "{what}, {name}: {error:?}");
            assert!(host.names("incoming").contains(&name.to_owned()), "{what}, {name}");
            assert!(host.spool_is_empty(), "{what}, {name}");
        }
    }
}

#[test]
fn a_deleted_file_is_gone_and_the_other_stays() {
    for (name, other) in [("e.csv", "e.manifest"), ("e.manifest", "e.csv")] {
        let (host, claim) = pair();
        std::fs::remove_file(host.incoming().join(name)).unwrap();
        let error = host.execute(&claim).unwrap_err();
        assert!(matches!(&error, ClaimError::Gone { name: n } if n == name), "{error:?}");
        assert_eq!(host.names("incoming"), [other]);
        assert!(host.spool_is_empty());
    }
}

#[test]
fn never_over_a_new_file_of_the_same_name() {
    let (host, claim) = pair();
    let path = host.incoming().join("e.csv");
    let writer = OpenOptions::new().append(true).open(&path).unwrap();
    drop(host.mover());
    std::fs::rename(&path, host.spooled().join(DATA)).unwrap();
    host.put("e.csv", "new");
    let error = host.execute(&claim).unwrap_err();
    assert!(matches!(error, ClaimError::Stranded { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert_eq!(std::fs::read(host.spooled().join(DATA)).unwrap(), b"identity\n1\n");
    drop(writer);
}

#[test]
fn an_odd_manifest_is_moved_unopened() {
    let make: [fn(&Path); 3] = [
        |path| symlink("/etc/passwd", path).unwrap(),
        |path| mkfifo(path, Mode::S_IRWXU).unwrap(),
        |path| {
            std::fs::write(path, "{}").unwrap();
            std::fs::hard_link(path, path.with_file_name("other")).unwrap();
        },
    ];
    for make in make {
        let host = TestHost::new();
        make(&host.incoming().join("odd.manifest"));
        let claim = Claim { data: None, manifest: FileId::of(&host.entry("odd.manifest")) };
        assert!(!claim.manifest.plain);
        for _ in 0..2 {
            host.execute(&claim).unwrap();
        }
        assert!(!host.names("incoming").contains(&"odd.manifest".to_owned()));
        let spooled = SpooledImport::open(&host.layout, &host.import).unwrap();
        let refused = spooled.manifest(Size::mib(1));
        assert!(matches!(refused, Err(SpooledError::NotPlain { .. })), "{refused:?}");
        spooled::discard(&host.layout, &host.import).unwrap();
    }
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn reads_what_was_claimed_and_notices_a_change() {
    let (host, claim) = pair();
    host.execute(&claim).unwrap();
    let spooled = SpooledImport::open(&host.layout, &host.import).unwrap();
    assert_eq!(spooled.manifest(Size::mib(1)).unwrap(), b"{}");
    let refused = spooled.manifest(Size::from_bytes(1));
    assert!(matches!(refused, Err(SpooledError::TooLarge { .. })), "{refused:?}");

    let data = spooled.data().unwrap();
    let mut text = String::new();
    data.reader().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), data.size()), ("identity\n1\n", 11));
    assert!(data.unchanged().unwrap());

    // As an open(2) that was on its way before the rename would.
    let late = OpenOptions::new()
        .append(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(host.spooled().join(DATA));
    assert!(late.is_err());
    assert!(!data.unchanged().unwrap());
    drop(data);
    let writer = OpenOptions::new().append(true).open(host.spooled().join(DATA)).unwrap();
    let refused = spooled.data();
    let source_is_writer =
        matches!(refused, Err(SpooledError::Lease { source: LeaseError::Writer, .. }));
    assert!(source_is_writer);
    drop(writer);
}

#[test]
fn two_mounts_are_explained() {
    // A second file system that any Debian has; without it there is nothing to see here.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let (host, claim) = pair();
    std::fs::remove_dir(host.layout.spool()).unwrap();
    let away = other.path().join("spool");
    std::fs::create_dir_all(away.join(host.import.as_str())).unwrap();
    let mover = Mover {
        incoming: Folder::open(&host.incoming()),
        spool: Folder::open(&away).unwrap(),
        spooled: Folder::open(&away.join(host.import.as_str())).unwrap(),
        import: host.import.clone(),
    };
    let error = mover.take(DATA, claim.data.as_ref().unwrap()).unwrap_err();
    assert!(matches!(error, ClaimError::TwoMounts { .. }), "{error:?}");
    assert!(error.to_string().contains("must be one mount"), "{error}");
}

#[test]
fn a_missing_spool_is_named() {
    let (host, claim) = pair();
    std::fs::remove_dir(host.layout.spool()).unwrap();
    let error = host.execute(&claim).unwrap_err();
    assert!(matches!(error, ClaimError::Folder(FolderError::Missing { .. })), "{error:?}");
}

/// Set in the process that [`two_capabilities_are_enough`] starts.
const RERUN: &str = "SFTP_IMPORT_TEST_UNPRIVILEGED";

/// As the service runs: not root, owner of incoming and spool, with two capabilities; uploads are
/// another user's, with mode 0600.
#[test]
fn two_capabilities_are_enough() {
    if let Some(root) = std::env::var_os(RERUN) {
        return unprivileged(Path::new(&root));
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can take another user's place");
        return;
    }
    let (host, _) = pair();
    let service = Some(nix::unistd::Uid::from_raw(65534));
    let partner = Some(nix::unistd::Uid::from_raw(70123));
    for folder in [host.layout.spool(), host.incoming()] {
        nix::unistd::chown(&folder, service, None).unwrap();
    }
    for name in ["e.csv", "e.manifest"] {
        let path = host.incoming().join(name);
        nix::unistd::chown(&path, partner, None).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::set_permissions(host.layout.root(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let program = std::env::current_exe().unwrap();
    let writer = OpenOptions::new().append(true).open(host.incoming().join("e.csv")).unwrap();
    let run = |expected: &str| {
        let output = std::process::Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["--inh-caps", "-all,+dac_read_search,+lease"])
            .args(["--ambient-caps", "-all,+dac_read_search,+lease"])
            .arg(&program)
            .args(["--exact", "--nocapture", TEST_NAME])
            .env(RERUN, host.layout.root())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(expected), "{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    run("unprivileged: still being written");
    drop(writer);
    host.closed("e.csv");
    run("unprivileged: claimed 11 bytes and read them");
    let data = File::open(host.spooled().join(DATA)).unwrap();
    assert_eq!(data.metadata().unwrap().len(), 11);
}

const TEST_NAME: &str = "with_daemon::spool::claim::tests::two_capabilities_are_enough";

fn unprivileged(root: &Path) {
    let paths = crate::config::Paths { accounts: root.into(), state: root.into() };
    let layout = Layout::new(&paths);
    let (account, import) = ("TEST-ABC-123Z".parse().unwrap(), "sftp1-42".parse().unwrap());
    let incoming = Folder::open(&layout.incoming(&account)).unwrap();
    let entries = Listing::read(&incoming, 100).unwrap().entries;
    let id = |name| FileId::of(entries.iter().find(|entry| entry.name == name).unwrap());
    let claim = Claim { data: Some(id("e.csv")), manifest: id("e.manifest") };
    match claim.execute(&layout, &account, &import) {
        Err(ClaimError::StillWritten { .. }) => println!("unprivileged: still being written"),
        Err(error) => panic!("{error:?}"),
        Ok(claimed) => {
            let data = SpooledImport::open(&layout, &import).unwrap().data().unwrap();
            let mut bytes = Vec::new();
            data.reader().unwrap().read_to_end(&mut bytes).unwrap();
            assert!(data.unchanged().unwrap());
            assert_eq!(claimed.data_size, Some(bytes.len() as u64));
            println!("unprivileged: claimed {} bytes and read them", bytes.len());
        }
    }
}
