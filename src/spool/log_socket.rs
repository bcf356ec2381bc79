//! [`LogSocket`] receives the log lines of the SFTP server. It is linked into the chroot of every
//! account.
//!
//! A session of internal-sftp can log only to `/dev/log` in its chroot (syslog(3)). One datagram
//! socket in the spool serves all accounts. The `dev/log` in each chroot is a hard link to this
//! socket, in a folder that the account can't write to. The kernel reports the sender of each line
//! (unix(7), SO_PASSCRED).
//!
//! After the end of the process that bound the socket, syslog(3) fails immediately (ECONNREFUSED).
//! Therefore the daemon binds the socket itself, and systemd does not bind it for the daemon. A
//! full queue blocks the senders. Therefore the thread that reads the socket must not wait for
//! anything else.

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
use crate::audit::LogLine;
use crate::files::IoError;
use crate::files::dir::{Folder, FolderError};

/// The name of the log socket in the spool. An import cannot have this name, because an import id
/// cannot begin with a dot.
const NAME: &str = ".log";
/// The name of the log socket in the folder `dev` of a chroot.
const LINK: &str = "log";
/// The temporary name of the log socket in the folder `dev`, before the rename to [`LINK`].
const NEW_LINK: &str = ".log.new";
/// The size of the receive buffer for log messages in bytes. The longest message of OpenSSH with
/// the header of syslog is shorter.
const LONGEST: usize = 2048;

/// The reason why the daemon cannot receive log lines.
#[derive(Debug, thiserror::Error)]
pub enum LogSocketError {
    /// The log socket cannot be bound, or cannot be linked into a chroot.
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("cannot receive log lines")]
    Receive(#[source] io::Error),
    /// The account's folder for the log socket is missing or cannot be opened.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// The log socket, bound by this process.
#[derive(Debug)]
pub struct LogSocket {
    socket: OwnedFd,
    spool: Folder,
    layout: Layout,
    dev: u64,
    ino: u64,
}

/// Returns the path of the log socket. The socket exists only after a daemon has run.
pub fn log_socket(layout: &Layout) -> PathBuf {
    layout.spool().join(NAME)
}

/// Links the log socket into the new folder `dev` if the log socket exists.
pub fn link_into(layout: &Layout, dev: &Path) -> io::Result<()> {
    let socket = log_socket(layout);
    if !fs::symlink_metadata(&socket).is_ok_and(|found| found.file_type().is_socket()) {
        return Ok(());
    }
    match fs::hard_link(socket, dev.join(LINK)) {
        // On ext4, a file has at most 65,000 names. If this limit is reached, the uploads of more
        // accounts are not audited.
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

/// The state of the link to the log socket in an account's chroot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLink {
    /// The chroot has a link to the present log socket.
    Current,
    /// The chroot has no link to the log socket, or a link to an earlier log socket.
    Stale,
    /// The chroot has no folder for the link to the log socket.
    NoFolder,
}

/// Returns the state of the link to the log socket in the chroot of `account`.
pub fn log_link(layout: &Layout, account: &AccountId) -> LogLink {
    let dev = layout.dev(account);
    let id = |path: &Path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino())).ok();
    if !dev.is_dir() {
        return LogLink::NoFolder;
    }
    match (id(&log_socket(layout)), id(&dev.join(LINK))) {
        (Some(ours), Some(theirs)) if ours == theirs => LogLink::Current,
        _ => LogLink::Stale,
    }
}

impl LogSocket {
    /// Binds the log socket, and replaces a log socket that an earlier process left. Fails if the
    /// path is longer than 108 bytes (unix(7)).
    pub fn bind(layout: &Layout) -> Result<Self, LogSocketError> {
        let path = log_socket(layout);
        let failed = |errno: Errno| IoError::new("listen at the socket", &path, errno);
        let spool = Folder::open(&layout.spool())?;
        spool.remove_existing(NAME).map_err(failed)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket =
            socket(AddressFamily::Unix, SockType::Datagram, flags, None).map_err(failed)?;
        setsockopt(&socket, sockopt::PassCred, &true).map_err(failed)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true).map_err(failed)?;
        let address = UnixAddr::new(&path).map_err(failed)?;
        bind(socket.as_raw_fd(), &address).map_err(failed)?;
        // A session runs as the user of its account, so every user may write to the socket. Lines
        // of users without an account are dropped.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666))
            .map_err(IoError::of("listen at the socket", &path))?;
        let found =
            fs::symlink_metadata(&path).map_err(IoError::of("listen at the socket", &path))?;
        let (dev, ino) = (found.dev(), found.ino());
        Ok(Self { socket, spool, layout: layout.clone(), dev, ino })
    }

    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Waits until a datagram can be received from the log socket.
    pub fn wait(&self) -> Result<(), LogSocketError> {
        let mut wanted = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match poll(&mut wanted, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(LogSocketError::Receive(errno.into())),
        }
    }

    /// Receives the next datagram from the log socket. Returns `None` if the queue is empty.
    pub fn receive(&self) -> Result<Option<LogLine>, LogSocketError> {
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
        // With SO_PASSCRED, the kernel reports the sender of every datagram. If the sender is
        // missing, the default value matches no user.
        let (uid, pid) = sender.map_or((u32::MAX, 0), |sender| (sender.uid(), sender.pid()));
        Ok(Some(LogLine { uid, pid, at: sent.unwrap_or_else(Timestamp::now), bytes }))
    }

    /// Links the log socket into the chroot of `account` unless a link exists. Returns the time at
    /// which the link was created.
    pub fn link(&self, account: &AccountId) -> Result<Timestamp, LogSocketError> {
        let dev = Folder::open(&self.layout.dev(account))?;
        let failed = |operation: &'static str| {
            let path = dev.path().to_owned();
            move |errno: Errno| IoError::new(operation, path, errno)
        };
        let is_there =
            dev.stat(LINK).is_ok_and(|found| (found.st_dev, found.st_ino) == (self.dev, self.ino));
        if !is_there {
            dev.remove_existing(NEW_LINK).map_err(failed("clear"))?;
            linkat(self.spool.as_fd(), NAME, dev.as_fd(), NEW_LINK, AtFlags::empty())
                .map_err(failed("link the log socket into the folder"))?;
            dev.rename(NEW_LINK, &dev, LINK, RenameFlags::empty())
                .map_err(failed("name the log socket in the folder"))?;
        }
        // Only the daemon and root can write to the folder `dev`. Therefore the last change of the
        // folder is the creation of the link.
        let changed = dev.stat(".").map_err(failed("read the attributes of the folder"))?;
        let nanos = i32::try_from(changed.st_mtime_nsec).unwrap_or(0);
        Ok(Timestamp::new(changed.st_mtime, nanos).unwrap_or(Timestamp::MAX))
    }
}

/// Returns whether the chroot of `account` has a folder for the log socket.
pub fn has_log_folder(layout: &Layout, account: &AccountId) -> bool {
    layout.dev(account).is_dir()
}

#[cfg(test)]
mod tests;
