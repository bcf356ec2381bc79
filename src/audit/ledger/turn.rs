//! [`Turn`]: what one line of a session means for its account's facts and for the activity log.
//!
//! Always holds: what the last line of a session changed can be undone, should the next one say
//! that its request failed.

use jiff::Timestamp;

use super::Part;
use crate::audit::facts::{By, End, Fact, SessionId, worse};
use crate::audit::line::{Said, Spelled};
use crate::audit::name::Name;

/// How much of a path the activity log shows.
const SHOWN_PATH: usize = 300;

/// A session of an SFTP server's process.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// `None` if its begin is not in the log, or its process is unknown.
    pub(super) id: Option<SessionId>,
    /// From which address it is, where that was said.
    pub(super) from: Option<String>,
    /// What its last line changed, should that have failed: facts as they were.
    undo: Vec<(Name, Option<Fact>)>,
    /// That line opened a file.
    opened: bool,
}

/// One line's way into the part of its account.
pub(super) struct Turn<'a> {
    pub(super) part: &'a mut Part,
    pub(super) session: &'a mut Session,
    /// When the line was said.
    pub(super) at: Timestamp,
    /// What a session is called that begins with this line.
    pub(super) next: Option<SessionId>,
}

impl Turn<'_> {
    /// Takes the line in.
    pub(super) fn take(mut self, said: &Said<'_>) {
        if let Said::Failed(status) = said {
            return self.failed(status);
        }
        self.session.undo.clear();
        self.session.opened = matches!(said, Said::Opened { .. });
        match said {
            Said::SessionOpened { from } => {
                let (id, address) = (self.next, Some((*from).to_owned()));
                *self.session = Session { id, from: address, ..Session::default() };
                self.show("session.opened", || (*from).to_owned());
            }
            Said::Opened { path, writes, empties } => self.opened(*path, *writes, *empties),
            Said::Closed { path, bytes, forced } => {
                let moved = bytes.map(|bytes| (bytes.read, bytes.written));
                self.closed(*path, moved, *forced);
            }
            Said::Renamed { paths, text } => self.renamed(paths, text),
            Said::Removed(path) => {
                if let Some(name) = self.remember(*path) {
                    self.part.facts.set(&name, None);
                }
                self.show("file.removed", || shown(*path));
            }
            Said::Set(path) => {
                if let Some(name) = self.remember(*path) {
                    self.part.facts.touched(&name, by(self.session, self.at));
                }
            }
            Said::SessionClosed | Said::Failed(_) => {}
        }
    }

    fn opened(&mut self, path: Spelled<'_>, writes: bool, empties: bool) {
        if let Some(name) = self.remember(path)
            && writes
        {
            self.part.facts.opened(&name, empties, by(self.session, self.at));
        }
        let what = if writes { "to write" } else { "to read" };
        self.show("file.opened", || format!("{} {what}", shown(path)));
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

    fn renamed(&mut self, paths: &[(Spelled<'_>, Spelled<'_>)], text: &str) {
        let facts = &mut self.part.facts;
        // Where quotes leave it open which name is which, the one that is known decides.
        let names =
            paths.iter().map(|(old, new)| (Name::in_incoming(*old), Name::in_incoming(*new)));
        let known =
            |name: &Option<Name>| name.as_ref().is_some_and(|name| facts.get(name).is_some());
        let mut all: Vec<_> = names.collect();
        if all.len() > 1 {
            all.retain(|(old, _)| known(old));
        }
        match &all[..] {
            [(old, new)] => {
                for name in [old, new].into_iter().flatten() {
                    self.session.undo.push((name.clone(), facts.get(name).cloned()));
                }
                match (old, new) {
                    (Some(old), Some(new)) => facts.renamed(old, new, by(self.session, self.at)),
                    (Some(old), None) => facts.set(old, None),
                    _ => {} // from outside incoming: the account can write nowhere else
                }
            }
            _ => facts.lose_track(self.at),
        }
        self.show("file.renamed", || shown(Spelled { text, cut: false }));
    }

    /// The request of the line before this one was answered with `status`, or one was that is not
    /// logged: what that line changed may not have happened.
    fn failed(&mut self, status: &str) {
        let denied = status == "Permission denied";
        for (name, before) in self.session.undo.drain(..) {
            let now = self.part.facts.get(&name).cloned();
            let is_open = now.as_ref().is_some_and(|fact| fact.end == End::Open);
            if self.session.opened && is_open && !denied {
                continue; // a write failed, and not the opening
            }
            let fact = if self.session.opened { before } else { worse(before, now) };
            self.part.facts.set(&name, fact);
        }
    }

    /// The file that a line is about; its fact is kept in case that the line's request fails.
    fn remember(&mut self, path: Spelled<'_>) -> Option<Name> {
        let name = Name::in_incoming(path)?;
        self.session.undo.push((name.clone(), self.part.facts.get(&name).cloned()));
        Some(name)
    }

    fn show(&mut self, action: &'static str, detail: impl FnOnce() -> String) {
        self.part.limit.add(self.at, action, detail);
    }
}

fn by(session: &Session, at: Timestamp) -> By<'_> {
    By { session: session.id, at, from: session.from.as_deref() }
}

/// A path for people: the log's spelling, which is printable, cut short.
fn shown(path: Spelled<'_>) -> String {
    match path.text.get(..SHOWN_PATH) {
        Some(begin) => format!("{begin}…"),
        None => path.text.to_owned(),
    }
}
