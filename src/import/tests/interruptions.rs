//! Tests of interruptions between durable steps, failing hosts, and removed accounts.

use std::fs;
use std::time::Duration;

use super::host::{EVENTS, Host, NOT_FINISHED, names};
use crate::import::{Monitor, RunError, RunOutcome};
use crate::report::{FailureText, ImportState};
use crate::state::imports::{self, NewImport, Origin};

#[test]
fn a_rerun_after_interruption_has_equal_results() {
    let host = Host::new();
    for (stem, kind, csv) in [("e", "event", EVENTS), ("p", "profile", "identity,A\na,1\n,2\n")] {
        host.upload(stem, kind, csv);
        let import = host.claim();
        let files = ["data", "manifest"]
            .map(|name| (name, fs::read(host.spooled(&import).join(name)).unwrap()));
        let mut first = host.run(&import);
        let (mails, log, answers) =
            (host.mails(&import), host.log(&import), names(host.results("")));
        host.sql(NOT_FINISHED);
        fs::create_dir(host.spooled(&import)).unwrap();
        for (name, content) in files {
            fs::write(host.spooled(&import).join(name), content).unwrap();
        }
        let mut second = host.run(&import);
        for report in [&mut first, &mut second] {
            report.as_object_mut().unwrap().remove("finishedAt");
        }
        assert_eq!(first, second);
        assert_eq!((host.mails(&import), host.log(&import)), (mails, log));
        assert_eq!(names(host.results("")), answers);
        assert_eq!(host.row(&import).starts, 2);
        // The updates of the next pair concern the pair's own row.
        host.sql("DELETE FROM import");
    }
    assert_eq!(host.stored_events().len(), 1);
}

#[test]
fn an_interrupted_claim_is_completed() {
    for moved in [&[][..], &["e.csv"], &["e.csv", "e.manifest"]] {
        let host = Host::new();
        host.upload("e", "event", EVENTS);
        let import = claiming(&host);
        for name in moved {
            let to = if *name == "e.csv" { "data" } else { "manifest" };
            let from = host.importer.context.layout.incoming(&host.account).join(name);
            fs::create_dir_all(host.spooled(&import)).unwrap();
            fs::rename(from, host.spooled(&import).join(to)).unwrap();
        }
        assert_eq!(host.claim(), import, "{moved:?}");
        assert_eq!(host.run(&import)["state"], "completed", "{moved:?}");
    }
}

/// Writes the row of a claim without moving any file.
fn claiming(host: &Host) -> crate::import_id::ImportId {
    let import = host.claim();
    let row = host.row(&import);
    let Origin::Claim(claim) = &row.origin else { panic!("{:?}", row.origin) };
    let incoming = host.importer.context.layout.incoming(&host.account);
    fs::rename(host.spooled(&import).join("data"), incoming.join("e.csv")).unwrap();
    fs::rename(host.spooled(&import).join("manifest"), incoming.join("e.manifest")).unwrap();
    fs::remove_dir(host.spooled(&import)).unwrap();
    // A rename changes the ctime of the file, which the claim contains.
    let mut claim = claim.clone();
    for (id, name) in [(&mut claim.manifest, "e.manifest")]
        .into_iter()
        .chain(claim.data.iter_mut().map(|data| (data, "e.csv")))
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(incoming.join(name)).unwrap();
        let nanos = i32::try_from(metadata.ctime_nsec()).unwrap();
        id.ctime = jiff::Timestamp::new(metadata.ctime(), nanos).unwrap();
    }
    host.sql("DELETE FROM import; DELETE FROM manifest_name; DELETE FROM activity");
    let new = NewImport {
        account: &host.account,
        manifest: "e.manifest",
        data_file: Some("e.csv"),
        data_type: None,
        client_email: None,
        stem: &|_| "e".into(),
        spends: Some("e.manifest"),
        origin: Origin::Claim(claim),
        refusal: None,
        warnings: &[],
        received_at: jiff::Timestamp::now(),
    };
    host.importer.context.state.write(|tx| imports::insert(tx, "t", &new)).unwrap().1
}

#[test]
fn a_stop_does_not_count_as_a_start() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    for _ in 0..4 {
        let monitor = Monitor::default();
        monitor.stop();
        assert_eq!(host.importer.run(&import, &monitor, &|| {}).unwrap(), RunOutcome::Stopped);
        let row = host.row(&import);
        assert_eq!((row.state, row.starts), (ImportState::Queued, 0));
        assert!(host.stored_events().is_empty());
    }
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!(host.mails(&import), ["import.picked_up", "import.completed"]);
}

