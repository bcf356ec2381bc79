//! Checks that `check` needs only bounded memory for hostile files of gigabytes.
//!
//! The files have one gigabyte. With `SFTP_IMPORT_TEST_LONG=1` they have five gigabytes, the
//! default limit for uploads.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use serde_json::Value as Json;
use tempfile::TempDir;

/// The maximum memory for any file in bytes.
const MOST_MEMORY: u64 = 200_000_000;

/// Returns the size of a data file in bytes, which is also the configured limit.
fn size() -> u64 {
    if std::env::var_os("SFTP_IMPORT_TEST_LONG").is_some() { 5_000_000_000 } else { 1_000_000_000 }
}

/// The result of `check`.
struct Checked {
    report: Json,
}

/// Runs `check` on a pair. `write` writes the data file.
fn check(name: &str, write: impl FnOnce(&mut File)) -> Checked {
    let folder = tempfile::tempdir().unwrap();
    let manifest =
        format!(r#"{{"type":"profile","fileName":{name:?},"clientEmail":"a@b.example"}}"#);
    fs::write(folder.path().join("e.manifest"), manifest).unwrap();
    write(&mut File::create(folder.path().join(name)).unwrap());
    checked(&folder)
}

fn checked(folder: &TempDir) -> Checked {
    let config = format!("[limits]\nmax-data-file = '{}B'\n", size());
    fs::write(folder.path().join("config.toml"), config).unwrap();
    let peak = folder.path().join("peak");
    let output = Command::new("time")
        .current_dir(folder.path())
        .args(["--quiet", "--format", "%M", "--output"])
        .arg(&peak)
        .arg(env!("CARGO_BIN_EXE_sftp-import"))
        .args(["--config", "config.toml", "--json", "check", "e.manifest"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let report: Json = serde_json::from_str(&printed).unwrap_or_else(|e| panic!("{e}: {printed}"));
    let peak = most_memory(&fs::read_to_string(peak).unwrap());
    let megabytes = peak / 1_000_000;
    eprintln!("{megabytes} MB of memory at most");
    assert!(peak > 1_000_000, "the memory was not measured");
    assert!(peak < MOST_MEMORY, "{megabytes} MB of memory at most: {report}");
    Checked { report }
}

/// Returns the maximum memory of the process in bytes. `written` is the output of time(1) with
/// `%M`, in KiB.
fn most_memory(written: &str) -> u64 {
    written.trim().parse::<u64>().unwrap() * 1024
}

impl Checked {
    fn failure(&self) -> String {
        let text = |key: &str| self.report["failure"][key].as_str().unwrap_or_default();
        format!("{}: {}", text("message"), text("detail"))
    }

    fn records(&self, key: &str) -> u64 {
        self.report["records"][key].as_u64().unwrap()
    }
}

/// Writes `head`, zeros that use no disk space, and `tail`. The file has [`size`] bytes in total.
fn sparse(file: &mut File, head: &str, tail: &str) {
    file.write_all(head.as_bytes()).unwrap();
    file.seek(SeekFrom::Start(size() - tail.len() as u64)).unwrap();
    file.write_all(tail.as_bytes()).unwrap();
    file.set_len(size()).unwrap();
    assert!(file.metadata().unwrap().blocks() < 1000, "the file must be sparse");
}

#[test]
fn a_huge_line_is_checked_in_bounded_memory() {
    let checked = check("e.csv", |file| sparse(file, "identity,a\nj,", ""));
    assert_eq!((checked.records("read"), checked.records("rejected")), (1, 1));
    assert_eq!(checked.report["rejections"][0]["message"], "Record is too long");
    assert_eq!(checked.report["bytes"], size());
    assert!(checked.report["sha256"].is_string());
}

#[test]
fn a_huge_quoted_field_needs_bounded_memory() {
    let checked = check("e.csv", |file| sparse(file, "identity,a\nj,\"", "\"\nk,1\n"));
    assert_eq!((checked.records("accepted"), checked.records("rejected")), (1, 1));
    let checked = check("e.csv", |file| sparse(file, "identity,a\nj,\"", "k,1\n"));
    let unclosed = "File couldn't be read: a quote in the record that begins in line 2 is never \
                    closed";
    assert_eq!(checked.failure(), unclosed);
}

#[test]
fn a_huge_header_is_refused_in_bounded_memory() {
    let checked = check("e.csv", |file| sparse(file, "identity,", ""));
    let failure = checked.failure();
    let start =
        "File couldn't be read: the header is too long; line 1 was taken as the header: identity,";
    assert!(failure.starts_with(start) && failure.len() < 2000, "{failure}");
}

/// The decompressed size is ten times the limit, in members and frames of ten million zeros.
#[test]
fn compression_bombs_are_refused_in_bounded_memory() {
    let zeros = vec![0; 10_000_000];
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::stream::encode_all(bytes, 1).unwrap();
    for (name, compress) in [("e.csv.gz", &gzip as &dyn Fn(&[u8]) -> Vec<u8>), ("e.csv.zst", &zstd)]
    {
        let checked = check(name, |file| {
            file.write_all(&compress(b"identity,a\nj,")).unwrap();
            let member = compress(&zeros);
            (0..size() / 1_000_000).for_each(|_| file.write_all(&member).unwrap());
        });
        let failure = checked.failure();
        assert!(
            failure.starts_with("File couldn't be read: the file is larger than "),
            "{failure}"
        );
        assert!(failure.ends_with(" when decompressed"), "{failure}");
    }
}

/// The header of a zstd frame contains the size of the window, which is the memory that a reader
/// needs.
#[test]
fn a_zstd_window_over_the_limit_is_refused() {
    let checked = check("e.csv.zst", |file| {
        let mut encoder = zstd::stream::write::Encoder::new(file, 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"identity,a\nj,1\n").unwrap();
        encoder.flush().unwrap();
        encoder.write_all(&vec![b'\n'; 1 << 20]).unwrap();
        encoder.finish().unwrap();
    });
    let failure = checked.failure();
    assert!(failure.contains("requires too much memory"), "{failure}");
}

/// All records are rejected, and they must not be kept in memory. There are more of them than are
/// processed at one time.
#[test]
fn the_shortest_records_need_bounded_memory() {
    let checked = check("e.csv", |file| {
        file.write_all(b"identity,a\n").unwrap();
        file.write_all(&b"x\n".repeat(2_000_000)).unwrap();
    });
    assert_eq!(checked.records("rejected"), 2_000_000);
}

#[test]
fn a_huge_manifest_is_refused_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = File::create(folder.path().join("e.manifest")).unwrap();
    manifest.set_len(size()).unwrap();
    let failure = checked(&folder).failure();
    assert!(failure.contains("at most 1048576 are allowed"), "{failure}");
}
