//! The moves of the daemon in the model. The daemon scans, decides, executes single steps of
//! claims, is killed and restarted.

use super::super::rules;
use super::*;

impl World {
    pub(super) fn restart(&mut self) {
        let mut tracker = SessionTracker::new(UID..=UID);
        tracker.set_accounts([(UID, account())].into_iter());
        let since = self.moment();
        let outcomes = tracker.outcomes_mut(&account());
        for (name, fact) in self.stored.drain(..) {
            let fact = UploadOutcome { writers: Default::default(), replaced_at: None, ..fact };
            outcomes.load(LoggedName::of(&name), fact);
        }
        outcomes.set_complete_since(since);
        self.daemon = Some(Daemon {
            tracker,
            order: ArrivalOrder::new(),
            plan: Vec::new(),
            claiming: None,
            has_renamed: false,
        });
    }

    pub(super) fn crash(&mut self, stored: bool) {
        let Some(daemon) = self.daemon.take() else { return };
        let outcomes = daemon.tracker.outcomes(&account()).filter(|_| stored);
        self.stored = NAMES
            .iter()
            .filter_map(|name| {
                Some((name.to_string(), outcomes?.get(&LoggedName::of(name))?.clone()))
            })
            .collect();
    }

    pub(super) fn unfinished(&self) -> Option<usize> {
        self.rows.iter().find(|(_, row)| !row.is_queued).map(|(n, _)| *n)
    }

    pub(super) fn scan(&mut self) {
        let began = self.moment();
        if let Some(n) = self.unfinished() {
            let step = ClaimStep::first(&self.rows[&n].claim);
            self.daemon.as_mut().unwrap().claiming = Some((n, step, began));
            return;
        }
        let plan = self.decide();
        self.daemon.as_mut().unwrap().plan = plan;
    }

    pub(super) fn decide(&self) -> Vec<PlannedClaim> {
        self.decide_at(self.now)
    }

    pub(super) fn decide_at(&self, now: i64) -> Vec<PlannedClaim> {
        let snapshot = self.snapshot(now);
        if self.rules == Rules::Before {
            return rules::decide(self, &snapshot);
        }
        let Some(daemon) = &self.daemon else { return Vec::new() };
        let upload = |entry: &DirEntry| {
            let outcomes = daemon.tracker.outcomes(&account());
            let upload = outcomes
                .map(|outcomes| outcomes.upload_state(&LoggedName::of(&entry.name), entry.ctime));
            upload.unwrap_or_else(UploadState::default)
        };
        let spent = |name: &str| self.spent.get(name).map(|n| format!("t-{n}").parse().unwrap());
        let periods = Pairing { reused_manifest: self.reused, ..Pairing::default() };
        pairing::decide(&snapshot, &daemon.order, &periods, spent, upload).claims
    }

    fn snapshot(&self, now: i64) -> Snapshot {
        let mut snapshot = Snapshot { tick: self.ms(now), ..Snapshot::default() };
        for (name, ino) in &self.incoming {
            let inode = &self.inodes[ino];
            let entry = self.entry(name, inode);
            let age = Duration::from_millis((now - inode.ctime).unsigned_abs());
            let age = Age { then: age, since: Duration::ZERO };
            let is_open = self.connections.iter().any(|c| c.handle == Some(*ino));
            if MANIFESTS.contains(&name.as_str()) {
                let content = if is_open { ManifestContent::BeingWritten } else { content() };
                snapshot.manifests.push(ListedManifest { entry, content, age });
                continue;
            }
            if name == PART && !self.incoming.contains_key(DATA) {
                let age = Duration::from_millis((now - inode.closed).unsigned_abs());
                let age = Age { then: age, since: Duration::ZERO };
                let file = ArrivingFile { name: name.clone(), is_open, age };
                snapshot.arriving.insert(DATA.to_owned(), file);
            }
            if name == DATA {
                snapshot.ages.insert(name.clone(), age);
                if is_open {
                    snapshot.being_written.insert(name.clone());
                }
            }
            snapshot.files.push(entry);
        }
        snapshot
    }

    fn entry(&self, name: &str, inode: &Inode) -> DirEntry {
        let (name, ctime) = (name.to_owned(), self.ms(inode.ctime));
        DirEntry { name, kind: FileKind::Regular, size: 1, ctime, dev: 1, ino: inode.ino, nlink: 1 }
    }

