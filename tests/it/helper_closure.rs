//! Checks that `helper-closure.txt` lists all crates that the helper depends on. A new dependency
//! or a new version of a dependency then appears in a diff that a reviewer reads.

use std::process::Command;

const LIST: &str = "tests/helper-closure.txt";
/// The arguments of cargo that print the expected content of the list, in the same order.
const TREE: [&str; 8] = [
    "tree",
    "--locked",
    "--offline",
    "--edges=normal,build",
    "--no-default-features",
    "--prefix=none",
    "--format={p}",
    "--no-dedupe",
];

#[test]
fn helper_dependencies_match_the_list() {
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(env!("CARGO")).args(TREE).current_dir(root).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree failed: {printed}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let mut crates: Vec<&str> = tree
        .lines()
        .filter(|line| !line.starts_with("sftp-import "))
        .map(|line| line.trim_end_matches(" (proc-macro)"))
        .collect();
    crates.sort_unstable();
    crates.dedup();
    let listed = std::fs::read_to_string(format!("{root}/{LIST}")).unwrap();
    let listed: Vec<&str> =
        listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(
        crates, listed,
        "if this is deliberate, update {LIST} and state the reason in the commit"
    );
}
