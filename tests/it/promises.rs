//! Checks docs/promises.md: every promise has a number and names tests, and each test exists in the
//! named file.
//!
//! The names of tests are written by hand, and the paths of files are generated. With
//! `SFTP_IMPORT_WRITE_PAGES=1`, as in `scripts/pages`, the test corrects the paths of moved tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PAGE: &str = "docs/promises.md";

/// Returns the Rust files below `src` and `tests`: path in the repository → text.
pub fn rust_files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec!["src".to_owned(), "tests".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.ends_with(".rs") {
                files.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    files
}

/// Returns the names of the tests in `text`. These are functions directly below `#[test]`, and
/// functions in a list from which a macro makes tests, as in the contract of the store.
fn tests_in(text: &str) -> BTreeSet<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let listed: BTreeSet<&str> = lines.iter().copied().collect();
    let is_attribute =
        |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let mut tests = BTreeSet::new();
    for (i, line) in lines.iter().enumerate() {
        let function = line.trim_start_matches("async ").strip_prefix("fn ");
        let Some((name, _)) = function.and_then(|rest| rest.split_once('(')) else { continue };
        let mut above = lines[..i].iter().rev().take_while(|line| !line.is_empty());
        if listed.contains(name) || above.any(is_attribute) {
            tests.insert(name);
        }
    }
    tests
}

/// Returns every test: name → files with a test of that name.
pub fn tests(files: &BTreeMap<String, String>) -> BTreeMap<&str, Vec<&str>> {
    let mut tests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, text) in files {
        for name in tests_in(text) {
            tests.entry(name).or_default().push(path);
        }
    }
    tests
}

/// Returns the texts between backquotes in `line`.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Returns the list of tests of one promise. Each test is listed below the file that contains it
/// now.
fn current_list(list: &[&str], tests: &BTreeMap<&str, Vec<&str>>) -> Vec<String> {
    let mut by_file: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in list {
        let quoted = quoted(line);
        let (named, names) = quoted.split_first().unwrap();
        assert!(!names.is_empty(), "{named} is listed without a test");
        for name in names {
            let found = tests.get(name).map_or(&[][..], Vec::as_slice);
            let file = match found {
                [] => panic!("{PAGE} names {name}, but no test has this name"),
                _ if found.contains(named) => named,
                [only] => only,
                _ => panic!("{PAGE}: several files have a test {name}: {found:?}"),
            };
            match by_file.iter_mut().find(|(of, _)| of == file) {
                Some((_, names)) => names.push(name),
                None => by_file.push((file, vec![name])),
            }
        }
    }
    let line = |(file, names): (&str, Vec<&str>)| format!("- `{file}`: `{}`", names.join("`, `"));
    by_file.into_iter().map(line).collect()
}

#[test]
fn every_promise_is_shown_by_existing_tests() {
    let files = rust_files();
    let tests = tests(&files);
    let page = fs::read_to_string(Path::new(ROOT).join(PAGE)).unwrap();
    let sections: Vec<&str> = page.split("\n## ").collect();
    let mut current = vec![sections[0].to_owned()];
    for (n, section) in sections.iter().enumerate().skip(1) {
        let (title, body) = section.split_once('\n').unwrap();
        assert!(title.starts_with(&format!("{n}. ")), "{title:?} is not number {n}");
        let (list, prose): (Vec<&str>, Vec<&str>) =
            body.lines().partition(|line| line.starts_with("- `"));
        assert!(!list.is_empty(), "no test shows {title:?}");
        let prose = prose.join("\n").trim().to_owned();
        let list = current_list(&list, &tests).join("\n");
        current.push(format!("{title}\n\n{prose}\n\n{list}\n"));
    }
    assert!(current.len() > 20, "{PAGE} has no list of promises");
    let current = current.join("\n## ");
    if std::env::var_os("SFTP_IMPORT_WRITE_PAGES").is_some() {
        fs::write(Path::new(ROOT).join(PAGE), &current).unwrap();
    } else {
        assert!(page == current, "tests have moved: scripts/pages corrects {PAGE}");
    }
}

#[test]
fn only_marked_functions_count_as_tests() {
    let text = "#[test]\nfn a() {}\n\nfn helper() {\n    let x = 1;\n    x\n}\n\n\n\nfn b() {}\n";
    assert_eq!(tests_in(text).into_iter().collect::<Vec<_>>(), ["a"]);
}
