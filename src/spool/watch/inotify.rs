//! Sets inotify watches and converts their events to accounts that must be scanned.
//!
//! The kernel queues the events. [`InotifyWatches::next`] reads all queued events and returns each
//! account once. An uncertain event causes a wider scan: an overflow causes a scan of all accounts,
//! and the end of a watch causes a new listing of the accounts. After such an event,
//! [`InotifyWatches::follow`] adds and removes watches and returns the accounts with new watches.
//! Each of these accounts is scanned after its watch began, so that no upload before the watch is
//! missed. [`InotifyWatches::renew`] does the same for some accounts.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask, Watches};
use jiff::Timestamp;
use nix::libc;

use super::arrivals::Arrivals;
use super::wakeup::{ScanTarget, WatchError};
use crate::account::AccountId;
use crate::files::IoError;
use crate::spool::incoming::manifest_name::is_manifest_name;
use crate::spool::layout::Layout;

/// The size of the event buffer in bytes. An event has at most 272 bytes (inotify(7)).
const BUFFER: usize = 64 * 1024;

/// The maximum number of events that are read for one result. The kernel's default queue has the
/// same size.
const MOST_GATHERED: u32 = 16_384;

/// Watches the accounts' folder and the incoming folder of every account.
pub struct InotifyWatches {
    stream: EventStream<Vec<u8>>,
    layout: Layout,
    root: WatchDescriptor,
    watched: HashMap<AccountId, FolderWatch>,
    accounts: HashMap<WatchDescriptor, AccountId>,
    /// The followed accounts whose incoming has no watch. incoming may appear without an event, for
    /// example when a file system is mounted again.
    unseen: BTreeSet<AccountId>,
    arrivals: Arc<Arrivals>,
}

/// The result of setting watches.
#[derive(Debug, Default)]
pub struct RenewResult {
    /// The accounts with a new watch.
    pub new: Vec<AccountId>,
    /// The reason why the accounts' folder is not watched. `None` if the folder is watched.
    pub root: Option<WatchError>,
    /// The accounts without a working watch, each with the reason. An account may have a watch of a
    /// removed folder.
    pub unwatched: Vec<(AccountId, WatchError)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FolderWatch {
    descriptor: WatchDescriptor,
    /// True if incoming is watched. If incoming does not exist, the folder of the account is
    /// watched until incoming appears.
    incoming: bool,
}

impl InotifyWatches {
    /// Begins to watch the accounts' folder. Must run inside a tokio runtime. Records the arrival
    /// order of manifests in `arrivals`.
    pub fn new(layout: &Layout, arrivals: Arc<Arrivals>) -> Result<Self, WatchError> {
        let inotify = Inotify::init().map_err(WatchError::Start)?;
        let root = add(&mut inotify.watches(), layout.root(), root_mask())?;
        Ok(Self {
            stream: inotify.into_event_stream(vec![0; BUFFER]).map_err(WatchError::Start)?,
            layout: layout.clone(),
            root,
            watched: HashMap::new(),
            accounts: HashMap::new(),
            unseen: BTreeSet::new(),
            arrivals,
        })
    }

    /// Watches exactly the given accounts: adds watches for missing and recreated folders, and
    /// removes all other watches.
    pub fn follow(&mut self, accounts: &[AccountId]) -> RenewResult {
        let wanted: HashSet<_> = accounts.iter().collect();
        let gone: Vec<_> =
            self.watched.keys().filter(|known| !wanted.contains(known)).cloned().collect();
        gone.iter().for_each(|account| self.end(account));
        self.unseen.retain(|account| wanted.contains(account));
        self.renew(accounts)
    }

    /// Adds missing watches of `accounts`, which are already followed. Also adds missing watches of
    /// accounts whose incoming is not watched.
    pub fn renew<'a>(&mut self, accounts: impl IntoIterator<Item = &'a AccountId>) -> RenewResult {
        let mut renewed = RenewResult::default();
        match add(&mut self.stream.watches(), self.layout.root(), root_mask()) {
            Ok(root) => self.root = root, // new only if the folder was recreated
            Err(error) => renewed.root = Some(error),
        }
        let mut accounts: BTreeSet<_> = accounts.into_iter().cloned().collect();
        accounts.append(&mut self.unseen);
        for account in &accounts {
            match self.watch(account) {
                // A repeated watch of the same folder returns the same descriptor. In this case the
                // watch is not new.
                Ok(watch) if self.watched.get(account) == Some(&watch) => {}
                Ok(watch) => {
                    if watch.incoming {
                        renewed.new.push(account.clone());
                    }
                    self.put(account, watch);
                }
                // The account has no folder. When the folder is created, the watch of the accounts'
                // folder reports it.
                Err(WatchError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                    self.end(account);
                }
                // An existing watch of the account stays.
                Err(error) => renewed.unwatched.push((account.clone(), error)),
            }
            if !self.watched.get(account).is_some_and(|watch| watch.incoming) {
                self.unseen.insert(account.clone());
            }
        }
        renewed
    }

