//! The moves of the clients and the SFTP server in the model. Each step is logged before it is
//! executed.

use super::*;

impl World {
    pub(super) fn client(&mut self, n: usize) {
        let connection = &mut self.connections[n];
        let step = connection.steps[connection.at];
        if !std::mem::replace(&mut connection.logged, true) {
            if step == Do::Begin {
                connection.session += 10;
            }
            // The file counts as replaced as soon as the client has requested it.
            if let Do::Open(name, _) | Do::Rename(_, name) = step {
                self.replace(name);
            }
            if step != Do::Wait {
                self.log(n, &line(step));
            }
            if !matches!(step, Do::Begin | Do::Wait | Do::End) {
                return;
            }
        }
        let connection = &mut self.connections[n];
        connection.logged = false;
        connection.at += 1;
        match step {
            Do::Begin | Do::End => {}
            Do::Wait => self.now += LONG,
            Do::Open(name, version) => {
                self.replace(name);
                let ino = self.create(name, version);
                self.connections[n].handle = Some(ino);
            }
            Do::Resume(name) => self.connections[n].handle = self.incoming.get(name).copied(),
            Do::Close(name) => {
                let ino = self.connections[n].handle.take();
                if let Some(inode) = ino.and_then(|ino| self.inodes.get_mut(&ino)) {
                    (inode.is_complete, inode.closed) = (true, self.now);
                }
                self.arrived(name);
            }
            Do::Cut(name) => {
                self.connections[n].handle = None;
                self.arrived(name);
            }
            Do::Set(name) => match self.incoming.get(name) {
                None => self.log(n, "sent status No such file"),
                Some(ino) => {
                    let now = self.now;
                    let inode = self.inodes.get_mut(ino).unwrap();
                    (inode.ctime, inode.time_is_set) = (now, true);
                }
            },
            Do::Rename(from, to) => {
                let Some(ino) = self.incoming.remove(from) else { return };
                self.replace(to);
                self.incoming.insert(to.to_owned(), ino);
                self.inodes.get_mut(&ino).unwrap().ctime = self.now;
                self.arrived(to);
            }
        }
    }

    /// Opens an existing file, or creates a new file, with the content of `version`. The new
    /// content is already written.
    fn create(&mut self, name: &str, version: usize) -> u64 {
        let last = self.inodes.keys().last().copied().unwrap_or_default();
        let ino = *self.incoming.entry(name.to_owned()).or_insert(last + 1);
        let ctime = self.now;
        let inode =
            Inode { ino, ctime, time_is_set: false, version, is_complete: false, closed: ctime };
        self.inodes.insert(ino, inode);
        ino
    }

    /// Records that a client replaces the file of this name, in incoming or during its claim.
    fn replace(&mut self, name: &str) {
        let claimed = self.unfinished().and_then(|n| {
            let is_data = self.rows[&n].claim.data.as_ref().is_some_and(|data| data.name == name);
            self.spool.get(&(n, PairFile::Data)).filter(|_| is_data)
        });
        if let Some(ino) = self.incoming.get(name).or(claimed) {
            let version = self.inodes[ino].version;
            self.replaced.insert((name.to_owned(), version));
        }
    }

    /// Models the inotify event of a close or a rename.
    fn arrived(&mut self, name: &str) {
        let at = self.moment();
        let Some(inode) = self.incoming.get(name).map(|ino| &self.inodes[ino]) else { return };
        if !MANIFESTS.contains(&name) {
            return;
        }
        if inode.is_complete {
            self.complete.insert((name.to_owned(), inode.version));
        }
        if let Some(daemon) = &mut self.daemon {
            let place = daemon.order.len() as u64;
            daemon.order.entry(name.to_owned()).or_insert(Arrival { at, place });
        }
    }

    fn log(&mut self, n: usize, message: &str) {
        let at = self.moment();
        let pid = i32::try_from(n).unwrap() + self.connections[n].session + 1;
        let bytes = format!("<38>Nov 25 18:12:24 internal-sftp[{pid}]: {message}").into_bytes();
        if let Some(daemon) = &mut self.daemon {
            daemon.tracker.process(LogLine { uid: UID, pid, at, bytes });
        }
    }
}

/// Returns the SFTP server's log line before a step.
fn line(step: Do) -> String {
    let moved = "bytes read 0 written 6";
    match step {
        Do::Begin => "session opened for local user acme from [192.0.2.7]".into(),
        Do::Open(name, _) => {
            format!("open \"/incoming/{name}\" flags WRITE,CREATE,TRUNCATE mode 0666")
        }
        Do::Resume(name) => format!("open \"/incoming/{name}\" flags WRITE,CREATE mode 0666"),
        Do::Close(name) => format!("close \"/incoming/{name}\" {moved}"),
        Do::Cut(name) => format!("forced close \"/incoming/{name}\" {moved}"),
        Do::Set(name) => format!("set \"/incoming/{name}\" mode 0640"),
        Do::Rename(from, to) => {
            format!("posix-rename old \"/incoming/{from}\" new \"/incoming/{to}\"")
        }
        Do::Wait => String::new(),
        Do::End => "session closed for local user acme from [192.0.2.7]".into(),
    }
}
