//! Tests of claims on a real file system, with a crash after each step and with writers at each
//! step.

pub mod capability;
mod tricks;

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use nix::libc;

use super::super::spooled::{self, SpooledError, SpooledImport};
use super::super::test_host::TestHost;
use super::*;
use crate::config::Size;
use crate::files::dir::Folder;
use crate::files::dir::FolderError;
use crate::spool::layout::{DATA, MANIFEST};
use crate::sys::LeaseError;

impl TestHost {
    fn claim(&self) -> Claim {
        let id = |name| FileId::of(&self.entry(name));
        Claim { data: Some(id("e.csv")), manifest: id("e.manifest") }
    }

    fn execute(&self, claim: &Claim) -> Result<Option<u64>, ClaimError> {
        claim.execute(&self.layout, &self.account, &self.import, &self.opener)
    }

    fn folders(&self) -> ClaimFolders {
        ClaimFolders::open(&self.layout, &self.account, &self.import, &self.opener).unwrap()
    }

    fn spool_is_empty(&self) -> bool {
        std::fs::read_dir(self.layout.spool()).unwrap().next().is_none()
    }
}

/// Returns a host with a pair of files in incoming, and the claim of this pair.
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
fn a_claim_moves_the_pair_and_is_repeatable() {
    let (host, claim) = pair();
    for _ in 0..2 {
        assert_eq!(host.execute(&claim).unwrap(), Some(11));
        assert_claimed(&host);
    }
    let mode = std::fs::metadata(host.spooled()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    spooled::discard(&host.layout, &host.import).unwrap();
    spooled::discard(&host.layout, &host.import).unwrap();
    assert!(host.spool_is_empty());
}

#[test]
fn a_claim_is_unchanged_after_conversion_to_json() {
    let (_host, claim) = pair();
    let json = serde_json::to_string(&claim).unwrap();
    assert_eq!(serde_json::from_str::<Claim>(&json).unwrap(), claim);
}

#[test]
fn a_claim_continues_after_any_crash() {
    for steps in 0..=3 {
        let (host, claim) = pair();
        let before = [
            |host: &TestHost| drop(host.folders()),
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
fn a_complete_claim_survives_account_removal() {
    let (host, claim) = pair();
    host.execute(&claim).unwrap();
    std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
    host.execute(&claim).unwrap();
}

#[test]
fn refused_manifest_is_claimed_alone() {
    let (host, claim) = pair();
    let claim = Claim { data: None, ..claim };
    assert_eq!(host.execute(&claim).unwrap(), None);
    assert_eq!(host.names("incoming"), ["e.csv"]);
}

#[test]
fn a_writer_of_either_file_prevents_the_claim() {
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
        // The file has changed after the scan, so the folder must be scanned again.
        assert!(matches!(host.execute(&claim), Err(ClaimError::Changed { .. })));
        host.execute(&host.claim()).unwrap();
    }
}

#[test]
fn a_writer_during_a_crash_undoes_the_claim() {
    let (host, claim) = pair();
    let writer = OpenOptions::new().append(true).open(host.incoming().join("e.csv")).unwrap();
    drop(host.folders());
    std::fs::rename(host.incoming().join("e.csv"), host.spooled().join(DATA)).unwrap();
    let error = host.execute(&claim).unwrap_err();
    assert!(matches!(error, ClaimError::StillWritten { .. }), "{error:?}");
    assert_eq!(host.names("incoming"), ["e.csv", "e.manifest"]);
    drop(writer);
}

#[test]
fn writer_between_lease_and_rename_is_detected() {
    let (host, claim) = pair();
    let id = claim.data.as_ref().unwrap();
    let folders = host.folders();
    let lease =
        folders.lease(folders.incoming(id).unwrap(), &folders.source, &id.name, id).unwrap();
    folders.check_same(id, &lease).unwrap();
    let late = OpenOptions::new()
        .append(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(host.incoming().join("e.csv"));
    assert_eq!(late.unwrap_err().raw_os_error(), Some(libc::EWOULDBLOCK));
    folders.rename(DATA, id).unwrap();
    let error = folders.verify(DATA, id, &lease).unwrap_err();
    assert!(matches!(error, ClaimError::StillWritten { .. }), "{error:?}");
    drop(lease);
    for part in [PairFile::Manifest, PairFile::Data] {
        assert!(folders.move_back(part, claim.file(part)).is_ok(), "{error}");
    }
    folders.remove_folder().unwrap();
    assert_eq!(host.names("incoming"), ["e.csv", "e.manifest"]);
    assert!(host.spool_is_empty());
}

/// The number of rounds in which a claim races with a writer. Each round costs several syncs.
const ROUNDS: u32 = 100;

#[test]
fn racing_writers_cannot_change_a_claimed_file() {
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
fn a_change_while_reading_is_detected() {
    let (host, claim) = pair();
    host.execute(&claim).unwrap();
    let spooled = SpooledImport::open(&host.layout, &host.import, &host.opener).unwrap();
    assert_eq!(spooled.manifest(Size::mib(1)).unwrap(), b"{}");
    let refused = spooled.manifest(Size::from_bytes(1));
    assert!(matches!(refused, Err(SpooledError::TooLarge { .. })), "{refused:?}");

    let data = spooled.data().unwrap();
    let mut text = String::new();
    data.reader().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), data.size()), ("identity\n1\n", 11));
    assert!(data.unchanged().unwrap());

    // The handle imitates a call of open(2) that resolved the name of the file before the rename.
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
fn claims_across_two_mounts_are_reported() {
    // The test needs a second file system. Every Debian host has /dev/shm.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let (host, claim) = pair();
    let away = other.path().join("spool");
    std::fs::create_dir_all(away.join(host.import.as_str())).unwrap();
    let folders = ClaimFolders {
        spool: Folder::open(&away).unwrap(),
        spooled: Folder::open(&away.join(host.import.as_str())).unwrap(),
        ..host.folders()
    };
    let error = folders.move_in(PairFile::Data, claim.data.as_ref().unwrap()).unwrap_err();
    assert!(matches!(error, ClaimError::TwoMounts { .. }), "{error:?}");
    assert!(error.to_string().contains("must be one mount"), "{error}");
}

#[test]
fn a_missing_spool_folder_is_reported() {
    let (host, claim) = pair();
    std::fs::remove_dir(host.layout.spool()).unwrap();
    let error = host.execute(&claim).unwrap_err();
    assert!(matches!(error, ClaimError::Folder(FolderError::Missing { .. })), "{error:?}");
}
