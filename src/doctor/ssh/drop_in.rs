//! Checks that sshd uses every setting of the shipped drop-in for an account, and names the line
//! that overrides a setting.

use std::path::Path;

use super::sshd_files::Setting;
use crate::account::AccountId;
use crate::config::Config;
use crate::doctor::finding::{Finding, Level};
use crate::sshd::EffectiveConfig;

const CHECK: &str = "sshd-drop-in";

/// The content of the shipped drop-in. All its settings must be in force.
const DROP_IN: &str = include_str!("../../../openssh/50-sftp-import.conf");

/// The file name of the program that sshd must run for keys.
pub const HELPER: &str = "sftp-import-authorized-keys";

/// The settings whose absence causes only a warning. Without them an account can still upload, and
/// can do nothing that it should not. `DisableForwarding` denies agent and X11 forwarding too, and
/// no account is root.
const ADVISORY: [&str; 7] = [
    "clientaliveinterval",
    "clientalivecountmax",
    "maxsessions",
    "loglevel",
    "allowagentforwarding",
    "x11forwarding",
    "permitrootlogin",
];

/// The option that makes the SFTP server log its actions. The drop-in of an earlier version lacks
/// this option.
const LOG_OPTION: &str = " -l INFO";

/// The option [`LOG_OPTION`] with the level VERBOSE, at which requests that change nothing are
/// logged too.
const VERBOSE_LOG_OPTION: &str = " -l VERBOSE";

/// Returns the settings of the drop-in, each with the keyword in lower case and the value.
fn required_settings(config: &Config) -> Vec<(String, String)> {
    let lines = DROP_IN.lines().filter(|line| line.starts_with("    ") && !line.contains('#'));
    let settings = lines.filter_map(|line| line.trim().split_once(' '));
    let settings =
        settings.map(|(keyword, value)| (keyword.to_ascii_lowercase(), value.to_owned()));
    settings
        .map(|(keyword, value)| match keyword.as_str() {
            "chrootdirectory" => (keyword, format!("{}/%u", config.paths.accounts.display())),
            _ => (keyword, value),
        })
        .collect()
}

/// Returns a finding for each setting of the drop-in that is not in force for `account`.
pub fn judge(
    account: &AccountId,
    effective: &EffectiveConfig,
    files: &[Setting],
    config: &Config,
) -> Vec<Finding> {
    if effective.get("chrootdirectory") == "none"
        && !effective.get("authorizedkeyscommand").contains(HELPER)
    {
        return vec![not_in_force(account, files, config)];
    }
    let differs =
        |(keyword, value): &(String, String)| !is_in_force(keyword, value, effective, config);
    let faults = required_settings(config).into_iter().filter(differs).map(|(keyword, value)| {
        overridden(&keyword, &value, effective.get(&keyword), files, config)
    });
    let findings = Finding::faults_or_ok(faults, CHECK, "every setting of the drop-in is in force");
    findings.into_iter().map(|finding| finding.of(account)).collect()
}

fn is_in_force(keyword: &str, value: &str, effective: &EffectiveConfig, config: &Config) -> bool {
    let found = effective.get(keyword);
    match keyword {
        "authorizedkeyscommand" => runs_our_helper(found, config),
        // sshd logs refused keys at these levels.
        "loglevel" => found == value || found.starts_with("DEBUG"),
        "forcecommand" => found == value || found == value.replace(LOG_OPTION, VERBOSE_LOG_OPTION),
        _ => found.eq_ignore_ascii_case(value),
    }
}

/// Returns whether `command` runs the helper with the user and the fingerprint, and on the
/// published keys of `config`.
fn runs_our_helper(command: &str, config: &Config) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    let published = config.paths.keys_db();
    let (program, database) = match words[..] {
        [program, "%u", "%f"] => (program, Path::new(crate::authorized_keys::DEFAULT_DATABASE)),
        [program, "--database", database, "%u", "%f"] => (program, Path::new(database)),
        _ => return false,
    };
    Path::new(program).file_name().is_some_and(|name| name == HELPER) && database == published
}

fn not_in_force(account: &AccountId, files: &[Setting], config: &Config) -> Finding {
    let group = &config.accounts.group;
    let ours = |setting: &&Setting| setting.value.contains(HELPER);
    let (why, fix) = match files.iter().find(ours) {
        None => (
            "no file that sshd reads contains the drop-in".to_owned(),
            "install -m 0644 50-sftp-import.conf /etc/ssh/sshd_config.d/, make sure that \
             sshd_config has `Include /etc/ssh/sshd_config.d/*.conf`, then `sshd -t && systemctl reload ssh`"
                .to_owned(),
        ),
        Some(Setting { file, within, .. }) => (
            format!("{} contains the drop-in for `Match {}`", file.display(), within.as_deref().unwrap_or("all")),
            format!(
                "`id {account}` must show the group {group}; `sftp-import provision` adds the user \
                 to the group"
            ),
        ),
    };
    Finding::fail(CHECK, format!("the drop-in is not in force: {why}"))
        .log(format!("Connection closed by authenticating user {account}"))
        .fix(fix)
        .of(account)
}

