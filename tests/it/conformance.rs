//! Runs the conformance corpus through `check` and `ingest`. Both must have the same result, and
//! the store must contain the accepted records.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use sftp_import::account::AccountId;
use sftp_import::config::Config;
use sftp_import::import::{ErrorFolder, Importer, LocalPair, Monitor, check, ingest};
use sftp_import::report::{ImportState, Report};
use tempfile::TempDir;

use super::corpus::{Case, groups};
use super::stored::stored;

const ACCOUNT: &str = "TEST-ABC-123Z";

/// Parts of warnings about data of earlier imports. `check` does not know this data.
const STORED: [&str; 3] =
    ["ids belonged to another profile", "left without an id", "earlier imports stored it as"];

/// The result of checking or importing a pair.
#[derive(Debug, PartialEq)]
struct Answer {
    /// The report without ids, times and paths.
    report: Json,
    /// The values of `firstTs` and `lastTs`. If the file has no `ts`, they differ between runs.
    ts: Vec<String>,
    error_file: Option<String>,
    error_lines: Vec<Json>,
}

/// The pair of a case on disk, with an importer for the pair.
struct Bench {
    folder: TempDir,
    importer: Importer,
    account: AccountId,
}

impl Bench {
    fn new(case: &Case) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config =
            Config { limits: toml::from_str(&case.limits).unwrap(), ..Config::default() };
        config.node.name = "sftp1".into();
        config.paths.state = folder.path().join("state");
        for name in ["state", "pair", "checked", "ingested"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let text = format!(
            "[node]\nname = 'sftp1'\n[paths]\nstate = {:?}\n[limits]\n{}\n",
            config.paths.state, case.limits
        );
        fs::write(folder.path().join("config.toml"), text).unwrap();
        let importer = Importer::open(Arc::new(config)).unwrap();
        let bench = Self { folder, importer, account: ACCOUNT.parse().unwrap() };
        if let Some(before) = &case.before {
            let data = Some(before.clone().into_bytes());
            let manifest = bench.write("before.manifest", case, &case.manifest_before(), data);
            let report = bench.ingested(&manifest, "ingested");
            assert_eq!(report.state, ImportState::Completed, "before: {report:?}");
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the pair. Returns the path of the manifest.
    fn write(&self, manifest: &str, case: &Case, text: &str, data: Option<Vec<u8>>) -> PathBuf {
        if let Some(data) = data {
            let name = case.on_disk.as_deref().unwrap_or_else(|| case.data_file_name());
            fs::write(self.path("pair").join(name), data).unwrap();
        }
        let path = self.path("pair").join(manifest);
        fs::write(&path, text).unwrap();
        path
    }

    fn checked(&self, manifest: &Path) -> Answer {
        let limits = &self.importer.context.config.limits;
        let local = LocalPair::open(manifest, limits).unwrap();
        let folder = self.path("checked");
        let mut errors = ErrorFolder::create(&folder, local.stem()).unwrap();
        let report = check(&local, limits, &mut errors, &Monitor::default()).unwrap();
        errors.keep().unwrap();
        answer(&serde_json::to_value(report).unwrap(), &folder)
    }

    fn ingested(&self, manifest: &Path, folder: &str) -> Report {
        let local = LocalPair::open(manifest, &self.importer.context.config.limits).unwrap();
        let mut errors = ErrorFolder::create(&self.path(folder), local.stem()).unwrap();
        let monitor = Monitor::default();
        let report =
            ingest(&self.importer.context, &self.account, &local, &mut errors, &monitor).unwrap();
        errors.keep().unwrap();
        report.unwrap()
    }

    /// Runs one of the real programs. Returns its answer and exit status.
    fn program(&self, command: &[&str], manifest: &Path, folder: &str) -> (Answer, i32) {
        let folder = self.path(folder);
        let output = Command::new(env!("CARGO_BIN_EXE_sftp-import"))
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(command)
            .arg(manifest)
            .arg("--json")
            .arg("--errors")
            .arg(&folder)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| {
            panic!("{e}: {:?}{stderr}", String::from_utf8_lossy(&output.stdout))
        });
        (answer(&report, &folder), output.status.code().unwrap())
    }

    fn account_folder(&self) -> PathBuf {
        self.path("state/data").join(self.account.as_str())
    }
}

fn answer(report: &Json, folder: &Path) -> Answer {
    let mut report = report.clone();
    for key in ["import", "account", "receivedAt", "startedAt", "finishedAt", "errorFile"] {
        report.as_object_mut().unwrap().remove(key);
    }
    // If a record has invalid bytes, the error file contains the same bytes.
    let read = |name| {
        let bytes = fs::read(folder.join(name)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    let lines = read("e.errors.jsonl").unwrap_or_default();
    let error_lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ts = ["firstTs", "lastTs"].map(|key| report.as_object_mut().unwrap().remove(key));
    let ts = ts.into_iter().flatten().map(|ts| ts.as_str().unwrap().to_owned()).collect();
    Answer { report, ts, error_file: read("e.errors.csv"), error_lines }
}

impl Case {
    fn run(&self, with_programs: bool) {
        let bench = Bench::new(self);
        let manifest = bench.write("e.manifest", self, &self.manifest_text(), self.data_file());
        let checked = bench.checked(&manifest);
        self.verify(&checked);
        if with_programs {
            self.run_programs(&checked);
        }
        let report = bench.ingested(&manifest, "ingested");
        let mut ingested = answer(&serde_json::to_value(&report).unwrap(), &bench.path("ingested"));
        // Only `ingest` knows the data of earlier imports, so `check` can't warn about this data.
        let warnings = ingested.report["warnings"].as_array_mut().unwrap();
        self.verify_warnings(warnings);
        warnings
            .retain(|warning| !STORED.iter().any(|text| warning.as_str().unwrap().contains(text)));
        if self.ts.is_none() {
            ingested.ts = checked.ts.clone();
        }
        assert_eq!(checked, ingested, "check and ingest differ");
        self.verify_stored(&bench, &report);
    }

    /// Runs both programs with another configuration and compares their results.
    fn run_programs(&self, checked: &Answer) {
        let bench = Bench::new(self);
        let manifest = bench.write("e.manifest", self, &self.manifest_text(), self.data_file());
        let (mut answer, code) = bench.program(&["check"], &manifest, "checked");
        if self.ts.is_none() {
            answer.ts = checked.ts.clone();
        }
        assert_eq!(*checked, answer, "the check by the program has another result");
        let clean = self.fail.is_none() && self.findings.is_none() && self.reject.is_empty();
        assert_eq!(code == 0, clean && self.manifest.is_none(), "exit {code}");
        let account = ["ingest", "--account", ACCOUNT];
        let (answer, code) = bench.program(&account, &manifest, "ingested");
        assert_eq!(checked.error_file, answer.error_file);
        assert_eq!(checked.report["records"], answer.report["records"]);
        assert_eq!(checked.report["failure"], answer.report["failure"]);
        assert_eq!(code == 0, answer.report["state"] == "completed", "exit {code}");
    }

    fn verify(&self, answer: &Answer) {
        let Answer { report, error_file, ts, .. } = answer;
        if let Some(expected) = &self.ts {
            assert_eq!(ts, expected);
        }
        let records = |key: &str| report["records"][key].as_u64().unwrap();
        assert_eq!(records("read"), records("accepted") + records("rejected"));
        if let Some(fail) = self.expected_failure() {
            let failure = &report["failure"];
            let text = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
            let (message, detail) = (text("message"), text("detail"));
            assert_eq!(format!("{message}: {detail}"), fail);
            assert_eq!((records("accepted"), &report["state"]), (0, &json!("failed")));
            if !report["sha256"].is_null() {
                self.verify_file(report);
            }
            return;
        }
        assert_eq!(report["failure"], Json::Null);
        let rejections = report["rejections"].as_array().unwrap();
        let texts: BTreeSet<_> =
            rejections.iter().map(|r| r["message"].as_str().unwrap()).collect();
        assert_eq!(texts, self.reject.iter().map(String::as_str).collect());
        let rejected = self.rejected.unwrap_or(u64::from(!self.reject.is_empty()));
        assert_eq!(records("rejected"), rejected);
        let state = if records("accepted") > 0 { "completed" } else { "failed" };
        assert_eq!(report["state"], state);
        self.verify_file(report);
        assert_eq!(error_file.is_some(), rejected > 0, "only rejections must cause an error file");
        if let Some(expected) = &self.lines {
            let lines = answer.error_lines.iter().map(|line| line["line"].as_u64().unwrap());
            assert_eq!(&lines.collect::<BTreeSet<_>>(), &expected.iter().copied().collect());
        }
        if let Some(file) = error_file {
            self.verify_error_file(file, answer);
        }
    }

    /// Compares the size and the digest in the report with the data file.
    fn verify_file(&self, report: &Json) {
        use sha2::Digest;
        let bytes = self.data_file().unwrap();
        assert_eq!(report["bytes"], bytes.len());
        assert_eq!(report["sha256"], format!("{:x}", sha2::Sha256::digest(&bytes)));
    }

    fn expected_failure(&self) -> Option<String> {
        let findings = self.findings.as_deref().unwrap_or_default();
        match (&self.fail, &self.manifest) {
            (Some(fail), _) => Some(fail.clone()),
            (None, Some(_)) if findings.is_empty() => {
                let name = self.data_file_name_in_manifest();
                Some(format!("No data file found: {name} is not in the manifest's folder"))
            }
            (None, Some(_)) => {
                Some(format!("Incorrect details in manifest file: {}", findings.join("; ")))
            }
            (None, None) if self.absent => panic!("a case without a data file must fail"),
            (None, None) => None,
        }
    }

    fn data_file_name_in_manifest(&self) -> String {
        let text = self.manifest_text();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let manifest: Json = serde_json::from_str(text).unwrap();
        manifest["fileName"].as_str().unwrap().to_owned()
    }

    fn verify_warnings(&self, warnings: &[Json]) {
        let expected = self.warnings.clone().unwrap_or_default();
        assert_eq!(*warnings, expected.into_iter().map(Json::String).collect::<Vec<_>>());
    }

    fn verify_error_file(&self, file: &str, answer: &Answer) {
        if let Some(expected) = &self.error_file {
            assert_eq!(file, expected);
        }
        let manifest: Json = serde_json::from_str(&self.manifest_text()).unwrap();
        // The csv crate supports only delimiters of one byte.
        let named = manifest["delimiter"].as_str().unwrap_or(",");
        let file = if named.is_ascii() { file.to_owned() } else { file.replace(named, "\x1F") };
        let mut delimiter = if named.is_ascii() { named } else { "\x1F" };
        let mut text = file.strip_prefix('\u{feff}').unwrap_or(&file);
        if let Some((line, rest)) = text.split_once('\n').filter(|(l, _)| l.starts_with("sep=")) {
            (delimiter, text) = (&line[4..5], rest);
        }
        let mut lines: Vec<String> = described(&answer.error_lines).into_values().collect();
        if self.reject.iter().any(|text| text == "Text after a closing quote") {
            return verify_lines(text, delimiter, &lines);
        }
        let mut reader = csv::ReaderBuilder::new();
        reader.delimiter(delimiter.as_bytes()[0]).flexible(true);
        if manifest["quote"] == "" {
            reader.quoting(false);
            let other = if delimiter == "," { ";" } else { " " };
            lines = lines.iter().map(|line| line.replace(delimiter, other)).collect();
        }
        if manifest["escape"] == "\\" {
            reader.escape(Some(b'\\'));
        }
        let mut reader = reader.from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap().iter().next_back(), Some("Failure Description"));
        let descriptions: Vec<String> =
            reader.records().map(|r| r.unwrap().iter().next_back().unwrap().to_owned()).collect();
        // Each of the two files has its own size limit.
        let both = if self.limits.contains("max-data-file") {
            descriptions.len().min(lines.len())
        } else {
            descriptions.len().max(lines.len())
        };
        let [in_file, in_lines] = [&descriptions, &lines].map(|all| all.get(..both));
        assert_eq!(in_file, in_lines, "error file and errors.jsonl differ");
        assert!(in_file.is_some(), "error file and errors.jsonl differ in length");
        if let Some(description) = &self.description {
            assert_eq!(descriptions, [description.as_str()]);
        } else if descriptions.len() == 1 {
            self.verify_order(&descriptions[0]);
        }
    }

    /// Checks that the description contains the fixed texts in the expected order.
    fn verify_order(&self, description: &str) {
        let mut rest = description;
        for text in self.reject.iter().filter(|text| !text.contains(" N ")) {
            let at = rest.find(text.as_str()).unwrap_or_else(|| panic!("{text} in {rest}"));
            rest = &rest[at + text.len()..];
        }
    }

    fn verify_stored(&self, bench: &Bench, report: &Report) {
        let import = report.import.as_ref().unwrap();
        let stored = stored(&bench.account_folder(), import.as_str());
        let stored_records = if report.dry_run { 0 } else { report.records.accepted };
        assert_eq!(stored.records, stored_records, "records in the store");
        if let Some(expected) = &self.stored {
            let expected: Json = serde_json::from_str(expected).unwrap();
            assert_eq!(stored.content, expected);
        }
    }
}

/// Checks that each line of an error file has the expected description. The quoting of the lines is
/// broken, so the csv crate cannot read them.
fn verify_lines(file: &str, delimiter: &str, descriptions: &[String]) {
    let mut lines = file.lines();
    let name = format!("{delimiter}\"Failure Description\"");
    assert!(lines.next().unwrap().ends_with(&name), "{file}");
    assert_eq!(lines.clone().count(), descriptions.len(), "{file}");
    for (line, description) in lines.zip(descriptions) {
        let description = format!("{delimiter}\"{}\"", description.replace('"', "\"\""));
        assert!(line.ends_with(&description), "{line}");
    }
}

/// Returns the texts of the lines of errors.jsonl in the format of the error file, by line number
/// in the data file.
fn described(lines: &[Json]) -> BTreeMap<u64, String> {
    let mut descriptions = BTreeMap::<u64, String>::new();
    for line in lines {
        let text = |key: &str| line[key].as_str().filter(|text| !text.is_empty());
        let details = [("column ", text("column")), ("value ", text("value")), ("", text("help"))];
        let details: Vec<_> =
            details.iter().filter_map(|(what, d)| Some(format!("{what}{}", (*d)?))).collect();
        let mut reason = text("message").unwrap().to_owned();
        if !details.is_empty() {
            reason = format!("{reason} - {}", details.join(", "));
        }
        let description = descriptions.entry(line["line"].as_u64().unwrap()).or_default();
        let separator = if description.is_empty() { "" } else { "; " };
        description.push_str(&format!("{separator}{reason}"));
    }
    descriptions
}

#[test]
fn check_and_ingest_have_the_expected_results() {
    let groups = groups();
    let failed: usize = std::thread::scope(|scope| {
        let run = |(name, cases): (&String, &Vec<Case>)| {
            let mut failed = 0;
            for (n, case) in cases.iter().enumerate() {
                // For the first case of every rule, the real programs are run as well.
                let first = cases[..n].iter().all(|earlier| earlier.rule != case.rule);
                if catch_unwind(AssertUnwindSafe(|| case.run(first))).is_err() {
                    eprintln!("{name}.toml, case {}: {case:?}\n", n + 1);
                    failed += 1;
                }
            }
            failed
        };
        let threads: Vec<_> = groups.iter().map(|group| scope.spawn(move || run(group))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(failed, 0, "some cases failed");
}
