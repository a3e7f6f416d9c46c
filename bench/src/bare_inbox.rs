//! An inbox without an inbox, for comparison: an event stream and a feed, read by hyper alone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use molecule_core::proto::{ActivityId, ActivityRow, UnixTime, path};

use crate::bare::BareHyper;
use crate::receiving::Workspace;
use crate::{Outcome, runtime};

/// The event of a new row.
const NEW_ROW: &[u8] = b"ACTIVITY_LOGGED";

/// Opens the event stream of a workspace. The connection ends with its body.
///
/// # Errors
/// The client's error.
pub async fn stream(port: u16, workspace: &Workspace) -> Outcome<(BareHyper, Incoming)> {
    let mut connection = BareHyper::connect_as(port, workspace.id.clone(), &workspace.token).await?;
    let body = connection.get(&path::events_stream(&workspace.id)).await?;
    Ok((connection, body))
}

/// Reads a page of a feed.
///
/// # Errors
/// The client's error, or that of a body that is no page.
pub async fn page(
    connection: &mut BareHyper,
    workspace: &Workspace,
    query: &[(&'static str, &str)],
) -> Outcome<Vec<ActivityRow>> {
    let body = connection.get(&path::activity_page(&workspace.id, query)).await?;
    Ok(serde_json::from_slice(&body.collect().await?.to_bytes())?)
}

/// Reads the feed at each event of a new row, and tells the text of each new message and when it was there. Like an
/// agent's, its cursor trails behind the newest row, so that both read the same pages. It ends with the stream.
///
/// # Errors
/// The client's errors, and a feed without any row.
pub fn receive(port: u16, workspace: &Workspace, trail: Duration, told: &Sender<(String, Instant)>) -> Outcome {
    runtime()?.block_on(async {
        let mut feed = BareHyper::connect_as(port, workspace.id.clone(), &workspace.token).await?;
        let newest = page(&mut feed, workspace, &[("limit", "1")]).await?;
        let newest = newest.first().ok_or("the feed has no row to begin at")?;
        let mut tail: VecDeque<(ActivityId, UnixTime)> = [(newest.id.clone(), newest.created_at)].into();
        let mut known: BTreeSet<ActivityId> = [newest.id.clone()].into();
        let (_stream, mut events) = stream(port, workspace).await?;
        while let Some(frame) = events.frame().await {
            let data = frame?.into_data().unwrap_or_default();
            if !data.windows(NEW_ROW.len()).any(|window| window == NEW_ROW) {
                continue;
            }
            let since = tail.front().map(|(id, _)| id.to_string()).unwrap_or_default();
            let query = [("limit", "500"), ("since_id", since.as_str()), ("include", "peer_info")];
            for row in page(&mut feed, workspace, &query).await? {
                let at = Instant::now();
                if known.insert(row.id.clone()) {
                    let _ = told.send((text(&row), at));
                    tail.push_back((row.id, row.created_at));
                }
            }
            let end = tail.back().map(|(_, created_at)| *created_at - trail);
            while tail.get(1).is_some_and(|(_, created_at)| Some(*created_at) <= end) {
                tail.pop_front();
            }
        }
        Ok(())
    })
}

fn text(row: &ActivityRow) -> String {
    let text = row.request_body.as_ref().and_then(|body| body.pointer("/params/message/parts/0/text")?.as_str());
    text.unwrap_or_default().to_owned()
}
