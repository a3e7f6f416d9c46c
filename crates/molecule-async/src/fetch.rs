//! Streams the body of an answer to its destination, with constant memory.
//!
//! Pieces go over a bounded channel to a thread for blocking work, which unpacks and writes them. The thread finishes only when it is
//! told that the body has ended. If the request is given up or the answer is cut, the channel is dropped, and with it what was
//! unpacked.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use molecule_core::effect::{Dest, Fault, FaultKind, Limits, Outcome, Phase, Sent};
use molecule_core::unpack::Progress;
use molecule_host::{Host, Receiving};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedSender, channel, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::host_work::HostWork;
use crate::http::{Answer, Asked, Client};

/// The most pieces in the channel, of 64 KiB each at most: they bound the memory that a slow disk costs.
const AHEAD: usize = 4;

/// The time past the limit of the whole in which the thread may write what it has, or remove what it wrote.
const LEAVE: Duration = Duration::from_secs(5);

impl Client {
    /// Streams the body of an answer to its destination. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub async fn fetch(
        &self,
        host: &Host,
        request: Request<Bytes>,
        limits: Limits,
        dest: Dest,
    ) -> Result<Outcome, Fault> {
        let (progress, _heard) = unbounded_channel();
        fetch(self.clone(), host.clone(), (request, limits, dest), progress).await
    }
}

/// Sends the request and streams the body of a 200 to its destination. A body that is cut short leaves nothing there.
///
/// A fetch is given up when the receiver of its progress is dropped. It ends once its thread has left the destination, so that the
/// next owner of the destination's lock finds nobody at work there. The one exception is a stuck disk: [`LEAVE`] past the limit of the
/// whole, the thread is left to itself. It removes what it wrote when the disk lets it, unless a sweep has done so before. (The
/// blocking driver unpacks on its caller's thread, which no limit can call back from a stuck disk.)
pub(crate) async fn fetch(
    client: Client,
    host: Host,
    (request, limits, dest): (Request<Bytes>, Limits, Dest),
    progress: UnboundedSender<Progress>,
) -> Result<Outcome, Fault> {
    let end = Instant::now() + limits.total;
    let heard = progress.clone();
    let mut asked = Asked::new(request, limits);
    let mut answer = before(heard.closed(), client.open(&mut asked)).await.ok_or_else(given_up)??;
    if answer.head().status() != StatusCode::OK {
        let body = before(heard.closed(), answer.whole()).await.ok_or_else(given_up)??;
        return Ok(Outcome::Response(answer.give_back().map(|()| body)));
    }
    let (sender, pieces) = channel(AHEAD);
    let (finish, finished) = oneshot::channel();
    let writer = Writer { dest, head: answer.head().clone(), progress };
    let unpacked = HostWork::begin(&host, move |host, _| writer.run(host, pieces, finished));
    let flown = before(heard.closed(), flow(&mut answer, &sender, end)).await.unwrap_or_else(|| Err(given_up()));
    drop(sender);
    match flown {
        Ok(Flow::Whole) => {
            answer.give_back();
            let _ = finish.send(());
        }
        // The thread waits no longer for the end of the body.
        Ok(Flow::Refused) | Err(_) => drop((answer, finish)),
    }
    // The thread has removed what it wrote before the fault is told. Its own refusal, if it had one, is the fault.
    let outcome = timeout_at(end + LEAVE, unpacked).await;
    match (flown, outcome) {
        (Ok(_), outcome) => outcome.map_err(|_| stuck()),
        (Err(_), Ok(Outcome::Failed(refused))) if refused.kind != FaultKind::Cancelled => Err(refused),
        (Err(fault), _) => Err(fault),
    }
}

/// How a flow of pieces ended.
enum Flow {
    /// All pieces were taken.
    Whole,
    /// The thread takes no more.
    Refused,
}

/// Sends the pieces to the thread, until this moment at the latest.
async fn flow(answer: &mut Answer<'_>, sender: &Sender<Bytes>, end: Instant) -> Result<Flow, Fault> {
    loop {
        // The thread closes the channel when it has failed, which may be at the head; then no piece is waited for.
        let Some(piece) = before(sender.closed(), answer.piece()).await else { return Ok(Flow::Refused) };
        let Some(piece) = piece? else { return Ok(Flow::Whole) };
        match sender.try_send(piece) {
            Ok(()) => {}
            Err(TrySendError::Closed(_)) => return Ok(Flow::Refused),
            Err(TrySendError::Full(piece)) => match timeout_at(end, sender.send(piece)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ok(Flow::Refused),
                Err(_) => return Err(stuck()),
            },
        }
    }
}

/// The fault of a disk that has not taken the pieces by the limit of the whole.
fn stuck() -> Fault {
    Fault::new(Sent::Maybe, FaultKind::Timeout(Phase::Total))
}

fn given_up() -> Fault {
    Fault::new(Sent::Maybe, FaultKind::Cancelled)
}

/// The result of the work, unless `end` comes before it.
async fn before<T>(end: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    let (mut end, mut work) = (pin!(end), pin!(work));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => end.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Writes the pieces, on a thread of its own.
struct Writer {
    dest: Dest,
    head: Response<()>,
    progress: UnboundedSender<Progress>,
}

impl Writer {
    fn run(self, host: &Host, pieces: Receiver<Bytes>, ended: oneshot::Receiver<()>) -> Outcome {
        let received = self.receive(host, pieces).and_then(|receiving| {
            // Without the word the answer was cut, or nobody waits. What was unpacked is removed as it is dropped.
            ended.blocking_recv().map_err(|_| given_up())?;
            receiving.finish()
        });
        received.unwrap_or_else(Outcome::Failed)
    }

    fn receive(self, host: &Host, mut pieces: Receiver<Bytes>) -> Result<Receiving, Fault> {
        let mut receiving = host.receive(self.dest, self.head)?;
        while let Some(piece) = pieces.blocking_recv() {
            // The receiver is gone when the fetch was given up.
            let _ = self.progress.send(receiving.push(&piece)?);
        }
        Ok(receiving)
    }
}
