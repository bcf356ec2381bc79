//! [`Opener`] opens files of accounts for reading, and acquires leases on these files.
//!
//! Both need capabilities. An upload may have the mode 0600 (`CAP_DAC_READ_SEARCH`), and belongs to
//! another user (`CAP_LEASE`). The daemon has no capability, because it parses data from accounts.
//! It sends requests to the opener process, which is a child process with both capabilities. The
//! opener process reads no file and returns descriptors. A request is a datagram on a socket that
//! all threads share. Each request contains a new socket for its answer, so that threads do not
//! wait for each other's answers.
//!
//! Without an opener process ([`Opener::in_process`]) the same functions run in this process.

mod access;
mod channel;
mod message;
mod serve;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use rustix::net::SendFlags;

pub use access::{Access, OpenerFolder};
pub use channel::pair;
pub use serve::serve;

use self::channel::{receive, send};
use self::message::OpenerRequest;
use crate::config::Config;
use crate::sys::{LeaseError, ReadLease};

/// The name of the opener process in /proc/PID/comm, which is limited to 15 bytes.
pub const PROCESS: &str = "sftp-opener";

/// Opens files of accounts, either in this process or through the opener process. All clones share
/// one connection.
#[derive(Clone, Debug)]
pub struct Opener(Arc<Backend>);

#[derive(Debug)]
enum Backend {
    InProcess(Access),
    Process(OwnedFd),
}

/// An open file with a read lease, see [`ReadLease`].
#[derive(Debug)]
pub struct Lease {
    lease: ReadLease,
    opener: Opener,
}

impl Opener {
    /// Creates an opener that runs in the present process and has the rights of this process.
    pub fn in_process(config: &Config) -> Self {
        let access = Access::new(&config.paths.accounts, config.accounts.uids());
        Self(Arc::new(Backend::InProcess(access)))
    }

    /// Connects to the opener process, which runs [`serve()`] at the other end of `socket`.
    pub fn connect(socket: OwnedFd) -> Self {
        Self(Arc::new(Backend::Process(socket)))
    }

    /// Opens the file `name` in the folder `place` for reading. Fails like [`Access::open`]. Also
    /// fails with `EPIPE` if the opener process has ended.
    pub(super) fn open(&self, place: &OpenerFolder, name: &str) -> nix::Result<File> {
        match &*self.0 {
            Backend::InProcess(access) => access.open(place, name),
            Backend::Process(socket) => {
                let request = OpenerRequest::Open(place.clone(), name.to_owned());
                ask(socket, &request, None)?.map(File::from).ok_or(Errno::EPROTO)
            }
        }
    }

    /// Acquires a read lease on `file`, which [`Opener::open`] has opened. Fails like
    /// [`ReadLease::take`]. Also fails with `EPIPE` if the opener process has ended.
    pub(super) fn lease(&self, file: File) -> Result<Lease, LeaseError> {
        let lease = match &*self.0 {
            Backend::InProcess(_) => ReadLease::take(file)?,
            Backend::Process(socket) => {
                ask(socket, &OpenerRequest::Lease, Some(file.as_fd()))?;
                ReadLease::from_leased(file)
            }
        };
        Ok(Lease { lease, opener: self.clone() })
    }
}

impl Lease {
    /// Returns true if no process has opened the file for writing or truncated it since the lease
    /// was acquired. Fails with `EPIPE` if the opener process has ended.
    pub fn is_unbroken(&self) -> io::Result<bool> {
        match &*self.opener.0 {
            Backend::InProcess(_) => self.lease.is_unbroken(),
            Backend::Process(socket) => {
                match ask(socket, &OpenerRequest::Renew, Some(self.file().as_fd())) {
                    Ok(_) => Ok(true),
                    Err(Errno::EAGAIN) => Ok(false),
                    Err(errno) => Err(errno.into()),
                }
            }
        }
    }

    pub fn file(&self) -> &File {
        self.lease.file()
    }
}

/// Sends a request to the opener process and waits for the answer.
fn ask(
    socket: &OwnedFd,
    request: &OpenerRequest,
    file: Option<BorrowedFd<'_>>,
) -> nix::Result<Option<OwnedFd>> {
    let (answers, theirs) = pair()?;
    let descriptors: Vec<_> = std::iter::once(theirs.as_fd()).chain(file).collect();
    let sent = send(socket.as_fd(), &request.encode(), &descriptors, SendFlags::empty());
    // `ECONNRESET` means that the opener process ended with requests in its queue.
    sent.map_err(|errno| if errno == Errno::ECONNRESET { Errno::EPIPE } else { errno })?;
    drop(descriptors);
    // After this drop, only the opener process has a handle of `theirs`. If the opener process
    // ends, the wait for its answer thus ends too.
    drop(theirs);
    let mut number = [0; size_of::<i32>()];
    let (length, mut passed) = receive(&answers, &mut number)?;
    if length != number.len() {
        return Err(Errno::EPIPE);
    }
    match i32::from_ne_bytes(number) {
        0 => Ok(passed.pop()),
        errno => Err(Errno::from_raw(errno)),
    }
}

#[cfg(test)]
mod tests;
