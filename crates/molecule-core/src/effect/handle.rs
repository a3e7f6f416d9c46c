//! The effect that offers a message to the application's handler.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::effect::Outcome;
use crate::error::fault::{Fault, FaultKind, Sent};
use crate::inbox::{InboundMessage, Reply, TryAgain};
use crate::printable;

/// The most characters of a handler's error, or of its panic, that a fault holds.
const MAX_TEXT: usize = 1_000;

/// The most causes of a handler's error that a fault names.
const MAX_CAUSES: usize = 8;

/// A message for the application's handler. A driver calls the handler in the span of the loop's caller, on a thread or
/// in a task of its own, and turns what comes of it into an outcome by the functions here.
///
/// A cancel sets nothing but the message's own flag, which the machine has set: the handler goes on. Where a handler is a
/// future, the driver drops it when the loop is over.
#[derive(Debug)]
pub struct Handle {
    /// The message.
    pub message: InboundMessage,
}

/// The result of a handler that did not fail.
#[derive(Debug)]
pub enum Handled {
    /// The message is handled, with this reply or without one.
    Reply(Option<Reply>),
    /// The message is handled, and its reply follows later.
    Later,
}

impl Handle {
    /// Returns the outcome of a handler that returned. The text of an error is bounded and escaped, since it may quote
    /// what a stranger sent.
    pub fn returned<E>(result: Result<Option<Reply>, E>) -> Outcome
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        match result {
            Ok(Some(reply)) if reply.is_later() => Outcome::Handled(Handled::Later),
            Ok(reply) => Outcome::Handled(Handled::Reply(reply)),
            Err(error) => {
                let error = error.into();
                match error.downcast_ref::<TryAgain>() {
                    Some(TryAgain { wait, .. }) => {
                        let why = text_of(&*error).finish().unwrap_or_default();
                        let asked = TryAgain { why, wait: *wait };
                        Outcome::Failed(Fault::with_source(Sent::Maybe, FaultKind::TryAgain, asked))
                    }
                    None => failed(Sent::Maybe, FaultKind::Handler, text_of(&*error)),
                }
            }
        }
    }

    /// Returns the outcome of a handler whose panic was caught, and drops the panic's payload.
    pub fn caught(payload: Box<dyn Any + Send>) -> Outcome {
        let outcome = Self::panicked(&*payload);
        // To drop the payload is the application's code, too, and may panic again.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            mem::forget(again);
        }
        outcome
    }

    /// Returns the outcome of a handler that panicked with this payload.
    pub fn panicked(payload: &(dyn Any + Send)) -> Outcome {
        let said = payload.downcast_ref::<&str>().copied();
        let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
        let mut text = Bounded::default();
        // It fails where the text is full.
        let _ = text.write_str(said);
        failed(Sent::Maybe, FaultKind::HandlerPanicked, text)
    }

    /// Returns the outcome of a handler that could not be called. It counts as no attempt.
    pub fn not_called(why: &dyn fmt::Display) -> Outcome {
        let mut text = Bounded::default();
        // It fails where the text is full.
        let _ = write!(text, "{why}");
        failed(Sent::No, FaultKind::Handler, text)
    }
}

fn failed(sent: Sent, kind: FaultKind, text: Bounded) -> Outcome {
    Outcome::Failed(Fault { source: text.finish().map(Into::into), ..Fault::new(sent, kind) })
}

