//! The local engine: events as Parquet files, profiles in SQLite, one folder per account.
//!
//! Both halves do their heavy work on their own thread ([`background`]) in pieces of bounded
//! size, so memory does not grow with the import.

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
use crate::import_id::ImportId;
use crate::records::{Batch, Schema};

/// Folders of accounts below one data folder.
#[derive(Clone, Debug)]
pub struct LocalStore {
    data: PathBuf,
}

/// One import into the local engine.
#[derive(Debug)]
pub struct LocalWriter {
    import: ImportId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// By an earlier run.
    Committed(Committed),
    Events(Box<EventsWriter>),
    Profiles(Box<ProfilesWriter>),
}

/// How an import begins.
#[derive(Debug)]
pub enum Begun<W> {
    /// With nothing of it stored.
    Now(W),
    /// After an earlier run committed it.
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
    /// A store below `data`, which need not be there yet.
    pub fn new(data: PathBuf) -> Self {
        Self { data }
    }

    /// See [`super::Store::begin`].
    ///
    /// # Errors
    /// The account's folders or its profiles can't be made or opened.
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
    ///
    /// # Errors
    /// What is stored can't be read.
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

    /// See [`super::Store::abandon`]. Of profiles only a new database can be left: in another their
    /// transaction went with the run.
    ///
    /// # Errors
    /// What is unfinished can't be removed.
    pub fn abandon(&self, account: &AccountId, import: &ImportId) -> Result<(), Error> {
        let folder = AccountFolder::new(&self.data, account);
        crate::files::durable::remove_folder(&folder.unfinished_events_of(import))?;
        profiles::abandon(&folder)
    }
}

impl LocalWriter {
    /// See [`super::Writer::is_committed`].
    pub fn is_committed(&self) -> bool {
        matches!(self.state, State::Committed(_))
    }

    /// See [`super::Writer::push`].
    ///
    /// # Errors
    /// As there.
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
    ///
    /// # Errors
    /// As there.
    pub fn commit(self) -> Result<Committed, Error> {
        match self.state {
            State::Committed(committed) => Ok(committed),
            State::Events(writer) => writer.commit(),
            State::Profiles(writer) => writer.commit(),
        }
    }
}