fn overridden(
    keyword: &str,
    value: &str,
    found: &str,
    files: &[Setting],
    config: &Config,
) -> Finding {
    let by = files.iter().find(|setting| {
        setting.keyword == keyword
            && setting.within.is_some()
            && setting.value.eq_ignore_ascii_case(found)
    });
    let is_ours = |setting: &&Setting| setting.value.contains(HELPER);
    let our_file = files.iter().find(is_ours).map(|setting| &setting.file);
    let (place, fix) = match by {
        Some(by) if Some(&by.file) != our_file => (
            format!(
                "; the value is from {} line {}, which sshd reads first",
                by.file.display(),
                by.line
            ),
            format!(
                "change `Match {}` in {} so that it does not match the group {}, or rename the \
                 drop-in so that it is read first; then `sshd -t && systemctl reload ssh`",
                by.within.as_deref().unwrap_or_default(),
                by.file.display(),
                config.accounts.group
            ),
        ),
        _ => (
            String::new(),
            format!(
                "set `{keyword} {value}` in the drop-in, then run `sshd -t && systemctl reload ssh`"
            ),
        ),
    };
    let effect = if keyword == "loglevel" { ": refused keys are not recorded" } else { "" };
    let message = format!("{keyword} is {found}, not {value}{place}{effect}");
    let is_unlogged = keyword == "forcecommand" && found == value.replace(LOG_OPTION, "");
    let level = if is_unlogged || ADVISORY.contains(&keyword) { Level::Warn } else { Level::Fail };
    Finding::new(CHECK, level, message).fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effective(change: &str) -> EffectiveConfig {
        let mut lines: Vec<String> = required_settings(&Config::default())
            .into_iter()
            .map(|(k, v)| format!("{k} {v}"))
            .collect();
        if let Some((keyword, _)) = change.split_once(' ') {
            lines.retain(|line| !line.starts_with(&format!("{keyword} ")));
            lines.push(change.to_owned());
        }
        EffectiveConfig::parse(&lines.join("\n"))
    }

    fn judged(change: &str, files: &[Setting]) -> Finding {
        let acme = "acme".parse().unwrap();
        judge(&acme, &effective(change), files, &Config::default()).pop().unwrap()
    }

    fn setting(file: &str, keyword: &str, value: &str) -> Setting {
        Setting {
            file: file.into(),
            line: 3,
            keyword: keyword.into(),
            value: value.into(),
            within: Some("Group all".into()),
        }
    }

    #[test]
    fn reads_every_setting_of_the_drop_in() {
        let wanted = required_settings(&Config::default());
        assert!(wanted.len() >= 21, "{wanted:?}");
        assert!(wanted.contains(&("chrootdirectory".into(), "/srv/sftp-import/%u".into())));
        assert_eq!(judged("", &[]).level, Level::Ok);
    }

    #[test]
    fn an_overriding_file_is_named_with_its_line() {
        let ours = setting(
            "/d/50.conf",
            "authorizedkeyscommand",
            "/usr/lib/x/sftp-import-authorized-keys %u %f",
        );
        let files = [setting("/d/10.conf", "permittty", "yes"), ours];
        let finding = judged("permittty yes", &files);
        assert_eq!(finding.level, Level::Fail);
        assert_eq!(
            finding.message,
            "permittty is yes, not no; the value is from /d/10.conf line 3, which sshd reads first"
        );
        assert!(finding.fix.unwrap().contains("rename the drop-in"));
        let unlogged = judged("loglevel INFO", &[]);
        assert_eq!(unlogged.level, Level::Warn);
        assert!(unlogged.message.ends_with("not VERBOSE: refused keys are not recorded"));
        assert_eq!(judged("loglevel DEBUG2", &[]).level, Level::Ok);
        for unlisted in ["allowagentforwarding yes", "x11forwarding yes", "permitrootlogin yes"] {
            assert_eq!(judged(unlisted, &[]).level, Level::Warn, "an earlier drop-in lacks it");
        }
        for required in ["disableforwarding no", "permittunnel yes", "permituserrc yes"] {
            assert_eq!(judged(required, &[]).level, Level::Fail, "{required}");
        }
        let before = "internal-sftp -d /incoming -u 0007 -P symlink,hardlink,mkdir,copy-data";
        let unlogged = judged(&format!("forcecommand {before}"), &[]);
        assert_eq!(unlogged.level, Level::Warn, "uploads work, and are not audited");
        assert!(unlogged.fix.unwrap().contains("-l INFO"));
        let more = before.replace(" -d", " -l VERBOSE -d");
        assert_eq!(judged(&format!("forcecommand {more}"), &[]).level, Level::Ok);
    }

    #[test]
    fn helpers_that_read_other_keys_are_recognised() {
        for (command, holds) in [
            ("/usr/lib/sftp-import/sftp-import-authorized-keys %u %f", true),
            (
                "/opt/sftp-import-authorized-keys --database /var/lib/sftp-import-keys/keys.db %u %f",
                true,
            ),
            ("/opt/sftp-import-authorized-keys --database /elsewhere/keys.db %u %f", false),
            ("/opt/other %u %f", false),
            ("/usr/lib/sftp-import/sftp-import-authorized-keys %u", false),
        ] {
            assert_eq!(runs_our_helper(command, &Config::default()), holds, "{command}");
        }
    }

    #[test]
    fn missing_drop_ins_are_reported_with_a_fix() {
        let acme = "acme".parse().unwrap();
        let config = Config::default();
        let nothing = EffectiveConfig::default();
        let absent = judge(&acme, &nothing, &[], &config).pop().unwrap();
        assert!(absent.fix.unwrap().contains("/etc/ssh/sshd_config.d/"));
        let ours =
            setting("/d/50.conf", "authorizedkeyscommand", "/x/sftp-import-authorized-keys %u %f");
        let unmatched = judge(&acme, &nothing, &[ours], &config).pop().unwrap();
        assert!(unmatched.message.contains("for `Match Group all`"), "{}", unmatched.message);
    }
}
