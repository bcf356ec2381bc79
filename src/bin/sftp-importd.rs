//! The program `sftp-importd`, the daemon. It runs [`sftp_import::daemon`].

fn main() -> std::process::ExitCode {
    sftp_import::daemon::main()
}
