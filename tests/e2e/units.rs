//! Tests of the systemd files: they must be valid, give the least privileges, and create the
//! documented folders.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sftp_import::config::Config;

use crate::support::host::{REPOSITORY, text};
use crate::support::process::run;
use crate::support::unix::SYSUSERS;

const UNIT: &str = include_str!("../../systemd/sftp-importd.service");

const ADMIN_HELPER: &str = "/usr/lib/sftp-import/sftp-import-admin";

/// Returns the values of `key` in the unit in their order.
fn values(key: &str) -> Vec<&'static str> {
    UNIT.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// systemd must find no fault in the unit. The test replaces only the path of the program, because
/// the program is not installed.
#[test]
fn the_daemon_unit_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sftp-importd.service");
    std::fs::write(&path, UNIT.replace("/usr/sbin/sftp-importd", "/bin/true")).unwrap();
    let ran = run("systemd-analyze", &["verify", "--man=no", text(&path)]).ok();
    assert_eq!(ran.stderr, "");
}

/// The test covers all other units. In each unit the paths of its programs are replaced.
#[test]
fn all_shipped_units_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    let folders = ["systemd", "systemd/web"].map(|path| format!("{REPOSITORY}/{path}"));
    for entry in folders.iter().flat_map(|path| std::fs::read_dir(path).unwrap()) {
        let from = entry.unwrap().path();
        if from.is_file() {
            let mut unit = std::fs::read_to_string(&from).unwrap();
            let to = folder.path().join(from.file_name().unwrap());
            for program in ["/usr/sbin/sftp-importd", "/usr/sbin/sftp-import", ADMIN_HELPER] {
                unit = unit.replace(program, "/bin/true");
            }
            std::fs::write(&to, unit).unwrap();
            units.push(text(&to).to_owned());
        }
    }
    assert!(units.len() >= 7, "{units:?}");
    let mut args = vec!["verify", "--man=no"];
    args.extend(units.iter().map(String::as_str));
    let ran = run("systemd-analyze", &args).ok();
    assert_eq!(ran.stderr, "");
}

/// The service runs as root, because it creates users. All other privileges must be removed.
#[test]
fn the_provisioning_unit_has_few_privileges() {
    let unit = format!("{REPOSITORY}/systemd/sftp-import-provision.service");
    let args = ["security", "--offline=true", "--threshold=35", "--no-pager", &unit];
    run("systemd-analyze", &args).ok();
}

