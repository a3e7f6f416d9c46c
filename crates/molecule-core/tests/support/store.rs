//! The agent's store in memory. Tests can make its operations fail.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::shelf::Shelf;
use molecule_core::effect::plugin::{PluginOp, PluginResult};
use molecule_core::effect::{Fault, FaultKind, HostOp, HostResult, LockId, Outcome, Sent, Slot, Stored};

/// The stored content, and the operations that fail.
#[derive(Debug, Default)]
pub struct Store {
    pub token: Option<String>,
    pub inbound: Option<String>,
    /// The inbound secrets that were replaced lately.
    pub replaced_secrets: Option<String>,
    /// The journal of the inbox.
    pub inbox: Option<Vec<u8>>,
    pub reply_key: Option<Vec<u8>>,
    /// The answers that are kept for pushed messages.
    pub answers: Option<Vec<u8>>,
    /// The content of the token's slot if it is not text.
    pub raw_token: Option<Vec<u8>>,
    /// The operations that fail, by the first word of their `Debug`, each with the store's error text.
    failures: BTreeMap<&'static str, (io::ErrorKind, String)>,
    /// Whether the journal of the inbox is larger than a slot may be, until it is set aside.
    pub too_large: bool,
    /// Whether another agent holds the lock.
    pub held_elsewhere: bool,
    pub locked: Option<u64>,
    next_lock: u64,
    pub shelf: Shelf,
    /// How long an append takes.
    pub append_takes: Duration,
    /// How often the token was read.
    pub token_reads: u32,
}

impl Store {
    /// Makes the operation `act` (`Prepare`, `Load`, `Replace` …) fail from now on.
    pub fn fail(&mut self, act: &'static str) {
        let sentence = format!("{act} was refused: the disk is full; free some space");
        self.failures.insert(act, (io::ErrorKind::StorageFull, sentence));
    }

    /// Makes the operation one that this store does not have.
    pub fn cannot(&mut self, act: &'static str) {
        self.failures.insert(act, (io::ErrorKind::Unsupported, format!("this store has no {act}")));
    }

    /// Makes all operations succeed from now on.
    pub fn mend(&mut self) {
        self.failures.clear();
    }

    pub fn perform(&mut self, op: &HostOp) -> Outcome {
        let act = format!("{op:?}");
        let act = act.split('(').next().unwrap();
        if self.too_large && matches!(op, HostOp::Load(Slot::Inbox)) {
            let kind = FaultKind::Host(io::ErrorKind::FileTooLarge);
            return Outcome::Failed(Fault::with_source(Sent::No, kind, "it has more than 64 MiB"));
        }
        if let Some((kind, sentence)) = self.failures.get(act) {
            let kind = FaultKind::Host(*kind);
            return match op {
                HostOp::Plugin(PluginOp::Commit(stage, _)) if self.shelf.displaces => {
                    Outcome::Failed(Fault::with_source(Sent::No, kind, self.shelf.displace(*stage)))
                }
                _ => Outcome::Failed(Fault::with_source(Sent::No, kind, sentence.clone())),
            };
        }
        Outcome::Host(match op {
            HostOp::Prepare => HostResult::Prepared,
            HostOp::Load(slot) => {
                self.token_reads += u32::from(*slot == Slot::Token);
                let bytes = self.content(*slot);
                HostResult::Loaded(bytes.map(|bytes| Stored::new(bytes, format!("/home/agent/{slot:?}"))))
            }
            HostOp::Replace(slot, bytes) => {
                self.set(*slot, Some(bytes.to_vec()));
                HostResult::Replaced
            }
            HostOp::Append(slot, bytes, _) => {
                let mut content = self.content(*slot).unwrap_or_default();
                content.extend_from_slice(bytes);
                self.set(*slot, Some(content));
                HostResult::Appended
            }
            HostOp::SetAside(slot) => {
                self.set(*slot, None);
                self.too_large &= *slot != Slot::Inbox;
                HostResult::SetAside("/home/agent/aside".to_owned())
            }
            HostOp::ReadFile(..) => unreachable!("no machine here sends files"),
            HostOp::Lock if self.held_elsewhere => {
                let sentence = "another agent of this workspace runs (/home/agent/.lock); stop it first";
                return Outcome::Failed(Fault::with_source(Sent::No, FaultKind::Locked, sentence));
            }
            HostOp::Lock => {
                self.next_lock += 1;
                assert_eq!(self.locked.replace(self.next_lock), None, "locked twice");
                HostResult::Locked(LockId(self.next_lock))
            }
            HostOp::Plugin(PluginOp::Lock(name)) => return self.shelf.lock(name),
            HostOp::Plugin(op) => HostResult::Plugin(self.shelf.perform(op)),
            HostOp::Unlock(lock) if self.shelf.unlock(*lock) => HostResult::Unlocked,
            HostOp::Unlock(LockId(id)) => {
                assert_eq!(self.locked.take(), Some(*id), "unlocked what was not locked");
                HostResult::Unlocked
            }
        })
    }

    /// Disposes of an outcome that no machine took, as a driver does.
    pub fn dispose(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Host(HostResult::Plugin(PluginResult::Locked(lock))) => drop(self.shelf.unlock(*lock)),
            Outcome::Staged(stage, _) => self.shelf.discard(*stage),
            _ => {}
        }
        if let Outcome::Host(HostResult::Locked(LockId(id))) = outcome
            && self.locked == Some(*id)
        {
            self.locked = None;
        }
    }

    fn content(&self, slot: Slot) -> Option<Vec<u8>> {
        match slot {
            Slot::Token => self.raw_token.clone().or_else(|| self.token.clone().map(String::into_bytes)),
            Slot::InboundSecret => self.inbound.clone().map(String::into_bytes),
            Slot::ReplacedSecrets => self.replaced_secrets.clone().map(String::into_bytes),
            Slot::Inbox => self.inbox.clone(),
            Slot::ReplyKey => self.reply_key.clone(),
            Slot::Answers => self.answers.clone(),
            other => panic!("this store has no slot {other:?}"),
        }
    }

    fn set(&mut self, slot: Slot, content: Option<Vec<u8>>) {
        let text = |content: Option<Vec<u8>>| content.map(|bytes| String::from_utf8(bytes).unwrap());
        match slot {
            Slot::Token => self.token = text(content),
            Slot::InboundSecret => self.inbound = text(content),
            Slot::ReplacedSecrets => self.replaced_secrets = text(content),
            Slot::Inbox => self.inbox = content,
            Slot::ReplyKey => self.reply_key = content,
            Slot::Answers => self.answers = content,
            other => panic!("this store has no slot {other:?}"),
        }
    }
}
