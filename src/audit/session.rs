//! [`Turn`]: applies one line of a session to its account's upload outcomes and activity log.
//!
//! The server logs a request before it serves it. Afterwards it logs only a failure. So if the next
//! line of the session is a failure, the request's change is undone and its activity line amended.
//!
//! Invariant: after a refused request a file's outcome is the one from before, or a worse one.

use jiff::Timestamp;

use super::tracker::Part;
use crate::audit::activity_limit::LineId;
use crate::audit::logged_name::Name;
use crate::audit::sftp_server_log::{Said, Spelled};
use crate::audit::upload_outcome::{By, End, Fact, Facts, SessionId, unsure, worse};

/// How much of a path the activity log shows, in bytes.
const SHOWN_PATH: usize = 300;

/// A status that a request for an existing file never gets.
const NO_SUCH_FILE: &str = "No such file";

const DENIED: &str = "Permission denied";

/// A session, served by one process of the SFTP server.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// `None` if the log does not have its start, or its process is unknown.
    pub id: Option<SessionId>,
    /// The client's address, if known.
    pub from: Option<String>,
    /// The request of its last line, which may still fail.
    pub request: Option<Request>,
}

/// The activity log's actions for a request.
#[derive(Debug)]
struct Actions {
    done: &'static str,
    refused: &'static str,
    /// This request was refused, or a later one.
    unconfirmed: &'static str,
}

const OPEN: Actions = Actions {
    done: "file.opened",
    refused: "file.open_refused",
    unconfirmed: "file.open_unconfirmed",
};

const RENAME: Actions = Actions {
    done: "file.renamed",
    refused: "file.rename_refused",
    unconfirmed: "file.rename_unconfirmed",
};

const REMOVE: Actions = Actions {
    done: "file.removed",
    refused: "file.remove_refused",
    unconfirmed: "file.remove_unconfirmed",
};

/// A request in the log whose failure may still follow.
#[derive(Clone, Debug, Default)]
pub struct Request {
    line: Option<Line>,
    changes: Vec<Change>,
    /// Whether it opens a file.
    opens: bool,
    /// Whether it cannot succeed. It changes something outside incoming, where the account cannot
    /// write, or renames a file to an existing name without replacing.
    is_impossible: bool,
    /// Whether its files exist, or it creates them.
    exists: bool,
}

/// A request's line in the activity log.
#[derive(Clone, Debug)]
struct Line {
    id: LineId,
    actions: &'static Actions,
    detail: String,
}

/// A request's change to the outcome of a file.
#[derive(Clone, Debug)]
struct Change {
    name: Name,
    before: Option<Fact>,
    after: Option<Fact>,
}

/// The context of one line: its account and its session.
pub struct Turn<'a> {
    pub part: &'a mut Part,
    pub session: &'a mut Session,
    /// When the line was sent.
    pub at: Timestamp,
    /// The id for a session that starts with this line.
    pub next: Option<SessionId>,
}