/// The admin helper does what provisioning does, for one account. It must have the same sandbox.
#[test]
fn the_admin_helper_has_the_provisioning_sandbox() {
    let sandbox = |file: &str| -> Vec<String> {
        let unit = std::fs::read_to_string(format!("{REPOSITORY}/systemd/{file}")).unwrap();
        let settings = unit.lines().skip_while(|line| !line.starts_with("ProtectSystem="));
        settings.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let provision = sandbox("sftp-import-provision.service");
    assert!(provision.len() > 20, "{provision:?}");
    assert_eq!(sandbox("web/sftp-import-admin@.service"), provision);
    let unit = format!("{REPOSITORY}/systemd/web/sftp-import-admin@.service");
    let args = ["security", "--offline=true", "--threshold=35", "--no-pager", &unit];
    run("systemd-analyze", &args).ok();
}

/// The daemon has the same user as the broker. It must not reach the admin helper's socket.
#[test]
fn the_daemon_cannot_reach_the_admin_helper() {
    assert!(values("InaccessiblePaths").contains(&"-/run/sftp-import-admin"));
    let socket =
        std::fs::read_to_string(format!("{REPOSITORY}/systemd/web/sftp-import-admin.socket"))
            .unwrap();
    for line in [
        "ListenStream=/run/sftp-import-admin/admin.sock",
        "SocketUser=root",
        "SocketGroup=sftp-import",
        "SocketMode=0660",
        "Accept=yes",
    ] {
        assert!(socket.lines().any(|found| found == line), "{line}");
    }
}

#[test]
fn the_daemon_unit_has_few_privileges() {
    let unit = format!("{REPOSITORY}/systemd/sftp-importd.service");
    // The threshold is in tenths, so 16 is an exposure of 1.6. The capabilities cause 0.4 of it.
    // The system call capset, with which the daemon drops its capabilities, causes 0.2.
    let args = ["security", "--offline=true", "--threshold=16", "--no-pager", &unit];
    run("systemd-analyze", &args).ok();
}

#[test]
fn the_daemon_unit_has_two_capabilities() {
    let two = ["CAP_DAC_READ_SEARCH CAP_LEASE"];
    assert_eq!(values("AmbientCapabilities"), two);
    assert_eq!(values("CapabilityBoundingSet"), two);
    assert_eq!(values("ReadWritePaths"), ["/srv/sftp-import /var/lib/sftp-import"]);
    let hidden = "-/var/lib/sftp-import-admin -/var/lib/sftp-import-keys/.lock";
    assert_eq!(values("InaccessiblePaths")[0], hidden);
    assert_eq!(values("User"), ["sftp-import"]);
    assert_eq!(values("NoNewPrivileges"), ["yes"]);
}

/// The daemon must be able to drop its capabilities. No process may open a file by its handle,
/// because CAP_DAC_READ_SEARCH would allow this.
#[test]
fn the_daemon_unit_allows_dropping_capabilities() {
    let allowed = "capset landlock_create_ruleset landlock_add_rule landlock_restrict_self";
    let denied = "~@privileged @resources @setuid @keyring @memlock open_by_handle_at";
    assert_eq!(values("SystemCallFilter"), ["@system-service", denied, allowed]);
}

#[test]
fn the_daemon_unit_hides_passwords_and_private_keys() {
    let hidden = values("InaccessiblePaths").join(" ");
    for path in [
        "/etc/shadow",
        "/etc/gshadow",
        "/etc/ssh/ssh_host_rsa_key",
        "/etc/ssh/ssh_host_ecdsa_key",
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/sftp-import/ssh_host_rsa_key",
        "/etc/sftp-import/ssh_host_ed25519_key",
        "/etc/ssl/private",
    ] {
        assert!(hidden.split(' ').any(|hidden| hidden == format!("-{path}")), "{path}");
    }
    assert_eq!(values("ProtectHome"), ["yes"]);
}

/// The test hosts must start the daemon with the capabilities of the unit.
#[test]
fn test_hosts_use_the_capabilities_of_the_unit() {
    let harness = include_str!("support/host.rs");
    for set in ["--bounding-set", "--inh-caps", "--ambient-caps"] {
        assert!(harness.contains(&format!("{set}=-all,+dac_read_search,+lease")), "{set}");
    }
}

/// The sample configuration must contain the default values, with the exception of two names.
#[test]
fn the_sample_configuration_equals_the_default() {
    let sample = Path::new(REPOSITORY).join("samples/config.toml");
    let mut config = Config::load(&sample).unwrap();
    let default = Config::default();
    config.node.name.clone_from(&default.node.name);
    config.mail.from.clone_from(&default.mail.from);
    assert_eq!(format!("{config:#?}"), format!("{default:#?}"));
}

/// sysusers and tmpfiles run with an empty root folder.
#[test]
fn sysusers_and_tmpfiles_create_users_and_folders() {
    let root = tempfile::tempdir().unwrap();
    for folder in ["etc", "srv", "var/lib"] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let in_root = format!("--root={}", root.path().display());
    let tmpfiles = format!("{REPOSITORY}/systemd/tmpfiles.d/sftp-import.conf");
    run("systemd-sysusers", &[&in_root, SYSUSERS]).ok();
    run("systemd-tmpfiles", &[&in_root, "--create", &tmpfiles]).ok();
    let ids = Ids::read(root.path());
    let (root_id, daemon, keys) = (0, ids.of("sftp-import"), ids.of("_sftp-import-keys"));
    assert!(
        ids.groups.contains("\nsftp-import-accounts:")
            || ids.groups.starts_with("sftp-import-accounts:")
    );
    for (path, mode, uid, gid) in [
        ("etc/sftp-import", 0o755, root_id, root_id),
        ("srv/sftp-import", 0o750, root_id, daemon),
        ("srv/sftp-import/.spool", 0o700, daemon, daemon),
        ("var/lib/sftp-import", 0o750, daemon, daemon),
        ("var/lib/sftp-import/data", 0o750, daemon, daemon),
        ("var/lib/sftp-import-admin", 0o700, root_id, root_id),
        ("var/lib/sftp-import-keys", 0o750, root_id, keys),
        ("var/lib/sftp-import-keys/.lock", 0o600, root_id, root_id),
    ] {
        let found = std::fs::metadata(root.path().join(path)).unwrap();
        let found = (found.mode() & 0o7777, found.uid(), found.gid());
        assert_eq!(found, (mode, uid, gid), "{path}");
    }
}

/// The users and groups of an /etc folder that does not belong to this machine.
struct Ids {
    users: String,
    groups: String,
}

impl Ids {
    fn read(root: &Path) -> Self {
        let read = |file: &str| std::fs::read_to_string(root.join("etc").join(file)).unwrap();
        Self { users: read("passwd"), groups: read("group") }
    }

    /// Returns the id of a user. The group of the user has the same id.
    fn of(&self, name: &str) -> u32 {
        let line = self.users.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        assert!(line.ends_with("/usr/sbin/nologin"), "{line}");
        line.split(':').nth(2).unwrap().parse().unwrap()
    }
}
