//! Any bytes as changes to the state database, which the daemon's user can write and root's commands
//! read.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use rusqlite::Connection;
use sftp_import::account::AccountId;
use sftp_import::import::ImportRow;
use sftp_import::import_id::ImportId;
use sftp_import::registry::backup;
use sftp_import::state::activity::ActivityPages;
use sftp_import::state::db::backup as state_backup;
use sftp_import::state::imports::unfinished;
use sftp_import::state::{
    Error, State, account_data, accounts, activity, deliveries, endpoints, health, imports,
    incoming_full, keys, replace,
};
use tempfile::TempDir;

/// Inputs to begin with.
pub const SEEDS: &[&[u8]] = &[
    b"",
    b"\xc0\x00\x3c\xff\xc0\x00\x3d\xff\xc0\x00\x3e\xff\xc0\x00\x3f\xff", // schema -1
    b"\xc0\x00\x10\x00\xc0\x00\x12\x01\xc0\x00\x13\x01\xc0\x00\x20\x02",
    b"\xc0\x00\x3f\x03", // schema 3
    b"\x00\x10\x05\x05\x00\x20\x00\x0a\x00\x30\x08\xff\x01\x00\x64\x80",
    b"\x00\x00\x64\x05\x00\x00\x68\x7f\x00\x00\x6a\x01",
];

struct Database {
    folder: TempDir,
    bytes: Vec<u8>,
}

fn database() -> &'static Database {
    static DATABASE: OnceLock<Database> = OnceLock::new();
    DATABASE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder for the state database");
        let path = folder.path().join("state.db");
        drop(State::open(&path).expect("opens"));
        let connection = Connection::open(&path).expect("opens");
        connection
            .execute_batch(include_str!("../../tests/upgrade/schema-1.sql"))
            .expect("takes rows of every table");
        connection.close().expect("closes, and moves all into one file");
        let bytes = std::fs::read(&path).expect("reads");
        Database { folder, bytes }
    })
}

/// Places from here on are in the database's header, of 100 bytes (sqlite.org/fileformat.html).
const HEADER: usize = 0xc0_0000;

/// Three bytes of a place and one that is put there, again and again.
pub fn run(bytes: &[u8]) {
    let Database { folder, bytes: whole } = database();
    let mut changed = whole.clone();
    for change in bytes.chunks_exact(4) {
        let place = u32::from_be_bytes([0, change[0], change[1], change[2]]) as usize;
        let place = match place.checked_sub(HEADER) {
            Some(place) => place % 100,
            None => place % changed.len(),
        };
        changed[place] = change[3];
    }
    let path = folder.path().join("changed/state.db");
    begin(&path, &changed);
    use_all(&path);
    // Restored as a backup, and replaced by one.
    begin(&path, &changed);
    let (copied, new) = (path.with_file_name("copy"), path.with_file_name("new.db"));
    let _ = state_backup::backup(&path, &copied, |_| Ok::<_, sftp_import::state::BackupError>(()));
    let _ = replace(&new, &path, Timestamp::UNIX_EPOCH, backup::remove);
    let sound = folder.path().join("sound");
    std::fs::write(&sound, whole).expect("writes");
    replace(&path, &sound, Timestamp::UNIX_EPOCH, backup::remove)
        .expect("a damaged database is replaced");
    State::open(&path).and_then(|state| state.check()).expect("what was put back is sound");
}

/// A new folder with the database `bytes` in it.
fn begin(path: &Path, bytes: &[u8]) {
    let folder: PathBuf = path.parent().expect("a folder").into();
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).expect("makes the folder");
    std::fs::write(path, bytes).expect("writes");
}

/// What commands do with it: each gives rows or an error.
fn use_all(path: &Path) {
    let _ = health::examine(path);
    let Ok(state) = State::open(path) else { return };
    let now = Timestamp::UNIX_EPOCH;
    let account: AccountId = "ACME-1".parse().expect("an account's id");
    let import: ImportId = "sftp1-41".parse().expect("an import's id");
    let _ = state.check();
    let _ = state.read(accounts::list);
    let _ = state.read(|tx| accounts::get(tx, &account));
    let _ = state.read(|tx| keys::list(tx, None, true));
    let _ = state.read(|tx| keys::find(tx, &account, "laptop"));
    let _ = state.read(|tx| Ok::<_, Error>(backup::read_state(tx).map(drop).is_ok()));
    let filter = imports::ImportFilter { limit: 50, ..Default::default() };
    let rows = |rows: Result<Vec<ImportRow>, Error>| rows.map(drop);
    let _ = state.read(|tx| rows(imports::list(tx, &filter)));
    let _ = state.read(|tx| rows(imports::unfinished(tx)));
    let _ = state.read(|tx| rows(imports::unfinished_of(tx, &account)));
    let _ = state.read(|tx| rows(imports::unfinished_ingests(tx)));
    let _ = state.read(|tx| {
        let row: Result<Option<ImportRow>, Error> = imports::get(tx, import.as_str());
        row
    });
    let _ = state.read(|tx| imports::ids_of(tx, &account));
    let _ = state.read(|tx| unfinished::retried_at(tx, &import));
    let filter = deliveries::DeliveryFilter { limit: 50, ..Default::default() };
    let _ = state.read(|tx| deliveries::list(tx, &filter));
    let _ = state.read(|tx| deliveries::list_attempts(tx, 1));
    let _ = state.read(|tx| endpoints::list(tx, None));
    let _ = state.read(|tx| endpoints::find_target(tx, account.as_str(), "crm", now));
    let _ = state.read(|tx| health::read_backlog(tx, now));
    let _ = state.read(incoming_full::list);
    let _ = state.read(|tx| activity::recent(tx, None, 50));
    export_activity(&state);
    let _ = state.read(|tx| {
        account_data::for_each_row(tx, &account, |table, _| {
            let is_name = table.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            assert!(is_name, "{table:?} would be part of a path");
            Ok::<_, Error>(())
        })
    });
    let _ = state.write(|tx| accounts::set_contact(tx, now, &account, None));
    let _ = state.write(|tx| account_data::erase(tx, &account, now));
    let _ = state.checkpoint();
}

/// As `activity export`: page after page, which must come to an end.
fn export_activity(state: &State) {
    let Ok(mut pages) = state.read(|tx| ActivityPages::new(tx, None, None)) else { return };
    for _ in 0..1000 {
        match state.read(|tx| pages.next(tx)) {
            Ok(lines) if !lines.is_empty() => {}
            _ => return,
        }
    }
    panic!("the activity log has no end");
}
