//! [`LineHandler`]: applies one line of a session to its account's upload outcomes and activity
//! log.
//!
//! The server logs a request before serving it, and afterwards logs only a failure. If the next
//! line of the session is a failure, the request's change is therefore undone, and its activity
//! line is amended.
//!
//! Invariant: a refused request leaves the outcome of a file unchanged, or makes it worse.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::audit::activity_limit::{ActivityLimit, LineId};
use crate::audit::logged_name::LoggedName;
use crate::audit::sftp_server_log::{LoggedPath, ServerMessage};
use crate::audit::sshd_login::KeyUse;
use crate::audit::upload_outcome::{
    RequestOrigin, SessionId, UploadOutcome, UploadOutcomes, WriteEnd, with_unknown_writers,
    worse_of,
};

/// The tracked state of one account and of its sessions.
#[derive(Clone, Debug, Default)]
pub struct AccountActivity {
    pub(super) outcomes: UploadOutcomes,
    pub(super) limit: ActivityLimit,
    /// The last use of each key of the account, by fingerprint. The flag is true if the use must
    /// still be stored.
    pub(super) uses: HashMap<String, (KeyUse, bool)>,
}

/// The maximum number of bytes of a path that the activity log shows.
const SHOWN_PATH: usize = 300;

/// The status that the server never sends for a request on an existing file.
const NO_SUCH_FILE: &str = "No such file";

const DENIED: &str = "Permission denied";

/// A session, served by one process of the SFTP server.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The id of the session. `None` if the log lacks the session's start, or if the session's
    /// process is unknown.
    pub id: Option<SessionId>,
    /// The address of the client. `None` if the address is unknown.
    pub from: Option<String>,
    /// The request in the last log line of the session. The request may still fail.
    pub request: Option<LoggedRequest>,
}

/// The actions for a request in the activity log.
#[derive(Debug)]
struct RequestActions {
    done: &'static str,
    refused: &'static str,
    /// The action that is logged if this request or a later request was refused.
    unconfirmed: &'static str,
}

const OPEN: RequestActions = RequestActions {
    done: "file.opened",
    refused: "file.open_refused",
    unconfirmed: "file.open_unconfirmed",
};

const RENAME: RequestActions = RequestActions {
    done: "file.renamed",
    refused: "file.rename_refused",
    unconfirmed: "file.rename_unconfirmed",
};

const REMOVE: RequestActions = RequestActions {
    done: "file.removed",
    refused: "file.remove_refused",
    unconfirmed: "file.remove_unconfirmed",
};

/// A logged request that may still fail.
#[derive(Clone, Debug, Default)]
pub struct LoggedRequest {
    line: Option<RequestLine>,
    changes: Vec<OutcomeChange>,
    /// Whether the request opens a file.
    opens: bool,
    /// Whether the request cannot succeed. Such a request changes something outside incoming, where
    /// the account cannot write, or renames a file to an existing name without replacing that file.
    is_impossible: bool,
    /// True if the files of the request exist, or if the request creates them.
    exists: bool,
}

/// The line about a request in the activity log.
#[derive(Clone, Debug)]
struct RequestLine {
    id: LineId,
    actions: &'static RequestActions,
    detail: String,
}

/// The change that a request made to the outcome of a file.
#[derive(Clone, Debug)]
struct OutcomeChange {
    name: LoggedName,
    before: Option<UploadOutcome>,
    after: Option<UploadOutcome>,
}

/// Applies one log line to the activity of its account and to its session.
pub struct LineHandler<'a> {
    pub activity: &'a mut AccountActivity,
    pub session: &'a mut Session,
    /// The time at which the SFTP server sent the line.
    pub at: Timestamp,
    /// The id for the session, if a session starts with this line.
    pub next: Option<SessionId>,
}

