//! `sftp-import-admin`, the admin helper of the console: runs [`sftp_import::admin`].

fn main() -> std::process::ExitCode {
    sftp_import::admin::main()
}
