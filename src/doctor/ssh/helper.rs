//! Checks the helper that sshd runs for keys: whether sshd would run it, and whether it answers.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::User;

use super::drop_in::HELPER;
use crate::account::AccountId;
use crate::config::Config;
use crate::doctor::accounts::facts::AccountFacts;
use crate::doctor::finding::{Finding, Level};
use crate::doctor::host::path_owners::{PathPart, path_parts};
use crate::sshd::EffectiveConfig;

const PROGRAM: &str = "helper-program";
const ANSWER: &str = "helper-answer";

/// The path where the package installs the helper, and the user that the drop-in sets for it.
const DEFAULT_PROGRAM: &str = "/usr/lib/sftp-import/sftp-import-authorized-keys";
const DEFAULT_USER: &str = "_sftp-import-keys";

/// The command with which sshd runs the helper.
struct HelperCommand {
    program: PathBuf,
    user: String,
    database: PathBuf,
}

impl HelperCommand {
    /// Reads the command from sshd's effective configuration. If that is unknown, uses the settings
    /// of the shipped drop-in.
    fn new(config: &Config, effective: Option<&EffectiveConfig>) -> Self {
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

/// Checks the helper's program and its answer. `account` is an account that sshd should accept, if
/// there is one.
pub fn check(
    config: &Config,
    account: Option<&AccountFacts>,
    effective: Option<&EffectiveConfig>,
) -> Vec<Finding> {
    let command = HelperCommand::new(config, effective);
    // sshd resolves links before it checks the path (misc.c, `safe_path`).
    let real = command.program.canonicalize().unwrap_or_else(|_| command.program.clone());
    let found = judge_program(&command.program, path_parts(&real).map_err(|(path, _)| path));
    if found.iter().any(|finding| finding.level == Level::Fail) {
        return found;
    }
    let good = format!("sshd would run the helper {}", command.program.display());
    let good = found.is_empty().then(|| Finding::ok(PROGRAM, good));
    found.into_iter().chain(good).chain([run(&command, account)]).collect()
}

/// Returns the faults of the program and the folders above it that prevent sshd from running it.
fn judge_program(program: &Path, parts: Result<Vec<PathPart>, PathBuf>) -> Vec<Finding> {
    let name = program.display();
    let parts = match parts {
        Ok(parts) => parts,
        Err(missing) => {
            return vec![
                Finding::fail(PROGRAM, format!("{} does not exist", missing.display()))
                    .log(format!("Could not stat AuthorizedKeysCommand \"{name}\""))
                    .fix(format!("install -D -m 0755 {HELPER} {name}")),
            ];
        }
    };
    let unsafe_parts = parts.iter().filter_map(|part| {
        let (message, fix) = part.fault()?;
        if part.is_roots_group_alone() {
            let message = format!(
                "{message}: Debian's sshd accepts this path, but other versions of sshd refuse it"
            );
            return Some(Finding::warn(PROGRAM, message).fix(fix));
        }
        let kind = if part.is_folder { "directory" } else { "file" };
        let log =
            format!("Unsafe AuthorizedKeysCommand \"{name}\": bad ownership or modes for {kind}");
        Some(Finding::fail(PROGRAM, message).log(log).fix(fix))
    });
    let closed = parts.iter().filter(|part| !part.is_open_to_others()).map(|part| {
        let path = part.path.display();
        let message = format!("{path} has mode {:04o}: the helper's user can't run it", part.mode);
        let log = match part.is_folder {
            true => format!("Could not stat AuthorizedKeysCommand \"{name}\""),
            // sshd does not log the failed run of the helper.
            false => "Failed publickey for".to_owned(),
        };
        Finding::fail(PROGRAM, message).log(log).fix(format!("chmod a+rx {path}"))
    });
    unsafe_parts.chain(closed).collect()
}

/// Runs the helper as sshd does, for a key that it must print, or for an unknown user.
fn run(command: &HelperCommand, account: Option<&AccountFacts>) -> Finding {
    let Ok(Some(user)) = User::from_name(&command.user) else {
        let log = format!("AuthorizedKeysCommandUser \"{}\" not found", command.user);
        return Finding::fail(ANSWER, format!("this host has no user {}", command.user))
            .log(log)
            .fix("systemd-sysusers sftp-import.conf");
    };
    let known = account.and_then(|account| Some((account.id(), account.first_fingerprint()?)));
    let (name, fingerprint) = match known {
        Some((id, fingerprint)) => (id.as_str(), fingerprint),
        None => ("nobody-of-that-name", "SHA256:none"),
    };
    let output = Command::new(&command.program)
        .arg("--database")
        .arg(&command.database)
        .args([name, fingerprint])
        .env_clear()
        .current_dir("/")
        .uid(user.uid.as_raw())
        .gid(user.gid.as_raw())
        .output();
    let output = output.map_err(|error| error.to_string()).map(|output| HelperResult {
        code: output.status.code(),
        has_key: !output.stdout.is_empty(),
    });
    judge_answer(command, known.map(|(id, _)| id), output)
}

/// The result of one run of the helper.
struct HelperResult {
    /// The exit status. `None` if a signal ended the helper.
    code: Option<i32>,
    has_key: bool,
}

fn judge_answer(
    command: &HelperCommand,
    asked: Option<&AccountId>,
    result: Result<HelperResult, String>,
) -> Finding {
    let (program, user) = (command.program.display(), &command.user);
    match result {
        Err(error) => {
            Finding::fail(ANSWER, format!("the user {user} can't run {program}: {error}"))
                .log("Failed publickey for")
                .fix(format!(
                    "`chmod 0755 {program}`, and `chmod a+x` for every folder above the program"
                ))
        }
        Ok(HelperResult { code, .. }) if code != Some(0) => {
            let status = code.map_or("a signal".into(), |code| format!("exit status {code}"));
            let database = command.database.display();
            let message = format!(
                "when run as {user}, the helper ends with {status}: it can't read {database}"
            );
            let fix = "`journalctl -t sftp-import-authorized-keys` shows why; \
                       `sftp-import provision` publishes the keys again";
            Finding::fail(ANSWER, message).log(format!("AuthorizedKeysCommand {program}")).fix(fix)
        }
        Ok(HelperResult { has_key: false, .. }) if asked.is_some() => {
            Finding::fail(ANSWER, "the helper does not print a key that should work")
                .log("Connection closed by authenticating user")
                .fix("sftp-import provision")
        }
        Ok(_) if asked.is_some() => {
            Finding::ok(ANSWER, format!("when run as {user}, the helper prints a key that works"))
        }
        Ok(_) => Finding::ok(ANSWER, format!("when run as {user}, the helper answers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(path: &str, uid: u32, mode: u32) -> PathPart {
        PathPart { path: path.into(), uid, gid: uid, mode, is_folder: !path.ends_with("keys") }
    }

    #[test]
    fn every_parent_folder_is_checked_with_its_fix() {
        let program = Path::new("/opt/x/keys");
        let good = [part("/", 0, 0o755), part("/opt", 0, 0o755), part("/opt/x/keys", 0, 0o755)];
        assert!(judge_program(program, Ok(good.to_vec())).is_empty());
        let mut bad = good.to_vec();
        bad[1] = part("/opt", 0, 0o777);
        bad[2] = part("/opt/x/keys", 1000, 0o750);
        let found = judge_program(program, Ok(bad));
        let fixes: Vec<_> = found.iter().map(|f| f.fix.as_deref().unwrap()).collect();
        assert_eq!(fixes, ["chmod go-w /opt", "chown root /opt/x/keys", "chmod a+rx /opt/x/keys"]);
        assert!(found[0].log.as_ref().unwrap().ends_with("modes for directory"));
        assert!(found[1].log.as_ref().unwrap().ends_with("modes for file"));
        let by_group = judge_program(program, Ok(vec![part("/opt", 0, 0o775)])).remove(0);
        assert_eq!(by_group.level, Level::Warn);
        let missing = judge_program(program, Err("/opt".into())).pop().unwrap();
        assert_eq!(missing.message, "/opt does not exist");
    }

    #[test]
    fn the_helper_must_print_the_requested_key() {
        let command = HelperCommand::new(&Config::default(), None);
        assert_eq!(command.program, Path::new(DEFAULT_PROGRAM));
        let acme = "acme".parse().unwrap();
        let result = |code, has_key| Ok(HelperResult { code: Some(code), has_key });
        let level = |asked, result| judge_answer(&command, asked, result).level;
        assert_eq!(level(Some(&acme), result(0, true)), Level::Ok);
        assert_eq!(level(Some(&acme), result(0, false)), Level::Fail);
        assert_eq!(level(None, result(0, false)), Level::Ok);
        assert_eq!(level(None, result(1, false)), Level::Fail);
        let killed = HelperResult { code: None, has_key: true };
        assert_eq!(level(Some(&acme), Ok(killed)), Level::Fail);
        assert_eq!(level(None, Err("Permission denied".into())), Level::Fail);
    }
}
