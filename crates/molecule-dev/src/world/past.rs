//! Reading what happened: the state as of a line, and exchanges.

use std::io;

use molecule_platform::{Answer, Input, Now, Platform, Step, Turn};

use super::{World, check};
use crate::exchange::{Exchange, ExchangeKind, Filter};
use crate::log::{Entry, Reader};

/// How many exchanges are listed unless a filter says otherwise.
const LISTED: usize = 50;

impl World {
    /// Inspects the platform: now, or as it was after a line of the log. Nothing happens on the platform while the
    /// function looks at its state now: it must neither wait nor act.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] for a line that the log does not have, [`io::ErrorKind::NotConnected`] for the state
    /// now after the stop, and the errors of reading the log.
    pub fn read<T>(&self, at: Option<u64>, look: impl FnOnce(&Platform, Now) -> T) -> io::Result<T> {
        let Some(line) = at else { return Ok(self.handle()?.read(look)) };
        let (platform, now) = self.as_of(line)?;
        Ok(look(&platform, now))
    }

    /// The state after a line, and the line's time. Agents are answered while it is replayed.
    fn as_of(&self, line: u64) -> io::Result<(Platform, Now)> {
        let mut reader = self.reader()?;
        check(line, &reader)?;
        let kept = self.book().folded.state(line);
        let (from, mut platform) = kept.unwrap_or_else(|| (1, Platform::new(reader.header.config())));
        // The line of the state is read for its time alone.
        let mut now = Now { mono: molecule_proto::Time::ZERO, unix: reader.header.created };
        reader.each(from..=line, |number, entry| {
            now = entry.at();
            if let Entry::Input(recorded, _) = entry
                && number > from
            {
                let _ = recorded.replay(&mut platform);
            }
            true
        })?;
        if line - from > 100 {
            self.book().folded.keep_state(line, platform.clone());
        }
        Ok((platform, now))
    }

    /// The exchanges that a filter lets pass, newest first, without answers.
    ///
    /// # Errors
    /// The errors of reading the log.
    pub fn exchanges(&self, filter: &Filter) -> io::Result<Vec<Exchange>> {
        let mut reader = self.reader()?;
        let dialect = reader.header.dialect;
        let limit = if filter.limit == 0 { LISTED } else { filter.limit };
        let mut found = Vec::new();
        let last = filter.until.unwrap_or(u64::MAX);
        let floor = filter.floor(self.line());
        reader.each_back(last, |line, entry| {
            if line < floor {
                return false;
            }
            let exchange = Exchange::of(line, entry, dialect).map(|exchange| self.with_later_answer(exchange));
            found.extend(exchange.filter(|exchange| filter.passes(exchange)));
            found.len() < limit
        })?;
        Ok(found)
    }

    fn with_later_answer(&self, mut exchange: Exchange) -> Exchange {
        if exchange.status.is_none()
            && let Some((line, status)) = self.book().folded.answer(exchange.line)
        {
            exchange.answered = Some(line);
            exchange.status = Some(status);
        }
        exchange
    }

    /// The exchange of a line as it was written, without what came of it.
    pub(super) fn plain_exchange(&self, line: u64) -> io::Result<Exchange> {
        let mut reader = self.reader()?;
        let dialect = reader.header.dialect;
        let nothing = || {
            let text = format!("line {line} of the log is no exchange");
            io::Error::new(io::ErrorKind::NotFound, text)
        };
        Exchange::of(line, reader.entry(line)?, dialect).map(|found| self.with_later_answer(found)).ok_or_else(nothing)
    }

    /// The exchange of a line, with its answer.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] for a line that the log does not have or that is no exchange, and the errors of
    /// reading the log.
    pub fn exchange(&self, line: u64) -> io::Result<Exchange> {
        let mut exchange = self.plain_exchange(line)?;
        let mut reader = self.reader()?;
        match &mut exchange.kind {
            // A fault on purpose has answered.
            ExchangeKind::Request { answer: Some(_), .. } => {}
            ExchangeKind::Request { answer, .. } => {
                let (mut platform, _) = self.as_of(line - 1)?;
                let Some((_, step)) = step_of(&mut reader, line, &mut platform)? else { return Ok(exchange) };
                *answer = match step.answer {
                    Some(Answer::Ready(response)) => Some(response),
                    Some(Answer::Stream(_, head)) => {
                        exchange.status = Some(head.status().as_u16());
                        Some(head.map(|()| bytes::Bytes::new()))
                    }
                    Some(Answer::Later(ticket)) => match exchange.answered {
                        Some(answered) => {
                            let (mut platform, _) = self.as_of(answered - 1)?;
                            let step = step_of(&mut reader, answered, &mut platform)?;
                            step.and_then(|(_, step)| {
                                later(step, |turn| match turn {
                                    Turn::Answer(of, response) if of == ticket => Some(response),
                                    _ => None,
                                })
                            })
                        }
                        None => None,
                    },
                    _ => None,
                };
            }
            ExchangeKind::Act { acted, .. } => {
                let (mut platform, _) = self.as_of(line - 1)?;
                *acted = step_of(&mut reader, line, &mut platform)?.and_then(|(_, step)| step.acted);
            }
            ExchangeKind::Call { request, .. } => {
                let Entry::Input(recorded, Some(about)) = reader.entry(line)? else { return Ok(exchange) };
                let (Input::Dispatched { id, .. }, Some(began)) = (recorded.input, about.began) else {
                    return Ok(exchange);
                };
                let (mut platform, _) = self.as_of(began - 1)?;
                *request = step_of(&mut reader, began, &mut platform)?.and_then(|(_, step)| {
                    later(step, |turn| match turn {
                        Turn::Dispatch(of, request) if of == id => Some(request),
                        _ => None,
                    })
                });
            }
            ExchangeKind::Reads { .. } | ExchangeKind::Forward(_) | ExchangeKind::Chaos(_) | ExchangeKind::Started => {}
        }
        Ok(exchange)
    }
}

/// Replays one line.
fn step_of(reader: &mut Reader, line: u64, platform: &mut Platform) -> io::Result<Option<(Now, Step)>> {
    Ok(match reader.entry(line)? {
        Entry::Input(recorded, _) => Some((recorded.at, recorded.replay(platform))),
        Entry::Note(..) => None,
    })
}

/// What one of a step's turns has.
fn later<T>(step: Step, find: impl FnMut(Turn) -> Option<T>) -> Option<T> {
    step.turns.into_iter().find_map(find)
}
