//! Tests of the progress that a partner can see until an import ends, and of the script in
//! docs/results.md.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::account::Account;
use crate::support::host::{Host, REPOSITORY, text};
use crate::support::pair::Pair;
use crate::support::process::{Ran, run, until};

/// The number of records. An unoptimised program needs some seconds for them.
const MANY: usize = 2_500_000;

/// The maximum time of such an import on a slow machine.
const LONG: Duration = Duration::from_secs(600);

fn standing(account: &Account<'_>, stem: &str) -> Option<Value> {
    let path = account.results().join(format!("{stem}.result.json"));
    let report = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&report).expect("a report must be complete"))
}

#[track_caller]
fn wait_for(account: &Account<'_>, stem: &str, what: impl Fn(&Value) -> bool) -> Value {
    until(&format!("the report of {stem}"), LONG, || {
        account.host.check_daemon();
        standing(account, stem).filter(&what)
    })
}

/// Returns the number of `still_processing` milestones of `manifest` in the given state. `%`
/// matches any state.
fn milestones(host: &Host, manifest: &str, state: &str) -> usize {
    let found = host.query(&format!(
        "SELECT count(*) FROM milestone JOIN import ON import.id = milestone.import
         WHERE milestone.type = 'import.still_processing' AND manifest = '{manifest}.manifest'
           AND json_extract(body, '$.data.state') LIKE '{state}'"
    ));
    found[0].parse().unwrap()
}

/// Stops the daemon for longer than the interval of progress reports. The import makes no progress
/// in this time, so that it can't end first on a fast machine.
fn hold(host: &Host) {
    let send = |signal| host.daemon().as_ref().unwrap().signal(signal);
    send(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(1500));
    send(Signal::SIGCONT);
}

#[test]
fn unfinished_imports_report_progress_after_a_kill() {
    let host = Host::new("[milestones]\nstill-processing-every = \"1s\"\n");
    host.start_daemon();
    let account = host.account("e2e-progress");
    host.cli(&["webhook", "add", &account.id, "crm", &host.catchers.url()]).ok();
    host.cli(&["account", "set", &account.id, "--webhook", "crm"]).ok();
    account.upload(&Pair::events(&account.local(), "big", MANY));
    account.upload(&Pair::events(&account.local(), "next", 1));

    let running = wait_for(&account, "big", |r| r["state"] == "running");
    let queued = wait_for(&account, "next", |r| r["state"] == "queued");
    assert_eq!(queued["place"], 2, "{queued:#}");
    assert!(running["progress"]["bytesRead"].is_u64(), "{running:#}");
    hold(&host);
    until("milestones of both", LONG, || {
        host.check_daemon();
        (milestones(&host, "big", "running") > 0 && milestones(&host, "next", "queued") > 0)
            .then_some(())
    });

    // The daemon is killed during the import. The next process must report progress again.
    host.daemon().as_ref().unwrap().signal(Signal::SIGKILL);
    let killed = host.daemon().take();
    drop(killed);
    let before = milestones(&host, "big", "%");
    host.start_daemon();
    let again = wait_for(&account, "big", |r| r["state"] == "running" && *r != running);
    assert_eq!(again["import"], running["import"]);
    hold(&host);
    until("another milestone", LONG, || {
        host.check_daemon();
        (milestones(&host, "big", "%") > before).then_some(())
    });
    let report = account.report_within("big", LONG);
    assert_eq!(report["records"]["accepted"], MANY, "{report:#}");
    assert_eq!((report.get("place"), report.get("progress")), (None, None), "{report:#}");
    assert_eq!(account.report("next")["state"], "completed");
    host.wait_until_quiet(LONG);
    check_milestones(&host);
}

