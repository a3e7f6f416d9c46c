//! The courses of the conformance suite for stores.

use std::io::ErrorKind::{NotADirectory, NotFound, ReadOnlyFilesystem, StorageFull};

use molecule_core::effect::Durability::{None as Unsynced, Sync};
use molecule_core::effect::Slot::{InboundSecret, Inbox, Token};
use molecule_core::effect::{FaultKind, Slot};

use super::Condition::{Broken, Fine, Full, ReadOnly};
use super::CourseStep::{Becomes, Disposed, Ends};
use super::Did::{Appended, Loaded, Locked, Prepared, Replaced, Unlocked};
use super::StoreAct::{Append, Load, Lock, Prepare, Replace, SetAside, Unlock};
use super::StoreUser::{One, Other};
use super::{Course, CourseStep, Did, StoreAct};

/// All courses of the suite.
pub fn all() -> Vec<Course> {
    let parts = [content(), appends(), locks(), trouble()];
    parts.into_iter().flatten().collect()
}

fn content() -> Vec<Course> {
    vec![
        course(
            "an empty store is prepared and has nothing",
            [
                one(Load(Token), Loaded(None)),
                one(Prepare, Prepared),
                one(Load(Token), Loaded(None)),
                one(Load(InboundSecret), Loaded(None)),
                one(Prepare, Prepared),
            ],
        ),
        course(
            "what is stored is loaded, each slot for itself",
            [
                one(Prepare, Prepared),
                one(Replace(Token, "token"), Replaced),
                one(Load(Token), text("token")),
                one(Load(InboundSecret), Loaded(None)),
                one(Replace(InboundSecret, "secret"), Replaced),
                one(Load(Token), text("token")),
                one(Load(InboundSecret), text("secret")),
            ],
        ),
        course("every slot that there is keeps its own content", every_slot()),
        course(
            "a store needs no preparation",
            [
                one(Replace(Token, "token"), Replaced),
                one(Load(Token), text("token")),
                one(Prepare, Prepared),
                one(Load(Token), text("token")),
            ],
        ),
        course(
            "new content takes the place of the old, whatever their lengths",
            [
                one(Replace(Token, "a longer token"), Replaced),
                one(Replace(Token, "short"), Replaced),
                one(Load(Token), text("short")),
                one(Replace(Token, ""), Replaced),
                one(Load(Token), text("")),
                one(Replace(Token, "a longer token"), Replaced),
                one(Load(Token), text("a longer token")),
            ],
        ),
        course(
            "another process reads what was stored, also when the first has ended",
            [
                one(Replace(Token, "token"), Replaced),
                other(Load(Token), text("token")),
                other(Replace(Token, "rotated"), Replaced),
                one(Load(Token), text("rotated")),
                Ends(One),
                Ends(Other),
                one(Load(Token), text("rotated")),
            ],
        ),
        course(
            "what is set aside is gone from its slot",
            [
                one(SetAside(Token), failed(NotFound)),
                one(Replace(Token, "damaged"), Replaced),
                one(Replace(InboundSecret, "secret"), Replaced),
                one(SetAside(Token), Did::SetAside),
                one(Load(Token), Loaded(None)),
                one(Load(InboundSecret), text("secret")),
                one(SetAside(Token), failed(NotFound)),
                one(Replace(Token, "damaged again"), Replaced),
                one(SetAside(Token), Did::SetAside),
                one(Replace(Token, "token"), Replaced),
                one(Load(Token), text("token")),
            ],
        ),
    ]
}

