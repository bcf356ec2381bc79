//! Tests of paths that another user than root can change in one component.

use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;

/// Returns the user ids that own the files of a test: root and the user of this process.
fn owners(folder: &Path) -> [u32; 2] {
    [0, fs::metadata(folder).unwrap().uid()]
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Creates the file `a/keys.db` below `folder`.
fn keys(folder: &Path) -> PathBuf {
    fs::create_dir(folder.join("a")).unwrap();
    set_mode(&folder.join("a"), 0o750);
    let path = folder.join("a/keys.db");
    fs::write(&path, "").unwrap();
    set_mode(&path, 0o640);
    path
}

#[test]
fn paths_must_be_writable_by_root_only() {
    for (kind, uid, mode, is_allowed) in [
        (PathKind::Folder, 0, 0o755, true),
        (PathKind::Folder, 0, 0o750, true),
        (PathKind::Folder, 0, 0o1777, true),
        (PathKind::Folder, 0, 0o777, false),
        (PathKind::Folder, 0, 0o775, false),
        (PathKind::Folder, 0, 0o757, false),
        (PathKind::Folder, 998, 0o755, false),
        (PathKind::Folder, 998, 0o1755, false),
        (PathKind::Link, 0, 0o777, true),
        (PathKind::Link, 998, 0o777, false),
        (PathKind::File, 0, 0o640, true),
        (PathKind::File, 0, 0o644, true),
        (PathKind::File, 0, 0o660, false),
        (PathKind::File, 0, 0o642, false),
        (PathKind::File, 0, 0o1660, false),
        (PathKind::File, 998, 0o640, false),
    ] {
        let found = check_entry(kind, uid, mode, ROOT);
        assert_eq!(found.is_none(), is_allowed, "{kind:?} {uid} {mode:o}: {found:?}");
    }
}

#[test]
fn every_path_fault_is_reported_with_a_fix() {
    let message = |reason| Error::new(Path::new("/x/keys.db"), reason).to_string();
    for (reason, expected) in [
        (
            PathFault::Owner(PathKind::File, 998),
            "/x/keys.db belongs to user id 998, not to root; \
             `rm /x/keys.db`, then `sftp-import provision`",
        ),
        (
            PathFault::Mode(PathKind::File, 0o660),
            "/x/keys.db has mode 0660: others can write it; \
             `rm /x/keys.db`, then `sftp-import provision`",
        ),
        (
            PathFault::Owner(PathKind::Folder, 998),
            "/x/keys.db belongs to user id 998, not to root; \
             `chown root /x/keys.db`, then `sftp-import provision`",
        ),
        (
            PathFault::Mode(PathKind::Folder, 0o770),
            "/x/keys.db has mode 0770: others can write it; \
             `chmod go-w /x/keys.db`, then `sftp-import provision`",
        ),
        (
            PathFault::Io(io::ErrorKind::NotFound.into()),
            "/x/keys.db: entity not found; `sftp-import provision`",
        ),
    ] {
        assert_eq!(message(reason), expected);
    }
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, owners) = (keys(folder.path()), owners(folder.path()));
    assert_eq!(check_file(&path, &owners).unwrap(), fs::canonicalize(&path).unwrap());
    for mode in [0o660, 0o642] {
        set_mode(&path, mode);
        let error = check_file(&path, &owners).unwrap_err();
        assert!(matches!(error.reason, PathFault::Mode(PathKind::File, _)), "{error}");
    }
    set_mode(&path, 0o640);
    // Only root can change the owner of a file.
    if owners[1] == 0 {
        chown(&path, Some(65534), None).unwrap();
    }
    let error = check_file(&path, ROOT).unwrap_err();
    assert!(matches!(error.reason, PathFault::Owner(..)), "{error}");
}

#[test]
fn only_sticky_parent_folders_may_be_writable() {
    let folder = tempfile::tempdir().unwrap();
    let (path, owners) = (keys(folder.path()), owners(folder.path()));
    for (mode, is_allowed) in [(0o777, false), (0o770, false), (0o1777, true), (0o700, true)] {
        set_mode(folder.path(), mode);
        assert_eq!(check_file(&path, &owners).is_ok(), is_allowed, "{mode:o}");
    }
}

/// In a sticky folder another user can create the file before root does.
#[test]
fn a_sticky_folder_with_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, owners) = (keys(folder.path()), owners(folder.path()));
    for mode in [0o770, 0o1777] {
        set_mode(path.parent().unwrap(), mode);
        let error = check_file(&path, &owners).unwrap_err();
        assert!(matches!(error.reason, PathFault::Mode(PathKind::Folder, _)), "{error}");
    }
}

#[test]
fn folders_behind_symbolic_links_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (path, owners) = (keys(folder.path()), owners(folder.path()));
    let real = fs::canonicalize(&path).unwrap();
    let here = folder.path();
    fs::create_dir(here.join("open")).unwrap();
    symlink(here.join("a"), here.join("open/a")).unwrap();
    symlink("open/a", here.join("relative")).unwrap();
    symlink(here.join("a"), here.join("absolute")).unwrap();
    symlink("../a/keys.db", here.join("open/keys.db")).unwrap();
    for way in ["relative/keys.db", "absolute/keys.db", "open/keys.db", "open/../a/keys.db"] {
        assert_eq!(check_file(&here.join(way), &owners).unwrap(), real, "{way}");
    }
    // A user who can write to the folder `open` can change the target of the link.
    set_mode(&here.join("open"), 0o777);
    for way in ["relative/keys.db", "open/keys.db", "open/../a/keys.db"] {
        let error = check_file(&here.join(way), &owners).unwrap_err();
        assert_eq!(error.path, fs::canonicalize(here.join("open")).unwrap(), "{way}");
    }
    assert_eq!(check_file(&here.join("absolute/keys.db"), &owners).unwrap(), real);
}

#[test]
fn key_files_that_are_not_regular_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, owners) = (keys(folder.path()), owners(folder.path()));
    let error = check_file(path.parent().unwrap(), &owners).unwrap_err();
    assert!(error.to_string().contains("is not a regular file"), "{error}");
    symlink("loop", folder.path().join("loop")).unwrap();
    let error = check_file(&folder.path().join("loop"), &owners).unwrap_err();
    assert!(matches!(error.reason, PathFault::Links), "{error}");
    let error = check_file(&path.join("x"), &owners).unwrap_err();
    assert!(matches!(error.reason, PathFault::Io(_)), "{error}");
    let file = fs::metadata(&path).unwrap();
    assert!(check_folder(&path, &file, &owners).is_err());
}
