//! Standard input, whose end is known to the whole program, and which ends when the program does.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;

/// Standard input.
pub(super) struct Stdin {
    inner: tokio::io::Stdin,
    close: Arc<watch::Sender<bool>>,
    closed: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
}

impl Stdin {
    /// Reads standard input until it ends, or `close` holds `true`. At its end `close` is set.
    pub(super) fn new(close: Arc<watch::Sender<bool>>) -> Self {
        let mut closing = close.subscribe();
        let closed = Box::pin(async move {
            // Its sender lives as long as this.
            let _ = closing.wait_for(|is_closing| *is_closing).await;
        });
        Self { inner: tokio::io::stdin(), close, closed }
    }
}

impl AsyncRead for Stdin {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if *self.close.borrow() || self.closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        let is_over = matches!(&read, Poll::Ready(Ok(()))) && buf.filled().len() == before && buf.remaining() > 0;
        if is_over || matches!(&read, Poll::Ready(Err(_))) {
            self.close.send_replace(true);
        }
        read
    }
}
