//! The program `sftp-import-authorized-keys`, the helper of sshd. It runs
//! [`sftp_import::authorized_keys`].

fn main() -> std::process::ExitCode {
    sftp_import::authorized_keys::run(std::env::args_os().skip(1))
}
