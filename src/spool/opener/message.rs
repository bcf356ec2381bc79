//! [`Request`]: a request from the daemon to the opener process, and its encoding. Pure.
//!
//! The client counts as hostile: a request is decoded in full or not at all.

use super::access::Place;
use crate::account::AccountId;
use crate::import_id::ImportId;

/// The longest request, in bytes: more than `spooled `, an import id and a name of 255 bytes.
pub(super) const MAX_REQUEST: usize = 512;

const INCOMING: &str = "incoming";
const SPOOLED: &str = "spooled";
const LEASE: &str = "lease";
const RENEW: &str = "renew";

/// A request. The message also carries a socket for the answer, as a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Open a file.
    Open(Place, String),
    /// Acquire a read lease on the message's second descriptor.
    Lease,
    /// Check that the lease on the message's second descriptor was not broken, and renew it.
    Renew,
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let text = match self {
            Self::Open(Place::Incoming(account), name) => format!("{INCOMING} {account}/{name}"),
            Self::Open(Place::Spooled(import), name) => format!("{SPOOLED} {import}/{name}"),
            Self::Lease => LEASE.to_owned(),
            Self::Renew => RENEW.to_owned(),
        };
        text.into_bytes()
    }

    /// Decodes a request. `None` if it is invalid. The decoded name has no `/`;
    /// [`super::access::Access`] checks the rest.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match std::str::from_utf8(bytes).ok()? {
            LEASE => Some(Self::Lease),
            RENEW => Some(Self::Renew),
            text => {
                let (kind, path) = text.split_once(' ')?;
                let (folder, name) = path.split_once('/')?;
                let place = match kind {
                    INCOMING => Place::Incoming(folder.parse::<AccountId>().ok()?),
                    SPOOLED => Place::Spooled(folder.parse::<ImportId>().ok()?),
                    _ => return None,
                };
                (!name.contains('/')).then(|| Self::Open(place, name.to_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_decoded_as_they_were_encoded() {
        let account = || Place::Incoming("a".repeat(32).parse().unwrap());
        let longest = ImportId::new(&"n".repeat(63), i64::MAX).unwrap();
        for request in [
            Request::Open(account(), "e.manifest".into()),
            Request::Open(account(), "a b é".into()),
            Request::Open(Place::Spooled(longest), "x".repeat(255)),
            Request::Lease,
            Request::Renew,
        ] {
            let bytes = request.encode();
            assert!(bytes.len() <= MAX_REQUEST, "{}", bytes.len());
            assert_eq!(Request::decode(&bytes), Some(request));
        }
    }

    #[test]
    fn what_is_no_request_is_not_decoded() {
        for text in [
            "",
            "lease ",
            "renew\n",
            "incoming",
            "incoming acme",
            "incoming ../e.csv",
            "incoming ./e.csv",
            "incoming /e.csv",
            "incoming .spool/e.csv",
            "incoming acme/../../../../etc/shadow",
            "incoming acme//etc/shadow",
            "incoming acme/a/b",
            "incoming acme\0/e.csv",
            "spooled ../data",
            "spooled sftp1-42/x/data",
            "spooled sftp1/data",
            "results acme/e.csv",
            "Incoming acme/e.csv",
        ] {
            assert_eq!(Request::decode(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Request::decode(b"incoming acme/\xff.csv"), None);
    }
}
