//! Parses a line of sftp-server's log, as syslog(3) sends it. Pure.
//!
//! Names in a line come from the client and may be hostile. sftp-server makes them printable
//! (vis(3), C style and octal), but leaves quotes as they are. It truncates messages at [`LONGEST`]
//! bytes. So the parser searches what follows a name from the message's end. Of a message that may
//! be truncated it trusts only the beginning.

/// The most bytes of a message that OpenSSH passes to syslog(3) (log.c, `do_log`).
pub const LONGEST: usize = 500;

/// A path in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelled<'a> {
    /// The path. In a truncated message, its beginning, or all of it and some of what follows.
    pub text: &'a str,
    /// Whether the message was truncated.
    pub cut: bool,
}

/// The bytes that a handle transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// To the client.
    pub read: u64,
    /// From the client.
    pub written: u64,
}

/// A message of sftp-server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'a> {
    SessionOpened {
        /// The client's address.
        from: &'a str,
    },
    SessionClosed,
    /// The server is about to open a file.
    Opened {
        path: Spelled<'a>,
        /// Whether the handle can write. True if unknown.
        writes: bool,
        /// Whether this certainly creates or truncates the file.
        empties: bool,
        /// Whether this certainly creates a missing file.
        creates: bool,
    },
    /// The server is about to close a handle.
    Closed {
        path: Spelled<'a>,
        /// `None` if the numbers were truncated.
        bytes: Option<Bytes>,
        /// Whether the session ended instead of the client closing the handle.
        forced: bool,
    },
    /// The server is about to rename a file.
    Renamed {
        /// Old and new path. Several pairs if quotes in the names make it ambiguous, none if the
        /// new name was truncated.
        paths: Vec<(Spelled<'a>, Spelled<'a>)>,
        /// Both names and the text between them, as logged.
        text: &'a str,
        /// Whether an existing file with the new name is replaced. If not, the rename is refused.
        replaces: bool,
    },
    /// The server is about to remove a file.
    Removed(Spelled<'a>),
    /// The server is about to set a file's mode, times, owner or size.
    Set(Spelled<'a>),
    /// The error status of the last request, or of one that is not logged.
    Failed(&'a str),
    /// The server is about to serve another request.
    Other,
}

/// The beginnings of the messages about other requests, of levels INFO and VERBOSE.
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

/// Parses a datagram of syslog(3). Returns `None` if it is not one of sftp-server's messages above.
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

/// Returns the path at the start of `rest`. `end` finds its end if nothing was truncated.
fn up_to<'a>(rest: &'a str, cut: bool, end: impl Fn(&'a str) -> Option<&'a str>) -> Spelled<'a> {
    match end(rest).filter(|_| !cut) {
        Some(text) => Spelled { text, cut: false },
        None => Spelled { text: rest, cut: true },
    }
}

fn opened(rest: &str, cut: bool) -> Said<'_> {
    let path = up_to(rest, cut, |rest| Some(rest.rsplit_once("\" flags ")?.0));
    // Truncated flags count as the worst case: a handle that writes.
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

/// Parses `" bytes read N written M`.
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
