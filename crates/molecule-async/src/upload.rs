//! Sends a request whose body is made of files, with constant memory.
//!
//! A thread for blocking work opens and reads the files. Their pieces go over a bounded channel into the request. The thread ends when
//! the request is given up, at its next piece.

use bytes::Bytes;
use http::{Request, Response};
use molecule_core::effect::{Fault, FaultKind, Limits, Sent, Upload};
use molecule_host::Uploading;
use tokio::sync::mpsc::channel;
use tokio::sync::oneshot;

use crate::body::RequestBody;
use crate::host_work::begin;
use crate::http::{Asked, Client};

/// The most pieces in the channel: they bound the memory that a slow network costs.
const AHEAD: usize = 4;

/// The most bytes of a piece.
const PIECE: usize = 64 * 1024;

impl Client {
    /// Sends a request whose body is made of files. Outside semver: for tests of drivers.
    #[doc(hidden)]
    pub async fn upload(
        &self,
        request: Request<Bytes>,
        limits: Limits,
        files: Upload,
    ) -> Result<Response<Bytes>, Fault> {
        upload(self.clone(), (request, limits, files)).await
    }
}

/// Sends the request with the files, and reads the whole answer.
pub(crate) async fn upload(
    client: Client,
    (request, limits, upload): (Request<Bytes>, Limits, Upload),
) -> Result<Response<Bytes>, Fault> {
    let (sender, pieces) = channel(AHEAD);
    let (opened, opening) = oneshot::channel();
    let (failed, mut failure) = oneshot::channel();
    let read = move || {
        let mut files = match Uploading::open(&upload) {
            Ok(files) => files,
            Err(fault) => return drop(opened.send(Err(fault))),
        };
        if opened.send(Ok(files.length())).is_err() {
            return;
        }
        let mut buffer = vec![0; PIECE];
        loop {
            match files.read(&mut buffer) {
                Ok(0) => return,
                Ok(amount) if sender.blocking_send(Bytes::copy_from_slice(&buffer[..amount])).is_ok() => {}
                // The request is over.
                Ok(_) => return,
                // It is told before the channel is closed, which breaks the request.
                Err(fault) => return drop(failed.send(fault)),
            }
        }
    };
    begin(read).map_err(|error| Fault::with_source(Sent::No, FaultKind::Host(error.kind()), error))?;
    let length = opening.await.unwrap_or_else(|_| Err(Fault::new(Sent::No, FaultKind::Cancelled)))?;
    let mut asked = Asked::with_body(request.map(|_| RequestBody::Pieces(pieces, length)), limits);
    let answered = async {
        let mut answer = client.open(&mut asked).await?;
        let body = answer.whole().await?;
        Ok(answer.give_back().map(|()| body))
    };
    let answered = answered.await;
    match failure.try_recv() {
        Ok(fault) => Err(fault),
        Err(_) => answered,
    }
}
