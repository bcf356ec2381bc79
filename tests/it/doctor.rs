//! docs/troubleshooting.md documents every check of doctor, and for each a test breaks what it
//! checks.

use std::collections::BTreeSet;
use std::path::Path;

use sftp_import::doctor::CHECKS;

#[test]
fn every_check_is_told_of_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let text = std::fs::read_to_string(path).unwrap();
    let checks: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(checks.len(), CHECKS.len(), "names are unique");
    for check in &checks {
        assert!(text.contains(&format!("`{check}`")), "{check} is not documented");
    }
    // The last cell of a table's row names checks, and nothing else.
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.contains("| check |"));
    let cells = rows.filter_map(|line| line.trim_end_matches([' ', '|']).rsplit("| ").next());
    let named = cells.filter(|cell| cell.starts_with('`')).flat_map(|cell| cell.split(", "));
    for check in named.filter_map(|word| word.strip_prefix('`')?.strip_suffix('`')) {
        let known = checks.contains(check);
        assert!(known || check.contains(' ') || check.contains('/'), "there is no check {check}");
    }
}

/// Returns the names and contents of the files in `folder`.
fn texts(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.is_file());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect()
}

/// Returns the checks for which a test breaks the real thing and expects doctor's finding: `failed`
/// and `warned` in tests/e2e, `doctor_fails` and `doctor_warns` in the system test's phases.
fn broken_by_tests() -> BTreeSet<String> {
    let mut broken = BTreeSet::new();
    for (file, text) in texts("tests/e2e") {
        let of_doctor = file.starts_with("doctor");
        for call in [".failed(\"", ".warned(\""].into_iter().filter(|_| of_doctor) {
            let calls = text.split(call).skip(1);
            broken.extend(calls.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    for (_, text) in texts("tests/system/phases") {
        let mut words = text.split_whitespace().peekable();
        while let Some(word) = words.next() {
            if ["doctor_fails", "doctor_warns"].contains(&word) {
                broken.extend(words.peek().map(|check| (*check).to_owned()));
            }
        }
    }
    broken
}

#[test]
fn tests_break_what_every_check_looks_at() {
    let broken = broken_by_tests();
    assert!(broken.len() > 20, "{broken:?}");
    let missing: Vec<_> = CHECKS.iter().filter(|check| !broken.contains(check.name)).collect();
    assert!(missing.is_empty(), "no test breaks what these check: {missing:?}");
}
