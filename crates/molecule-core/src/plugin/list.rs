//! What is installed.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use molecule_plugin::{Receipt, TreeDigest};
use molecule_proto::{PluginName, UnixTime};
use serde::Serialize;

use super::lock::TakeLock;
use crate::effect::plugin::{Found, Listed, PluginOp, PluginResult};
use crate::effect::{Effect, EffectId, HostOp, HostResult, LockId, Outcome};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step};
use crate::printable::line;

const OPERATION: &str = "list plugins";

/// An installed plugin, as its receipt tells; all but its name and place are unknown where there is no good one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct InstalledPlugin {
    /// Its name.
    pub name: PluginName,
    /// Where it is.
    pub path: PathBuf,
    /// The version that its manifest stated.
    pub version: Option<String>,
    /// Where the platform took it from.
    pub source: Option<String>,
    /// The SHA-256 of its tree when it was installed.
    pub tree_sha256: Option<TreeDigest>,
    /// When it was installed.
    pub installed_at: Option<UnixTime>,
    /// What became of the receipt itself.
    pub receipt: ReceiptState,
}

/// What there is of a plugin's receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptState {
    /// It is there and makes sense.
    Good,
    /// There is none: somebody else put the plugin there, or its install was interrupted.
    Missing,
    /// It cannot be read, or makes no sense; a [`Warning`](Event::Warning) said why.
    Unreadable,
}

impl InstalledPlugin {
    /// What is known of a plugin that was found, and what is wrong with its receipt, in a sentence.
    fn of(found: Found) -> (Self, Option<String>) {
        let name = &found.name;
        let (receipt, state, wrong) = match found.receipt {
            Ok(Some(bytes)) => match Receipt::read(name, &bytes) {
                Some(receipt) => (Some(receipt), ReceiptState::Good, None),
                None => {
                    (None, ReceiptState::Unreadable, Some("it makes no sense; install the plugin again".to_owned()))
                }
            },
            Ok(None) => (None, ReceiptState::Missing, None),
            Err(why) => (None, ReceiptState::Unreadable, Some(why)),
        };
        let wrong =
            wrong.map(|why| format!("nothing is known of the plugin {name} but its place, for its receipt: {why}"));
        let (receipt, tree) = receipt.unzip();
        // An earlier release, or somebody else, may have written it.
        let shown = |text: fn(&Receipt) -> Option<&str>| receipt.as_ref().and_then(text).map(line);
        let (version, source) = (shown(Receipt::version), shown(Receipt::source));
        let installed_at = receipt.as_ref().map(Receipt::installed_at);
        let plugin = Self {
            name: found.name,
            path: found.path,
            version,
            source,
            tree_sha256: tree.map(|tree| tree.digest()),
            installed_at,
            receipt: state,
        };
        (plugin, wrong)
    }
}

/// Looks at what is installed, sorted by name. What interrupted installs left is cleared away first, unless an install of the
/// same plugin is under way. A receipt that cannot be read is a [`Warning`](Event::Warning), and hides no plugin.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct ListPlugins {
    /// Plugins that are still to be tidied.
    left: Vec<PluginName>,
    tidied: bool,
    cancelled: bool,
    events: VecDeque<Event>,
    state: State,
}

#[derive(Debug)]
enum State {
    Ready,
    Listing(EffectId),
    Locking(Box<TakeLock>, PluginName),
    Sweep(PluginName, LockId),
    Sweeping(EffectId, LockId),
    Unlock(LockId),
    Unlocking(EffectId),
    Next,
    Finished(Result<Vec<InstalledPlugin>>),
    Done,
}

impl ListPlugins {
    /// A look.
    pub fn new() -> Self {
        Self { left: Vec::new(), tidied: false, cancelled: false, events: VecDeque::new(), state: State::Ready }
    }

    fn listed(&mut self, listed: Listed) {
        if listed.left.is_empty() || self.tidied {
            let (plugins, wrong): (_, Vec<_>) = listed.found.into_iter().map(InstalledPlugin::of).unzip();
            self.events.extend(wrong.into_iter().flatten().map(Event::Warning));
            self.state = State::Finished(Ok(plugins));
        } else {
            self.tidied = true;
            self.left = listed.left;
            self.state = State::Next;
        }
    }

    fn next(&mut self) {
        self.state = match self.left.pop() {
            _ if self.cancelled => State::Finished(Err(Error::cancelled(OPERATION))),
            Some(name) => State::Locking(Box::new(TakeLock::new(OPERATION, name.clone(), Duration::ZERO)), name),
            None => State::Ready,
        };
    }

    fn start(&mut self, cx: &mut Cx<'_>, op: HostOp, state: fn(EffectId) -> State) -> Step<<Self as Machine>::Output> {
        let id = cx.session.next_effect();
        self.state = state(id);
        Step::Start(id, Effect::Host(op))
    }
}

impl Default for ListPlugins {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine for ListPlugins {
    type Output = Result<Vec<InstalledPlugin>>;

    fn operation(&self) -> &'static str {
        OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match std::mem::replace(&mut self.state, State::Done) {
                State::Ready => return self.start(cx, HostOp::Plugin(PluginOp::List), State::Listing),
                State::Next => self.next(),
                State::Locking(mut lock, name) => match lock.poll(cx) {
                    Step::Done(Ok(lock)) => self.state = State::Sweep(name, lock),
                    // Somebody else is at it, or it cannot be had: the list goes without.
                    Step::Done(Err(_)) => self.state = State::Next,
                    other => {
                        self.state = State::Locking(lock, name);
                        return pass(other);
                    }
                },
                State::Sweep(name, lock) => {
                    let id = cx.session.next_effect();
                    self.state = State::Sweeping(id, lock);
                    return Step::Start(id, Effect::Host(HostOp::Plugin(PluginOp::Sweep(name))));
                }
                State::Unlock(lock) => return self.start(cx, HostOp::Unlock(lock), State::Unlocking),
                State::Finished(result) => return Step::Done(result),
                state @ (State::Listing(_) | State::Sweeping(..) | State::Unlocking(_) | State::Done) => {
                    self.state = state;
                    return Step::Idle(None);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match (std::mem::replace(&mut self.state, State::Done), outcome) {
            (State::Listing(expected), Outcome::Host(HostResult::Plugin(PluginResult::Listed(listed))))
                if expected == id =>
            {
                self.listed(listed);
            }
            (State::Listing(expected), Outcome::Failed(fault)) if expected == id => {
                self.state = State::Finished(Err(Error::from_fault(OPERATION, fault)));
            }
            (State::Locking(mut lock, name), outcome) => {
                let given = lock.feed(cx, id, outcome);
                self.state = State::Locking(lock, name);
                return given;
            }
            // What could not be cleared away is left for the next install, which says why.
            (
                State::Sweeping(expected, lock),
                Outcome::Host(HostResult::Plugin(PluginResult::Swept(_))) | Outcome::Failed(_),
            ) if expected == id => self.state = State::Unlock(lock),
            (State::Unlocking(expected), Outcome::Host(HostResult::Unlocked) | Outcome::Failed(_))
                if expected == id =>
            {
                self.state = State::Next;
            }
            (state, outcome) => {
                self.state = state;
                return Err(outcome);
            }
        }
        Ok(())
    }

    /// A look is short; what is under way is finished, and no lock is kept.
    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.cancelled = true;
        if let State::Locking(lock, _) = &mut self.state {
            lock.cancel(cx);
        }
    }
}
