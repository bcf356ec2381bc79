//! What lingers and what doesn't, by table.

use jiff::Timestamp;

use super::super::claim::FileId;
use super::super::entry::Kind;
use super::super::pair::{Known, Verdict};
use super::*;

/// The claimed change of the manifest, in milliseconds.
const CLAIMED: i64 = 1_000_000;
const PERIOD: Duration = Duration::from_secs(10);

fn ms(n: i64) -> Timestamp {
    Timestamp::from_millisecond(n).unwrap()
}

fn entry(name: &str, ctime: i64, mtime: i64) -> Entry {
    Entry {
        name: name.into(),
        kind: Kind::Regular,
        size: 2,
        ctime: ms(ctime),
        mtime: ms(mtime),
        dev: 1,
        ino: 7,
        nlink: 1,
    }
}

fn manifest(name: &str, ctime: i64, mtime: i64) -> ManifestSeen {
    let known = Known { data_file: Some("e.csv".into()), ..Known::default() };
    ManifestSeen {
        entry: entry(name, ctime, mtime),
        content: Content::Read(Verdict::Invalid { findings: String::new(), known }),
        age: Age { then: Duration::from_secs(1), since: Duration::from_secs(2) },
        digest: Some(Digest::of(b"{}")),
    }
}

fn claim(ctime: i64) -> Claim {
    let manifest = FileId::of(&entry("e.manifest", ctime, ctime));
    Claim { data: None, manifest, copied: Some(Digest::of(b"{}")) }
}

fn apart(manifests: Vec<ManifestSeen>, files: Vec<Entry>, claim: &Claim) -> Vec<Lingering> {
    let import: ImportId = "sftp1-7".parse().unwrap();
    let mut sight = Sight { manifests, files, ..Sight::default() };
    let all = sight.manifests.len();
    let mut held = Held { files: 1000, bytes: 5000, cut: false };
    let apart = set_apart(&mut sight, &mut held, PERIOD, |_| Some((&import, claim)));
    assert_eq!(sight.manifests.len() + apart.len(), all);
    let counted = apart.len().min(ROOM);
    assert_eq!((held.files, held.bytes), (1000 - counted, 5000 - 2 * counted as u64));
    apart
}

fn lingers_with(change: impl FnOnce(&mut ManifestSeen, &mut Claim), files: Vec<Entry>) -> bool {
    let (mut manifest, mut claim) = (manifest("e.manifest", CLAIMED, CLAIMED), claim(CLAIMED));
    change(&mut manifest, &mut claim);
    !apart(vec![manifest], files, &claim).is_empty()
}

#[test]
fn what_was_claimed_lingers_and_what_was_written_since_does_not() {
    let set = |manifest: &mut ManifestSeen, after| {
        manifest.entry = entry("e.manifest", CLAIMED + after, CLAIMED - 5000);
    };
    let data = |ctime| vec![entry("e.csv", CLAIMED + ctime, CLAIMED + ctime)];
    assert!(lingers_with(|_, _| {}, vec![]), "untouched");
    assert!(lingers_with(|_, _| {}, data(3000)), "the next data file has the same name");
    assert!(lingers_with(|m, _| set(m, 300), vec![]), "its time was set");
    assert!(lingers_with(|m, _| set(m, 300), data(3000)), "its time was set, then the next came");
    assert!(lingers_with(|m, _| set(m, 300), data(300)), "both in one tick of the clock");
    assert!(lingers_with(|m, _| set(m, 3_600_000), vec![]), "its time was set much later");
    assert!(!lingers_with(|m, _| set(m, 3000), data(300)), "the pair came again, and its time");
    let written = |m: &mut ManifestSeen, _: &mut Claim| {
        m.entry = entry("e.manifest", CLAIMED + 300, CLAIMED + 300);
    };
    assert!(!lingers_with(written, vec![]), "written with the same bytes");
    let other = |m: &mut ManifestSeen, _: &mut Claim| {
        set(m, 300);
        m.digest = Some(Digest::of(b"[]"));
    };
    assert!(!lingers_with(other, vec![]), "other bytes, then its time was set");
    assert!(!lingers_with(|m, _| m.entry.ino = 8, vec![]), "another file of the name");
    assert!(!lingers_with(|m, _| m.entry.nlink = 2, vec![]));
    assert!(!lingers_with(|m, _| m.content = Content::BeingWritten, vec![]));
    assert!(!lingers_with(|_, c| c.copied = None, vec![]), "it was moved, and came again");
    assert!(lingers_with(|m, _| m.entry.dev = 9, vec![]), "the host was started again");
}

#[test]
fn it_lingers_since_the_claimed_change_whatever_was_set_since() {
    for (ctime, left) in
        [(CLAIMED, 7000), (CLAIMED + 4000, 3000), (CLAIMED + 60_000, 0), (CLAIMED - 5000, 7000)]
    {
        let apart = apart(vec![manifest("e.manifest", ctime, 1)], vec![], &claim(CLAIMED));
        assert_eq!(apart[0].left, Duration::from_millis(left), "{ctime}");
    }
}

#[test]
fn so_many_linger_and_the_earliest_go_at_once() {
    let names = (0..MOST_LINGERING + 150).map(|n| format!("{n:03}.manifest"));
    let manifests = names.rev().map(|name| manifest(&name, CLAIMED, CLAIMED)).collect();
    let apart = apart(manifests, vec![], &claim(CLAIMED));
    let (now, later) = apart.split_at(150);
    assert!(now.iter().all(|one| one.left.is_zero()));
    assert!(later.iter().all(|one| one.left == Duration::from_secs(7)));
    assert_eq!(now[0].entry.name, "000.manifest");
}

#[test]
fn a_look_that_claims_sweeps_few_and_nobody_looks_too_often() {
    let with = |left: &[u64]| -> Vec<Lingering> {
        let all = apart(
            (0..left.len()).map(|n| manifest(&n.to_string(), CLAIMED, CLAIMED)).collect(),
            vec![],
            &claim(CLAIMED),
        );
        let left = left.iter().map(|ms| Duration::from_millis(*ms));
        all.into_iter().zip(left).map(|(one, left)| Lingering { left, ..one }).collect()
    };
    let second = Duration::from_secs(1);
    for (left, claimed, count, again) in [
        (&[][..], 0, 0, None),
        (&[0, 0, 0, 0], 0, 4, None),
        (&[0, 0, 0, 0], 1, 2, Some(second)),
        (&[0, 20, 7000], 1, 1, Some(second)),
        (&[5000, 7000], 0, 0, Some(5 * second)),
    ] {
        let lingering = with(left);
        let (due, look) = due(&lingering, claimed);
        assert_eq!((due.len(), look), (count, again), "{left:?} {claimed}");
    }
}
