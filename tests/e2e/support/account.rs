//! An account from the view of its partner: an id, a key, and clients that use them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::User;
use serde_json::Value;

use crate::support::host::{Host, SOON, text};
use crate::support::pair::Pair;
use crate::support::process::{Ran, run, run_with, until};

/// An account of a test host, with the id and key of its partner.
#[derive(Debug)]
pub struct Account<'h> {
    pub host: &'h Host,
    pub id: String,
    /// The path of the private key.
    pub key: PathBuf,
}

impl<'h> Account<'h> {
    /// Returns an account of `host` with a new key pair. The key is not added to the host yet.
    pub fn new(host: &'h Host, id: &str) -> Self {
        let key = host.root.join("local").join(format!("{id}.key"));
        if !key.exists() {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&key)]).ok();
        }
        Self { host, id: id.to_owned(), key }
    }

    /// Returns the same account with another key pair.
    pub fn with_another_key(&self, name: &str) -> Self {
        let key = self.host.root.join("local").join(format!("{}.{name}", self.id));
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", text(&key)]).ok();
        Self { host: self.host, id: self.id.clone(), key }
    }

    /// Adds this key with `sftp-import key add`. The name of the key is the name of its file.
    pub fn add_key(&self, options: &[&str]) -> Ran {
        let public = format!("{}.pub", self.key.display());
        let mut args = vec!["key", "add", &self.id, &public, "--name", self.key_name()];
        args.extend(options);
        self.host.cli(&args)
    }

    pub fn key_name(&self) -> &str {
        self.key.file_name().unwrap().to_str().unwrap()
    }

    /// Returns options for ssh, sftp and scp. They allow only this key and ignore the configuration
    /// of the user.
    pub fn options(&self) -> Vec<String> {
        let key = format!("IdentityFile={}", self.key.display());
        let settings = [
            key.as_str(),
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "ConnectTimeout=20",
        ];
        let none = ["-F", "none"].map(String::from);
        none.into_iter().chain(settings.iter().flat_map(|s| ["-o".into(), (*s).into()])).collect()
    }

    /// Runs OpenSSH's sftp with the commands in `batch`. A failing command ends the run, unless its
    /// line begins with `-`.
    pub fn sftp(&self, batch: &str) -> Ran {
        let mut args = self.options();
        args.extend(["-P".into(), self.host.port.to_string(), "-b".into(), "-".into()]);
        args.push(self.login());
        run_with("sftp", &args, batch)
    }

    /// Runs ssh. `args` precede the destination, and `command` follows it.
    pub fn ssh(&self, args: &[&str], command: &[&str]) -> Ran {
        let mut all = self.options();
        all.extend(["-p".into(), self.host.port.to_string()]);
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        all.push(self.login());
        all.extend(command.iter().map(|word| (*word).to_owned()));
        run("ssh", &all)
    }

    /// Returns the destination `account@127.0.0.1`.
    pub fn login(&self) -> String {
        format!("{}@127.0.0.1", self.id)
    }

    pub fn can_log_in(&self) -> bool {
        self.sftp("pwd\n").code == Some(0)
    }

    pub fn incoming(&self) -> PathBuf {
        self.host.accounts().join(&self.id).join("incoming")
    }

    /// Changes the owner of `file` to the account's Unix user, as if a session had created it.
    pub fn give(&self, file: &Path) {
        let user = User::from_name(&self.id).unwrap().expect("the account's Unix user");
        std::os::unix::fs::chown(file, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }

    pub fn results(&self) -> PathBuf {
        self.host.accounts().join(&self.id).join("results")
    }

    /// Returns the folder in which the partner prepares pairs.
    pub fn local(&self) -> PathBuf {
        let folder = self.host.root.join("local").join(&self.id);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Uploads the data file and the manifest with sftp.
    #[track_caller]
    pub fn upload(&self, pair: &Pair) {
        let (data, manifest) = (pair.data.display(), pair.manifest.display());
        self.sftp(&format!("put {data}\nput {manifest}\n")).ok();
    }

    /// Returns the final report on `stem` from results/.
    #[track_caller]
    pub fn report(&self, stem: &str) -> Value {
        self.report_within(stem, SOON)
    }

    #[track_caller]
    pub fn report_within(&self, stem: &str, patience: Duration) -> Value {
        let path = self.results().join(format!("{stem}.result.json"));
        until(&format!("{} to be final", path.display()), patience, || {
            self.host.check_daemon();
            final_report(&path)
        })
    }

    /// Uploads `pair`, and checks that all `count` records were accepted.
    #[track_caller]
    pub fn import_all(&self, pair: &Pair, count: u64) {
        self.upload(pair);
        self.expect_accepted(pair, count);
    }

    /// Waits for the report on `pair`. The import must be completed, with `count` records read and
    /// accepted.
    #[track_caller]
    pub fn expect_accepted(&self, pair: &Pair, count: u64) {
        let report = self.report(&pair.stem);
        assert_eq!(report["state"], "completed", "{report:#}");
        let counts = serde_json::json!({"read": count, "accepted": count, "rejected": 0});
        assert_eq!(report["records"], counts, "{report:#}");
    }
}

/// Returns the report at `path` if it is final.
fn final_report(path: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{}: {e}: a report must be complete", path.display()));
    matches!(report["state"].as_str(), Some("completed" | "failed")).then_some(report)
}
