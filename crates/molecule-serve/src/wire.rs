//! What hyper sees of a connection: the head and the body of one request, and nothing after it.
//!
//! Between requests the connection is its task's, which reads the next head and [checks](crate::head) it before hyper gets a byte
//! of it. A connection that waits for long keeps no buffer, neither here nor in hyper.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use molecule_core::machines::Refusal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use crate::chunked::Chunked;
use crate::head::{Framing, bad, check, end_of_head, too_large};
use crate::stream::Stream;

/// The bytes that are read at once while nobody knows what they are.
const PIECE: usize = 4096;

/// A connection that hyper and the connection's task share. Both are polled by the same task, one after the other.
#[derive(Clone)]
pub(crate) struct SharedWire(Arc<Mutex<Wire>>);

impl SharedWire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self(Arc::new(Mutex::new(Wire::new(stream))))
    }

    /// The course of the request that hyper works on.
    pub(crate) fn course(&self) -> Arc<Course> {
        Arc::clone(&self.lock().course)
    }

    /// Waits for the first byte of a request; `None` if the connection ends.
    pub(crate) async fn first_byte(&self) -> Option<()> {
        poll_fn(|cx| self.lock().poll_first_byte(cx)).await
    }

    /// Reads the head of a request to its end, and returns whether there is one: the connection may break before.
    pub(crate) async fn read_head(&self, most: usize) -> Result<bool, Refusal> {
        poll_fn(|cx| self.lock().poll_head(cx, most)).await
    }

    /// Gives the memory back that was needed for the request.
    pub(crate) fn rest(&self) {
        self.lock().rest();
    }

    /// The connection itself, once hyper has no part in it any more.
    pub(crate) fn into_wire(self) -> Option<Wire> {
        Arc::into_inner(self.0).map(|wire| wire.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for SharedWire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, to)
    }
}

impl AsyncWrite for SharedWire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.lock().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}

/// A connection, and what was received of it and not yet used.
pub(crate) struct Wire {
    stream: Stream,
    received: BytesMut,
    /// How much of `received` was looked at for the end of the head.
    looked_at: usize,
    /// The head of the request, for hyper.
    head: Bytes,
    body: BodyPlace,
    course: Arc<Course>,
}

/// The place in the body of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyPlace {
    Length(u64),
    Chunked(Chunked),
}

/// How far the answer is, as hyper moves it. The task of the connection looks at it, and so does the service.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// hyper has taken all of the answer.
    taken: AtomicBool,
    /// All of the answer is written.
    sent: AtomicBool,
    /// The request was received as a whole.
    is_read: AtomicBool,
    written: AtomicU64,
}

impl Course {
    pub(crate) fn taken(&self) {
        self.taken.store(true, Ordering::Release);
    }

    pub(crate) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Acquire)
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    /// Whether the request was received as a whole. What is left of one must not be taken for the next request.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read.load(Ordering::Acquire)
    }

    /// Begins the course of another request.
    fn begin(&self) {
        for flag in [&self.taken, &self.sent, &self.is_read] {
            flag.store(false, Ordering::Release);
        }
    }

    /// The number of bytes that were written so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }
}

impl Wire {
    fn new(stream: Stream) -> Self {
        let (received, head, course) = (BytesMut::new(), Bytes::new(), Arc::default());
        Self { stream, received, looked_at: 0, head, body: BodyPlace::Length(0), course }
    }

    /// Waits for the first byte of a request; `None` if the connection ends.
    fn poll_first_byte(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        loop {
            // Empty lines before a request are ignored (RFC 9112, section 2.2).
            while self.received.starts_with(b"\r\n") {
                self.received.advance(2);
            }
            if !self.received.is_empty() && self.received[..] != b"\r"[..] {
                self.looked_at = 0;
                return Poll::Ready(Some(()));
            }
            match ready!(self.poll_receive(cx)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(None),
            }
        }
    }

