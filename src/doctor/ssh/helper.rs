//! Checks the helper that sshd runs for keys: whether sshd would run it, and whether it answers.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::User;

use super::confinement::HELPER;
use super::sshd::Effective;
use crate::account::AccountId;
use crate::config::Config;
use crate::doctor::accounts::facts::AccountFacts;
use crate::doctor::finding::{Finding, Level};
use crate::doctor::host::path_owners::{Link, chain};

const PROGRAM: &str = "helper-program";
const ANSWER: &str = "helper-answer";

/// The path where the package installs it, and the user that the drop-in sets.
const DEFAULT_PROGRAM: &str = "/usr/lib/sftp-import/sftp-import-authorized-keys";
const DEFAULT_USER: &str = "_sftp-import-keys";

/// How sshd runs the helper.
struct Call {
    program: PathBuf,
    user: String,
    database: PathBuf,
}

impl Call {
    /// Reads sshd's effective configuration, or uses the shipped settings without one.
    fn new(config: &Config, effective: Option<&Effective>) -> Self {
        let command = effective.map_or("", |e| e.get("authorizedkeyscommand"));
        let ours = command.split_whitespace().next().filter(|word| word.ends_with(HELPER));
        let user = effective.map(|e| e.get("authorizedkeyscommanduser")).filter(|u| *u != "none");
        Self {
            program: ours.unwrap_or(DEFAULT_PROGRAM).into(),
            user: user.unwrap_or(DEFAULT_USER).to_owned(),
            database: config.paths.keys_db(),
        }
    }
}

/// Runs both checks. `account` is one that sshd should accept, if there is one.
pub fn check(
    config: &Config,
    account: Option<&AccountFacts>,
    effective: Option<&Effective>,
) -> Vec<Finding> {
    let call = Call::new(config, effective);
    // sshd resolves links first (misc.c, `safe_path`).
    let real = call.program.canonicalize().unwrap_or_else(|_| call.program.clone());
    let found = judge_program(&call.program, chain(&real).map_err(|(path, _)| path));
    if found.iter().any(|finding| finding.level == Level::Fail) {
        return found;
    }
    let good = format!("sshd would run {}", call.program.display());
    let good = found.is_empty().then(|| Finding::ok(PROGRAM, good));
    found.into_iter().chain(good).chain([ask(&call, account)]).collect()
}

/// Returns the faults of the program and the folders above it that prevent sshd from running it.
fn judge_program(program: &Path, chain: Result<Vec<Link>, PathBuf>) -> Vec<Finding> {
    let name = program.display();
    let links = match chain {
        Ok(links) => links,
        Err(missing) => {
            return vec![
                Finding::fail(PROGRAM, format!("{} is not there", missing.display()))
                    .log(format!("Could not stat AuthorizedKeysCommand \"{name}\""))
                    .fix(format!("install -D -m 0755 {HELPER} {name}")),
            ];
        }
    };
    let unsafe_links = links.iter().filter_map(|link| {
        let (message, fix) = link.trouble()?;
        if link.is_roots_group_alone() {
            let message = format!("{message}: Debian's sshd lets that pass, others refuse it");
            return Some(Finding::warn(PROGRAM, message).fix(fix));
        }
        let kind = if link.is_folder { "directory" } else { "file" };
        let log =
            format!("Unsafe AuthorizedKeysCommand \"{name}\": bad ownership or modes for {kind}");
        Some(Finding::fail(PROGRAM, message).log(log).fix(fix))
    });
    let closed = links.iter().filter(|link| !link.is_open_to_others()).map(|link| {
        let path = link.path.display();
        let message = format!("{path} has mode {:04o}: the helper's user can't run it", link.mode);
        let log = match link.is_folder {
            true => format!("Could not stat AuthorizedKeysCommand \"{name}\""),
            false => "Failed publickey for".to_owned(), // sshd does not log that it can't run it
        };
        Finding::fail(PROGRAM, message).log(log).fix(format!("chmod a+rx {path}"))
    });
    unsafe_links.chain(closed).collect()
}

