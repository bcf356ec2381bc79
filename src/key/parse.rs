//! Parses a public key file that a partner sent (pure).
//!
//! Invariant: a [`PublicKey`] is of a kind and strength that can be added, and is written in
//! canonical form: one algorithm, one base64 text, no comment, no options.

use ssh_key::HashAlg;
use ssh_key::public::{KeyData, RsaPublicKey};

/// The largest file that can hold a key, in bytes; RSA with 16384 bits takes 3 KiB.
pub const MAX_FILE: usize = 64 * 1024;
/// The weakest RSA key, in bits (NIST SP 800-57: good beyond 2030).
const MIN_RSA_BITS: usize = 3072;
/// The largest RSA key that OpenSSH reads (SSHBUF_MAX_BIGNUM).
const MAX_RSA_BITS: usize = 16_384;

/// The accepted kinds of keys, by the names that sshd and ssh-keygen use.
const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Why a file has no key that can be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("the file is empty")]
    Empty,
    /// Longer than [`MAX_FILE`].
    #[error("the file is too long for a public key")]
    TooLong,
    /// Not UTF-8. PowerShell's `>` writes UTF-16.
    #[error("the file is not plain text: save it as UTF-8")]
    Encoding,
    #[error(
        "this is a private key; it belongs to its owner alone and has now been shown to others: \
         make a new pair, and send the .pub file"
    )]
    Private,
    /// `convert` is the `-m` option with which `ssh-keygen -i` reads that format.
    #[error("this is a public key in {format} format")]
    Format { format: &'static str, convert: &'static str },
    #[error("the file has several keys: add them one by one, each with its name")]
    Several,
    /// As mail programs break long lines.
    #[error("the key is broken into several lines: it must be one")]
    Broken,
    /// Options of authorized_keys.
    #[error("there are options in front of the key: use --from and --expires instead")]
    Options,
    #[error("this is a certificate; only plain public keys can be added")]
    Certificate,
    #[error("this is a DSA key, which OpenSSH no longer accepts")]
    Dsa,
    #[error("this RSA key has {0} bits; it must have 3072 to 16384")]
    RsaBits(usize),
    #[error("this is not an OpenSSH public key, or it is of a kind that sshd does not know")]
    Unknown,
    /// The kind is known, but the base64 text is not a key of that kind.
    #[error("the key is damaged: its second part is not a whole {0} key")]
    Damaged(&'static str),
}

impl KeyFileError {
    /// Returns a command or a hint. `None` if the message itself states what to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Format { convert, .. } => {
                Some(format!("ssh-keygen -i -m {convert} -f FILE > FILE.pub"))
            }
            Self::Dsa | Self::RsaBits(_) => Some("ssh-keygen -t ed25519".into()),
            Self::Unknown => {
                Some("send the .pub file; its form is: ssh-ed25519 AAAA… comment".into())
            }
            _ => None,
        }
    }
}

/// A public key that can be added, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: &'static str,
    base64: String,
    fingerprint: String,
}

impl PublicKey {
    /// Parses the content of a `.pub` file.
    pub fn from_file(content: &[u8]) -> Result<Self, KeyFileError> {
        if content.len() > MAX_FILE {
            return Err(KeyFileError::TooLong);
        }
        let text = std::str::from_utf8(content).map_err(|_| KeyFileError::Encoding)?;
        let text = text.trim_start_matches('\u{feff}');
        if let Some(error) = recognize_foreign(text) {
            return Err(error);
        }
        Self::from_line(find_key_line(text)?)
    }

    fn from_line(line: &str) -> Result<Self, KeyFileError> {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().ok_or(KeyFileError::Empty)?;
        let Some(algorithm) = ALGORITHMS.into_iter().find(|known| *known == name) else {
            return Err(explain_unknown(line, name));
        };
        let base64 = words.next().ok_or(KeyFileError::Damaged(algorithm))?;
        let damaged = |_| KeyFileError::Damaged(algorithm);
        let key =
            ssh_key::PublicKey::from_openssh(&format!("{algorithm} {base64}")).map_err(damaged)?;
        if let KeyData::Rsa(rsa) = key.key_data() {
            check_rsa(rsa)?;
        }
        // Encode it again, so that the same key is always the same text.
        let written = key.to_openssh().map_err(damaged)?;
        let base64 = written.split(' ').nth(1).ok_or(KeyFileError::Damaged(algorithm))?.to_owned();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        Ok(Self { algorithm, base64, fingerprint })
    }

    /// Returns the kind of key, such as `ssh-ed25519`.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// Returns the key itself, as in an authorized_keys line.
    pub fn base64(&self) -> &str {
        &self.base64
    }

    /// Returns the fingerprint as ssh-keygen and sshd print it, `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// Recognizes private keys and public keys of other formats. `None` if `text` is neither.
fn recognize_foreign(text: &str) -> Option<KeyFileError> {
    let format = |format, convert| Some(KeyFileError::Format { format, convert });
    let private = text.contains("PRIVATE KEY-----") || text.contains("Private-Lines:");
    if private || text.trim_start().starts_with("PuTTY-User-Key-File") {
        Some(KeyFileError::Private)
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

/// Returns the line with the key: the only one that is neither empty nor a comment.
fn find_key_line(text: &str) -> Result<&str, KeyFileError> {
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next().ok_or(KeyFileError::Empty)?;
    let rest: Vec<&str> = lines.collect();
    if rest.is_empty() {
        return Ok(first);
    }
    let is_key = |line: &&str| line.split_ascii_whitespace().any(is_algorithm);
    Err(if rest.iter().any(is_key) {
        KeyFileError::Several
    } else if is_key(&first) {
        KeyFileError::Broken
    } else {
        KeyFileError::Unknown
    })
}

/// Explains why a line does not begin with an accepted kind.
fn explain_unknown(line: &str, name: &str) -> KeyFileError {
    if name.contains("-cert-v0") {
        KeyFileError::Certificate
    } else if name == "ssh-dss" {
        KeyFileError::Dsa
    } else if line.split_ascii_whitespace().skip(1).any(is_algorithm) {
        KeyFileError::Options
    } else {
        KeyFileError::Unknown
    }
}

fn is_algorithm(word: &str) -> bool {
    ALGORITHMS.contains(&word) || word == "ssh-dss" || word.contains("-cert-v0")
}

fn check_rsa(key: &RsaPublicKey) -> Result<(), KeyFileError> {
    let modulus = key.n.as_positive_bytes().ok_or(KeyFileError::Damaged("ssh-rsa"))?;
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - unused;
    if (MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        Ok(())
    } else {
        Err(KeyFileError::RsaBits(bits))
    }
}
