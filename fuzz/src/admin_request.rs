//! Any bytes as a request to the admin helper.

use sftp_import::admin::request::parse;
use sftp_import::wire::admin::{AdminRequest, ErrorCode};

/// Inputs to begin with.
pub const SEEDS: &[&[u8]] = &[
    br#"{"v":1,"verb":"key.save","account":"ACME-123","name":"nightly","key":"ssh-ed25519 AAAA","from":"198.51.100.0/24","expires":"2027-12-31","by":"ops@acme.example","confirmation":"mail","signature":{"text":"x","until":"2027-12-31T00:00:00Z"},"client":"203.0.113.9"}"#,
    br#"{"v":1,"verb":"key.revoke","account":"ACME-123","fingerprint":"SHA256:a","by":"x"}"#,
    br#"{"v":1,"verb":"account.add","id":"ACME-123","contact":"a@b.example","domains":["b.example"],"by":"x"}"#,
    br#"{"v":1,"verb":"account.suspend","id":"ACME-123","by":"x","client":"::1"}"#,
    br#"{"v":1,"verb":"account.resume","id":"ACME-123","by":"\u202e\n"}"#,
    b"[\"key.revoke\",1,\"a\",\"b\",\"c\"]",
    b"{\"v\":1,\"v\":1}\n{}",
];

/// A request is parsed and survives a round trip, or is refused with a short line of text.
pub fn run(bytes: &[u8]) {
    match parse(bytes) {
        Ok(request) => {
            let written = serde_json::to_vec(&request).expect("a request can be written");
            assert!(!written.contains(&b'\n'), "a request is one line");
            let again: AdminRequest = parse(&written).expect("a written request is parsed");
            assert_eq!(again, request);
        }
        Err(error) => {
            assert_eq!(error.code, ErrorCode::Invalid);
            assert!(error.text.chars().count() <= 1000, "{error:?}");
            assert!(!error.text.contains(|c: char| c.is_control()), "{error:?}");
        }
    }
}
