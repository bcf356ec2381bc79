//! The only writer of an authorized_keys line.
//!
//! Invariant: every line begins with `restrict` (sshd(8): no pty, no forwarding, no rc file), and
//! nothing in it can end an option or the line itself, even if the database has such characters.

use std::fmt;

/// A published key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The kind of key, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The key itself in base64.
    pub public_key: String,
    /// Addresses and networks from which the key may be used, separated by commas.
    pub from_hosts: Option<String>,
    /// The time from which the key no longer works, `YYYYMMDDHHMMSSZ` (sshd(8)). `Z` for UTC needs
    /// OpenSSH 9.1; older versions refuse the key.
    pub expiry_time: Option<String>,
}

/// A part of a key has a character that may not be in a line, or is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unprintable(&'static str);

impl fmt::Display for Unprintable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the published key's {} is not valid: publish the keys again", self.0)
    }
}

impl std::error::Error for Unprintable {}

/// Returns `restrict[,from="…"][,expiry-time="…"] ALGORITHM BASE64` and a newline.
pub fn key_line(key: &Key) -> Result<String, Unprintable> {
    let mut line = String::from("restrict");
    if let Some(from) = &key.from_hosts {
        only(from, |b| b.is_ascii_hexdigit() || b".:/,".contains(&b), "from")?;
        line.extend([",from=\"", from, "\""]);
    }
    if let Some(expiry) = &key.expiry_time {
        only(expiry, |b| b.is_ascii_digit() || b == b'Z', "expiry time")?;
        line.extend([",expiry-time=\"", expiry, "\""]);
    }
    only(&key.algorithm, |b| b.is_ascii_alphanumeric() || b"-.@".contains(&b), "type")?;
    only(&key.public_key, |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b), "base64")?;
    line.extend([" ", &key.algorithm, " ", &key.public_key, "\n"]);
    Ok(line)
}

fn only(text: &str, belongs: impl Fn(u8) -> bool, what: &'static str) -> Result<(), Unprintable> {
    if !text.is_empty() && text.bytes().all(belongs) { Ok(()) } else { Err(Unprintable(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            algorithm: "sk-ssh-ed25519@openssh.com".into(),
            public_key: "AAAA+/b=".into(),
            from_hosts: None,
            expiry_time: None,
        }
    }

    #[test]
    fn restrict_stands_first() {
        assert_eq!(key_line(&key()).unwrap(), "restrict sk-ssh-ed25519@openssh.com AAAA+/b=\n");
        let limited = Key {
            from_hosts: Some("192.0.2.0/24,2001:db8::1".into()),
            expiry_time: Some("20270131000000Z".into()),
            ..key()
        };
        assert_eq!(
            key_line(&limited).unwrap(),
            "restrict,from=\"192.0.2.0/24,2001:db8::1\",expiry-time=\"20270131000000Z\" \
             sk-ssh-ed25519@openssh.com AAAA+/b=\n"
        );
    }

    /// Returns the characters that `line` accepts at the end of `valid`.
    fn accepted(valid: &str, line: impl Fn(String) -> Key) -> String {
        let characters = (0..=0x2ff).filter_map(char::from_u32);
        characters.filter(|c| key_line(&line(format!("{valid}{c}"))).is_ok()).collect()
    }

    #[test]
    fn a_from_list_has_addresses_and_separators_alone() {
        let from = accepted("192.0.2.7", |from| Key { from_hosts: Some(from), ..key() });
        assert_eq!(from, ",./0123456789:ABCDEFabcdef");
    }

    #[test]
    fn an_expiry_time_has_digits_and_z_alone() {
        let expiry =
            accepted("20270131000000", |expiry| Key { expiry_time: Some(expiry), ..key() });
        assert_eq!(expiry, "0123456789Z");
    }

    #[test]
    fn a_key_has_the_characters_of_its_encoding_alone() {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let (upper, lower) = letters.split_at(26);
        let algorithm = accepted("ssh-ed25519", |algorithm| Key { algorithm, ..key() });
        assert_eq!(algorithm, format!("-.0123456789@{upper}{lower}"));
        let public_key = accepted("AAAA", |public_key| Key { public_key, ..key() });
        assert_eq!(public_key, format!("+/0123456789={upper}{lower}"));
    }

    #[test]
    fn an_error_names_the_part_and_what_to_do() {
        let error = key_line(&Key { from_hosts: Some("\"".into()), ..key() }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the published key's from is not valid: publish the keys again"
        );
    }

    #[test]
    fn nothing_ends_an_option_or_the_line() {
        for bad in ["", "x\"", "1\"", "a b", "a\n", "a\0", "\\", "é", "!10.0.0.1", "*"] {
            let bad = bad.to_owned();
            for key in [
                Key { algorithm: bad.clone(), ..key() },
                Key { public_key: bad.clone(), ..key() },
                Key { from_hosts: Some(bad.clone()), ..key() },
                Key { expiry_time: Some(bad.clone()), ..key() },
            ] {
                assert!(key_line(&key).is_err(), "{key:?}");
            }
        }
    }
}
