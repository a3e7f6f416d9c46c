//! What is known of a log without reading it again: each line is seen once, at a replay or when it is written.

use std::collections::BTreeMap;

use molecule_platform::{Answer, DispatchId, Input, Platform, Step, Ticket, Turn};

use crate::chaos::Chaos;
use crate::graph::{Edge, Graph};
use crate::log::{About, Entry, Note};

/// The number of lines after which a state is kept.
const SPACING: u64 = 1000;
/// The most states that are kept.
const MOST: usize = 12;

/// What is known of a log.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    graph: Graph,
    chaos: Chaos,
    /// The calls in flight, with the line at which each began.
    calls: BTreeMap<DispatchId, (u64, String)>,
    /// The requests whose answer comes later, with their lines.
    waiting: BTreeMap<Ticket, u64>,
    /// The lines and statuses of later answers, by the line of the request.
    answers: BTreeMap<u64, (u64, u16)>,
    /// States as of some lines, from which later ones are replayed.
    states: BTreeMap<u64, Platform>,
}

impl Folded {
    /// Sees a line, with what came of an input.
    pub(crate) fn see(&mut self, line: u64, entry: &Entry, step: Option<&Step>, platform: Option<&Platform>) {
        match (entry, step, platform) {
            (Entry::Input(recorded, _), Some(step), Some(platform)) => {
                self.see_input(line, &recorded.input, step, platform);
            }
            (Entry::Note(_, Note::Chaos(chaos)), _, _) => self.chaos = chaos.clone(),
            _ => {}
        }
    }

    fn see_input(&mut self, line: u64, input: &Input, step: &Step, platform: &Platform) {
        self.graph.count(input, step, platform);
        if let Input::Dispatched { id, .. } = input {
            self.calls.remove(id);
        }
        if let Some(Answer::Later(ticket)) = &step.answer {
            self.waiting.insert(*ticket, line);
        }
        for turn in &step.turns {
            match turn {
                Turn::Dispatch(id, request) => {
                    self.calls.insert(*id, (line, format!("{} {}", request.method(), request.uri())));
                }
                Turn::Cancel(id) => drop(self.calls.remove(id)),
                Turn::Answer(ticket, response) => {
                    if let Some(asked) = self.waiting.remove(ticket) {
                        self.answers.insert(asked, (line, response.status().as_u16()));
                    }
                }
                _ => {}
            }
        }
        if line.is_multiple_of(SPACING) {
            self.keep_state(line, platform.clone());
        }
    }

    /// What people want to know of an input that is about to be written.
    pub(crate) fn about(&self, input: &Input) -> Option<About> {
        match input {
            Input::Dispatched { id, .. } => {
                let (began, call) = self.calls.get(id)?.clone();
                Some(About { call: Some(call), began: Some(began), ..About::default() })
            }
            Input::Request { request, .. } => {
                let chaos = request.extensions().get().copied()?;
                Some(About { chaos: Some(chaos), ..About::default() })
            }
            _ => None,
        }
    }

    pub(crate) fn graph(&self) -> Vec<Edge> {
        self.graph.edges()
    }

    pub(crate) fn chaos(&self) -> &Chaos {
        &self.chaos
    }

    /// The line and the status of a later answer.
    pub(crate) fn answer(&self, line: u64) -> Option<(u64, u16)> {
        self.answers.get(&line).copied()
    }

    /// The newest state that is kept as of a line or before.
    pub(crate) fn state(&self, line: u64) -> Option<(u64, Platform)> {
        self.states.range(..=line).next_back().map(|(line, platform)| (*line, platform.clone()))
    }

    /// Keeps a state. When there are too many, the one goes that is missed least: the gap around it is small against
    /// its age.
    pub(crate) fn keep_state(&mut self, line: u64, platform: Platform) {
        self.states.insert(line, platform);
        if self.states.len() <= MOST {
            return;
        }
        let lines: Vec<u64> = self.states.keys().copied().collect();
        let newest = lines.last().copied().unwrap_or_default();
        let gaps = lines.iter().enumerate().take(lines.len() - 1).map(|(place, line)| {
            let before = if place == 0 { 1 } else { lines[place - 1] };
            let gap = (lines[place + 1] - before) as f64 / (newest + 1 - line) as f64;
            (gap, *line)
        });
        if let Some((_, line)) = gaps.min_by(|one, other| one.0.total_cmp(&other.0)) {
            self.states.remove(&line);
        }
    }
}
