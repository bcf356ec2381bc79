//! Parses a public key file that a partner sent. The functions are pure.
//!
//! Invariant: the algorithm and the strength of a [`PublicKey`] are allowed, and the key is written
//! in canonical form: one algorithm, one Base64 text, no comment, no options.

use ssh_key::HashAlg;
use ssh_key::public::{KeyData, RsaPublicKey};

/// The maximum size of a key file in bytes. An RSA key with 16384 bits needs 3 KiB.
pub const MAX_FILE: usize = 64 * 1024;
/// The minimum size of an RSA key in bits (NIST SP 800-57: secure beyond 2030).
const MIN_RSA_BITS: usize = 3072;
/// The maximum size of an RSA key in bits that OpenSSH reads (SSHBUF_MAX_BIGNUM).
const MAX_RSA_BITS: usize = 16_384;

/// The accepted key algorithms, by the names that sshd and ssh-keygen use.
const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The reason why a file contains no key that can be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("the file is empty")]
    Empty,
    /// The key file is longer than [`MAX_FILE`].
    #[error("the file is too long for a public key")]
    TooLong,
    /// The key file is not UTF-8. For example, PowerShell's `>` writes UTF-16.
    #[error("the file is not plain text: save it as UTF-8")]
    Encoding,
    #[error(
        "this is a private key. Nobody but its owner may have it, so it must not be used any more: \
         create a new key pair and send the .pub file"
    )]
    Private,
    /// The file contains a public key in another format. `convert` is the `-m` option with which
    /// `ssh-keygen -i` reads the format.
    #[error("this is a public key in {format} format")]
    Format { format: &'static str, convert: &'static str },
    #[error("the file has several keys: add the keys one by one, each with its own name")]
    Several,
    /// The key has line breaks. Some mail programs break long lines.
    #[error("the key contains line breaks: it must be one line")]
    Broken,
    /// Options of authorized_keys precede the key in the file.
    #[error("there are options in front of the key: use --from and --expires instead")]
    Options,
    #[error("this is a certificate; only plain public keys can be added")]
    Certificate,
    #[error("this is a DSA key, which OpenSSH no longer accepts")]
    Dsa,
    #[error("this RSA key has {0} bits; it must have 3072 to 16384")]
    RsaBits(usize),
    #[error("this is not an OpenSSH public key, or its type is not supported")]
    Unknown,
    /// The algorithm is known, but the Base64 text is not a key of that algorithm.
    #[error("the key is damaged: its second part is not a complete {0} key")]
    Damaged(&'static str),
}

impl KeyFileError {
    /// Returns a command or a hint for the next step. `None` if the error message itself names the
    /// next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Format { convert, .. } => {
                Some(format!("ssh-keygen -i -m {convert} -f FILE > FILE.pub"))
            }
            Self::Dsa | Self::RsaBits(_) => Some("ssh-keygen -t ed25519".into()),
            Self::Unknown => Some(
                "send the .pub file; a public key has the form: ssh-ed25519 AAAA… comment".into(),
            ),
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
        // The key is encoded again, so that equal keys always have the same text.
        let written = key.to_openssh().map_err(damaged)?;
        let base64 = written.split(' ').nth(1).ok_or(KeyFileError::Damaged(algorithm))?.to_owned();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        Ok(Self { algorithm, base64, fingerprint })
    }

    /// Returns the name of the key's algorithm, such as `ssh-ed25519`.
    pub fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// Returns the key in Base64, as in a line of authorized_keys.
    pub fn base64(&self) -> &str {
        &self.base64
    }

    /// Returns the fingerprint, `SHA256:…`, as ssh-keygen and sshd print it.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// Recognizes private keys, and public keys in other formats than OpenSSH's. Returns `None` if
/// `text` is neither.
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

/// Returns the line of `text` that contains the key. All other lines must be empty or comments.
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

/// Explains why a line does not begin with the name of an accepted algorithm.
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
