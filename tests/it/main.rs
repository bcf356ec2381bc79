//! Integration tests that need no sshd: `cargo test --test it`.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on fails")]

mod accounts;
mod activity;
mod check;
mod cli_outbox;
mod common;
mod completeness;
mod conformance;
mod corpus;
mod docs;
mod doctor;
mod erase;
mod fuzz;
mod guess;
mod helper_closure;
mod house;
mod memory;
mod pages;
mod prometheus;
mod promises;
mod root_paths;
mod store_readers;
mod stored;
mod threat_model;
mod upgrade;
mod webhooks;
mod words;

/// A file in this folder runs only if `main.rs` names it.
#[test]
fn main_names_every_test_file() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|m| *m != "main") else { continue };
        assert!(main.contains(&format!("mod {module};")), "{name} is not named in main.rs");
    }
}
