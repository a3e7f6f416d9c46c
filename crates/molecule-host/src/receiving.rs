//! A fetched body on its way to where its machine wants it.

use http::Response;
use molecule_core::effect::{Dest, Fault, Outcome, Staged};
use molecule_core::unpack::Progress;

use crate::host::Host;
use crate::plugins::Unpacking;

/// The body of a fetched answer, which flows to its destination piece by piece. Nothing is left there unless it is finished.
///
/// Every call may wait for the disk.
pub struct Receiving {
    head: Response<()>,
    unpacking: Unpacking,
}

impl Receiving {
    pub(crate) fn start(host: &Host, dest: Dest, head: Response<()>) -> Result<Self, Fault> {
        let Dest::Unpack(name, policy) = dest;
        let mut unpacking = host.stage(&name, &policy)?;
        unpacking.head(head.headers())?;
        Ok(Self { head, unpacking })
    }

    /// Takes the next bytes, and returns how far it is.
    ///
    /// # Errors
    /// As of [`Unpacking::push`].
    pub fn push(&mut self, piece: &[u8]) -> Result<Progress, Fault> {
        self.unpacking.push(piece)?;
        Ok(self.unpacking.progress())
    }

    /// The body has ended.
    ///
    /// # Errors
    /// As of [`Unpacking::finish`].
    pub fn finish(self) -> Result<Outcome, Fault> {
        let (stage, unpacked) = self.unpacking.finish()?;
        Ok(Outcome::Staged(stage, Staged { head: self.head, unpacked }))
    }
}
