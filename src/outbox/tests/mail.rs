//! Tests of mail with a real SMTP server with TLS and authentication, with failing servers, and
//! with a local sendmail. openssl makes the certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bench::{Bench, client, within};
use super::wait_of;
use crate::config::{Period, Size};
use crate::outbox::Milestone;

fn openssl(folder: &Path, line: &str) {
    let output =
        Command::new("openssl").current_dir(folder).args(line.split(' ')).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a certificate authority and a server certificate for `name`: `ca.pem`, `server.pem`,
/// `server.key`.
fn certificates(folder: &Path, name: &str) {
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1";
    openssl(folder, &format!("req -x509 {curve} -subj /CN=authority -keyout ca.key -out ca.pem"));
    openssl(
        folder,
        &format!(
            "req -x509 {curve} -subj /CN=server -addext subjectAltName={name} \
             -addext basicConstraints=critical,CA:FALSE -CA ca.pem -CAkey ca.key \
             -keyout server.key -out server.pem"
        )
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" "),
    );
}

fn file(bench: &Bench, name: &str) -> PathBuf {
    bench.folder.path().join(name)
}

/// Sends one mail. Returns the state of the delivery and its last error after the first attempt.
async fn first_attempt(bench: &Bench) -> (String, String) {
    bench.enqueue("acme", 1, Milestone::Completed, &client());
    let relay = bench.relay();
    within(10, "an attempt", || bench.deliveries()[0].attempts == 1).await;
    relay.stop().await;
    let delivery = bench.deliveries().remove(0);
    (delivery.state, delivery.last_error.unwrap_or_default())
}

