//! The conformance corpus, through [`Manifest::parse`] and [`read`]. Its README says what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    sentences: BTreeMap<String, String>,
    case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    rule: String,
    #[serde(rename = "type")]
    data_type: Option<String>,
    columns: Option<String>,
    more: Option<String>,
    header: Option<String>,
    record: Option<String>,
    file: Option<String>,
    reject: Option<Vec<String>>,
    description: Option<String>,
    fail: Option<String>,
    manifest: Option<String>,
    findings: Option<Vec<String>>,
    warnings: Option<Vec<String>>,
}

fn groups() -> Vec<(String, Group)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let group = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), group)
        })
        .collect()
}

impl Case {
    fn check(&self) {
        match &self.manifest {
            Some(manifest) => self.check_manifest(manifest),
            None => self.check_file(),
        }
    }

    fn check_manifest(&self, text: &str) {
        let parsed = Manifest::parse(text.as_bytes(), &Limits::default());
        let findings = self.findings.clone().unwrap_or_default();
        match parsed {
            Ok(manifest) => {
                assert!(findings.is_empty(), "it is valid");
                assert_eq!(manifest.warnings, self.warnings.clone().unwrap_or_default());
            }
            Err(errors) => assert_eq!(errors.findings, findings),
        }
    }

    fn check_file(&self) {
        let manifest = manifest(
            self.data_type.as_deref().unwrap(),
            self.columns.as_deref().map_or("", |json| &json[1..json.len() - 1]),
            self.more.as_deref().unwrap_or_default(),
        );
        let text = self.file.clone().unwrap_or_else(|| {
            let (header, record) = (self.header.as_ref().unwrap(), self.record.as_ref().unwrap());
            format!("{header}\n{record}\n")
        });
        let (kept, result) = read_with(text.as_bytes(), &manifest, &Limits::default(), 2);
        if let Some(fail) = &self.fail {
            assert_eq!(&result.unwrap_err().failure.to_string(), fail);
            return;
        }
        let summary = result.unwrap();
        let told: BTreeSet<_> = summary.rejections.iter().map(|r| &r.message).collect();
        let expected = self.reject.as_ref().unwrap();
        assert_eq!(told, expected.iter().collect());
        assert_eq!(summary.counts.rejected, u64::from(!expected.is_empty()));
        let descriptions = kept.descriptions();
        if let Some(description) = &self.description {
            assert_eq!(descriptions, [description]);
        }
        self.check_order(expected, descriptions.first().copied().unwrap_or_default());
    }

    /// The fixed texts stand in the description in this order.
    fn check_order(&self, texts: &[String], description: &str) {
        let mut rest = description;
        for text in texts.iter().filter(|text| !text.contains(" N ")) {
            let at = rest.find(text.as_str()).unwrap_or_else(|| panic!("{text} in {rest}"));
            rest = &rest[at + text.len()..];
        }
    }
}

#[test]
fn every_case_has_its_verdict() {
    let mut failed = 0;
    for (name, group) in groups() {
        for (case, n) in group.case.iter().zip(1..) {
            let verdict = std::panic::catch_unwind(|| case.check());
            if verdict.is_err() {
                println!("{name}.toml, case {n}: {case:?}");
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 0, "cases that failed");
}

#[test]
fn every_sentence_has_a_case() {
    let mut cases = 0;
    for (name, group) in groups() {
        let named: BTreeSet<_> = group.case.iter().map(|case| &case.rule).collect();
        assert_eq!(named, group.sentences.keys().collect(), "{name}.toml");
        cases += group.case.len();
    }
    assert!(cases >= 250, "{cases} cases");
}
