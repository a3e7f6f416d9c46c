//! The directory of plugins in memory, with staging directories, locks and receipts. Tests can make its operations
//! fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use http::Response;
use molecule_core::effect::plugin::{
    Committed, Displaced, Found, Hashed, Listed, PluginOp, PluginResult, StageId, Swept,
};
use molecule_core::effect::{Dest, Fault, FaultKind, HostResult, LockId, Outcome, Sent, Staged};
use molecule_core::plugin::{SetupEnd, SetupOutcome, SetupRun, Tree};
use molecule_core::proto::PluginName;
use molecule_core::unpack::{EntryPath, Sink, UnpackError, Unpacker};

/// What is installed, staged and locked.
#[derive(Debug, Default)]
pub struct Shelf {
    pub installed: BTreeMap<String, Tree>,
    pub receipts: BTreeMap<String, Vec<u8>>,
    /// Plugins whose receipts cannot be read.
    pub unreadable: BTreeSet<String>,
    pub stages: BTreeMap<u64, (String, Tree)>,
    /// Plugins of which an interrupted operation left something.
    pub left: BTreeSet<String>,
    /// Whether a failed commit moves the earlier version from its place.
    pub displaces: bool,
    /// Versions that were moved from their places.
    pub displaced: BTreeMap<String, Tree>,
    /// Locks that are held, also by other holders.
    pub locks: BTreeMap<String, u64>,
    /// How many more times a lock is refused before it is free.
    pub held_elsewhere: u32,
    /// The end of `setup.sh`.
    pub setup: Option<SetupEnd>,
    pub setups: u32,
    /// Whether the disk is read-only, so that operations come without a lock.
    pub read_only: bool,
    /// Whether the operating system does not know which files are executable.
    pub without_modes: bool,
    next: u64,
}

impl Shelf {
    pub fn lock(&mut self, name: &PluginName) -> Outcome {
        if self.held_elsewhere > 0 {
            self.held_elsewhere -= 1;
            let sentence = "another install of this plugin runs (/home/agent/plugins/.lock-x)";
            return Outcome::Failed(Fault::with_source(Sent::No, FaultKind::Locked, sentence));
        }
        self.next += 1;
        let id = self.next + 1000;
        assert_eq!(self.locks.insert(name.to_string(), id), None, "{name} was locked twice");
        Outcome::Host(HostResult::Plugin(PluginResult::Locked(LockId(id))))
    }

    /// Releases a lock. Returns whether it was one of these.
    pub fn unlock(&mut self, lock: LockId) -> bool {
        let before = self.locks.len();
        self.locks.retain(|_, id| *id != lock.0);
        self.locks.len() < before
    }

    pub fn discard(&mut self, stage: StageId) {
        self.stages.remove(&stage.0);
    }

    /// The error of a commit that could not put the earlier version back.
    pub fn displace(&mut self, stage: StageId) -> Displaced {
        let name = self.stages[&stage.0].0.clone();
        let tree = self.installed.remove(&name).expect("an earlier version");
        self.displaced.insert(name.clone(), tree);
        Displaced(PathBuf::from(format!("/home/agent/plugins/.old-{name}")))
    }

