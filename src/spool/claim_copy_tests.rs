//! Claims that leave the manifest its name.

use super::*;
use crate::spool::SpooledImport;

fn copying(host: &TestHost) -> Claim {
    Claim { copied: Some(Digest::of(b"{}")), ..host.claim() }
}

fn copied_pair() -> (TestHost, Claim) {
    let (host, _) = pair();
    let claim = copying(&host);
    (host, claim)
}

fn assert_copied(host: &TestHost) {
    assert_eq!(std::fs::read(host.spooled().join(DATA)).unwrap(), b"identity\n1\n");
    assert_eq!(std::fs::read(host.spooled().join(MANIFEST)).unwrap(), b"{}");
    assert_eq!(host.names("incoming"), ["e.manifest"]);
}

#[test]
fn copies_the_manifest_and_can_be_repeated() {
    let (host, claim) = copied_pair();
    let seen = host.entry("e.manifest");
    for _ in 0..2 {
        assert_eq!(host.execute(&claim).unwrap(), Claimed { data_size: Some(11) });
        assert_copied(&host);
    }
    assert_eq!(host.entry("e.manifest"), seen, "nothing about it has changed");
    let mode = std::fs::metadata(host.spooled().join(MANIFEST)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let json = serde_json::to_string(&claim).unwrap();
    assert_eq!(serde_json::from_str::<Claim>(&json).unwrap(), claim);
}

#[test]
fn a_row_of_before_there_were_copies_is_a_move() {
    let (host, claim) = pair();
    let json = serde_json::to_string(&claim).unwrap();
    assert!(!json.contains("copied"), "{json}");
    let claim: Claim = serde_json::from_str(&json).unwrap();
    host.execute(&claim).unwrap();
    assert_claimed(&host);
}

#[test]
fn goes_on_after_a_crash_wherever_the_copy_is() {
    for left in [None, Some(&b""[..]), Some(b"{"), Some(b"{}"), Some(b"{}{}")] {
        let (host, claim) = copied_pair();
        drop(host.mover());
        std::fs::rename(host.incoming().join("e.csv"), host.spooled().join(DATA)).unwrap();
        if let Some(left) = left {
            std::fs::write(host.spooled().join(MANIFEST), left).unwrap();
        }
        host.execute(&claim).unwrap();
        assert_copied(&host);
    }
}

#[test]
fn a_copy_that_is_whole_needs_neither_the_manifest_nor_its_account() {
    let (host, claim) = copied_pair();
    host.execute(&claim).unwrap();
    host.put("e.manifest", "new");
    host.execute(&claim).unwrap();
    std::fs::remove_dir_all(host.layout.account(&host.account)).unwrap();
    host.execute(&claim).unwrap();
    assert_eq!(std::fs::read(host.spooled().join(MANIFEST)).unwrap(), b"{}");
}

#[test]
fn what_is_undone_leaves_no_copy() {
    for wrong in ["gone", "changed", "written", "other bytes"] {
        let (host, mut claim) = copied_pair();
        drop(host.mover());
        std::fs::write(host.spooled().join(MANIFEST), "{").unwrap(); // half of an earlier try's
        let path = host.incoming().join("e.manifest");
        let mut writer = None;
        match wrong {
            "gone" => std::fs::remove_file(&path).unwrap(),
            "changed" => {
                std::thread::sleep(std::time::Duration::from_millis(15));
                host.put("e.manifest", "[]");
            }
            "written" => writer = Some(OpenOptions::new().append(true).open(&path).unwrap()),
            _ => claim.copied = Some(Digest::of(b"[]")),
        }
        let error = host.execute(&claim).unwrap_err();
        assert!(error.is_final(), "{wrong}: {error:?}");
        assert_eq!(path.exists(), wrong != "gone");
        assert!(host.incoming().join("e.csv").exists(), "{wrong}");
        assert!(host.spool_is_empty(), "{wrong}");
        drop(writer);
    }
}

#[test]
fn a_refused_manifest_is_copied_alone() {
    let (host, claim) = copied_pair();
    let claim = Claim { data: None, ..claim };
    assert_eq!(host.execute(&claim).unwrap(), Claimed { data_size: None });
    assert_eq!(host.names("incoming"), ["e.csv", "e.manifest"]);
}

#[test]
fn what_is_copied_is_what_was_judged_however_writers_race() {
    for _ in 0..ROUNDS {
        let (host, claim) = copied_pair();
        let path = host.incoming().join("e.manifest");
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                start.wait();
                let file = OpenOptions::new().append(true).open(&path);
                file.and_then(|mut file| file.write_all(b"2")).unwrap();
            });
            start.wait();
            match host.execute(&claim) {
                Ok(_) => {
                    writer.join().unwrap();
                    assert_copied(&host);
                }
                Err(error) => {
                    assert!(error.is_final(), "{error:?}");
                    writer.join().unwrap();
                    assert!(host.spool_is_empty() && host.incoming().join("e.csv").exists());
                }
            }
            assert_eq!(std::fs::read(&path).unwrap(), b"{}2", "the writer keeps its file");
        });
    }
}

#[test]
fn a_manifest_whose_text_is_kept_elsewhere_is_copied_later() {
    let (host, claim) = copied_pair();
    let keep = || claim.execute_but_copy(&host.layout, &host.account, &host.import).unwrap();
    for _ in 0..2 {
        assert_eq!(keep().as_deref(), Some("{}"));
        assert_eq!(host.names("incoming"), ["e.manifest"]);
        assert!(host.spooled().join(DATA).exists() && !host.spooled().join(MANIFEST).exists());
    }
    let spooled = SpooledImport::open(&host.layout, &host.import).unwrap();
    for left in [None, Some(&b"{"[..]), Some(b"{}{}"), Some(b"{}")] {
        if let Some(left) = left {
            std::fs::write(host.spooled().join(MANIFEST), left).unwrap();
        }
        spooled.put_manifest("{}").unwrap();
        assert_copied(&host);
    }
    host.execute(&claim).unwrap();
    assert_copied(&host);
}

#[test]
fn a_long_manifest_and_one_that_is_no_text_are_copied_at_once() {
    for bytes in [vec![b' '; MOST_KEPT as usize + 1], b"\xff".to_vec()] {
        let (host, _) = pair();
        std::fs::write(host.incoming().join("e.manifest"), &bytes).unwrap();
        let claim = Claim { copied: Some(Digest::of(&bytes)), ..host.claim() };
        let kept = claim.execute_but_copy(&host.layout, &host.account, &host.import).unwrap();
        assert_eq!(kept, None);
        assert_eq!(std::fs::read(host.spooled().join(MANIFEST)).unwrap(), bytes);
    }
}
