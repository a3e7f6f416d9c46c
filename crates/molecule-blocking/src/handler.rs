//! The application's handler of messages.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use molecule_core::effect::{Handle, Outcome};
use molecule_core::{InboundMessage, Reply};
use molecule_host::trace::Span;

use crate::reply_slot::ReplySlot;

/// Handles the messages that reach an agent; [`Agent::run_agent_loop`](crate::Agent::run_agent_loop) takes one.
///
/// Every function that takes a message and returns a `Result<Option<Reply>, _>` is a handler. Its error may be any error,
/// or a text.
///
/// Each message is handled on a thread of its own, with a stack of the default size, in the span of the loop's caller.
/// Messages of one sender come one after another, those of others beside them. A handler may take as long as it needs:
/// heartbeats do not wait for it. When the agent stops, [`InboundMessage::is_cancelled`] says so, and a handler that goes
/// on after the deadline is left to itself.
pub trait Handler: Send + Sync + 'static {
    /// Why a message could not be handled.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Handles a message. It returns what is to be answered, or `None` if there is nothing to say.
    ///
    /// # Errors
    /// The message could not be handled. It is offered again later, as after a panic, and is a dead letter after too
    /// many attempts.
    fn handle(&self, message: InboundMessage) -> Result<Option<Reply>, Self::Error>;
}

impl<F, E> Handler for F
where
    F: Fn(InboundMessage) -> Result<Option<Reply>, E> + Send + Sync + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    type Error = E;

    fn handle(&self, message: InboundMessage) -> Result<Option<Reply>, E> {
        self(message)
    }
}

/// A handler of whatever type, as the driver calls it. It does not panic.
#[derive(Clone)]
pub(crate) struct AnyHandler(Arc<dyn Fn(Handle) -> Outcome + Send + Sync>);

impl AnyHandler {
    #[allow(dead_code, reason = "the loop that takes a handler is not in its place yet")]
    pub(crate) fn new(handler: impl Handler) -> Self {
        Self(Arc::new(move |Handle { message }| {
            // The text of an error is the application's code, too.
            let handled = catch_unwind(AssertUnwindSafe(|| Handle::returned(handler.handle(message))));
            handled.unwrap_or_else(|payload| Handle::panicked(&*payload))
        }))
    }
}

/// Has the handler work on a message, on a thread of its own and in a span. The thread's stack has the default size, which the
/// application may have chosen.
pub(crate) fn begin(handler: Option<&AnyHandler>, handle: Handle, reply: ReplySlot, span: Span) {
    let Some(AnyHandler(handler)) = handler.cloned() else {
        return reply.feed(Handle::not_called(&"the loop runs without a handler"));
    };
    let reply = reply.of_handler();
    let work = move || reply.feed(span.in_scope(|| handler(handle)));
    // If the thread does not start, the slot is dropped, which is an outcome too.
    let _ = thread::Builder::new().name("molecule-handler".to_owned()).spawn(work);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn functions_with_any_error_are_handlers() {
        fn is_handler(_: impl Handler) {}
        fn function(_: InboundMessage) -> Result<Option<Reply>, Box<dyn Error + Send + Sync>> {
            Ok(Some("done".into()))
        }
        is_handler(function);
        is_handler(|message: InboundMessage| Ok::<_, std::io::Error>(Some(Reply::text(message.text()))));
        is_handler(|_: InboundMessage| Err("no".to_owned()));
        is_handler(|_: InboundMessage| Ok::<_, &str>(None));
    }
}
