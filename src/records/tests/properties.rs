//! Property tests for random bytes. Reading must not panic, the results must not depend on the
//! sizes of reads, and the error file must be a valid data file.

use std::io;

use proptest::prelude::*;

use super::*;
use crate::config::Size;

/// A reader that returns its bytes in pieces. The last part has the lengths of the pieces, which
/// are repeated.
struct ChunkedReader<'a>(&'a [u8], Vec<usize>, usize);

impl Read for ChunkedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.2 += 1;
        let most = self.1[self.2 % self.1.len()].min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}

/// Reads a file and returns the results as text, so that they can be compared.
fn verdicts(input: impl Read + Send, manifest: &Manifest, workers: usize) -> String {
    let limits = Limits {
        max_record: Size::from_bytes(200),
        max_field: Size::from_bytes(100),
        ..Limits::default()
    };
    let (sink, result) = read_with(input, manifest, &limits, workers);
    format!("{} {:?} {result:?}", accepted(&sink), sink.rejected)
}

/// Reads a file and returns the results as text. The size and the digest of the file are left out.
fn verdicts_without_digest(input: impl Read + Send, manifest: &Manifest) -> String {
    let (sink, result) = read_with(input, manifest, &Limits::default(), 2);
    let failure = result.map(|_| ()).map_err(|stopped| stopped.failure);
    let described: Vec<_> =
        sink.rejected.iter().map(|(line, _, description)| (line, description)).collect();
    format!("{failure:?} {described:?} {}", accepted(&sink))
}

fn accepted(sink: &RecordingSink) -> String {
    match sink.batches.first() {
        Some(Batch::Events(_)) => format!("{:?}", sink.events()),
        Some(Batch::Profiles(_)) => format!("{:?}", sink.profiles()),
        None => String::new(),
    }
}

/// Reads `body` after a header and `lines` empty lines. Returns the results as text. The line
/// numbers in the results are relative to `body`.
fn verdicts_after(header: &[u8], lines: usize, body: &[u8], manifest: &Manifest) -> String {
    let text = [header, &b"\n".repeat(lines), body].concat();
    let (sink, result) = read_with(&text[..], manifest, &Limits::default(), 1);
    let failure = result.map(|_| ()).map_err(|stopped| stopped.failure.message);
    let before = lines + header.iter().filter(|byte| **byte == b'\n').count();
    let line = |line: u64| line - before as u64;
    let rejected: Vec<_> =
        sink.rejected.iter().map(|(at, raw, description)| (line(*at), raw, description)).collect();
    let mut lines_of_accepted = Vec::new();
    let mut rows = Vec::new();
    for batch in &sink.batches {
        let one = RecordingSink { batches: vec![batch.clone()], ..RecordingSink::default() };
        match batch {
            Batch::Events(_) => rows.extend(one.events().into_iter().map(|mut row| {
                lines_of_accepted.push(line(row.remove(6).parse().unwrap()));
                format!("{row:?}")
            })),
            Batch::Profiles(batch) => {
                lines_of_accepted.extend(batch.iter().map(|record| line(record.line)));
                rows.extend(
                    one.profiles().into_iter().map(|row| row.split_once(' ').unwrap().1.to_owned()),
                );
            }
        }
    }
    format!("{failure:?} {rejected:?} {lines_of_accepted:?} {rows:?}")
}

/// Returns the code units of a character in UTF-16, little-endian.
fn utf16_units(c: char) -> Vec<u8> {
    c.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

/// Generates data files without their header that are nearly valid. They contain all texts with a
/// special meaning.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let cell = prop_oneof![
        4 => "[a-c0-9 ]{0,4}".prop_map(String::into_bytes),
        2 => "\"[a,\r\n]{0,3}(\"\"|\\\\\")?\"".prop_map(String::into_bytes),
        1 => " {0,2}\"?[a\\\\]{0,2}\"[ab]?".prop_map(String::into_bytes),
        2 => prop::sample::select(vec![
            &b"$D_1"[..], b"$D_x", b"1578503667", b"true", b"null", b"$add", b"\"", b"\xff",
            b"\xc3\xa9", b"App Launched", b"Charged", b"2020-01-08T17:14:27.5Z", b"25/12/2020", b"20200108", b"\r", b"\n\n", b"\0",
        ]).prop_map(<[u8]>::to_vec),
        1 => (90_usize..250).prop_map(|n| vec![b'x'; n]),
    ];
    let end = prop::sample::select(vec![&b"\n"[..], b"\r\n", b"\r", b""]);
    let record = (prop::collection::vec(cell, 1..7), end)
        .prop_map(|(cells, end)| [&cells.join(&b','), end].concat());
    prop::collection::vec(record, 0..12).prop_map(|records| records.concat())
}

