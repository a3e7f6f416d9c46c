//! The body of a fetched answer, while it is written to its destination.

use http::Response;
use molecule_core::effect::{Dest, Fault, Outcome, Staged};
use molecule_core::unpack::Progress;

use crate::host::Host;
use crate::plugins::Unpacking;

/// The body of a fetched answer, which is written to its destination piece by piece. An unfinished body leaves nothing
/// there.
///
/// Every call may block on the disk.
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

    /// Writes the next bytes, and returns the progress.
    ///
    /// # Errors
    /// The errors of [`Unpacking::push`].
    pub fn push(&mut self, piece: &[u8]) -> Result<Progress, Fault> {
        self.unpacking.push(piece)?;
        Ok(self.unpacking.progress())
    }

    /// Finishes the body after its last byte.
    ///
    /// # Errors
    /// The errors of [`Unpacking::finish`].
    pub fn finish(self) -> Result<Outcome, Fault> {
        let (stage, unpacked) = self.unpacking.finish()?;
        Ok(Outcome::Staged(stage, Staged { head: self.head, unpacked }))
    }
}
