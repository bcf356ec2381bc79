//! docs/promises.md: every promise has a number and names tests; each exists in the file named.
//!
//! The names are written by hand, the files are generated: with `SFTP_IMPORT_WRITE_PAGES=1`, as in
//! `scripts/pages`, the test corrects the paths of tests that have moved.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PAGE: &str = "docs/promises.md";

/// The Rust files below `src` and `tests`: path in the repository → text.
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

/// Whether `text` has a test of that name: a function right below `#[test]`, or one of a list that
/// makes tests (the store's contract).
pub fn has_test(text: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    if !text.contains(&function) {
        return false;
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(i, line)| {
        let is_attribute =
            |above: &&str| ["#[test]", "#[tokio::test"].iter().any(|a| above.starts_with(a));
        let is_marked = || lines[..i].iter().rev().take(6).any(is_attribute);
        line.trim_start_matches("async ").starts_with(&function)
            && (is_marked() || lines.contains(&name))
    })
}

/// The texts between backquotes in `line`.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The list lines of one promise, with each test below the file that has it now.
fn current_list(list: &[&str], files: &BTreeMap<String, String>) -> Vec<String> {
    let mut by_file: Vec<(String, Vec<&str>)> = Vec::new();
    for line in list {
        let (named, names) = quoted(line).split_first().map(|(f, n)| (*f, n.to_vec())).unwrap();
        assert!(!names.is_empty(), "no test of {named} is named");
        for name in names {
            let has_it = |file: &&String| has_test(&files[*file], name);
            let found: Vec<&String> = files.keys().filter(has_it).collect();
            let file: &str = match found[..] {
                [] => panic!("{PAGE} names {name}, and no test is called so"),
                _ if found.iter().any(|file| *file == named) => named,
                [only] => only,
                _ => panic!("{PAGE}: {name} is a test of several files: {found:?}"),
            };
            match by_file.iter_mut().find(|(of, _)| of == file) {
                Some((_, names)) => names.push(name),
                None => by_file.push((file.to_owned(), vec![name])),
            }
        }
    }
    let line = |(file, names): (String, Vec<&str>)| format!("- `{file}`: `{}`", names.join("`, `"));
    by_file.into_iter().map(line).collect()
}

#[test]
fn every_promise_is_shown_by_existing_tests() {
    let files = rust_files();
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
        let list = current_list(&list, &files).join("\n");
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
    assert!(has_test(text, "a") && !has_test(text, "b") && !has_test(text, "c"));
}
