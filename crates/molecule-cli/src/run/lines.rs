//! A program that lives as long as the agent, and reads and writes lines of JSON.
//!
//! Several messages may be with it at once, and it answers them in any order. If it ends, the messages that it had are
//! offered again, and it is started again: at once, and with a growing wait if it ends again soon.

pub(super) mod bounded;

use std::collections::BTreeMap;
use std::time::Duration;

use molecule_async::{Agent, InboundMessage, Reply, Report};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use self::bounded::{Lines as BoundedLines, Piece};
use super::attachments::Incoming;
use super::exits::judge;
use super::program::{Program, Started, not_started};
use super::unhandled::Unhandled;
use super::wire::{self, Said};
use crate::exit::Failure;
use crate::output::Output;

/// The most bytes of a line that the program writes. Beyond it the program is ended: nothing tells where its next line
/// begins to make sense.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// The longest wait before the program is started again.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A program that ran for this long is started again at once.
const LONG: Duration = Duration::from_secs(60);

/// How long a program may take to answer what it has before it is started again.
const RENEWAL: Duration = Duration::from_secs(5 * 60);

/// A time that does not come.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// How long lines are still read that an ended program has written.
const REST: Duration = Duration::from_secs(1);

/// The most warnings about lines that make no sense, of one start of the program.
const MAX_WARNINGS: u32 = 10;

type Answer = oneshot::Sender<Result<Option<Reply>, Unhandled>>;

/// The program, as its agent sees it.
pub(super) struct Lines {
    agent: Agent,
    incoming: Incoming,
    orders: mpsc::UnboundedSender<Order>,
}

enum Order {
    /// Give this line to the program.
    Offer { id: String, line: Vec<u8>, answer: Answer },
    /// Nobody waits for the answer any more.
    Forget(String),
    /// Start the program again, once it has answered what it has.
    Restart,
    /// Send SIGHUP to the program.
    HangUp,
    /// End the program, and say so.
    End(oneshot::Sender<()>),
}

/// Says that nobody waits for an answer any more, when it is dropped.
struct Waiting<'a>(&'a mpsc::UnboundedSender<Order>, String);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let _ = self.0.send(Order::Forget(std::mem::take(&mut self.1)));
    }
}

impl Lines {
    /// Starts the program. One that cannot be started is known before the agent registers.
    pub(super) fn start(agent: Agent, program: Program, incoming: Incoming) -> Result<Self, Failure> {
        let started = program.start(&[]).map_err(|error| not_started(program.name(), &error))?;
        let (orders, ordered) = mpsc::unbounded_channel();
        let keeper = Keeper {
            agent: agent.clone(),
            program,
            orders: ordered,
            waiting: Vec::new(),
            pending: BTreeMap::new(),
            warnings: 0,
            renewal: None,
        };
        tokio::spawn(keeper.keep(started));
        Ok(Self { agent, incoming, orders })
    }

    pub(super) async fn handle(&self, message: InboundMessage) -> Result<Option<Reply>, Unhandled> {
        let files = self.incoming.fetch(&self.agent, &message).await?;
        let id = message.id().to_string();
        let (answer, answered) = oneshot::channel();
        let line = wire::offer(&message, &files);
        let _ = self.orders.send(Order::Offer { id: id.clone(), line, answer });
        let waiting = Waiting(&self.orders, id);
        let handled = answered.await.unwrap_or_else(|_| Err(Unhandled::again("the program is ended")));
        drop(waiting);
        if handled.is_ok() {
            self.incoming.remove(&message);
        }
        handled
    }

    /// Starts the program again, once it has answered the messages that it has.
    pub(super) fn restart(&self) {
        let _ = self.orders.send(Order::Restart);
    }

    /// Sends SIGHUP to the program.
    pub(super) fn hang_up(&self) {
        let _ = self.orders.send(Order::HangUp);
    }

    /// Ends the program.
    pub(super) async fn end(&self) {
        let (end, ended) = oneshot::channel();
        let _ = self.orders.send(Order::End(end));
        let _ = ended.await;
    }
}

/// Keeps the program running.
struct Keeper {
    agent: Agent,
    program: Program,
    orders: mpsc::UnboundedReceiver<Order>,
    /// The messages that came while no program ran.
    waiting: Vec<(String, Vec<u8>, Answer)>,
    /// The messages that the program has.
    pending: BTreeMap<String, Answer>,
    /// How many lines of this start made no sense.
    warnings: u32,
    /// Until when the program may answer what it has, before it is started again.
    renewal: Option<Instant>,
}

