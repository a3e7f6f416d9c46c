//! Invariant: no `Debug` output and no error text contains a secret.

use std::error::Error as StdError;
use std::fmt::Write;

use super::{Invariant, KnownSecrets};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct NoSecretIsPrinted {
    text: String,
}

impl Invariant for NoSecretIsPrinted {
    fn name(&self) -> &'static str {
        "no secret is printed"
    }

    fn sentence(&self) -> &'static str {
        "no token, secret or administrator's credential is in what an effect, an outcome, an event, an error, a machine or a \
         session prints"
    }

    fn see(&mut self, sight: &Sight<'_>, known: &KnownSecrets) -> Result<(), String> {
        self.text.clear();
        let text = &mut self.text;
        // Writing to a string cannot fail.
        let _ = match &sight.seen {
            TraceEvent::Asked(ask) => text.write_str(&ask.printed),
            TraceEvent::HostAsked(_, op) => write!(text, "{op:?}"),
            TraceEvent::Landed(landing, _) => text.write_str(&landing.printed),
            TraceEvent::Told(event) => write!(text, "{event:?}"),
            TraceEvent::Printed(printed) => text.write_str(printed),
            TraceEvent::Ended(ending) => write!(text, "{ending:?}").and_then(|()| {
                let Some(error) = ending.error() else { return Ok(()) };
                write!(text, "{error}")?;
                let mut cause = error.source();
                while let Some(error) = cause {
                    write!(text, "{error} {error:?}")?;
                    cause = error.source();
                }
                Ok(())
            }),
            _ => return Ok(()),
        };
        match leaked(text, known) {
            None => Ok(()),
            Some(secret) => Err(format!("{}: a secret of {} characters is in it", short(text, secret), secret.len())),
        }
    }
}

/// The length of a token, and of a platform's secret, in bytes.
const LENGTH: usize = 43;

/// The first secret that a text contains. Most secrets are words of one length, so that a set lookup finds them faster
/// than a search for each.
pub(super) fn leaked<'a>(text: &'a str, known: &'a KnownSecrets) -> Option<&'a str> {
    let marked = known.marks.iter().map(String::as_str).find(|mark| text.contains(mark));
    marked.or_else(|| {
        // A word of this length or more covers at least one of these positions.
        let places = (LENGTH - 1..text.len()).step_by(LENGTH);
        let words = places.filter_map(|place| word_at(text, place)).filter(|word| word.len() >= LENGTH);
        let mut parts = words.flat_map(|word| (0..=word.len() - LENGTH).map(|from| &word[from..from + LENGTH]));
        parts.find(|part| known.secrets.contains(*part))
    })
}

/// The word of letters, digits, `-` and `_` around a position.
fn word_at(text: &str, place: usize) -> Option<&str> {
    let bytes = text.as_bytes();
    let is_of_a_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    bytes.get(place).filter(|byte| is_of_a_word(byte))?;
    let before = bytes[..place].iter().rev().take_while(|byte| is_of_a_word(byte)).count();
    let after = bytes[place..].iter().take_while(|byte| is_of_a_word(byte)).count();
    text.get(place - before..place + after)
}

/// The beginning of the text, with the secret replaced.
fn short(text: &str, secret: &str) -> String {
    text.replace(secret, "[SECRET]").chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_within_a_word_and_a_mark_anywhere() {
        let mut known = KnownSecrets::default();
        let secret = "x".repeat(LENGTH);
        known.keep(&secret);
        known.keep("hush");
        for before in ["", "a", "ä ", "-", "\"", &"y".repeat(100), &"y ".repeat(60)] {
            for after in ["", "y", "."] {
                assert_eq!(leaked(&format!("{before}{secret}{after}"), &known), Some(secret.as_str()), "{before}");
            }
        }
        assert_eq!(leaked("it says hush-hush", &known), Some("hush"));
        assert_eq!(leaked(&"x".repeat(LENGTH - 1), &known), None);
    }
}
