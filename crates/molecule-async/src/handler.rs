//! The application's handler of messages.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use molecule_core::effect::{Handle, Outcome};
use molecule_core::{InboundMessage, Reply};
use molecule_host::trace::Span;
use tokio::task::JoinHandle;

use crate::in_flight::cancelled;

/// Handles the messages that reach an agent; [`Agent::run_agent_loop`](crate::Agent::run_agent_loop) takes one.
///
/// Every function that takes a message and returns a future of a `Result<Option<Reply>, _>` is a handler. Its error may be
/// any error, or a text.
///
/// Each message is handled in a task of its own, in the span of the loop's caller. Messages of one sender come one after
/// another, those of others beside them. A handler may take as long as it needs: heartbeats do not wait for it, unless it
/// blocks the only thread of a runtime. When the agent stops, [`InboundMessage::is_cancelled`] says so, and a handler that
/// goes on after the deadline is dropped at its next `.await`. So are all when the loop's future is dropped.
pub trait Handler: Send + Sync + 'static {
    /// Why a message could not be handled.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Handles a message. It returns what is to be answered, or `None` if there is nothing to say.
    ///
    /// # Errors
    /// The message could not be handled. It is offered again later, as after a panic, and is a dead letter after too
    /// many attempts.
    fn handle(&self, message: InboundMessage) -> impl Future<Output = Result<Option<Reply>, Self::Error>> + Send;
}

impl<F, R, E> Handler for F
where
    F: Fn(InboundMessage) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Option<Reply>, E>> + Send,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Error = E;

    fn handle(&self, message: InboundMessage) -> impl Future<Output = Result<Option<Reply>, E>> + Send {
        self(message)
    }
}

/// A handler of whatever type, as the driver calls it.
#[derive(Clone)]
pub(crate) struct AnyHandler(Arc<dyn Fn(Handle) -> Work + Send + Sync>);

type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

impl AnyHandler {
    #[allow(dead_code, reason = "the loop that takes a handler is not in its place yet")]
    pub(crate) fn new(handler: impl Handler) -> Self {
        let handler = Arc::new(handler);
        Self(Arc::new(move |Handle { message }| {
            let handler = handler.clone();
            // The handler's own code runs when the future is polled, also before its first `.await`.
            Box::pin(async move { Handle::returned(handler.handle(message).await) })
        }))
    }

    /// Begins to handle a message, in a task of its own and in a span.
    pub(crate) fn begin(&self, handle: Handle, span: Span) -> Handling {
        Handling(tokio::spawn(span.around((self.0)(handle))))
    }
}

/// A message that is being handled. Its task is aborted when this is dropped.
pub(crate) struct Handling(JoinHandle<Outcome>);

impl Handling {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.0).poll(cx).map(|ended| {
            ended.unwrap_or_else(|error| match error.try_into_panic() {
                Ok(payload) => Handle::panicked(&*payload),
                Err(_) => cancelled(),
            })
        })
    }

    /// Drops the handler at its next `.await`.
    pub(crate) fn abort(&self) {
        self.0.abort();
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn functions_with_any_error_are_handlers() {
        fn is_handler(_: impl Handler) {}
        async fn function(_: InboundMessage) -> Result<Option<Reply>, Box<dyn Error + Send + Sync>> {
            Ok(Some("done".into()))
        }
        struct Own;
        impl Handler for Own {
            type Error = String;

            async fn handle(&self, _: InboundMessage) -> Result<Option<Reply>, String> {
                std::future::ready(()).await;
                Err("no".to_owned())
            }
        }
        is_handler(function);
        is_handler(async |message: InboundMessage| Ok::<_, std::io::Error>(Some(Reply::text(message.text()))));
        is_handler(|_: InboundMessage| async { Ok::<_, &str>(None) });
        is_handler(Own);
    }
}
