//! Invariant: an agent never registers a paused workspace.

use std::collections::BTreeMap;

use super::{Invariant, KnownSecrets, is_dead};
use crate::job::JobKind;
use crate::trace::{Says, Sight, Taken, TraceEvent, Who};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NeverRegistersWhilePaused {
    /// The workspace's state in the last view that each machine got, since it last registered.
    told: BTreeMap<Who, Says>,
}

impl Invariant for NeverRegistersWhilePaused {
    fn name(&self) -> &'static str {
        "never registers while paused"
    }

    fn sentence(&self) -> &'static str {
        "a register is sent only after the open view said that the workspace is there and not paused"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        match &sight.seen {
            TraceEvent::Landed(landing, Taken::Yes) => {
                if let (Some(ask), Some(says)) = (&landing.ask, landing.says)
                    && (ask.route == Some(Route::View) || (sight.who.kind == JobKind::Run && says == Says::Paused))
                {
                    self.told.insert(sight.who, says);
                }
            }
            TraceEvent::Asked(ask) if ask.route == Some(Route::View) => {
                self.told.remove(&sight.who);
            }
            TraceEvent::Asked(ask) if ask.route == Some(Route::Register) => match self.told.get(&sight.who) {
                Some(Says::Present) => {}
                Some(Says::Paused) => return Err("it registers a paused workspace".to_owned()),
                Some(Says::Gone) => return Err("it registers a workspace that is gone".to_owned()),
                None => return Err("it registers without having looked".to_owned()),
            },
            seen if is_dead(seen) => self.told.retain(|who, _| who.process != sight.who.process),
            _ => {}
        }
        Ok(())
    }
}
