//! docs/threat-model.md names tests and modules: each exists.

use std::fs;
use std::path::Path;

use crate::promises::{has_test, rust_files};

#[test]
fn every_test_that_it_names_exists() {
    let files = rust_files();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let quoted = document.split('`').skip(1).step_by(2);
    let named: Vec<(&str, &str)> = quoted.filter_map(|text| text.rsplit_once("::")).collect();
    assert!(named.len() > 40, "{named:?}");
    let exists = |name: &str| {
        files.iter().any(|(path, text)| {
            let is_module = || [format!("/{name}.rs"), format!("/{name}/mod.rs")];
            is_module().iter().any(|end| path.ends_with(end)) || has_test(text, name)
        })
    };
    let missing: Vec<_> = named.iter().filter(|(_, name)| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