    fn ms(&self, ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    /// Writes the next row, or executes the next step of a claim.
    pub(super) fn next(&mut self) {
        let began = self.moment();
        let daemon = self.daemon.as_mut().unwrap();
        let Some((n, step, began)) = daemon.claiming else {
            let take = daemon.plan.remove(0);
            let claim = take.claim();
            self.last_import += 1;
            let n = self.last_import;
            daemon.claiming = Some((n, ClaimStep::first(&claim), began));
            self.spent.entry(claim.manifest.name.clone()).or_insert(n);
            let refusal = take.data.err().map(|failure| failure.to_string());
            self.rows.insert(n, Row { claim, refusal, is_queued: false });
            return;
        };
        let claim = self.rows[&n].claim.clone();
        let file = match step {
            ClaimStep::Move(PairFile::Data) | ClaimStep::MoveBack(PairFile::Data) => {
                claim.data.as_ref()
            }
            _ => Some(&claim.manifest),
        };
        let next = match (step, file) {
            (ClaimStep::Move(part), Some(file)) => match self.take(n, part, file) {
                true => step.next(&claim),
                false => ClaimStep::undo(),
            },
            (ClaimStep::MoveBack(part), Some(file)) => {
                self.return_file(n, part, file);
                step.next(&claim)
            }
            (ClaimStep::Queue, _) if !self.daemon.as_ref().unwrap().has_renamed => {
                self.rename_earlier_answer(n, &claim.manifest.name);
                self.daemon.as_mut().unwrap().has_renamed = true;
                return;
            }
            (ClaimStep::Queue, _) => {
                self.daemon.as_mut().unwrap().has_renamed = false;
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

    /// Moves a file like a real claim, from the spool or from incoming. A file in incoming must be
    /// the scanned file.
    fn take(&mut self, n: usize, part: PairFile, file: &FileId) -> bool {
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
        if part == PairFile::Manifest && self.rules == Rules::Before {
            // The file in the spool is a copy.
            return true;
        }
        self.incoming.remove(&file.name);
        self.inodes.get_mut(&ino).unwrap().ctime = self.now;
        true
    }

    fn return_file(&mut self, n: usize, part: PairFile, file: &FileId) {
        let Some(ino) = self.spool.remove(&(n, part)) else { return };
        if self.incoming.contains_key(&file.name) {
            // The new file replaces the old file, as if the new content were written over it.
            let version = self.inodes[&ino].version;
            self.replaced.insert((file.name.clone(), version));
            return;
        }
        self.incoming.insert(file.name.clone(), ino);
        self.inodes.get_mut(&ino).unwrap().ctime = self.now;
        let at = self.moment();
        if part == PairFile::Manifest {
            let order = &mut self.daemon.as_mut().unwrap().order;
            let place = order.len() as u64;
            order.entry(file.name.clone()).or_insert(Arrival { at, place });
        }
    }

    /// Renames the report that the next report would replace.
    fn rename_earlier_answer(&mut self, n: usize, name: &str) {
        if let Some(earlier) = self.results.get(name).copied().filter(|earlier| *earlier != n) {
            self.results.remove(name);
            self.results.insert(format!("t-{earlier}"), earlier);
        }
    }

    /// Queues the import. Its row determines the answer.
    fn queue(&mut self, n: usize, claim: &Claim, began: Timestamp) {
        let row = self.rows.get_mut(&n).unwrap();
        row.is_queued = true;
        // The report in results is the progress report of the import.
        self.results.insert(claim.manifest.name.clone(), n);
        let version = |part| self.spool.get(&(n, part)).map(|ino| &self.inodes[ino]);
        let manifest = version(PairFile::Manifest).unwrap().version;
        let outcome = match (&row.refusal, version(PairFile::Data)) {
            (Some(text), _) => Err(text.clone()),
            (None, data) => Ok(data.unwrap().version),
        };
        if let Some(false) = version(PairFile::Data).map(|data| data.is_complete) {
            self.breaks_unless_crashed("half a file is imported".into());
        }
        let daemon = self.daemon.as_mut().unwrap();
        daemon.order.remove(&claim.manifest.name);
        for file in claim.data.iter().chain([&claim.manifest]) {
            daemon
                .tracker
                .outcomes_mut(&account())
                .remove_claimed(&LoggedName::of(&file.name), began);
        }
        let name = &claim.manifest.name;
        self.judge(Answer { manifest: name.clone(), version: manifest, outcome });
    }
}

fn content() -> ManifestContent {
    ManifestContent::Read(ParsedManifest::Valid {
        data_type: crate::report::DataType::Event,
        data_file: DATA.into(),
        client_email: "a@example.com".into(),
    })
}
