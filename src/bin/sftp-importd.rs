//! `sftp-importd`, the daemon: runs [`sftp_import::daemon`].

fn main() -> std::process::ExitCode {
    sftp_import::daemon::main()
}
