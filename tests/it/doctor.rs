//! docs/troubleshooting.md and doctor speak of the same checks.

use std::collections::BTreeSet;
use std::path::Path;

use sftp_import::doctor::CHECKS;

#[test]
fn every_check_is_told_of_and_no_other() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
    let text = std::fs::read_to_string(path).unwrap();
    let checks: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(checks.len(), CHECKS.len(), "a name comes once");
    for check in &checks {
        assert!(text.contains(&format!("`{check}`")), "{check} is not told of");
    }
    // The last cell of a table's row names checks, and nothing else.
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.contains("| check |"));
    let cells = rows.filter_map(|line| line.trim_end_matches([' ', '|']).rsplit("| ").next());
    let named = cells.filter(|cell| cell.starts_with('`')).flat_map(|cell| cell.split(", "));
    for check in named.filter_map(|word| word.strip_prefix('`')?.strip_suffix('`')) {
        let known = checks.contains(check);
        assert!(known || check.contains(' ') || check.contains('/'), "no check is called {check}");
    }
}
