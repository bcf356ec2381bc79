//! [`Secret`]: signs webhooks as Standard Webhooks 1.0 says, so that their receiver can trust them.
//!
//! A `Secret` that exists decodes to 24 to 64 bytes. Its Debug shows nothing of it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use crate::state::endpoints::Target;

const PREFIX: &str = "whsec_";

/// A new secret's length in bytes; the standard asks for 24 to 64.
const LEN: usize = 32;

/// An endpoint's signing key, written `whsec_<base64>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The text is not `whsec_` and the base64 of 24 to 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

impl Secret {
    /// A new one, from the kernel's random numbers.
    ///
    /// # Errors
    /// /dev/urandom can't be read.
    pub fn generate() -> io::Result<Self> {
        let mut bytes = vec![0; LEN];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// `whsec_…`: what the receiver needs. For the state database, and to be shown once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// The header `webhook-signature` for `body`, sent as message `id` at `at`.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{}.", at.as_second()).as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl Target {
    /// What a request to it is signed with, the present secret first.
    ///
    /// # Errors
    /// One of them is none.
    pub fn secrets(&self) -> Result<Vec<Secret>, InvalidSecret> {
        [Some(&self.secret), self.old_secret.as_ref()]
            .into_iter()
            .flatten()
            .map(|s| s.parse())
            .collect()
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidSecret) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector that the standard's reference libraries share.
    #[test]
    fn signs_the_published_vector() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn new_secrets_differ_read_back_and_do_not_show() {
        let (a, b) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.reveal().parse(), Ok(a.clone()));
        assert_eq!(format!("{a:?}"), "Secret(…)");
    }

    #[test]
    fn refuses_what_is_too_weak_or_no_secret() {
        let short = format!("{PREFIX}{}", STANDARD.encode([0; 23]));
        let long = format!("{PREFIX}{}", STANDARD.encode([0; 65]));
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", &short, &long] {
            assert_eq!(text.parse::<Secret>(), Err(InvalidSecret), "{text:?}");
        }
    }
}
