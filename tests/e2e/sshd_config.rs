//! Tests of the drop-in with sshd's own parser. The drop-in must have the intended settings for
//! accounts, and must not change settings for other users. The tests check the precedence table in
//! openssh/README.md.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::host::{Host, REPOSITORY, shipped, text};
use crate::support::process::run;

/// The number of hosts that these tests have created. It makes the names of accounts unique,
/// because all accounts are Unix users of one machine.
static SETUPS: AtomicU32 = AtomicU32::new(0);

/// A host with one account, and a folder for sshd configurations.
struct Setup {
    host: Host,
    folder: PathBuf,
    account: String,
}

impl Setup {
    fn new() -> Self {
        let host = Host::new("");
        let account = format!("e2e-sshd-config-{}", SETUPS.fetch_add(1, Ordering::Relaxed));
        host.account(&account);
        let folder = host.root.join("sshd_config.d");
        std::fs::create_dir(&folder).unwrap();
        let setup = Self { host, folder, account };
        setup.write(
            "50-sftp-import.conf",
            &shipped("openssh/50-sftp-import.conf", &setup.host.root),
        );
        setup
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.folder.join(name), content).unwrap();
    }

    /// Returns the settings that sshd would use for `user`. `main` is its sshd_config, in which
    /// INCLUDE is replaced by the directive that includes the folder.
    #[track_caller]
    fn effective(&self, main: &str, user: &str) -> Effective {
        let include = format!("Include {}/*.conf\n", self.folder.display());
        let path = self.host.root.join("ssh/main");
        let host_key = format!("HostKey {}/ssh/host_key\n", self.host.root.display());
        std::fs::write(&path, host_key + &main.replace("INCLUDE\n", &include)).unwrap();
        let config = text(&path);
        run("/usr/sbin/sshd", &["-t", "-f", config]).ok();
        let connection = format!("user={user},host=client.example,addr=192.0.2.1");
        Effective(run("/usr/sbin/sshd", &["-T", "-f", config, "-C", &connection]).ok().stdout)
    }
}

struct Effective(String);

impl Effective {
    #[track_caller]
    fn get(&self, key: &str) -> &str {
        let mut lines = self.0.lines();
        lines
            .find_map(|line| line.strip_prefix(&format!("{key} ")))
            .unwrap_or_else(|| panic!("{key}"))
    }
}

const DEBIAN: &str = "INCLUDE\nUsePAM yes\nX11Forwarding yes\nAllowAgentForwarding yes\n\
    PermitTunnel yes\nPermitTTY yes\nPermitUserRC yes\nPermitRootLogin yes\nPasswordAuthentication yes\n\
    TrustedUserCAKeys /etc/ssh/ca.pub\nPubkeyAuthentication no\n\
    Subsystem sftp /usr/lib/openssh/sftp-server\n";

#[test]
fn sshd_accepts_the_drop_in_unchanged() {
    let setup = Setup::new();
    let drop_in =
        std::fs::read_to_string(format!("{REPOSITORY}/openssh/50-sftp-import.conf")).unwrap();
    setup.write("50-sftp-import.conf", &drop_in);
    let account = setup.effective(DEBIAN, &setup.account);
    assert_eq!(account.get("chrootdirectory"), "/srv/sftp-import/%u");
    let helper = "/usr/lib/sftp-import/sftp-import-authorized-keys %u %f";
    assert_eq!(account.get("authorizedkeyscommand"), helper);
    assert_eq!(account.get("authorizedkeyscommanduser"), "_sftp-import-keys");
}

#[test]
fn every_drop_in_setting_applies_to_an_account() {
    let setup = Setup::new();
    let account = setup.effective(DEBIAN, &setup.account);
    let command = "internal-sftp -l INFO -d /incoming -u 0007 -P symlink,hardlink,mkdir,copy-data";
    for (key, value) in [
        ("forcecommand", command),
        ("pubkeyauthentication", "yes"),
        ("authenticationmethods", "publickey"),
        ("authorizedkeysfile", "none"),
        ("trustedusercakeys", "none"),
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("disableforwarding", "yes"),
        ("allowagentforwarding", "no"),
        ("x11forwarding", "no"),
        ("permittunnel", "no"),
        ("permittty", "no"),
        ("permituserrc", "no"),
        ("permitrootlogin", "no"),
        ("clientaliveinterval", "30"),
        ("clientalivecountmax", "4"),
        ("maxsessions", "4"),
        ("loglevel", "VERBOSE"),
    ] {
        assert_eq!(account.get(key), value, "{key}");
    }
}

/// For all other users each line of the effective configuration must be the same as without the
/// drop-in.
#[test]
fn the_drop_in_does_not_affect_other_users() {
    let setup = Setup::new();
    let without = DEBIAN.replace("INCLUDE\n", "");
    for user in ["root", "nobody", "sftp-import", "nosuchuser"] {
        let (with, without) = (setup.effective(DEBIAN, user), setup.effective(&without, user));
        assert_eq!(with.0, without.0, "{user}");
    }
}

/// The drop-in overrides a global value at any position. A `Match` in an earlier file overrides the
/// drop-in. The drop-in overrides a `Match` in a later file.
#[test]
fn earlier_match_blocks_override_the_drop_in() {
    let setup = Setup::new();
    let agreed = |main: &str| setup.effective(main, &setup.account).get("permittty").to_owned();
    assert_eq!(agreed("PermitTTY yes\nINCLUDE\n"), "no", "global, before");
    assert_eq!(agreed("INCLUDE\nPermitTTY yes\n"), "no", "global, after");
    assert_eq!(agreed("INCLUDE\nMatch all\nPermitTTY yes\n"), "no", "Match in sshd_config, after");
    assert_eq!(agreed("Match all\nPermitTTY yes\nMatch all\nINCLUDE\n"), "yes", "Match, before");
    setup.write("90-site.conf", "Match all\nPermitTTY yes\n");
    assert_eq!(agreed("INCLUDE\n"), "no", "Match in a later file");
    setup.write("10-site.conf", "PermitTTY yes\n");
    assert_eq!(agreed("INCLUDE\n"), "no", "global in an earlier file");
    setup.write("10-site.conf", "Match all\nPermitTTY yes\n");
    assert_eq!(agreed("INCLUDE\n"), "yes", "Match in an earlier file");
}

#[test]
fn a_match_block_ends_with_its_file() {
    let setup = Setup::new();
    setup.write("60-site.conf", "PermitTunnel ethernet\n");
    let root = setup.effective("INCLUDE\nPort 2022\nX11Forwarding yes\n", "root");
    assert_eq!(root.get("permittunnel"), "ethernet");
    assert_eq!((root.get("port"), root.get("x11forwarding")), ("2022", "yes"));
}

#[test]
fn an_include_applies_only_to_its_match_block() {
    let setup = Setup::new();
    let account = |main: &str| setup.effective(main, &setup.account).get("permittty").to_owned();
    assert_eq!(account("Match user somebody\nINCLUDE\n"), "yes");
    assert_eq!(account(&format!("Match user {}\nINCLUDE\n", setup.account)), "no");
}

/// The README leaves these settings to the sysadmin.
#[test]
fn allow_lists_of_sshd_still_apply() {
    let setup = Setup::new();
    let account = setup.effective("INCLUDE\nAllowGroups admins\n", &setup.account);
    assert_eq!(account.get("allowgroups"), "admins");
}
