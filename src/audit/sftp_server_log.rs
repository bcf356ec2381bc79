//! One line of sftp-server's log, as syslog(3) sends it. Pure.
//!
//! Names in it are the client's, so hostile: sftp-server makes them printable (vis(3), C style and
//! octal), but leaves quotes as they are, and cuts the message at [`LONGEST`] bytes. What follows a
//! name is therefore found from the message's end, and of a message that may have been cut, nothing
//! is believed but how it begins.

/// OpenSSH gives syslog(3) at most so many bytes of a message (log.c, `do_log`).
pub const LONGEST: usize = 500;

/// A path as it was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelled<'a> {
    /// The path; of a cut one its beginning, or all of it and some of what follows.
    pub text: &'a str,
    /// The message was cut.
    pub cut: bool,
}

/// Bytes that a handle has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// To the client.
    pub read: u64,
    /// From the client.
    pub written: u64,
}

/// What sftp-server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    /// A session began.
    SessionOpened {
        /// The client's address.
        from: &'a str,
    },
    /// It ended.
    SessionClosed,
    /// It is about to open a file.
    Opened {
        /// Which.
        path: Spelled<'a>,
        /// Not for reading alone, as far as is known.
        writes: bool,
        /// The file is created or truncated by that, for certain.
        empties: bool,
        /// A missing file is created by that, for certain.
        creates: bool,
    },
    /// It is about to close a handle.
    Closed {
        /// On which file.
        path: Spelled<'a>,
        /// What it has moved; none: that was cut off.
        bytes: Option<Bytes>,
        /// The session ended, and not the client closed it.
        forced: bool,
    },
    /// It is about to rename a file.
    Renamed {
        /// Old and new path; several when quotes in them leave it open, none when the new one was
        /// cut off.
        paths: Vec<(Spelled<'a>, Spelled<'a>)>,
        /// The names as the log has them, with what is between.
        text: &'a str,
        /// A file that has the new name is replaced; otherwise it is refused then.
        replaces: bool,
    },
    /// It is about to remove a file.
    Removed(Spelled<'a>),
    /// It is about to set a file's mode, times, owner or size.
    Set(Spelled<'a>),
    /// The last request, or one that is not logged, was answered so, and not with success.
    Failed(&'a str),
    /// Another request is about to be served.
    Other,
}

/// How the log begins about other requests: those of level INFO, and those of VERBOSE.
const OTHERS: [&str; 17] = [
    "opendir \"",
    "closedir \"",
    "forced closedir \"",
    "mkdir name \"",
    "rmdir name \"",
    "symlink old \"",
    "hardlink old \"",
    "statvfs \"",
    "stat name \"",
    "lstat name \"",
    "realpath \"",
    "readlink \"",
    "fsync \"",
    "home-directory \"",
    "expand \"",
    "Refusing ",
    "refusing ",
];

/// What the datagram of a syslog(3) says, when sftp-server sent it and it is one of those above.
pub fn parse(datagram: &[u8]) -> Option<Said<'_>> {
    let text = std::str::from_utf8(datagram).ok()?.trim_end_matches(['\0', '\n']);
    let (head, message) = text.split_once("]: ")?;
    let is_ours = ["internal-sftp[", "sftp-server["].iter().any(|name| head.contains(name));
    is_ours.then(|| said(message, message.len() >= LONGEST)).flatten()
}

fn said(message: &str, cut: bool) -> Option<Said<'_>> {
    if let Some(rest) = message.strip_prefix("open \"") {
        return Some(opened(rest, cut));
    }
    if let Some(rest) = message.strip_prefix("close \"") {
        return Some(closed(rest, cut, false));
    }
    if let Some(rest) = message.strip_prefix("forced close \"") {
        return Some(closed(rest, cut, true));
    }
    if let Some(rest) = message.strip_prefix("rename old \"") {
        return Some(renamed(rest, cut, false));
    }
    if let Some(rest) = message.strip_prefix("posix-rename old \"") {
        return Some(renamed(rest, cut, true));
    }
    if let Some(rest) = message.strip_prefix("remove name \"") {
        return Some(Said::Removed(up_to(rest, cut, |rest| rest.strip_suffix('"'))));
    }
    if let Some(rest) = message.strip_prefix("set \"") {
        return Some(Said::Set(up_to(rest, cut, |rest| Some(rest.rsplit_once('"')?.0))));
    }
    if let Some(status) = message.strip_prefix("sent status ") {
        return Some(Said::Failed(status));
    }
    if OTHERS.iter().any(|begin| message.starts_with(begin)) {
        return Some(Said::Other);
    }
    if message.starts_with("session closed for local user ") {
        return Some(Said::SessionClosed);
    }
    let rest = message.strip_prefix("session opened for local user ")?.strip_suffix(']')?;
    Some(Said::SessionOpened { from: rest.rsplit_once(" from [")?.1 })
}

/// The path in `rest`, which `end` finds when nothing was cut.
fn up_to<'a>(rest: &'a str, cut: bool, end: impl Fn(&'a str) -> Option<&'a str>) -> Spelled<'a> {
    match end(rest).filter(|_| !cut) {
        Some(text) => Spelled { text, cut: false },
        None => Spelled { text: rest, cut: true },
    }
}

fn opened(rest: &str, cut: bool) -> Said<'_> {
    let path = up_to(rest, cut, |rest| Some(rest.rsplit_once("\" flags ")?.0));
    // What is cut off is taken for the worst: a handle that writes.
    let flags = if path.cut { "WRITE" } else { &rest[path.text.len()..] };
    let writes = ["WRITE", "APPEND", "CREATE", "TRUNCATE"].iter().any(|flag| flags.contains(flag));
    let empties = ["TRUNCATE", "EXCL"].iter().any(|flag| flags.contains(flag));
    let creates = flags.contains("CREATE");
    Said::Opened { path, writes, empties, creates }
}

fn closed(rest: &str, cut: bool, forced: bool) -> Said<'_> {
    let path = up_to(rest, cut, |rest| Some(rest.rsplit_once("\" bytes read ")?.0));
    let bytes = if path.cut { None } else { moved(&rest[path.text.len()..]) };
    Said::Closed { path, bytes, forced }
}

/// `" bytes read N written M`
fn moved(text: &str) -> Option<Bytes> {
    let (read, written) = text.strip_prefix("\" bytes read ")?.split_once(" written ")?;
    Some(Bytes { read: read.parse().ok()?, written: written.parse().ok()? })
}

fn renamed(rest: &str, cut: bool, replaces: bool) -> Said<'_> {
    const BETWEEN: &str = "\" new \"";
    let whole = rest.strip_suffix('"').filter(|_| !cut);
    let (names, cut) = whole.map_or((rest, true), |names| (names, false));
    let splits = names.match_indices(BETWEEN).map(|(at, _)| {
        let old = Spelled { text: &names[..at], cut: false };
        (old, Spelled { text: &names[at + BETWEEN.len()..], cut })
    });
    Said::Renamed { paths: splits.collect(), text: names, replaces }
}

#[cfg(test)]
mod tests;
