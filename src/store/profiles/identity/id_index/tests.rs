//! Ids are numbered and found, alone and by record, and sorted in key order.

use super::super::key_order::KINDS_BY_NAME;
use super::*;

pub fn number(ids: &mut Ids, kind: IdKind, value: &str) -> u32 {
    let mut numbers = Vec::new();
    ids.number_all(&[(kind, value)], &mut numbers);
    numbers[0]
}

#[test]
fn an_id_keeps_its_number() {
    let mut ids = Ids::default();
    let texts: Vec<_> = (0..5000).map(|n| format!("id {n}")).collect();
    for _ in 0..2 {
        for (text, n) in texts.iter().zip(0..) {
            assert_eq!(number(&mut ids, IdKind::Identity, text), 2 * n);
            assert_eq!(number(&mut ids, IdKind::GpId, text), 2 * n + 1);
        }
    }
    let keys = [(IdKind::FbId, "id 1"), (IdKind::GpId, "id 1"), (IdKind::GpId, "")];
    assert_eq!((ids.len(), ids.find_all(&keys)), (10_000, vec![None, Some(3), None]));
    let mut numbers = Vec::new();
    let new = (IdKind::ObjectId, "new");
    ids.number_all(&[keys[1], new, new, keys[0]], &mut numbers);
    assert_eq!(numbers, [3, 10_000, 10_000, 10_001]);
    assert_eq!(ids.iter().nth(3), Some((IdKind::GpId, "id 1")));
}

#[test]
fn ids_of_records_are_found_whether_they_came_together_or_not() {
    use IdKind::{GpId, Identity, ObjectId};
    let mut ids = Ids::default();
    let mut numbers = Vec::new();
    let records = [(Identity, "a"), (ObjectId, "x"), (Identity, "b"), (ObjectId, "y")];
    for _ in 0..2 {
        ids.number_all(&records, &mut numbers);
        assert_eq!(numbers, [0, 1, 2, 3]);
    }
    let mixed = [
        (Identity, "a"),
        (ObjectId, "y"),
        (ObjectId, "x"),
        (Identity, "b"),
        (GpId, "new"),
        (ObjectId, "y"),
        (Identity, "c"),
        (ObjectId, "x"),
    ];
    let found = [Some(0), Some(3), Some(1), Some(2), None, Some(3), None, Some(1)];
    assert_eq!(ids.find_all(&mixed), found);
    ids.number_all(&mixed, &mut numbers);
    assert_eq!(numbers, [0, 3, 1, 2, 4, 3, 5, 1]);
}

#[test]
fn key_order_is_that_of_kind_and_value() {
    let mut ids = Ids::default();
    let texts =
        ["", "\0", "a", "a\0", "é", "a long text that ends in b", "a long text that ends in a"];
    for kind in IdKind::ALL {
        texts.iter().for_each(|text| _ = number(&mut ids, kind, text));
    }
    let wanted = |number| number != 2;
    let orders = KINDS_BY_NAME.map(|kind| ids.in_key_order(kind, wanted));
    for (kind, order) in KINDS_BY_NAME.iter().zip(&orders) {
        let mut taken = Vec::new();
        let take = |some: &[(u32, &str)]| {
            assert!(some.iter().all(|&(number, id)| ids.get(number) == (*kind, id)));
            taken.extend(some.iter().map(|(number, _)| *number));
            Ok::<_, ()>(())
        };
        ids.take_in_key_order(*kind, wanted, 3, take).unwrap();
        assert_eq!(&taken, order);
    }
    let mut keys: Vec<_> = orders.iter().flatten().map(|&n| ids.get(n)).collect();
    let found = keys.clone();
    keys.sort_by_key(|(kind, value)| (kind.as_str(), *value));
    assert_eq!((found.len(), &found), (4 * texts.len() - 1, &keys));
}
