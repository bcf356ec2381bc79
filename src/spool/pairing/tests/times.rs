//! Tests of periods, of clocks that jump, and of changes within one clock tick.

use super::*;

#[test]
fn manifest_is_refused_immediately_with_zero_grace() {
    let snapshot = Snapshot {
        manifests: vec![manifest("e.manifest", NOW, valid("e.csv"))],
        ..Snapshot::default()
    };
    let none = Pairing { data_file_grace: Period::seconds(0), ..periods() };
    let decisions = decide(&snapshot, &ArrivalOrder::new(), &none, spent, silent);
    assert!(decisions.claims[0].data.is_err());
    assert_eq!(decisions.rescan_in(), None);
}

#[test]
fn waits_are_bounded_after_clock_moves_back() {
    let mut snapshot = Snapshot {
        manifests: vec![manifest("e.manifest", NOW + 1_000_000, valid("e.csv"))],
        ..Snapshot::default()
    };
    assert_eq!(lines(&snapshot), ["wait e.manifest NoDataFile 60000ms"]);
    snapshot.manifests[0].age.since = Duration::from_secs(59);
    assert_eq!(lines(&snapshot), ["wait e.manifest NoDataFile 1000ms"]);
    snapshot.manifests[0].age.since = Duration::from_secs(60);
    assert!(lines(&snapshot)[0].starts_with("refuse"), "{:?}", lines(&snapshot));
}

/// The clock jumps forward by an hour or a year while a manifest waits. Only the time since the
/// first scan of the manifest counts.
#[test]
fn waits_do_not_shorten_when_clock_jumps() {
    let mut snapshot = Snapshot {
        manifests: vec![manifest("e.manifest", NOW, valid("e.csv"))],
        ..Snapshot::default()
    };
    snapshot.manifests[0].age.since = Duration::from_secs(2);
    assert_eq!(lines(&snapshot), ["wait e.manifest NoDataFile 58000ms"]);
    // After a restart of the daemon, the first scan knows only the clock of the host.
    snapshot.manifests[0].age =
        Age { then: Duration::from_secs(59), since: Duration::from_secs(1) };
    assert!(lines(&snapshot)[0].starts_with("refuse"), "{:?}", lines(&snapshot));
}

#[test]
fn file_from_the_future_has_age_zero() {
    let seconds = |ctime, now| Age::by_clock(second(ctime), second(now)).as_secs();
    assert_eq!((seconds(5, 7), seconds(7, 7), seconds(8, 7)), (2, 0, 0));
}

#[test]
fn rescan_is_due_when_earliest_wait_ends() {
    let snapshot = Snapshot {
        manifests: vec![
            manifest("a.manifest", NOW - 10, valid("a.csv")),
            manifest("b.manifest", NOW - 1, invalid()),
            manifest("c.manifest", NOW, ManifestContent::BeingWritten),
        ],
        ..Snapshot::default()
    };
    let decisions = decide(&snapshot, &ArrivalOrder::new(), &periods(), spent, silent);
    assert_eq!(decisions.rescan_in(), Some(Duration::from_secs(1)));
    assert_eq!(decisions.waiting.len(), 3);
}

#[test]
fn manifests_are_ordered_by_arrival_ctime_name() {
    let snapshot = Snapshot {
        manifests: [("a.manifest", NOW), ("b.manifest", NOW), ("c.manifest", NOW - 9)]
            .map(|(name, ctime)| manifest(name, ctime, ManifestContent::NotPlain))
            .into(),
        ..Snapshot::default()
    };
    let taken = |order: &ArrivalOrder| {
        let decided = decide(&snapshot, order, &periods(), |_| None, silent);
        let names = decided.claims.into_iter().map(|take| take.manifest.name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(taken(&ArrivalOrder::new()), "c.manifest a.manifest b.manifest");
    let arrival = |name: &str, at, place| (name.to_owned(), Arrival { at: second(at), place });
    // The account set the time of c.manifest after its arrival. The manifest keeps its place in
    // the order.
    let order =
        ArrivalOrder::from([arrival("b.manifest", NOW, 7), arrival("c.manifest", NOW + 1, 8)]);
    assert_eq!(taken(&order), "b.manifest a.manifest c.manifest");
    assert!(
        is_arrival_pending(&snapshot, &order, second(NOW)),
        "the event of a.manifest is not read yet"
    );
    assert!(
        !is_arrival_pending(&snapshot, &order, second(NOW + 2)),
        "it would have been read by now"
    );
    let order = ArrivalOrder::from([arrival("b.manifest", NOW, 7), arrival("a.manifest", NOW, 8)]);
    assert!(!is_arrival_pending(&snapshot, &order, second(NOW)));
}
