//! The body of a request: bytes that are there, or files that are read meanwhile.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::Receiver;

/// The body of a request.
pub(crate) enum RequestBody {
    Whole(Full<Bytes>),
    /// Pieces that a thread reads, and how many bytes are still to come.
    Pieces(Receiver<Bytes>, u64),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => {
                let frame = ready!(Pin::new(bytes).poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|never| match never {})))
            }
            Self::Pieces(_, 0) => Poll::Ready(None),
            Self::Pieces(pieces, left) => match ready!(pieces.poll_recv(cx)) {
                Some(piece) => {
                    *left = left.saturating_sub(piece.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                // The thread says why.
                None => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_end_stream(),
            Self::Pieces(_, left) => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => bytes.size_hint(),
            Self::Pieces(_, left) => SizeHint::with_exact(*left),
        }
    }
}

impl Default for RequestBody {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl fmt::Debug for RequestBody {
    /// Without the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody({} bytes)", self.size_hint().lower())
    }
}
