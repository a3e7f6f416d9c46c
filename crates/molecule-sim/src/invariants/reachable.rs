//! Invariant: an agent that polls while its server cannot be reached says why, and comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use molecule_core::Event;
use molecule_core::effect::EffectId;
use molecule_proto::{DeliveryMode, Dialect};

use super::messages::is_well;
use super::{Invariant, KnownSecrets, is_dead};
use crate::job::JobKind;
use crate::scenario::ScenarioAction;
use crate::trace::{Sight, Taken, TraceEvent};
use crate::weather::Route;

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct PollsOnlyWhileUnreachable {
    /// The checks under way.
    checks: BTreeSet<(usize, EffectId)>,
    /// By process: what the platform's calls and the checks have shown.
    shown: BTreeMap<usize, Shown>,
    /// Agents that had no budget, or were not allowed to send messages, for a while.
    limited: BTreeSet<usize>,
}

#[derive(Debug, Default)]
struct Shown {
    /// Checks that have failed since one succeeded or the platform called.
    failures: u32,
    /// Whether a check succeeded, or the platform called, since the application was told that it cannot.
    is_reached: bool,
}

/// The longest wait between two checks, and some time for the register and the check.
const ENOUGH: Duration = Duration::from_secs(31 * 60);

impl Invariant for PollsOnlyWhileUnreachable {
    fn name(&self) -> &'static str {
        "polls only while unreachable"
    }

    fn sentence(&self) -> &'static str {
        "an agent whose delivery is Auto says that its server is unreachable after a check that failed alone, and reachable after one \
         that succeeded or a call of the platform, and is pushed to again once the platform reaches it"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        let (agent, process) = (sight.who.agent, sight.who.process);
        let is_auto = |agent: usize| sight.facts.agents[agent].setup.server.as_ref().is_some_and(|server| server.auto);
        if !is_auto(agent) {
            return Ok(());
        }
        match &sight.seen {
            TraceEvent::Asked(ask) if sight.who.kind == JobKind::Run && ask.route == Some(Route::A2a) => {
                let own = &sight.facts.agents[agent].workspace;
                if ask.about.as_ref().is_some_and(|about| about.target.as_ref() == Some(own)) {
                    self.checks.insert((process, ask.id));
                }
            }
            TraceEvent::Landed(landing, _) if self.checks.remove(&(process, landing.id)) => {
                let shown = self.shown.entry(process).or_default();
                match landing.is_reached {
                    true => (shown.failures, shown.is_reached) = (0, true),
                    false => shown.failures += 1,
                }
            }
            TraceEvent::Landed(landing, Taken::Yes) => {
                // A register that names the URL and is refused shows it too.
                let is_register = landing.ask.as_ref().and_then(|ask| ask.route) == Some(Route::Register);
                if is_register && !landing.is_good() {
                    self.shown.entry(process).or_default().failures += 1;
                }
            }
            TraceEvent::Delivered(_) => self.shown.entry(process).or_default().is_reached = true,
            TraceEvent::Told(Event::PushUnreachable { why, .. }) => {
                let shown = self.shown.entry(process).or_default();
                if shown.failures == 0 {
                    return Err(format!("the server is said to be unreachable, and no check has failed: {why}"));
                }
                *shown = Shown::default();
            }
            TraceEvent::Told(Event::PushReachable) => {
                let shown = self.shown.entry(process).or_default();
                if !shown.is_reached {
                    return Err("the server is said to be reachable, and nothing has shown it".to_owned());
                }
                shown.failures = 0;
            }
            TraceEvent::Acted(ScenarioAction::Broke(true) | ScenarioAction::Muted(true)) => {
                self.limited.insert(agent);
            }
            TraceEvent::Settled => {
                let well = &sight.facts.agents[agent];
                let mode = sight.facts.platform.delivery_mode(&well.workspace);
                // April's server knows no delivery mode.
                let is_current = sight.facts.platform.dialect() == Dialect::Current;
                let is_due = is_well(sight, known, well, ENOUGH) && !self.limited.contains(&agent) && is_current;
                if is_due && well.reported_url.is_some() && mode != Some(DeliveryMode::Push) {
                    return Err(format!("the platform reaches the server, and is told to {mode:?}"));
                }
            }
            seen if is_dead(seen) => {
                self.checks.retain(|(of, _)| *of != process);
                self.shown.remove(&process);
            }
            _ => {}
        }
        Ok(())
    }
}
