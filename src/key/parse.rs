//! From a file somebody sent to a key that may be added, or the reason it may not (pure).
//!
//! A [`PublicKey`] is of a kind and strength we accept, and is written in one way, whatever the
//! file looked like: one algorithm, one base64 text, no comment, no options.

use ssh_key::HashAlg;
use ssh_key::public::{KeyData, RsaPublicKey};

/// The largest file that can hold a key, in bytes; RSA with 16384 bits takes 3 KiB.
pub const MAX_FILE: usize = 64 * 1024;
/// The weakest RSA key, in bits (NIST SP 800-57: good beyond 2030).
const MIN_RSA_BITS: usize = 3072;
/// The largest RSA key that OpenSSH reads (SSHBUF_MAX_BIGNUM).
const MAX_RSA_BITS: usize = 16_384;

/// What sshd and ssh-keygen call the kinds we accept.
const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Why a file holds no key that may be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing there.
    #[error("the file is empty")]
    Empty,
    /// Over [`MAX_FILE`].
    #[error("the file is too long for a public key")]
    TooLong,
    /// Not UTF-8, such as what PowerShell's `>` writes.
    #[error("the file is not plain text: save it as UTF-8")]
    Encoding,
    /// The secret half.
    #[error(
        "this is a private key; it belongs to its owner alone and has now been shown to others: \
         make a new pair, and send the .pub file"
    )]
    Private,
    /// Right key, other format.
    #[error("this is a public key in {format} format")]
    Format {
        /// Whose format.
        format: &'static str,
        /// The `-m` of `ssh-keygen -i` that reads it.
        convert: &'static str,
    },
    /// More than one.
    #[error("the file holds several keys: add them one by one, each with its name")]
    Several,
    /// Cut into lines by a mail program.
    #[error("the key is broken into several lines: it must be one")]
    Broken,
    /// authorized_keys options.
    #[error("there are options in front of the key: say --from and --expires instead")]
    Options,
    /// A certificate.
    #[error("this is a certificate; only plain public keys can be added")]
    Certificate,
    /// DSA.
    #[error("this is a DSA key, which OpenSSH no longer accepts")]
    Dsa,
    /// RSA of another length than we take.
    #[error("this RSA key has {0} bits; it must have 3072 to 16384")]
    RsaBits(usize),
    /// Not a kind we know.
    #[error("this is no OpenSSH public key, or of a kind that sshd does not know")]
    Unknown,
    /// A known kind, but the base64 isn't such a key.
    #[error("the key is damaged: its second part is not a whole {0} key")]
    Damaged(&'static str),
}

impl Refusal {
    /// What to do about it, when the reason does not say it already.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Format { convert, .. } => {
                Some(format!("ssh-keygen -i -m {convert} -f FILE > FILE.pub"))
            }
            Self::Dsa | Self::RsaBits(_) => Some("ssh-keygen -t ed25519".into()),
            Self::Unknown => {
                Some("send the .pub file; it looks like: ssh-ed25519 AAAA… comment".into())
            }
            _ => None,
        }
    }
}

/// A public key that may be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: &'static str,
    base64: String,
    fingerprint: String,
}

impl PublicKey {
    /// Reads the content of a `.pub` file.
    ///
    /// # Errors
    /// The reason why that is no key, or none that may be added.
    pub fn from_file(content: &[u8]) -> Result<Self, Refusal> {
        if content.len() > MAX_FILE {
            return Err(Refusal::TooLong);
        }
        let text = std::str::from_utf8(content).map_err(|_| Refusal::Encoding)?;
        let text = text.trim_start_matches('\u{feff}');
        if let Some(refusal) = foreign(text) {
            return Err(refusal);
        }
        Self::from_line(only_line(text)?)
    }

    fn from_line(line: &str) -> Result<Self, Refusal> {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().ok_or(Refusal::Empty)?;
        let Some(algorithm) = ALGORITHMS.into_iter().find(|known| *known == name) else {
            return Err(unknown(line, name));
        };
        let base64 = words.next().ok_or(Refusal::Damaged(algorithm))?;
        let damaged = |_| Refusal::Damaged(algorithm);
        let key =
            ssh_key::PublicKey::from_openssh(&format!("{algorithm} {base64}")).map_err(damaged)?;
        if let KeyData::Rsa(rsa) = key.key_data() {
            check_rsa(rsa)?;
        }
        // Written anew, so that one key is always one text.
        let written = key.to_openssh().map_err(damaged)?;
        let base64 = written.split(' ').nth(1).ok_or(Refusal::Damaged(algorithm))?.to_owned();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        Ok(Self { algorithm, base64, fingerprint })
    }

    /// Its kind, such as `ssh-ed25519`.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The key itself, as in an authorized_keys line.
    pub fn base64(&self) -> &str {
        &self.base64
    }

    /// `SHA256:…`, as ssh-keygen and sshd print it.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// What the text is when it isn't an OpenSSH public key at all.
fn foreign(text: &str) -> Option<Refusal> {
    let format = |format, convert| Some(Refusal::Format { format, convert });
    let private = text.contains("PRIVATE KEY-----") || text.contains("Private-Lines:");
    if private || text.trim_start().starts_with("PuTTY-User-Key-File") {
        Some(Refusal::Private)
    } else if text.contains("---- BEGIN SSH2 PUBLIC KEY ----") {
        format("PuTTY's and SSH2's", "RFC4716")
    } else if text.contains("-----BEGIN RSA PUBLIC KEY-----") {
        format("PEM", "PEM")
    } else if text.contains("-----BEGIN PUBLIC KEY-----") {
        format("PKCS8", "PKCS8")
    } else {
        None
    }
}

/// The one line that isn't empty or a comment.
fn only_line(text: &str) -> Result<&str, Refusal> {
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().ok_or(Refusal::Empty)?;
    let rest: Vec<&str> = lines.collect();
    if rest.is_empty() {
        return Ok(first);
    }
    let is_key = |line: &&str| line.split_ascii_whitespace().any(is_algorithm);
    Err(if rest.iter().any(is_key) {
        Refusal::Several
    } else if is_key(&first) {
        Refusal::Broken
    } else {
        Refusal::Unknown
    })
}

/// What a line is that doesn't begin with a kind we accept.
fn unknown(line: &str, name: &str) -> Refusal {
    if name.contains("-cert-v0") {
        Refusal::Certificate
    } else if name == "ssh-dss" {
        Refusal::Dsa
    } else if line.split_ascii_whitespace().skip(1).any(is_algorithm) {
        Refusal::Options
    } else {
        Refusal::Unknown
    }
}

fn is_algorithm(word: &str) -> bool {
    ALGORITHMS.contains(&word) || word == "ssh-dss" || word.contains("-cert-v0")
}

fn check_rsa(key: &RsaPublicKey) -> Result<(), Refusal> {
    let modulus = key.n.as_positive_bytes().ok_or(Refusal::Damaged("ssh-rsa"))?;
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - unused;
    if (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) { Ok(()) } else { Err(Refusal::RsaBits(bits)) }
}
