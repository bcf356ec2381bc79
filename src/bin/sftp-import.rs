//! `sftp-import`: see [`sftp_import::cli`].

fn main() -> std::process::ExitCode {
    sftp_import::cli::main()
}
