//! Verifies the signature of a key that an account adds by itself (`[web] keys = "signed"`).
//!
//! The program ssh-keygen verifies the signature. It runs as a user without rights, and accepts
//! only signatures by the account's approved keys in the registry. The signed text is made from the
//! checked fields of the request. Therefore an attacker who has taken over the broker can't save a
//! key that the account did not sign.

use std::error::Error;
use std::fs::{self, DirBuilder, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};
use nix::unistd::User;

use super::check::CheckedKey;
use super::failure::{failed, forbidden, invalid};
use crate::account::AccountId;
use crate::config::Config;
use crate::files::IoError;
use crate::files::durable::remove_folder;
use crate::key::GROUP;
use crate::registry::{self, ApprovedKey, Registry};
use crate::wire::admin::{AdminError, KeyConfirmation, SIGNATURE_NAMESPACE, Signature};

const SSH_KEYGEN: &str = "/usr/bin/ssh-keygen";
/// The maximum length of a signature in bytes. The signature of an RSA key with 16384 bits has 6
/// KiB.
const MAX_SIGNATURE: usize = 16 * 1024;
/// The maximum time for which a signature may be valid.
const MAX_VALIDITY: SignedDuration = SignedDuration::from_hours(1);

/// Returns the text that the account must sign. Returns an error if the signature has expired, or
/// if it is valid for longer than [`MAX_VALIDITY`].
pub(super) fn signed_text(
    config: &Config,
    name: &str,
    checked: &CheckedKey,
    signature: &Signature,
    now: Timestamp,
) -> Result<String, AdminError> {
    let until: Timestamp = signature.until.parse().map_err(|_| {
        invalid("signature", "its end is not an instant such as 2027-01-31T12:00:00Z")
    })?;
    if until <= now || until.duration_since(now) > MAX_VALIDITY {
        return Err(forbidden("the signature is too old, or valid for more than an hour"));
    }
    let CheckedKey { account, key, restrictions, .. } = checked;
    let expires = restrictions.expires_at.map(|at| at.to_string());
    let text = KeyConfirmation {
        node: &config.node.name,
        account: account.as_str(),
        name,
        key: (key.algorithm(), key.base64()),
        from: restrictions.from.as_deref(),
        expires: expires.as_deref(),
        until: &signature.until,
    };
    Ok(text.to_string())
}

/// Verifies that an approved key of `account` signed `text`. Signatures by revoked or expired keys
/// are not accepted.
pub(super) fn verify(
    registry: &Registry,
    account: &AccountId,
    text: &str,
    signature: &Signature,
    now: Timestamp,
) -> Result<(), AdminError> {
    if signature.text.len() > MAX_SIGNATURE {
        return Err(invalid("signature", "is longer than 16 KiB"));
    }
    let keys = registry.read(|tx| registry::keys::list(tx, Some(account), false));
    let mut keys = keys.map_err(|error| failed(&error))?;
    keys.retain(|key| key.expires_at.is_none_or(|at| at > now));
    match run(account, &allowed_signers(&keys), text, &signature.text) {
        Ok(true) => Ok(()),
        Ok(false) => Err(forbidden("the signature is not by an approved key of the account")),
        Err(error) => Err(failed(error.as_ref())),
    }
}

/// Returns `keys` in the format of a file of allowed signers (ssh-keygen(1)).
fn allowed_signers(keys: &[ApprovedKey]) -> String {
    let line = |key: &ApprovedKey| {
        let ApprovedKey { account, algorithm, public_key, .. } = key;
        format!("{account} namespaces=\"{SIGNATURE_NAMESPACE}\" {algorithm} {public_key}\n")
    };
    keys.iter().map(line).collect()
}

/// Runs ssh-keygen as the user under which the helper for sshd runs. Returns whether ssh-keygen
/// accepts the signature.
fn run(
    account: &AccountId,
    signers: &str,
    text: &str,
    signature: &str,
) -> Result<bool, Box<dyn Error>> {
    let user = User::from_name(GROUP)?.ok_or_else(|| format!("this host has no user {GROUP}"))?;
    let folder = SharedFolder::create()?;
    let signers = folder.write("allowed_signers", signers)?;
    let signature = folder.write("signature", signature)?;
    let mut child = Command::new(SSH_KEYGEN)
        .args(["-Y", "verify", "-n", SIGNATURE_NAMESPACE, "-I", account.as_str()])
        .arg("-f")
        .arg(signers)
        .arg("-s")
        .arg(signature)
        .env_clear()
        .current_dir("/")
        .uid(user.uid.as_raw())
        .gid(user.gid.as_raw())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(IoError::of("run", Path::new(SSH_KEYGEN)))?;
    if let Some(mut input) = child.stdin.take() {
        // A write error is ignored, because ssh-keygen may end before it has read the text. For
        // example, this happens if the signature is damaged.
        let _ = input.write_all(text.as_bytes());
    }
    Ok(child.wait()?.success())
}

/// A temporary folder that every user can read and only root can change. The folder contains no
/// secret.
struct SharedFolder(PathBuf);

impl SharedFolder {
    fn create() -> Result<Self, IoError> {
        let path = PathBuf::from(format!("/tmp/sftp-import-admin-{}", uuid::Uuid::new_v4()));
        DirBuilder::new().mode(0o700).create(&path).map_err(IoError::of("create", &path))?;
        let folder = Self(path);
        folder.share(&folder.0, 0o755)?;
        Ok(folder)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, IoError> {
        let path = self.0.join(name);
        fs::write(&path, text).map_err(IoError::of("write", &path))?;
        self.share(&path, 0o644)?;
        Ok(path)
    }

    fn share(&self, path: &Path, mode: u32) -> Result<(), IoError> {
        fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(IoError::of("set the mode of", path))
    }
}

impl Drop for SharedFolder {
    fn drop(&mut self) {
        // If the removal fails, systemd removes the folder later, with the unit's /tmp.
        let _ = remove_folder(&self.0);
    }
}
