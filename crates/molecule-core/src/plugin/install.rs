//! The install of a plugin: everything is verified before anything is replaced.

use std::error::Error as StdError;
use std::iter;
use std::path::PathBuf;

use http::StatusCode;
use molecule_plugin::unpack::SkippedLinks;
use molecule_plugin::{ContentSha256, Receipt, TreeDigest, Verified};
use molecule_proto::{PluginName, header};
use serde::Serialize;

use super::lock::take_lock;
use super::order::Order;
use super::{Plugin, Setup, acts};
use crate::call::Call;
use crate::effect::plugin::{Committed, Displaced, StageId};
use crate::effect::setup::SetupOutcome;
use crate::effect::{Fault, Outcome, Staged};
use crate::error::{EarlierVersion, Error, ErrorKind, Result};
use crate::event::Event;
use crate::flow::{Flow, Line, machine_of_flow};

const OPERATION: &str = "install plugin";

/// Installs a plugin, or replaces the installed version.
///
/// The steps, in order:
///
/// 1. Take the plugin's lock, and remove what an interrupted install left.
/// 2. Unpack the archive beside the plugin while it is received.
/// 3. Verify the manifest, the digests and the caller's pin.
/// 4. Swap the plugin in atomically, write its receipt and run its `setup.sh`.
///
/// A failure before the swap leaves the earlier version as it was.
///
/// After a cancel, the operation in flight is finished; a download and a script are told to end.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Install(Flow<Result<Installed>>);

/// An installed plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Installed {
    /// The plugin's name.
    pub name: PluginName,
    /// The plugin's directory.
    pub path: PathBuf,
    /// The version that its manifest states.
    pub version: Option<String>,
    /// The source from which the platform fetched the plugin.
    pub source: Option<String>,
    /// The number of its files.
    pub files: u64,
    /// The size of its files together, in bytes.
    pub bytes: u64,
    /// The links in the archive, none of which was made.
    pub skipped_links: SkippedLinks,
    /// The SHA-256 of the tree, which [`Plugin::tree_sha256`] pins.
    pub tree_sha256: TreeDigest,
    /// The content hash of the Python SDK, and whether the manifest declares it.
    pub manifest_sha256: ContentSha256,
    /// Whether an earlier version was replaced.
    pub replaced: bool,
    /// The outcome of its `setup.sh`.
    pub setup: SetupOutcome,
}

impl Install {
    /// Makes an install of this plugin.
    pub fn new(plugin: impl Into<Plugin>) -> Self {
        let order = Order::check(plugin.into());
        Self(Flow::new(OPERATION, |line| async move {
            match order {
                Ok(order) => Sequence::new(line, order).run().await,
                Err(error) => Err(error.during(OPERATION).with_earlier_version(EarlierVersion::Unseen, None)),
            }
        }))
    }
}

machine_of_flow!(Install, Result<Installed>);

/// The steps of an install.
struct Sequence {
    line: Line,
    order: Order,
    earlier: EarlierVersion,
    /// Where the earlier version is, if it was moved and could not be put back.
    earlier_at: Option<PathBuf>,
}

impl Sequence {
    fn new(line: Line, order: Order) -> Self {
        Self { line, order, earlier: EarlierVersion::Unseen, earlier_at: None }
    }

    async fn run(mut self) -> Result<Installed> {
        let end = self.install().await;
        end.map_err(|error| error.during(OPERATION).with_earlier_version(self.earlier, self.earlier_at))
    }

    async fn install(&mut self) -> Result<Installed> {
        let _lock = take_lock(&self.line, &self.order.name, self.order.wait).await?;
        let swept = acts::sweep(&self.line, &self.order.name).await?;
        self.earlier = if swept.installed { EarlierVersion::Kept } else { EarlierVersion::None };
        let (stage, staged) = self.fetch().await?;
        let (verified, receipt) = match self.verify(&staged) {
            Ok(good) => good,
            Err(error) => return Err(self.discard(stage, error).await),
        };
        let committed = self.commit(stage).await?;
        // Without its receipt the plugin works, but nobody could verify it later.
        let setup = match acts::write_receipt(&self.line, &self.order, receipt).await {
            Ok(()) => Ok(self.set_up(&staged).await),
            Err(error) => Err(error),
        };
        self.clear().await;
        Ok(self.installed(staged, verified, committed, setup?))
    }

    /// Downloads the archive. If the caller cancels meanwhile, the lock is held until the driver no longer writes into
    /// the plugins directory.
    async fn fetch(&self) -> Result<(StageId, Staged)> {
        self.line.check()?;
        let call = Call::new(self.order.download());
        match self.line.run_to_the_last_outcome("download", call).await {
            Ok(end) => end.map_err(not_found),
            Err(Outcome::Staged(stage, _)) => Err(self.discard(stage, Error::cancelled(OPERATION)).await),
            // A token that was being loaded is wiped when it is dropped.
            Err(_) => Err(Error::cancelled(OPERATION)),
        }
    }