fn appends() -> Vec<Course> {
    vec![
        course(
            "what is appended follows what is there",
            [
                one(Append(Inbox, "one", Unsynced), Appended),
                one(Load(Inbox), text("one")),
                one(Append(Inbox, " two", Sync), Appended),
                one(Append(Inbox, "", Sync), Appended),
                one(Append(Inbox, " three", Unsynced), Appended),
                one(Load(Inbox), text("one two three")),
                one(Prepare, Prepared),
                one(Load(Inbox), text("one two three")),
            ],
        ),
        course(
            "nothing that is appended to nothing makes content",
            [one(Append(Inbox, "", Unsynced), Appended), one(Load(Inbox), text(""))],
        ),
        course("every slot that there is can be appended to", appended_slots()),
        course(
            "appends and replacements see each other",
            [
                one(Replace(Inbox, "replaced"), Replaced),
                one(Append(Inbox, " and more", Sync), Appended),
                one(Load(Inbox), text("replaced and more")),
                one(Replace(Inbox, "short"), Replaced),
                one(Append(Inbox, "er", Unsynced), Appended),
                one(Load(Inbox), text("shorter")),
                one(SetAside(Inbox), Did::SetAside),
                one(Append(Inbox, "anew", Unsynced), Appended),
                one(Load(Inbox), text("anew")),
            ],
        ),
        course(
            "another process reads what was appended, and goes on after it",
            [
                one(Append(Inbox, "one", Unsynced), Appended),
                Ends(One),
                other(Load(Inbox), text("one")),
                other(Append(Inbox, " other", Unsynced), Appended),
                one(Append(Inbox, " one again", Sync), Appended),
                other(Load(Inbox), text("one other one again")),
            ],
        ),
    ]
}

fn locks() -> Vec<Course> {
    vec![
        course(
            "a lock is taken once",
            [
                one(Lock, Locked(1)),
                one(Lock, LOCKED),
                other(Lock, LOCKED),
                one(Unlock(1), Unlocked),
                other(Lock, Locked(1)),
                one(Lock, LOCKED),
                other(Unlock(1), Unlocked),
                one(Lock, Locked(2)),
            ],
        ),
        course(
            "a lock that is not held can be given back",
            [
                one(Unlock(1), Unlocked),
                one(Lock, Locked(1)),
                one(Unlock(7), Unlocked),
                other(Unlock(1), Unlocked),
                other(Lock, LOCKED),
                one(Unlock(1), Unlocked),
                one(Unlock(1), Unlocked),
                other(Lock, Locked(1)),
            ],
        ),
        course(
            "a lock goes with its process",
            [one(Lock, Locked(1)), other(Lock, LOCKED), Ends(One), other(Lock, Locked(1))],
        ),
        course(
            "a lock that nobody takes is given back",
            [
                one(Lock, Locked(1)),
                Disposed(One),
                other(Lock, Locked(1)),
                one(Lock, LOCKED),
                Disposed(One),
                one(Lock, LOCKED),
            ],
        ),
        course(
            "a lock locks nobody out of the slots",
            [
                one(Lock, Locked(1)),
                other(Prepare, Prepared),
                other(Replace(Token, "token"), Replaced),
                one(Load(Token), text("token")),
                one(Replace(Token, "rotated"), Replaced),
                other(Load(Token), text("rotated")),
            ],
        ),
    ]
}

