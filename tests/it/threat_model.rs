//! docs/threat-model.md names tests: each exists.

use std::fs;
use std::path::Path;

/// Every `fn` and module below `folder`, as text to search in.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|e| e == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for folder in ["src", "tests"] {
        sources(&root.join(folder), &mut code);
    }
    let document = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let quoted = document.split('`').skip(1).step_by(2);
    let named: Vec<_> = quoted.filter_map(|text| text.rsplit_once("::")).collect();
    assert!(named.len() > 40, "{named:?}");
    let exists = |name: &str| {
        [format!("fn {name}("), format!("mod {name};")]
            .iter()
            .any(|definition| code.contains(definition))
    };
    let missing: Vec<_> = named.iter().filter(|(_, name)| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