/// Checks that mail, webhooks and activity log have the same number of milestones.
fn check_milestones(host: &Host) {
    let count = |sql: &str| host.query(sql)[0].parse::<usize>().unwrap();
    let milestones = count("SELECT count(*) FROM milestone WHERE type = 'import.still_processing'");
    let logged = count("SELECT count(*) FROM activity WHERE action = 'import.still_processing'");
    assert_eq!(milestones, logged);
    let mails = host.catchers.mails();
    let of = |word: &str| mails.iter().filter(|mail| mail.subject.contains(word)).count();
    // The number may be higher if a delivery was in progress at the kill and was sent again.
    assert!(of("still running") + of("waiting for its turn") >= milestones, "{mails:#?}");
    let running = mails.iter().find(|mail| mail.subject.contains("still running")).unwrap();
    assert!(running.text.contains("Read so far"), "{running:#?}");
    let waiting = mails.iter().find(|mail| mail.subject.contains("waiting for its turn")).unwrap();
    assert!(waiting.text.contains("after one other import of yours"), "{waiting:#?}");
    let requests = host.catchers.requests();
    let bodies = requests.iter().map(|r| r["body"].as_str().unwrap());
    let bodies: Vec<Value> = bodies.map(|body| serde_json::from_str(body).unwrap()).collect();
    let still = bodies.iter().filter(|body| body["type"] == "import.still_processing");
    assert!(still.count() >= milestones, "{requests:#?}");
}

/// Returns the path of the script from docs/results.md, which is unchanged.
fn script(host: &Host) -> PathBuf {
    let page = std::fs::read_to_string(format!("{REPOSITORY}/docs/results.md")).unwrap();
    let (_, script) = page.split_once("```sh import.sh\n").expect("the page has the script");
    let (script, _) = script.split_once("\n```\n").unwrap();
    let path = host.root.join("local/import.sh");
    std::fs::write(&path, format!("{script}\n")).unwrap();
    path
}

/// Runs the script like cron: in the folder of the answers and without a terminal.
fn run_script(account: &Account<'_>, pair: &Pair, answers: &str) -> Ran {
    let script = script(account.host);
    let port = account.host.port;
    let options = format!("SFTP_OPTIONS={} -P {port}", account.options().join(" "));
    let answers = format!("ANSWERS={answers}");
    let (data, manifest) = (text(&pair.data), text(&pair.manifest));
    let login = account.login();
    run(
        "env",
        &[&options, &answers, "EVERY=1", "TRIES=100", "sh", text(&script), &login, data, manifest],
    )
}

#[test]
fn the_script_in_the_docs_waits_for_results() {
    let host = Host::new("[pairing]\nmanifest-quiet-period = \"0s\"\n");
    host.start_daemon();
    let account = host.account("e2e-script");
    let answers = account.local().join("answers");
    std::fs::create_dir(&answers).unwrap();
    let fetched = |ending: &str| {
        let names = std::fs::read_dir(&answers).unwrap().map(|e| e.unwrap().path());
        let mut names: Vec<_> = names.filter(|path| text(path).ends_with(ending)).collect();
        names.sort();
        names.pop()
    };

    let mut good = Pair::events(&account.local(), "good", 3);
    let renamed = account.local().join("a good one.manifest");
    std::fs::rename(&good.manifest, &renamed).unwrap();
    good.manifest = renamed;
    for _ in 0..2 {
        // The script runs twice, because a nightly job uses the same names every night.
        let ran = run_script(&account, &good, text(&answers)).ok();
        assert_eq!(ran.stderr, "", "{ran:#?}");
    }
    let report = std::fs::read_to_string(fetched(".result.json").unwrap()).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["records"]["accepted"], 3, "{report:#}");
    assert_eq!(fetched(".errors.csv"), None);

    let mixed = Pair::events_with(&account.local(), "mixed", 3, &[1]);
    let ran = run_script(&account, &mixed, text(&answers));
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    let errors = std::fs::read_to_string(fetched(".errors.csv").expect("the error file")).unwrap();
    assert!(errors.contains("Event name is mandatory"), "{errors}");

    let broken = Pair::events(&account.local(), "broken", 1);
    std::fs::write(&broken.manifest, "{").unwrap();
    let ran = run_script(&account, &broken, text(&answers));
    assert!(ran.code == Some(1) && ran.stderr.contains("failed: see"), "{ran:#?}");

    let stranger = account.with_another_key("stranger");
    let ran = run_script(&stranger, &good, text(&answers));
    assert_eq!(ran.code, Some(1), "{ran:#?}");
}