/// Makes a test environment whose mail server has TLS and the user "imports@acme.example".
fn secure(
    options: &[&str],
    password: &str,
    scheme: &str,
    query: &str,
) -> (Bench, super::bench::Catcher) {
    let mut bench = Bench::new();
    certificates(bench.folder.path(), "IP:127.0.0.1");
    let paths = [file(&bench, "server.pem"), file(&bench, "server.key")];
    let [certificate, key] = paths.each_ref().map(|path| path.to_str().unwrap());
    let tls =
        ["--certificate", certificate, "--key", key, "--login", "imports@acme.example:s3cret é"];
    let catcher = bench.smtp(&[&tls, options].concat());
    fs::write(file(&bench, "password"), format!("{password}\nnothing\n")).unwrap();
    let user = "imports%40acme.example";
    bench.config.mail.url = format!("{scheme}://{user}@127.0.0.1:{}{query}", catcher.port);
    bench.config.mail.password_file = Some(file(&bench, "password"));
    bench.config.mail.ca_file = Some(file(&bench, "ca.pem"));
    bench.config.check().unwrap();
    (bench, catcher)
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_login_works_with_tls_and_starttls() {
    for (scheme, query, starttls) in
        [("smtps", "", None), ("smtp", "?tls=required", Some("--starttls"))]
    {
        for mechanism in ["PLAIN", "LOGIN"] {
            let options: Vec<_> = starttls.into_iter().chain(["--mechanism", mechanism]).collect();
            let (bench, _catcher) = secure(&options, "s3cret é", scheme, query);
            let (state, why) = first_attempt(&bench).await;
            assert_eq!(state, "delivered", "{scheme} {mechanism}: {why}");
            assert_eq!(bench.mails().len(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_and_certificates_are_retried() {
    let (bench, _catcher) = secure(&[], "wrong", "smtps", "");
    let (state, why) = first_attempt(&bench).await;
    assert!(state == "pending" && why.contains("535"), "{state} {why}");
    assert!(!why.contains("wrong"), "the password leaks: {why}");

    let (mut bench, _catcher) = secure(&[], "s3cret é", "smtps", "");
    bench.config.mail.ca_file = None;
    let (state, why) = first_attempt(&bench).await;
    assert!(state == "pending" && why.contains("certificate"), "{state} {why}");

    let (bench, _catcher) = secure(&[], "s3cret é", "smtps", "");
    let renamed = bench.config.mail.url.replace("127.0.0.1", "localhost");
    let mut bench = bench;
    bench.config.mail.url = renamed;
    let (state, why) = first_attempt(&bench).await;
    assert!(state == "pending" && why.contains("certificate"), "{state} {why}");
    assert!(bench.mails().is_empty());
}

/// `sftp-import doctor` checks the mail server with this greeting.
#[test]
fn a_connection_check_sends_no_mail() {
    use crate::outbox::greet_mail_server as greet;
    let begun =
        |password, scheme, query, options: &[&str]| secure(options, password, scheme, query);
    for (scheme, query, options) in
        [("smtps", "", &[][..]), ("smtp", "?tls=required", &["--starttls"])]
    {
        let (bench, _catcher) = begun("s3cret é", scheme, query, options);
        assert_eq!(greet(&bench.config.mail), Ok(()), "{scheme}");
        let (bench, _catcher) = begun("wrong", scheme, query, options);
        let why = greet(&bench.config.mail).unwrap_err();
        assert!(why.contains("535") && !why.contains("wrong"), "{why}");
        assert!(bench.mails().is_empty());
    }
    let (mut bench, _catcher) = begun("s3cret é", "smtps", "", &[]);
    bench.config.mail.ca_file = None;
    let why = greet(&bench.config.mail).unwrap_err();
    assert!(why.contains("certificate"), "{why}");
    bench.config.mail.password_file = Some(file(&bench, "nowhere"));
    let why = greet(&bench.config.mail).unwrap_err();
    assert!(why.contains("cannot read the password"), "{why}");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    bench.config.mail = crate::config::Mail {
        url: format!("smtp://{}", silent.local_addr().unwrap()),
        timeout: Period::seconds(1),
        ..Default::default()
    };
    assert!(greet(&bench.config.mail).is_err(), "the server accepts, but sends no greeting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_starttls_gets_no_mail() {
    let mut bench = Bench::new();
    let catcher = bench.smtp(&[]);
    bench.config.mail.url = format!("smtp://127.0.0.1:{}?tls=required", catcher.port);
    let (state, why) = first_attempt(&bench).await;
    assert!(state == "pending" && bench.mails().is_empty(), "{state} {why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_password_file_is_read_again() {
    let (bench, _catcher) = secure(&[], "s3cret é", "smtps", "");
    fs::rename(file(&bench, "password"), file(&bench, "away")).unwrap();
    let (state, why) = first_attempt(&bench).await;
    assert!(state == "pending" && why.contains("cannot read the password"), "{state} {why}");
    fs::rename(file(&bench, "away"), file(&bench, "password")).unwrap();
    let relay = bench.relay();
    within(15, "the mail", || bench.mails().len() == 1).await;
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_disconnect_or_hang_are_retried() {
    for option in ["--drop", "--hang"] {
        let mut bench = Bench::new();
        let _catcher = bench.smtp(&[option]);
        bench.config.mail.timeout = Period::seconds(1);
        let (state, why) = first_attempt(&bench).await;
        assert_eq!(state, "pending", "{option}: {why}");
        assert!(wait_of(&bench, &bench.deliveries()[0]) >= 5, "{option}: {why}");
        assert!(bench.mails().is_empty(), "{option}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_error_files_are_gzipped() {
    let mut bench = Bench::new();
    bench.error_file = "evtName,Failure Description\n".repeat(1000);
    bench.config.mail.gzip_over = Size::from_bytes(10_000);
    let _catcher = bench.smtp(&[]);
    assert_eq!(first_attempt(&bench).await.0, "delivered");
    let mail = bench.mails().remove(0);
    assert!(mail.contains("filename=\"events.errors.csv.gz\""), "{mail}");
    assert!(mail.contains("attached to this mail, gzipped"), "{mail}");
    assert!(mail.contains("application/gzip") && mail.len() < 10_000, "{mail}");
}

/// Installs a script in place of the sendmail program.
fn sendmail(bench: &mut Bench, script: &str) {
    let path = file(bench, "sendmail");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    bench.config.mail.url = format!("sendmail:{}", path.display());
    bench.config.check().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_sendmail_accepts_the_mail() {
    let mut bench = Bench::new();
    sendmail(
        &mut bench,
        r#"echo "$*" >"$(dirname "$0")/args"; exec cat >"$(dirname "$0")/mail.eml""#,
    );
    assert_eq!(first_attempt(&bench).await.0, "delivered");
    let args = fs::read_to_string(file(&bench, "args")).unwrap();
    assert_eq!(args, "-i -f imports@localhost -- data@acme.example\n");
    let mail = fs::read_to_string(file(&bench, "mail.eml")).unwrap();
    assert!(mail.contains("To: data@acme.example\r\n"), "{mail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sendmail_outcomes_follow_the_exit_status() {
    for (script, expected, reason) in [
        ("cat >/dev/null; echo no such user >&2; exit 67", "failed", "no such user"),
        ("cat >/dev/null; echo later >&2; exit 75", "pending", "later"),
        ("exit 1", "pending", "exit status: 1"),
        ("sleep 60", "pending", "did not end within 1 s"),
    ] {
        let mut bench = Bench::new();
        bench.config.mail.timeout = Period::seconds(1);
        bench.error_file = "x".repeat(200_000); // more bytes than a pipe holds
        sendmail(&mut bench, script);
        let (state, why) = first_attempt(&bench).await;
        assert!(state == expected && why.contains(reason), "{script}: {state} {why}");
    }
    let mut bench = Bench::new();
    bench.config.mail.url = "sendmail:/nonexistent".into();
    let (state, why) = first_attempt(&bench).await;
    assert!(state == "pending" && why.contains("cannot run /nonexistent"), "{state} {why}");
}
