//! Lets the body of an answer flow to where its machine wants it, with constant memory.
//!
//! Pieces go over a bounded channel to a thread for blocking work, which unpacks and writes them. It says that all of it is
//! there only when it was told so: a request that is given up, or an answer that is cut, drops the channel, and with it what
//! was unpacked.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use molecule_core::effect::{Dest, Fault, FaultKind, Limits, Outcome, Sent, Staged};
use molecule_core::unpack::Progress;
use molecule_host::{Host, Unpacking};
use tokio::sync::mpsc::{Receiver, UnboundedSender, channel};
use tokio::sync::oneshot;

use crate::act::StoreAct;
use crate::http::{Asked, Client};

/// Pieces on their way to the disk: with 64 KiB each at most, they bound what a slow disk costs.
const AHEAD: usize = 4;

/// Sends the request. The body of a 200 goes to its destination, and whatever cuts it short leaves nothing there.
pub(crate) async fn fetch(
    client: Client,
    host: Host,
    (request, limits, dest): (Request<Bytes>, Limits, Dest),
    progress: UnboundedSender<Progress>,
) -> Result<Outcome, Fault> {
    let mut asked = Asked::new(request, limits);
    let mut answer = client.open(&mut asked).await?;
    if answer.head().status() != StatusCode::OK {
        let body = answer.whole().await?;
        return Ok(Outcome::Response(answer.give_back().map(|()| body)));
    }
    let (sender, pieces) = channel(AHEAD);
    let (end, ended) = oneshot::channel();
    let unpacker = Unpacker { dest, head: answer.head().clone(), progress };
    let unpacked = StoreAct::begin(&host, move |host, _| unpacker.run(host, pieces, ended));
    loop {
        // It takes no more where it has failed, of which the head alone may be the cause; that is the outcome, and nothing
        // else is waited for.
        let Some(piece) = before(sender.closed(), answer.piece()).await else { break };
        match piece {
            Ok(Some(piece)) => {
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
            Ok(None) => {
                answer.give_back();
                let _ = end.send(());
                break;
            }
            Err(fault) => {
                drop((sender, end));
                // Nothing is left when the fault is told, and what was refused before the cut was refused.
                return match unpacked.await {
                    Outcome::Failed(refused) if refused.kind != FaultKind::Cancelled => Err(refused),
                    _ => Err(fault),
                };
            }
        }
    }
    drop(sender);
    Ok(unpacked.await)
}

/// What comes of the work, unless the end comes before it.
async fn before<T>(end: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    let (mut end, mut work) = (pin!(end), pin!(work));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => end.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// What becomes of the pieces, on a thread of its own.
struct Unpacker {
    dest: Dest,
    head: Response<()>,
    progress: UnboundedSender<Progress>,
}

impl Unpacker {
    fn run(self, host: &Host, pieces: Receiver<Bytes>, ended: oneshot::Receiver<()>) -> Outcome {
        let staged = self.unpack(host, pieces).and_then(|unpacking| {
            // Without it the answer was cut, or nobody waits: what was unpacked goes as it is dropped.
            ended.blocking_recv().map_err(|_| Fault::new(Sent::Maybe, FaultKind::Cancelled))?;
            unpacking.finish()
        });
        match staged {
            Ok((stage, unpacked)) => Outcome::Staged(stage, Staged { head: self.head, unpacked }),
            Err(fault) => Outcome::Failed(fault),
        }
    }

    fn unpack(&self, host: &Host, mut pieces: Receiver<Bytes>) -> Result<Unpacking, Fault> {
        let Dest::Unpack(name, policy) = &self.dest;
        let mut unpacking = host.stage(name, policy)?;
        unpacking.head(self.head.headers())?;
        while let Some(piece) = pieces.blocking_recv() {
            unpacking.push(&piece)?;
            // Where nobody listens any more, nobody waits either.
            let _ = self.progress.send(unpacking.progress());
        }
        Ok(unpacking)
    }
}
