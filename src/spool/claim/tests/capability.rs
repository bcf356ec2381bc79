//! The test of a claim with the capabilities of the service: the daemon has none, and its opener
//! has two.

use std::fs::File;
use std::path::Path;

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::*;
use crate::spool::incoming::listing::IncomingListing;
use crate::spool::layout::DATA;
use crate::spool::opener;
use crate::spool::opener::Access;

/// The environment variable that is set in the process that
/// [`the_daemon_claims_and_reads_without_a_capability`] starts.
const RERUN: &str = "SFTP_IMPORT_TEST_UNPRIVILEGED";

/// The process has the rights of the service: it does not run as root, and owns incoming and the
/// spool. Uploads belong to another user and have the mode 0600.
#[test]
fn the_daemon_claims_and_reads_without_a_capability() {
    if let Some(root) = std::env::var_os(RERUN) {
        return unprivileged(Path::new(&root));
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can act as another user");
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

const TEST_NAME: &str = "with_daemon::spool::claim::tests::capability::the_daemon_claims_and_reads_without_a_capability";

fn unprivileged(root: &Path) {
    let paths = crate::config::Paths { accounts: root.into(), ..Default::default() };
    let layout = Layout::new(&paths);
    // Capabilities belong to threads. The threads of the opener have capabilities, and this thread
    // has none.
    let (ours, theirs) = opener::pair().unwrap();
    let access = Access::new(root, 70_000..=99_999);
    std::thread::spawn(move || opener::serve(theirs, access).unwrap());
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).unwrap();
    let opener = Opener::connect(ours);
    let (account, import) = ("TEST-ABC-123Z".parse().unwrap(), "sftp1-42".parse().unwrap());
    let incoming = Folder::open(&layout.incoming(&account)).unwrap();
    let entries = IncomingListing::read(&incoming, 100).unwrap().entries;
    assert!(File::open(layout.incoming(&account).join("e.csv")).is_err(), "mode 0600");
    let id = |name| FileId::of(entries.iter().find(|entry| entry.name == name).unwrap());
    let claim = Claim { data: Some(id("e.csv")), manifest: id("e.manifest") };
    match claim.execute(&layout, &account, &import, &opener) {
        Err(ClaimError::StillWritten { .. }) => println!("unprivileged: still being written"),
        Err(error) => panic!("{error:?}"),
        Ok(claimed) => {
            let data = SpooledImport::open(&layout, &import, &opener).unwrap().data().unwrap();
            let mut bytes = Vec::new();
            data.reader().unwrap().read_to_end(&mut bytes).unwrap();
            assert!(data.unchanged().unwrap());
            assert_eq!(claimed, Some(bytes.len() as u64));
            println!("unprivileged: claimed {} bytes and read them", bytes.len());
        }
    }
}
