//! [`CliContext`] has the configuration, the databases and the output of a command, and makes its
//! exit status.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::actor::actor;
use super::hints;
use super::output::Output;
use crate::account::AccountId;
use crate::admission::{self, Admission, copy_account};
use crate::config::{Config, DEFAULT_PATH};
use crate::import::Importer;
use crate::registry::{self, Registry};
use crate::sanitize::chain;
use crate::state::State;

/// The result of a command: success (exit 0), a bad result (exit 1), or a failure (exit 1).
pub type CliResult = Result<bool, CliError>;

/// The failure of a command, with a hint for the next step.
#[derive(Debug)]
pub struct CliError {
    message: String,
    hint: Option<String>,
    broken_pipe: bool,
    wrong_usage: bool,
}

impl CliError {
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None, broken_pipe: false, wrong_usage: false }
    }

    /// Makes the failure of a command that needs more or other arguments. Its exit status is 2.
    pub fn wrong_usage(message: impl fmt::Display) -> Self {
        Self { wrong_usage: true, ..Self::new(message) }
    }

    #[must_use]
    pub fn hint(self, hint: impl fmt::Display) -> Self {
        self.hint_if(Some(hint))
    }

    #[must_use]
    pub fn hint_if(self, hint: Option<impl fmt::Display>) -> Self {
        Self { hint: hint.map(|hint| hint.to_string()).or(self.hint), ..self }
    }

    /// Adds `message` before the text of this failure. The previous text is the cause of `message`.
    #[must_use]
    pub fn before(self, message: &str) -> Self {
        Self { message: format!("{message}: {}", self.message), ..self }
    }

    /// Prints the failure on standard error, unless the failure is a closed pipe.
    pub fn print(&self, output: &Output) {
        if !self.broken_pipe {
            output.error(&self.message, self.hint.as_deref());
        }
    }
}

impl<E: Error + 'static> From<E> for CliError {
    fn from(error: E) -> Self {
        let io = (&error as &dyn Error).downcast_ref::<io::Error>();
        let broken_pipe = io.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe);
        Self { message: chain(&error), hint: hints::hint(&error), broken_pipe, wrong_usage: false }
    }
}

/// The path of the configuration file and the output of a command.
#[derive(Debug)]
pub struct CliContext {
    config_path: Option<PathBuf>,
    output: Output,
}

impl CliContext {
    /// Makes a context. The configuration is read when it is first needed. Its default path is
    /// [`DEFAULT_PATH`].
    pub fn new(config_path: Option<PathBuf>, json: bool) -> Self {
        Self { config_path, output: Output::new(json) }
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Prints the result of a command: `value` as JSON, or `lines`. Returns success.
    pub fn done<L: AsRef<str>>(
        &self,
        value: &impl Serialize,
        lines: impl IntoIterator<Item = L>,
    ) -> CliResult {
        self.output.result(value, lines)?;
        Ok(true)
    }

    pub fn config_path(&self) -> &Path {
        self.config_path.as_deref().unwrap_or(Path::new(DEFAULT_PATH))
    }

    /// Reads the configuration. Returns the defaults if the default file does not exist.
    pub fn config(&self) -> Result<Config, CliError> {
        Ok(Config::load_or_default(self.config_path.as_deref())?)
    }

    /// Opens the state database that the configuration names.
    pub fn open_state(&self) -> Result<State, CliError> {
        self.state(&self.config()?)
    }

    /// Opens the state database of `config`. Creates a missing database, but not its folder.
    pub fn state(&self, config: &Config) -> Result<State, CliError> {
        let folder = &config.paths.state;
        if !folder.exists() {
            return Err(CliError::new(format_args!("there is no folder {}", folder.display()))
                .hint(
                    "`systemd-tmpfiles --create sftp-import.conf` creates the folder, as the package does",
                ));
        }
        let state = State::open(&config.paths.state_db())?;
        state.set_actor(&actor());
        Ok(state)
    }

    /// Opens the registry of `config`. Creates the registry on a host without accounts.
    ///
    /// # Errors
    /// Returns an error also if the registry is missing on a host with accounts.
    pub fn registry(&self, config: &Config) -> Result<Registry, CliError> {
        match Registry::open(&config.paths.admin, &actor()) {
            Err(registry::Error::Missing(_)) => {
                Ok(admission::open_or_create_registry(config, &self.state(config)?, &actor())?)
            }
            opened => Ok(opened?),
        }
    }

    /// Copies the account `id` from the registry to the state database, after a change that is
    /// already in force.
    pub fn copy_account(
        &self,
        admission: &Admission<'_>,
        id: &AccountId,
    ) -> Result<State, CliError> {
        let copied = self.state(admission.config).and_then(|state| {
            copy_account(admission.registry, &state, Timestamp::now(), id)?;
            Ok(state)
        });
        copied.map_err(|error| {
            error
                .before("the change is in force, but not yet in the state database")
                .hint("when the state database works again, run: sftp-import provision")
        })
    }

    pub fn importer(&self, config: Config) -> Result<Importer, CliError> {
        // This call fails with a hint if the state folder is missing.
        drop(self.state(&config)?);
        let importer = Importer::open(Arc::new(config))?;
        importer.context.state.set_actor(&actor());
        Ok(importer)
    }

    /// Prints a failure and returns the exit status. Only `doctor` has other exit statuses.
    pub fn finish(&self, result: CliResult) -> ExitCode {
        match result {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) if error.broken_pipe => ExitCode::SUCCESS,
            Err(error) => {
                error.print(&self.output);
                if error.wrong_usage { ExitCode::from(2) } else { ExitCode::FAILURE }
            }
        }
    }
}

/// Fails unless root runs the command. Commands that change users, folders or secrets need root.
pub(super) fn require_root() -> Result<(), CliError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(CliError::new("this command needs root").hint("run the same command with sudo"))
}
