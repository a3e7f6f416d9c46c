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
/// another, those of others beside them. A handler may take as long as it needs: heartbeats do not wait for it. What
/// blocks a thread belongs in `tokio::task::spawn_blocking`, as everywhere in a runtime.
///
/// When the agent stops, a handler has the time of [`InboxOptions::drain`](crate::InboxOptions::drain) to return. After
/// that [`InboundMessage::is_cancelled`] says so, and a handler that goes on is dropped at its next `.await`. So are all when
/// the loop's future is dropped.
pub trait Handler: Send + Sync + 'static {
    /// Why a message could not be handled.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// Handles a message. It returns what is to be answered, or `None` if there is nothing to say.
    ///
    /// # Errors
    /// The message could not be handled. It is offered again later, as after a panic, and is a dead letter after too
    /// many attempts. A [`TryAgain`](crate::TryAgain) counts as no attempt.
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
                Ok(payload) => Handle::caught(payload),
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
    use std::time::Duration;

    use molecule_conformance::{ID, Offers};
    use molecule_core::proto::WorkspaceId;
    use molecule_core::{Options, Transport};
    use molecule_host::{Host, SharedSession, Storage};
    use tokio::sync::{Barrier, mpsc};
    use tokio::time::timeout;

    use super::*;
    use crate::driver::Driver;
    use crate::http::Client;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn driver() -> Driver {
        let id: WorkspaceId = ID.parse().unwrap();
        let session = SharedSession::new(Options::new("http://127.0.0.1:9", &id).build().unwrap(), None);
        Driver::new(session, Host::new(Storage::Memory.open(&id).unwrap()), Client::new(&Transport::new()).unwrap())
    }

    async fn offer(machine: Offers, handler: impl Handler) -> Vec<String> {
        timeout(PATIENCE, driver().drive_loop(machine, Some(AnyHandler::new(handler)))).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn whatever_a_handler_does_is_an_outcome() {
        let handler = async |message: InboundMessage| match &*message.text() {
            "hello" => Ok(Some(Reply::text("hello yourself"))),
            "nothing" => Ok(None),
            "later" => Ok(Some(Reply::later())),
            "fail" => Err(format!("no model\n{}", "x".repeat(4 << 20))),
            "much" => Ok(Some(Reply::text("y".repeat(4 << 20)))),
            _ => panic!("at the disco"),
        };
        let outcomes = offer(Offers::all(&["hello", "nothing", "later", "fail", "panic", "much"]), handler).await;
        let has = |text: &str| outcomes.iter().any(|outcome| outcome == text);
        assert!(has("hello yourself") && has("nothing") && has("later"), "{outcomes:?}");
        assert!(has("HandlerPanicked, Maybe: at the disco") && has(&"y".repeat(4 << 20)));
        let failed = outcomes.iter().find(|outcome| outcome.starts_with("Handler, Maybe: no model\\nxxx")).unwrap();
        assert!(failed.len() < 1100, "{}", failed.len());
    }

    #[tokio::test]
    async fn handlers_work_side_by_side() {
        let both = Arc::new(Barrier::new(2));
        let handler = move |_: InboundMessage| {
            let both = both.clone();
            async move {
                both.wait().await;
                Ok::<_, String>(None)
            }
        };
        assert_eq!(offer(Offers::all(&["one", "two"]), handler).await, ["nothing", "nothing"]);
    }

    /// A handler that hangs at one message, and says when it is dropped there.
    fn hanging() -> (impl Handler, mpsc::UnboundedReceiver<&'static str>) {
        struct Dropped(mpsc::UnboundedSender<&'static str>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.send("dropped").unwrap();
            }
        }
        let (says, said) = mpsc::unbounded_channel();
        let handler = move |message: InboundMessage| {
            let dropped = Dropped(says.clone());
            async move {
                if message.text() == "hang" {
                    dropped.0.send("hangs").unwrap();
                    std::future::pending::<()>().await;
                }
                std::mem::forget(dropped);
                Ok::<_, String>(Some(Reply::text("hello yourself")))
            }
        };
        (handler, said)
    }

    #[tokio::test]
    async fn a_handler_that_hangs_holds_back_no_other_and_is_dropped_at_the_end() {
        let (handler, mut said) = hanging();
        assert_eq!(offer(Offers::first(1, &["hang", "hello"]), handler).await, ["hello yourself"]);
        assert_eq!(timeout(PATIENCE, said.recv()).await.unwrap(), Some("hangs"));
        assert_eq!(timeout(PATIENCE, said.recv()).await.unwrap(), Some("dropped"));
    }

    #[tokio::test]
    async fn a_handler_is_dropped_with_the_loops_future() {
        let (handler, mut said) = hanging();
        let driver = driver();
        let mut running = Box::pin(driver.drive_loop(Offers::all(&["hang"]), Some(AnyHandler::new(handler))));
        tokio::select! {
            hangs = said.recv() => assert_eq!(hangs, Some("hangs")),
            _ = &mut running => panic!("nobody ended it"),
        }
        drop(running);
        assert_eq!(timeout(PATIENCE, said.recv()).await.unwrap(), Some("dropped"));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_handler_that_blocks_its_thread_holds_back_no_other_and_no_end() {
        let (go, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let handler = move |message: InboundMessage| {
            let gate = gate.clone();
            async move {
                if message.text() == "block" {
                    assert!(gate.lock().unwrap().recv().is_err());
                }
                Ok::<_, String>(None)
            }
        };
        assert_eq!(offer(Offers::first(1, &["block", "hello"]), handler).await, ["nothing"]);
        drop(go);
    }

    #[tokio::test]
    async fn a_loop_without_a_handler_calls_none() {
        let outcomes = driver().drive_loop(Offers::all(&["hello"]), None).await.unwrap();
        assert_eq!(outcomes, ["Handler, No: the loop runs without a handler"]);
    }

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
