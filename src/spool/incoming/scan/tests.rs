//! Tests of scans of an incoming folder on a real file system.

use std::cell::Cell;
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::Duration;

use jiff::Timestamp;

use super::super::entry::FileKind;
use super::*;
use crate::files::dir::FolderError;
use crate::report::DataType;
use crate::spool::incoming::manifest_name::is_manifest_name;
use crate::spool::test_host::TestHost;

/// Parses the text of a manifest as the name of its data file. The text `bad` is invalid.
fn parse(name: &str, bytes: &[u8]) -> ParsedManifest {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    if !is_manifest_name(name) {
        return match text.as_str() {
            "other" => ParsedManifest::Foreign,
            _ => ParsedManifest::Misnamed { findings: text, values: ManifestValues::default() },
        };
    }
    if text == "bad" {
        return ParsedManifest::Invalid {
            findings: "bad".into(),
            values: ManifestValues::default(),
        };
    }
    let client_email = "a@example.com".into();
    ParsedManifest::Valid { data_type: DataType::Event, data_file: text, client_email }
}

fn limits() -> Limits {
    Limits { max_manifest: Size::from_bytes(100), max_waiting_files: 50, ..Limits::default() }
}

fn scan(host: &TestHost, cache: &mut ManifestCache) -> ScanResult {
    host.open().scan(cache, &limits(), parse).unwrap()
}

