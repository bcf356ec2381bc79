//! Tests of the ways in which clients upload a file: modes, temporary names, interrupted and
//! resumed uploads.

use std::path::Path;

use crate::support::account::Account;
use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::outcome::names;
use crate::support::pair::Pair;
use crate::support::process::{Process, run, until};

/// sftp sets the mode of the local file. The uploaded file is then in a folder that the daemon
/// owns, but the daemon may not read the file.
#[test]
fn files_uploaded_with_private_modes_are_imported() {
    let host = Host::running();
    let account = host.account("e2e-mode");
    for (stem, mode, put) in
        [("plain", 0o600, "put"), ("kept", 0o600, "put -p"), ("none", 0o400, "put -p")]
    {
        let pair = Pair::events(&account.local(), stem, 2);
        set_mode(&pair.data, mode);
        set_mode(&pair.manifest, mode);
        let (data, manifest) = (pair.data.display(), pair.manifest.display());
        account.sftp(&format!("{put} {data}\n{put} {manifest}\n")).ok();
        account.expect_accepted(&pair, 2);
    }
}

/// WinSCP uploads to the name `.filepart`, rclone to `.partial`, and other clients to a hidden
/// name. They then rename the file.
#[test]
fn uploads_by_rename_are_imported() {
    let host = Host::running();
    let account = host.account("e2e-rename");
    for (stem, before, after) in [("winscp", "", ".filepart"), ("other", ".", ".tmp")] {
        let pair = Pair::events(&account.local(), stem, 2);
        let steps: String = [&pair.data, &pair.manifest]
            .map(|file| {
                let name = file.file_name().unwrap().to_str().unwrap();
                let temporary = format!("{before}{name}{after}");
                format!("put {} {temporary}\nrename {temporary} {name}\n", file.display())
            })
            .concat();
        account.sftp(&steps).ok();
        account.expect_accepted(&pair, 2);
    }
}

/// Before the upload of the manifest, the client overwrites its own earlier upload by a rename.
#[test]
fn an_upload_replaced_by_rename_is_imported() {
    let host = Host::running();
    let account = host.account("e2e-rename-over");
    let pair = Pair::events(&account.local(), "e", 4);
    let old = Pair::events(&account.local(), "old", 1);
    let (old, data, manifest) = (old.data.display(), pair.data.display(), pair.manifest.display());
    account.sftp(&format!("put {old} e.csv\nput {data} t\nrename t e.csv\nput {manifest}\n")).ok();
    account.expect_accepted(&pair, 4);
}

/// A manifest that is uploaded first must wait for its data file.
#[test]
fn a_manifest_uploaded_first_waits_for_data() {
    let host = Host::running();
    let account = host.account("e2e-manifest-first");
    let pair = Pair::events(&account.local(), "e", 2);
    account.sftp(&format!("put {}\n", pair.manifest.display())).ok();
    // The scan for another pair also decides about the waiting manifest.
    account.import_all(&Pair::events(&account.local(), "another", 1), 1);
    assert_eq!(host.query("SELECT manifest FROM import"), ["another.manifest"]);
    account.sftp(&format!("put {}\n", pair.data.display())).ok();
    account.expect_accepted(&pair, 2);
}

/// The connection ends in the middle of the data file. The client uploads the rest with `reput`,
/// and then the manifest.
#[test]
fn a_resumed_upload_is_imported_completely() {
    let host = Host::running();
    let account = host.account("e2e-reput");
    let pair = Pair::events(&account.local(), "e", 60_000);
    let size = std::fs::metadata(&pair.data).unwrap().len();
    let uploaded = account.incoming().join("e.csv");
    cut_upload(&account, &pair.data, &uploaded);
    let cut = std::fs::metadata(&uploaded).unwrap().len();
    assert!(0 < cut && cut < size, "{cut} of {size} bytes arrived");
    let (data, manifest) = (pair.data.display(), pair.manifest.display());
    account.sftp(&format!("reput {data}\nput {manifest}\n")).ok();
    account.expect_accepted(&pair, 60_000);
}

/// Uploads slowly, and kills the client after some bytes have arrived.
fn cut_upload(account: &Account<'_>, file: &Path, uploaded: &Path) {
    let batch = account.local().join("batch");
    std::fs::write(&batch, format!("put {}\n", file.display())).unwrap();
    let mut args = account.options();
    let port = account.host.port.to_string();
    // The rate is 4 Mbit/s. The file has about 3 MB, so its upload takes about six seconds.
    args.extend(["-l", "4000", "-P", &port, "-b", text(&batch)].map(String::from));
    args.push(account.login());
    let client = Process::start("sftp", &args, &account.host.root.join("log/cut-client"));
    until("the first bytes", SOON, || {
        (std::fs::metadata(uploaded).ok()?.len() > 200_000).then_some(())
    });
    drop(client); // kills sftp and its ssh
}

/// The ids have the form of a real product: upper case, dashes, and a digit as the first character.
#[test]
fn account_ids_in_every_form_can_upload() {
    let host = Host::running();
    for id in
        ["TEST-ABC-123Z", "8R5-4K5-466Z", "e2e_under_score", "E2e-32-characters-is-the-longest"]
    {
        let account = host.account(id);
        let pair = Pair::events(&account.local(), "e", 2);
        account.import_all(&pair, 2);
    }
}

/// The scp protocol before OpenSSH 9 needs a shell. The client must end without hanging and leave
/// no file.
#[test]
fn an_old_scp_client_is_refused_immediately() {
    let host = Host::running();
    let account = host.account("e2e-old-scp");
    let pair = Pair::events(&account.local(), "e", 2);
    let mut args = account.options();
    args.extend(["-O".into(), "-P".into(), host.port.to_string()]);
    args.extend([text(&pair.data).into(), format!("{}:", account.login())]);
    let ran = run("scp", &args).refused();
    assert!(
        ran.stdout.contains("sftp connections only")
            || ran.stderr.contains("sftp connections only"),
        "{ran:?}"
    );
    assert_eq!(names(&account.incoming(), ""), [""; 0]);
}
