//! Merges rows of either shape to delegations (contract section 14.2; April 8.2).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use molecule_proto::{DelegationRow, DelegationStatus, UnixTime};
use serde_json::Value;

use super::view::{DelegationView, is_over};

/// Returns the delegations of these rows, the newest first.
///
/// In the ledger each delegation has one row. In the activity list it has several. The delegation has ended if one of
/// its rows says so; else the newest row counts. The answer is taken from whichever row has one. April's server leaves
/// the id out of failed results, but another row has their content too.
pub(super) fn fold(rows: Vec<DelegationRow>) -> Vec<DelegationView> {
    let mut by_id: BTreeMap<String, Vec<DelegationRow>> = BTreeMap::new();
    for row in rows {
        if let Some(id) = row.delegation_id.clone().filter(|id| !id.is_empty()) {
            by_id.entry(id).or_default().push(row);
        }
    }
    let mut views: Vec<_> = by_id.into_iter().filter_map(|(id, rows)| view(id, rows)).collect();
    views.sort_by_key(|view| Reverse(view.created_at));
    views
}

/// Merges all rows of one delegation.
fn view(id: String, mut rows: Vec<DelegationRow>) -> Option<DelegationView> {
    rows.sort_by_key(|row| Reverse((is_over(&row.status), is_known(&row.status), written_at(row))));
    let first = rows.first()?;
    let (status, summary) = (first.status.clone(), first.summary.clone());
    let over = is_over(&status);
    let find = |text: &dyn Fn(&DelegationRow) -> &str| rows.iter().find_map(|row| text(row).parse().ok());
    Some(DelegationView {
        source_id: find(&|row| &row.source_id),
        target_id: find(&|row| &row.target_id),
        direction: rows.iter().find_map(|row| row.direction.clone()),
        created_at: rows.iter().map(|row| row.created_at).min()?,
        updated_at: rows.iter().map(written_at).max()?,
        error: rows.iter().find_map(|row| row.error.clone()),
        // Before the end, a preview is a notice of the queue.
        preview: rows.iter().filter(|_| over).find_map(|row| preview(&id, row)),
        deadline: rows.iter().find_map(|row| row.deadline),
        status,
        summary,
        id,
    })
}

fn written_at(row: &DelegationRow) -> UnixTime {
    row.updated_at.unwrap_or(row.created_at)
}

/// Returns whether the status is a known one. Servers that push results add rows with other statuses.
fn is_known(status: &DelegationStatus) -> bool {
    !matches!(status, DelegationStatus::Other(_))
}

/// Returns a row's preview, unless it is only a handle: an object with the delegation's id, and perhaps its error.
fn preview(id: &str, row: &DelegationRow) -> Option<String> {
    let text = row.response_preview.as_deref()?;
    let is_handle = serde_json::from_str::<BTreeMap<String, Value>>(text).is_ok_and(|object| {
        object.get("delegation_id").is_some_and(|named| named == id)
            && object.keys().all(|key| key == "delegation_id" || key == "error")
    });
    (!is_handle).then(|| text.to_owned())
}