    pub fn perform(&mut self, op: &PluginOp) -> PluginResult {
        match op {
            PluginOp::Lock(_) => unreachable!("a lock may be refused"),
            PluginOp::Look(name) => {
                let name = name.as_str();
                let exists = self.installed.contains_key(name) || self.displaced.contains_key(name);
                let exists = exists || self.left.contains(name);
                PluginResult::Looked { exists: exists || self.receipts.contains_key(name) }
            }
            PluginOp::Sweep(name) => {
                self.locked(name);
                let removed = u32::from(self.left.remove(name.as_str()));
                let back = self.displaced.remove_entry(name.as_str());
                let restored = back.is_some();
                self.installed.extend(back);
                let installed = self.installed.contains_key(name.as_str());
                PluginResult::Swept(Swept { restored, removed, installed })
            }
            PluginOp::Commit(stage, _) => {
                let (name, tree) = self.stages.remove(&stage.0).expect("a stage that is there");
                assert!(self.locks.contains_key(&name), "{name} is not locked");
                let path = PathBuf::from("/home/agent/plugins").join(&name);
                let replaced = self.installed.insert(name.clone(), tree).is_some();
                if replaced {
                    self.left.insert(name);
                }
                PluginResult::Committed(Committed { replaced, path })
            }
            PluginOp::Discard(stage) => {
                self.discard(*stage);
                PluginResult::Discarded
            }
            PluginOp::WriteReceipt(name, bytes, _) => {
                self.locked(name);
                self.receipts.insert(name.to_string(), bytes.clone());
                PluginResult::ReceiptWritten
            }
            PluginOp::Setup(name, _) => {
                self.locked(name);
                self.setups += 1;
                let end = self.setup.unwrap_or(SetupEnd::Exited(0));
                PluginResult::SetUp(SetupOutcome::Ran(SetupRun::new(end, Vec::new(), Vec::new())))
            }
            PluginOp::List => {
                let found = |name: &String| Found {
                    name: name.parse().unwrap(),
                    path: PathBuf::from("/home/agent/plugins").join(name),
                    receipt: match self.unreadable.contains(name) {
                        true => Err(format!("/home/agent/plugins/.receipts/{name}.json cannot be read; mend the disk")),
                        false => Ok(self.receipts.get(name).cloned()),
                    },
                };
                let found = self.installed.keys().map(found).collect();
                let left = self.left.iter().map(|name| name.parse().unwrap()).collect();
                PluginResult::Listed(Listed { found, left })
            }
            PluginOp::Hash(name) => {
                self.locked(name);
                let hashed = self.installed.get(name.as_str()).map(|tree| Hashed {
                    tree: tree.clone(),
                    others: Vec::new(),
                    tells_executables: !self.without_modes,
                    receipt: self.receipts.get(name.as_str()).cloned(),
                });
                PluginResult::Hashed(hashed)
            }
            PluginOp::Remove(name) => {
                self.locked(name);
                self.receipts.remove(name.as_str());
                PluginResult::Removed { existed: self.installed.remove(name.as_str()).is_some() }
            }
        }
    }

    /// Unpacks the body of a 200, as a driver and the host do.
    pub fn fetched(&mut self, dest: &Dest, answer: Response<bytes::Bytes>) -> Outcome {
        let Dest::Unpack(name, policy) = dest else { panic!("an install saves no file") };
        let (head, body) = answer.into_parts();
        let mut unpacker = Unpacker::new(Nowhere, policy);
        let unpacked = match unpacker.head(&head.headers).and_then(|()| unpacker.push(&body)) {
            Ok(()) => unpacker.finish().map(|(unpacked, _)| unpacked).map_err(|(error, _)| error),
            Err(error) => Err(error),
        };
        match unpacked {
            Ok(unpacked) => {
                self.next += 1;
                self.stages.insert(self.next, (name.to_string(), unpacked.tree.clone()));
                Outcome::Staged(StageId(self.next), Staged { head: Response::from_parts(head, ()), unpacked })
            }
            Err(UnpackError::Refused(refusal)) => {
                Outcome::Failed(Fault::with_source(Sent::Maybe, FaultKind::Archive, refusal))
            }
            Err(error) => panic!("a sink that keeps nothing failed: {error}"),
        }
    }

    fn locked(&self, name: &PluginName) {
        assert!(self.read_only || self.locks.contains_key(name.as_str()), "{name} is not locked");
    }
}

struct Nowhere;

impl Sink for Nowhere {
    fn directory(&mut self, _: &EntryPath) -> io::Result<()> {
        Ok(())
    }

    fn begin(&mut self, _: &EntryPath, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive of these files.
pub fn archive(files: &[(&str, &str)]) -> bytes::Bytes {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut archive = tar::Builder::new(gzip);
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap().into()
}

/// The archive of a plugin of this name with one skill.
pub fn plugin(name: &str, skill: &str) -> bytes::Bytes {
    let manifest = format!("name: {name}\nversion: 1.2.3\ndescription: Says hello.\n");
    archive(&[("plugin.yaml", &manifest), ("skill.md", skill)])
}
