//! inotify's watches and events, told as what to look at.
//!
//! The kernel's queue is the channel: [`Events::next`] takes all that has gathered in it, once
//! per account. What is not certain becomes a wider look: an overflow says "look at all", a watch
//! that ended says "look which accounts there are". Then [`Events::follow`] sets the watches
//! right and names the accounts whose watch is new: those are looked at after their watch began,
//! so that nothing slips between. [`Events::renew`] does so for some of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask, Watches};
use jiff::Timestamp;
use nix::libc;

use super::arrivals::Arrivals;
use super::{Look, WatchError};
use crate::account::AccountId;
use crate::spool::incoming::entry::MANIFEST_ENDING;
use crate::spool::layout::Layout;

/// Room for some hundred events; one alone takes at most 272 bytes (inotify(7)).
const BUFFER: usize = 64 * 1024;

/// How many events one answer takes up at most: as many as the kernel queues by default.
const MOST_GATHERED: u32 = 16_384;

/// Watches the accounts' folder, and every account's incoming.
pub struct Events {
    stream: EventStream<Vec<u8>>,
    layout: Layout,
    root: WatchDescriptor,
    watched: HashMap<AccountId, Watch>,
    accounts: HashMap<WatchDescriptor, AccountId>,
    /// The accounts that are followed and whose incoming has no watch: it may appear without a word,
    /// as a file system that is mounted again.
    unseen: BTreeSet<AccountId>,
    arrivals: Arc<Arrivals>,
}

/// What setting watches came to.
#[derive(Debug, Default)]
pub struct Renewed {
    /// The accounts whose watch is new.
    pub new: Vec<AccountId>,
    /// Why there is none on the accounts' folder.
    pub root: Option<WatchError>,
    /// The accounts that have none, or perhaps one of a folder that is gone.
    pub unwatched: Vec<(AccountId, WatchError)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Watch {
    descriptor: WatchDescriptor,
    /// False: the account has no incoming, and its folder is watched for one to appear.
    incoming: bool,
}

impl Events {
    /// Begins to watch for accounts; inside a tokio runtime. The order in which manifests come is
    /// noted in `arrivals`.
    ///
    /// # Errors
    /// The host has no inotify instance left, or the accounts' folder can't be watched.
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

    /// Watches exactly `accounts`: adds what is missing or was made anew, ends what is gone.
    pub fn follow(&mut self, accounts: &[AccountId]) -> Renewed {
        let wanted: HashSet<_> = accounts.iter().collect();
        let gone: Vec<_> =
            self.watched.keys().filter(|known| !wanted.contains(known)).cloned().collect();
        gone.iter().for_each(|account| self.end(account));
        self.unseen.retain(|account| wanted.contains(account));
        self.renew(accounts)
    }

