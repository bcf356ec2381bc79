//! The context of every command: configuration, databases, output; and the command's exit status.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;

use super::actor::actor;
use super::admission::refused;
use super::output::Output;
use crate::account::AccountId;
use crate::admission::{self, Admission, copy_account};
use crate::config::{Config, DEFAULT_PATH};
use crate::import::Importer;
use crate::registry::{self, Registry};
use crate::sanitize::chain;
use crate::state::State;

/// The result of a command: a good answer (exit 0), a bad answer (exit 1), or a failure (exit 1).
pub type CliResult = Result<bool, CliError>;

/// The failure of a command, with a hint for the next step.
#[derive(Debug)]
pub struct CliError {
    message: String,
    hint: Option<String>,
    broken_pipe: bool,
}

impl CliError {
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None, broken_pipe: false }
    }

    #[must_use]
    pub fn hint(self, hint: impl fmt::Display) -> Self {
        self.hint_if(Some(hint))
    }

    #[must_use]
    pub fn hint_if(mut self, hint: Option<impl fmt::Display>) -> Self {
        self.hint = hint.map(|hint| hint.to_string());
        self
    }

    /// Prepends `message`, whose cause is this failure.
    #[must_use]
    pub fn before(self, message: &str) -> Self {
        Self { message: format!("{message}: {}", self.message), ..self }
    }

    /// Prints the failure on standard error, unless it is a closed pipe.
    pub fn print(&self, output: &Output) {
        if !self.broken_pipe {
            output.error(&self.message, self.hint.as_deref());
        }
    }
}

impl<E: Error + 'static> From<E> for CliError {
    fn from(error: E) -> Self {
        let message = chain(&error);
        let io = (&error as &dyn Error).downcast_ref::<io::Error>();
        let broken_pipe = io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
        Self { message, hint: None, broken_pipe }
    }
}

/// The configuration's path and the output of a command.
#[derive(Debug)]
pub struct Context {
    asked: Option<PathBuf>,
    output: Output,
}

impl Context {
    /// Makes a context. The configuration `asked`, or the default one, is read on demand.
    pub fn new(asked: Option<PathBuf>, json: bool) -> Self {
        Self { asked, output: Output::new(json) }
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    pub fn config_path(&self) -> &Path {
        self.asked.as_deref().unwrap_or(Path::new(DEFAULT_PATH))
    }

    /// Reads the configuration. Returns the defaults if the default file does not exist.
    pub fn config(&self) -> Result<Config, CliError> {
        Ok(Config::load_or_default(self.asked.as_deref())?)
    }

    /// Opens the state database of `config`; creates the database, but not its folder.
    pub fn state(&self, config: &Config) -> Result<State, CliError> {
        let path = config.paths.state_db();
        if !config.paths.state.exists() {
            return Err(CliError::new(format_args!(
                "there is no folder {}",
                config.paths.state.display()
            ))
            .hint("`systemd-tmpfiles --create sftp-import.conf` makes it, as the package does"));
        }
        let state = State::open(&path)?;
        state.set_actor(&actor());
        Ok(state)
    }

    /// Opens the registry of `config`. Creates it on a host without accounts.
    ///
    /// # Errors
    /// Also if it is missing on a host with accounts.
    pub fn registry(&self, config: &Config) -> Result<Registry, CliError> {
        match Registry::open(&config.paths.admin, &actor()) {
            Err(registry::Error::Missing(_)) => {
                admission::open_or_create_registry(config, &self.state(config)?, &actor())
                    .map_err(refused)
            }
            opened => opened.map_err(|error| refused(error.into())),
        }
    }

    /// Copies account `id` from the registry to the state database, after a change that is already
    /// in force.
    pub fn copy(&self, admission: &Admission<'_>, id: &AccountId) -> Result<State, CliError> {
        let told = self.state(admission.config).and_then(|state| {
            copy_account(admission.registry, &state, Timestamp::now(), id).map_err(refused)?;
            Ok(state)
        });
        told.map_err(|error| {
            error
                .before("the change is in force, but not yet in the state database")
                .hint("when the state database works again: sftp-import provision")
        })
    }

    pub fn importer(&self, config: Config) -> Result<Importer, CliError> {
        let importer = Importer::open(Arc::new(config))?;
        importer.context.state.set_actor(&actor());
        Ok(importer)
    }

    /// Prints a failure and returns the exit status. Only `doctor` has another rule.
    pub fn finish(&self, result: CliResult) -> ExitCode {
        match result {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) if error.broken_pipe => ExitCode::SUCCESS,
            Err(error) => {
                error.print(&self.output);
                ExitCode::FAILURE
            }
        }
    }
}
