//! This module's unit tests once more, under valgrind: no read or write of memory that isn't ours,
//! no use of what was never set, nothing lost.

use std::io::Write;
use std::process::Command;

/// Set in the process that valgrind runs.
const INSIDE: &str = "SFTP_IMPORT_UNDER_VALGRIND";

#[test]
fn the_unit_tests_are_clean_under_valgrind() {
    if std::env::var_os(INSIDE).is_some() {
        return; // this is that run
    }
    let valgrind = Command::new("valgrind")
        .args(["--quiet", "--error-exitcode=97", "--leak-check=full"])
        .args(["--show-leak-kinds=definite", "--errors-for-leak-kinds=definite"])
        .arg(std::env::current_exe().unwrap())
        .args(["--test-threads=1", "sys::tests::"])
        .env(INSIDE, "1")
        .output();
    let output = match valgrind {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // Not by a macro: the test harness would keep it to itself.
            let said = b"\nSKIPPED: sys is not tested under valgrind, which is not installed\n";
            std::io::stderr().write_all(said).unwrap();
            return;
        }
        output => output.unwrap(),
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let passed = said.matches("... ok").count();
    assert!(passed >= 4, "only {passed} tests ran: {said}");
    assert!(!said.contains("definitely lost"), "{said}");
}
