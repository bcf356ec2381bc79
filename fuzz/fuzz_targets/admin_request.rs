#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sftp_import_fuzz::admin_request::run(bytes));
