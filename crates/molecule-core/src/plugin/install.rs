//! Installing a plugin: everything is verified before anything is replaced.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::iter;
use std::path::PathBuf;

use http::StatusCode;
use molecule_plugin::unpack::SkippedLinks;
use molecule_plugin::{ContentSha256, Receipt, TreeDigest, Verified};
use molecule_proto::{PluginName, header};
use serde::Serialize;

use super::lock::TakeLock;
use super::order::Order;
use super::{Plugin, Setup};
use crate::call::Call;
use crate::effect::plugin::{Displaced, PluginOp, PluginResult, SetupPlan, StageId};
use crate::effect::setup::SetupOutcome;
use crate::effect::{Effect, EffectId, Fault, HostOp, HostResult, LockId, Outcome, Staged};
use crate::endpoint::DownloadPlugin;
use crate::error::{EarlierVersion, Error, ErrorKind, Result};
use crate::event::Event;
use crate::machine::pass;
use crate::machine::{Cx, Machine, Step};

pub(super) const OPERATION: &str = "install plugin";

/// Installs a plugin, or replaces the version that is there.
///
/// In order: the lock is taken and what an interrupted install left is cleared away; the archive is unpacked beside the
/// plugin while it arrives; its manifest, its digests and the caller's pin are verified; only then is it swapped in, as a
/// whole, its receipt written and its `setup.sh` run. A failure before the swap leaves the earlier version as it was.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Install {
    /// `None` where the plugin's options make no sense.
    order: Option<Order>,
    lock: Option<LockId>,
    earlier: EarlierVersion,
    /// Where it is, if it made room and could not be put back.
    earlier_at: Option<PathBuf>,
    /// What was unpacked and found good.
    good: Option<Good>,
    result: Option<Result<Installed>>,
    cancelled: bool,
    events: VecDeque<Event>,
    state: State,
}

/// An installed plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Installed {
    /// Its name.
    pub name: PluginName,
    /// Where it is.
    pub path: PathBuf,
    /// The version that its manifest states.
    pub version: Option<String>,
    /// Where the platform took it from.
    pub source: Option<String>,
    /// How many files it has.
    pub files: u64,
    /// How many bytes these have together.
    pub bytes: u64,
    /// Links in the archive, none of which was made.
    pub skipped_links: SkippedLinks,
    /// The SHA-256 of the tree: what [`Plugin::tree_sha256`] pins.
    pub tree_sha256: TreeDigest,
    /// The content hash as the Python SDK computes it, and whether the manifest declares it.
    pub manifest_sha256: ContentSha256,
    /// Whether an earlier version was replaced.
    pub replaced: bool,
    /// What came of its `setup.sh`.
    pub setup: SetupOutcome,
}

#[derive(Debug)]
struct Good {
    staged: Staged,
    verified: Verified,
    /// What is written of it once it is in its place.
    receipt: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Locking(Box<TakeLock>),
    Fetching(Box<Call<DownloadPlugin>>),
    Ready(Act),
    Acting(EffectId, Act),
    /// The download was given up. The lock is kept until whoever unpacks it has left the plugins directory.
    EndingFetch(EffectId),
    /// The setup script is to be ended; its outcome is waited for.
    EndingSetup(EffectId),
    Done,
}

/// The acts, in the order in which a good install has them; `Discard` stands for those from `Commit` on where it is not, and
/// `Clear` follows it where an earlier version is to be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Sweep,
    Commit(StageId),
    Receipt,
    Setup,
    Clear,
    Discard(StageId),
    Unlock,
}

impl Install {
    /// An install of this plugin.
    pub fn new(plugin: impl Into<Plugin>) -> Self {
        let (order, result, state) = match Order::check(plugin.into()) {
            Ok(order) => {
                let lock = TakeLock::new(OPERATION, order.name.clone(), order.wait);
                (Some(order), None, State::Locking(Box::new(lock)))
            }
            Err(error) => (None, Some(Err(error.during(OPERATION))), State::Ready(Act::Unlock)),
        };
        let (earlier, events) = (EarlierVersion::Unseen, VecDeque::new());
        Self { order, lock: None, earlier, earlier_at: None, good: None, result, cancelled: false, events, state }
    }

    /// Ends with an error, after what must be given back.
    fn fail(&mut self, error: Error) {
        self.result = Some(Err(error.during(OPERATION)));
        self.state = State::Ready(Act::Unlock);
    }

