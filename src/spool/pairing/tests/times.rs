//! Tests: periods, clocks that jump, and changes within one clock tick.

use super::*;

#[test]
fn a_grace_of_nothing_refuses_at_once() {
    let sight =
        Sight { manifests: vec![manifest("e.manifest", NOW, valid("e.csv"))], ..Sight::default() };
    let none = Pairing { data_file_grace: Period::seconds(0), ..periods() };
    let decisions = decide(&sight, &Order::new(), &none, spent, silent);
    assert!(decisions.take[0].data.is_err());
    assert_eq!(decisions.look_again_in(), None);
}

#[test]
fn a_clock_set_back_makes_nobody_wait_longer_than_the_period() {
    let mut sight = Sight {
        manifests: vec![manifest("e.manifest", NOW + 1_000_000, valid("e.csv"))],
        ..Sight::default()
    };
    assert_eq!(lines(&sight), ["wait e.manifest NoDataFile 60000ms"]);
    sight.manifests[0].age.since = Duration::from_secs(59);
    assert_eq!(lines(&sight), ["wait e.manifest NoDataFile 1000ms"]);
    sight.manifests[0].age.since = Duration::from_secs(60);
    assert!(lines(&sight)[0].starts_with("refuse"), "{:?}", lines(&sight));
}

/// The clock jumps an hour or a year forward while a manifest waits. Only the time since the first
/// scan counts.
#[test]
fn a_clock_set_forward_refuses_nobody_early() {
    let mut sight =
        Sight { manifests: vec![manifest("e.manifest", NOW, valid("e.csv"))], ..Sight::default() };
    sight.manifests[0].age.since = Duration::from_secs(2);
    assert_eq!(lines(&sight), ["wait e.manifest NoDataFile 58000ms"]);
    // First scanned after a restart: only the host's clock is known.
    sight.manifests[0].age = Age { then: Duration::from_secs(59), since: Duration::from_secs(1) };
    assert!(lines(&sight)[0].starts_with("refuse"), "{:?}", lines(&sight));
}

#[test]
fn an_age_is_what_the_clock_says_or_nothing() {
    let seconds = |ctime, now| Age::by_clock(second(ctime), second(now)).as_secs();
    assert_eq!((seconds(5, 7), seconds(7, 7), seconds(8, 7)), (2, 0, 0));
}

#[test]
fn looks_again_at_the_first_end_of_a_wait() {
    let sight = Sight {
        manifests: vec![
            manifest("a.manifest", NOW - 10, valid("a.csv")),
            manifest("b.manifest", NOW - 1, invalid()),
            manifest("c.manifest", NOW, Content::BeingWritten),
        ],
        ..Sight::default()
    };
    let decisions = decide(&sight, &Order::new(), &periods(), spent, silent);
    assert_eq!(decisions.look_again_in(), Some(Duration::from_secs(1)));
    assert_eq!(decisions.waiting.len(), 3);
}

#[test]
fn the_order_is_that_of_first_arrivals_then_of_changes_then_of_names() {
    let sight = Sight {
        manifests: [("a.manifest", NOW), ("b.manifest", NOW), ("c.manifest", NOW - 9)]
            .map(|(name, ctime)| manifest(name, ctime, Content::NotPlain))
            .into(),
        ..Sight::default()
    };
    let taken = |order: &Order| {
        let decided = decide(&sight, order, &periods(), |_| None, silent);
        let names = decided.take.into_iter().map(|take| take.manifest.name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(taken(&Order::new()), "c.manifest a.manifest b.manifest");
    let arrival = |name: &str, at, place| (name.to_owned(), Arrival { at: second(at), place });
    // c's time was set after its arrival: it keeps its place.
    let order = Order::from([arrival("b.manifest", NOW, 7), arrival("c.manifest", NOW + 1, 8)]);
    assert_eq!(taken(&order), "b.manifest a.manifest c.manifest");
    assert!(order_is_open(&sight, &order, second(NOW)), "a's event is still to be read");
    assert!(!order_is_open(&sight, &order, second(NOW + 2)), "it would have been read by now");
    let order = Order::from([arrival("b.manifest", NOW, 7), arrival("a.manifest", NOW, 8)]);
    assert!(!order_is_open(&sight, &order, second(NOW)));
}