/// Returns each manifest of a scan with its content. The list is sorted.
fn contents(result: &ScanResult) -> Vec<String> {
    let mut lines: Vec<_> = result
        .snapshot
        .manifests
        .iter()
        .map(|manifest| match &manifest.content {
            ManifestContent::Read(ParsedManifest::Valid { data_file, .. }) => {
                format!("{} names {data_file}", manifest.entry.name)
            }
            ManifestContent::Read(ParsedManifest::Invalid { findings, .. }) => {
                format!("{} {findings}", manifest.entry.name)
            }
            other => format!("{} {other:?}", manifest.entry.name),
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn scan_separates_manifests_from_other_files() {
    let host = TestHost::new();
    for name in ["e.csv", "e.manifest", "b.manifest", ".hidden", "e.manifest.filepart"] {
        host.put(name, if name == "b.manifest" { "bad" } else { "e.csv" });
    }
    for bytes in [&b"a\nb.manifest"[..], b"\xff.csv"] {
        let name = std::ffi::OsStr::from_bytes(bytes);
        std::fs::write(host.incoming().join(name), "").unwrap();
    }
    let result = scan(&host, &mut ManifestCache::default());
    assert_eq!(contents(&result), ["b.manifest bad", "e.manifest names e.csv"]);
    let mut files: Vec<_> = result.snapshot.files.iter().map(|file| file.name.as_str()).collect();
    files.sort_unstable();
    assert_eq!(files, ["e.csv", "e.manifest.filepart"]);
    assert_eq!(result.unusable, 2);
    assert!(result.problems.is_empty(), "{:?}", result.problems);
}

#[test]
fn entry_has_the_file_attributes() {
    let host = TestHost::new();
    host.put("e.csv", "12345");
    symlink("/etc/passwd", host.incoming().join("l.csv")).unwrap();
    std::fs::create_dir(host.incoming().join("d.csv")).unwrap();
    std::fs::create_dir(host.incoming().join("d.manifest")).unwrap();
    let file = host.entry("e.csv");
    assert_eq!((file.kind, file.size, file.nlink), (FileKind::Regular, 5, 1));
    let age = Timestamp::now().duration_since(file.ctime);
    assert!(age.as_secs().abs() < 60, "{age}");
    assert_eq!(host.entry("l.csv").kind, FileKind::Other);
    assert_eq!(host.entry("d.csv").kind, FileKind::Folder);
    assert!(!host.entry("d.manifest").is_manifest());
}

#[test]
fn scan_finds_writers_of_listed_files() {
    let host = TestHost::new();
    host.put("e.manifest", "e.csv");
    host.put("f.manifest", "f.csv");
    let open = |name| OpenOptions::new().append(true).open(host.put(name, "x")).unwrap();
    let writers = [open("e.csv"), open("other.csv"), open("g.manifest")];
    let mut cache = ManifestCache::default();
    let result = scan(&host, &mut cache);
    assert_eq!(
        contents(&result),
        ["e.manifest names e.csv", "f.manifest names f.csv", "g.manifest BeingWritten"]
    );
    assert_eq!(result.snapshot.being_written, HashSet::from(["e.csv".to_owned()]));
    drop(writers);
    host.closed("e.csv");
    host.closed("g.manifest");
    let result = scan(&host, &mut cache);
    assert_eq!(contents(&result)[2], "g.manifest names x");
    assert!(result.snapshot.being_written.is_empty());
}

/// Returns the data files that are being uploaded under temporary names. Each has the final name,
/// the temporary name, and whether the file is open.
fn arriving(result: &ScanResult) -> Vec<(String, String, bool)> {
    let files = result.snapshot.arriving.iter();
    files.map(|(name, file)| (name.clone(), file.name.clone(), file.is_open)).collect()
}

#[test]
fn scan_finds_uploads_under_temporary_names() {
    for name in ["e.csv.filepart", ".e.csv.partial", "e.csv.a1b2c3d4.partial", ".in.e.csv"] {
        let host = TestHost::new();
        host.put("e.manifest", "e.csv");
        host.put("other.csv.part", "x");
        let writer = OpenOptions::new().append(true).open(host.put(name, "x")).unwrap();
        let mut cache = ManifestCache::default();
        let file = |is_open| [("e.csv".to_owned(), name.to_owned(), is_open)];
        assert_eq!(arriving(&scan(&host, &mut cache)), file(true));
        std::thread::sleep(Duration::from_millis(30));
        drop(writer);
        host.closed(name);
        let result = scan(&host, &mut cache);
        assert_eq!(arriving(&result), file(false));
        let age = result.snapshot.arriving["e.csv"].age;
        assert_eq!(age.then, Duration::ZERO, "the file was open until this scan");
        assert!(age.since < Duration::from_millis(30), "{age:?}");
        host.put("e.csv", "x");
        assert!(arriving(&scan(&host, &mut cache)).is_empty(), "the data file exists");
    }
}

#[test]
fn scan_reads_files_with_misspelled_manifest_names() {
    let host = TestHost::new();
    for (name, text) in [
        ("a.manifest.txt", "a.csv"),
        ("b.json", "b.csv"),
        ("c.json", "other"),
        ("d.txt", "d.csv"),
        ("e.manifest", "e.csv"),
    ] {
        host.put(name, text);
    }
    host.put("large.json", "x".repeat(101));
    let result = scan(&host, &mut ManifestCache::default());
    let names: Vec<_> =
        result.snapshot.manifests.iter().map(|manifest| manifest.entry.name.as_str()).collect();
    assert_eq!(names, ["e.manifest", "a.manifest.txt", "b.json"]);
    assert_eq!(result.manifests, HashSet::from(["e.manifest".to_owned()]));
}

#[test]
fn decomposed_data_file_is_checked_for_writers() {
    let host = TestHost::new();
    host.put("e.manifest", "K\u{e4}ufe.csv");
    let decomposed = "Ka\u{308}ufe.csv";
    let writer = OpenOptions::new().append(true).open(host.put(decomposed, "x")).unwrap();
    let mut cache = ManifestCache::default();
    let result = scan(&host, &mut cache);
    assert_eq!(result.snapshot.being_written, HashSet::from([decomposed.to_owned()]));
    assert!(result.snapshot.ages.contains_key(decomposed));
    drop(writer);
}

#[test]
fn manifest_is_read_once_until_it_changes() {
    let host = TestHost::new();
    let reads = Cell::new(0);
    let mut cache = ManifestCache::default();
    let mut scan = |host: &TestHost| {
        let counted = |name: &str, bytes: &[u8]| {
            reads.set(reads.get() + 1);
            parse(name, bytes)
        };
        host.open().scan(&mut cache, &limits(), counted).unwrap()
    };
    host.put("e.manifest", "bad");
    assert_eq!(contents(&scan(&host)), ["e.manifest bad"]);
    // The pause is longer than a tick of the file system's clock.
    std::thread::sleep(Duration::from_millis(15));
    let second = scan(&host);
    assert!(second.snapshot.manifests[0].age.since >= Duration::from_millis(15));
    assert_eq!(reads.get(), 1);
    host.put("e.manifest", "e.csv");
    let third = scan(&host);
    assert_eq!(contents(&third), ["e.manifest names e.csv"]);
    assert!(third.snapshot.manifests[0].age.since < Duration::from_secs(1));
    assert_eq!(reads.get(), 2);
    std::fs::remove_file(host.incoming().join("e.manifest")).unwrap();
    scan(&host);
    assert!(cache.manifests.is_empty());
}

#[test]
fn scan_opens_only_regular_files_within_limit() {
    let host = TestHost::new();
    symlink("/etc/passwd", host.incoming().join("link.manifest")).unwrap();
    nix::unistd::mkfifo(&host.incoming().join("fifo.manifest"), nix::sys::stat::Mode::S_IRWXU)
        .unwrap();
    let linked = host.put("linked.manifest", "x");
    std::fs::hard_link(&linked, host.incoming().join("other")).unwrap();
    host.put("long.manifest", "x".repeat(101));
    assert_eq!(
        contents(&scan(&host, &mut ManifestCache::default())),
        [
            "fifo.manifest NotPlain",
            "link.manifest NotPlain",
            "linked.manifest NotPlain",
            "long.manifest the manifest has 101 bytes, but only 100 bytes are allowed",
        ]
    );
}

#[test]
fn file_replaced_during_scan_is_skipped() {
    let host = TestHost::new();
    host.put("e.csv", "x");
    let listed = host.entry("e.csv");
    let incoming = host.open();
    std::fs::remove_file(host.incoming().join("e.csv")).unwrap();
    assert!(matches!(incoming.lease(&listed), Ok(OpenResult::Changed)));
    symlink("/etc/passwd", host.incoming().join("e.csv")).unwrap();
    assert!(matches!(incoming.lease(&listed), Ok(OpenResult::Changed)));
    std::fs::remove_file(host.incoming().join("e.csv")).unwrap();
    host.put("new", "y");
    std::fs::rename(host.incoming().join("new"), host.incoming().join("e.csv")).unwrap();
    assert!(matches!(incoming.lease(&listed), Ok(OpenResult::Changed)));
}

#[test]
fn removal_of_account_is_a_distinct_error() {
    let host = TestHost::new();
    std::fs::remove_dir(host.incoming()).unwrap();
    let error = Incoming::open(&host.layout, &host.account, &host.opener).unwrap_err();
    assert!(matches!(error, ScanError::Folder(FolderError::Missing { .. })), "{error:?}");
}

#[test]
fn truncated_listing_finds_named_data_files() {
    let host = TestHost::new();
    for n in 0..150 {
        host.put(&format!("{n}.csv"), "x");
        host.put(&format!("{n}.manifest"), format!("{n}.csv"));
    }
    let result = scan(&host, &mut ManifestCache::default());
    assert_eq!((result.usage.files, result.usage.cut), (51, true), "{:?}", result.usage);
    assert!(!result.snapshot.manifests.is_empty());
    let files: HashSet<_> = result.snapshot.files.iter().map(|file| file.name.as_str()).collect();
    for manifest in &result.snapshot.manifests {
        let ManifestContent::Read(ParsedManifest::Valid { data_file, .. }) = &manifest.content
        else {
            panic!("{manifest:?}");
        };
        assert!(files.contains(data_file.as_str()), "{data_file}");
    }
}

#[test]
fn next_scan_continues_with_earliest_manifest() {
    let host = TestHost::new();
    let limits = Limits { max_manifest: Size::from_bytes(MAX_READ_PER_SCAN), ..Limits::default() };
    let names = ["c.manifest", "b.manifest", "a.manifest"];
    for name in names {
        let file = std::fs::File::create(host.incoming().join(name)).unwrap();
        file.set_len(MAX_READ_PER_SCAN * 3 / 4).unwrap(); // the file is sparse
        drop(file);
        host.closed(name);
        // The next change must be in a later tick of the file system's clock.
        std::thread::sleep(Duration::from_millis(15));
    }
    let short = |name: &str, _: &[u8]| parse(name, b"x");
    let mut cache = ManifestCache::default();
    for (unread, expected) in [(true, &names[..2]), (false, &names)] {
        let result = host.open().scan(&mut cache, &limits, short).unwrap();
        let read: Vec<_> =
            result.snapshot.manifests.iter().map(|m| m.entry.name.as_str()).collect();
        assert_eq!((result.unread, &read[..]), (unread, expected));
    }
}

/// The limit alone determines the memory of a scan. If SFTP_IMPORT_TEST_LONG is set, the test uses
/// a million files.
#[test]
fn scan_is_bounded_by_the_limit() {
    let long = std::env::var_os("SFTP_IMPORT_TEST_LONG").is_some();
    let (count, max) = if long { (1_000_000, 100_000) } else { (20_000, 2_000) };
    let host = if long { TestHost::new() } else { TestHost::roomy() };
    std::fs::write(host.incoming().join("e.manifest"), "0.csv").unwrap();
    for n in 0..count {
        std::fs::write(host.incoming().join(format!("{n}.csv")), "").unwrap();
    }
    let limits = Limits { max_waiting_files: max, ..limits() };
    let result = host.open().scan(&mut ManifestCache::default(), &limits, parse).unwrap();
    let most = max + 1;
    assert_eq!((result.usage.files, result.usage.cut), (most, true));
    assert!(result.snapshot.files.len() <= most, "{}", result.snapshot.files.len());
}

/// A listed file is replaced by a rename during the listing, so the kernel reports a link count of
/// 0.
#[test]
fn file_replaced_during_listing_counts_as_changed() {
    let host = TestHost::new();
    host.put("e.manifest", "e.csv");
    host.put("e.csv", "1");
    for name in ["e.manifest", "e.csv"] {
        let mut listing = host.list(50);
        listing.entries.iter_mut().find(|entry| entry.name == name).unwrap().nlink = 0;
        let result =
            host.open().scan_listing(listing, &mut ManifestCache::default(), &limits(), parse);
        assert_eq!((contents(&result), result.changed), (vec![], true), "{name}");
        assert!(result.manifests.contains("e.manifest"));
    }
}

#[test]
fn repeatedly_replaced_file_counts_as_changed() {
    let host = TestHost::new();
    host.put("e.manifest", "e.csv");
    host.put("e.csv", "1");
    let incoming = host.incoming();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                for name in ["e.manifest", "e.csv"] {
                    std::fs::write(incoming.join(".new"), "e.csv").unwrap();
                    std::fs::rename(incoming.join(".new"), incoming.join(name)).unwrap();
                }
            }
        });
        let end = std::time::Instant::now() + Duration::from_millis(500);
        let mut linked = None;
        while linked.is_none() && std::time::Instant::now() < end {
            let result = scan(&host, &mut ManifestCache::default());
            linked = result.snapshot.manifests.into_iter().map(|manifest| manifest.entry).find(
                |entry| {
                    let data = result.snapshot.files.iter().find(|file| file.name == "e.csv");
                    [Some(entry), data].into_iter().flatten().any(|file| !file.is_plain())
                },
            );
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(linked, None);
    });
}
