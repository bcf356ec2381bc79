//! Checks docs/threat-model.md: each named module and each test in the form `module::test` must
//! exist.
//!
//! The names of tests are written by hand, and their modules are generated. With
//! `SFTP_IMPORT_WRITE_PAGES=1`, as in `scripts/pages`, the test corrects the modules of moved
//! tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::promises::{rust_files, tests};

const PAGE: &str = "docs/threat-model.md";

/// Returns the modules in the path of a file. Folders and files that are not modules are omitted.
fn modules(path: &str) -> Vec<&str> {
    let words = path.trim_end_matches(".rs").split('/');
    words.filter(|word| !["src", "tests", "mod"].contains(word)).collect()
}

/// Returns the current form of a quoted `text`. `None` if no test or module has the name. A text
/// that is not a name is returned unchanged.
fn current(text: &str, paths: &[&str], tests: &BTreeMap<&str, Vec<&str>>) -> Option<String> {
    let (module, name) = text.rsplit_once("::").unwrap_or(("", text));
    let is_name = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_name || (module.is_empty() && name.matches('_').count() < 4) {
        return Some(text.to_owned());
    }
    let homes = tests.get(name).map_or(&[][..], Vec::as_slice);
    match homes.first() {
        None => {
            let is_module = paths.iter().any(|path| modules(path).ends_with(&[name]));
            is_module.then(|| text.to_owned())
        }
        Some(_) if homes.iter().any(|home| modules(home).contains(&module)) => {
            Some(text.to_owned())
        }
        Some(home) => Some(format!("{}::{name}", modules(home).last().unwrap())),
    }
}

#[test]
fn every_test_in_the_threat_model_exists() {
    let files = rust_files();
    let paths: Vec<&str> = files.keys().map(String::as_str).collect();
    let tests = tests(&files);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).unwrap();
    let (mut names, mut missing, mut corrected) = (0, Vec::new(), Vec::new());
    for (i, text) in page.split('`').enumerate() {
        if i % 2 == 0 {
            corrected.push(text.to_owned());
            continue;
        }
        names += usize::from(text.contains("::"));
        let now = current(text, &paths, &tests);
        missing.extend(now.is_none().then_some(text));
        corrected.push(now.unwrap_or_default());
    }
    assert!(names > 40, "{names} names");
    assert!(missing.is_empty(), "{missing:?}");
    let corrected = corrected.join("`").replace("e2e `", "`");
    if std::env::var_os("SFTP_IMPORT_WRITE_PAGES").is_some() {
        fs::write(path, corrected).unwrap();
    } else {
        assert!(page == corrected, "tests have moved: scripts/pages corrects {PAGE}");
    }
}
