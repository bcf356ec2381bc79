//! Tests of rules that cannot be tested with one pair, for example rules about repeated manifest
//! names.

use std::fs;
use std::process::Command;

use serde_json::Value as Json;
use tempfile::TempDir;

/// A host with a folder of pairs.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let config = format!("[paths]\nstate = {:?}\n", folder.path().join("state"));
        fs::write(folder.path().join("config.toml"), config).unwrap();
        Self(folder)
    }

    /// Writes a manifest and its data file.
    fn pair(&self, manifest: &str, data: &str) {
        let text = r#"{"type":"profile","fileName":"e.csv","clientEmail":"a@b.example"}"#;
        fs::write(self.0.path().join(manifest), text).unwrap();
        fs::write(self.0.path().join("e.csv"), data).unwrap();
    }

    /// Ingests the pair of `manifest` for an account. Returns the report and the exit status.
    fn ingest(&self, account: &str, manifest: &str) -> (Json, i32) {
        let output = Command::new(env!("CARGO_BIN_EXE_sftp-import"))
            .current_dir(self.0.path())
            .args(["--config", "config.toml", "--json", "ingest", "--account", account, manifest])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        let report =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {printed}"));
        (report, output.status.code().unwrap())
    }

    fn profiles(&self, account: &str) -> i64 {
        let path = self.0.path().join("state/data").join(account).join("profiles.db");
        let database = rusqlite::Connection::open(path).unwrap();
        database.query_row("SELECT count(*) FROM profile", [], |row| row.get(0)).unwrap()
    }
}

/// Mail about an ingested pair must follow the recipient rule of the account, if the account
/// exists.
#[test]
fn ingest_follows_the_recipient_rule() {
    let host = Host::new();
    host.pair("e.manifest", "identity\nj\n");
    let (first, _) = host.ingest("acme", "e.manifest");
    assert_eq!(first["warnings"], serde_json::json!([]));
    let database = rusqlite::Connection::open(host.0.path().join("state/state.db")).unwrap();
    let sql = "INSERT INTO account (id, email, recipient_domains, created_at)
               VALUES ('acme', 'ops@acme.example', '[]', 0)";
    database.execute(sql, []).unwrap();
    host.pair("f.manifest", "identity\nj\n");
    let (second, code) = host.ingest("acme", "f.manifest");
    assert_eq!((second["state"].as_str(), code), (Some("completed"), 0));
    let warning = second["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("clientEmail is a@b.example, "), "{second:#}");
    let sql = "SELECT group_concat(DISTINCT import || ' ' || destination) FROM delivery
               JOIN milestone ON milestone = milestone.id ORDER BY 1";
    let mails: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
    let [first, second] =
        [first, second].map(|report| report["import"].as_str().unwrap().to_owned());
    assert_eq!(mails, format!("{first} a@b.example,{second} ops@acme.example"));
}

#[test]
fn a_manifest_name_can_be_used_once() {
    let host = Host::new();
    host.pair("e.manifest", "identity\nj\n");
    let (first, code) = host.ingest("acme", "e.manifest");
    assert_eq!((first["state"].as_str(), code), (Some("completed"), 0));
    host.pair("e.manifest", "identity\nk\n");
    let (second, code) = host.ingest("acme", "e.manifest");
    assert_eq!((second["state"].as_str(), code), (Some("failed"), 1));
    assert_eq!(second["failure"]["message"], "Incorrect details in manifest file");
    let detail = second["failure"]["detail"].as_str().unwrap();
    assert!(detail.contains("\"e.manifest\" was used before, by import"), "{detail}");
    assert!(detail.contains("give it a name with a date in it"), "{detail}");
    assert!(detail.contains(first["import"].as_str().unwrap()), "{detail}");
    assert_eq!(host.profiles("acme"), 1);
    // The names of another account are independent of this account's names. A name that was not
    // used before is accepted.
    assert_eq!(host.ingest("other", "e.manifest").1, 0);
    host.pair("f.manifest", "identity\nk\n");
    assert_eq!(host.ingest("acme", "f.manifest").1, 0);
    assert_eq!(host.profiles("acme"), 2);
}

/// The manifest name of a failed import can't be used again.
#[test]
fn failed_imports_also_use_their_manifest_names() {
    let host = Host::new();
    host.pair("e.manifest", "identity\n");
    assert_eq!(host.ingest("acme", "e.manifest").1, 1);
    host.pair("e.manifest", "identity\nj\n");
    let (second, code) = host.ingest("acme", "e.manifest");
    assert_eq!(code, 1);
    assert_eq!(second["failure"]["message"], "Incorrect details in manifest file");
}

#[test]
fn a_manifest_name_must_end_in_manifest() {
    let host = Host::new();
    host.pair("e.json", "identity\nj\n");
    let (report, code) = host.ingest("acme", "e.json");
    assert_eq!(code, 1);
    assert_eq!(report["failure"]["message"], "Incorrect details in manifest file");
    let detail = "the name \"e.json\" does not end in .manifest: rename the file to e.manifest";
    assert_eq!(report["failure"]["detail"], detail);
    // The name e.manifest was not used by the failed import.
    host.pair("e.manifest", "identity\nj\n");
    assert_eq!(host.ingest("acme", "e.manifest").1, 0);
}

#[test]
fn reused_names_are_accepted_if_configured() {
    let host = Host::new();
    let path = host.0.path().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let accept = "[account.acme.pairing]\nreused-manifest = 'accept'\n";
    fs::write(path, format!("{config}{accept}")).unwrap();
    for data in ["identity\nj\n", "identity\nk\n"] {
        host.pair("e.manifest", data);
        assert_eq!(host.ingest("acme", "e.manifest").1, 0);
    }
    assert_eq!(host.profiles("acme"), 2);
    host.pair("E.MANIFEST", "identity\nj\n");
    assert_eq!(host.ingest("other", "E.MANIFEST").1, 0);
    host.pair("E.manifest", "identity\nj\n");
    assert_eq!(host.ingest("other", "E.manifest").1, 1);
}

#[test]
fn data_file_names_are_compared_in_normal_form() {
    let host = Host::new();
    let text =
        "{\"type\":\"profile\",\"fileName\":\"K\u{e4}ufe.csv\",\"clientEmail\":\"a@b.example\"}";
    fs::write(host.0.path().join("e.manifest"), text).unwrap();
    fs::write(host.0.path().join("Ka\u{308}ufe.csv"), "identity\nj\n").unwrap();
    assert_eq!(host.ingest("acme", "e.manifest").1, 0);
    assert_eq!(host.profiles("acme"), 1);
}
