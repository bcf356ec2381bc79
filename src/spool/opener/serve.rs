//! The loop of the opener process: receives requests and sends descriptors.
//!
//! Invariant: for every request only [`Access`] decides which file is opened. The process keeps no
//! state between requests.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use nix::errno::Errno;
use rustix::net::SendFlags;

use super::access::Access;
use super::channel::{receive, send};
use super::message::{MAX_REQUEST, OpenerRequest};
use crate::sys::ReadLease;

/// The number of threads that open files. With several threads, a file system that hangs does not
/// block the files of other file systems.
const THREADS: usize = 8;

/// The size of a thread's stack in bytes. A request to the opener fits into the stack.
const STACK: usize = 256 * 1024;

/// Answers the requests to the opener at `socket` until the other end is closed. Fails only if no
/// thread can be started.
pub fn serve(socket: OwnedFd, access: Access) -> io::Result<()> {
    let (socket, access) = (Arc::new(socket), Arc::new(access));
    let (ended, end) = channel();
    for _ in 0..THREADS {
        let (socket, access, ended) = (Arc::clone(&socket), Arc::clone(&access), ended.clone());
        let answer = move || {
            // The message of the panic was already printed. The opener process ends, and the
            // daemon then ends too.
            let _ = catch_unwind(AssertUnwindSafe(|| answer_all(&socket, &access)));
            // An error means that another thread of the opener has already ended.
            let _ = ended.send(());
        };
        thread::Builder::new().name("opening".into()).stack_size(STACK).spawn(answer)?;
    }
    drop(ended);
    // The threads are not joined, because a thread may hang in a file system call.
    let _ = end.recv();
    Ok(())
}

fn answer_all(socket: &OwnedFd, access: &Access) {
    let mut bytes = [0; MAX_REQUEST];
    loop {
        match receive(socket, &mut bytes) {
            Ok((0, _)) => return,
            Ok((length, descriptors)) => answer(&bytes[..length], descriptors, access),
            Err(Errno::EMSGSIZE) => {} // the daemon sends no request of this length
            Err(_) => return,
        }
    }
}

/// Answers one request to the opener on the first descriptor of the request. The answer is an
/// error number or 0, and the opened file.
fn answer(request: &[u8], descriptors: Vec<OwnedFd>, access: &Access) {
    let mut descriptors = descriptors.into_iter();
    let Some(answers) = descriptors.next() else { return };
    let done = carry_out(request, descriptors.next().map(File::from), access);
    let (number, file) = match &done {
        Ok(file) => (0, file.as_ref()),
        Err(errno) => (*errno as i32, None),
    };
    let file: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
    // Errors are ignored. Either the client has ended, or an attacker sent a full socket or a
    // descriptor that is not a socket.
    let _ = send(answers.as_fd(), &number.to_ne_bytes(), &file, SendFlags::DONTWAIT);
}

fn carry_out(request: &[u8], file: Option<File>, access: &Access) -> nix::Result<Option<File>> {
    match (OpenerRequest::decode(request), file) {
        (Some(OpenerRequest::Open(place, name)), None) => access.open(&place, &name).map(Some),
        (Some(OpenerRequest::Lease), Some(file)) => {
            access.check_lease(&file)?;
            // The lease belongs to the open file description. The client keeps this description
            // open.
            ReadLease::take(file).map_err(|error| error.errno())?;
            Ok(None)
        }
        (Some(OpenerRequest::Renew), Some(file)) => {
            access.check_lease(&file)?;
            match ReadLease::from_leased(file).is_unbroken() {
                Ok(true) => Ok(None),
                Ok(false) => Err(Errno::EAGAIN),
                Err(error) => Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
            }
        }
        _ => Err(Errno::EINVAL),
    }
}
