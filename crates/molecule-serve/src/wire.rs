//! A connection's bytes: heads, pieces of bodies, answers.
//!
//! A connection that waits has no buffer.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use molecule_core::machines::Refusal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::chunked::Chunked;
use crate::head::{self, Framing, Head, bad, end_of_head, too_large};
use crate::stream::Stream;

/// The bytes that are read at once while nobody knows what they are.
const PIECE: usize = 4096;

/// The most bytes of a body that are read at once.
const BODY_PIECE: usize = 64 * 1024;

/// Says that the body may come.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection, and what was received of it and not yet used.
pub(crate) struct Wire {
    stream: Stream,
    received: BytesMut,
    /// How much of `received` was looked at for the end of the head.
    looked_at: usize,
    body: Body,
    /// What is written before the body is read.
    interim: &'static [u8],
}

/// What is left of the body of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked(Chunked),
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, received: BytesMut::new(), looked_at: 0, body: Body::Length(0), interim: b"" }
    }

    /// Waits for the first byte of a request; `false` if the connection ends.
    pub(crate) fn poll_first_byte(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            // Empty lines before a request are ignored (RFC 9112, section 2.2).
            while self.received.starts_with(b"\r\n") {
                self.received.advance(2);
            }
            match &self.received[..] {
                b"" => self.received = BytesMut::new(),
                b"\r" => {}
                _ => {
                    self.looked_at = 0;
                    return Poll::Ready(true);
                }
            }
            match ready!(self.poll_receive(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(false),
            }
        }
    }

    /// Reads the head of a request to its end; `None` if the connection breaks before.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<Option<Head>, Refusal>> {
        loop {
            let found = end_of_head(&self.received, self.looked_at)?;
            if found.unwrap_or(self.received.len()) > most {
                return Poll::Ready(Err(too_large("the head of the request is too large")));
            }
            if let Some(length) = found {
                return Poll::Ready(self.begin(length).map(Some));
            }
            self.looked_at = self.received.len();
            match ready!(self.poll_receive(cx)) {
                Ok(1..) => {}
                Ok(0) => return Poll::Ready(Err(bad("the request ends before its head does"))),
                Err(_) => return Poll::Ready(Ok(None)),
            }
        }
    }

    fn begin(&mut self, length: usize) -> Result<Head, Refusal> {
        let head = head::read(&self.received.split_to(length).freeze())?;
        self.body = match head.framing {
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunked(Chunked::new()),
        };
        self.interim = if head.waits_to_continue { CONTINUE } else { b"" };
        Ok(head)
    }

    /// Whether the request was received as a whole. What is left of one must not be taken for the next request.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.body, Body::Length(0) | Body::Chunked(Chunked::Done))
    }

    /// Returns the next bytes of the body; `None` after the last ones.
    ///
    /// # Errors
    /// If the body is cut, or is no chunks.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        loop {
            let most = match self.body {
                Body::Length(0) | Body::Chunked(Chunked::Done) => return Poll::Ready(Ok(None)),
                Body::Length(left) => left,
                Body::Chunked(place) if place.data() > 0 => place.data(),
                Body::Chunked(place) => {
                    if self.received.is_empty() {
                        ready!(self.poll_continue(cx)).map_err(|_| CUT)?;
                        if ready!(self.poll_receive(cx)).map_err(|_| CUT)? == 0 {
                            return Poll::Ready(Err(CUT));
                        }
                    }
                    let (length, place) = place.walk(&self.received)?;
                    self.received.advance(length);
                    self.body = Body::Chunked(place);
                    continue;
                }
            };
            let piece = if self.received.is_empty() {
                ready!(self.poll_continue(cx)).map_err(|_| CUT)?;
                ready!(self.poll_data(cx, most)).map_err(|_| CUT)?
            } else {
                let here = self.received.len();
                self.received.split_to(usize::try_from(most).map_or(here, |most| most.min(here))).freeze()
            };
            if piece.is_empty() {
                return Poll::Ready(Err(CUT));
            }
            let length = piece.len() as u64;
            self.body = match self.body {
                Body::Length(left) => Body::Length(left.saturating_sub(length)),
                Body::Chunked(place) => Body::Chunked(place.skip(length)),
            };
            return Poll::Ready(Ok(Some(piece)));
        }
    }

    /// Has a client that waits for it send the body.
    fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.interim.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.interim.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, self.interim))?;
            self.interim = self.interim.get(written..).unwrap_or_default();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Receives at most this many bytes, which are data for certain; none at the end of the connection.
    fn poll_data(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<io::Result<Bytes>> {
        let room = usize::try_from(most).unwrap_or(usize::MAX).min(BODY_PIECE);
        let mut data = BytesMut::with_capacity(room);
        let mut stream = (&mut self.stream).take(room as u64);
        let length = ready!(pin!(stream.read_buf(&mut data)).poll(cx))?;
        // A few bytes are not to hold a large buffer.
        let is_mostly_empty = length < room / 2;
        Poll::Ready(Ok(if is_mostly_empty { Bytes::copy_from_slice(&data) } else { data.freeze() }))
    }

    /// The buffer lives on the stack, so that a connection that waits has none.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [const { MaybeUninit::uninit() }; PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.received.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Waits for the end of the connection. What comes before it is the next request, which has to wait.
    pub(crate) fn poll_hung_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.received.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_receive(cx)) {
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
    }

    /// Writes the next bytes of an answer, and takes them off.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        head: &mut Bytes,
        body: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        let stream = Pin::new(&mut self.stream);
        let written = match (head.is_empty(), body.is_empty()) {
            (true, true) => return stream.poll_flush(cx),
            (false, true) => ready!(stream.poll_write(cx, head))?,
            (true, false) => ready!(stream.poll_write(cx, body))?,
            (false, false) => ready!(stream.poll_write_vectored(cx, &[IoSlice::new(head), IoSlice::new(body)]))?,
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        let of_head = written.min(head.len());
        head.advance(of_head);
        body.advance(written - of_head);
        Poll::Ready(Ok(()))
    }

    /// Writes a few bytes and closes the sending half.
    pub(crate) async fn finish(&mut self, last_words: &[u8]) -> io::Result<()> {
        self.stream.write_all(last_words).await?;
        self.stream.shutdown().await
    }

    /// Reads what still comes, and drops it, until the other side has closed or has sent this many bytes.
    pub(crate) async fn drain(&mut self, most: usize) {
        self.received = BytesMut::new();
        let mut drained = 0;
        while drained < most
            && let Ok(length @ 1..) = poll_fn(|cx| self.poll_receive(cx)).await
        {
            self.received.clear();
            drained += length;
        }
    }
}

const CUT: Refusal = bad("the body of the request is cut");
