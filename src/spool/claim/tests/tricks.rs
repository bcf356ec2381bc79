//! Tests of account holders who replace a file after the scan to attack the host.

use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::*;
use crate::spool::layout::DATA;

#[test]
fn replaced_file_stays_in_incoming() {
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
            // The pause is longer than one tick of the file system's clock.
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
fn deleting_one_file_leaves_the_other_in_incoming() {
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
fn an_undone_claim_does_not_replace_new_files() {
    let (host, claim) = pair();
    let path = host.incoming().join("e.csv");
    let writer = OpenOptions::new().append(true).open(&path).unwrap();
    drop(host.folders());
    std::fs::rename(&path, host.spooled().join(DATA)).unwrap();
    host.put("e.csv", "new");
    let error = host.execute(&claim).unwrap_err();
    assert!(matches!(error, ClaimError::StillWritten { .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    assert!(host.spool_is_empty());
    drop(writer);
}

#[test]
fn an_irregular_manifest_is_claimed_without_opening() {
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
        let spooled = SpooledImport::open(&host.layout, &host.import, &host.opener).unwrap();
        let refused = spooled.manifest(Size::mib(1));
        assert!(matches!(refused, Err(SpooledError::NotPlain { .. })), "{refused:?}");
        spooled::discard(&host.layout, &host.import).unwrap();
    }
    assert!(Path::new("/etc/passwd").exists());
}
