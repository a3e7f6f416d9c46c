//! Messages that could not be handled.

use molecule_async::core::proto::printable;
use molecule_async::{Agent, DeadLetter};
use serde_json::{Value, json};

use super::done;
use crate::args;
use crate::exit::{self, Failure};
use crate::output::Output;

pub(super) async fn run(agent: &Agent, command: args::Inbox, output: &Output) -> Result<u8, Failure> {
    match command {
        args::Inbox::Dead => {
            let letters = agent.dead_letters().await?;
            let shapes: Vec<_> = letters.iter().map(shape).collect();
            output.result(&shapes, || letters.iter().map(line).collect::<Vec<_>>().join("\n"))?;
            Ok(exit::OK)
        }
        args::Inbox::Show { id } => {
            let letters = agent.dead_letters().await?;
            let letter = letters.iter().find(|letter| letter.message.id().as_str() == id.to_ascii_lowercase());
            let letter = letter.ok_or_else(|| Failure::new(exit::ERROR, format!("{id} is no message that failed")))?;
            output.result(&shape(letter), || {
                format!("{}\n\n{}", line(letter), printable::lines(&letter.message.text()))
            })?;
            Ok(exit::OK)
        }
        args::Inbox::Retry { id } => {
            agent.retry_dead_letter(&id).await?;
            done(output, "offered", "it is offered again: at once if the agent runs, else when it starts")
        }
    }
}

/// A message that failed, as JSON: `id`, `from`, `text`, `received_at`, `attempts`, `why`, `is_retried`.
fn shape(letter: &DeadLetter) -> Value {
    let message = &letter.message;
    json!({
        "id": message.id(),
        "from": message.sender(),
        "text": message.text(),
        "received_at": message.received_at(),
        "attempts": letter.attempts,
        "why": letter.why,
        "is_retried": letter.is_retried,
    })
}

fn line(letter: &DeadLetter) -> String {
    let (message, again) = (&letter.message, if letter.is_retried { ", is offered again" } else { "" });
    let (from, at) = (message.sender(), message.received_at());
    let text = format!("{}  {at}  {from}: {} ({} attempts{again})", message.id(), letter.why, letter.attempts);
    printable::line(&text)
}
