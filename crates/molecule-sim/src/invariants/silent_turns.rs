//! Invariant: what the platform itself asks is answered without a text.

use super::pushed::{is_platform_turn, parts, said};
use super::{Invariant, KnownSecrets};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct PlatformTurnsGetNoText;

impl Invariant for PlatformTurnsGetNoText {
    fn name(&self) -> &'static str {
        "platform turns get no text"
    }

    fn sentence(&self) -> &'static str {
        "a turn that the platform makes is answered with no parts, whatever the handler says, since a text would stand in the user's \
         chat"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let TraceEvent::Reacted(delivery, reaction) = &sight.seen else { return Ok(()) };
        let Some(said) = said(delivery, reaction).filter(|_| is_platform_turn(delivery)) else { return Ok(()) };
        match parts(said).is_empty() {
            true => Ok(()),
            false => Err(format!("message {} is answered {said}", delivery.message)),
        }
    }
}
