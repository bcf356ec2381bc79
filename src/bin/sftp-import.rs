//! `sftp-import`, the command: runs [`sftp_import::cli`].

fn main() -> std::process::ExitCode {
    sftp_import::cli::main()
}
