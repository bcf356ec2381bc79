//! The number of profiles in a chunk.

use super::*;

#[test]
fn large_profiles_are_read_a_few_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::begin(&folder.path().join("profiles.db")).unwrap();
    let (mut stored, mut records) = (Profiles::default(), Vec::new());
    for id in 1..=6 {
        stored.text.push_str(&"x".repeat(100));
        stored.end(id, 0, 0);
        record_codec::push_with_profile(&mut records, id, b"change");
        record_codec::push_with_profile(&mut records, id, b"another");
    }
    database.store(&stored).unwrap();
    let slice = Arc::new(Slice::new(records, true));
    let read = |most| {
        let limits = Limits { slice: most, ..Limits::default() };
        let (mut left, mut chunks) = (0..12, Vec::new());
        while !left.is_empty() {
            // The last profile is new.
            let chunk = Chunk::read(&database, &slice, left.clone(), 5, limits).unwrap();
            left.start = chunk.records.end;
            chunks.push((chunk.before.iter().count(), chunk.records));
        }
        chunks
    };
    assert_eq!(read(1 << 20), [(5, 0..12)]);
    assert_eq!(read(800), [(2, 0..4), (2, 4..8), (1, 8..12)]);
    assert_eq!(read(0).len(), 5);
}
