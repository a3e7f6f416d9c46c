//! The body of a fetched answer, while it is written to its destination.

use http::Response;
use http::header::CONTENT_LENGTH;
use molecule_core::effect::{Dest, Fault, FileDest, Outcome, Saved, Staged};
use molecule_core::unpack::Progress;

use crate::file::Saving;
use crate::host::Host;
use crate::plugins::Unpacking;

/// The body of a fetched answer, which is written to its destination piece by piece. An unfinished body leaves nothing
/// there.
///
/// Every call may block on the disk.
pub struct Receiving {
    head: Response<()>,
    to: To,
}

enum To {
    Stage(Unpacking),
    File(Saving, FileDest),
}

impl Receiving {
    pub(crate) fn start(host: &Host, dest: Dest, head: Response<()>) -> Result<Self, Fault> {
        let to = match dest {
            Dest::Unpack(name, policy) => {
                let mut unpacking = host.stage(&name, &policy)?;
                unpacking.head(head.headers())?;
                To::Stage(unpacking)
            }
            Dest::File(dest) => {
                FileDest::admits(head.headers())?;
                if stated_length(&head).is_some_and(|length| length > dest.max_bytes) {
                    return Err(Fault::too_large(head));
                }
                To::File(Saving::start(&dest)?, dest)
            }
        };
        Ok(Self { head, to })
    }

    /// Writes the next bytes, and returns the progress.
    ///
    /// # Errors
    /// The errors of [`Unpacking::push`]; for a file `Host` if the disk failed, and `TooLarge`.
    pub fn push(&mut self, piece: &[u8]) -> Result<Progress, Fault> {
        match &mut self.to {
            To::Stage(unpacking) => {
                unpacking.push(piece)?;
                Ok(unpacking.progress())
            }
            To::File(saving, dest) => {
                if saving.bytes() + piece.len() as u64 > dest.max_bytes {
                    return Err(Fault::too_large(self.head.clone()));
                }
                saving.write(piece)?;
                let mut progress = Progress::default();
                progress.received = saving.bytes();
                Ok(progress)
            }
        }
    }

    /// Finishes the body after its last byte.
    ///
    /// # Errors
    /// The errors of [`Unpacking::finish`]; for a file `Host` if the disk failed, or the file exists.
    pub fn finish(self) -> Result<Outcome, Fault> {
        match self.to {
            To::Stage(unpacking) => {
                let (stage, unpacked) = unpacking.finish()?;
                Ok(Outcome::Staged(stage, Staged { head: self.head, unpacked }))
            }
            To::File(saving, dest) => {
                let (bytes, path) = (saving.bytes(), saving.finish()?);
                Ok(Outcome::Saved(Saved { head: self.head, path, bytes, may_have_replaced: dest.replace }))
            }
        }
    }
}

fn stated_length(head: &Response<()>) -> Option<u64> {
    head.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