    /// What the result says in the end of the version before.
    fn finish(&mut self) -> Result<Installed> {
        let (earlier, at) = (self.earlier, self.earlier_at.take());
        match self.result.take() {
            Some(result) => result.map_err(|error| error.with_earlier_version(earlier, at)),
            None => Err(Error::cancelled(OPERATION).with_earlier_version(earlier, at)),
        }
    }

    fn order(&self) -> &Order {
        self.order.as_ref().expect("an order stands before the lock is asked for")
    }

    /// What to start for an act; `None` where there is nothing to do.
    fn effect(&mut self, act: Act) -> Option<HostOp> {
        let op = match act {
            Act::Sweep | Act::Clear => PluginOp::Sweep(self.order().name.clone()),
            Act::Commit(stage) => PluginOp::Commit(stage, self.order().durability),
            Act::Receipt => {
                let receipt = self.good.as_mut().map(|good| std::mem::take(&mut good.receipt))?;
                let order = self.order();
                PluginOp::WriteReceipt(order.name.clone(), receipt, order.durability)
            }
            Act::Setup => PluginOp::Setup(self.order().name.clone(), self.setup_plan()?),
            Act::Discard(stage) => PluginOp::Discard(stage),
            Act::Unlock => return self.lock.take().map(HostOp::Unlock),
        };
        Some(HostOp::Plugin(op))
    }

    /// How the script is run, if there is one and it is to be.
    fn setup_plan(&mut self) -> Option<SetupPlan> {
        let order = self.order.as_ref()?;
        let has_setup = self.good.as_ref().is_some_and(|good| good.staged.unpacked.has_setup);
        if !has_setup || order.setup == Setup::Skip || self.cancelled {
            return None;
        }
        self.events.push_back(Event::PluginSetup(order.name.clone()));
        Some(order.setup_plan.clone())
    }
}

/// From the archive to the plugin.
impl Install {
    fn fetch(&mut self) {
        if self.cancelled {
            return self.fail(Error::cancelled(OPERATION));
        }
        self.state = State::Fetching(Box::new(Call::new(self.order().download())));
    }

    fn fetched(&mut self, cx: &Cx<'_>, stage: StageId, staged: Staged) {
        let order = self.order();
        let verified = staged.unpacked.verify(&order.name, order.pin.as_ref());
        let good = verified.and_then(|verified| {
            let receipt = self.receipt(cx, &staged, &verified).write()?;
            Ok(Good { staged, verified, receipt })
        });
        match good {
            Ok(_) if self.cancelled => {
                self.result = Some(Err(Error::cancelled(OPERATION)));
                self.state = State::Ready(Act::Discard(stage));
            }
            Ok(good) => {
                self.good = Some(good);
                self.state = State::Ready(Act::Commit(stage));
            }
            Err(refusal) => {
                self.result = Some(Err(Error::refused_plugin(OPERATION, refusal)));
                self.state = State::Ready(Act::Discard(stage));
            }
        }
    }

    /// What became of a download that was given up.
    fn fetch_ended(&mut self, id: EffectId, outcome: Outcome) {
        self.state = match outcome {
            Outcome::Progress(_) => State::EndingFetch(id),
            Outcome::Staged(stage, _) => State::Ready(Act::Discard(stage)),
            // If the token was being loaded, it is wiped as it is dropped.
            Outcome::Response(_) | Outcome::Host(_) | Outcome::Decoded(_) | Outcome::Failed(_) => {
                State::Ready(Act::Unlock)
            }
        };
    }

    fn receipt(&self, cx: &Cx<'_>, staged: &Staged, verified: &Verified) -> Receipt {
        Receipt::of(&self.order().name, self.source(staged), &staged.unpacked, verified, cx.now.unix)
    }

    /// As the platform resolved it, or as it was asked for.
    fn source(&self, staged: &Staged) -> Option<String> {
        let said = staged.head.headers().get(header::PLUGIN_SOURCE);
        let said = said.and_then(|value| value.to_str().ok()).filter(|value| value.len() <= 1024).map(str::to_owned);
        said.or_else(|| self.order.as_ref().and_then(|order| order.source.clone()))
    }