fn trouble() -> Vec<Course> {
    vec![
        course(
            "a full disk keeps what it has",
            [
                one(Prepare, Prepared),
                one(Replace(Token, "token"), Replaced),
                Becomes(Full),
                one(Prepare, failed(StorageFull)),
                one(Replace(Token, "new"), failed(StorageFull)),
                one(Replace(InboundSecret, "new"), failed(StorageFull)),
                one(Load(Token), text("token")),
                one(Load(InboundSecret), Loaded(None)),
                Becomes(Fine),
                one(Prepare, Prepared),
                one(Replace(Token, "new"), Replaced),
                one(Load(Token), text("new")),
            ],
        ),
        course(
            "an append for which a full disk has no room leaves what is there",
            [
                one(Append(Inbox, "one", Unsynced), Appended),
                Becomes(Full),
                one(Append(Inbox, LONG, Unsynced), failed(StorageFull)),
                one(Append(Inbox, LONG, Sync), failed(StorageFull)),
                one(Append(Token, LONG, Sync), failed(StorageFull)),
                one(Load(Inbox), text("one")),
                one(Load(Token), Loaded(None)),
                Becomes(Fine),
                one(Append(Inbox, LONG, Sync), Appended),
                one(Append(Inbox, " two", Unsynced), Appended),
                one(Load(Inbox), text(&["one", LONG, " two"].concat())),
            ],
        ),
        course(
            "a full disk has room for a lock and for another name",
            [
                one(Lock, Locked(1)),
                one(Unlock(1), Unlocked),
                one(Replace(Token, "damaged"), Replaced),
                Becomes(Full),
                one(Lock, Locked(2)),
                other(Lock, LOCKED),
                one(SetAside(InboundSecret), failed(NotFound)),
                one(SetAside(Token), Did::SetAside),
                one(Load(Token), Loaded(None)),
            ],
        ),
        course(
            "a read-only disk is read",
            [
                one(Lock, Locked(1)),
                one(Unlock(1), Unlocked),
                one(Replace(Token, "token"), Replaced),
                Becomes(ReadOnly),
                one(Prepare, failed(ReadOnlyFilesystem)),
                one(Replace(Token, "new"), failed(ReadOnlyFilesystem)),
                one(Append(Token, "er", Unsynced), failed(ReadOnlyFilesystem)),
                one(Append(Inbox, "new", Sync), failed(ReadOnlyFilesystem)),
                one(SetAside(Token), failed(ReadOnlyFilesystem)),
                one(SetAside(InboundSecret), failed(NotFound)),
                one(Lock, failed(ReadOnlyFilesystem)),
                one(Load(Token), text("token")),
                one(Load(InboundSecret), Loaded(None)),
                Becomes(Fine),
                one(Prepare, Prepared),
                one(Replace(Token, "new"), Replaced),
                one(Lock, Locked(2)),
            ],
        ),
        course(
            "a read-only disk that was never prepared",
            [
                Becomes(ReadOnly),
                one(Load(Token), Loaded(None)),
                one(Prepare, failed(ReadOnlyFilesystem)),
                one(Replace(Token, "new"), failed(ReadOnlyFilesystem)),
                one(Append(Inbox, "new", Unsynced), failed(ReadOnlyFilesystem)),
                one(Lock, failed(ReadOnlyFilesystem)),
            ],
        ),
        course(
            "a broken disk is never taken for an empty one",
            [
                one(Replace(Token, "token"), Replaced),
                Becomes(Broken),
                one(Prepare, failed(NotADirectory)),
                one(Load(Token), failed(NotADirectory)),
                one(Load(InboundSecret), failed(NotADirectory)),
                one(Replace(Token, "new"), failed(NotADirectory)),
                one(Append(Inbox, "new", Unsynced), failed(NotADirectory)),
                one(SetAside(Token), failed(NotADirectory)),
                one(Lock, failed(NotADirectory)),
                Becomes(Fine),
                one(Load(Token), text("token")),
                one(Lock, Locked(1)),
            ],
        ),
    ]
}

/// More than a page of a file system, in which a full disk may still have room for a few bytes.
const LONG: &str = match std::str::from_utf8(&[b'x'; 12 * 1024]) {
    Ok(long) => long,
    Err(_) => panic!("it is ASCII"),
};

const LOCKED: Did = Did::Failed(FaultKind::Locked);

fn every_slot() -> Vec<CourseStep> {
    let slots = || Slot::ALL.iter().copied();
    let replaced = slots().map(|slot| one(Replace(slot, slot.file_name()), Replaced));
    let loaded = slots().map(|slot| one(Load(slot), text(slot.file_name())));
    [one(Prepare, Prepared)].into_iter().chain(replaced).chain(loaded).collect()
}

fn appended_slots() -> Vec<CourseStep> {
    let slots = || Slot::ALL.iter().copied();
    let appended = slots().map(|slot| one(Append(slot, slot.file_name(), Sync), Appended));
    let loaded = slots().map(|slot| one(Load(slot), text(slot.file_name())));
    appended.chain(loaded).collect()
}

fn course(name: &'static str, steps: impl Into<Vec<CourseStep>>) -> Course {
    Course { name, steps: steps.into() }
}

fn one(act: StoreAct, did: Did) -> CourseStep {
    CourseStep::StoreAct(One, act, did)
}

fn other(act: StoreAct, did: Did) -> CourseStep {
    CourseStep::StoreAct(Other, act, did)
}

fn text(content: &str) -> Did {
    Loaded(Some(content.to_owned()))
}

fn failed(kind: std::io::ErrorKind) -> Did {
    Did::Failed(FaultKind::Host(kind))
}
