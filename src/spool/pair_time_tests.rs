//! Periods, clocks that jump, and what came in one tick.

use super::*;

#[test]
fn a_grace_of_nothing_refuses_at_once() {
    let sight =
        Sight { manifests: vec![manifest("e.manifest", NOW, valid("e.csv"))], ..Sight::default() };
    let none = Pairing { data_file_grace: crate::config::Period::seconds(0), ..Pairing::default() };
    let decisions = decide(&sight, &Order::new(), &none, spent);
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

/// An hour forward (or a year) while a manifest waits: what counts is for how long it has waited.
#[test]
fn a_clock_set_forward_refuses_nobody_early() {
    let mut sight =
        Sight { manifests: vec![manifest("e.manifest", NOW, valid("e.csv"))], ..Sight::default() };
    sight.manifests[0].age.since = Duration::from_secs(2);
    assert_eq!(lines(&sight), ["wait e.manifest NoDataFile 58000ms"]);
    // First seen after a restart: what the host's clock says is all there is.
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
    let decisions = decide(&sight, &Order::new(), &Pairing::default(), spent);
    assert_eq!(decisions.look_again_in(), Some(Duration::from_secs(1)));
    assert_eq!(decisions.waiting.len(), 3);
}

#[test]
fn what_came_in_one_tick_goes_by_arrival_then_by_name() {
    let sight = Sight {
        manifests: ["a.manifest", "b.manifest", "c.manifest"]
            .map(|name| manifest(name, NOW, Content::NotPlain))
            .into(),
        ..Sight::default()
    };
    let order = Order::from([("c.manifest".to_owned(), 1), ("b.manifest".to_owned(), 2)]);
    let decided = decide(&sight, &order, &Pairing::default(), |_| None);
    let names: Vec<_> = decided.take.iter().map(|take| take.manifest.name.as_str()).collect();
    assert_eq!(names, ["c.manifest", "b.manifest", "a.manifest"]);
    assert!(order_is_open(&sight, &order, second(NOW)), "a's event is on its way");
    assert!(!order_is_open(&sight, &order, second(NOW + 2)), "it would be here by now");
    let all = Order::from(["a", "b", "c"].map(|name| (format!("{name}.manifest"), 1)));
    assert!(!order_is_open(&sight, &all, second(NOW)));
}

#[test]
fn a_manifest_settles_before_it_is_taken_where_that_is_asked_for() {
    let file = entry("e.csv", NOW - 9);
    let periods = Pairing { settle: Period::seconds(2), ..Pairing::default() };
    for (age, waits) in
        [(0, Some(Duration::from_secs(2))), (1, Some(Duration::from_secs(1))), (2, None)]
    {
        let valid = Verdict::Valid {
            data_type: DataType::Event,
            data_file: "e.csv".into(),
            client_email: "a@example.com".into(),
        };
        let sight = Sight {
            manifests: vec![manifest("e.manifest", NOW - age, Content::Read(valid))],
            files: vec![file.clone()],
            ..Sight::default()
        };
        let decided = decide(&sight, &Order::new(), &periods, |_| None);
        assert_eq!(decided.look_again_in(), waits);
        assert_eq!(decided.take.len(), usize::from(waits.is_none()));
    }
}

#[test]
fn a_young_manifest_that_was_read_keeps_its_name_and_a_spent_one_does_not() {
    let copied = |name: &str, ctime, content, linger| {
        let sight = Sight { manifests: vec![manifest(name, ctime, content)], ..Sight::default() };
        let none = Period::seconds(0);
        let linger = Period::seconds(linger);
        let periods = Pairing { linger, data_file_grace: none, ..Pairing::default() };
        let decisions = decide(&sight, &Order::new(), &periods, spent);
        decisions.take[0].claim().copied.is_some()
    };
    assert!(copied("e.manifest", NOW, valid("e.csv"), 10));
    assert!(copied("e.manifest", NOW - 9, invalid(), 10), "whatever the answer");
    assert!(!copied("e.manifest", NOW - 10, valid("e.csv"), 10));
    assert!(!copied("e.manifest", NOW, valid("e.csv"), 0));
    assert!(!copied("e.manifest", NOW, Content::NotPlain, 10));
    assert!(!copied("spent.manifest", NOW, valid("e.csv"), 10));
}
