//! Sends mail with a local sendmail: any program that accepts the same arguments and uses the same
//! exit statuses (sysexits.h).

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lettre::message::Message;

use crate::files::error::IoError;

/// The interval at which a running sendmail program is polled.
const POLL: Duration = Duration::from_millis(20);

/// The maximum number of bytes of the program's standard error that are stored.
const MAX_STDERR: u64 = 1024;

/// The exit statuses of sendmail that mean a permanent failure (sysexits.h): EX_DATAERR,
/// EX_NOUSER, EX_NOHOST.
const FINAL: [i32; 3] = [65, 67, 68];

/// The reason why a local sendmail did not accept a mail.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendmailError {
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("{} ended with {status}: {stderr}", program.display())]
    Status { program: PathBuf, status: ExitStatus, stderr: String },
    #[error("{} did not end within {} s", program.display(), timeout.as_secs())]
    Hangs { program: PathBuf, timeout: Duration },
}

impl SendmailError {
    /// Reports whether the failure of sendmail is permanent.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.code().is_some_and(|c| FINAL.contains(&c)))
    }
}

/// Sends `message` with the sendmail program `program`. Kills the program after `timeout`.
pub(super) fn send(
    program: &Path,
    message: &Message,
    timeout: Duration,
) -> Result<(), SendmailError> {
    let envelope = message.envelope();
    let mut command = Command::new(program);
    command.arg("-i"); // a line with a single dot doesn't end the mail
    if let Some(from) = envelope.from() {
        command.arg("-f").arg(from);
    }
    command.arg("--").args(envelope.to());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(IoError::of("run", program))?;
    let (mut stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mail = message.formatted();
    // Separate threads write and read the pipes, because the program may never read its input, and
    // its children may keep the pipes open.
    thread::spawn(move || {
        // An error of this write is ignored, because the exit status of the program decides the
        // outcome.
        let _ = stdin.as_mut().map(|pipe| pipe.write_all(&mail));
    });
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.map(|pipe| pipe.take(MAX_STDERR).read_to_end(&mut text));
        String::from_utf8_lossy(&text).trim().to_owned()
    });
    match wait(&mut child, timeout).map_err(IoError::of("run", program))? {
        None => Err(SendmailError::Hangs { program: program.to_owned(), timeout }),
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            thread::sleep(POLL);
            let stderr = if reader.is_finished() { reader.join().ok() } else { None };
            let stderr = stderr.unwrap_or_default();
            Err(SendmailError::Status { program: program.to_owned(), status, stderr })
        }
    }
}

/// Returns the exit status of the program. Returns `None` if the program was killed after
/// `timeout`.
fn wait(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}
