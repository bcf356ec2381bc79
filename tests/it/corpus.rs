//! Reads the cases of the conformance corpus, and the names of the rules in docs/rules.md.
//!
//! tests/conformance/README.md describes the keys of a case.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use sftp_import::records::RULES;

/// One case with its expected result.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    /// The rule of the case. This is the name of the table, and not a key of the case.
    #[serde(skip)]
    pub rule: String,
    #[serde(rename = "type")]
    pub data_type: String,
    pub columns: Option<String>,
    pub more: String,
    pub name: Option<String>,
    pub on_disk: Option<String>,
    pub header: String,
    pub record: String,
    pub file: Option<String>,
    pub encode: Option<String>,
    pub compress: Option<String>,
    pub cut: usize,
    pub append: String,
    pub absent: bool,
    pub limits: String,
    pub before: Option<String>,
    pub before_columns: Option<String>,
    pub manifest: Option<String>,
    pub fail: Option<String>,
    pub findings: Option<Vec<String>>,
    pub reject: Vec<String>,
    pub rejected: Option<u64>,
    pub lines: Option<Vec<u64>>,
    pub description: Option<String>,
    pub warnings: Option<Vec<String>>,
    pub error_file: Option<String>,
    pub stored: Option<String>,
    pub ts: Option<Vec<String>>,
}

/// Returns the cases by the name of their file without `.toml`, in the order of the file.
pub fn groups() -> BTreeMap<String, Vec<Case>> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| path.file_stem().is_some_and(|stem| stem != "elsewhere"))
        .map(|path| {
            let cases = cases(&fs::read_to_string(&path).unwrap())
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), cases)
        })
        .collect()
}

/// Returns the cases of a file. The name of each table is the name of a rule. Keys of the table
/// besides `cases` apply to each of its cases. A table without `cases` is a single case.
fn cases(text: &str) -> Result<Vec<Case>, toml::de::Error> {
    let rules: BTreeMap<String, Vec<toml::Table>> = toml::from_str(&expanded(text))?;
    let mut all = Vec::new();
    for (rule, tables) in rules {
        for mut common in tables {
            let rows = match common.remove("cases") {
                Some(rows) => rows.try_into()?,
                None => vec![toml::Table::new()],
            };
            for mut row in rows {
                for (key, value) in &common {
                    let earlier = row.insert(key.clone(), value.clone());
                    assert!(earlier.is_none(), "{rule}: a case repeats {key} of its table");
                }
                all.push(Case { rule: rule.clone(), ..row.try_into()? });
            }
        }
    }
    Ok(all)
}