impl Turn<'_> {
    /// Applies the line.
    pub fn take(mut self, said: &Said<'_>) {
        let last = self.session.request.take();
        if let Said::Failed(status) = said {
            if let Some(request) = last {
                self.failed(request, status);
            }
            return;
        }
        if let Some(line) = last.and_then(|request| request.line) {
            self.part.limit.confirm(line.id);
        }
        match said {
            Said::SessionOpened { from } => {
                let (id, address) = (self.next, Some((*from).to_owned()));
                *self.session = Session { id, from: address, request: None };
                self.show("session.opened", || (*from).to_owned());
            }
            Said::Opened { path, writes, empties, creates } => {
                self.opened(*path, *writes, *empties, *creates);
            }
            Said::Closed { path, bytes, forced } => {
                let moved = bytes.map(|bytes| (bytes.read, bytes.written));
                self.closed(*path, moved, *forced);
            }
            Said::Renamed { paths, text, replaces } => self.renamed(paths, text, *replaces),
            Said::Removed(path) => self.removed(*path),
            Said::Set(path) => self.set(*path),
            Said::SessionClosed => {
                let from = self.session.from.take().unwrap_or_default();
                self.show("session.closed", || from);
            }
            Said::Failed(_) | Said::Other => {}
        }
    }

    fn opened(&mut self, path: Spelled<'_>, writes: bool, empties: bool, creates: bool) {
        let name = Name::in_incoming(path).filter(|_| writes);
        let request = self.change(name.iter(), |facts, by| {
            if let Some(name) = &name {
                facts.opened(name, empties, by);
            }
        });
        let what = if writes { "to write" } else { "to read" };
        let detail = format!("{} {what}", shown(path));
        let request = Request {
            opens: true,
            is_impossible: writes && Name::is_outside_incoming(path),
            exists: creates && name.is_some(),
            ..request
        };
        self.request(&OPEN, detail, request);
    }

    fn closed(&mut self, path: Spelled<'_>, moved: Option<(u64, u64)>, forced: bool) {
        if let Some(name) = Name::in_incoming(path) {
            self.part.facts.closed(&name, forced, moved, by(self.session, self.at));
        }
        let action = if forced { "file.cut_off" } else { "file.closed" };
        self.show(action, || match moved {
            Some((read, written)) => {
                format!("{}: {written} bytes written, {read} read", shown(path))
            }
            None => shown(path),
        });
    }

    fn renamed(&mut self, paths: &[(Spelled<'_>, Spelled<'_>)], text: &str, replaces: bool) {
        // If quotes in the names make the line ambiguous, a known old name decides.
        let mut all: Vec<_> = paths.iter().collect();
        if all.len() > 1 {
            let facts = &self.part.facts;
            let is_known =
                |old| Name::in_incoming(old).is_some_and(|old| facts.get(&old).is_some());
            all.retain(|(old, _)| is_known(*old));
        }
        let [(old, new)] = &all[..] else {
            self.part.facts.lose_track(self.at);
            let detail = match paths {
                [] => shown(Spelled { text, cut: true }),
                _ => format!("old \"{}\", where the old name ends is not known", cut_short(text)),
            };
            return self.request(&RENAME, detail, Request::default());
        };
        let detail = format!("{} to {}", shown(*old), shown(*new));
        let is_outside = Name::is_outside_incoming(*old) || Name::is_outside_incoming(*new);
        let (old, new) = (Name::in_incoming(*old), Name::in_incoming(*new));
        let is_impossible = is_outside || (!replaces && self.exists(new.as_ref()));
        let exists = new.is_some() && self.exists(old.as_ref());
        let request =
            self.change([&old, &new].into_iter().flatten(), |facts, by| match (&old, &new) {
                (Some(old), Some(new)) => facts.renamed(old, new, by),
                (Some(old), None) => facts.set(old, None),
                _ => {} // the old name is outside incoming, where the account cannot write
            });
        self.request(&RENAME, detail, Request { is_impossible, exists, ..request });
    }

    fn removed(&mut self, path: Spelled<'_>) {
        let name = Name::in_incoming(path);
        let exists = self.exists(name.as_ref());
        let is_impossible = Name::is_outside_incoming(path);
        let request = self.change(name.iter(), |facts, _| {
            if let Some(name) = &name {
                facts.set(name, None);
            }
        });
        self.request(&REMOVE, shown(path), Request { is_impossible, exists, ..request });
    }

    fn set(&mut self, path: Spelled<'_>) {
        let name = Name::in_incoming(path);
        let request = self.change(name.iter(), |facts, by| {
            if let Some(name) = &name {
                facts.touched(name, by);
            }
        });
        self.session.request = Some(request);
    }

    /// Handles a failure: `request`, the session's last one, got `status`, or a later request did
    /// that is not logged.
    fn failed(&mut self, request: Request, status: &str) {
        let Request { line, changes, opens, is_impossible, exists } = request;
        if exists && !is_impossible && status == NO_SUCH_FILE {
            if let Some(line) = line {
                self.part.limit.confirm(line.id);
            }
            return; // the status belongs to a later request
        }
        for Change { name, before, after } in changes {
            let now = self.part.facts.get(&name).cloned();
            let fact = if is_impossible && now == after {
                before
            } else if opens && is_open(now.as_ref()) && status != DENIED {
                continue; // a write may have failed instead of the opening
            } else if opens && now == after {
                unsure(before)
            } else {
                worse(before, now)
            };
            self.part.facts.set(&name, fact);
        }
        let Some(Line { id, actions, detail }) = line else { return };
        let (action, detail) = if is_impossible {
            (actions.refused, format!("{detail}: {status}"))
        } else {
            let whose = "answered to this or to a later request that is not logged";
            (actions.unconfirmed, format!("{detail}: {status}, {whose}"))
        };
        self.part.limit.amend(id, self.at, action, detail);
    }

    /// Returns whether the file exists, by the log.
    fn exists(&self, name: Option<&Name>) -> bool {
        name.is_some_and(|name| self.part.facts.has(name))
    }

    /// Applies `change` to the outcomes, and returns a request that records what it did to `names`.
    fn change<'n>(
        &mut self,
        names: impl Iterator<Item = &'n Name>,
        change: impl FnOnce(&mut Facts, By<'_>),
    ) -> Request {
        let facts = &mut self.part.facts;
        let names: Vec<_> = names.collect();
        let before: Vec<_> = names.iter().map(|name| facts.get(name).cloned()).collect();
        change(facts, by(self.session, self.at));
        let changes = names.into_iter().zip(before).map(|(name, before)| {
            let after = facts.get(name).cloned();
            Change { name: name.clone(), before, after }
        });
        Request { changes: changes.collect(), ..Request::default() }
    }

    /// Keeps a request and its activity line until the next line shows whether it failed.
    fn request(&mut self, actions: &'static Actions, detail: String, request: Request) {
        let id = self.part.limit.add_awaiting(self.at, actions.done, || detail.clone());
        self.session.request =
            Some(Request { line: Some(Line { id, actions, detail }), ..request });
    }

    fn show(&mut self, action: &'static str, detail: impl FnOnce() -> String) {
        self.part.limit.add(self.at, action, detail);
    }
}

fn is_open(fact: Option<&Fact>) -> bool {
    fact.is_some_and(|fact| fact.end == End::Open)
}

fn by(session: &Session, at: Timestamp) -> By<'_> {
    By { session: session.id, at, from: session.from.as_deref() }
}

/// Returns a path for display, in the log's spelling, which is printable. It is quoted if it
/// contains quotation marks or a space.
fn shown(path: Spelled<'_>) -> String {
    let text = cut_short(path.text);
    let name = match text.contains([' ', '"']) {
        true => format!("\"{}\"", text.replace('"', "\\\"")),
        false => text,
    };
    if path.cut { format!("{name} (cut off in the log)") } else { name }
}

fn cut_short(text: &str) -> String {
    match text.get(..SHOWN_PATH) {
        Some(begin) => format!("{begin}…"),
        None => text.to_owned(),
    }
}