    fn acted_upon(&mut self, id: EffectId, act: Act, outcome: Outcome) -> Result<(), Outcome> {
        let given = match outcome {
            Outcome::Host(HostResult::Plugin(result)) => {
                self.acted(act, result).map_err(|result| Outcome::Host(HostResult::Plugin(result)))
            }
            // There is no lock any more, and so nothing else to do.
            Outcome::Host(HostResult::Unlocked) if act == Act::Unlock => {
                self.state = State::Ready(Act::Unlock);
                Ok(())
            }
            Outcome::Failed(fault) => {
                self.act_failed(act, fault);
                Ok(())
            }
            other => Err(other),
        };
        if given.is_err() {
            self.state = State::Acting(id, act);
        }
        given
    }

    /// An act succeeded: what comes next.
    fn acted(&mut self, act: Act, result: PluginResult) -> Result<(), PluginResult> {
        match (act, result) {
            (Act::Sweep, PluginResult::Swept(swept)) => {
                self.earlier = if swept.installed { EarlierVersion::Kept } else { EarlierVersion::None };
                self.fetch();
            }
            (Act::Commit(_), PluginResult::Committed(committed)) => {
                self.earlier = EarlierVersion::Replaced;
                self.committed(committed.replaced, committed.path);
                self.state = State::Ready(Act::Receipt);
            }
            (Act::Receipt, PluginResult::ReceiptWritten) => self.state = State::Ready(Act::Setup),
            (Act::Setup, PluginResult::SetUp(outcome)) => self.set_up(outcome),
            (Act::Clear, PluginResult::Swept(swept)) => {
                if self.earlier == EarlierVersion::Displaced && swept.installed {
                    self.earlier = EarlierVersion::Kept;
                    self.earlier_at = None;
                }
                self.state = State::Ready(Act::Unlock);
            }
            (Act::Discard(_), PluginResult::Discarded) => self.discarded(),
            (_, result) => return Err(result),
        }
        Ok(())
    }

    /// Its script was run, or not. Whatever came of it, the plugin stays.
    fn set_up(&mut self, outcome: SetupOutcome) {
        if !outcome.is_good() {
            self.events.push_back(Event::Warning(format!("{}: {outcome}", self.order().name)));
        }
        if let Some(Ok(installed)) = &mut self.result {
            installed.setup = outcome;
        }
        self.state = State::Ready(Act::Clear);
    }

    /// The stage is gone, or stays for the next sweep.
    fn discarded(&mut self) {
        let next = if self.earlier == EarlierVersion::Displaced { Act::Clear } else { Act::Unlock };
        self.state = State::Ready(next);
    }

    fn committed(&mut self, replaced: bool, path: PathBuf) {
        let (Some(good), Some(order)) = (&self.good, &self.order) else { return };
        let source = self.source(&good.staged);
        let unpacked = &good.staged.unpacked;
        self.result = Some(Ok(Installed {
            name: order.name.clone(),
            path,
            version: good.verified.manifest.version.clone(),
            source,
            files: unpacked.files,
            bytes: unpacked.bytes,
            skipped_links: unpacked.skipped_links.clone(),
            tree_sha256: good.verified.tree,
            manifest_sha256: good.verified.content,
            replaced,
            setup: SetupOutcome::NotRun,
        }));
    }

    /// An act failed: what must still be done, and whether the install failed with it.
    fn act_failed(&mut self, act: Act, fault: Fault) {
        let displaced = displaced(&fault);
        let error = Error::from_fault(OPERATION, fault);
        match act {
            Act::Sweep => self.fail(error),
            Act::Commit(stage) => {
                if let Some(at) = displaced {
                    self.earlier = EarlierVersion::Displaced;
                    self.earlier_at = Some(at);
                }
                self.result = Some(Err(error));
                self.state = State::Ready(Act::Discard(stage));
            }
            // The plugin is in its place, but nothing could tell later whether it is whole.
            Act::Receipt => {
                self.result = Some(Err(error));
                self.state = State::Ready(Act::Clear);
            }
            Act::Setup => self.set_up(SetupOutcome::CouldNotRun(error.cause().to_owned())),
            // What is left is cleared away before the next install.
            Act::Clear => {
                self.events.push_back(Event::Warning(error.to_string()));
                self.state = State::Ready(Act::Unlock);
            }
            Act::Discard(_) => {
                if let Some(Err(first)) = self.result.take() {
                    self.result = Some(Err(first.and_also(&error)));
                }
                self.discarded();
            }
            Act::Unlock => self.state = State::Ready(Act::Unlock),
        }
    }

