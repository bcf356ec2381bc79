//! The store: keeps accepted records, each exactly once.
//!
//! A [`Store`] has an [`Engine`]. The local engine is the only one so far. Every engine must pass
//! the same contract suite (`contract`). The store knows records, accounts and import ids. It does
//! not know import states, the state database or the spool.

mod background;
#[cfg(test)]
mod contract;
mod engine;
mod error;
mod local;
mod profiles;

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

pub use self::engine::{CommitCounts, Engine, ImportWriter};
pub use self::error::Error;
use self::local::LocalStore;
pub use self::profiles::Merger;

/// A handle of the store, which uses one engine.
#[derive(Clone, Debug)]
pub struct Store(Arc<dyn Engine>);

impl Store {
    /// Returns a store with the local engine. Each account has one folder below `data`, with
    /// events in Parquet and profiles in SQLite. [`Engine::begin`] creates the folders.
    pub fn local(data: PathBuf) -> Self {
        Self(Arc::new(LocalStore::new(data)))
    }
}

impl Deref for Store {
    type Target = dyn Engine;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
