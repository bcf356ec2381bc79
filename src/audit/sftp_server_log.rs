//! Parses a line of sftp-server's log, as syslog(3) sends it. This module is pure.
//!
//! Names in a line come from the client and may be hostile. sftp-server makes them printable
//! (vis(3), C style and octal), but leaves quotes as they are. It truncates messages at
//! [`MAX_MESSAGE`] bytes. The parser therefore searches for the end of a name from the end of the
//! message. If a message may be truncated, the parser trusts only its beginning.

/// The maximum number of bytes of a message that OpenSSH passes to syslog(3) (log.c, `do_log`).
pub const MAX_MESSAGE: usize = 500;

/// A path in the SFTP server's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedPath<'a> {
    /// The text of the path. If the log message was truncated, the text may be only the beginning
    /// of the path, or the whole path with some text after it.
    pub text: &'a str,
    /// Whether the log message with the path was truncated.
    pub cut: bool,
}

/// The numbers of bytes that were transferred through a file handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleBytes {
    /// The number of bytes that the server sent to the client.
    pub read: u64,
    /// The number of bytes that the server received from the client.
    pub written: u64,
}

/// A message in the log of sftp-server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage<'a> {
    SessionOpened {
        /// The address of the client that started the session.
        from: &'a str,
    },
    SessionClosed,
    /// The server is about to open a file.
    Opened {
        path: LoggedPath<'a>,
        /// True if the opened handle can write, or if this is unknown.
        writes: bool,
        /// True if opening the file certainly creates or truncates it.
        empties: bool,
        /// True if opening the file certainly creates a missing file.
        creates: bool,
    },
    /// The server is about to close a handle.
    Closed {
        path: LoggedPath<'a>,
        /// The transferred bytes. `None` if the numbers in the log message were truncated.
        bytes: Option<HandleBytes>,
        /// True if the end of the session closed the handle. False if the client closed the handle.
        forced: bool,
    },
    /// The server is about to rename a file.
    Renamed {
        /// Pairs of old and new path. Quotes in the names can make the message ambiguous: then it
        /// has several pairs. It has none if it was truncated before the new name.
        paths: Vec<(LoggedPath<'a>, LoggedPath<'a>)>,
        /// Both names of the file and the text between them, as logged.
        text: &'a str,
        /// True if the rename replaces an existing file with the new name. If false, the server
        /// refuses such a rename.
        replaces: bool,
    },
    /// The server is about to remove a file.
    Removed(LoggedPath<'a>),
    /// The server is about to set a file's mode, times, owner or size.
    Set(LoggedPath<'a>),
    /// The status of the last request, or of a later request that is not logged. The status is an
    /// error.
    Failed(&'a str),
    /// The server is about to serve a request of another kind.
    Other,
}

/// The beginnings of the log messages about all other requests, at the levels INFO and VERBOSE.
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

/// Parses a datagram of syslog(3). Returns `None` if the datagram contains no [`ServerMessage`] of
/// sftp-server.
pub fn parse(datagram: &[u8]) -> Option<ServerMessage<'_>> {
    let text = std::str::from_utf8(datagram).ok()?.trim_end_matches(['\0', '\n']);
    let (head, message) = text.split_once("]: ")?;
    let is_ours = ["internal-sftp[", "sftp-server["].iter().any(|name| head.contains(name));
    is_ours.then(|| parse_message(message, message.len() >= MAX_MESSAGE)).flatten()
}

fn parse_message(message: &str, cut: bool) -> Option<ServerMessage<'_>> {
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
        return Some(ServerMessage::Removed(path_before(rest, cut, |rest| rest.strip_suffix('"'))));
    }
    if let Some(rest) = message.strip_prefix("set \"") {
        return Some(ServerMessage::Set(path_before(rest, cut, |rest| {
            Some(rest.rsplit_once('"')?.0)
        })));
    }
    if let Some(status) = message.strip_prefix("sent status ") {
        return Some(ServerMessage::Failed(status));
    }
    if OTHERS.iter().any(|begin| message.starts_with(begin)) {
        return Some(ServerMessage::Other);
    }
    if message.starts_with("session closed for local user ") {
        return Some(ServerMessage::SessionClosed);
    }
    let rest = message.strip_prefix("session opened for local user ")?.strip_suffix(']')?;
    Some(ServerMessage::SessionOpened { from: rest.rsplit_once(" from [")?.1 })
}

/// Returns the path at the start of `rest`. `end` finds the end of the path in a complete message.
fn path_before<'a>(
    rest: &'a str,
    cut: bool,
    end: impl Fn(&'a str) -> Option<&'a str>,
) -> LoggedPath<'a> {
    match end(rest).filter(|_| !cut) {
        Some(text) => LoggedPath { text, cut: false },
        None => LoggedPath { text: rest, cut: true },
    }
}

fn opened(rest: &str, cut: bool) -> ServerMessage<'_> {
    let path = path_before(rest, cut, |rest| Some(rest.rsplit_once("\" flags ")?.0));
    // If the flags are truncated, the worst case is assumed: a handle that writes.
    let flags = if path.cut { "WRITE" } else { &rest[path.text.len()..] };
    let writes = ["WRITE", "APPEND", "CREATE", "TRUNCATE"].iter().any(|flag| flags.contains(flag));
    let empties = ["TRUNCATE", "EXCL"].iter().any(|flag| flags.contains(flag));
    let creates = flags.contains("CREATE");
    ServerMessage::Opened { path, writes, empties, creates }
}

fn closed(rest: &str, cut: bool, forced: bool) -> ServerMessage<'_> {
    let path = path_before(rest, cut, |rest| Some(rest.rsplit_once("\" bytes read ")?.0));
    let bytes = if path.cut { None } else { moved(&rest[path.text.len()..]) };
    ServerMessage::Closed { path, bytes, forced }
}

/// Parses the text `" bytes read N written M` at the end of a log message.
fn moved(text: &str) -> Option<HandleBytes> {
    let (read, written) = text.strip_prefix("\" bytes read ")?.split_once(" written ")?;
    Some(HandleBytes { read: read.parse().ok()?, written: written.parse().ok()? })
}

fn renamed(rest: &str, cut: bool, replaces: bool) -> ServerMessage<'_> {
    const BETWEEN: &str = "\" new \"";
    let whole = rest.strip_suffix('"').filter(|_| !cut);
    let (names, cut) = whole.map_or((rest, true), |names| (names, false));
    let splits = names.match_indices(BETWEEN).map(|(at, _)| {
        let old = LoggedPath { text: &names[..at], cut: false };
        (old, LoggedPath { text: &names[at + BETWEEN.len()..], cut })
    });
    ServerMessage::Renamed { paths: splits.collect(), text: names, replaces }
}

#[cfg(test)]
mod tests;
