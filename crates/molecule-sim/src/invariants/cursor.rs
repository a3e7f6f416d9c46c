//! Invariant: the saved cursor passes nothing that still needs the handler.

use molecule_core::effect::{HostOp, Slot};
use molecule_proto::{ActivityRow, UnixTime};
use serde_json::Value;

use super::messages::{Author, HandlerLog, is_due, rows};
use super::{Invariant, KnownSecrets, is_dead};
use crate::trace::{Sight, TraceEvent};

/// See [`Invariant::sentence`].
#[derive(Debug, Default)]
pub(crate) struct TheCursorPassesNothing {
    log: HandlerLog,
}

impl Invariant for TheCursorPassesNothing {
    fn name(&self) -> &'static str {
        "the cursor passes nothing"
    }

    fn sentence(&self) -> &'static str {
        "no message lies before the cursor in the journal, also one that became visible later, unless it was handled or is a dead \
         letter"
    }

    fn see(&mut self, sight: &Sight<'_>, _: &KnownSecrets) -> Result<(), String> {
        let agent = &sight.facts.agents[sight.who.agent];
        let passes = match &sight.seen {
            _ if agent.setup.handler.is_none() || agent.was_pushed => return Ok(()),
            TraceEvent::HostAsked(_, HostOp::Append(Slot::Inbox, records, _)) => self.passes(sight, records),
            TraceEvent::Settled => self.disk_passes(sight),
            seen if is_dead(seen) => self.disk_passes(sight),
            _ => Ok(()),
        };
        self.log.see(sight);
        passes
    }
}

impl TheCursorPassesNothing {
    fn disk_passes(&self, sight: &Sight<'_>) -> Result<(), String> {
        let stored = sight.facts.agents[sight.who.agent].disk.content(Slot::Inbox, false);
        stored.map_or(Ok(()), |stored| self.passes(sight, stored.as_bytes()))
    }

    fn passes(&self, sight: &Sight<'_>, records: &[u8]) -> Result<(), String> {
        let Some((at, seq)) = last_cursor(records) else { return Ok(()) };
        let is_passed = |row: &ActivityRow| {
            row.created_at < at || (row.created_at == at && seq.is_some_and(|seq| row.seq <= Some(seq)))
        };
        let passed = rows(sight).into_iter().find(|row| {
            is_passed(row)
                && Author::of(row).is_some()
                && is_due(sight, row, std::time::Duration::ZERO)
                && row.method.as_deref() != Some("chat_upload_receive")
                && !self.log.is_done(sight.who.agent, row)
        });
        match passed {
            Some(row) => Err(format!("it is at {at}, and {} of {} is not handled", row.id, row.created_at)),
            None => Ok(()),
        }
    }
}

/// The last cursor among the records of a journal, if it is at a row: the row's time and number.
fn last_cursor(records: &[u8]) -> Option<(UnixTime, Option<i64>)> {
    let text = String::from_utf8_lossy(records);
    // Each line is a length, a checksum and the record.
    let line = text.lines().rev().find(|line| line.contains("{\"cursor\":"))?;
    let record: Value = serde_json::from_str(line.splitn(3, ' ').nth(2)?).ok()?;
    let position = &record["cursor"]["position"];
    Some((serde_json::from_value(position["created_at"].clone()).ok()?, position["seq"].as_i64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cursor_is_found_among_the_records() {
        let records = b"\n1f 00000000 {\"cursor\":{\"position\":{\"at\":\"beginning\"}}}\n\
            7a 00000000 {\"cursor\":{\"position\":{\"at\":\"row\",\"id\":\"x\",\"created_at\":\"2026-08-01T00:00:01Z\",\"seq\":7}}}\n\
            9 00000000 {\"begun\":{}}\n1f 000";
        assert_eq!(last_cursor(records), Some((UnixTime::from_secs(1_785_542_401), Some(7))));
        assert_eq!(last_cursor(b"\n9 00000000 {\"begun\":{}}"), None);
    }
}
