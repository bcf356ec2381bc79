//! Tests of `sftp-import manifest`. A guessed manifest must import nearly all records that can be
//! imported. If a guess is ambiguous, the command must ask a question or fail.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde::Deserialize;
use sftp_import::config::Limits;
use sftp_import::guess::{Answers, Draft, Proposal, Survey, guess_text, propose};
use sftp_import::import::{ErrorFolder, LocalPair, Monitor, check};
use sftp_import::manifest::Manifest;
use sftp_import::records::read_head;
use sftp_import::report::{DataType, Report};
use tempfile::TempDir;

use super::corpus::{Case, groups};

/// The share of records, in percent, that a guessed manifest must import.
const SHARE: u64 = 99;

/// An exported file from tests/guess.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportedFile {
    name: String,
    source: String,
    text: String,
    encode: Option<String>,
    compress: Option<String>,
    /// The number of records that can be imported. The default is all records.
    records: Option<u64>,
    /// The reason why the file cannot be imported yet.
    pending: Option<String>,
}

/// The files of one kind of exporters.
#[derive(Deserialize)]
struct ExportedFiles {
    file: Vec<ExportedFile>,
}

impl ExportedFile {
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guess");
        let mut paths: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        paths.sort();
        let files = |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            toml::from_str::<ExportedFiles>(&text).unwrap_or_else(|e| panic!("{path:?}: {e}")).file
        };
        paths.iter().flat_map(|path| files(path)).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let case = Case {
            file: Some(self.text.clone()),
            encode: self.encode.clone(),
            compress: self.compress.clone(),
            ..Case::default()
        };
        case.data_file().unwrap()
    }
}

impl ExportedFile {
    /// Guesses a manifest for the file, and checks the file with this manifest.
    ///
    /// # Errors
    /// The number of accepted records is lower than [`SHARE`] of the records that can be imported.
    fn import(&self) -> Result<(), String> {
        let file = DataFile::new(&self.name, self.bytes(), Limits::default());
        let manifest = text(&file.guess()?.0);
        let report = file.check(&manifest);
        let possible = self.records.unwrap_or(report.records.read);
        if report.failure.is_some() || report.records.accepted * 100 < possible * SHARE {
            return Err(format!("{report:?}\n{manifest}"));
        }
        Ok(())
    }
}

/// A folder with one data file.
struct DataFile {
    folder: TempDir,
    name: String,
    bytes: Vec<u8>,
    limits: Limits,
}

impl DataFile {
    fn new(name: &str, bytes: Vec<u8>, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), &bytes).unwrap();
        Self { folder, name: name.to_owned(), bytes, limits }
    }

    /// Proposes a manifest. The likeliest answer to each question is chosen. Also returns the
    /// questions.
    fn guess(&self) -> Result<(Proposal, Vec<String>), String> {
        let failed = |failure: sftp_import::report::Failure| failure.to_string();
        let mut answers = Answers::default();
        let head = read_head(&*self.bytes, &self.name, &self.limits).map_err(failed)?;
        let text = guess_text(&head, &answers, &self.limits);
        let mut asked: Vec<String> = text.question.iter().map(|q| q.text.clone()).collect();
        let mut manifest = Manifest::new(DataType::Profile, &self.name, "a@b.example");
        text.describe(&mut manifest);
        let progress = &mut |_, _| {};
        let survey = Survey::read(&*self.bytes, &self.name, &manifest, &self.limits, progress);
        let survey = survey.map_err(failed)?;
        let draft = Draft { file_name: &self.name, client_email: "a@b.example" };
        loop {
            let proposal = propose(&text, &survey, &answers, draft).map_err(failed)?;
            let Some(question) = proposal.questions.first() else { return Ok((proposal, asked)) };
            let labels: Vec<&str> = question.choices.iter().map(|c| &*c.label).collect();
            asked.push(format!("{} {}", question.text, labels.join(" or ")));
            answers.set(&question.topic, &question.choices[0].label);
        }
    }

    fn check(&self, manifest: &str) -> Report {
        let pair = LocalPair::of_manifest(self.folder.path(), "e.manifest", manifest.as_bytes());
        check(&pair, &self.limits, &mut ErrorFolder::none(), &Monitor::default()).unwrap()
    }
}

fn text(proposal: &Proposal) -> String {
    let header: Vec<String> = proposal.columns.iter().map(|c| c.header.clone()).collect();
    proposal.manifest.to_json(&header)
}

