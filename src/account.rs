//! [`AccountId`] is the validated id of an account.
//!
//! Invariant: an `AccountId` is a safe path component, a safe Unix user name and a safe
//! command-line argument. Only the constructor of `AccountId` checks this.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The maximum length of an account id in bytes. This is Linux's limit for a user name
/// (useradd(8)).
pub const MAX_LEN: usize = 32;

/// The id of an account. The account's SFTP user and Unix user have the same name.
///
/// An id has 1 to 32 characters from `A-Z a-z 0-9 _ -`. The first character is a letter or a digit,
/// and at least one character is not a digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(Box<str>);

/// The reason why a text is not an account id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidAccountId {
    Empty,
    /// The text has more than [`MAX_LEN`] bytes.
    TooLong,
    /// The text contains a character other than `A-Z a-z 0-9 _ -`.
    Character,
    /// The first character of the text is neither a letter nor a digit.
    First,
    /// The text contains only digits. Tools would interpret such a name as a numeric user id.
    AllDigits,
}

impl fmt::Display for InvalidAccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "an account id has at least one character",
            Self::TooLong => "an account id has at most 32 characters",
            Self::Character => "an account id may contain only A-Z a-z 0-9 _ and -",
            Self::First => "an account id begins with a letter or a digit",
            Self::AllDigits => "an account id must not consist of digits only",
        })
    }
}

impl std::error::Error for InvalidAccountId {}

impl AccountId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let first = *bytes.first().ok_or(InvalidAccountId::Empty)?;
        if bytes.len() > MAX_LEN {
            return Err(InvalidAccountId::TooLong);
        }
        if !bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            return Err(InvalidAccountId::Character);
        }
        if !first.is_ascii_alphanumeric() {
            return Err(InvalidAccountId::First);
        }
        if bytes.iter().all(u8::is_ascii_digit) {
            return Err(InvalidAccountId::AllDigits);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<Path> for AccountId {
    fn as_ref(&self) -> &Path {
        Path::new(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_usual_account_ids() {
        for id in ["a", "TEST-ABC-123Z", "8R5-4K5-466Z", "acme_eu", &"x".repeat(32)] {
            assert_eq!(id.parse::<AccountId>().unwrap().as_str(), id);
        }
    }

    #[test]
    fn invalid_account_ids_are_reported_with_a_reason() {
        use InvalidAccountId::*;
        for (id, why) in [
            ("", Empty),
            (&*"x".repeat(33), TooLong),
            ("a b", Character),
            ("../x", Character),
            ("é", Character),
            ("a\n", Character),
            ("-rf", First),
            ("_x", First),
            ("1234", AllDigits),
        ] {
            assert_eq!(id.parse::<AccountId>(), Err(why), "{id:?}");
        }
    }
}