    /// Waits for events and returns the scans that they require, without duplicates. Cancel-safe.
    pub async fn next(&mut self) -> Result<Vec<ScanTarget>, WatchError> {
        let mut targets = BTreeSet::new();
        while targets.is_empty() {
            let mut event = self.stream.next().await;
            // The loop reads until the queue is empty. The limit ensures that a constant stream of
            // events from one account does not delay the result.
            for gathered in 1.. {
                let this = event.unwrap_or_else(closed).map_err(WatchError::Read)?;
                targets.extend(self.scan_target(&this));
                if gathered == MOST_GATHERED {
                    break;
                }
                match self.stream.next().now_or_never() {
                    Some(next) => event = next,
                    None => break,
                }
            }
        }
        Ok(targets.into_iter().collect())
    }

    /// Returns the scan that an event requires. `None` if no scan is required.
    fn scan_target(&mut self, event: &EventOwned) -> Option<ScanTarget> {
        let (descriptor, mask) = (&event.wd, event.mask);
        if mask.contains(EventMask::Q_OVERFLOW) {
            self.arrivals.clear();
            return Some(ScanTarget::All);
        }
        if *descriptor == self.root {
            return Some(ScanTarget::Accounts);
        }
        let account = self.accounts.get(descriptor)?.clone();
        let incoming = self.watched.get(&account).is_some_and(|watch| watch.incoming);
        let ended = EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF;
        if mask.contains(EventMask::IGNORED) {
            // The kernel has removed this watch. The folder may be recreated later.
            self.accounts.remove(descriptor);
            self.watched.remove(&account);
            self.unseen.insert(account.clone());
        }
        if mask.intersects(ended) || !incoming {
            return Some(ScanTarget::Accounts);
        }
        let name = event.name.as_ref().and_then(|name| name.to_str());
        let is_there = !mask.contains(EventMask::DELETE);
        if let Some(name) = name.filter(|name| is_there && is_manifest_name(name)) {
            self.arrivals.note(&account, name, Timestamp::now());
        }
        Some(ScanTarget::Account(account))
    }

    /// Watches the incoming folder of an account. If incoming does not exist, watches the account's
    /// folder until incoming appears.
    fn watch(&self, account: &AccountId) -> Result<FolderWatch, WatchError> {
        let incoming = || self.watch_incoming(account);
        if let Some(watch) = incoming()? {
            return Ok(watch);
        }
        let mask = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ONLYDIR;
        let descriptor = add(&mut self.stream.watches(), &self.layout.account(account), mask)?;
        // incoming may have appeared before the watch of the account's folder began.
        if let Some(watch) = incoming()? {
            // An error means that the folder and its watch were removed.
            let _ = self.stream.watches().remove(descriptor);
            return Ok(watch);
        }
        Ok(FolderWatch { descriptor, incoming: false })
    }

    fn watch_incoming(&self, account: &AccountId) -> Result<Option<FolderWatch>, WatchError> {
        let mask = WatchMask::CLOSE_WRITE
            | WatchMask::MOVED_TO
            // To rename a file, the SFTP server uses link and unlink, except for posix-rename.
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR
            | WatchMask::DONT_FOLLOW;
        match add(&mut self.stream.watches(), &self.layout.incoming(account), mask) {
            Ok(descriptor) => Ok(Some(FolderWatch { descriptor, incoming: true })),
            Err(WatchError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes `watch` the only watch of an account.
    fn put(&mut self, account: &AccountId, watch: FolderWatch) {
        let descriptor = watch.descriptor.clone();
        self.accounts.insert(descriptor.clone(), account.clone());
        let old = self.watched.insert(account.clone(), watch);
        if let Some(old) = old.filter(|old| old.descriptor != descriptor) {
            self.unwatch(account, old.descriptor);
        }
    }

    /// Removes the watch of an account.
    fn end(&mut self, account: &AccountId) {
        if let Some(FolderWatch { descriptor, .. }) = self.watched.remove(account) {
            self.unwatch(account, descriptor);
        }
    }

    /// Removes a watch unless the watch now belongs to another account, because the folders of two
    /// accounts were swapped.
    fn unwatch(&mut self, account: &AccountId, descriptor: WatchDescriptor) {
        if self.accounts.get(&descriptor) == Some(account) {
            self.accounts.remove(&descriptor);
            // An error means that the folder and its watch were removed.
            let _ = self.stream.watches().remove(descriptor);
        }
    }
}

/// Returns the mask for events about added and removed accounts.
fn root_mask() -> WatchMask {
    WatchMask::CREATE
        | WatchMask::MOVED_TO
        | WatchMask::DELETE
        | WatchMask::MOVED_FROM
        | WatchMask::ONLYDIR
}

/// Returns the error for the end of the stream. inotify(7) never ends the stream.
fn closed() -> io::Result<EventOwned> {
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn add(watches: &mut Watches, path: &Path, mask: WatchMask) -> Result<WatchDescriptor, WatchError> {
    watches.add(path, mask).map_err(|source| match source.raw_os_error() {
        Some(libc::ENOSPC) => WatchError::Limit { path: path.to_owned() },
        _ => IoError::new("watch", path, source).into(),
    })
}

#[cfg(test)]
mod tests;
