//! Starts the opener process and drops the daemon's capabilities. Also has the `main` of the opener
//! process.
//!
//! The daemon starts with `CAP_DAC_READ_SEARCH` and `CAP_LEASE`. Before it has a second thread, and
//! before it reads anything that an account wrote, the daemon starts its program again under the
//! name [`NAME`], with one end of a socket as standard input. Then it drops every capability. The
//! new process keeps the two capabilities, serves [`spool::Opener`], and ends when the daemon does.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use rustix::thread::CapabilitySet;
use tokio::sync::oneshot;

use super::privileges;
use crate::config::Config;
use crate::sanitize::chain;
use crate::spool::{self, Access, Opener};

/// `argv[0]` of the opener process, by which the program recognises its role.
const NAME: &str = "sftp-import-opener";

/// The capabilities that the opener process needs. The process reports a missing capability at its
/// start.
const NEEDED: [(CapabilitySet, &str); 2] =
    [(CapabilitySet::DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"), (CapabilitySet::LEASE, "CAP_LEASE")];

/// The byte with which the opener process reports that no capability is missing. Any other value is
/// an index into [`NEEDED`].
const READY: u8 = NEEDED.len() as u8;

/// The reason why the opener process did not start, or why the daemon has more rights than it
/// should.
#[derive(Debug, thiserror::Error)]
pub enum OpenerError {
    #[error("cannot start the opener process")]
    Start(#[source] io::Error),
    /// The process wrote its error to standard error before it ended.
    #[error("the opener process ended at its start ({0})")]
    Ended(ExitStatus),
    #[error(
        "the capability {0} is missing; \
         the unit's AmbientCapabilities= and CapabilityBoundingSet= must name it"
    )]
    Capability(&'static str),
    #[error("cannot drop capabilities; does the unit's SystemCallFilter= allow capset?")]
    GiveUp(#[source] io::Error),
    #[error("not every capability was dropped: /proc/self/status shows {0:?}")]
    LeftOver(String),
}

/// Any error that ends the start of the daemon or of its opener process.
pub type StartupError = Box<dyn std::error::Error>;

/// The running opener process.
#[derive(Debug)]
pub struct OpenerProcess {
    child: Child,
}

/// Starts the opener process and drops every capability of this process, which must have only one
/// thread.
pub fn start(config: &Config) -> Result<(Opener, OpenerProcess), OpenerError> {
    privileges::harden().map_err(OpenerError::Start)?;
    let (ours, theirs) = spool::opener::pair().map_err(|e| OpenerError::Start(e.into()))?;
    let uids = config.accounts.uids();
    let mut child = Command::new("/proc/self/exe")
        .arg0(NAME)
        .arg(&config.paths.accounts)
        .args([uids.start().to_string(), uids.end().to_string()])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .map_err(OpenerError::Start)?;
    privileges::drop_all_except(CapabilitySet::empty()).map_err(OpenerError::GiveUp)?;
    let status = fs::read_to_string("/proc/self/status").map_err(OpenerError::GiveUp)?;
    if let Some(line) = privileges::remaining_privilege(&status) {
        return Err(OpenerError::LeftOver(line));
    }
    let mut ours = File::from(ours);
    let mut report = [READY];
    let read = ours.read(&mut report).map_err(OpenerError::Start)?;
    if read == 0 {
        return Err(OpenerError::Ended(child.wait().map_err(OpenerError::Start)?));
    }
    match NEEDED.get(usize::from(report[0])) {
        Some((_, capability)) => Err(OpenerError::Capability(capability)),
        None => Ok((Opener::connect(OwnedFd::from(ours)), OpenerProcess { child })),
    }
}

impl OpenerProcess {
    /// Returns a receiver of the exit status, which arrives when the process has ended.
    ///
    /// # Errors
    /// Returns an error if the host can start no more threads.
    pub fn ended(mut self) -> io::Result<oneshot::Receiver<io::Result<ExitStatus>>> {
        let (send, ended) = oneshot::channel();
        let wait = move || {
            // Sending fails if the daemon is ending.
            let _ = send.send(self.child.wait());
        };
        std::thread::Builder::new().name("opener".into()).spawn(wait)?;
        Ok(ended)
    }
}

/// Makes the error with which the daemon ends after the end of its opener process.
pub fn end_error(
    status: Result<io::Result<ExitStatus>, oneshot::error::RecvError>,
) -> StartupError {
    let how = match status {
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    format!("the opener process has ended ({how}); without it no upload can be opened").into()
}

/// Returns whether this process was started as the opener process.
pub fn is_opener_process() -> bool {
    std::env::args_os().next().is_some_and(|name| name == NAME)
}

/// Runs the opener process until the daemon ends.
pub fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The opener process shares the daemon's standard error, which the journal reads.
            let _ = writeln!(io::stderr(), "the opener process failed: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), StartupError> {
    privileges::harden()?;
    prctl::set_name(&CString::new(spool::opener::PROCESS)?)?;
    ignore_signals()?;
    let needed = NEEDED.iter().map(|(capability, _)| *capability).collect();
    let kept = privileges::drop_all_except(needed)?;
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [root, first, last] = arguments.as_slice() else {
        return Err("only sftp-importd can start the opener process".into());
    };
    let uid = |text: &std::ffi::OsStr| text.to_str().and_then(|text| text.parse::<u32>().ok());
    let (Some(first), Some(last)) = (uid(first), uid(last)) else {
        return Err("the user ids must be numbers".into());
    };
    privileges::confine_to(Path::new(root))?;
    let mut socket = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let missing = NEEDED.iter().position(|(capability, _)| !kept.contains(*capability));
    socket.write_all(&[missing.map_or(READY, |place| place as u8)])?;
    spool::opener::serve(socket.into(), Access::new(Path::new(root), first..=last))?;
    Ok(())
}

/// Blocks the signals that systemd or a terminal send to all processes of the unit. The daemon gets
/// some seconds to stop, and needs the opener process until then.
fn ignore_signals() -> nix::Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()
}
