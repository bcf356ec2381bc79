//! Compares the documents with the program. Examples are checked and imported, tables must be
//! complete, and links and paths must point to existing files.
//!
//! An example is a fenced block whose info string has a file name after the language. Blocks `json`
//! and `csv` are written to a folder. The lines of a block `text NAME.manifest` must be in the
//! output of `check` for that manifest. A block `csv NAME.errors.csv` must be the error file that
//! `check` writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sftp_import::records::RULES;
use sftp_import::report::FailureText;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn document(name: &str) -> String {
    read(&format!("docs/{name}"))
}

/// Returns the paths of all Markdown pages for readers, relative to the repository.
fn pages() -> Vec<String> {
    let docs = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let names = docs.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> =
        names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}")).collect();
    let others = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    pages.extend(others.map(str::to_owned));
    pages.extend(["openssh/README.md", "samples/README.md"].map(str::to_owned));
    pages
}

/// Returns the examples of a document: (language, file name) → text.
fn examples(document: &str) -> BTreeMap<(String, String), String> {
    let mut examples = BTreeMap::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let text: String =
            lines.by_ref().take_while(|l| *l != "```").map(|l| format!("{l}\n")).collect();
        let Some((language, name)) = info.split_once(' ') else { continue };
        let earlier = examples.insert((language.to_owned(), name.to_owned()), text);
        assert!(earlier.is_none(), "{info} occurs twice");
    }
    examples
}

/// A folder with the examples of one document.
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

    /// Returns the values of a report without names and times.
    fn verdict(&self, arguments: &[&str]) -> Vec<Value> {
        let report: Value = serde_json::from_str(&self.run(arguments)).unwrap();
        let keys = ["state", "records", "bytes", "sha256", "failure", "rejections", "warnings"];
        keys.iter().map(|key| report[key].clone()).collect()
    }
}

fn check_examples(name: &str, at_least: usize) {
    let examples = examples(&document(name));
    let folder = Folder::new(&examples);
    let outputs = examples.iter().filter(|((language, _), _)| language == "text");
    let mut manifests = 0;
    for ((_, manifest), lines) in outputs {
        let output = folder.run(&["check", manifest, "--errors", "."]);
        // Long lines are wrapped.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let printed = words(&output);
        for line in lines.lines() {
            assert!(printed.contains(&words(line)), "{line} is not in\n{output}");
        }
        let stem = manifest.strip_suffix(".manifest").unwrap();
        let errors = format!("{stem}.errors.csv");
        if let Some(expected) = examples.get(&("csv".to_owned(), errors.clone())) {
            let written = fs::read_to_string(folder.folder.path().join(errors)).unwrap();
            assert_eq!(*expected, written);
        }
        let checked = folder.verdict(&["check", "--json", manifest]);
        // Each for an account of its own: the report warns of types that differ between imports.
        let account = format!("acme{manifests}");
        let imported = folder.verdict(&["ingest", "--account", &account, "--json", manifest]);
        assert_eq!(checked, imported, "{manifest}");
        manifests += 1;
    }
    let written = examples.keys().filter(|(_, file)| file.ends_with(".manifest"));
    assert_eq!(written.count(), 2 * manifests, "{name}: each manifest must have an output");
    assert!(manifests >= at_least, "{name}: {manifests} manifests");
}

#[test]
fn manifest_examples_behave_as_shown() {
    check_examples("manifest.md", 4);
}

#[test]
fn data_file_examples_behave_as_shown() {
    check_examples("data-files.md", 4);
}

#[test]
fn readme_manifest_imports_the_sample() {
    let readme = read("README.md");
    let (_, manifest) = readme.split_once("\n```json\n").unwrap();
    let (manifest, _) = manifest.split_once("```").unwrap();
    let file = |name: &str, text: String| ((String::new(), name.to_owned()), text);
    let sample = read("samples/events.csv");
    let files = [file("events.manifest", manifest.to_owned()), file("events.csv", sample)];
    let output = Folder::new(&files.into()).run(&["check", "events.manifest"]);
    assert!(output.contains("4 accepted + 0 rejected"), "{output}");
}

