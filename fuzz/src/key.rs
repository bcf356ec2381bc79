//! Any bytes as a key that somebody sent, and as the parts of a key line.

use sftp_import::authorized_keys::line::{PublishedKey, format_key_line};
use sftp_import::key::PublicKey;

/// Inputs to begin with.
pub const SEEDS: &[&[u8]] = &[
    include_bytes!("../../tests/keys/ed25519.pub"),
    include_bytes!("../../tests/keys/ecdsa-256.pub"),
    include_bytes!("../../tests/keys/rsa-3072.pub"),
    include_bytes!("../../tests/keys/sk-ed25519.pub"),
    include_bytes!("../../tests/keys/certificate.pub"),
    include_bytes!("../../tests/keys/ed25519.rfc4716"),
    include_bytes!("../../tests/keys/rsa-3072.pem"),
    b"from=\"10.0.0.1\" ssh-ed25519 AAAA comment",
    b"ssh-ed25519\nAAAA\n10.0.0.0/8,::1\n20270131000000Z",
];

/// Takes `bytes` for a `.pub` file, and its lines for the parts of a published key.
pub fn run(bytes: &[u8]) {
    if let Ok(key) = PublicKey::from_file(bytes) {
        let part = |text: &str| text.to_owned();
        let line = is_one_line(&PublishedKey {
            algorithm: part(key.algorithm()),
            public_key: part(key.base64()),
            from_hosts: None,
            expiry_time: None,
        });
        let line = line.expect("a key that may be added can be written");
        let written = line.strip_prefix("restrict ").expect("no options but restrict");
        assert_eq!(PublicKey::from_file(written.as_bytes()).as_ref(), Ok(&key));
    }
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.splitn(4, '\n').map(str::to_owned);
    is_one_line(&PublishedKey {
        algorithm: parts.next().unwrap_or_default(),
        public_key: parts.next().unwrap_or_default(),
        from_hosts: parts.next(),
        expiry_time: parts.next(),
    });
}

/// The key's line, if it has one: it begins with `restrict`, and nothing in it ends an option or
/// the line before their ends.
pub fn is_one_line(key: &PublishedKey) -> Option<String> {
    let line = format_key_line(key).ok()?;
    let body = line.strip_suffix('\n').expect("a line ends");
    assert!(!body.contains(|c: char| c.is_control() || c == '\\' || !c.is_ascii()), "{line:?}");
    let words: Vec<&str> = body.split(' ').collect();
    let [options, algorithm, base64] = words[..] else { panic!("three words: {line:?}") };
    assert!(options == "restrict" || options.starts_with("restrict,"), "{line:?}");
    let quotes = 2 * (key.from_hosts.iter().count() + key.expiry_time.iter().count());
    assert_eq!(options.matches('"').count(), quotes, "{line:?}");
    assert_eq!((algorithm, base64), (key.algorithm.as_str(), key.public_key.as_str()));
    Some(line)
}