/// Returns whether a manifest has only facts that can be guessed from the file. An unusual
/// delimiter, the meaning of a column without a name, and the meaning of an error file's last
/// column cannot be guessed.
fn is_shown_by_file(manifest: &str) -> bool {
    let text = manifest.strip_prefix('\u{feff}').unwrap_or(manifest);
    let manifest: serde_json::Value = serde_json::from_str(text).unwrap();
    let delimiter = manifest["delimiter"].as_str().unwrap_or(",");
    let columns = &manifest["columns"];
    [",", ";", "\t", "|", "\u{1}", "\u{1f}"].contains(&delimiter)
        && columns.get("").is_none()
        && columns.get("Failure Description").is_none()
}

#[test]
fn manifests_of_conformance_files_are_guessed() {
    let mut wrong = Vec::new();
    let mut files = 0;
    for (group, cases) in groups() {
        for case in cases {
            let is_pair = case.fail.is_none() && case.findings.is_none() && case.manifest.is_none();
            let is_pair = is_pair && is_shown_by_file(&case.manifest_text());
            let Some(bytes) = case.data_file().filter(|_| is_pair) else { continue };
            let limits = toml::from_str(&case.limits).unwrap();
            let file = DataFile::new(case.data_file_name(), bytes, limits);
            let possible = file.check(&case.manifest_text()).records.accepted;
            if possible == 0 {
                continue;
            }
            files += 1;
            let accepted = file.guess().map(|(proposal, _)| {
                let report = file.check(&text(&proposal));
                (report.records.accepted, format!("{report:?}\n{}", text(&proposal)))
            });
            match accepted {
                Ok((accepted, _)) if accepted * 100 >= possible * SHARE => {}
                other => wrong.push(format!("{group}.{}: {possible} {other:?}", case.rule)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {files} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(files > 150, "{files} files");
}

#[test]
fn exported_files_import_with_guessed_manifests() {
    let files = ExportedFile::all();
    let mut wrong = Vec::new();
    let mut imported = 0;
    for exported in files {
        assert!(
            exported.source.len() > 20,
            "{}: source does not name a description of the format",
            exported.name
        );
        match (exported.import(), &exported.pending) {
            (Ok(()), None) => imported += 1,
            (Err(_), Some(_)) => {}
            (Err(error), None) => wrong.push(format!("{}: {error}", exported.name)),
            (Ok(()), Some(pending)) => {
                wrong.push(format!(
                    "{}: the file is imported, remove pending ({pending:?})",
                    exported.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(imported >= 40, "{imported} files");
}

#[test]
fn guesses_for_exported_files_match_the_snapshot() {
    let mut lines = Vec::new();
    for exported in ExportedFile::all().iter().filter(|file| file.pending.is_none()) {
        let file = DataFile::new(&exported.name, exported.bytes(), Limits::default());
        let (proposal, asked) = file.guess().unwrap();
        let kind = proposal.manifest.data_type.as_str();
        lines.push(format!("== {}: {kind}s, {}", exported.name, proposal.text()));
        let manifest: serde_json::Value = serde_json::from_str(&text(&proposal)).unwrap();
        for column in &proposal.columns {
            let becomes = column.becomes.as_deref().unwrap_or("-");
            let kind = column.data_type.map_or("", |kind| kind.as_str());
            let format = manifest["columns"][&column.header]["format"].as_str().unwrap_or("");
            let line = format!("{:?} > {becomes} {kind} {format}", column.header);
            lines.push(format!("{}  # {}", line.trim_end(), column.reason));
        }
        lines.extend(asked.iter().map(|question| format!("asked: {question}")));
        lines.extend(proposal.notes.iter().map(|note| format!("note: {note}")));
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("proposals", lines.join("\n"));
    });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    /// The type of a column is chosen from all its values.
    #[test]
    fn guessed_types_accept_all_records(
        header in proptest::sample::subsequence(
            vec!["a", "Is_b", "time", "Name", "x.y", "when", "N A", "date"], 2..8),
        records in proptest::collection::vec(proptest::collection::vec(
            "|0|1|-7|007|3\\.5|1e5|12345678901|Y|true|01/02/2020|31/12/2020|2020-01-31|1 Feb 2020|\
             20200131|1793527200|1793527200123|NULL|NaN|\\$D_7|x| 5|[a-z]{1,3}", 8), 1..30),
    ) {
        let mut text = format!("identity,{}\n", header.join(","));
        for (number, record) in records.iter().enumerate() {
            text.push_str(&format!("u{number},{}\n", record[..header.len()].join(",")));
        }
        let file = DataFile::new("e.csv", text.clone().into_bytes(), Limits::default());
        let (proposal, _) = file.guess().unwrap();
        let report = file.check(&self::text(&proposal));
        proptest::prop_assert_eq!(report.failure, None);
        proptest::prop_assert_eq!(report.rejections, vec![], "{}", text);
        let rows = report.records.read;
        proptest::prop_assert_eq!(rows, records.len() as u64);
    }
}

/// A folder on the computer of a partner.
struct Laptop(TempDir);

impl Laptop {
    fn new(name: &str, text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sftp-import"));
        command.current_dir(self.0.path()).env_clear().args(arguments);
        command.args(["--config", "/dev/null"]).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    /// Returns the names of the manifests in the folder.
    fn manifests(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".csv")).collect()
    }

    fn manifest(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.0.path().join(name)).unwrap()).unwrap()
    }
}

const EMAIL: [&str; 2] = ["--email", "data@example.com"];
const CLEAN: &str = "evtName,identity,ts,Price\nBought,jane,1793527200,9.5\nBought,john,,3\n";
const AMBIGUOUS: &str = "identity,due\njane,01/02/2026\njohn,03/04/2026\n";

#[test]
fn a_written_manifest_passes_check() {
    let laptop = Laptop::new("orders.csv", CLEAN);
    let (code, out, err) = laptop.run(&["manifest", "orders.csv", EMAIL[0], EMAIL[1]]);
    assert_eq!((code, &*err), (0, ""), "{out}");
    let [name] = &laptop.manifests()[..] else { panic!("{:?}", laptop.manifests()) };
    let date = name.strip_prefix("orders-").unwrap().strip_suffix(".manifest").unwrap();
    assert!(date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()), "{name}");
    assert!(out.contains(&format!("{name}: written")), "{out}");
    let (code, ..) = laptop.run(&["check", name]);
    assert_eq!(code, 0);
    let manifest = laptop.manifest(name);
    assert_eq!(manifest["size"], CLEAN.len());
    assert_eq!(manifest["rows"], 2);
    assert_eq!(manifest["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(manifest["clientEmail"], EMAIL[1]);
    assert_eq!(manifest["columns"]["Price"]["dataType"], "FLOAT");
}

#[test]
fn existing_manifests_are_kept_without_force() {
    let laptop = Laptop::new("o.csv", CLEAN);
    let command = ["manifest", "o.csv", EMAIL[0], EMAIL[1], "--output", "o.manifest"];
    fs::write(laptop.0.path().join("o.manifest"), "mine").unwrap();
    let (code, _, err) = laptop.run(&command);
    assert_eq!(code, 1);
    assert!(err.contains("o.manifest exists already") && err.contains("--force"), "{err}");
    assert_eq!(fs::read(laptop.0.path().join("o.manifest")).unwrap(), b"mine");
    let (code, ..) = laptop.run(&[&command[..], &["--force"]].concat());
    assert_eq!((code, &laptop.manifest("o.manifest")["type"]), (0, &"event".into()));
    assert_eq!(laptop.manifests(), ["o.manifest"], "the folder has no other file");
}

#[test]
fn an_ambiguous_date_exits_with_status_2() {
    let laptop = Laptop::new("o.csv", AMBIGUOUS);
    let command = ["manifest", "o.csv", EMAIL[0], EMAIL[1], "--output", "o.manifest"];
    let (code, out, err) = laptop.run(&command);
    assert_eq!((code, &*out), (2, ""));
    assert!(err.contains("dd/MM/yyyy or MM/dd/yyyy") && err.contains("--date-format"), "{err}");
    assert_eq!(laptop.manifests(), [""; 0]);
    let (code, out, _) = laptop.run(&[&command[..], &["--yes"]].concat());
    assert_eq!(code, 0);
    assert!(out.contains("The answer dd/MM/yyyy (the day first) was chosen"), "{out}");
    assert_eq!(laptop.manifest("o.manifest")["columns"]["due"]["format"], "dd/MM/yyyy");
    let printed = ["manifest", "o.csv", EMAIL[0], EMAIL[1], "--output", "-", "--yes"];
    let (_, out, err) = laptop.run(&printed);
    assert!(err.contains("was chosen") && out.starts_with('{'), "{out}{err}");
    let us = ["--force", "--date-format", "MM/dd/yyyy"];
    assert_eq!(laptop.run(&[&command[..], &us].concat()).0, 0);
    assert_eq!(laptop.manifest("o.manifest")["columns"]["due"]["format"], "MM/dd/yyyy");
}

#[test]
fn the_command_asks_questions_on_a_terminal() {
    let laptop = Laptop::new("o.csv", AMBIGUOUS);
    let program = env!("CARGO_BIN_EXE_sftp-import");
    let command = format!("{program} manifest o.csv --email a@b.example --output o.manifest");
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(laptop.0.path());
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut running) = script.spawn() else {
        eprintln!("SKIPPED: no terminal without script(1)");
        return;
    };
    running.stdin.take().unwrap().write_all(b"7\n2\n").unwrap();
    let output = running.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("written"), "{out}");
    assert_eq!(laptop.manifest("o.manifest")["columns"]["due"]["format"], "MM/dd/yyyy", "{out}");
}

#[test]
fn json_output_has_the_manifest_and_reasons() {
    let laptop = Laptop::new("o.csv", CLEAN);
    let command = ["manifest", "o.csv", EMAIL[0], EMAIL[1], "--output"];
    let (code, out, _) = laptop.run(&[&command[..], &["o.manifest", "--json"]].concat());
    let printed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &printed["path"]), (0, &"o.manifest".into()));
    assert_eq!(printed["manifest"], laptop.manifest("o.manifest"));
    assert_eq!(printed["columns"][3]["becomes"], "Price");
    assert_eq!(printed["columns"][3]["reason"], "2 of 2 values are numbers");
    assert_eq!(printed["report"]["records"]["accepted"], 2);
    let (code, out, _) = laptop.run(&[&command[..], &["-"]].concat());
    let manifest: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &manifest), (0, &printed["manifest"]));
}

