//! The previous rules, as far as the model needs them. The explorer must find the fault of these
//! rules.
//!
//! A pair is claimed as soon as its files are closed, in the order of changes. The manifest is
//! copied and keeps its name. It does not count as an upload while it is the claimed file and its
//! times show no later write.

use super::model::World;
use super::scripts::DATA;
use crate::report::{Failure, FailureText};
use crate::spool::{ListedManifest, ManifestContent, ManifestValues, PlannedClaim, Snapshot};

/// The rules for claims that a model uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    Now,
    Before,
}

/// Returns the pairs that these rules claim.
pub(super) fn decide(world: &World, snapshot: &Snapshot) -> Vec<PlannedClaim> {
    let mut manifests: Vec<_> = snapshot.manifests.iter().collect();
    manifests.retain(|seen| seen.content != ManifestContent::BeingWritten && !lingers(world, seen));
    manifests.sort_by_key(|seen| (seen.entry.ctime, &seen.entry.name));
    let mut data = snapshot.files.iter().find(|file| file.name == DATA);
    let mut takes = Vec::new();
    for seen in manifests {
        let spent = world.spent.contains_key(&seen.entry.name);
        let data = match data {
            _ if spent => Err(Failure::new(FailureText::Manifest, "the name was used before")),
            Some(_) if snapshot.being_written.contains(DATA) => continue,
            Some(file) => {
                data = None;
                Ok(file.clone())
            }
            None if seen.age.then.as_secs() < 60 => continue,
            None => Err(Failure::new(FailureText::NoDataFile, DATA)),
        };
        let manifest = seen.entry.clone();
        takes.push(PlannedClaim { manifest, values: ManifestValues::default(), data });
    }
    takes
}

/// Returns whether a claim copied the manifest and the manifest still has its name.
fn lingers(world: &World, seen: &ListedManifest) -> bool {
    let entry = &seen.entry;
    let import = world.spent.get(&entry.name).and_then(|n| world.rows.get(n));
    let Some(claimed) = import.filter(|row| row.is_queued).map(|row| &row.claim.manifest) else {
        return false;
    };
    if claimed.ino != entry.ino {
        return false;
    }
    let is_set = world.inode(&entry.name).is_some_and(|inode| inode.time_is_set);
    let data_came_again =
        world.inode(DATA).is_some_and(|data| data.ctime < entry.ctime.as_millisecond());
    entry.ctime == claimed.ctime || (is_set && !data_came_again)
}
