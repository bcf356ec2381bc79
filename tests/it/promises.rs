//! docs/promises.md: every promise is numbered and names tests, and each of them exists.

use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What stands between backquotes in `line`.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// Whether `text` has a test of that name: a function right below `#[test]`, or one of a list that
/// makes tests (the store's contract).
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let function = format!("fn {name}(");
    lines.iter().enumerate().any(|(i, line)| {
        let is_mark =
            |above: &&str| ["#[test]", "#[tokio::test"].iter().any(|m| above.starts_with(m));
        let marked = || lines[..i].iter().rev().take(6).any(is_mark);
        line.trim_start_matches("async ").starts_with(&function)
            && (marked() || lines.contains(&name))
    })
}

#[test]
fn every_promise_is_shown_by_tests_that_exist() {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/promises.md")).unwrap();
    let mut promises = 0;
    for (n, section) in text.split("\n## ").skip(1).enumerate() {
        let (title, body) = section.split_once('\n').unwrap();
        assert!(title.starts_with(&format!("{}. ", n + 1)), "{title:?} is not number {}", n + 1);
        let shown: Vec<&str> = body.lines().filter(|line| line.starts_with("- `")).collect();
        assert!(!shown.is_empty(), "nothing shows {title:?}");
        for line in shown {
            let names = quoted(line);
            let source = fs::read_to_string(Path::new(ROOT).join(names[0]));
            let source = source.unwrap_or_else(|error| panic!("{title}: {}: {error}", names[0]));
            assert!(names.len() > 1, "{title}: no test of {} is named", names[0]);
            for name in &names[1..] {
                assert!(has_test(&source, name), "{title}: {} has no test {name}", names[0]);
            }
        }
        promises += 1;
    }
    assert!(promises >= 10, "the promises are not where this test looks");
}

#[test]
fn a_function_that_is_no_test_does_not_count() {
    let text = "#[test]\nfn a() {}\n\nfn helper() {\n    let x = 1;\n    x\n}\n\n\n\nfn b() {}\n";
    assert!(has_test(text, "a") && !has_test(text, "b") && !has_test(text, "c"));
}
