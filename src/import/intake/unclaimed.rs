//! Reports data files that no manifest names. Each file is reported only once, even after a
//! restart.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::import::context::Context;
use crate::outbox::{FilesUnclaimed, enqueue_unclaimed};
use crate::spool::{self, ScanResult};
use crate::state::accounts::AccountRow;
use crate::state::{self, activity, unclaimed};

/// The maximum number of files that one scan reports. The next scan reports the others.
const MAX_PER_SCAN: usize = 1000;

/// Reports the unclaimed files in `seen` that were not reported before, and removes the rows of
/// files that no longer exist. If an error occurs, no file is reported, and the next scan tries
/// again.
pub(super) fn report(
    context: &Context,
    account: &AccountRow,
    seen: &ScanResult,
) -> state::Result<()> {
    let after = context.config.pairing_of(&account.id).unclaimed_after;
    let (now, id) = (state::now(), &account.id);
    let reported = context.state.read(|tx| unclaimed::list(tx, id))?;
    let here: HashSet<_> = seen.snapshot.files.iter().map(|file| file.name.as_str()).collect();
    // A truncated listing of incoming does not show which files were removed.
    let is_gone = |name: &str| !seen.usage.cut && !here.contains(name);
    let gone = reported.iter().filter(|file| is_gone(&file.name));
    let gone: Vec<_> = gone.map(|file| &file.name).collect();
    let known: HashMap<_, _> = reported.iter().map(|file| (file.name.as_str(), file)).collect();
    let is_new = |entry: &&spool::DirEntry| {
        known.get(entry.name.as_str()).is_none_or(|reported| **reported != file(entry))
    };
    let new: Vec<_> = match after.is_zero() {
        true => Vec::new(),
        false => spool::unclaimed(&seen.snapshot, now, after.get())
            .into_iter()
            .filter(is_new)
            .take(MAX_PER_SCAN)
            .collect(),
    };
    if gone.is_empty() && new.is_empty() {
        return Ok(());
    }
    context.state.write(|tx| {
        gone.iter().try_for_each(|name| unclaimed::remove(tx, id, name))?;
        for entry in &new {
            unclaimed::record_report(tx, id, &file(entry), now)?;
            activity::log(tx, now, Some(id), None, "file.unclaimed", &entry.name)?;
        }
        let files = FilesUnclaimed::new(
            id,
            after.get(),
            new.iter().map(|entry| (entry.name.as_str(), entry.size, entry.ctime)),
        );
        match (&account.email, new.is_empty()) {
            (Some(contact), false) => enqueue_unclaimed(tx, now, id, contact, &files),
            _ => Ok(()),
        }
    })?;
    for entry in new {
        tracing::info!(account = %id, "no manifest of account {id} has claimed the data file {:?} since {:.0}",
            entry.name, entry.ctime);
    }
    Ok(())
}

fn file(entry: &spool::DirEntry) -> unclaimed::UnclaimedRow {
    let changed: Timestamp = entry.ctime;
    // The time is rounded down to milliseconds, the precision of the state database, for comparison
    // with its rows.
    let changed = Timestamp::from_millisecond(changed.as_millisecond()).unwrap_or(changed);
    unclaimed::UnclaimedRow { name: entry.name.clone(), inode: entry.ino, changed }
}
