//! The claim as the service makes it: with two capabilities and no more.

use std::fs::File;
use std::path::Path;

use super::super::super::listing::Listing;
use super::*;

/// Set in the process that [`two_capabilities_are_enough`] starts.
const RERUN: &str = "SFTP_IMPORT_TEST_UNPRIVILEGED";

/// As the service runs: not root, owner of incoming and spool, with two capabilities; uploads are
/// another user's, with mode 0600.
#[test]
fn two_capabilities_are_enough() {
    if let Some(root) = std::env::var_os(RERUN) {
        return unprivileged(Path::new(&root));
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can take another user's place");
        return;
    }
    let (host, _) = pair();
    let service = Some(nix::unistd::Uid::from_raw(65534));
    let partner = Some(nix::unistd::Uid::from_raw(70123));
    for folder in [host.layout.spool(), host.incoming()] {
        nix::unistd::chown(&folder, service, None).unwrap();
    }
    for name in ["e.csv", "e.manifest"] {
        let path = host.incoming().join(name);
        nix::unistd::chown(&path, partner, None).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let group = Some(nix::unistd::Gid::from_raw(65534));
    nix::unistd::chown(host.layout.root(), None, group).unwrap();
    std::fs::set_permissions(host.layout.root(), std::fs::Permissions::from_mode(0o750)).unwrap();
    let program = std::env::current_exe().unwrap();
    let writer = OpenOptions::new().append(true).open(host.incoming().join("e.csv")).unwrap();
    let run = |expected: &str| {
        let output = std::process::Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["--inh-caps", "-all,+dac_read_search,+lease"])
            .args(["--ambient-caps", "-all,+dac_read_search,+lease"])
            .arg(&program)
            .args(["--exact", "--nocapture", TEST_NAME])
            .env(RERUN, host.layout.root())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains(expected), "{text}{}", String::from_utf8_lossy(&output.stderr));
    };
    run("unprivileged: still being written");
    drop(writer);
    host.closed("e.csv");
    run("unprivileged: claimed 11 bytes and read them");
    let data = File::open(host.spooled().join(DATA)).unwrap();
    assert_eq!(data.metadata().unwrap().len(), 11);
}

const TEST_NAME: &str =
    "with_daemon::spool::claim::tests::capabilities::two_capabilities_are_enough";

fn unprivileged(root: &Path) {
    let paths =
        crate::config::Paths { accounts: root.into(), state: root.into(), ..Default::default() };
    let layout = Layout::new(&paths);
    let (account, import) = ("TEST-ABC-123Z".parse().unwrap(), "sftp1-42".parse().unwrap());
    let incoming = Folder::open(&layout.incoming(&account)).unwrap();
    let entries = Listing::read(&incoming, 100).unwrap().entries;
    let id = |name| FileId::of(entries.iter().find(|entry| entry.name == name).unwrap());
    let claim = Claim { data: Some(id("e.csv")), manifest: id("e.manifest") };
    match claim.execute(&layout, &account, &import) {
        Err(ClaimError::StillWritten { .. }) => println!("unprivileged: still being written"),
        Err(error) => panic!("{error:?}"),
        Ok(claimed) => {
            let data = SpooledImport::open(&layout, &import).unwrap().data().unwrap();
            let mut bytes = Vec::new();
            data.reader().unwrap().read_to_end(&mut bytes).unwrap();
            assert!(data.unchanged().unwrap());
            assert_eq!(claimed.data_size, Some(bytes.len() as u64));
            println!("unprivileged: claimed {} bytes and read them", bytes.len());
        }
    }
}
