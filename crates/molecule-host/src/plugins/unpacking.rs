//! The unpacking of an archive into a stage.

use std::io;

use http::HeaderMap;
use molecule_core::effect::plugin::StageId;
use molecule_core::effect::{Fault, FaultKind, Sent};
use molecule_core::plugin::Refusal;
use molecule_core::proto::PluginName;
use molecule_core::unpack::{Progress, UnpackError, UnpackPolicy, Unpacked, Unpacker};

use super::Plugins;
use super::stage::Stage;
use super::staging::Staging;
use crate::store::StoreError;

/// A plugin's archive, which is unpacked into a staging directory while it arrives. The directory is removed after the
/// first error, and when this is dropped before it is finished.
///
/// Every call may block on the disk.
pub struct Unpacking {
    plugins: Plugins,
    state: Result<Good, Failed>,
}

/// The state before an error.
struct Good {
    // The fields are dropped in this order: an open file in a stage can prevent the stage's removal.
    unpacker: Unpacker<Staging>,
    stage: Stage,
}

/// The first error, which every later call returns.
struct Failed {
    failure: Failure,
    progress: Progress,
}

enum Failure {
    Refused(Refusal),
    Host(io::ErrorKind, String),
}

impl Unpacking {
    pub(super) fn start(plugins: &Plugins, plugin: &PluginName, policy: &UnpackPolicy) -> Result<Self, StoreError> {
        let (stage, root) = Stage::make(plugins.place(), plugin)?;
        let unpacker = Unpacker::new(Staging::new(root), policy);
        Ok(Self { plugins: plugins.clone(), state: Ok(Good { unpacker, stage }) })
    }

    /// Checks the headers of the answer with the archive.
    ///
    /// # Errors
    /// A fault of the kind `Archive` if they announce an archive that cannot be accepted.
    pub fn head(&mut self, headers: &HeaderMap) -> Result<(), Fault> {
        self.advance(|unpacker| unpacker.head(headers))
    }

    /// Unpacks the next bytes of the archive.
    ///
    /// # Errors
    /// A fault of the kind `Archive` whose source is the [`Refusal`], or of the kind `Host` if the disk failed. Every
    /// later call returns the same fault. If the stage could not be removed then, the fault says so too.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), Fault> {
        self.advance(|unpacker| unpacker.push(piece))
    }

    /// The progress so far.
    pub fn progress(&self) -> Progress {
        match &self.state {
            Ok(good) => good.unpacker.progress(),
            Err(failed) => failed.progress,
        }
    }

    /// Finishes the archive after its last byte. A complete archive becomes a stage until it is committed or discarded.
    ///
    /// # Errors
    /// The errors of [`push`](Self::push).
    pub fn finish(self) -> Result<(StageId, Unpacked), Fault> {
        let Good { unpacker, stage } = self.state.map_err(|failed| failed.failure.fault())?;
        match unpacker.finish() {
            Ok((unpacked, staging)) => {
                drop(staging);
                Ok((self.plugins.keep_stage(stage), unpacked))
            }
            Err((error, staging)) => {
                drop(staging);
                let mut failure = Failure::of(error, &stage);
                failure.remove(stage);
                Err(failure.fault())
            }
        }
    }

    fn advance(&mut self, act: impl FnOnce(&mut Unpacker<Staging>) -> Result<(), UnpackError>) -> Result<(), Fault> {
        let failed = match &mut self.state {
            Err(failed) => return Err(failed.failure.fault()),
            Ok(good) => match act(&mut good.unpacker) {
                Ok(()) => return Ok(()),
                Err(error) => Failed { failure: Failure::of(error, &good.stage), progress: good.unpacker.progress() },
            },
        };
        let good = std::mem::replace(&mut self.state, Err(failed));
        if let (Ok(Good { unpacker, stage }), Err(failed)) = (good, &mut self.state) {
            drop(unpacker);
            failed.failure.remove(stage);
        }
        // The state has the failure now, so that this returns it.
        self.push(&[])
    }
}

impl Failure {
    fn of(error: UnpackError, stage: &Stage) -> Self {
        match error {
            UnpackError::Refused(refusal) => Self::Refused(refusal),
            UnpackError::Sink { entry, error } => {
                let what = entry.map_or_else(|| "the archive".to_owned(), |entry| entry.to_string());
                let place = stage.path();
                let help = place.remedy(error.kind());
                let sentence = format!("{what} cannot be written in {}: {error}; {help}", place.display());
                Self::Host(error.kind(), sentence)
            }
            other => Self::Host(io::ErrorKind::Other, other.to_string()),
        }
    }

    /// Removes the stage, and adds the error to the failure if that fails.
    fn remove(&mut self, stage: Stage) {
        if let Err(left) = stage.remove() {
            match self {
                Self::Refused(refusal) => refusal.add(&left),
                Self::Host(_, sentence) => *sentence = format!("{sentence}; and then {left}"),
            }
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Refused(refusal) => Fault::with_source(Sent::Maybe, FaultKind::Archive, refusal.clone()),
            Self::Host(kind, sentence) => {
                let error = StoreError::new(*kind, sentence.clone());
                Fault::with_source(Sent::Maybe, FaultKind::Host(*kind), error)
            }
        }
    }
}
