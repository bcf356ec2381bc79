//! The house rules that a compiler doesn't check: layers, unsafe code, file heads.

use std::fs;
use std::path::{Path, PathBuf};

/// Top-level modules by layer, lowest first, as src/lib.rs says. A module may use its own files
/// and those of lower layers.
const LAYERS: &[&[&str]] = &[
    &["sys"],
    &["account", "account_state", "import_id", "config"],
    &["report"],
    &["advice", "audit", "manifest", "metrics", "recipient", "records"],
    &["spool", "store", "state", "registry"],
    &["key", "outbox", "provision"],
    &["admission"],
    &["doctor", "import"],
    &["cli", "daemon"],
];

/// What may be used from inside its own layer, with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("import_id", "account"), // words
    ("config", "account"),    // words
    ("config", "import_id"),  // words
    ("manifest", "records"),  // a manifest speaks of property types
    ("records", "manifest"),  // and records apply a manifest
    ("provision", "key"),     // removing an account unpublishes its keys
    ("key", "provision"),     // the first key makes the Unix user
    ("spool", "manifest"),    // lower anyway; said for the reader
];

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
    assert!(paths.len() > 30, "the sources are not where this test looks");
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// Top-level modules that `text` names as `crate::x`, outside comments.
fn uses(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn imports_point_down() {
    let mut wrong = Vec::new();
    for (file, text) in all() {
        let module = file.split(['/', '.']).next().unwrap();
        let Some(own) = layer(module) else { continue };
        for used in uses(&text) {
            let Some(of_used) = layer(&used) else { continue };
            let excepted = EXCEPTIONS.contains(&(module, used.as_str()));
            if used != module && of_used >= own && !excepted {
                wrong.push(format!("{file} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_helper_knows_account_alone() {
    for (file, text) in all().into_iter().filter(|(file, _)| file.starts_with("authorized_keys/")) {
        for used in uses(&text) {
            assert!(["account", "authorized_keys"].contains(&used.as_str()), "{file}: {used}");
        }
    }
}

#[test]
fn every_file_says_what_it_owns() {
    let silent: Vec<_> =
        all().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(f, _)| f).collect();
    assert!(silent.is_empty(), "these files do not open with //!: {silent:#?}");
}

#[test]
fn unsafe_code_is_in_sys_alone() {
    for (file, text) in all() {
        let has = text.lines().any(|line| {
            let line = line.trim_start();
            !line.starts_with("//") && (line.contains("unsafe {") || line.contains("unsafe fn"))
        });
        assert!(!has || file.starts_with("sys/"), "{file}");
        assert!(!text.contains("allow(unsafe_code)") || file.starts_with("sys/"), "{file}");
    }
}

/// cargo-mutants passes over what .cargo/mutants.toml excludes: every entry follows its reason.
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
