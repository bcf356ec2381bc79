//! [`Secret`]: signs webhooks according to Standard Webhooks 1.0, so that receivers can
//! authenticate them.
//!
//! Invariant: a `Secret` has 24 to 64 bytes. Its `Debug` output hides the bytes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;

use crate::state::endpoints::EndpointTarget;

const PREFIX: &str = "whsec_";

/// The length of a new webhook secret in bytes. The standard requires 24 to 64 bytes.
const LEN: usize = 32;

/// The signing key of an endpoint. Its text form is `whsec_<base64>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The error of a text that is not a webhook secret. A secret is `whsec_` and the base64 of 24 to
/// 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a webhook secret consists of whsec_ and the base64 of 24 to 64 bytes")]
pub struct InvalidSecret;

impl Secret {
    /// Makes a new webhook secret from random bytes of /dev/urandom.
    pub fn generate() -> io::Result<Self> {
        let mut bytes = vec![0; LEN];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Returns the webhook secret as text, `whsec_…`. The text is stored in the state database and
    /// printed once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// Returns the value of the header `webhook-signature` for the request with the body `body`
    /// and the message id `id` at the time `at`.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        mac.update(format!("{id}.{}.", at.as_second()).as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Returns the secrets that sign a request to the endpoint `target`. The current secret is the
/// first.
pub fn signing_secrets(target: &EndpointTarget) -> Result<Vec<Secret>, InvalidSecret> {
    [Some(&target.secret), target.old_secret.as_ref()]
        .into_iter()
        .flatten()
        .map(|secret| secret.parse())
        .collect()
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

    /// The test vector is from the reference libraries of Standard Webhooks.
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
    fn new_secrets_are_different_parseable_and_not_printed() {
        let (a, b) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.reveal().parse(), Ok(a.clone()));
        assert_eq!(format!("{a:?}"), "Secret(…)");
    }

    #[test]
    fn weak_or_malformed_secrets_are_refused() {
        let short = format!("{PREFIX}{}", STANDARD.encode([0; 23]));
        let long = format!("{PREFIX}{}", STANDARD.encode([0; 65]));
        for text in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", &short, &long] {
            assert_eq!(text.parse::<Secret>(), Err(InvalidSecret), "{text:?}");
        }
    }
}
