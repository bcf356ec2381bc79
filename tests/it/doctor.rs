//! Checks that docs/troubleshooting.md documents every check of doctor, and that a test exists for
//! every check. Such a test breaks the host in the way that the check detects.

use std::collections::BTreeSet;
use std::path::Path;

use sftp_import::doctor::check_names;

#[test]
fn exactly_the_existing_checks_are_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let text = std::fs::read_to_string(path).unwrap();
    let checks: BTreeSet<&str> = check_names().collect();
    assert_eq!(checks.len(), check_names().count(), "the names of checks must be unique");
    for check in &checks {
        assert!(text.contains(&format!("`{check}`")), "{check} is not documented");
    }
    // The last cell of a row contains only names of checks.
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

/// Returns the checks whose finding a test expects after it has broken the host. These tests call
/// `failed` and `warned` in tests/e2e, and `doctor_fails` and `doctor_warns` in the system test.
fn broken_by_tests() -> BTreeSet<String> {
    let mut broken = BTreeSet::new();
    for (file, text) in texts("tests/e2e") {
        let of_doctor = file.starts_with("doctor");
        for call in [".failed(", ".warned("].into_iter().filter(|_| of_doctor) {
            let names = text
                .split(call)
                .skip(1)
                .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
            broken.extend(names.map(|(name, _)| name.to_owned()));
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
fn every_doctor_check_has_a_failing_test() {
    let broken = broken_by_tests();
    assert!(broken.len() > 20, "{broken:?}");
    let missing: Vec<_> = check_names().filter(|name| !broken.contains(*name)).collect();
    assert!(missing.is_empty(), "no test makes these checks fail: {missing:?}");
}
