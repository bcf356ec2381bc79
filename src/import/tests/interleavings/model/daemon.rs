//! Moves of the daemon: it scans, decides, takes single steps of claims, is killed and restarted.

use super::super::rules;
use super::*;

impl World {
    pub(super) fn restart(&mut self) {
        let mut ledger = Ledger::new(UID..=UID);
        ledger.follow([(UID, account())].into_iter());
        let since = self.moment();
        let facts = ledger.facts(&account());
        for (name, fact) in self.stored.drain(..) {
            let fact = Fact { writers: Default::default(), replaced_at: None, ..fact };
            facts.remember(Name::of(&name), fact);
        }
        facts.hears_since(since);
        self.daemon =
            Some(Daemon { ledger, order: Order::new(), plan: Vec::new(), claiming: None });
    }

    pub(super) fn crash(&mut self, stored: bool) {
        let Some(daemon) = self.daemon.take() else { return };
        let facts = daemon.ledger.facts_of(&account()).filter(|_| stored);
        self.stored = NAMES
            .iter()
            .filter_map(|name| Some((name.to_string(), facts?.get(&Name::of(name))?.clone())))
            .collect();
    }

    pub(super) fn unfinished(&self) -> Option<usize> {
        self.rows.iter().find(|(_, row)| !row.is_queued).map(|(n, _)| *n)
    }

    pub(super) fn scan(&mut self) {
        let began = self.moment();
        if let Some(n) = self.unfinished() {
            let step = Step::first(&self.rows[&n].claim);
            self.daemon.as_mut().unwrap().claiming = Some((n, step, began));
            return;
        }
        let plan = self.decide();
        self.daemon.as_mut().unwrap().plan = plan;
    }

    pub(super) fn decide(&self) -> Vec<Take> {
        self.decide_at(self.now)
    }

    pub(super) fn decide_at(&self, now: i64) -> Vec<Take> {
        let sight = self.sight(now);
        if self.rules == Rules::Before {
            return rules::decide(self, &sight);
        }
        let Some(daemon) = &self.daemon else { return Vec::new() };
        let upload = |entry: &Entry| {
            let facts = daemon.ledger.facts_of(&account());
            let upload = facts.map(|facts| facts.upload(&Name::of(&entry.name), entry.ctime));
            upload.unwrap_or_else(Upload::default)
        };
        let spent = |name: &str| self.spent.get(name).map(|n| format!("t-{n}").parse().unwrap());
        pairing::decide(&sight, &daemon.order, &Pairing::default(), spent, upload).take
    }

    fn sight(&self, now: i64) -> Sight {
        let mut sight = Sight { tick: self.ms(now), ..Sight::default() };
        for (name, ino) in &self.incoming {
            let inode = &self.inodes[ino];
            let entry = self.entry(name, inode);
            let age = Duration::from_millis((now - inode.ctime).unsigned_abs());
            let age = Age { then: age, since: Duration::ZERO };
            let is_open = self.connections.iter().any(|c| c.handle == Some(*ino));
            if MANIFESTS.contains(&name.as_str()) {
                let content = if is_open { Content::BeingWritten } else { content() };
                sight.manifests.push(ManifestSeen { entry, content, age });
                continue;
            }
            if name == DATA {
                sight.ages.insert(name.clone(), age);
                if is_open {
                    sight.being_written.insert(name.clone());
                }
            }
            sight.files.push(entry);
        }
        sight
    }

    fn entry(&self, name: &str, inode: &Inode) -> Entry {
        let (name, ctime) = (name.to_owned(), self.ms(inode.ctime));
        Entry { name, kind: Kind::Regular, size: 1, ctime, dev: 1, ino: inode.ino, nlink: 1 }
    }