    /// What follows an act for which there is nothing to do.
    fn after_nothing(&mut self, act: Act) {
        self.state = match act {
            Act::Receipt => State::Ready(Act::Setup),
            Act::Setup => State::Ready(Act::Clear),
            Act::Sweep | Act::Commit(_) | Act::Clear | Act::Discard(_) => State::Ready(Act::Unlock),
            Act::Unlock => State::Done,
        };
    }
}

/// The platform knows the route and has no such plugin: `failed to fetch plugin from local` (contract section 15).
fn not_found(error: Error) -> Error {
    let is_fetch = error.server_message().is_some_and(|message| message.starts_with("failed to fetch plugin"));
    if error.status() != Some(StatusCode::NOT_FOUND) || !is_fetch {
        return error;
    }
    error
        .of_kind(ErrorKind::NotFound, "the platform finds no such plugin")
        .remedy("see available_plugins() for what it holds, and check the name and the source")
}

/// Where a commit that failed left the earlier version, if not where it was.
fn displaced(fault: &Fault) -> Option<PathBuf> {
    let first = fault.source.as_deref().map(|source| source as &(dyn StdError + 'static));
    let mut causes = iter::successors(first, |cause| (*cause).source());
    causes.find_map(|cause| cause.downcast_ref()).map(|Displaced(path)| path.clone())
}

impl Machine for Install {
    type Output = Result<Installed>;

    fn operation(&self) -> &'static str {
        OPERATION
    }

    fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Self::Output> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Step::Event(event);
            }
            match std::mem::replace(&mut self.state, State::Done) {
                State::Locking(mut lock) => match lock.poll(cx) {
                    Step::Done(Ok(lock)) => {
                        self.lock = Some(lock);
                        self.state = State::Ready(Act::Sweep);
                    }
                    Step::Done(Err(error)) => self.fail(error),
                    other => {
                        self.state = State::Locking(lock);
                        return pass(other);
                    }
                },
                State::Fetching(mut call) => match call.poll(cx) {
                    Step::Done(Ok((stage, staged))) => self.fetched(cx, stage, staged),
                    Step::Done(Err(error)) => self.fail(not_found(error)),
                    Step::Cancel(id) => {
                        self.result = Some(Err(Error::cancelled(OPERATION)));
                        self.state = State::EndingFetch(id);
                        return Step::Cancel(id);
                    }
                    other => {
                        self.state = State::Fetching(call);
                        return pass(other);
                    }
                },
                State::Ready(act) => match self.effect(act) {
                    Some(op) => {
                        let id = cx.session.next_effect();
                        self.state = State::Acting(id, act);
                        return Step::Start(id, Effect::Host(op));
                    }
                    None if act == Act::Unlock => return Step::Done(self.finish()),
                    None => self.after_nothing(act),
                },
                State::EndingSetup(id) => {
                    self.state = State::Acting(id, Act::Setup);
                    return Step::Cancel(id);
                }
                state @ (State::Acting(..) | State::EndingFetch(_) | State::Done) => {
                    self.state = state;
                    return Step::Idle(None);
                }
            }
        }
    }

    fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Locking(mut lock) => {
                let given = lock.feed(cx, id, outcome);
                self.state = State::Locking(lock);
                given
            }
            State::Fetching(mut call) => {
                let given = call.feed(cx, id, outcome);
                self.state = State::Fetching(call);
                given
            }
            State::EndingFetch(expected) if expected == id => {
                self.fetch_ended(id, outcome);
                Ok(())
            }
            State::EndingSetup(expected) if expected == id => self.acted_upon(id, Act::Setup, outcome),
            State::Acting(expected, act) if expected == id => self.acted_upon(id, act, outcome),
            state => {
                self.state = state;
                Err(outcome)
            }
        }
    }

    fn cancel(&mut self, cx: &mut Cx<'_>) {
        self.cancelled = true;
        match &mut self.state {
            State::Locking(lock) => lock.cancel(cx),
            State::Fetching(call) => call.cancel(cx),
            State::Acting(id, Act::Setup) => self.state = State::EndingSetup(*id),
            // What is under way or due is short, and is finished; the script is not run any more.
            State::Ready(_) | State::Acting(..) | State::EndingFetch(_) | State::EndingSetup(_) | State::Done => {}
        }
    }
}