    /// Verifies a staged tree. Returns its digests and its receipt.
    fn verify(&self, staged: &Staged) -> Result<(Verified, Vec<u8>)> {
        let Order { name, pin, .. } = &self.order;
        let refused = |refusal| Error::refused_plugin(OPERATION, refusal);
        let verified = staged.unpacked.verify(name, pin.as_ref()).map_err(refused)?;
        let now = self.line.with(|cx| cx.now.unix);
        let receipt = Receipt::of(name, self.source(staged), &staged.unpacked, &verified, now);
        let receipt = receipt.write().map_err(refused)?;
        self.line.check()?;
        Ok((verified, receipt))
    }

    /// Returns the source as the platform resolved it, or else as it was asked for.
    fn source(&self, staged: &Staged) -> Option<String> {
        let said = staged.head.headers().get(header::PLUGIN_SOURCE);
        let said = said.and_then(|value| value.to_str().ok()).filter(|value| value.len() <= 1024).map(str::to_owned);
        said.or_else(|| self.order.source.clone())
    }

    /// Swaps the staging directory in.
    async fn commit(&mut self, stage: StageId) -> Result<Committed> {
        let fault = match acts::commit(&self.line, stage, self.order.durability).await {
            Ok(committed) => {
                self.earlier = EarlierVersion::Replaced;
                return Ok(committed);
            }
            Err(fault) => fault,
        };
        let displaced = displaced(&fault);
        let error = self.discard(stage, Error::from_fault(OPERATION, fault)).await;
        if displaced.is_some() {
            (self.earlier, self.earlier_at) = (EarlierVersion::Displaced, displaced);
            self.clear().await;
        }
        Err(error)
    }

    /// Removes the staging directory, or leaves it for the next sweep. Returns the error; if the directory stays, it
    /// says why.
    async fn discard(&self, stage: StageId, error: Error) -> Error {
        match acts::discard(&self.line, stage).await {
            Ok(()) => error,
            Err(also) => error.and_also(&also),
        }
    }

    /// Runs the script, if there is one and it is to be run. The plugin stays installed in every case.
    async fn set_up(&self, staged: &Staged) -> SetupOutcome {
        let Order { name, setup, setup_plan, .. } = &self.order;
        if !staged.unpacked.has_setup || *setup == Setup::Skip {
            return SetupOutcome::NotRun;
        }
        let outcome = match acts::set_up(&self.line, name, setup_plan, Event::PluginSetup(name.clone())).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => SetupOutcome::CouldNotRun(error.cause().to_owned()),
            Err(_cancelled) => SetupOutcome::NotRun,
        };
        if !outcome.is_good() {
            self.line.tell(Event::Warning(format!("{name}: {outcome}")));
        }
        outcome
    }

    /// Removes the earlier version, or puts it back in its place if it was moved.
    async fn clear(&mut self) {
        match acts::sweep(&self.line, &self.order.name).await {
            Ok(swept) if self.earlier == EarlierVersion::Displaced && swept.installed => {
                (self.earlier, self.earlier_at) = (EarlierVersion::Kept, None);
            }
            Ok(_) => {}
            // The next install removes what is left.
            Err(error) => self.line.tell(Event::Warning(error.to_string())),
        }
    }

    fn installed(&self, staged: Staged, verified: Verified, committed: Committed, setup: SetupOutcome) -> Installed {
        let source = self.source(&staged);
        let Committed { replaced, path } = committed;
        Installed {
            name: self.order.name.clone(),
            path,
            version: verified.manifest.version,
            source,
            files: staged.unpacked.files,
            bytes: staged.unpacked.bytes,
            skipped_links: staged.unpacked.skipped_links,
            tree_sha256: verified.tree,
            manifest_sha256: verified.content,
            replaced,
            setup,
        }
    }
}

/// Returns the error of a plugin that the platform does not have, although it has the route: `failed to fetch plugin
/// from local` (contract section 15).
fn not_found(error: Error) -> Error {
    let is_fetch = error.server_message().is_some_and(|message| message.starts_with("failed to fetch plugin"));
    if error.status() != Some(StatusCode::NOT_FOUND) || !is_fetch {
        return error;
    }
    error
        .of_kind(ErrorKind::NotFound, "the platform finds no such plugin")
        .remedy("see available_plugins() for what it holds, and check the name and the source")
}

/// Returns where a failed commit left the earlier version, if not in its place.
fn displaced(fault: &Fault) -> Option<PathBuf> {
    let first = fault.source.as_deref().map(|source| source as &(dyn StdError + 'static));
    let mut causes = iter::successors(first, |cause| (*cause).source());
    causes.find_map(|cause| cause.downcast_ref()).map(|Displaced(path)| path.clone())
}
