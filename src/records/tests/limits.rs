//! Tests of the limits for data files. The inputs are generated while they are read, so they are
//! never completely in memory.

use std::io;

use super::*;
use crate::config::Size;

/// Returns a reader of `head`, then of the byte `byte` repeated `length` times, and then of
/// `tail`.
fn long(head: &'static [u8], byte: u8, length: u64, tail: &'static [u8]) -> impl Read + Send {
    head.chain(io::repeat(byte).take(length)).chain(tail)
}

const LENGTH: u64 = 300_000_000;

#[test]
fn a_300_mb_line_causes_one_rejection() {
    let input = long(b"identity,a\nj,", b'x', LENGTH, b"\n\nk,1\nl\n");
    let (sink, result) = read_with(input, &manifest("profile", "", ""), &Limits::default(), 1);
    assert_eq!(sink.profiles(), [r#"4 1600000000 k - - - | Set a Text("1")"#]);
    let too_long = "Record is too long - the record has 300000002 bytes, at most 4194304 are \
                    allowed, the error file has only its first fields";
    assert_eq!(sink.rejected[0], (2, Some(b"j".to_vec()), too_long.to_owned()));
    assert_eq!((sink.rejected[1].0, sink.rejected.len()), (5, 2));
    assert_eq!(result.unwrap().counts.read, 3);
}

#[test]
fn a_quoted_300_mb_field_causes_one_rejection() {
    let input = long(b"identity,a\nj,\"", b'\n', LENGTH, b"\"\r\nk,1\n");
    let (sink, _) = read_with(input, &manifest("profile", "", ""), &Limits::default(), 1);
    assert_eq!(sink.rejected[0].0, 2);
    let line = LENGTH + 3;
    assert_eq!(sink.profiles(), [format!(r#"{line} 1600000000 k - - - | Set a Text("1")"#)]);
}

#[test]
fn an_unclosed_quote_makes_a_file_unreadable() {
    let input = long(b"identity,a\nj,1\nk,\"", b'x', LENGTH, b"\n");
    let (_, result) = read_with(input, &manifest("profile", "", ""), &Limits::default(), 1);
    assert_eq!(
        result.unwrap_err().failure.detail,
        "a quote in the record that begins in line 3 is never closed"
    );
}

#[test]
fn a_300_mb_header_makes_a_file_unreadable() {
    let input = long(b"identity,", b'x', LENGTH, b"\nj,1\n");
    let (_, result) = read_with(input, &manifest("profile", "", ""), &Limits::default(), 1);
    let detail = result.unwrap_err().failure.detail;
    let start = "the header is too long; line 1 was taken as the header: identity,xxx";
    assert!(detail.starts_with(start), "{detail}");
}

#[test]
fn decompression_stops_at_the_size_limit() {
    let mut bomb = flate2::read::GzEncoder::new(
        long(b"identity,a\n", b'x', 50_000_000, b""),
        flate2::Compression::fast(),
    );
    let mut bytes = Vec::new();
    bomb.read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() < 1_000_000);
    let limits = Limits { max_data_file: Size::mb(40), ..Limits::default() };
    let manifest = Manifest { file_name: "e.csv.gz".into(), ..manifest("profile", "", "") };
    let (_, result) = read_with(&bytes[..], &manifest, &limits, 1);
    assert_eq!(
        result.unwrap_err().failure.detail,
        "the file is larger than 40.0 MB when decompressed"
    );
}

#[test]
fn reading_stops_at_the_size_limit() {
    let limits = Limits { max_data_file: Size::from_bytes(14), ..Limits::default() };
    let text = &b"identity,a\nj,1\n"[..];
    let (_, result) = read_with(text, &manifest("profile", "", ""), &limits, 1);
    assert_eq!(result.unwrap_err().failure.detail, "the file is larger than 14 B");
    let limits = Limits { max_data_file: Size::from_bytes(15), ..limits };
    assert!(read_with(text, &manifest("profile", "", ""), &limits, 1).1.is_ok());
}

#[test]
fn a_record_with_a_long_field_is_rejected() {
    let limits = Limits {
        max_field: Size::from_bytes(8),
        max_record: Size::from_bytes(16),
        max_property_value: 5000,
        ..Limits::default()
    };
    let text = &b"identity,a\n12345678,\"1234567\"\nj,123456789\n12345678,123456789\n"[..];
    let (sink, _) = read_with(text, &manifest("profile", "", ""), &limits, 1);
    assert_eq!(
        sink.rejected,
        [
            (
                2,
                Some(b"12345678".to_vec()),
                "Record is too long - the record has 18 bytes, at most 16 are allowed, the error \
                 file has only its first fields"
                    .to_owned()
            ),
            (
                3,
                Some(b"j,123456789".to_vec()),
                "Field is too long - column a, value 123456789, at most 8 bytes are allowed".into()
            ),
            (
                4,
                Some(b"12345678".to_vec()),
                "Record is too long - the record has 18 bytes, at most 16 are allowed, the error \
                 file has only its first fields"
                    .into()
            ),
        ]
    );
}

#[test]
fn a_header_with_too_many_columns_fails() {
    let limits = Limits { max_columns: 2, ..Limits::default() };
    let (_, result) =
        read_with(&b"identity,a,b\n1,2,3\n"[..], &manifest("profile", "", ""), &limits, 1);
    let detail = "the header has 3 columns, at most 2 are allowed; line 1 was taken as the \
                  header: identity,a,b";
    assert_eq!(result.unwrap_err().failure.detail, detail);
}