#[test]
fn a_crashing_import_is_set_aside() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    host.sql("UPDATE import SET state = 'running', starts = 3");
    let unfinished = host.stored().join(format!(".unfinished/import={import}"));
    fs::create_dir_all(&unfinished).unwrap();
    fs::write(host.results(&format!(".{import}.errors.csv.tmp")), "half a li").unwrap();
    let report = host.run(&import);
    assert_eq!(report["failure"]["message"], FailureText::Internal.as_str());
    assert!(!unfinished.exists());
    assert_eq!(names(host.results("")), ["e.result.json"]);
    assert!(host.spooled(&import).exists(), "`import retry` needs the files");
    let row = host.row(&import);
    let (state, layout) = (&host.importer.context.state, &host.importer.context.layout);
    crate::import::retry(state, layout, &row, jiff::Timestamp::now()).unwrap();
    assert_eq!(host.run(&import)["state"], "completed");
}

#[test]
fn host_failures_are_retried_with_growing_pauses() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let data = host.importer.context.config.paths.data();
    fs::write(&data, "not a folder").unwrap();
    for pause in [1, 2, 4, 8] {
        let again = RunOutcome::Retry(Duration::from_secs(pause));
        assert_eq!(host.try_run(&import).unwrap(), again);
        assert_eq!(host.row(&import).starts, 0);
    }
    fs::remove_file(&data).unwrap();
    assert_eq!(host.run(&import)["state"], "completed");
    assert_eq!(host.mails(&import), ["import.picked_up", "import.completed"]);
}

#[test]
fn a_lasting_host_failure_fails_the_import() {
    let host = Host::with(|config| config.imports.retry_for = crate::config::Period::seconds(0));
    host.upload("e", "event", EVENTS);
    fs::write(host.importer.context.config.paths.data(), "not a folder").unwrap();
    let report = host.run(&host.claim());
    assert_eq!(report["failure"]["message"], FailureText::Infra.as_str());
}

/// Regression: the import failed with the text "cut off 3 times", although its records were stored.
#[test]
fn an_unwritable_answer_does_not_fail_the_import() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let in_the_way = host.results("e.result.json/full");
    fs::create_dir_all(&in_the_way).unwrap();
    for _ in 0..5 {
        let error = host.try_run(&import).unwrap_err();
        assert!(matches!(error, RunError::Results(_)), "{error}");
        assert_eq!(host.row(&import).starts, 0);
    }
    assert_eq!(host.stored_events().len(), 1, "the first run has stored the event");
    fs::remove_dir_all(host.results("e.result.json")).unwrap();
    assert_eq!(host.run(&import)["state"], "completed");
}

/// Regression: the ended import caused an error forever, and no import of the account could run.
#[test]
fn an_ended_import_is_not_run_again() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    let report = host.run(&import);
    assert_eq!(host.run(&import), report);
    assert_eq!(host.mails(&import), ["import.picked_up", "import.completed"]);
    let unknown = "t-99".parse().unwrap();
    assert!(matches!(host.try_run(&unknown), Err(RunError::Unknown(_))));
}

#[test]
fn an_import_completes_without_its_account() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = host.claim();
    host.remove_account();
    assert_eq!(host.try_run(&import).unwrap(), RunOutcome::Finished);
    let report = host.row(&import).report.unwrap();
    assert_eq!((report.state, report.error_file), (ImportState::Completed, None));
    assert_eq!(host.mails(&import), ["import.picked_up", "import.completed"]);
}

#[test]
fn a_claim_of_a_removed_account_is_answered() {
    let host = Host::new();
    host.upload("e", "event", EVENTS);
    let import = claiming(&host);
    host.remove_account();
    let survey = host.importer.survey(None, true).unwrap().unwrap();
    assert_eq!(survey.leftover, std::slice::from_ref(&host.account));
    assert!(survey.queued.is_empty());
    assert_eq!(host.claim(), import);
    assert_eq!(host.try_run(&import).unwrap(), RunOutcome::Finished);
    assert_eq!(host.row(&import).state, ImportState::Failed);
    let survey = host.importer.survey(None, true).unwrap().unwrap();
    assert!(survey.leftover.is_empty() && survey.queued.is_empty());
    assert!(
        host.importer.survey(Some(survey.version), false).unwrap().is_none(),
        "nobody changed it"
    );
}
