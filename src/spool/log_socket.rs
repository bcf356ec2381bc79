//! [`LogSocket`]: where the SFTP server's log lines arrive, linked into every account's chroot.
//!
//! A session of internal-sftp has no way to a log but `/dev/log` in its chroot (syslog(3)). One
//! datagram socket stands for all: it lies in the spool, and each chroot's `dev/log` is one more
//! name of it, in a folder that the account can't write to. Who sent a line is said by the kernel
//! (unix(7), SO_PASSCRED), not by where it came in.
//!
//! Nobody listens to a socket whose process has ended, and syslog(3) goes on at once (ECONNREFUSED):
//! hence it is ours, and not held for us by systemd. What waits in its queue holds senders up once
//! the queue is full, so whoever has this reads it without waiting for anything.

use std::fs;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, bind, recvmsg,
    setsockopt, socket, sockopt,
};
use nix::unistd::linkat;

use super::layout::Layout;
use crate::account::AccountId;
use crate::files::dir::{Folder, FolderError};

/// Its name in the spool. No import is called so.
const NAME: &str = ".log";
/// Its name in `dev` of a chroot, and the one under which it comes there.
const LINK: &str = "log";
const NEW_LINK: &str = ".log.new";
/// More than OpenSSH gives syslog(3), and its head.
const LONGEST: usize = 2048;

/// Why lines can't be heard.
#[derive(Debug, thiserror::Error)]
pub enum LogSocketError {
    /// The socket can't be made.
    #[error("cannot listen at {}", path.display())]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It can't be read.
    #[error("cannot receive log lines")]
    Receive(#[source] io::Error),
    /// The account has no folder for it, or that can't be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It can't be linked into a chroot.
    #[error("cannot {operation} {}", path.display())]
    Link {
        /// What was tried.
        operation: &'static str,
        /// In which folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A datagram, and what the kernel says of it.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// The sender's user id.
    pub uid: u32,
    /// The sender's process.
    pub pid: i32,
    /// When it was sent.
    pub at: Timestamp,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// The socket, bound.
#[derive(Debug)]
pub struct LogSocket {
    socket: OwnedFd,
    spool: Folder,
    layout: Layout,
    dev: u64,
    ino: u64,
}

/// Where the socket of the daemon of this layout lies, whether or not one runs.
pub fn log_socket(layout: &Layout) -> PathBuf {
    layout.spool().join(NAME)
}

/// Links the socket, if there is one, into `dev`, where nothing has its name yet.
///
/// # Errors
/// It is there and can't be linked.
pub fn link_into(layout: &Layout, dev: &Path) -> io::Result<()> {
    let socket = log_socket(layout);
    if !fs::symlink_metadata(&socket).is_ok_and(|found| found.file_type().is_socket()) {
        return Ok(());
    }
    match fs::hard_link(socket, dev.join(LINK)) {
        // A file has at most 65,000 names on ext4: the account is not audited, and all else works.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::TooManyLinks
            ) =>
        {
            Ok(())
        }
        linked => linked,
    }
}

/// How an account's chroot is linked to the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// Lines come to it.
    Fresh,
    /// They come to one that nobody listens to, or to none.
    Stale,
    /// There is no folder for it.
    NoFolder,
}

/// How the chroot of `account` is linked to the socket of this layout's daemon.
pub fn linked(layout: &Layout, account: &AccountId) -> Linked {
    let dev = layout.dev(account);
    let id = |path: &Path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino())).ok();
    if !dev.is_dir() {
        return Linked::NoFolder;
    }
    match (id(&log_socket(layout)), id(&dev.join(LINK))) {
        (Some(ours), Some(theirs)) if ours == theirs => Linked::Fresh,
        _ => Linked::Stale,
    }
}

