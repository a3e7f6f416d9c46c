//! The application's handler of messages.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use molecule_core::effect::{Handle, Outcome};
use molecule_core::{InboundMessage, Reply};
use molecule_host::trace::Span;

use crate::reply_slot::ReplySlot;
use crate::threads::Threads;

/// Handles the messages that reach an agent; [`Agent::run_agent_loop`](crate::Agent::run_agent_loop) takes one.
///
/// Every function that takes a message and returns a `Result<Option<Reply>, _>` is a handler. Its error may be any error,
/// or a text.
///
/// Each message is handled on a thread of its own, with a stack of the default size, in the span of the loop's caller.
/// Messages of one sender come one after another, those of others beside them. A handler may take as long as it needs:
/// heartbeats do not wait for it. When the agent stops, a handler has the time of
/// [`InboxOptions::drain`](crate::InboxOptions::drain) to return. After that [`InboundMessage::is_cancelled`] says so, and a
/// handler that goes on is left to itself.
pub trait Handler: Send + Sync + 'static {
    /// Why a message could not be handled.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Handles a message. It returns what is to be answered, or `None` if there is nothing to say.
    ///
    /// # Errors
    /// The message could not be handled. It is offered again later, as after a panic, and is a dead letter after too
    /// many attempts. A [`TryAgain`](crate::TryAgain) counts as no attempt.
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
    pub(crate) fn new(handler: impl Handler) -> Self {
        Self(Arc::new(move |Handle { message }| {
            // The text of an error is the application's code, too.
            let handled = catch_unwind(AssertUnwindSafe(|| Handle::returned(handler.handle(message))));
            handled.unwrap_or_else(Handle::caught)
        }))
    }
}

/// Has the handler work on a message, in a span and on a thread that does nothing else meanwhile. The threads' stacks have the
/// default size, which the application may have chosen.
pub(crate) fn begin(handler: Option<&AnyHandler>, threads: &Threads, handle: Handle, reply: ReplySlot, span: Span) {
    let Some(AnyHandler(handler)) = handler.cloned() else {
        return reply.feed(Handle::not_called(&"the loop runs without a handler"));
    };
    let reply = reply.of_handler();
    // If the thread does not start, the slot is dropped, which is an outcome too.
    threads.run(move || (span.in_scope(|| handler(handle)), reply), |(outcome, reply)| reply.feed(outcome));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use molecule_conformance::{ID, Offers};
    use molecule_core::machine::Machine;
    use molecule_core::proto::WorkspaceId;
    use molecule_core::{Options, Transport};
    use molecule_host::{Host, SharedSession, Storage};

    use super::*;
    use crate::driver::Driver;
    use crate::http::Client;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn driver() -> Driver {
        let id: WorkspaceId = ID.parse().unwrap();
        let session = SharedSession::new(Options::new("http://127.0.0.1:9", &id).build().unwrap(), None);
        Driver::new(session, Host::new(Storage::Memory.open(&id).unwrap()), Client::new(&Transport::new()).unwrap())
    }

    fn offer<T>(machine: impl Machine<Output = molecule_core::Result<T>>, handler: impl Handler) -> T {
        driver().drive_loop(machine, Some(AnyHandler::new(handler))).unwrap()
    }

    #[test]
    fn whatever_a_handler_does_is_an_outcome() {
        let outcomes =
            offer(Offers::all(&["hello", "nothing", "later", "fail", "panic", "much"]), |message: InboundMessage| {
                match &*message.text() {
                    "hello" => Ok(Some(Reply::text("hello yourself"))),
                    "nothing" => Ok(None),
                    "later" => Ok(Some(Reply::later())),
                    "fail" => Err(format!("no model\n{}", "x".repeat(4 << 20))),
                    "much" => Ok(Some(Reply::text("y".repeat(4 << 20)))),
                    _ => panic!("at the disco"),
                }
            });
        let has = |text: &str| outcomes.iter().any(|outcome| outcome == text);
        assert!(has("hello yourself") && has("nothing") && has("later"), "{outcomes:?}");
        assert!(has("HandlerPanicked, Maybe: at the disco") && has(&"y".repeat(4 << 20)));
        let failed = outcomes.iter().find(|outcome| outcome.starts_with("Handler, Maybe: no model\\nxxx")).unwrap();
        assert!(failed.len() < 1100, "{}", failed.len());
    }

    #[test]
    fn handlers_work_side_by_side() {
        let both = Barrier::new(2);
        let outcomes = offer(Offers::all(&["one", "two"]), move |_: InboundMessage| {
            both.wait();
            Ok::<_, String>(None)
        });
        assert_eq!(outcomes, ["nothing", "nothing"]);
    }

    #[test]
    fn a_handler_that_hangs_holds_back_no_other_and_no_end() {
        let (go, gate) = channel::<()>();
        let (end, ended) = channel();
        let gate = std::sync::Mutex::new(gate);
        let outcomes = offer(Offers::first(1, &["hang", "hello"]), move |message: InboundMessage| {
            if message.text() == "hang" {
                assert!(gate.lock().unwrap().recv().is_err());
                end.send(()).unwrap();
            }
            Ok::<_, String>(Some(Reply::text("hello yourself")))
        });
        assert_eq!(outcomes, ["hello yourself"]);
        assert!(ended.try_recv().is_err(), "nobody told it to end");
        drop(go);
        ended.recv_timeout(PATIENCE).unwrap();
    }

    #[test]
    fn a_loop_without_a_handler_calls_none() {
        let outcomes = driver().drive_loop(Offers::all(&["hello"]), None).unwrap();
        assert_eq!(outcomes, ["Handler, No: the loop runs without a handler"]);
    }

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
