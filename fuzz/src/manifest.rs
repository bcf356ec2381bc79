//! Any bytes as a manifest: a valid one, or findings to report.

use sftp_import::config::Limits;
use sftp_import::manifest::{Manifest, Quoting};

/// Inputs to begin with.
pub const SEEDS: &[&[u8]] = &[
    include_bytes!("../../samples/events.manifest"),
    include_bytes!("../../samples/profiles.manifest"),
    b"\xef\xbb\xbf{\"type\":\"EVENT\",\"fileName\":\"e.csv.gz\",\"clientEmail\":\"a@b.example\",\
      \"size\":1,\"rows\":2,\"sha256\":\"00\",\"delimiter\":\"\\t\",\"encoding\":\"utf-16\",\
      \"dryRun\":true,\"columns\":{\"a\":{\"dataType\":\"DATE\",\"format\":\"dd/MM/yyyy\"}}}",
    b"{\"type\":\"event\",\"fileName\":\"e.csv\",\"clientEmail\":\"a@b.example\",\
      \"delimiter\":\"|\",\"quote\":\"\",\"escape\":\"\\\"\",\"null\":[\"\\\\N\",\"\"]}",
    b"{\"type\":\"profile\",\"columns\":{\"ts\":{\"dataType\":\"DATE\",\"format\":\"yyyyMMdd HH:mm\"},\
      \"a\":{\"dataType\":\"DATE\",\"format\":\"epoch-ms\"}}}",
    b"{\"Type\":\"event\",\"file-name\":\"e-*.csv\",\"dryrun\":True,// no\n\"rows\":2.0,}",
    "{\u{201c}type\u{201d}: 'event'}".as_bytes(),
    b"{\"type\":\"profile\",\"type\":1,\"columns\":{\"a\":{},\"a\":null},\"x\":[{}]",
];

/// Parses `bytes`.
pub fn run(bytes: &[u8]) {
    match Manifest::parse(bytes, &Limits::default()) {
        Ok(manifest) => {
            is_plain(&manifest.file_name);
            is_header_safe(&manifest.client_email);
            assert!(manifest.delimiter.is_ascii() && !b"\"\r\n\0".contains(&manifest.delimiter));
            assert!(manifest.null.len() <= 32 && manifest.null.iter().all(|text| text.len() <= 64));
            assert!(manifest.quoting != Quoting::None || manifest.delimiter != b' ');
        }
        Err(errors) => {
            assert!(!errors.findings.is_empty(), "a refusal has a reason");
            errors.file_name.iter().for_each(|name| is_plain(name));
            errors.client_email.iter().for_each(|email| is_header_safe(email));
            assert!(!errors.into_failure().detail.is_empty());
        }
    }
}

/// A name that stays in its folder.
fn is_plain(name: &str) {
    let stays = !name.is_empty() && !name.contains(['/', '\\', '\0', '\n']);
    assert!(stays && !name.starts_with('.') && name.len() <= 255, "{name:?}");
}

/// An address that cannot begin another header.
fn is_header_safe(address: &str) {
    assert!(address.contains('@') && !address.chars().any(char::is_control), "{address:?}");
}