    /// Adds what is missing or was made anew of `accounts`, which are followed, and of those whose
    /// incoming has no watch.
    pub fn renew<'a>(&mut self, accounts: impl IntoIterator<Item = &'a AccountId>) -> Renewed {
        let mut renewed = Renewed::default();
        match add(&mut self.stream.watches(), self.layout.root(), root_mask()) {
            Ok(root) => self.root = root, // another one only if the folder was made anew
            Err(error) => renewed.root = Some(error),
        }
        let mut accounts: BTreeSet<_> = accounts.into_iter().cloned().collect();
        accounts.append(&mut self.unseen);
        for account in &accounts {
            match self.watch(account) {
                // Watching the same folder twice is one watch: a known one is not new.
                Ok(watch) if self.watched.get(account) == Some(&watch) => {}
                Ok(watch) => {
                    if watch.incoming {
                        renewed.new.push(account.clone());
                    }
                    self.put(account, watch);
                }
                // It has no folder yet, or no more; the watch on the root tells when it comes.
                Err(WatchError::Add { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    self.end(account);
                }
                // Its old watch, if it has one, is better than none.
                Err(error) => renewed.unwatched.push((account.clone(), error)),
            }
            if !self.watched.get(account).is_some_and(|watch| watch.incoming) {
                self.unseen.insert(account.clone());
            }
        }
        renewed
    }

    /// Waits for events and says what to look at, each thing once. Can be cancelled and called
    /// again; nothing gets lost.
    ///
    /// # Errors
    /// The kernel gives no events any more.
    pub async fn next(&mut self) -> Result<Vec<Look>, WatchError> {
        let mut looks = BTreeSet::new();
        while looks.is_empty() {
            let mut event = self.stream.next().await;
            // What has gathered goes in one answer; a pause in it ends it, or an account that
            // brings events without one.
            for gathered in 1.. {
                let this = event.unwrap_or_else(closed).map_err(WatchError::Read)?;
                looks.extend(self.look(&this));
                if gathered == MOST_GATHERED {
                    break;
                }
                match self.stream.next().now_or_never() {
                    Some(next) => event = next,
                    None => break,
                }
            }
        }
        Ok(looks.into_iter().collect())
    }

    /// What an event tells to look at.
    fn look(&mut self, event: &EventOwned) -> Option<Look> {
        let (descriptor, mask) = (&event.wd, event.mask);
        if mask.contains(EventMask::Q_OVERFLOW) {
            self.arrivals.clear();
            return Some(Look::All);
        }
        if *descriptor == self.root {
            return Some(Look::Accounts);
        }
        let account = self.accounts.get(descriptor)?.clone();
        let incoming = self.watched.get(&account).is_some_and(|watch| watch.incoming);
        let ended = EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF;
        if mask.contains(EventMask::IGNORED) {
            // The kernel has ended this watch; the folder may be made anew.
            self.accounts.remove(descriptor);
            self.watched.remove(&account);
            self.unseen.insert(account.clone());
        }
        if mask.intersects(ended) || !incoming {
            return Some(Look::Accounts);
        }
        let name = event.name.as_ref().and_then(|name| name.to_str());
        let is_there = !mask.contains(EventMask::DELETE);
        if let Some(name) = name.filter(|name| is_there && name.ends_with(MANIFEST_ENDING)) {
            self.arrivals.note(&account, name, Timestamp::now());
        }
        Some(Look::Account(account))
    }

    /// Watches an account's incoming, or, where there is none, for it to appear.
    fn watch(&self, account: &AccountId) -> Result<Watch, WatchError> {
        let incoming = || self.watch_incoming(account);
        if let Some(watch) = incoming()? {
            return Ok(watch);
        }
        let mask = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ONLYDIR;
        let descriptor = add(&mut self.stream.watches(), &self.layout.account(account), mask)?;
        // It may have appeared before this watch began.
        if let Some(watch) = incoming()? {
            // It fails for a folder that is gone, whose watch went with it.
            let _ = self.stream.watches().remove(descriptor);
            return Ok(watch);
        }
        Ok(Watch { descriptor, incoming: false })
    }

    fn watch_incoming(&self, account: &AccountId) -> Result<Option<Watch>, WatchError> {
        let mask = WatchMask::CLOSE_WRITE
            | WatchMask::MOVED_TO
            // The SFTP server renames with link and unlink, but for posix-rename.
            | WatchMask::DELETE
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR
            | WatchMask::DONT_FOLLOW;
        match add(&mut self.stream.watches(), &self.layout.incoming(account), mask) {
            Ok(descriptor) => Ok(Some(Watch { descriptor, incoming: true })),
            Err(WatchError::Add { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The account has this watch, and no other.
    fn put(&mut self, account: &AccountId, watch: Watch) {
        let descriptor = watch.descriptor.clone();
        self.accounts.insert(descriptor.clone(), account.clone());
        let old = self.watched.insert(account.clone(), watch);
        if let Some(old) = old.filter(|old| old.descriptor != descriptor) {
            self.unwatch(account, old.descriptor);
        }
    }

    /// The account has no watch.
    fn end(&mut self, account: &AccountId) {
        if let Some(Watch { descriptor, .. }) = self.watched.remove(account) {
            self.unwatch(account, descriptor);
        }
    }

    /// Ends a watch, unless it is another account's by now: their folders were exchanged.
    fn unwatch(&mut self, account: &AccountId, descriptor: WatchDescriptor) {
        if self.accounts.get(&descriptor) == Some(account) {
            self.accounts.remove(&descriptor);
            // It fails for a folder that is gone, whose watch went with it.
            let _ = self.stream.watches().remove(descriptor);
        }
    }
}

/// Accounts come and go.
fn root_mask() -> WatchMask {
    WatchMask::CREATE
        | WatchMask::MOVED_TO
        | WatchMask::DELETE
        | WatchMask::MOVED_FROM
        | WatchMask::ONLYDIR
}

/// The stream says so by ending; inotify(7) never does.
fn closed() -> io::Result<EventOwned> {
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn add(watches: &mut Watches, path: &Path, mask: WatchMask) -> Result<WatchDescriptor, WatchError> {
    watches.add(path, mask).map_err(|source| match source.raw_os_error() {
        Some(libc::ENOSPC) => WatchError::Limit { path: path.to_owned() },
        _ => WatchError::Add { path: path.to_owned(), source },
    })
}

#[cfg(test)]
mod tests;
