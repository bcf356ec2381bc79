//! Tests of `sftp-import webhook` and `sftp-import delivery`: their output and exit status.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use sftp_import::outbox::{Milestone, Recipients, enqueue};
use sftp_import::report::Report;
use sftp_import::state::State;
use sftp_import::state::deliveries::{self, Attempt, AttemptResult};
use sftp_import::state::endpoints;
use tempfile::TempDir;

struct Host {
    folder: TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "[paths]\nstate = {0:?}\nadmin = {0:?}\nkeys = {0:?}\n[webhooks]\nallow = [\"127.0.0.1/32\"]\n",
            folder.path()
        );
        std::fs::write(folder.path().join("config.toml"), config).unwrap();
        let host = Self { folder };
        let connection = rusqlite(&host);
        connection.execute("INSERT INTO account (id, created_at) VALUES ('acme', 0)", []).unwrap();
        host
    }

    fn state(&self) -> State {
        State::open(&self.folder.path().join("state.db")).unwrap()
    }

    /// Runs a command. Returns the output on both streams and the exit status.
    fn run(&self, line: &str) -> String {
        let config = self.folder.path().join("config.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import"));
        command.arg("--config").arg(config).args(line.split(' '));
        // Webhooks must ignore the proxies in the environment. No server listens at this proxy
        // address.
        command.env("ALL_PROXY", "http://127.0.0.1:9").env("HTTP_PROXY", "http://127.0.0.1:9");
        let output = command.output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
        format!("$ sftp-import {line}\n{out}{err}[{}]\n", output.status.code().unwrap())
    }
}

fn rusqlite(host: &Host) -> rusqlite::Connection {
    drop(host.state());
    rusqlite::Connection::open(host.folder.path().join("state.db")).unwrap()
}

/// Returns snapshot settings that replace texts which differ from run to run.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"whsec_[A-Za-z0-9+/=]+", "whsec_SECRET");
    settings.add_filter(r"each request retries\. .*", "each request retries. WHY");
    settings.add_filter(r"msg_[0-9a-f]{32}", "msg_ID");
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT");
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "DATE");
    settings.add_filter(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "DATE");
    settings
}

/// A child process that is killed at the end of the test.
pub struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn catcher(folder: &Path) -> (Killed, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/catchers/webhook.py");
    let mut child = Command::new("/usr/bin/python3")
        .arg(script)
        .arg("--file")
        .arg(folder.join("requests.jsonl"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    (Killed(child), format!("http://127.0.0.1:{}", port.trim()))
}

#[test]
fn webhook_commands_print_the_expected_output() {
    let host = Host::new();
    let (_catcher, url) = catcher(host.folder.path());
    let lines = [
        "webhook list".to_owned(),
        format!("webhook add nobody crm {url}/in"),
        format!("webhook add acme crm {url}/in"),
        format!("webhook add acme crm {url}/in"),
        format!("webhook add acme gone {url}/410"),
        "webhook add acme bad ftp://example.com/".to_owned(),
        "webhook add acme inside http://169.254.169.254/latest".to_owned(),
        "webhook add acme later http://name.invalid/".to_owned(),
        "webhook add acme b/d https://example.com/".to_owned(),
        "webhook list acme".to_owned(),
        "--json webhook list acme".to_owned(),
        "webhook test acme crm".to_owned(),
        "webhook test acme gone".to_owned(),
        "--json webhook test acme gone".to_owned(),
        "webhook test acme none".to_owned(),
        "webhook rotate acme crm".to_owned(),
        "webhook rotate acme none".to_owned(),
        "webhook enable acme gone".to_owned(),
        "webhook remove acme gone".to_owned(),
        "webhook remove acme gone".to_owned(),
    ];
    let output: String = lines.iter().map(|line| host.run(line)).collect();
    settings().bind(|| insta::assert_snapshot!(output));
}

#[test]
fn delivery_commands_print_the_expected_output() {
    let host = Host::new();
    let at = Timestamp::now();
    let mut report =
        Report::queued("e.manifest", at).of(&"sftp1-42".parse().unwrap(), &"acme".parse().unwrap());
    report.data_file = Some("\u{1b}[2Je.csv".into());
    let to = Recipients { client_email: Some("data@acme.example".into()), ..Recipients::default() };
    let refused = Attempt { at, took_ms: 12, outcome: "550 \u{1b}[2Jno such user".into() };
    host.state()
        .write(|tx| {
            enqueue(tx, at, Milestone::PickedUp, &report, &to)?;
            enqueue(tx, at, Milestone::Completed, &report, &to)?;
            deliveries::record_attempt(tx, 1, &refused, AttemptResult::Failed)?;
            let (acme, url) = ("acme".parse().unwrap(), "https://crm.example.com/in");
            endpoints::add(tx, at, &acme, "crm", url, "whsec_x")?;
            endpoints::disable(tx, at, "acme", "crm", "410 Gone \u{1b}[2J")?;
            Ok::<_, sftp_import::outbox::Error>(())
        })
        .unwrap();
    let output: String = [
        "delivery list",
        "delivery list --pending",
        "delivery list --failed",
        "delivery list --failed --account other",
        "--json delivery list --failed --account acme",
        "delivery list --pending --failed",
        "delivery list --import sftp1-42 --by email --pending",
        "delivery list --by webhook",
        "delivery list --by pigeon",
        "delivery list --delivered",
        "delivery show 1",
        "--json delivery show 1",
        "delivery retry --failed --account other",
        "delivery retry --failed --account acme",
        "delivery retry --failed 1",
        "delivery retry",
        "delivery retry 1",
        "delivery list --failed",
        "delivery retry 3",
        "delivery show 3",
    ]
    .map(|line| host.run(line))
    .concat();
    assert!(!output.contains('\u{1b}'), "{output}");
    settings().bind(|| insta::assert_snapshot!(output));
}