impl LogSocket {
    /// Makes it, in place of one that an earlier process left.
    ///
    /// # Errors
    /// It can't be made; the path may be too long (108 bytes, unix(7)).
    pub fn bind(layout: &Layout) -> Result<Self, LogSocketError> {
        let path = log_socket(layout);
        let failed =
            |errno: Errno| LogSocketError::Bind { path: path.clone(), source: errno.into() };
        let spool = Folder::open(&layout.spool())?;
        match spool.remove(NAME) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket =
            socket(AddressFamily::Unix, SockType::Datagram, flags, None).map_err(failed)?;
        setsockopt(&socket, sockopt::PassCred, &true).map_err(failed)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).map_err(failed)?;
        let address = UnixAddr::new(&path).map_err(failed)?;
        bind(socket.as_raw_fd(), &address).map_err(failed)?;
        let open = |source| LogSocketError::Bind { path: path.clone(), source };
        // Whoever reaches it may write: sessions run as their accounts. Others' lines are dropped.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(open)?;
        let found = fs::symlink_metadata(&path).map_err(open)?;
        let (dev, ino) = (found.dev(), found.ino());
        Ok(Self { socket, spool, layout: layout.clone(), dev, ino })
    }

    /// Where accounts' folders are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Waits until there is something to receive.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&self) -> Result<(), LogSocketError> {
        let mut wanted = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wanted, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(LogSocketError::Receive(errno.into())),
        }
    }

    /// The next datagram, if one waits.
    ///
    /// # Errors
    /// The kernel's.
    pub fn receive(&self) -> Result<Option<Datagram>, LogSocketError> {
        let mut bytes = vec![0; LONGEST];
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec, nix::libc::ucred);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let fd = self.socket.as_raw_fd();
        let received =
            match recvmsg::<()>(fd, &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
                Ok(received) => received,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                Err(errno) => return Err(LogSocketError::Receive(errno.into())),
            };
        let (mut sender, mut sent) = (None, None);
        let failed = |errno: Errno| LogSocketError::Receive(errno.into());
        for message in received.cmsgs().map_err(failed)? {
            match message {
                ControlMessageOwned::ScmCredentials(found) => sender = Some(found),
                ControlMessageOwned::ScmTimestampns(time) => {
                    let nanos = i32::try_from(time.tv_nsec()).unwrap_or(0);
                    sent = Timestamp::new(time.tv_sec(), nanos).ok();
                }
                _ => {}
            }
        }
        let length = received.bytes;
        bytes.truncate(length);
        // Nobody's: the kernel says it of every datagram that is asked for it.
        let (uid, pid) = sender.map_or((u32::MAX, 0), |sender| (sender.uid(), sender.pid()));
        Ok(Some(Datagram { uid, pid, at: sent.unwrap_or_else(Timestamp::now), bytes }))
    }

    /// Links it into the chroot of `account`, unless it is there. Returns since when it has been.
    ///
    /// # Errors
    /// The account has no folder for it, or the host refuses.
    pub fn link(&self, account: &AccountId) -> Result<Timestamp, LogSocketError> {
        let dev = Folder::open(&self.layout.dev(account))?;
        let failed = |operation: &'static str| {
            let path = dev.path().to_owned();
            move |errno: Errno| LogSocketError::Link { operation, path, source: errno.into() }
        };
        let is_there =
            dev.stat(LINK).is_ok_and(|found| (found.st_dev, found.st_ino) == (self.dev, self.ino));
        if !is_there {
            match dev.remove(NEW_LINK) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(failed("clear")(errno)),
            }
            linkat(self.spool.as_fd(), NAME, dev.as_fd(), NEW_LINK, AtFlags::empty())
                .map_err(failed("link the log socket into"))?;
            dev.rename(NEW_LINK, &dev, LINK, RenameFlags::empty())
                .map_err(failed("name the log socket in"))?;
        }
        // Only we and root write in there: its last change is when the link came.
        let changed = dev.stat(".").map_err(failed("look at"))?;
        let nanos = i32::try_from(changed.st_mtime_nsec).unwrap_or(0);
        Ok(Timestamp::new(changed.st_mtime, nanos).unwrap_or(Timestamp::MAX))
    }
}

/// Whether there is a folder for the socket in the chroot of `account`.
pub fn has_log_folder(layout: &Layout, account: &AccountId) -> bool {
    layout.dev(account).is_dir()
}

#[cfg(test)]
mod tests;