fn manifests() -> [(Manifest, &'static [u8]); 5] {
    let mapping = r#""n":{"dataType":"INTEGER"},"b":{"dataType":"BOOLEAN"}"#;
    let dates = r#""ts":{"dataType":"DATE"},"n":{"dataType":"DATE","format":"dd/MM/yyyy"},
        "b":{"dataType":"DATE","format":"epoch-ms"}"#;
    let event = |more| (manifest("event", mapping, more), &b"evtName,ts,identity,n,b,s\n"[..]);
    let profile =
        |more| (manifest("profile", mapping, more), &b"identity,ts,n,b,s,s.operation\n"[..]);
    [
        (manifest("event", dates, ""), b"evtName,ts,identity,n,b,s\n"),
        event(""),
        profile(""),
        event(r#","escape":"\\""#),
        profile(r#","quote":"","null":["a","1578503667"]"#),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn results_do_not_depend_on_read_sizes(
        body in body(),
        pieces in prop::collection::vec(1_usize..40, 1..5),
        workers in 1_usize..4,
    ) {
        for (manifest, header) in manifests() {
            let text = [header, &body].concat();
            let complete = verdicts(&text[..], &manifest, 1);
            let other = verdicts(ChunkedReader(&text, pieces.clone(), 0), &manifest, workers);
            prop_assert_eq!(complete, other);
        }
    }

    #[test]
    fn results_do_not_depend_on_the_encoding(
        body in body(),
        pieces in prop::collection::vec(1_usize..40, 1..5),
    ) {
        for (mut manifest, header) in manifests() {
            let text = String::from_utf8_lossy(&[header, &body].concat()).into_owned();
            let plain = verdicts_without_digest(text.as_bytes(), &manifest);
            let utf16: Vec<u8> =
                "\u{feff}".chars().chain(text.chars()).flat_map(utf16_units).collect();
            prop_assert_eq!(&plain, &verdicts_without_digest(ChunkedReader(&utf16, pieces.clone(), 0), &manifest));
            manifest.file_name = "e.csv.zst".into();
            let zstd = zstd::stream::encode_all(&utf16[..], 1).unwrap();
            prop_assert_eq!(&plain, &verdicts_without_digest(ChunkedReader(&zstd, pieces.clone(), 0), &manifest));
        }
    }

    #[test]
    fn reading_does_not_panic_on_any_bytes(bytes: Vec<u8>, name in "e\\.csv(\\.gz|\\.zst)?") {
        for (mut manifest, header) in manifests() {
            manifest.file_name.clone_from(&name);
            let _ = verdicts(&bytes[..], &manifest, 1);
            let _ = verdicts(&[header, &bytes].concat()[..], &manifest, 1);
        }
    }

    #[test]
    fn uploading_an_error_file_repeats_its_rejections(body in body()) {
        for (manifest, header) in manifests() {
            let text = [header, &body].concat();
            let (sink, result) = read_with(&text[..], &manifest, &Limits::default(), 1);
            if result.is_err() || sink.rejected.is_empty() {
                continue;
            }
            let description: Vec<_> = sink.descriptions().into_iter().map(str::to_owned).collect();
            let file = sink.error_file();
            let (again, result) = read_with(&file[..], &manifest, &Limits::default(), 1);
            prop_assert_eq!(result.unwrap().counts.read, description.len() as u64);
            // A record with a wrong number of fields has no column for the description. A line of a
            // record whose quoting is broken can be a valid record.
            let odd = ["fields, the header has", "Text after a closing quote"];
            if description.iter().any(|description| odd.iter().any(|odd| description.contains(odd))) {
                continue;
            }
            prop_assert_eq!(&description, &again.descriptions());
            prop_assert_eq!(file, again.error_file());
        }
    }

    #[test]
    fn a_corrected_error_file_is_accepted(
        names in prop::collection::vec("[a-zé€ \",;\n]{1,9}", 1..20),
        wrong in prop::collection::vec(any::<bool>(), 20),
        delimiter in prop::sample::select(vec![',', ';', '|', '\t']),
        line_end in prop::sample::select(vec!["\n", "\r\n"]),
        encoding in prop::sample::select(vec!["utf-8", "utf-16", "windows-1252"]),
    ) {
        let d = delimiter;
        let more = format!(r#","encoding":"{encoding}","delimiter":{:?}"#, d.to_string());
        let manifest = manifest("profile", r#""n":{"dataType":"INTEGER"}"#, &more);
        let mut text = format!("identity{d}n{d}s{line_end}");
        for (name, wrong) in names.iter().zip(&wrong) {
            let number = if *wrong { "WRONG" } else { "1" };
            let name = name.replace('"', "\"\"");
            text.push_str(&format!("j{d}{number}{d}\"{name}\"{line_end}"));
        }
        let bytes = match encoding {
            "utf-16" => text.chars().flat_map(utf16_units).collect(),
            "windows-1252" => encoding_rs::WINDOWS_1252.encode(&text).0.into_owned(),
            _ => text.into_bytes(),
        };
        let sink = accept(&bytes, &manifest);
        let rejected: Vec<_> = names.iter().zip(&wrong).filter(|(_, wrong)| **wrong).collect();
        prop_assert_eq!(sink.rejected.len(), rejected.len());
        if rejected.is_empty() {
            return Ok(());
        }
        let file = String::from_utf8(sink.error_file()).unwrap();
        let corrected = file.replace(&format!("j{d}WRONG{d}"), &format!("j{d}2{d}"));
        let again = accept(corrected.as_bytes(), &manifest);
        prop_assert_eq!(again.rejected.len(), 0);
        for (profile, (name, _)) in again.profiles().iter().zip(&rejected) {
            let text = format!(", Set s Text({name:?})");
            let text = if name.trim().is_empty() { "" } else { &text };
            let changes = format!("Set n Integer(2){text}");
            prop_assert!(profile.ends_with(&changes), "{} {}", profile, changes);
        }
        prop_assert_eq!(again.profiles().len(), rejected.len());
    }
}

proptest! {
    // The number of cases is small, because each case reads a file of half a megabyte.
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn results_do_not_depend_on_block_ends(body in body(), before in 0_usize..300) {
        // Empty lines are not records. They only move the end of the first block to a different
        // position in the body.
        let lines = super::super::csv::blocks::BLOCK - before;
        for (manifest, header) in manifests() {
            let near = verdicts_after(header, 1, &body, &manifest);
            prop_assert_eq!(near, verdicts_after(header, lines, &body, &manifest));
        }
    }

    #[test]
    fn the_fast_form_check_matches_the_full_check(
        first in body(),
        second in body(),
        repeated in prop::option::of(prop::sample::select(vec![&b"\xef\xbb\xbf"[..], b"", b"\x1a\n"])),
    ) {
        // A file with a sep= line gets the full check for each record.
        for (manifest, header) in manifests() {
            let between = repeated.map(|mark| [mark, header].concat()).unwrap_or_default();
            let body = [first.clone(), between, second.clone()].concat();
            let full = verdicts_after(&[b"sep=,\n", header].concat(), 0, &body, &manifest);
            prop_assert_eq!(verdicts_after(header, 0, &body, &manifest), full);
        }
    }
}

#[test]
fn records_of_many_blocks_are_in_order() {
    let mut text = "evtName,identity,n,s\n".to_owned();
    for n in 0..60_000 {
        let bad = if n % 1000 == 7 { "x" } else { "" };
        text.push_str(&format!("Bought,user {n},{n}{bad},\"two\nlines\"\n"));
    }
    assert!(text.len() > 3 * super::super::csv::blocks::BLOCK);
    let manifest = manifest("event", r#""n":{"dataType":"LONG"}"#, "");
    for workers in 1..=3 {
        let (sink, result) = read_with(text.as_bytes(), &manifest, &Limits::default(), workers);
        assert_eq!(result.unwrap().counts.rejected, 60);
        let numbers = (0..60_000).filter(|n| n % 1000 != 7);
        for (row, n) in sink.events().iter().zip(numbers) {
            assert_eq!((&row[7], &row[6]), (&n.to_string(), &(2 + 2 * n).to_string()));
        }
        let lines: Vec<_> = sink.rejected.iter().map(|(line, ..)| *line).collect();
        assert_eq!(lines, (0..60).map(|k| 2 + 2 * (1000 * k + 7)).collect::<Vec<u64>>());
        assert_eq!(sink.last_progress.bytes, text.len() as u64);
    }
}
