//! docs/ says what the program does: its examples are checked and imported, its tables are whole.
//!
//! An example is a fenced block whose info string has a file's name after the language. `json` and
//! `csv` are written to a folder; the lines of `text NAME.manifest` must be in what `check` says of
//! that manifest; `csv NAME.errors.csv` must be the error file that it leaves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sftp_import::report::FailureText;
use sftp_import::report::advice;
use tempfile::TempDir;

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// The examples of a document: by language and file name, their text.
fn examples(document: &str) -> BTreeMap<(String, String), String> {
    let mut examples = BTreeMap::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let text: String =
            lines.by_ref().take_while(|l| *l != "```").map(|l| format!("{l}\n")).collect();
        let Some((language, name)) = info.split_once(' ') else { continue };
        let twice = examples.insert((language.to_owned(), name.to_owned()), text);
        assert!(twice.is_none(), "{info} comes twice");
    }
    examples
}

/// A folder with a document's examples.
struct Folder {
    folder: TempDir,
    config: PathBuf,
}

impl Folder {
    fn new(examples: &BTreeMap<(String, String), String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for ((language, name), text) in examples {
            if language != "text" && !name.ends_with(".errors.csv") {
                fs::write(folder.path().join(name), text).unwrap();
            }
        }
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        let config = folder.path().join("config.toml");
        fs::write(&config, format!("[paths]\nstate = {state:?}\n")).unwrap();
        Self { folder, config }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import"));
        command.arg("--config").arg(&self.config).args(arguments);
        let output = command.current_dir(self.folder.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(error, "", "{arguments:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a report says beside names and times.
    fn verdict(&self, arguments: &[&str]) -> Vec<Value> {
        let report: Value = serde_json::from_str(&self.run(arguments)).unwrap();
        let keys = ["state", "records", "bytes", "sha256", "failure", "rejections", "warnings"];
        keys.iter().map(|key| report[key].clone()).collect()
    }
}

fn check_examples(name: &str, at_least: usize) {
    let examples = examples(&document(name));
    let folder = Folder::new(&examples);
    let told = examples.iter().filter(|((language, _), _)| language == "text");
    let mut manifests = 0;
    for ((_, manifest), lines) in told {
        let said = folder.run(&["check", manifest, "--errors", "."]);
        for line in lines.lines() {
            assert!(said.lines().any(|s| s.contains(line)), "{line} is not in\n{said}");
        }
        let stem = manifest.strip_suffix(".manifest").unwrap();
        let errors = format!("{stem}.errors.csv");
        if let Some(expected) = examples.get(&("csv".to_owned(), errors.clone())) {
            let written = fs::read_to_string(folder.folder.path().join(errors)).unwrap();
            assert_eq!(*expected, written);
        }
        let checked = folder.verdict(&["check", "--json", manifest]);
        let imported = folder.verdict(&["ingest", "--account", "acme", "--json", manifest]);
        assert_eq!(checked, imported, "{manifest}");
        manifests += 1;
    }
    let written = examples.keys().filter(|(_, file)| file.ends_with(".manifest"));
    assert_eq!(written.count(), 2 * manifests, "{name}: each manifest says what becomes of it");
    assert!(manifests >= at_least, "{name}: {manifests} manifests");
}

#[test]
fn examples_of_the_manifest() {
    check_examples("manifest.md", 4);
}

#[test]
fn examples_of_data_files() {
    check_examples("data-files.md", 4);
}

#[test]
fn every_key_of_the_manifest_is_told() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manifest/parse.rs");
    let source = fs::read_to_string(source).unwrap();
    let (_, keys) = source.split_once("const KEYS: [&str; ").unwrap();
    let (keys, _) = keys.split_once("];\n").unwrap();
    let keys: Vec<&str> = keys.split('"').skip(1).step_by(2).collect();
    assert!(keys.len() >= 10, "{keys:?}");
    let document = document("manifest.md");
    for key in keys.into_iter().chain(["ctName", "dataType", "format"]) {
        assert!(document.contains(&format!("\n| `{key}` | ")), "{key}");
    }
}

#[test]
fn every_text_is_told_with_its_advice() {
    let document = document("data-files.md");
    let failures = [
        FailureText::NoDataFile,
        FailureText::Unreadable,
        FailureText::Manifest,
        FailureText::Infra,
        FailureText::Internal,
    ];
    let failures = failures.map(|text| (text.as_str(), advice::on_failure(text)));
    for (text, advice) in failures.iter().chain(advice::REJECTIONS) {
        let row = format!("\n| `{text}` | {} |\n", advice.replace('|', "\\|"));
        assert!(document.contains(&row), "{row}");
    }
}
