//! Checks the language of the project (CONTRIBUTING.md). Names, comments, messages and documents
//! must not contain words for which a plainer word exists. docs/glossary.md has the words for
//! concepts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Words that must not occur, not even as parts of identifiers.
const WORDS: &str = "fresh freshly hear heard hearing hears lie lies look looked looking looks lying \
    meanwhile mend mended mending mends said say saying says sidecar stand stands stirred stood tell \
    telling tells told together whatever whichever whoever";

/// Phrases that must not occur in a line.
const PHRASES: &[&str] = &[
    "at once",
    "came to",
    "come to",
    "comes to",
    "gave back",
    "give back",
    "given back",
    "gives back",
    "in which case",
    "led to",
    "of which",
    "put back",
    "puts back",
    "take away",
    "taken away",
    "takes away",
    "took away",
];

/// Words that are ignored: names from interfaces of other programs, fixed texts, and ids of
/// doctor's checks, which users know.
const FOREIGN: &[&str] =
    &["lookup", "look up", "looks up", "looked up", "look_for_keys", "sidecar-"];

/// Allowed words, each with its file. The list may only become shorter.
const ALLOWED: &[(&str, &str)] = &[
    // The name of a metric, which dashboards know.
    ("docs/metrics.md", "look"),
    ("src/metrics/counters.rs", "look"),
    // A column of the state database.
    ("src/state/unclaimed.rs", "told"),
];

/// Files that may contain the words.
const EXEMPT: &[&str] = &["tests/it/words.rs", "CHANGELOG.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let is_link = entry.file_type().unwrap().is_symlink();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if path.is_dir() && !is_link {
            files(&path, found);
        } else if ["md", "py", "rs", "sh", "toml"].contains(&ending) {
            found.push(path);
        }
    }
}

fn texts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["benches", "docs", "examples", "openssh", "samples", "src", "systemd", "tests"] {
        files(&root().join(folder), &mut found);
    }
    found.extend(["CONTRIBUTING.md", "README.md", "SECURITY.md"].map(|file| root().join(file)));
    let scripts = fs::read_dir(root().join("scripts")).unwrap().map(|entry| entry.unwrap().path());
    found.extend(scripts.filter(|path| path.is_file()));
    let name = |path: &Path| path.strip_prefix(root()).unwrap().display().to_string();
    let read = |path: PathBuf| (name(&path), fs::read_to_string(path).unwrap());
    found.into_iter().map(read).filter(|(file, _)| !EXEMPT.contains(&file.as_str())).collect()
}

/// Returns the words of a line in lower case. Identifiers are split into their words.
fn words(line: &str) -> BTreeSet<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in line.chars() {
        if !c.is_ascii_alphabetic() || (was_lower && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        if c.is_ascii_alphabetic() {
            words.last_mut().unwrap().push(c.to_ascii_lowercase());
        }
        was_lower = c.is_ascii_lowercase();
    }
    words.into_iter().collect()
}

/// Returns the words and phrases of a line that must not occur.
fn unplain(line: &str) -> Vec<String> {
    let mut line = line.to_owned();
    for foreign in FOREIGN {
        line = line.replace(foreign, "");
    }
    let found = words(&line);
    let lower = line.to_ascii_lowercase();
    let words = WORDS.split_whitespace().filter(|word| found.contains(*word));
    let phrases = PHRASES.iter().copied().filter(|phrase| {
        lower.match_indices(phrase).any(|(at, _)| {
            let is_letter = |c: char| c.is_ascii_alphabetic();
            !lower[..at].ends_with(is_letter) && !lower[at + phrase.len()..].starts_with(is_letter)
        })
    });
    words.chain(phrases).map(str::to_owned).collect()
}

#[test]
fn names_and_prose_are_plain() {
    let mut unused: BTreeSet<_> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for word in unplain(line) {
                match ALLOWED.iter().find(|(f, w)| *f == file && *w == word) {
                    Some(allowed) => {
                        unused.remove(allowed);
                    }
                    None => wrong.push(format!("{file}:{}: {word}: {}", number + 1, line.trim())),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} unplain words:\n{}", wrong.len(), wrong.join("\n"));
    assert!(unused.is_empty(), "remove these unused entries: {unused:#?}");
    assert!(ALLOWED.len() < 40, "the list may only become shorter");
}

#[test]
fn finds_words_in_names_and_phrases() {
    assert_eq!(unplain("let was_told = Hearing::new();"), ["hearing", "told"]);
    assert_eq!(unplain("It is done At once, and falls to 0."), ["at once"]);
    assert_eq!(unplain("a lookup of sidecar-unit, resembled totals"), [""; 0]);
}

#[test]
fn test_names_have_at_most_eight_words() {
    let mut long = Vec::new();
    for (file, text) in texts().iter().filter(|(file, _)| file.ends_with(".rs")) {
        for test in text.split("#[test]").chain(text.split("#[tokio::test]")).skip(1) {
            let name = test.split("fn ").nth(1).and_then(|rest| rest.split(['(', '<']).next());
            let name = name.unwrap_or_default();
            if name.split('_').count() > 8 && test.find("fn ").is_some_and(|at| at < 200) {
                long.push(format!("{file}: {name}"));
            }
        }
    }
    long.sort();
    long.dedup();
    assert!(long.is_empty(), "{} names of more than eight words: {long:#?}", long.len());
}
