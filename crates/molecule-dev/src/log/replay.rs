//! Opening a log: its lines are replayed into the state after the last one.

use std::fmt;
use std::io;
use std::time::Duration;

use molecule_platform::{Input, Now, Platform, Step};

use super::delta::Bases;
use super::reader::Index;
use super::{Entry, Header, Log, Note, Store, line, unreadable};

/// What a log was like when it was opened.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Opened {
    /// The number of lines that were replayed.
    pub lines: u64,
    /// The bytes of a last line without its end, which were cut off.
    pub cut: u64,
    /// The first lines that did not replay as they were recorded. The state is what the model makes of them now.
    pub mismatches: Vec<Mismatch>,
    /// The number of all such lines.
    pub mismatched: u64,
    /// Whether they were already told at an earlier start.
    pub is_known: bool,
}

/// A line that did not replay as it was recorded: the model's version is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The line.
    pub line: u64,
    /// What the line is, such as `POST /registry/heartbeat`.
    pub input: String,
    /// What differs.
    pub difference: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, {}: {}", self.line, self.input, self.difference)
    }
}

/// The most mismatches that are told one by one.
const TOLD: usize = 10;

/// A log and the state after its last line.
pub(crate) struct Replayed {
    pub(crate) log: Log,
    pub(crate) platform: Platform,
    pub(crate) opened: Opened,
    pub(crate) last: Option<Now>,
    /// By how much the clock was moved forward.
    pub(crate) forward: Duration,
}

/// A log as it lies there.
pub(crate) enum Start {
    /// It has no complete header: nothing was ever written, or the first write was cut.
    Empty(Store),
    /// It was replayed.
    Replayed(Box<Replayed>),
}

/// Replays a log. `seen` hears of every entry in order, with what came of an input.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for a line that is complete and not readable: it is never cut.
pub(crate) fn replay(
    mut store: Store,
    mut seen: impl FnMut(u64, &Entry, Option<&Step>, &Platform),
) -> io::Result<Start> {
    let mut source = store.source()?;
    let first = source.line_at(0)?;
    if !first.ends_with(b"\n") {
        store.cut(0)?;
        return Ok(Start::Empty(store));
    }
    let header = Header::read(first.trim_ascii_end()).map_err(|why| unreadable(1, &why))?;
    let mut platform = Platform::new(header.config());
    let (mut bases, mut index) = (Bases::default(), Index::default());
    let (mut opened, mut last, mut forward) = (Opened::default(), None, Duration::ZERO);
    let (mut at, mut told) = (first.len() as u64, 0);
    loop {
        let text = source.line_at(at)?;
        if !text.ends_with(b"\n") {
            opened.cut = text.len() as u64;
            store.cut(at)?;
            break;
        }
        let number = index.last() + 1;
        let raw = line::parse(text.trim_ascii_end()).map_err(|why| unreadable(number, &why))?;
        // A reader from the first line on has every base that the writer had.
        let entry = bases.entry(number, raw, |base| Err(format!("it is like line {base}, which is no base")));
        let entry = entry.map_err(|why| unreadable(number, &why))?;
        last = Some(entry.at());
        match &entry {
            Entry::Input(recorded, _) => {
                let step = recorded.clone().replay(&mut platform);
                let replayed = step.digest();
                if let Some(difference) = recorded.digest.as_ref().and_then(|digest| digest.difference(&replayed)) {
                    opened.mismatched += 1;
                    if opened.mismatches.len() < TOLD {
                        let input = named(&recorded.input);
                        opened.mismatches.push(Mismatch { line: number, input, difference });
                    }
                }
                seen(number, &entry, Some(&step), &platform);
            }
            Entry::Note(_, note) => {
                match note {
                    Note::Started { mismatches, .. } => told = *mismatches,
                    Note::Forward { ms } => forward += Duration::from_millis(*ms),
                    Note::Chaos(_) | Note::Hit { .. } | Note::Reads(_) => {}
                }
                seen(number, &entry, None, &platform);
            }
        }
        index.add(at);
        at += text.len() as u64;
    }
    opened.lines = index.last() - 1;
    opened.is_known = opened.mismatched > 0 && opened.mismatched == told;
    let log = Log { header, store, bases, index };
    Ok(Start::Replayed(Box::new(Replayed { log, platform, opened, last, forward })))
}

/// An input in a few words.
fn named(input: &Input) -> String {
    match input {
        Input::Request { request, .. } => format!("{} {}", request.method(), request.uri().path()),
        Input::DispatchHead { .. } => "the head of an agent's answer".to_owned(),
        Input::Dispatched { outcome: Ok(_), .. } => "an agent's answer".to_owned(),
        Input::Dispatched { outcome: Err(_), .. } => "a failed call to an agent".to_owned(),
        Input::CloseStream { .. } => "the end of an event stream".to_owned(),
        Input::Act(act) => format!("the act {}", act.name()),
        Input::TokenUsed { .. } => "reads that were repeated".to_owned(),
        Input::Wake => "a wake".to_owned(),
        _ => "another input".to_owned(),
    }
}
