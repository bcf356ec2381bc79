//! Checks rules for the code that the compiler does not check: layers, import circles, folders,
//! unsafe code.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use self::source::{Name, Source, root};

/// Returns the table of layers in the documentation of src/lib.rs, the lowest layer first.
fn layers() -> Vec<BTreeSet<String>> {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let rows = text.lines().skip_while(|line| *line != "//! | layer | modules |").skip(2);
    let modules = |row: &str| row.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let mut layers: Vec<_> =
        rows.map_while(|line| line.strip_prefix("//! | ")).map(modules).collect();
    layers.reverse();
    layers
}

#[test]
fn every_module_is_in_one_layer() {
    let mut in_table: Vec<String> = layers().into_iter().flatten().collect();
    in_table.sort();
    let source = Source::read();
    let modules: Vec<_> = source.0.keys().filter(|name| name.len() == 1).flatten().collect();
    assert_eq!(in_table.iter().collect::<Vec<_>>(), modules);
}

#[test]
fn modules_import_only_from_lower_layers() {
    let layers = layers();
    let layer = |name: &Name| layers.iter().position(|modules| modules.contains(&name[0]));
    let source = Source::read();
    let mut wrong = Vec::new();
    for (name, imports) in source.imports().into_iter().filter(|(name, _)| !name.is_empty()) {
        for import in imports.into_iter().filter(|import| import.first() != name.first()) {
            if import.is_empty() || layer(import) >= layer(name) {
                wrong.push(format!("{} -> {}", name.join("::"), import.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "these imports do not point down: {wrong:#?}");
}

#[test]
fn no_files_import_each_other() {
    let source = Source::read();
    let imports = source.imports();
    let mut circles = Vec::new();
    for (name, targets) in &imports {
        for target in targets {
            if reachable(&imports, target).contains(name) {
                circles.push(format!("{} -> {}", name.join("::"), target.join("::")));
            }
        }
    }
    assert!(circles.is_empty(), "these imports are parts of circles: {circles:#?}");
}

/// Returns the modules that `from` imports, either directly or through other modules.
fn reachable<'a>(
    imports: &BTreeMap<&'a Name, BTreeSet<&'a Name>>,
    from: &'a Name,
) -> BTreeSet<&'a Name> {
    let mut found = BTreeSet::new();
    let mut left = vec![from];
    while let Some(next) = left.pop() {
        left.extend(imports[next].iter().copied().filter(|import| found.insert(*import)));
    }
    found
}

#[test]
fn impls_are_beside_or_below_their_types() {
    let misplaced = Source::read().misplaced_impls();
    assert!(misplaced.is_empty(), "{misplaced:#?}");
}

#[test]
fn no_folder_has_more_than_14_files() {
    let mut folders = BTreeMap::<PathBuf, usize>::new();
    for (file, _) in all() {
        *folders.entry(Path::new(&file).parent().unwrap().to_owned()).or_default() += 1;
    }
    folders.retain(|_, files| *files > 14);
    assert!(folders.is_empty(), "{folders:#?}");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(paths.len() > 30, "the sources are not where this test expects them");
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Returns the top-level modules that `text` names as `crate::x` outside of comments.
fn uses(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn the_helper_imports_only_account() {
    for (file, text) in all().into_iter().filter(|(file, _)| file.starts_with("authorized_keys/")) {
        for used in uses(&text) {
            assert!(["account", "authorized_keys"].contains(&used.as_str()), "{file}: {used}");
        }
    }
}

#[test]
fn every_file_has_a_summary() {
    let silent: Vec<_> =
        all().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(f, _)| f).collect();
    assert!(silent.is_empty(), "these files do not begin with //!: {silent:#?}");
}

#[test]
fn unsafe_code_is_only_in_sys() {
    for (file, text) in all() {
        let has = text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && (line.contains("unsafe {") || line.contains("unsafe fn"))
        });
        assert!(!has || file.starts_with("sys/"), "{file}");
        assert!(!text.contains("allow(unsafe_code)") || file.starts_with("sys/"), "{file}");
    }
}

/// cargo-mutants ignores the code that .cargo/mutants.toml excludes. Therefore each entry must
/// follow a comment with its reason.
#[test]
fn every_excluded_mutant_has_a_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cargo/mutants.toml");
    let text = fs::read_to_string(path).unwrap();
    let (_, list) = text.split_once("\nexclude_re = [").unwrap();
    let (list, _) = list.split_once("]\n").unwrap();
    let lines: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_reason = |line: &str| line.strip_prefix("# ").is_some_and(|reason| reason.len() > 20);
    for pair in std::iter::once("").chain(lines.iter().copied()).collect::<Vec<_>>().windows(2) {
        assert!(pair[1].starts_with('#') || is_reason(pair[0]), "{} has no reason", pair[1]);
    }
}

/// scripts/mutants stops if a listed file does not exist. The script runs rarely, so this test
/// checks the list.
#[test]
fn files_listed_for_mutants_exist() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(repository.join("scripts/mutants")).unwrap();
    let (_, list) = text.split_once("\nFILES=(\n").unwrap();
    let (list, _) = list.split_once("\n)").unwrap();
    for file in list.lines().map(str::trim) {
        assert!(repository.join(file).is_file(), "{file} does not exist: correct scripts/mutants");
    }
}
