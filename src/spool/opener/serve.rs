//! The opener process's loop: receives requests, sends descriptors.
//!
//! Invariant: [`Access`] alone decides what is opened, for any request. The process keeps
//! no state between requests.

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

/// How many files are opened in parallel, so that a file system that hangs does not block others.
const THREADS: usize = 8;

/// A thread's stack in bytes. It holds a request.
const STACK: usize = 256 * 1024;

/// Answers the requests at `socket` until the other end is closed. Fails only if no thread can be
/// started.
pub fn serve(socket: OwnedFd, access: Access) -> io::Result<()> {
    let (socket, access) = (Arc::new(socket), Arc::new(access));
    let (ended, end) = channel();
    for _ in 0..THREADS {
        let (socket, access, ended) = (Arc::clone(&socket), Arc::clone(&access), ended.clone());
        let answer = move || {
            // A panic has been printed. The process ends, and the daemon with it.
            let _ = catch_unwind(AssertUnwindSafe(|| answer_all(&socket, &access)));
            // An error means that another thread has ended first.
            let _ = ended.send(());
        };
        thread::Builder::new().name("opening".into()).stack_size(STACK).spawn(answer)?;
    }
    drop(ended);
    // Not joined: another thread may hang in a file system.
    let _ = end.recv();
    Ok(())
}

fn answer_all(socket: &OwnedFd, access: &Access) {
    let mut bytes = [0; MAX_REQUEST];
    loop {
        match receive(socket, &mut bytes) {
            Ok((0, _)) => return,
            Ok((length, descriptors)) => answer(&bytes[..length], descriptors, access),
            Err(Errno::EMSGSIZE) => {} // too long for a request of the daemon
            Err(_) => return,
        }
    }
}

/// Answers one request on its first descriptor: an error number or 0, and the opened file.
fn answer(request: &[u8], descriptors: Vec<OwnedFd>, access: &Access) {
    let mut descriptors = descriptors.into_iter();
    let Some(answers) = descriptors.next() else { return };
    let done = carry_out(request, descriptors.next().map(File::from), access);
    let (number, file) = match &done {
        Ok(file) => (0, file.as_ref()),
        Err(errno) => (*errno as i32, None),
    };
    let file: Vec<_> = file.iter().map(|file| file.as_fd()).collect();
    // The client may have ended. A full socket, or no socket, is from a hostile client.
    let _ = send(answers.as_fd(), &number.to_ne_bytes(), &file, SendFlags::DONTWAIT);
}

fn carry_out(request: &[u8], file: Option<File>, access: &Access) -> nix::Result<Option<File>> {
    match (OpenerRequest::decode(request), file) {
        (Some(OpenerRequest::Open(place, name)), None) => access.open(&place, &name).map(Some),
        (Some(OpenerRequest::Lease), Some(file)) => {
            access.check_lease(&file)?;
            // The lease belongs to the open file description, which the client keeps open.
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
