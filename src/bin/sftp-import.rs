//! The program `sftp-import`, the command line. It runs [`sftp_import::cli`].

fn main() -> std::process::ExitCode {
    sftp_import::cli::main()
}