/// Returns the texts of an error and of its causes, without those that the text before them contains.
fn text_of(error: &(dyn StdError + 'static)) -> Bounded {
    let mut text = Bounded::default();
    let mut cause = Some(error);
    for _ in 0..MAX_CAUSES {
        let Some(error) = cause else { break };
        let mut own = Bounded::default();
        // It fails where the text is full, here and below.
        let _ = write!(own, "{error}");
        if !text.0.contains(&own.0) {
            let _ = text.write_str(if text.0.is_empty() { "" } else { ": " });
            let _ = text.write_str(&own.0);
        }
        cause = error.source();
    }
    text
}

/// A text that takes no more than [`MAX_TEXT`] characters.
#[derive(Default)]
struct Bounded(String);

impl Bounded {
    /// Returns the text on one printable line; `None` if there is none.
    fn finish(self) -> Option<String> {
        let text = printable::line(self.0.trim());
        (!text.is_empty()).then_some(text)
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = MAX_TEXT.saturating_sub(self.0.chars().count());
        match text.char_indices().nth(left) {
            None => {
                self.0.push_str(text);
                Ok(())
            }
            Some((at, _)) => {
                self.0.push_str(&text[..at]);
                Err(fmt::Error)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::panic::panic_any;
    use std::time::Duration;

    use super::*;

    fn fault(outcome: Outcome) -> (Sent, FaultKind, Option<String>) {
        let Outcome::Failed(fault) = outcome else { panic!("{outcome:?}") };
        (fault.sent, fault.kind, fault.source.map(|source| source.to_string()))
    }

    fn of_error(text: &str) -> String {
        let (sent, kind, text) = fault(Handle::returned(Err(text)));
        assert_eq!((sent, kind), (Sent::Maybe, FaultKind::Handler));
        text.unwrap()
    }

    #[test]
    fn an_error_is_told_on_one_bounded_line() {
        assert_eq!(of_error("the model is down\n\u{1b}[31m"), "the model is down\\n\\u{1b}[31m");
        assert_eq!(of_error(&"x".repeat(4 << 20)), "x".repeat(MAX_TEXT));
        assert_eq!(of_error(&"é".repeat(MAX_TEXT + 1)), "é".repeat(MAX_TEXT));
        assert_eq!(fault(Handle::returned(Err(" "))).2, None);
    }

    #[test]
    fn a_wish_for_another_try_is_no_failure() {
        let wait = Duration::from_secs(7);
        let Outcome::Failed(fault) = Handle::returned(Err(TryAgain::new("no\nmodel").after(wait))) else { panic!() };
        assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::TryAgain));
        let asked = fault.source.unwrap().downcast::<TryAgain>().unwrap();
        assert_eq!((asked.to_string(), asked.wait), ("no\\nmodel".to_owned(), wait));
        let boxed: Box<dyn StdError + Send + Sync> = TryAgain::new("x").into();
        assert_eq!(fault_kind(Handle::returned(Err(boxed))), FaultKind::TryAgain);
    }

    fn fault_kind(outcome: Outcome) -> FaultKind {
        fault(outcome).1
    }

    #[test]
    fn the_causes_of_an_error_are_named_once_each() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Chain(&'static str, #[source] Option<Box<Chain>>);
        let chain = Chain("no answer", Some(Box::new(Chain("answer", Some(Box::new(Chain("refused", None)))))));
        assert_eq!(fault(Handle::returned(Err(chain))).2.unwrap(), "no answer: refused");
    }

    #[test]
    fn a_panic_is_told_with_its_text_if_it_has_one() {
        let panicked = |act: fn()| fault(Handle::caught(catch_unwind(act).unwrap_err()));
        let kind = FaultKind::HandlerPanicked;
        assert_eq!(panicked(|| panic!("a text")), (Sent::Maybe, kind, Some("a text".to_owned())));
        assert_eq!(panicked(|| panic!("number {}", 7)), (Sent::Maybe, kind, Some("number 7".to_owned())));
        assert_eq!(panicked(|| panic_any(7)), (Sent::Maybe, kind, None));
    }

    #[test]
    fn a_panic_whose_payload_panics_again_is_one_panic() {
        struct Again;
        impl Drop for Again {
            fn drop(&mut self) {
                panic_any(Self);
            }
        }
        let (_, kind, _) = fault(Handle::caught(catch_unwind(|| panic_any(Again)).unwrap_err()));
        assert_eq!(kind, FaultKind::HandlerPanicked);
    }

    #[test]
    fn what_a_handler_returns_is_a_reply_nothing_or_a_reply_later() {
        let handled = |reply| match Handle::returned(Ok::<_, String>(reply)) {
            Outcome::Handled(Handled::Reply(reply)) => format!("{:?}", reply.map(|reply| reply.parts().len())),
            Outcome::Handled(Handled::Later) => "later".to_owned(),
            outcome => format!("{outcome:?}"),
        };
        assert_eq!(handled(None), "None");
        assert_eq!(handled(Some("a".into())), "Some(1)");
        assert_eq!(handled(Some(Reply::later())), "later");
    }
}
