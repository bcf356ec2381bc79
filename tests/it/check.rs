//! Tests of `sftp-import check`: its output with and without colours, and its exit status.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with files of a partner, and no configuration.
struct Laptop(TempDir);

impl Laptop {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with_samples() -> Self {
        let laptop = Self::new();
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        for name in ["events", "profiles", "orders"] {
            for kind in ["csv", "manifest"] {
                let name = format!("{name}.{kind}");
                fs::copy(samples.join(&name), laptop.0.path().join(name)).unwrap();
            }
        }
        laptop
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import"));
        command.current_dir(self.0.path()).env_clear().args(arguments);
        command.args(["--config", "/dev/null"]); // an empty configuration
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Returns both output streams and the exit status as text for a snapshot.
    fn shown(&self, arguments: &[&str], colours: bool) -> String {
        let (typed, printed) = self.print(arguments, colours);
        assert!(colours || !printed.contains('\x1b'), "{printed:?}");
        format!("{typed}{}", printed.replace('\x1b', "␛"))
    }

    fn print(&self, arguments: &[&str], colours: bool) -> (String, String) {
        let mut command = self.command(arguments);
        if colours {
            command.env("CLICOLOR_FORCE", "1");
        }
        let output = command.output().unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|b| String::from_utf8_lossy(b));
        let status = output.status.code().unwrap();
        let typed = format!("$ sftp-import {}\n", arguments.join(" ").escape_default());
        (typed, format!("{out}{err}[{status}]\n"))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Compares a text with a snapshot. Parts that differ from run to run are replaced.
macro_rules! snapshot {
    ($name:literal, $text:expr) => {
        insta::with_settings!({ filters => vec![
            (r"[0-9a-f]{64}", "DIGEST"),
            (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "DATE"),
        ], omit_expression => true }, { insta::assert_snapshot!($name, $text) });
    };
}

#[test]
fn check_prints_results_of_several_manifests() {
    let laptop = Laptop::with_samples();
    snapshot!("clean", laptop.shown(&["check", "events.manifest"], false));
    snapshot!("rejecting", laptop.shown(&["check", "orders.manifest"], false));
    let all = ["check", "events.manifest", "orders.manifest", "none.manifest", "profiles.manifest"];
    snapshot!("several", laptop.shown(&all, false));
}

#[test]
fn check_prints_colours_unless_disabled() {
    let laptop = Laptop::with_samples();
    laptop.write("bad.manifest", r#"{"type":"event","columns":{"a":{"dataType":"int"}}}"#);
    let all = ["check", "events.manifest", "orders.manifest", "bad.manifest"];
    snapshot!("coloured", laptop.shown(&all, true));
    let mut command = laptop.command(&all);
    let output = command.env("NO_COLOR", "1").output().unwrap();
    assert!(!output.stdout.contains(&0x1b));
}

/// Returns the output of `check` on a terminal. `script` of util-linux provides the terminal.
/// `None` if `script` is missing.
fn on_a_terminal(laptop: &Laptop, manifest: &str, no_color: bool) -> Option<String> {
    let check = format!("{} check {manifest}", env!("CARGO_BIN_EXE_sftp-import"));
    let mut script = Command::new("script");
    script.args(["-qec", &check, "/dev/null"]).current_dir(laptop.0.path());
    script.env("TERM", "xterm").env_remove("NO_COLOR").stdin(Stdio::null());
    if no_color {
        script.env("NO_COLOR", "1");
    }
    match script.output() {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(error) => {
            eprintln!("SKIPPED: no terminal without script(1): {error}");
            None
        }
    }
}

#[test]
fn check_uses_colours_on_a_terminal() {
    let laptop = Laptop::with_samples();
    let Some(printed) = on_a_terminal(&laptop, "events.manifest", false) else { return };
    assert!(printed.contains("\x1b[32mwould import completely"), "{printed:?}");
    assert!(!printed.contains("eta"), "a short check must show no progress bar: {printed:?}");
    let printed = on_a_terminal(&laptop, "events.manifest", true).unwrap();
    assert!(printed.contains("events.manifest: would import completely"), "{printed:?}");
    assert!(!printed.contains("\x1b[3"), "{printed:?}");
}

#[test]
fn a_long_check_shows_a_progress_bar() {
    let laptop = Laptop::new();
    let manifest = r#"{"type":"event","fileName":"e.csv","clientEmail":"jane@example.com"}"#;
    laptop.write("e.manifest", manifest);
    let mut file = "evtName,identity,a,b,c\n".to_owned();
    // The necessary size depends on the speed of the machine. The size is doubled until the check
    // is slow enough for a progress bar.
    for records in (18..24).map(|power| 1 << power) {
        file.push_str(&"Purchased,jane@example.com,1,2,3\n".repeat(records));
        laptop.write("e.csv", &file);
        let Some(printed) = on_a_terminal(&laptop, "e.manifest", false) else { return };
        if printed.contains("records eta") {
            assert!(
                printed.trim_end().rsplit_once("\x1b[2K").is_some(),
                "the bar must be erased: {printed:?}"
            );
            return;
        }
    }
    panic!("no progress bar after 16 million records");
}

#[test]
fn a_failed_check_lists_every_finding() {
    let laptop = Laptop::new();
    let manifest = r#"{"type":"events","fileName":"../e.csv","clientEmail":"jane",
        "columns":{"price":{"dataType":"int"}},"retries":3}"#;
    laptop.write("bad.manifest", manifest);
    snapshot!("failing", laptop.shown(&["check", "bad.manifest"], false));
    laptop.write("bad.manifest", "{\"type\": \"event\",\n \"fileName\": }");
    snapshot!("no_json", laptop.shown(&["check", "bad.manifest"], false));
    let manifest = r#"{"type":"event","fileName":"e.csv","clientEmail":"jane@example.com"}"#;
    laptop.write("lonely.manifest", manifest);
    snapshot!("no_data_file", laptop.shown(&["check", "lonely.manifest"], false));
}

#[test]
fn hostile_names_and_cells_never_reach_the_terminal() {
    let laptop = Laptop::new();
    let name = "\u{1b}[2J\u{202e}x\r\n.manifest";
    let manifest = r#"{"type":"profile","fileName":"e.csv","clientEmail":"jane@example.com",
        "\u001b]0;owned\u0007\u200b\u2066\u3164":1,
        "columns":{"a":{"ctName":"b\u009b31m","dataType":"INTEGER"}}}"#;
    laptop.write(name, manifest);
    // The name of the property is reported as a finding. With another name, the cells are reported
    // as rejected.
    let renamed = "\u{9b}\u{7f}.manifest";
    laptop.write(renamed, manifest.replace("b\\u009b31m", "b"));
    laptop.write("e.csv", "identity,a\n\x1b]0;owned\x07,\u{9b}31m\x08\u{200b}\u{e0041}\u{3164}\n");
    for arguments in
        [&["check", name][..], &["check", name, renamed], &["check", renamed, name, "--json"]]
    {
        for colours in [false, true] {
            let text = without_own_colours(&laptop.print(arguments, colours).1);
            let hidden = ['\u{202e}', '\u{200b}', '\u{2066}', '\u{3164}', '\u{e0041}'];
            let is_raw = |c: &char| (c.is_control() && *c != '\n') || hidden.contains(c);
            let raw: Vec<char> = text.chars().filter(is_raw).collect();
            assert!(raw.is_empty(), "{raw:?} in {text}");
        }
    }
    snapshot!("hostile", laptop.shown(&["check", name, renamed], false));
}

/// Returns `text` without the escape sequences that `check` itself writes.
fn without_own_colours(text: &str) -> String {
    ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"]
        .iter()
        .fold(text.to_owned(), |text, sequence| text.replace(sequence, ""))
}

#[test]
fn check_prints_a_json_object_or_list() {
    let laptop = Laptop::with_samples();
    let one = laptop.run(&["check", "--json", "orders.manifest"]);
    let report: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!(one.status.code(), Some(1));
    assert_eq!(report["manifest"], "orders.manifest");
    assert_eq!(report["records"], serde_json::json!({"read": 7, "accepted": 2, "rejected": 5}));
    assert_eq!(report["import"], Value::Null);
    let clean = laptop.run(&["check", "--json", "events.manifest", "profiles.manifest"]);
    let reports: Value = serde_json::from_slice(&clean.stdout).unwrap();
    assert_eq!(clean.status.code(), Some(0));
    assert_eq!(reports.as_array().unwrap().len(), 2);
    assert_eq!(reports[1]["type"], "profile");
    // An unreadable manifest is reported on standard error, so that standard output is still a
    // list.
    let part = laptop.run(&["check", "--json", "events.manifest", "none.manifest"]);
    let reports: Value = serde_json::from_slice(&part.stdout).unwrap();
    assert_eq!((part.status.code(), reports.as_array().unwrap().len()), (Some(1), 1));
    assert!(String::from_utf8_lossy(&part.stderr).contains("cannot read the manifest"));
}

#[test]
fn check_writes_no_file_by_default() {
    let laptop = Laptop::with_samples();
    let before = laptop.names();
    fs::set_permissions(laptop.0.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let output = laptop.run(&["check", "orders.manifest"]);
    fs::set_permissions(laptop.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(laptop.names(), before);
}

#[test]
fn check_writes_error_files_on_request() {
    let laptop = Laptop::with_samples();
    fs::create_dir(laptop.0.path().join("out")).unwrap();
    let all = ["check", "orders.manifest", "events.manifest", "--errors", "out"];
    assert_eq!(laptop.run(&all).status.code(), Some(1));
    let mut names: Vec<_> = fs::read_dir(laptop.0.path().join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["orders.errors.csv", "orders.errors.jsonl"]);
    let file = fs::read_to_string(laptop.0.path().join("out/orders.errors.csv")).unwrap();
    assert_eq!(file.lines().count(), 6);
    assert!(file.lines().next().unwrap().ends_with(",\"Failure Description\""));
    let none = laptop.shown(&["check", "orders.manifest", "--errors", "nowhere"], false);
    assert!(none.contains("cannot write error files in nowhere") && none.ends_with("[1]\n"));
    let twice = ["check", "orders.manifest", "./orders.manifest", "--errors", "out"];
    assert!(laptop.shown(&twice, false).contains("their error files would have the same name"));
}

#[test]
fn wrong_usage_exits_with_status_2() {
    let laptop = Laptop::with_samples();
    for arguments in [&["check"][..], &["check", "--no-such-option", "orders.manifest"]] {
        assert_eq!(laptop.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn check_finds_the_data_file_beside_manifests() {
    let laptop = Laptop::with_samples();
    let manifest = laptop.0.path().join("events.manifest");
    let output =
        laptop.command(&["check", manifest.to_str().unwrap()]).current_dir("/").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
