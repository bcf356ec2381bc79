//! Tests of the page for Prometheus after real imports. promtool checks the names, and the test
//! compares the values with the uploads. Slow clients and many clients must not block other
//! clients.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::support::host::{Host, SOON, free_port, text};
use crate::support::pair::Pair;
use crate::support::process::{run, run_with, until};

/// Sends a GET request for `path`. Returns the status line and the body of the response.
fn get(mut stream: impl Read + Write, path: &str) -> (String, String) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

/// Returns the value of a line of the page.
#[track_caller]
fn value(page: &str, name: &str) -> f64 {
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let mut found = lines.filter(|(key, _)| *key == name).map(|(_, value)| value.parse().unwrap());
    found.next().unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

#[test]
fn metrics_match_the_uploaded_files() {
    let port = free_port();
    let host = Host::new(&format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\n"));
    let account = host.account("e2e-metrics");
    host.cli(&["webhook", "add", &account.id, "crm", &host.catchers.url()]).ok();
    host.cli(&["account", "set", &account.id, "--webhook", "crm"]).ok();
    host.start_daemon();
    let folder = account.local();
    account.upload(&Pair::events_with(&folder, "m1", 10, &[2, 5]));
    account.upload(&Pair::profiles(&folder, "m2", 3));
    account.upload(&Pair::events_with(&folder, "m3", 1, &[0]));
    for stem in ["m1", "m2", "m3"] {
        account.report(stem);
    }
    host.wait_until_quiet(SOON);
    let ask = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    // The daemon returns the same page for one second.
    let page = until("the page to have every delivery", SOON, || {
        let (status, page) = get(ask(), "/metrics");
        assert_eq!(status, "HTTP/1.1 200 OK");
        let done = value(
            &page,
            "sftp_import_delivery_attempts_total{channel=\"webhook\",outcome=\"delivered\"}",
        );
        (done == 6.0).then_some(page)
    });
    let checked = run_with("promtool", &["check", "metrics"], &page);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{checked:#?}");
    for (name, expected) in [
        ("sftp_import_imports_total{state=\"completed\",type=\"event\"}", 1.0),
        ("sftp_import_imports_total{state=\"failed\",type=\"event\"}", 1.0),
        ("sftp_import_imports_total{state=\"completed\",type=\"profile\"}", 1.0),
        ("sftp_import_import_failures_total{reason=\"all_rejected\"}", 1.0),
        ("sftp_import_records_read_total", 17.0),
        ("sftp_import_records_accepted_total", 14.0),
        ("sftp_import_records_rejected_total", 3.0),
        ("sftp_import_import_duration_seconds_count{type=\"event\"}", 2.0),
        ("sftp_import_pickup_latency_seconds_count", 3.0),
        (
            "sftp_import_deliveries_total{channel=\"webhook\",kind=\"import.failed\",outcome=\"delivered\"}",
            1.0,
        ),
        (
            "sftp_import_deliveries_total{channel=\"email\",kind=\"import.picked_up\",outcome=\"delivered\"}",
            3.0,
        ),
        ("sftp_import_pending_deliveries{channel=\"email\"}", 0.0),
        ("sftp_import_unfinished_imports{state=\"running\"}", 0.0),
        ("sftp_import_accounts{state=\"active\"}", 1.0),
        ("sftp_import_endpoints{state=\"enabled\"}", 1.0),
        ("sftp_import_watched_accounts", 1.0),
        ("sftp_import_state_database_up", 1.0),
    ] {
        assert_eq!(value(&page, name), expected, "{name}");
    }
    let bytes = ["m1", "m2", "m3"].map(|stem| account.report(stem)["bytes"].as_f64().unwrap());
    assert_eq!(value(&page, "sftp_import_read_bytes_total"), bytes.iter().sum::<f64>());
    // The daemon's user can read the attributes of the folder of published keys, but not its files.
    let as_daemon = ["-u", "sftp-import", "--", "stat", "-c", "%Y"];
    let seen = run("runuser", &[&as_daemon[..], &[text(&host.keys())]].concat()).ok();
    let published = fs::metadata(host.keys_db()).unwrap().modified().unwrap();
    let published = published.duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let reported = value(&page, "sftp_import_keys_published_timestamp_seconds");
    assert_eq!(seen.stdout.trim().parse::<f64>().unwrap(), reported);
    assert!((reported - published).abs() < 10.0, "{reported} {published}");
    run("runuser", &[&as_daemon[..], &[text(&host.keys_db())]].concat()).refused();
    assert!(value(&page, "sftp_import_filesystem_free_bytes{folder=\"accounts\"}") > 0.0);
    assert!(value(&page, "process_cpu_seconds_total") > 0.0);
    let labels = page.lines().filter(|line| !line.starts_with('#'));
    assert!(
        !labels.into_iter().any(|line| line.contains(&account.id)),
        "no account may be a label"
    );
    assert_eq!(get(ask(), "/").0, "HTTP/1.1 404 Not Found");
    hold_open(port);
    account.import_all(&Pair::events(&folder, "m4", 5), 5);
    until("a free slot for a request", SOON, || {
        let mut stream = ask();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
}

/// Opens forty connections that send nothing, and keeps them open during the test.
fn hold_open(port: u16) {
    let silent: Vec<_> =
        (0..40).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    std::mem::forget(silent);
}

#[test]
fn the_metrics_socket_works_after_a_kill() {
    let host = Host::new("");
    let socket = host.state().join("metrics.sock");
    let config = std::fs::read_to_string(host.config()).unwrap();
    let listen = format!("[metrics]\nlisten = \"unix:{}\"\n", text(&socket));
    std::fs::write(host.config(), format!("{config}\n{listen}")).unwrap();
    for _ in 0..2 {
        host.start_daemon();
        let page = until("the socket to answer", SOON, || {
            UnixStream::connect(&socket).ok().map(|stream| get(stream, "/metrics").1)
        });
        assert_eq!(value(&page, "sftp_import_watched_accounts"), 0.0);
        host.daemon().as_ref().unwrap().signal(Signal::SIGKILL);
        drop(host.daemon().take());
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("[metrics]\nlisten = \"{}\"\n", taken.local_addr().unwrap());
    std::fs::write(host.config(), format!("{config}\n{listen}")).unwrap();
    host.start_daemon();
    until("the log line", SOON, || {
        let log = std::fs::read_to_string(host.root.join("log/daemon")).unwrap();
        log.contains("Address already in use").then_some(())
    });
    host.stop_daemon();
    assert_eq!(run("test", &["-S", text(&socket)]).code, Some(0), "the existing socket must stay");
}