/// Why a program is not read any further.
enum Over {
    /// It ended, or has to be ended. That is what is said, and what it means for the messages that it had.
    Program(String, Unhandled),
    /// It is to be started again.
    Renewed,
    /// The agent needs it no more.
    Agent(Option<oneshot::Sender<()>>),
}

impl Keeper {
    async fn keep(mut self, mut started: Started) {
        let mut failures = 0_u32;
        loop {
            let since = Instant::now();
            match self.serve(&mut started).await {
                Over::Agent(end) => return ended(end),
                Over::Renewed => {
                    failures = 0;
                    self.output().note(&format!("[{}] the program is started again", self.program.workspace));
                    self.fail_all(|| Unhandled::again("the program was started again"));
                }
                Over::Program(why, unhandled) => {
                    failures = if since.elapsed() >= LONG { 0 } else { failures.saturating_add(1) };
                    self.output().warning(&format!("[{}] {why}; it is started again", self.program.workspace));
                    self.fail_all(|| unhandled.clone());
                }
            }
            started = loop {
                if let Some(end) = self.wait_until(Instant::now() + wait_after(failures)).await {
                    return ended(end);
                }
                match self.program.start(&[]) {
                    Ok(started) => break started,
                    Err(error) => {
                        failures = failures.saturating_add(1);
                        self.output().warning(&not_started(self.program.name(), &error).to_string());
                    }
                }
            };
        }
    }

    fn output(&self) -> &Output {
        &self.program.output
    }

    fn fail_all(&mut self, why: impl Fn() -> Unhandled) {
        for (_, answer) in std::mem::take(&mut self.pending) {
            let _ = answer.send(Err(why()));
        }
    }

    /// Waits while there is no program. What is offered meanwhile waits for the next one. Returns the order to end, if one
    /// comes.
    async fn wait_until(&mut self, at: Instant) -> Option<Option<oneshot::Sender<()>>> {
        loop {
            tokio::select! {
                () = sleep_until(at) => return None,
                order = self.orders.recv() => match order {
                    Some(Order::Offer { id, line, answer }) => self.waiting.push((id, line, answer)),
                    Some(Order::Forget(id)) => self.waiting.retain(|(waiting, ..)| *waiting != id),
                    // It is started anyway.
                    Some(Order::Restart | Order::HangUp) => {}
                    Some(Order::End(end)) => return Some(Some(end)),
                    None => return Some(None),
                },
            }
        }
    }