#[test]
fn every_manifest_key_is_documented() {
    let source = read("src/manifest/parse.rs");
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
fn every_text_is_documented_with_its_advice() {
    let document = document("data-files.md");
    let failures = FailureText::ALL.map(|text| (text.as_str(), text.advice()));
    let rules = RULES.map(|rule| (rule.text(), rule.advice()));
    for (text, advice) in failures.into_iter().chain(rules) {
        let row = format!("\n| `{text}` | {} |\n", advice.replace('|', "\\|"));
        assert!(document.contains(&row), "{row}");
    }
}

/// Returns the lines of a page outside of fenced blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// Returns the anchors of a page's headings in the form that GitHub generates.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = prose(page).filter(|line| line.starts_with('#'));
    let titles = headings.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
    titles.map(|title| title.chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn links_lead_to_existing_files_and_headings() {
    let mut links = 0;
    for page in pages() {
        let text = read(&page);
        let prose = prose(&text).collect::<Vec<_>>().join("\n");
        let targets = prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&page).parent().unwrap();
            let path = if path.is_empty() { PathBuf::from(&page) } else { folder.join(path) };
            let path = Path::new(ROOT).join(path);
            assert!(path.exists(), "{page}: {target} does not exist");
            let has_anchor = || anchors(&fs::read_to_string(&path).unwrap()).contains(anchor);
            assert!(anchor.is_empty() || has_anchor(), "{page}: {target} has no such heading");
            links += 1;
        }
    }
    assert!(links > 60, "{links} links");
}

#[test]
fn readme_lists_every_document() {
    let readme = read("README.md");
    for page in pages().iter().filter(|page| page.starts_with("docs/")) {
        assert!(readme.contains(&format!("]({page})")), "{page} is not in the README");
    }
}

#[test]
fn client_examples_check_the_host_key() {
    let unchecked = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "-hostkey=*"];
    for page in pages() {
        let text = read(&page);
        for option in unchecked {
            assert!(!text.contains(option), "{page} has {option}");
        }
        for line in text.lines().filter(|line| line.contains("--sftp-host")) {
            assert!(
                line.contains("--sftp-known-hosts-file"),
                "{page}: rclone checks no key: {line}"
            );
        }
    }
}

/// Returns whether `path`, such as `import::run::queue`, is a module of the crate or an item in a
/// module.
fn is_in_the_crate(path: &str) -> bool {
    let is_module = |path: &str| {
        let path = Path::new(ROOT).join("src").join(path.replace("::", "/"));
        path.with_extension("rs").exists() || path.join("mod.rs").exists()
    };
    path.rsplit_once("::").is_some_and(|(parent, _)| is_module(path) || is_module(parent))
}

#[test]
fn modules_named_in_the_architecture_exist() {
    let page = document("architecture.md");
    let quoted = page.split('`').skip(1).step_by(2);
    let modules: Vec<&str> = quoted.filter(|text| text.contains("::")).collect();
    assert!(modules.len() > 25, "{modules:?}");
    let missing: Vec<_> = modules.into_iter().filter(|module| !is_in_the_crate(module)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn places_named_in_the_glossary_exist() {
    let page = document("glossary.md");
    let places =
        page.lines().filter_map(|line| line.trim_end_matches([' ', '|']).rsplit('|').next());
    let quoted = places.flat_map(|place| place.split('`').skip(1).step_by(2));
    let is_source = |place: &&str| !place.starts_with('/') && !place.ends_with(".db");
    let sources: Vec<&str> = quoted.filter(is_source).collect();
    assert!(sources.len() > 60, "{sources:?}");
    let exists = |place: &str| {
        Path::new(ROOT).join("src").join(place).exists() || Path::new(ROOT).join(place).exists()
    };
    let missing: Vec<_> = sources.into_iter().filter(|place| !exists(place)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