#[test]
fn wrong_arguments_exit_with_status_2() {
    let laptop = Laptop::new("o.csv", CLEAN);
    for (arguments, error) in [
        (&["manifest", "o.csv"][..], "--email"),
        (&["manifest", "o.csv", "--email", "jane"], "not a single valid email address"),
        (&["manifest", "o.manifest", EMAIL[0], EMAIL[1]], "sftp-import check o.manifest"),
        (&["manifest", "o.txt", EMAIL[0], EMAIL[1]], "does not end in .csv"),
        (&["manifest", "o.csv", EMAIL[0], EMAIL[1], "-o", "o.json"], "does not end in .manifest"),
        (&["manifest", "o.csv", EMAIL[0], EMAIL[1], "--identity", "x"], "has no column x"),
    ] {
        let (code, _, err) = laptop.run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {err}");
        assert!(err.contains(error), "{err}");
    }
    assert_eq!(laptop.manifests(), [""; 0]);
}

#[test]
fn unusable_files_do_not_get_a_manifest() {
    for (text, error) in [
        ("", "the file is empty"),
        ("identity,a\n", "no records"),
        ("PK\u{3}\u{4}", "not CSV"),
        ("a,b\n,\n,\n", "no"),
        ("identity,identity\n1,2\n", "is already the name of column 1"),
    ] {
        let laptop = Laptop::new("o.csv", text);
        let (code, out, err) = laptop.run(&["manifest", "o.csv", EMAIL[0], EMAIL[1], "--yes"]);
        assert_eq!(code, 1, "{text:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(error), "{text:?}: {out}{err}");
        assert_eq!(laptop.manifests(), [""; 0]);
    }
}

#[test]
fn quoting_near_the_file_end_is_guessed() {
    let mut text = "identity,title\n".to_owned();
    // These records are longer than the part of the file that is read first.
    for number in 0..80_000 {
        text.push_str(&format!("user-{number},a plain title\n"));
    }
    text.push_str("jane,\"the \\\"best\\\", of all\"\n");
    let laptop = Laptop::new("o.csv", &text);
    let command = ["manifest", "o.csv", EMAIL[0], EMAIL[1], "--output", "o.manifest"];
    let (code, out, err) = laptop.run(&command);
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert_eq!(laptop.manifest("o.manifest")["escape"], "\\");
}

/// Returns the first fenced block of `document` with the given info string, and the text after the
/// block.
fn block<'a>(document: &'a str, info: &str) -> (&'a str, &'a str) {
    let (_, rest) = document.split_once(&format!("\n```{info}\n")).unwrap();
    rest.split_once("```\n").unwrap()
}

#[test]
fn the_documented_manifest_matches_the_command_output() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/manifest.md");
    let document = fs::read_to_string(path).unwrap();
    let (data, rest) = block(&document, "csv purchases.csv");
    let (manifest, _) = block(rest, "json");
    let laptop = Laptop::new("purchases.csv", data);
    let email = ["--email", "data-team@example.com", "--output", "-"];
    let (code, out, err) = laptop.run(&[&["manifest", "purchases.csv"][..], &email].concat());
    assert_eq!((code, out.as_str()), (0, manifest));
    assert_eq!(err, "note: these cells are treated as empty in all columns: NULL\n");
}
