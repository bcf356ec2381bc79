//! The program `sftp-import` for partners. It runs [`sftp_import::cli::partner_main`].

fn main() -> std::process::ExitCode {
    sftp_import::cli::partner_main()
}
