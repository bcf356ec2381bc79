//! End-to-end tests. They run the real programs behind a real sshd, with real clients.
//!
//! The tests need root. They create Unix users, folders below /srv and an sshd on 127.0.0.1, and
//! remove all of them. scripts/test installs the clients. Each test has its own
//! [`support::host::Host`].
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on fails")]
#![allow(clippy::print_stderr, reason = "logs of a failed test")]

mod support;

mod admin_helper;
mod answers;
mod audit;
mod care;
mod client_ways;
mod clients;
mod clock;
mod confinement;
mod daemon_folders;
mod doctor;
mod doctor_machine;
mod fairness;
mod faults;
mod file_size;
mod flood;
mod full_disk;
mod hanging;
mod hostile;
mod journal;
mod keys_boundary;
mod keys_upgrade;
mod kill;
mod load;
mod logins;

mod metrics;
mod opener;
mod poison;
mod progress;
mod readme;
mod refused_keys;
mod registry_kill;
mod reused_data_file;
mod root_boundary;
mod secrets;
mod shutdown;
mod slow_link;
mod soak;
mod sshd_config;
mod torn;
mod units;
mod upload_states;
mod upload_ways;
mod watch;
mod watching;

#[test]
fn every_file_is_a_module() {
    let main = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{name}");
    }
}
