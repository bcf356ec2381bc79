//! [`OpenerRequest`] is a request from the daemon to the opener process. This file also has its
//! encoding. This module is pure.
//!
//! The opener treats the client as an attacker. A request is either decoded completely or refused.

use super::access::OpenerFolder;
use crate::account::AccountId;
use crate::import_id::ImportId;

/// The maximum length of a request to the opener in bytes. It is larger than `spooled `, an import
/// id and a file name of 255 bytes.
pub(super) const MAX_REQUEST: usize = 512;

const INCOMING: &str = "incoming";
const SPOOLED: &str = "spooled";
const LEASE: &str = "lease";
const RENEW: &str = "renew";

/// A request to the opener. The message also contains a socket for the answer, as a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OpenerRequest {
    /// The opener opens a file. The name of the file is relative to the folder.
    Open(OpenerFolder, String),
    /// The opener acquires a read lease on the second descriptor of the message.
    Lease,
    /// The opener checks that the lease on the second descriptor of the message was not broken,
    /// and renews the lease.
    Renew,
}

impl OpenerRequest {
    pub(super) fn encode(&self) -> Vec<u8> {
        let text = match self {
            Self::Open(OpenerFolder::Incoming(account), name) => {
                format!("{INCOMING} {account}/{name}")
            }
            Self::Open(OpenerFolder::Spooled(import), name) => format!("{SPOOLED} {import}/{name}"),
            Self::Lease => LEASE.to_owned(),
            Self::Renew => RENEW.to_owned(),
        };
        text.into_bytes()
    }

    /// Decodes a request to the opener. Returns `None` if the request is invalid. The decoded name
    /// contains no `/`. [`super::access::Access`] makes all other checks of the name.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match std::str::from_utf8(bytes).ok()? {
            LEASE => Some(Self::Lease),
            RENEW => Some(Self::Renew),
            text => {
                let (kind, path) = text.split_once(' ')?;
                let (folder, name) = path.split_once('/')?;
                let place = match kind {
                    INCOMING => OpenerFolder::Incoming(folder.parse::<AccountId>().ok()?),
                    SPOOLED => OpenerFolder::Spooled(folder.parse::<ImportId>().ok()?),
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
    fn encoded_requests_decode_to_the_same_request() {
        let account = || OpenerFolder::Incoming("a".repeat(32).parse().unwrap());
        let longest = ImportId::new(&"n".repeat(63), i64::MAX).unwrap();
        for request in [
            OpenerRequest::Open(account(), "e.manifest".into()),
            OpenerRequest::Open(account(), "a b é".into()),
            OpenerRequest::Open(OpenerFolder::Spooled(longest), "x".repeat(255)),
            OpenerRequest::Lease,
            OpenerRequest::Renew,
        ] {
            let bytes = request.encode();
            assert!(bytes.len() <= MAX_REQUEST, "{}", bytes.len());
            assert_eq!(OpenerRequest::decode(&bytes), Some(request));
        }
    }

    #[test]
    fn invalid_requests_are_not_decoded() {
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
            assert_eq!(OpenerRequest::decode(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(OpenerRequest::decode(b"incoming acme/\xff.csv"), None);
    }
}