/// Returns `text` with repetitions expanded: `{x*3}` becomes `xxx`, and `{p#,*1..3}` becomes
/// `p1,p2,p3,`.
fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let repeated =
            after.split_once('}').and_then(|(inside, end)| Some((repeated(inside)?, end)));
        match repeated {
            Some((texts, end)) => {
                out.push_str(&texts);
                rest = end;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

fn repeated(inside: &str) -> Option<String> {
    let (text, count) = inside.rsplit_once('*').filter(|(text, _)| !text.contains('{'))?;
    if let Some((first, last)) = count.split_once("..") {
        let numbers = first.parse::<usize>().ok()?..=last.parse().ok()?;
        return Some(numbers.map(|n| text.replace('#', &n.to_string())).collect());
    }
    Some(text.repeat(count.parse().ok()?))
}

#[test]
fn repetitions_in_cases_are_expanded() {
    assert_eq!(expanded("{ a{x*3},{\"b\"}{p#,*1..3}{"), "{ axxx,{\"b\"}p1,p2,p3,{");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance")
}

impl Case {
    pub fn manifest_text(&self) -> String {
        self.manifest.clone().unwrap_or_else(|| self.manifest_with(self.columns.as_ref()))
    }

    /// Returns the manifest of the earlier pair.
    pub fn manifest_before(&self) -> String {
        self.manifest_with(self.before_columns.as_ref().or(self.columns.as_ref()))
    }

    fn manifest_with(&self, columns: Option<&String>) -> String {
        let Self { data_type, more, .. } = self;
        let columns = columns.map_or(String::new(), |c| format!(",\"columns\":{c}"));
        let name = Json::from(self.data_file_name());
        format!(
            "{{\"type\":{data_type:?},\"fileName\":{name},\"clientEmail\":\"a@b.example\"\
             {columns}{more}}}"
        )
    }

    pub fn data_file_name(&self) -> &str {
        self.name.as_deref().unwrap_or("e.csv")
    }

    /// Returns the data file as uploaded. `None` if the case has no data file.
    pub fn data_file(&self) -> Option<Vec<u8>> {
        if self.absent || self.manifest.is_some() {
            return None;
        }
        let text =
            self.file.clone().unwrap_or_else(|| format!("{}\n{}\n", self.header, self.record));
        let mut bytes = self.compressed(&self.encoded(&text));
        bytes.truncate(bytes.len() - self.cut);
        bytes.extend_from_slice(self.append.as_bytes());
        Some(bytes)
    }

    fn encoded(&self, text: &str) -> Vec<u8> {
        let units = || text.encode_utf16();
        match self.encode.as_deref() {
            None => text.as_bytes().to_vec(),
            Some("utf-16le") => units().flat_map(u16::to_le_bytes).collect(),
            Some("utf-16be") => units().flat_map(u16::to_be_bytes).collect(),
            Some("utf-32le") => text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
            Some("bytes") => text.chars().map(|c| u8::try_from(c).expect("a byte")).collect(),
            Some("windows-1252") => encoding_rs::WINDOWS_1252.encode(text).0.into_owned(),
            Some(other) => panic!("no case is in {other}"),
        }
    }

    fn compressed(&self, bytes: &[u8]) -> Vec<u8> {
        match self.compress.as_deref() {
            None => bytes.to_vec(),
            Some("zstd") => zstd::stream::encode_all(bytes, 3).unwrap(),
            Some("gzip") => gzip(bytes),
            Some("gzip twice") => gzip(&gzip(bytes)),
            Some("gzip members") => bytes.split(|byte| *byte == 0x1E).flat_map(gzip).collect(),
            Some(other) => panic!("no case is compressed with {other}"),
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Returns the names of the rules in docs/rules.md in the form `group.rule`, in the order of the
/// document.
fn rules() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md");
    let text = fs::read_to_string(path).unwrap();
    let name = |line: &str| Some(line.strip_prefix("- `")?.split_once("`: ")?.0.to_owned());
    text.lines().filter_map(name).collect()
}

/// Returns the rules that one pair can't test completely, with their tests in the form
/// `file: function`.
fn elsewhere() -> BTreeMap<String, Vec<String>> {
    toml::from_str(&fs::read_to_string(folder().join("elsewhere.toml")).unwrap()).unwrap()
}

#[test]
fn every_rule_has_a_case_or_test() {
    let rules = rules();
    let named: BTreeSet<String> = rules.iter().cloned().collect();
    assert_eq!(named.len(), rules.len(), "docs/rules.md names a rule twice");
    let mut tested: BTreeSet<String> = elsewhere().into_keys().collect();
    let mut cases = 0;
    for (group, of_group) in groups() {
        cases += of_group.len();
        tested.extend(of_group.iter().map(|case| format!("{group}.{}", case.rule)));
    }
    let untested: Vec<_> = named.difference(&tested).collect();
    assert!(untested.is_empty(), "these rules have no case: {untested:?}");
    let unnamed: Vec<_> = tested.difference(&named).collect();
    assert!(unnamed.is_empty(), "these rules are not in docs/rules.md: {unnamed:?}");
    assert!(cases >= 1179, "{cases} cases");
}

#[test]
fn rules_tested_elsewhere_name_existing_tests() {
    let tests = |(rule, tests): (String, Vec<String>)| {
        tests.into_iter().map(move |test| (rule.clone(), test))
    };
    for (rule, test) in elsewhere().into_iter().flat_map(tests) {
        let (file, function) = test.split_once(": ").unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{rule}: {file}: {e}"));
        let (before, _) = text
            .split_once(&format!("fn {function}("))
            .unwrap_or_else(|| panic!("{rule}: {file} has no test {function}"));
        let attributes = &before[before.len().saturating_sub(300)..];
        assert!(attributes.contains("test"), "{rule}: {function} is not a test");
    }
}

#[test]
fn rule_texts_are_in_the_rules_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/rules.md")).unwrap();
    for rule in RULES {
        assert!(document.contains(rule.text()), "{:?} is not in docs/rules.md", rule.text());
    }
}
