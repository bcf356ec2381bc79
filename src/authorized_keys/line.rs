//! Formats a line of authorized_keys. No other code writes such lines.
//!
//! Invariant: every line begins with `restrict` (sshd(8): no pty, no forwarding, no rc file). No
//! character from the database can end an option or the line.

use std::fmt;

/// A key from the published keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKey {
    /// The algorithm of the key, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The public key in Base64.
    pub public_key: String,
    /// The client addresses and networks that may use the key, separated by commas. `None` if any
    /// address may use the key.
    pub from_hosts: Option<String>,
    /// The time from which the key is no longer valid, `YYYYMMDDHHMMSSZ` (sshd(8)). The `Z` for UTC
    /// needs OpenSSH 9.1. Older versions refuse the key.
    pub expiry_time: Option<String>,
}

/// The error for a part of a key that is empty or contains a character that is not allowed in a
/// line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKeyPart(&'static str);

impl fmt::Display for InvalidKeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the published key's {} is not valid: publish the keys again", self.0)
    }
}

impl std::error::Error for InvalidKeyPart {}

/// Returns `restrict[,from="…"][,expiry-time="…"] ALGORITHM BASE64` and a line break.
pub fn format_key_line(key: &PublishedKey) -> Result<String, InvalidKeyPart> {
    let mut line = String::from("restrict");
    if let Some(from) = &key.from_hosts {
        check_characters(from, |b| b.is_ascii_hexdigit() || b".:/,".contains(&b), "from")?;
        line.extend([",from=\"", from, "\""]);
    }
    if let Some(expiry) = &key.expiry_time {
        check_characters(expiry, |b| b.is_ascii_digit() || b == b'Z', "expiry time")?;
        line.extend([",expiry-time=\"", expiry, "\""]);
    }
    check_characters(&key.algorithm, |b| b.is_ascii_alphanumeric() || b"-.@".contains(&b), "type")?;
    check_characters(
        &key.public_key,
        |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b),
        "base64",
    )?;
    line.extend([" ", &key.algorithm, " ", &key.public_key, "\n"]);
    Ok(line)
}

fn check_characters(
    text: &str,
    belongs: impl Fn(u8) -> bool,
    what: &'static str,
) -> Result<(), InvalidKeyPart> {
    if !text.is_empty() && text.bytes().all(belongs) { Ok(()) } else { Err(InvalidKeyPart(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublishedKey {
        PublishedKey {
            algorithm: "sk-ssh-ed25519@openssh.com".into(),
            public_key: "AAAA+/b=".into(),
            from_hosts: None,
            expiry_time: None,
        }
    }

    #[test]
    fn authorized_keys_lines_begin_with_restrict() {
        assert_eq!(
            format_key_line(&key()).unwrap(),
            "restrict sk-ssh-ed25519@openssh.com AAAA+/b=\n"
        );
        let limited = PublishedKey {
            from_hosts: Some("192.0.2.0/24,2001:db8::1".into()),
            expiry_time: Some("20270131000000Z".into()),
            ..key()
        };
        assert_eq!(
            format_key_line(&limited).unwrap(),
            "restrict,from=\"192.0.2.0/24,2001:db8::1\",expiry-time=\"20270131000000Z\" \
             sk-ssh-ed25519@openssh.com AAAA+/b=\n"
        );
    }

    /// Returns the characters that [`format_key_line`] accepts after the text `valid`. `line` makes
    /// a key from the text.
    fn accepted(valid: &str, line: impl Fn(String) -> PublishedKey) -> String {
        let characters = (0..=0x2ff).filter_map(char::from_u32);
        characters.filter(|c| format_key_line(&line(format!("{valid}{c}"))).is_ok()).collect()
    }

    #[test]
    fn the_from_option_allows_only_addresses_and_separators() {
        let from = accepted("192.0.2.7", |from| PublishedKey { from_hosts: Some(from), ..key() });
        assert_eq!(from, ",./0123456789:ABCDEFabcdef");
    }

    #[test]
    fn an_expiry_time_allows_only_digits_and_z() {
        let expiry = accepted("20270131000000", |expiry| PublishedKey {
            expiry_time: Some(expiry),
            ..key()
        });
        assert_eq!(expiry, "0123456789Z");
    }

    #[test]
    fn a_key_contains_only_characters_of_its_encoding() {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let (upper, lower) = letters.split_at(26);
        let algorithm = accepted("ssh-ed25519", |algorithm| PublishedKey { algorithm, ..key() });
        assert_eq!(algorithm, format!("-.0123456789@{upper}{lower}"));
        let public_key = accepted("AAAA", |public_key| PublishedKey { public_key, ..key() });
        assert_eq!(public_key, format!("+/0123456789={upper}{lower}"));
    }

    #[test]
    fn a_key_error_names_the_invalid_part() {
        let error =
            format_key_line(&PublishedKey { from_hosts: Some("\"".into()), ..key() }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the published key's from is not valid: publish the keys again"
        );
    }

    #[test]
    fn key_parts_cannot_end_an_option_or_line() {
        for bad in ["", "x\"", "1\"", "a b", "a\n", "a\0", "\\", "é", "!10.0.0.1", "*"] {
            let bad = bad.to_owned();
            for key in [
                PublishedKey { algorithm: bad.clone(), ..key() },
                PublishedKey { public_key: bad.clone(), ..key() },
                PublishedKey { from_hosts: Some(bad.clone()), ..key() },
                PublishedKey { expiry_time: Some(bad.clone()), ..key() },
            ] {
                assert!(format_key_line(&key).is_err(), "{key:?}");
            }
        }
    }
}
