//! Checks the folder of the published keys: only root can change it, as the helper requires, and
//! only the helper's group can read it.

use std::path::Path;

use nix::unistd::Group;

use crate::authorized_keys::trust;
use crate::config::Config;
use crate::doctor::finding::Finding;
use crate::doctor::host::path_owners::PathPart;
use crate::key::GROUP;

const CHECK: &str = "keys-folder";

/// The beginning of the log line that the helper writes if it can't read the keys.
const LOG: &str = "cannot read the published keys";

pub fn check(config: &Config) -> Vec<Finding> {
    let database = config.paths.keys_db();
    let path = match trust::check_file(&database, trust::ROOT) {
        Ok(path) => path,
        Err(error) => {
            return vec![Finding::fail(CHECK, error.fault()).log(LOG).fix(error.fix())];
        }
    };
    let Ok(Some(group)) = Group::from_name(GROUP) else {
        return vec![
            Finding::fail(CHECK, format!("this host has no group {GROUP}"))
                .log("AuthorizedKeysCommandUser")
                .fix("systemd-sysusers sftp-import.conf"),
        ];
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let faults = [(folder, 0o750), (&path, 0o640)].into_iter().filter_map(|(path, wanted)| {
        match PathPart::read(path) {
            Ok(part) => judge(&part, wanted, group.gid.as_raw()),
            Err(error) => Some(Finding::fail(CHECK, error.to_string()).log(LOG).fix("ls -l")),
        }
    });
    Finding::faults_or_ok(faults, CHECK, format!("only root can change {}", folder.display()))
}

/// Judges the group and mode of the folder or file, which root owns. `wanted` is the mode that it
/// should have. `group` is the id of the helper's group.
fn judge(part: &PathPart, wanted: u32, group: u32) -> Option<Finding> {
    let PathPart { path, gid, mode, .. } = part;
    let path = path.display();
    let fix = format!("chgrp {GROUP} {path} && chmod {wanted:04o} {path}");
    let needed = wanted & 0o070;
    if mode & 0o007 != 0 {
        let message = format!("{path} has mode {mode:04o}: every user can read the published keys");
        return Some(Finding::warn(CHECK, message).fix(fix));
    }
    if *gid != group || mode & needed != needed {
        let message = format!(
            "{path} has group id {gid} and mode {mode:04o}: the helper's group {GROUP} can't read it"
        );
        return Some(Finding::fail(CHECK, message).log(LOG).fix(fix));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn only_the_helpers_group_may_read_the_keys() {
        let of = |gid, mode, wanted| {
            let part = PathPart { path: "/x".into(), uid: 0, gid, mode, is_folder: true };
            judge(&part, wanted, 998)
        };
        assert_eq!(of(998, 0o750, 0o750), None);
        assert_eq!(of(998, 0o640, 0o640), None);
        for (gid, mode, wanted) in
            [(0, 0o750, 0o750), (998, 0o710, 0o750), (998, 0o700, 0o750), (998, 0o600, 0o640)]
        {
            let found = of(gid, mode, wanted).unwrap();
            assert_eq!(found.level, Level::Fail, "{gid} {mode:o}");
            let fix = format!("chgrp _sftp-import-keys /x && chmod {wanted:04o} /x");
            assert_eq!(found.fix, Some(fix));
        }
        for (gid, mode) in [(998, 0o755), (0, 0o751), (998, 0o644)] {
            assert_eq!(of(gid, mode, 0o750).unwrap().level, Level::Warn, "{mode:o}");
        }
    }

    #[test]
    fn an_untrusted_folder_is_reported_with_its_fix() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.paths.keys = folder.path().join("keys");
        let found = check(&config).remove(0);
        assert_eq!((found.check, found.level), (CHECK, Level::Fail));
        let missing = format!("{}: No such file", config.paths.keys.display());
        assert!(found.message.contains(&missing), "{}", found.message);
        assert_eq!(found.fix.as_deref(), Some("`sftp-import provision`"));
    }
}