impl LineHandler<'_> {
    /// Applies the log line with the content `message`.
    pub fn apply(mut self, message: &ServerMessage<'_>) {
        let last = self.session.request.take();
        if let ServerMessage::Failed(status) = message {
            if let Some(request) = last {
                self.handle_failure(request, status);
            }
            return;
        }
        if let Some(line) = last.and_then(|request| request.line) {
            self.activity.limit.confirm(line.id);
        }
        match message {
            ServerMessage::SessionOpened { from } => {
                let (id, address) = (self.next, Some((*from).to_owned()));
                *self.session = Session { id, from: address, request: None };
                self.log("session.opened", || (*from).to_owned());
            }
            ServerMessage::Opened { path, writes, empties, creates } => {
                self.handle_open(*path, *writes, *empties, *creates);
            }
            ServerMessage::Closed { path, bytes, forced } => {
                let moved = bytes.map(|bytes| (bytes.read, bytes.written));
                self.handle_close(*path, moved, *forced);
            }
            ServerMessage::Renamed { paths, text, replaces } => {
                self.handle_rename(paths, text, *replaces)
            }
            ServerMessage::Removed(path) => self.handle_removal(*path),
            ServerMessage::Set(path) => self.handle_set(*path),
            ServerMessage::SessionClosed => {
                let from = self.session.from.take().unwrap_or_default();
                self.log("session.closed", || from);
            }
            ServerMessage::Failed(_) | ServerMessage::Other => {}
        }
    }

    fn handle_open(&mut self, path: LoggedPath<'_>, writes: bool, empties: bool, creates: bool) {
        let name = LoggedName::in_incoming(path).filter(|_| writes);
        let request = self.record_change(name.iter(), |outcomes, by| {
            if let Some(name) = &name {
                outcomes.record_open(name, empties, by);
            }
        });
        let what = if writes { "write access" } else { "read access" };
        let detail = format!("{}, {what}", display(path));
        let request = LoggedRequest {
            opens: true,
            is_impossible: writes && LoggedName::is_outside_incoming(path),
            exists: creates && name.is_some(),
            ..request
        };
        self.add_request(&OPEN, detail, request);
    }

    fn handle_close(&mut self, path: LoggedPath<'_>, moved: Option<(u64, u64)>, forced: bool) {
        if let Some(name) = LoggedName::in_incoming(path) {
            self.activity.outcomes.record_close(
                &name,
                forced,
                moved,
                origin(self.session, self.at),
            );
        }
        let action = if forced { "file.cut_off" } else { "file.closed" };
        self.log(action, || match moved {
            Some((read, written)) => {
                format!("{}: {written} bytes written, {read} bytes read", display(path))
            }
            None => display(path),
        });
    }

    fn handle_rename(
        &mut self,
        paths: &[(LoggedPath<'_>, LoggedPath<'_>)],
        text: &str,
        replaces: bool,
    ) {
        // If quotes in the names make the line ambiguous, the reading is used whose old name has a
        // known outcome.
        let mut all: Vec<_> = paths.iter().collect();
        if all.len() > 1 {
            let outcomes = &self.activity.outcomes;
            let is_known =
                |old| LoggedName::in_incoming(old).is_some_and(|old| outcomes.get(&old).is_some());
            all.retain(|(old, _)| is_known(*old));
        }
        let [(old, new)] = &all[..] else {
            self.activity.outcomes.reset(self.at);
            let detail = match paths {
                [] => display(LoggedPath { text, cut: true }),
                _ => format!(
                    "both names are in \"{}\", the end of the old name is unknown",
                    truncate(text)
                ),
            };
            return self.add_request(&RENAME, detail, LoggedRequest::default());
        };
        let detail = format!("{} to {}", display(*old), display(*new));
        let is_outside =
            LoggedName::is_outside_incoming(*old) || LoggedName::is_outside_incoming(*new);
        let (old, new) = (LoggedName::in_incoming(*old), LoggedName::in_incoming(*new));
        let is_impossible = is_outside || (!replaces && self.exists(new.as_ref()));
        let exists = new.is_some() && self.exists(old.as_ref());
        let request = self.record_change([&old, &new].into_iter().flatten(), |outcomes, by| {
            match (&old, &new) {
                (Some(old), Some(new)) => outcomes.record_rename(old, new, by),
                (Some(old), None) => outcomes.set(old, None),
                // The old name is outside incoming, where the account cannot write.
                _ => {}
            }
        });
        self.add_request(&RENAME, detail, LoggedRequest { is_impossible, exists, ..request });
    }

    fn handle_removal(&mut self, path: LoggedPath<'_>) {
        let name = LoggedName::in_incoming(path);
        let exists = self.exists(name.as_ref());
        let is_impossible = LoggedName::is_outside_incoming(path);
        let request = self.record_change(name.iter(), |outcomes, _| {
            if let Some(name) = &name {
                outcomes.set(name, None);
            }
        });
        self.add_request(
            &REMOVE,
            display(path),
            LoggedRequest { is_impossible, exists, ..request },
        );
    }

    fn handle_set(&mut self, path: LoggedPath<'_>) {
        let name = LoggedName::in_incoming(path);
        let request = self.record_change(name.iter(), |outcomes, by| {
            if let Some(name) = &name {
                outcomes.record_touch(name, by);
            }
        });
        self.session.request = Some(request);
    }

    /// Handles the failure `status`. It is the answer to `request`, the last logged request of the
    /// session, or to a later request that is not logged.
    fn handle_failure(&mut self, request: LoggedRequest, status: &str) {
        let LoggedRequest { line, changes, opens, is_impossible, exists } = request;
        if exists && !is_impossible && status == NO_SUCH_FILE {
            if let Some(line) = line {
                self.activity.limit.confirm(line.id);
            }
            // The status belongs to a later request than this one.
            return;
        }
        for OutcomeChange { name, before, after } in changes {
            let now = self.activity.outcomes.get(&name).cloned();
            let outcome = if is_impossible && now == after {
                before
            } else if opens && is_open(now.as_ref()) && status != DENIED {
                // A write may have failed instead of the opening.
                continue;
            } else if opens && now == after {
                with_unknown_writers(before)
            } else {
                worse_of(before, now)
            };
            self.activity.outcomes.set(&name, outcome);
        }
        let Some(RequestLine { id, actions, detail }) = line else { return };
        let (action, detail) = if is_impossible {
            (actions.refused, format!("{detail}: {status}"))
        } else {
            let whose = "the status answers this request or a later request that is not logged";
            (actions.unconfirmed, format!("{detail}: {status}, {whose}"))
        };
        self.activity.limit.amend(id, self.at, action, detail);
    }

    /// Returns whether the file exists according to the log.
    fn exists(&self, name: Option<&LoggedName>) -> bool {
        name.is_some_and(|name| self.activity.outcomes.file_exists(name))
    }

    /// Applies `change` to the outcomes. Returns a request that records the changes of `names`.
    fn record_change<'n>(
        &mut self,
        names: impl Iterator<Item = &'n LoggedName>,
        change: impl FnOnce(&mut UploadOutcomes, RequestOrigin<'_>),
    ) -> LoggedRequest {
        let outcomes = &mut self.activity.outcomes;
        let names: Vec<_> = names.collect();
        let before: Vec<_> = names.iter().map(|name| outcomes.get(name).cloned()).collect();
        change(outcomes, origin(self.session, self.at));
        let changes = names.into_iter().zip(before).map(|(name, before)| {
            let after = outcomes.get(name).cloned();
            OutcomeChange { name: name.clone(), before, after }
        });
        LoggedRequest { changes: changes.collect(), ..LoggedRequest::default() }
    }

    /// Keeps a request and its activity line until the next line shows whether the request failed.
    fn add_request(
        &mut self,
        actions: &'static RequestActions,
        detail: String,
        request: LoggedRequest,
    ) {
        let id = self.activity.limit.add_awaiting(self.at, actions.done, || detail.clone());
        self.session.request =
            Some(LoggedRequest { line: Some(RequestLine { id, actions, detail }), ..request });
    }

    fn log(&mut self, action: &'static str, detail: impl FnOnce() -> String) {
        self.activity.limit.add(self.at, action, detail);
    }
}

fn is_open(outcome: Option<&UploadOutcome>) -> bool {
    outcome.is_some_and(|outcome| outcome.end == WriteEnd::Open)
}

fn origin(session: &Session, at: Timestamp) -> RequestOrigin<'_> {
    RequestOrigin { session: session.id, at, from: session.from.as_deref() }
}

/// Returns a path for display, in the printable spelling of the log. A path with quotation marks or
/// a space is quoted.
fn display(path: LoggedPath<'_>) -> String {
    let text = truncate(path.text);
    let name = match text.contains([' ', '"']) {
        true => format!("\"{}\"", text.replace('"', "\\\"")),
        false => text,
    };
    if path.cut { format!("{name} (cut off in the log)") } else { name }
}

fn truncate(text: &str) -> String {
    match text.get(..SHOWN_PATH) {
        Some(begin) => format!("{begin}…"),
        None => text.to_owned(),
    }
}
