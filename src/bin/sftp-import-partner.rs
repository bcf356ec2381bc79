//! `sftp-import` for partners: see [`sftp_import::cli::partner_main`].

fn main() -> std::process::ExitCode {
    sftp_import::cli::partner_main()
}
