//! Checks for other obstacles to a login: sshd's allow and deny lists, fingerprints in a format
//! that the helper does not have, a locked password without PAM, and /etc/nologin. Pure except for
//! `nologin`.

use std::path::Path;

use super::sshd_files::matches;
use crate::doctor::accounts::facts::AccountFacts;
use crate::doctor::finding::Finding;
use crate::sshd::EffectiveConfig;

const CHECK: &str = "sshd-access";

/// While this file exists, pam_nologin(8) and sshd refuse all users except root.
const NOLOGIN: &str = "/etc/nologin";

/// Returns the faults that block `account`, or one finding that it is not blocked. `from` is the
/// address from which the account logs in.
pub fn judge(account: &AccountFacts, effective: &EffectiveConfig, from: &str) -> Vec<Finding> {
    let faults = [
        judge_lists(account, effective, from),
        judge_fingerprint_hash(effective),
        judge_password(account, effective),
        judge_nologin(Path::new(NOLOGIN), account, effective),
    ];
    let ok = "the account is not blocked by AllowUsers, DenyUsers or their group lists";
    let findings = Finding::faults_or_ok(faults.into_iter().flatten(), CHECK, ok);
    findings.into_iter().map(|finding| finding.of(account.id())).collect()
}

/// Checks the four access lists in sshd's order (auth.c, `allowed_user`).
fn judge_lists(account: &AccountFacts, effective: &EffectiveConfig, from: &str) -> Option<Finding> {
    let (name, group) = (account.name(), &account.accounts_group);
    let has = |keyword| effective.all(keyword).next().is_some();
    let has_user = |keyword| in_list(effective.all(keyword), &[account.name()]);
    let has_group = |keyword| in_list(effective.all(keyword), &account.groups);
    let lists = [
        (
            has_user("denyusers"),
            "DenyUsers",
            "listed in DenyUsers",
            format!("remove {name} from DenyUsers"),
        ),
        (
            has("allowusers") && !has_user("allowusers"),
            "AllowUsers",
            "not listed in AllowUsers",
            format!("add {name} to AllowUsers"),
        ),
        (
            has_group("denygroups"),
            "DenyGroups",
            "a group is listed in DenyGroups",
            "remove the account's groups from DenyGroups".to_owned(),
        ),
        (
            has("allowgroups") && !has_group("allowgroups"),
            "AllowGroups",
            "none of user's groups are listed in AllowGroups",
            format!("add {group} to AllowGroups"),
        ),
    ];
    let (_, list, why, fix) = lists.into_iter().find(|(refuses, ..)| *refuses)?;
    let finding =
        Finding::fail(CHECK, format!("{list} in sshd's configuration refuses the account"))
            .log(format!("User {name} from {from} not allowed because {why}"))
            .fix(format!("{fix}; `sshd -t && systemctl reload ssh`"));
    Some(finding)
}

/// Returns whether one of `names` matches a list of patterns. `!` before a pattern excludes its
/// matches (ssh_config(5)).
fn in_list<'a>(list: impl Iterator<Item = &'a str>, names: &[String]) -> bool {
    let patterns: Vec<&str> = list.flat_map(str::split_whitespace).collect();
    names.iter().any(|name| {
        let fits = |pattern: &str| matches(pattern.split('@').next().unwrap_or(pattern), name);
        let out = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(fits);
        !out && patterns.iter().filter(|p| !p.starts_with('!')).any(|pattern| fits(pattern))
    })
}

fn judge_fingerprint_hash(effective: &EffectiveConfig) -> Option<Finding> {
    let hash = effective.get("fingerprinthash");
    (hash.eq_ignore_ascii_case("md5")).then(|| {
        let message = "FingerprintHash is md5, but the helper finds keys only by SHA-256";
        let fix = "remove `FingerprintHash md5`; `sshd -t && systemctl reload ssh`";
        Finding::fail(CHECK, message).log("Connection closed by authenticating user").fix(fix)
    })
}

fn judge_password(account: &AccountFacts, effective: &EffectiveConfig) -> Option<Finding> {
    let is_locked = account.password == Some('!');
    (is_locked && effective.get("usepam") == "no").then(|| {
        let name = account.name();
        Finding::fail(
            CHECK,
            "UsePAM is no: sshd without PAM refuses a password that is locked by `!`",
        )
        .log(format!("User {name} not allowed because account is locked"))
        .fix(format!("set `UsePAM yes`, or run `usermod -p '*' {name}`"))
    })
}

/// With PAM, pam_nologin refuses the login, and sshd's log does not name the reason.
fn judge_nologin(
    path: &Path,
    account: &AccountFacts,
    effective: &EffectiveConfig,
) -> Option<Finding> {
    path.exists().then(|| {
        let (path, name) = (path.display(), account.name());
        let log = match effective.get("usepam") {
            "no" => format!("User {name} not allowed because {path} exists"),
            _ => format!("Access denied for user {name} by PAM account configuration"),
        };
        Finding::fail(CHECK, format!("{path} exists: only root can log in"))
            .log(log)
            .fix(format!("run `rm {path}` when the host is ready"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::accounts::tests::facts_of;

    fn judged(settings: &str) -> Finding {
        let account = facts_of("acme", &["acme", "sftp-import-accounts"]);
        judge(&account, &EffectiveConfig::parse(settings), "192.0.2.1").remove(0)
    }

    #[test]
    fn each_list_is_reported_with_sshds_message() {
        for (settings, message) in [
            ("denyusers ac*", "User acme from 192.0.2.1 not allowed because listed in DenyUsers"),
            ("allowusers bob\nallowusers !acme", "not listed in AllowUsers"),
            ("allowusers * !acme", "not listed in AllowUsers"),
            ("denygroups sftp-*", "a group is listed in DenyGroups"),
            ("allowgroups admins", "none of user's groups are listed in AllowGroups"),
            ("fingerprinthash MD5", "Connection closed by authenticating user"),
        ] {
            let finding = judged(settings);
            let log = finding.log.unwrap_or_default();
            assert!(log.ends_with(message), "{settings}: {log}");
        }
        for settings in ["", "allowusers acme", "allowgroups a\nallowgroups sftp-import-accounts"] {
            assert_eq!(judged(settings).log, None, "{settings}");
        }
    }

    #[test]
    fn a_locked_password_matters_only_without_pam() {
        let mut account = facts_of("acme", &[]);
        account.password = Some('!');
        let of = |pam: &str| judge(&account, &EffectiveConfig::parse(pam), "x").remove(0).log;
        assert!(of("usepam no").unwrap().contains("account is locked"));
        assert_eq!(of("usepam yes"), None);
    }

    #[test]
    fn an_existing_nologin_file_is_reported() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let of = |path: &Path, pam: &str| {
            judge_nologin(
                path,
                &facts_of("acme", &[]),
                &EffectiveConfig::parse(&format!("usepam {pam}")),
            )
        };
        assert!(of(file.path(), "yes").unwrap().fix.unwrap().starts_with("run `rm "));
        assert!(
            of(file.path(), "yes").unwrap().log.unwrap().ends_with("by PAM account configuration")
        );
        assert!(of(file.path(), "no").unwrap().log.unwrap().starts_with("User acme not allowed"));
        assert_eq!(of(Path::new("/nonexistent/nologin"), "yes"), None);
    }
}