    /// Gives messages to the program and takes its answers, until it ends or is to end. The program has ended then.
    async fn serve(&mut self, started: &mut Started) -> Over {
        (self.warnings, self.renewal) = (0, None);
        let (Some(stdin), Some(stdout)) = (started.child.stdin.take(), started.child.stdout.take()) else {
            return broken("the program has no pipes".to_owned());
        };
        let (lines, written) = mpsc::unbounded_channel();
        let writer = tokio::spawn(write(stdin, written));
        for (id, line, answer) in std::mem::take(&mut self.waiting) {
            self.pending.insert(id, answer);
            let _ = lines.send(line);
        }
        let mut said = BoundedLines::new(BufReader::new(stdout), MAX_LINE);
        let over = self.exchange(started, &mut said, &lines).await;
        // This closes its stdin, which is how the program is told to end.
        drop(lines);
        writer.abort();
        match &over {
            Over::Program(..) => started.kill().await,
            Over::Agent(_) | Over::Renewed => {
                // A program that still writes is not to fail at that.
                let read_on = async {
                    while let Ok(Some(piece)) = said.next().await {
                        if let Piece::Line(line) = piece {
                            self.said(&line);
                        }
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    () = started.end() => {}
                    () = read_on => {}
                }
            }
        }
        over
    }

    async fn exchange(
        &mut self,
        started: &mut Started,
        said: &mut BoundedLines<BufReader<ChildStdout>>,
        lines: &mpsc::UnboundedSender<Vec<u8>>,
    ) -> Over {
        loop {
            if self.renewal.is_some() && self.pending.is_empty() {
                return Over::Renewed;
            }
            let renewal = self.renewal.unwrap_or_else(|| Instant::now() + FAR);
            tokio::select! {
                () = sleep_until(renewal), if self.renewal.is_some() => return Over::Renewed,
                order = self.orders.recv() => match order {
                    Some(Order::Offer { id, line, answer }) if self.renewal.is_some() => {
                        self.waiting.push((id, line, answer));
                    }
                    Some(Order::Offer { id, line, answer }) => {
                        self.pending.insert(id, answer);
                        // If it cannot be written the program has ended, which the other arms see.
                        let _ = lines.send(line);
                    }
                    Some(Order::Forget(id)) => {
                        self.pending.remove(&id);
                        self.waiting.retain(|(waiting, ..)| *waiting != id);
                    }
                    Some(Order::Restart) => self.renewal = Some(Instant::now() + RENEWAL),
                    Some(Order::HangUp) => started.hang_up(),
                    Some(Order::End(end)) => return Over::Agent(Some(end)),
                    None => return Over::Agent(None),
                },
                piece = said.next() => match piece {
                    Ok(Some(Piece::Line(line))) => self.said(&line),
                    Ok(Some(Piece::TooLong(_))) => {
                        return broken(format!("the program wrote a line of more than {MAX_LINE} bytes"));
                    }
                    Ok(None) | Err(_) => return closed(started).await,
                },
                ended = started.ended() => {
                    // What it has written before is still in the pipe.
                    while let Ok(Ok(Some(Piece::Line(line)))) = timeout(REST, said.next()).await {
                        self.said(&line);
                    }
                    return match ended {
                        Ok(status) => Over::Program(format!("the program ended: {status}"), judge(status)),
                        Err(error) => broken(format!("the program's end is unknown: {error}")),
                    };
                }
            }
        }
    }

    fn said(&mut self, line: &[u8]) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        match wire::read(line) {
            Ok(Said::Handled(id, reply)) => self.answered(&id, Ok(reply)),
            Ok(Said::Retry(id, wait)) => {
                self.answered(&id, Err(Unhandled::again_after("the program asks for another try", wait)));
            }
            Ok(Said::Notify(text)) => self.notify(text),
            Ok(Said::Progress(text)) => {
                if let Err(error) = self.agent.report(Report::new().current_task(text)) {
                    self.complain(&error.to_string());
                }
            }
            Err(why) => self.complain(&why),
        }
    }

    fn answered(&mut self, id: &str, answer: Result<Option<Reply>, Unhandled>) {
        match self.pending.remove(id) {
            Some(waiting) => drop(waiting.send(answer)),
            None => self.complain("an answer of the program names a message that it does not have"),
        }
    }

    fn notify(&self, text: String) {
        let (agent, output) = (self.agent.clone(), self.output().clone());
        tokio::spawn(async move {
            if let Err(error) = agent.notify(text).await {
                output.warning(&error.to_string());
            }
        });
    }

    /// Warns of something that the program wrote, not more often than anybody reads.
    fn complain(&mut self, why: &str) {
        self.warnings = self.warnings.saturating_add(1);
        match self.warnings {
            ..=MAX_WARNINGS => self.output().warning(&format!("[{}] {why}", self.program.workspace)),
            n if n == MAX_WARNINGS + 1 => {
                self.output().warning(&format!("[{}] more of this is not shown", self.program.workspace));
            }
            _ => {}
        }
    }
}

/// Says that the program has ended.
fn ended(end: Option<oneshot::Sender<()>>) {
    if let Some(end) = end {
        // Whoever waited may be gone.
        let _ = end.send(());
    }
}

/// The program is at fault, and the messages that it had failed with it.
fn broken(why: String) -> Over {
    Over::Program(why.clone(), Unhandled::Failed(why))
}

/// Says why a program's stdout is at its end: it closed it, or it has ended.
async fn closed(started: &mut Started) -> Over {
    match timeout(REST, started.ended()).await {
        Ok(Ok(status)) => Over::Program(format!("the program ended: {status}"), judge(status)),
        _ => broken("the program closed its stdout".to_owned()),
    }
}

/// Writes lines to the program, as fast as it reads them.
async fn write(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(line) = lines.recv().await {
        if stdin.write_all(&line).await.is_err() {
            return;
        }
    }
}

/// The wait before a start, after so many starts in a row that soon ended.
fn wait_after(failures: u32) -> Duration {
    let doubled = |before: u32| Duration::from_secs(1).saturating_mul(1 << before.min(6)).min(MAX_WAIT);
    failures.checked_sub(1).map(doubled).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_before_another_start_doubles_up_to_a_minute() {
        let waits: Vec<_> = (0..=9).map(|failures| wait_after(failures).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
