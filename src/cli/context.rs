//! What every command needs: configuration, state database, output; and how a command ends.

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
use crate::admission::{self, Admission};
use crate::config::{Config, DEFAULT_PATH};
use crate::import::Engine;
use crate::registry::{self, Registry};
use crate::sanitize::chain;
use crate::state::State;

/// What a command returns: whether the answer is good (exit 0) or bad (exit 1), or why it failed.
pub type CliResult = Result<bool, CliError>;

/// Why a command failed, and what to do about it.
#[derive(Debug)]
pub struct CliError {
    message: String,
    hint: Option<String>,
    broken_pipe: bool,
}

impl CliError {
    /// A failure in words of our own.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), hint: None, broken_pipe: false }
    }

    /// The same failure with the next step.
    #[must_use]
    pub fn hint(self, hint: impl fmt::Display) -> Self {
        self.hint_if(Some(hint))
    }

    /// The same failure, with the next step if there is one.
    #[must_use]
    pub fn hint_if(mut self, hint: Option<impl fmt::Display>) -> Self {
        self.hint = hint.map(|hint| hint.to_string());
        self
    }

    /// The same failure, as the cause of what `message` says.
    #[must_use]
    pub fn before(self, message: &str) -> Self {
        Self { message: format!("{message}: {}", self.message), ..self }
    }

    /// Says it on standard error, unless nobody is left to hear it.
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

/// What every command gets.
#[derive(Debug)]
pub struct Context {
    asked: Option<PathBuf>,
    output: Output,
}

impl Context {
    /// For the configuration that was `asked` for, if one was; read when a command needs it.
    pub fn new(asked: Option<PathBuf>, json: bool) -> Self {
        Self { asked, output: Output::new(json) }
    }

    /// Where results go.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Where the configuration lies.
    pub fn config_path(&self) -> &Path {
        self.asked.as_deref().unwrap_or(Path::new(DEFAULT_PATH))
    }

    /// The configuration; the defaults when the file doesn't exist.
    ///
    /// # Errors
    /// It can't be read or can't work.
    pub fn config(&self) -> Result<Config, CliError> {
        Ok(Config::load_or_default(self.asked.as_deref())?)
    }

    /// The state database of `config`; its folder is made when it is missing.
    ///
    /// # Errors
    /// It can't be opened.
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

    /// The registry of `config`, which is made on a host that has no account yet.
    ///
    /// # Errors
    /// It is missing where there was one, or can't be opened.
    pub fn registry(&self, config: &Config) -> Result<Registry, CliError> {
        match Registry::open(&config.paths.admin, &actor()) {
            Err(registry::Error::Missing(_)) => {
                admission::begin_if_new(config, &self.state(config)?, &actor()).map_err(refused)
            }
            opened => opened.map_err(|error| refused(error.into())),
        }
    }

    /// Brings the state database's copy of account `id` to what the registry says, after a change
    /// that is in force without it.
    ///
    /// # Errors
    /// Either database's.
    pub fn copy(&self, admission: &Admission<'_>, id: &AccountId) -> Result<State, CliError> {
        let told = self.state(admission.config).and_then(|state| {
            admission.copy(&state, Timestamp::now(), id).map_err(refused)?;
            Ok(state)
        });
        told.map_err(|error| {
            error
                .before("the change is in force, but the state database doesn't say so yet")
                .hint("when the state database works again: sftp-import provision")
        })
    }

    /// The engine of `config`.
    ///
    /// # Errors
    /// The state database can't be opened.
    pub fn engine(&self, config: Config) -> Result<Engine, CliError> {
        let engine = Engine::open(Arc::new(config))?;
        engine.state.set_actor(&actor());
        Ok(engine)
    }

    /// Says why a command failed, and decides the exit status: the one place that does.
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
