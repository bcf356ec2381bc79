//! Tests that read whole files: unreadable files, encodings, incomplete files, line numbers, and
//! errors of the host.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::*;
use crate::report::FailureText;

fn plain() -> Manifest {
    manifest("profile", "", "")
}

fn named(file_name: &str) -> Manifest {
    Manifest { file_name: file_name.into(), ..plain() }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn an_unreadable_file_fails_with_its_reason() {
    for (bytes, detail) in [
        (&b""[..], "the file is empty"),
        (b"\n\r\n\n", "the file is empty"),
        (b"\xEF\xBB\xBF", "the file is empty"),
        (b"identity,a\n", "the file has a header and no records"),
        (b"identity,a\n\n\n", "the file has a header and no records"),
        (
            b"PK\x03\x04 and so on",
            "the file is a zip file, not CSV: unpack the archive and upload its CSV file",
        ),
        (
            b"identity,caf\xe9\nj,1\n",
            "the header has bytes that are invalid in the file's encoding: save the file as UTF-8, \
             or name its encoding in the manifest; line 1 was taken as the header: \
             identity,caf\u{fffd}",
        ),
        (
            b"i\0d\0\n\0",
            "the file is UTF-16 without a byte order mark: set \"encoding\": \"utf-16le\" \
             in the manifest",
        ),
        (
            b"identity,a\nj,1\nk,\"2\nl,3\n",
            "a quote in the record that begins in line 3 is never closed",
        ),
        (b"identity,\"a\nj,1\n", "a quote in the record that begins in line 1 is never closed"),
    ] {
        assert_eq!(
            refuse(bytes, &plain()),
            format!("File couldn't be read: {detail}"),
            "{bytes:?}"
        );
    }
}

#[test]
fn files_are_decompressed_by_their_names() {
    let text = b"identity,a\nj,1\n";
    for (name, bytes) in [
        ("e.csv", text.to_vec()),
        ("e.csv.gz", gzip(text)),
        ("E.CSV.ZST", zstd::stream::encode_all(&text[..], 3).unwrap()),
    ] {
        let (sink, result) = read_with(&bytes[..], &named(name), &Limits::default(), 1);
        let summary = result.unwrap();
        assert_eq!(sink.profiles().len(), 1, "{name}");
        assert_eq!(summary.bytes, bytes.len() as u64, "compressed size: {name}");
        let digest = Sha256::digest(&bytes);
        assert_eq!(summary.sha256.unwrap(), format!("{digest:x}"), "compressed digest: {name}");
    }
    assert_eq!(
        refuse(text, &named("e.txt")),
        "File couldn't be read: the data file's name must end in .csv, .csv.gz or .csv.zst"
    );
    assert_eq!(
        refuse(&gzip(text), &named("e.csv")),
        "File couldn't be read: the file is a gzip file, not CSV: the name must end in .csv.gz"
    );
    for name in ["e.csv.gz", "e.csv.zst"] {
        assert_eq!(refuse(b"", &named(name)), "File couldn't be read: the file is empty", "{name}");
        let detail = refuse(text, &named(name));
        assert!(
            detail.starts_with("File couldn't be read: the file is plain text, not "),
            "{detail}"
        );
    }
}

#[test]
fn failed_files_report_size_and_digest() {
    let zip = [b"PK\x03\x04".to_vec(), vec![7; 3_000_000]].concat();
    let mismatch = [b"a,b\n".to_vec(), b"1,2\n".repeat(1_000_000)].concat();
    for bytes in [zip, mismatch] {
        let (_, result) = read_with(&bytes[..], &plain(), &Limits::default(), 2);
        let so_far = result.unwrap_err().so_far;
        assert_eq!(so_far.bytes, bytes.len() as u64);
        assert_eq!(so_far.sha256.unwrap(), format!("{:x}", Sha256::digest(&bytes)));
    }
}

#[test]
fn incomplete_compressed_files_report_their_progress() {
    let text = format!("identity,a\n{}", "jane,some value or other\n".repeat(100_000));
    let bytes = gzip(text.as_bytes());
    let cut = &bytes[..bytes.len() - 4];
    let (_, result) = read_with(cut, &named("e.csv.gz"), &Limits::default(), 2);
    let stopped = result.unwrap_err();
    assert_eq!(stopped.failure.message, FailureText::Unreadable);
    assert_eq!(stopped.so_far.bytes, cut.len() as u64);
    assert!(stopped.so_far.counts.read > 0);
}

#[test]
fn all_header_mismatches_are_in_the_failure() {
    assert_eq!(
        refuse(b"a,a\n1,2\n", &manifest("profile", r#""b":{}"#, "")),
        "Incorrect details in manifest file: line 1, column 2: the header a is already the name \
         of column 1; column b of the manifest is not in the header; \
         no column is identity, fbId, gpId or objectId: rename a column, or map one with ctName; \
         line 1 was taken as the header: a,a"
    );
}

#[test]
fn size_rows_and_sha256_must_match() {
    let text = b"identity,a\nj,1\nk,2\n";
    let digest = format!("{:x}", Sha256::digest(text));
    let right = format!(r#","size":{},"rows":2,"sha256":"{}""#, text.len(), digest.to_uppercase());
    accept(text, &manifest("profile", "", &right));
    let zeros = "0".repeat(64);
    let wrong = format!(r#","size":7,"rows":3,"sha256":"{zeros}""#);
    assert_eq!(
        refuse(text, &manifest("profile", "", &wrong)),
        format!(
            "File couldn't be read: the manifest has size 7, the file has {}; the manifest has \
             rows 3, the file has 2; the manifest has sha256 {zeros}, the file has {digest}",
            text.len()
        )
    );
}

#[test]
fn all_encodings_have_equal_records() {
    let text = "identity;näme;n\r\njöhn;€;1\r\njane;é;x\r\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(text);
    let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    let utf16_marked = [b"\xFF\xFE", &utf16[..]].concat();
    for (bytes, encoding, mark) in [
        (text.as_bytes(), "", false),
        (&marked, "", true),
        (&marked, r#","encoding":"windows-1252""#, true),
        (&utf16_marked, "", true),
        (&utf16, r#","encoding":"utf-16""#, true),
        (&latin, r#","encoding":"cp1252""#, true),
    ] {
        let more = format!(r#","delimiter":";"{encoding}"#);
        let manifest = manifest("profile", r#""n":{"dataType":"LONG"}"#, &more);
        let sink = accept(bytes, &manifest);
        let expected = r#"2 1600000000 jöhn - - - | Set näme Text("€"), Set n Integer(1)"#;
        assert_eq!(sink.profiles(), [expected]);
        let file = sink.error_file();
        let begin = if mark { "\u{feff}" } else { "" };
        let begin =
            format!("{begin}identity;näme;n;\"Failure Description\"\r\njane;é;x;\"LONG value");
        assert!(file.starts_with(begin.as_bytes()), "{}", String::from_utf8_lossy(&file));
        let corrected = String::from_utf8(file).unwrap().replacen(";x;", ";2;", 1);
        let again = accept(corrected.as_bytes(), &manifest);
        let expected = r#"2 1600000000 jane - - - | Set näme Text("é"), Set n Integer(2)"#;
        assert_eq!(again.profiles(), [expected]);
    }
}

#[test]
fn only_records_with_invalid_bytes_are_rejected() {
    let text = b"identity,a\nj,caf\xe9\nk,\"x\"\"\xff\"\nl,\xc3\xa9\n";
    let sink = accept(text, &plain());
    assert_eq!(sink.profiles(), [r#"4 1600000000 l - - - | Set a Text("é")"#]);
    let raw: Vec<_> = sink.rejected.iter().filter_map(|(_, raw, _)| raw.as_deref()).collect();
    assert_eq!(raw, [&b"j,caf\xe9"[..], b"k,\"x\"\"\xff\""]);
    let descriptions = sink.descriptions();
    for (description, value) in descriptions.iter().zip(["caf?", "x\"?"]) {
        let start = format!("Invalid bytes for the encoding - column a, value {value}, ");
        assert!(description.starts_with(&start), "{description}");
    }
    let mut utf16: Vec<u8> = "identity\nj\nk".encode_utf16().flat_map(u16::to_le_bytes).collect();
    utf16.push(0xD8);
    let sink = accept(&utf16, &manifest("profile", "", r#","encoding":"utf-16""#));
    assert_eq!((sink.profiles().len(), sink.rejected[0].0), (1, 3));
}

#[test]
fn rejections_have_the_correct_line_numbers() {
    let text = b"\xEF\xBB\xBFidentity,\"\na\"\r\n\r\n,1\r\n\"\",\"x\r\ny\"\r\n,2\r,3\n";
    let sink = accept(text, &plain());
    let lines: Vec<_> = sink.rejected.iter().map(|(line, ..)| *line).collect();
    assert_eq!(lines, [4, 5, 7, 8]);
}

#[test]
fn broken_quoting_keeps_line_numbers_across_blocks() {
    let mut text = "identity,a\n".to_owned();
    for n in 0..60_000 {
        let rest = if n % 3 == 0 { "\"x\" y" } else { "\"two\nlines\"" };
        text.push_str(&format!("user {n},{rest}\n"));
    }
    assert!(text.len() > 2 * super::super::csv::blocks::BLOCK);
    text.push_str("y,\"closed\nz,\"later\n\nu,1\nv,\"open\nw,1\n");
    for workers in 1..=2 {
        let (sink, result) = read_with(text.as_bytes(), &plain(), &Limits::default(), workers);
        let counts = result.unwrap().counts;
        assert_eq!((counts.accepted, counts.rejected), (40_002, 20_003));
        let lines: Vec<_> = sink.rejected.iter().map(|(line, ..)| *line).collect();
        let broken = (0..20_000).map(|n| 2 + 5 * n);
        assert_eq!(lines, broken.chain([100_002, 100_003, 100_006]).collect::<Vec<u64>>());
        let file_lines: Vec<_> = text.lines().collect();
        for (line, raw, _) in &sink.rejected {
            assert_eq!(raw.as_deref(), Some(file_lines[*line as usize - 1].as_bytes()));
        }
    }
}

#[test]
fn a_read_error_is_an_infrastructure_failure() {
    struct FailingReader(bool);
    impl Read for FailingReader {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::from_raw_os_error(5));
            }
            buffer[..4].copy_from_slice(b"iden");
            Ok(4)
        }
    }
    for name in ["e.csv", "e.csv.gz", "e.csv.zst"] {
        let begun = !name.ends_with("csv");
        let (_, result) = read_with(FailingReader(begun), &named(name), &Limits::default(), 1);
        let failure = result.unwrap_err().failure;
        assert_eq!(failure.message, FailureText::Infra, "{name}");
        assert!(failure.detail.starts_with("reading the data file failed: "), "{failure}");
    }
}

#[test]
fn a_sink_error_stops_the_reading() {
    let text = format!("identity\n{}", "jane@acme.example\n".repeat(500_000));
    for workers in 1..=3 {
        let mut sink = RecordingSink { stop_after: Some(1), ..RecordingSink::default() };
        let limits = Limits::default();
        let options = ReadOptions { limits: &limits, processing_time: NOW, workers };
        let stopped = read(text.as_bytes(), "e.csv", &plain(), &options, &mut sink).unwrap_err();
        assert_eq!(stopped.failure.detail, "stopped");
        assert!(stopped.so_far.counts.read < 500_000);
        assert_eq!(stopped.so_far.sha256, None);
    }
}

/// If few events of a batch break a rule, the batch is sliced. If many events break a rule, the
/// batch is filtered.
#[test]
fn bad_rows_are_removed_from_batches() {
    let manifest = manifest("event", "", "");
    let all = 1500;
    for bad in [vec![], vec![0], vec![all - 1], vec![0, 1, 700], (0..all).step_by(2).collect()] {
        let is_bad = |line: &usize| bad.contains(line);
        let rows =
            (0..all).map(|n| if is_bad(&n) { ",u\n".to_owned() } else { format!("e{n},u\n") });
        let sink =
            accept(format!("evtName,identity\n{}", rows.collect::<String>()).as_bytes(), &manifest);
        let names: Vec<_> = sink.events().into_iter().map(|row| row[0].clone()).collect();
        let expected = (0..all).filter(|n| !is_bad(n)).map(|n| format!("e{n}"));
        assert_eq!(names, expected.collect::<Vec<_>>());
        let rejected: Vec<_> = sink.rejected.iter().map(|(line, ..)| *line as usize - 2).collect();
        assert_eq!(rejected, bad);
    }
}