    /// Reads the head of a request to its end, and returns whether there is one: the connection may break before.
    fn poll_head(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<bool, Refusal>> {
        loop {
            let found = end_of_head(&self.received, self.looked_at)?;
            if found.unwrap_or(self.received.len()) > most {
                return Poll::Ready(Err(too_large("the head of the request is too large")));
            }
            if let Some(length) = found {
                self.begin(length)?;
                return Poll::Ready(Ok(true));
            }
            self.looked_at = self.received.len();
            match ready!(self.poll_receive(cx)) {
                Ok(1..) => {}
                Ok(0) => return Poll::Ready(Err(bad("the request ends before its head does"))),
                Err(_) => return Poll::Ready(Ok(false)),
            }
        }
    }

    fn begin(&mut self, length: usize) -> Result<(), Refusal> {
        let head = self.received.split_to(length).freeze();
        self.body = match check(&head)? {
            Framing::Length(length) => BodyPlace::Length(length),
            Framing::Chunked => BodyPlace::Chunked(Chunked::new()),
        };
        self.head = head;
        self.course.begin();
        self.note_end();
        Ok(())
    }

    fn note_end(&self) {
        if matches!(self.body, BodyPlace::Length(0) | BodyPlace::Chunked(Chunked::Done)) {
            self.course.is_read.store(true, Ordering::Release);
        }
    }

    /// Gives the memory back that was needed for the request.
    fn rest(&mut self) {
        self.head = Bytes::new();
        if self.received.is_empty() {
            self.received = BytesMut::new();
        }
    }

    /// The buffer lives on the stack, so that a connection that waits has none.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut piece = [0; PIECE];
        let mut piece = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        self.received.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    }

    /// Writes a few bytes and closes the sending half.
    pub(crate) async fn finish(&mut self, last_words: &[u8]) -> io::Result<()> {
        use tokio::io::AsyncWriteExt;
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

    /// Hands a request's bytes that are here already to hyper.
    fn hand(received: &mut BytesMut, most: u64, to: &mut ReadBuf<'_>) -> usize {
        let length = received.len().min(to.remaining()).min(usize::try_from(most).unwrap_or(usize::MAX));
        to.put_slice(&received[..length]);
        received.advance(length);
        length
    }

    /// Receives bytes of the body straight into hyper's buffer, at most this many.
    fn poll_body(&mut self, cx: &mut Context<'_>, most: u64, to: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        if !self.received.is_empty() {
            return Poll::Ready(Ok(Self::hand(&mut self.received, most, to)));
        }
        let before = to.filled().len();
        ready!(Pin::new(&mut (&mut self.stream).take(most)).poll_read(cx, to))?;
        Poll::Ready(Ok(to.filled().len() - before))
    }

    fn poll_chunks(&mut self, cx: &mut Context<'_>, place: Chunked, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if place.data() > 0 {
            let length = ready!(self.poll_body(cx, place.data(), to))?;
            self.body = BodyPlace::Chunked(place.skip(length as u64));
            return Poll::Ready(Ok(()));
        }
        if self.received.is_empty() && ready!(self.poll_receive(cx))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let here = self.received.len().min(to.remaining());
        match place.walk(&self.received[..here]) {
            Ok((length, place)) => {
                Self::hand(&mut self.received, length as u64, to);
                self.body = BodyPlace::Chunked(place);
                self.note_end();
                Poll::Ready(Ok(()))
            }
            Err(refusal) => {
                // It is never read to its end.
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refusal.why)))
            }
        }
    }

    /// Waits for the end of the connection. What comes before it is the next request, which has to wait.
    fn poll_hung_up(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.received.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.poll_receive(cx))? {
            0 => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.head.is_empty() {
            let length = this.head.len().min(to.remaining());
            to.put_slice(&this.head.split_to(length));
            return Poll::Ready(Ok(()));
        }
        match this.body {
            BodyPlace::Length(0) | BodyPlace::Chunked(Chunked::Done) => this.poll_hung_up(cx),
            BodyPlace::Length(left) => {
                let length = ready!(this.poll_body(cx, left, to))?;
                this.body = BodyPlace::Length(left.saturating_sub(length as u64));
                this.note_end();
                Poll::Ready(Ok(()))
            }
            BodyPlace::Chunked(place) => this.poll_chunks(cx, place, to),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.course.written.fetch_add(written as u64, Ordering::AcqRel);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, slices))?;
        this.course.written.fetch_add(written as u64, Ordering::AcqRel);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has written all that it has. After it took the whole answer, that is all of the answer.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
        if this.course.taken.load(Ordering::Acquire) {
            this.course.sent.store(true, Ordering::Release);
        }
        Poll::Ready(Ok(()))
    }

    /// The connection's task closes it, after the other side had time to read.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