    fn ms(&self, ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    /// Writes the next row, or takes the next step of a claim.
    pub(super) fn next(&mut self) {
        let began = self.moment();
        let daemon = self.daemon.as_mut().unwrap();
        let Some((n, step, began)) = daemon.claiming else {
            let take = daemon.plan.remove(0);
            let claim = take.claim();
            self.last_import += 1;
            let n = self.last_import;
            daemon.claiming = Some((n, Step::first(&claim), began));
            self.spent.entry(claim.manifest.name.clone()).or_insert(n);
            let refusal = take.data.err().map(|failure| failure.to_string());
            self.rows.insert(n, Row { claim, refusal, is_queued: false });
            return;
        };
        let claim = self.rows[&n].claim.clone();
        let file = match step {
            Step::Take(Part::Data) | Step::Return(Part::Data) => claim.data.as_ref(),
            _ => Some(&claim.manifest),
        };
        let next = match (step, file) {
            (Step::Take(part), Some(file)) => match self.take(n, part, file) {
                true => step.done(&claim),
                false => Step::undo(),
            },
            (Step::Return(part), Some(file)) => {
                self.return_file(n, part, file);
                step.done(&claim)
            }
            (Step::Queue, _) => {
                self.queue(n, &claim, began);
                self.daemon.as_mut().unwrap().claiming = None;
                return;
            }
            _ => {
                self.rows.remove(&n);
                self.spent.retain(|_, by| *by != n);
                let daemon = self.daemon.as_mut().unwrap();
                (daemon.claiming, daemon.plan) = (None, Vec::new());
                return;
            }
        };
        self.daemon.as_mut().unwrap().claiming = Some((n, next, began));
    }

    /// Takes a file like the real claim: from the spool, or the scanned one from incoming.
    fn take(&mut self, n: usize, part: Part, file: &FileId) -> bool {
        let is_open = |ino| self.connections.iter().any(|c| c.handle == Some(ino));
        if let Some(ino) = self.spool.get(&(n, part)) {
            return *ino == file.ino && !is_open(*ino);
        }
        let Some(inode) = self.inode(&file.name) else { return false };
        let is_same = inode.ino == file.ino && self.ms(inode.ctime) == file.ctime;
        if !is_same || is_open(inode.ino) {
            return false;
        }
        let ino = inode.ino;
        self.spool.insert((n, part), ino);
        if part == Part::Manifest && self.rules == Rules::Before {
            return true; // it is a copy
        }
        self.incoming.remove(&file.name);
        self.inodes.get_mut(&ino).unwrap().ctime = self.now;
        true
    }

    fn return_file(&mut self, n: usize, part: Part, file: &FileId) {
        let Some(ino) = self.spool.remove(&(n, part)) else { return };
        if self.incoming.contains_key(&file.name) {
            // The new file replaces it, as if written over it.
            let version = self.inodes[&ino].version;
            self.replaced.insert((file.name.clone(), version));
            return;
        }
        self.incoming.insert(file.name.clone(), ino);
        self.inodes.get_mut(&ino).unwrap().ctime = self.now;
        let at = self.moment();
        if part == Part::Manifest {
            let order = &mut self.daemon.as_mut().unwrap().order;
            let place = order.len() as u64;
            order.entry(file.name.clone()).or_insert(Arrival { at, place });
        }
    }

    /// Queues the row, which determines its answer.
    fn queue(&mut self, n: usize, claim: &Claim, began: Timestamp) {
        let row = self.rows.get_mut(&n).unwrap();
        row.is_queued = true;
        let version = |part| self.spool.get(&(n, part)).map(|ino| &self.inodes[ino]);
        let manifest = version(Part::Manifest).unwrap().version;
        let outcome = match (&row.refusal, version(Part::Data)) {
            (Some(text), _) => Err(text.clone()),
            (None, data) => Ok(data.unwrap().version),
        };
        if let Some(false) = version(Part::Data).map(|data| data.is_complete) {
            self.breaks_unless_crashed("half a file is imported".into());
        }
        let daemon = self.daemon.as_mut().unwrap();
        daemon.order.remove(&claim.manifest.name);
        for file in claim.data.iter().chain([&claim.manifest]) {
            daemon.ledger.facts(&account()).claimed(&Name::of(&file.name), began);
        }
        let name = &claim.manifest.name;
        self.judge(Answer { manifest: name.clone(), version: manifest, outcome });
    }
}

fn content() -> Content {
    Content::Read(Verdict::Valid {
        data_type: crate::report::DataType::Event,
        data_file: DATA.into(),
        client_email: "a@example.com".into(),
    })
}
