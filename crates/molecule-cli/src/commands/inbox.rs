//! The messages that need something: those that wait, run, are offered again, wait for a reply, or failed.

use molecule_async::core::proto::printable;
use molecule_async::{Agent, DeadLetter, InboxEntry, InboxState};
use serde_json::{Value, json};

use super::done;
use crate::args;
use crate::exit::{self, Failure};
use crate::output::{Output, Shade};
use crate::run::wire;

/// The most characters of a text in a list.
const SHOWN: usize = 60;

pub(super) async fn run(agent: &Agent, command: args::Inbox, output: &Output) -> Result<u8, Failure> {
    match command {
        args::Inbox::List => list(agent, output).await,
        args::Inbox::Dead => {
            let letters = agent.dead_letters().await?;
            let shapes: Vec<_> = letters.iter().map(dead).collect();
            output.result(&shapes, || letters.iter().map(dead_line).collect::<Vec<_>>().join("\n"))?;
            Ok(exit::OK)
        }
        args::Inbox::Show { id } => show(agent, &id, output).await,
        args::Inbox::Retry { id } => {
            agent.retry_dead_letter(&id).await?;
            done(output, "offered", "it is offered again: at once if the agent runs, else when it starts")
        }
    }
}

/// The result is an array of [`shape`]s. Without an answer of the platform it is what the journal alone tells, and the exit
/// code says that.
async fn list(agent: &Agent, output: &Output) -> Result<u8, Failure> {
    let listing = agent.inbox_entries().await?;
    let shapes: Vec<_> = listing.entries.iter().map(shape).collect();
    output
        .result(&shapes, || listing.entries.iter().map(|entry| line(entry, output)).collect::<Vec<_>>().join("\n"))?;
    if listing.is_cut {
        output.warning("the feed is longer than what was looked through: older messages may wait there");
    }
    match listing.feed_failed {
        None => Ok(exit::OK),
        Some(error) => {
            let failure = Failure::from(error);
            output.warning(&format!("messages that wait at the platform are not listed: {failure}"));
            Ok(failure.code())
        }
    }
}

async fn show(agent: &Agent, id: &str, output: &Output) -> Result<u8, Failure> {
    let id = id.trim().to_ascii_lowercase();
    let listing = agent.inbox_entries().await?;
    let Some(entry) = listing.entries.iter().find(|entry| entry.id.as_str() == id) else {
        return Err(match listing.feed_failed {
            Some(error) => Failure::from(error),
            None => Failure::new(
                exit::ERROR,
                format!(
                    "{} is no message that needs anything; list those with `molecule inbox list`",
                    printable::line(&id)
                ),
            ),
        });
    };
    output.result(&shape(entry), || {
        let text = entry.message.as_ref().map(|message| message.text()).unwrap_or_default();
        format!("{}\n\n{}", line(entry, output), printable::lines(&text))
    })?;
    Ok(exit::OK)
}

/// A message, as JSON: `id`, `state`, `from`, `text`, `received_at`, `attempts`, `why`.
fn shape(entry: &InboxEntry) -> Value {
    json!({
        "id": entry.id,
        "state": entry.state,
        "from": entry.sender.as_ref().map(wire::from),
        "text": entry.message.as_ref().map(|message| message.text()),
        "received_at": entry.received_at,
        "attempts": entry.attempts,
        "why": entry.why,
    })
}

fn line(entry: &InboxEntry, output: &Output) -> String {
    let shade = match entry.state {
        InboxState::Dead => Shade::Fault,
        InboxState::OfferedAgain | InboxState::Retried => Shade::Warning,
        _ => Shade::Good,
    };
    let state = output.paint().shade(shade, &format!("{:<13}", entry.state.to_string()));
    let at = entry.received_at.map(|at| at.to_string()).unwrap_or_else(|| "-".to_owned());
    let from = entry.sender.as_ref().map(ToString::to_string).unwrap_or_else(|| "-".to_owned());
    let text = entry.message.as_ref().map(|message| message.text().into_owned()).unwrap_or_default();
    let text = if text.chars().count() > SHOWN { text.chars().take(SHOWN).chain(['…']).collect() } else { text };
    let attempts = if entry.attempts > 1 { format!(" ({} attempts)", entry.attempts) } else { String::new() };
    let why = entry.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let rest = printable::line(&format!("{at}  {from}: {text}{attempts}{why}"));
    format!("{}  {state}  {rest}", entry.id)
}

/// A message that failed, as JSON: `id`, `from`, `text`, `received_at`, `attempts`, `why`, `is_retried`.
fn dead(letter: &DeadLetter) -> Value {
    let message = &letter.message;
    json!({
        "id": message.id(),
        "from": wire::from(message.sender()),
        "text": message.text(),
        "received_at": message.received_at(),
        "attempts": letter.attempts,
        "why": letter.why,
        "is_retried": letter.is_retried,
    })
}

fn dead_line(letter: &DeadLetter) -> String {
    let (message, again) = (&letter.message, if letter.is_retried { ", is offered again" } else { "" });
    let (from, at) = (message.sender(), message.received_at());
    let text = format!("{}  {at}  {from}: {} ({} attempts{again})", message.id(), letter.why, letter.attempts);
    printable::line(&text)
}
