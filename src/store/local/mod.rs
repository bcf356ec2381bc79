//! The local engine: events in Parquet files, profiles in SQLite, one folder per account.
//!
//! Both do their heavy work on a thread of their own ([`background`]), in pieces of bounded size.
//! Therefore memory does not grow with the size of the import.

pub mod account_data;
#[cfg(test)]
pub(super) mod contract;
mod events;
mod layout;
pub mod profiles;

pub use profiles::Merger;

use std::path::PathBuf;

use self::events::EventsWriter;
use self::layout::AccountFolder;
use self::profiles::ProfilesWriter;
use super::{Committed, Error};
use crate::account::AccountId;
use crate::files::durable;
use crate::import_id::ImportId;
use crate::records::{Batch, Schema};

/// A local store: one folder per account below `data`.
#[derive(Clone, Debug)]
pub struct LocalStore {
    data: PathBuf,
}

/// Writes one import into the local engine.
#[derive(Debug)]
pub struct LocalWriter {
    import: ImportId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// An earlier run committed the import.
    Committed(Committed),
    Events(Box<EventsWriter>),
    Profiles(Box<ProfilesWriter>),
}

/// The result of beginning an import.
#[derive(Debug)]
pub enum Begun<W> {
    /// Nothing of the import is stored.
    Now(W),
    /// An earlier run committed the import.
    Before(Committed),
}

impl<W> Begun<W> {
    fn into_state(self, now: impl FnOnce(Box<W>) -> State) -> State {
        match self {
            Self::Now(writer) => now(Box::new(writer)),
            Self::Before(committed) => State::Committed(committed),
        }
    }
}

impl LocalStore {
    /// Returns the store below `data`, which need not exist yet.
    pub fn new(data: PathBuf) -> Self {
        Self { data }
    }

    /// See [`super::Store::begin`].
    pub fn begin(
        &self,
        account: &AccountId,
        import: &ImportId,
        schema: &Schema,
    ) -> Result<LocalWriter, Error> {
        let folder = AccountFolder::new(&self.data, account);
        let state = match schema {
            Schema::Event(schema) => {
                events::begin(&folder, account, import, schema)?.into_state(State::Events)
            }
            Schema::Profile(properties) => {
                profiles::begin(&folder, import, properties)?.into_state(State::Profiles)
            }
        };
        Ok(LocalWriter { import: import.clone(), state })
    }

    /// See [`super::Store::committed`].
    pub fn committed(
        &self,
        account: &AccountId,
        import: &ImportId,
    ) -> Result<Option<Committed>, Error> {
        let folder = AccountFolder::new(&self.data, account);
        match events::committed(&folder, import)? {
            None => profiles::committed(&folder, import),
            committed => Ok(committed),
        }
    }

    /// See [`super::Store::abandon`]. A crashed run of profiles leaves a file only if it was
    /// building a new database: in an existing one its transaction is rolled back.
    pub fn abandon(&self, account: &AccountId, import: &ImportId) -> Result<(), Error> {
        let folder = AccountFolder::new(&self.data, account);
        durable::remove_folder(&folder.unfinished_events_of(import))?;
        profiles::abandon(&folder)
    }
}

impl LocalWriter {
    /// See [`super::Writer::is_committed`].
    pub fn is_committed(&self) -> bool {
        matches!(self.state, State::Committed(_))
    }

    /// See [`super::Writer::push`].
    pub fn push(&mut self, batch: Batch) -> Result<(), Error> {
        match (&mut self.state, batch) {
            (State::Committed(_), _) => Ok(()),
            (State::Events(writer), Batch::Events(batch)) if writer.fits(&batch) => {
                writer.push(batch)
            }
            (State::Profiles(writer), Batch::Profiles(batch)) if writer.fits(&batch) => {
                writer.push(batch)
            }
            _ => Err(Error::Mismatch { import: self.import.clone() }),
        }
    }

    /// See [`super::Writer::commit`].
    pub fn commit(self) -> Result<Committed, Error> {
        match self.state {
            State::Committed(committed) => Ok(committed),
            State::Events(writer) => writer.commit(),
            State::Profiles(writer) => writer.commit(),
        }
    }
}
