//! Verifies the signature of a key that an account adds by itself (`[web] keys = "signed"`).
//!
//! ssh-keygen verifies the signature, as a user without rights. It accepts the approved keys of the
//! account in the registry. The signed text is made here from the checked fields. Therefore an
//! attacker who has taken over the broker can't save another key than the one that was signed.

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
/// The most bytes of a signature. An RSA signature with 16384 bits has 6 KiB.
const MAX_SIGNATURE: usize = 16 * 1024;
/// The longest time for which a signature is valid.
const MAX_VALIDITY: SignedDuration = SignedDuration::from_hours(1);

/// Returns the text that the account must have signed. Checks the end of the signature's validity.
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

/// Verifies that an approved key of `account` signed `text`. A key that is revoked or has expired
/// does not count.
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

/// Returns the keys as a file of allowed signers (ssh-keygen(1)).
fn allowed_signers(keys: &[ApprovedKey]) -> String {
    let line = |key: &ApprovedKey| {
        let ApprovedKey { account, algorithm, public_key, .. } = key;
        format!("{account} namespaces=\"{SIGNATURE_NAMESPACE}\" {algorithm} {public_key}\n")
    };
    keys.iter().map(line).collect()
}

/// Runs ssh-keygen as the user of the helper for sshd. Returns whether it accepts the signature.
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
        // ssh-keygen may end before it reads the text, for example if the signature is damaged.
        let _ = input.write_all(text.as_bytes());
    }
    Ok(child.wait()?.success())
}

/// A temporary folder that every user can read. Only root can change it. It contains no secret.
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
        // systemd removes the folder with the unit's /tmp if this fails.
        let _ = remove_folder(&self.0);
    }
}
