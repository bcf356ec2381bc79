//! Manifests that linger: they are claimed, and keep their name in incoming for a while. Pure.
//!
//! Clients look at a file, or set its time and permissions, once they have closed it; a manifest is
//! claimed within milliseconds of its close. So the claim copies it (`Claim::copied`), and the name
//! stays for `pairing.linger`; then [`super::swept`] takes it away. Until then it is no upload: it
//! is not judged, not counted, and told of nowhere.
//!
//! Always holds: what lingers has the bytes that were claimed, under the claimed inode. Whatever
//! was written since is a new use of a spent name, and is refused as any other.

use std::time::Duration;

use super::claim::Claim;
use super::digest::Digest;
use super::entry::Entry;
use super::listing::Held;
use super::pair::{Age, Content, ManifestSeen, Sight};
use crate::import_id::ImportId;

/// How many manifests of one account linger; beyond it the earliest go at once.
pub const MOST_LINGERING: usize = 100;

/// So many names in incoming are room for what lingers, beside what an account may have waiting: as
/// many, and those that one look adds.
pub(super) const ROOM: usize = MOST_LINGERING + super::pair::TAKEN_BY_ONE_LOOK;

/// Nobody looks at an account more often than this for what lingers.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// A manifest that is claimed and still has its name.
#[derive(Clone, Debug)]
pub struct Lingering {
    /// It, as listed.
    pub entry: Entry,
    /// What it holds.
    pub digest: Digest,
    /// The import that it was claimed for.
    pub import: ImportId,
    /// For how long it may still have its name.
    pub left: Duration,
}

/// Takes out of `sight` and `held` what lingers for `period`, the earliest claimed first; `claim_of`
/// tells by which import a name was spent, and how.
pub fn set_apart<'c>(
    sight: &mut Sight,
    held: &mut Held,
    period: Duration,
    claim_of: impl Fn(&str) -> Option<(&'c ImportId, &'c Claim)>,
) -> Vec<Lingering> {
    let Sight { manifests, files, .. } = sight;
    let mut apart = Vec::new();
    manifests.retain(|manifest| {
        let Some((import, claim)) = claim_of(&manifest.entry.name) else { return true };
        let Some(digest) = lingers(manifest, claim, files) else { return true };
        let lingering = Lingering {
            entry: manifest.entry.clone(),
            digest,
            import: import.clone(),
            left: left(manifest, claim, period),
        };
        apart.push((claim.manifest.ctime, lingering));
        false
    });
    apart.sort_by(|(a, x), (b, y)| (a, &x.entry.name).cmp(&(b, &y.entry.name)));
    let mut apart: Vec<_> = apart.into_iter().map(|(_, lingering)| lingering).collect();
    let over = apart.len().saturating_sub(MOST_LINGERING);
    // Those that could not go when they were over it are counted, as nobody else bounds them.
    for Lingering { entry, .. } in apart.iter().rev().take(ROOM) {
        held.files = held.files.saturating_sub(1);
        held.bytes = held.bytes.saturating_sub(entry.size);
    }
    apart[..over].iter_mut().for_each(|lingering| lingering.left = Duration::ZERO);
    apart
}

/// What `manifest` holds, if it is the one that `claim` copied and nothing else was meant by it.
///
/// Setting a time or permissions changes the ctime, and so does a write; the latter sets the mtime
/// to the same instant. A client that writes the same bytes again and then sets the time leaves
/// nothing to tell it by, but that it has brought the data file again before.
fn lingers(manifest: &ManifestSeen, claim: &Claim, files: &[Entry]) -> Option<Digest> {
    let (entry, claimed) = (&manifest.entry, &claim.manifest);
    let (Content::Read(verdict), Some(digest)) = (&manifest.content, manifest.digest) else {
        return None;
    };
    // The device is not compared: it can have another number after a restart of the host.
    if claim.copied != Some(digest) || entry.ino != claimed.ino || !entry.is_plain() {
        return None;
    }
    if entry.ctime == claimed.ctime {
        return Some(digest);
    }
    let data_file = verdict.known().data_file;
    // Of one tick, the time was set and the next data file came: a pair takes longer to come.
    let came_again =
        |file: &Entry| data_file.as_ref() == Some(&file.name) && file.ctime < entry.ctime;
    let written = entry.mtime == entry.ctime || files.iter().any(came_again);
    (!written).then_some(digest)
}

/// What is left of `period` since the claimed change, however often its time was set since.
fn left(manifest: &ManifestSeen, claim: &Claim, period: Duration) -> Duration {
    let Age { then, since } = manifest.age;
    let set_after = Age::by_clock(claim.manifest.ctime, manifest.entry.ctime);
    period.saturating_sub(then.saturating_add(since).saturating_add(set_after))
}

/// What of `lingering` goes now, and after how long to look again for the others. A look that has
/// claimed `claimed` imports has these to begin, and takes away few: in a stream of imports no more
/// comes than goes.
pub fn due(lingering: &[Lingering], claimed: usize) -> (Vec<&Lingering>, Option<Duration>) {
    let most = if claimed == 0 { usize::MAX } else { 2 * claimed };
    let due: Vec<_> = lingering.iter().filter(|one| one.left.is_zero()).take(most).collect();
    let is_due = |one: &&Lingering| one.left.is_zero();
    let others = lingering.iter().filter(is_due).skip(most);
    let others = others.chain(lingering.iter().filter(|one| !is_due(one)));
    (due, others.map(|one| one.left).min().map(rounded))
}

/// When to look again for a manifest that begins to linger for `period`.
pub fn rounded(period: Duration) -> Duration {
    period.max(LOOK_AFTER)
}

#[cfg(test)]
#[path = "linger_tests.rs"]
mod tests;