/// Runs the helper as sshd does, for a key that it must print, or for an unknown user.
fn ask(call: &Call, account: Option<&AccountFacts>) -> Finding {
    let Ok(Some(user)) = User::from_name(&call.user) else {
        let log = format!("AuthorizedKeysCommandUser \"{}\" not found", call.user);
        return Finding::fail(ANSWER, format!("this host has no user {}", call.user))
            .log(log)
            .fix("systemd-sysusers sftp-import.conf");
    };
    let known = account.and_then(|account| Some((account.id(), account.a_fingerprint()?)));
    let (name, fingerprint) = known
        .map_or(("nobody-of-that-name", "SHA256:none"), |(id, print)| {
            (AccountId::as_str(id), print)
        });
    let mut command = Command::new(&call.program);
    command.arg("--database").arg(&call.database).arg(name).arg(fingerprint);
    command.env_clear().current_dir("/").uid(user.uid.as_raw()).gid(user.gid.as_raw());
    let output = command.output().map_err(|error| error.to_string()).map(|output| Said {
        worked: output.status.success(),
        code: output.status.code(),
        key: !output.stdout.is_empty(),
    });
    judge_answer(call, known.map(|(id, _)| id), output)
}

/// The result of running the helper.
struct Said {
    worked: bool,
    code: Option<i32>,
    key: bool,
}

fn judge_answer(call: &Call, asked: Option<&AccountId>, said: Result<Said, String>) -> Finding {
    let (program, user) = (call.program.display(), &call.user);
    let status = |code: Option<i32>| code.map_or("a signal".into(), |code| code.to_string());
    match said {
        Err(error) => Finding::fail(ANSWER, format!("{user} can't run {program}: {error}"))
            .log("Failed publickey for")
            .fix(format!("chmod 0755 {program}, and x for all on every folder above it")),
        Ok(Said { worked: false, code, .. }) => {
            let status = status(code);
            Finding::fail(ANSWER, format!("as {user} the helper exits with {status}: it can't read {}", call.database.display()))
                .log(format!("AuthorizedKeysCommand {program}"))
                .fix("`journalctl -t sftp-import-authorized-keys` shows why; `sftp-import provision` publishes again")
        }
        Ok(Said { key: false, .. }) if asked.is_some() => {
            Finding::fail(ANSWER, "the helper does not print a key that should work")
                .log("Connection closed by authenticating user")
                .fix("sftp-import provision")
        }
        Ok(_) if asked.is_some() => {
            Finding::ok(ANSWER, format!("run as {user}, the helper prints a key that works"))
        }
        Ok(_) => Finding::ok(ANSWER, format!("run as {user}, the helper answers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, uid: u32, mode: u32) -> Link {
        Link { path: path.into(), uid, gid: uid, mode, is_folder: !path.ends_with("keys") }
    }

    #[test]
    fn every_parent_counts_and_each_has_its_fix() {
        let program = Path::new("/opt/x/keys");
        let good = [link("/", 0, 0o755), link("/opt", 0, 0o755), link("/opt/x/keys", 0, 0o755)];
        assert!(judge_program(program, Ok(good.to_vec())).is_empty());
        let mut bad = good.to_vec();
        bad[1] = link("/opt", 0, 0o777);
        bad[2] = link("/opt/x/keys", 1000, 0o750);
        let found = judge_program(program, Ok(bad));
        let fixes: Vec<_> = found.iter().map(|f| f.fix.as_deref().unwrap()).collect();
        assert_eq!(fixes, ["chmod go-w /opt", "chown root /opt/x/keys", "chmod a+rx /opt/x/keys"]);
        assert!(found[0].log.as_ref().unwrap().ends_with("modes for directory"));
        assert!(found[1].log.as_ref().unwrap().ends_with("modes for file"));
        let by_group = judge_program(program, Ok(vec![link("/opt", 0, 0o775)])).remove(0);
        assert_eq!(by_group.level, Level::Warn);
        let missing = judge_program(program, Err("/opt".into())).pop().unwrap();
        assert_eq!(missing.message, "/opt is not there");
    }

    #[test]
    fn an_answer_is_judged_by_what_was_asked() {
        let call = Call::new(&Config::default(), None);
        assert_eq!(call.program, Path::new(DEFAULT_PROGRAM));
        let acme = "acme".parse().unwrap();
        let said = |worked, key| Ok(Said { worked, code: Some(i32::from(!worked)), key });
        let level = |asked, said| judge_answer(&call, asked, said).level;
        assert_eq!(level(Some(&acme), said(true, true)), Level::Ok);
        assert_eq!(level(Some(&acme), said(true, false)), Level::Fail);
        assert_eq!(level(None, said(true, false)), Level::Ok);
        assert_eq!(level(None, said(false, false)), Level::Fail);
        assert_eq!(level(None, Err("Permission denied".into())), Level::Fail);
    }
}
