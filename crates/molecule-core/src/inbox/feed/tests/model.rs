//! A model of both servers with one feed, whose rows become visible late and in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use molecule_proto::{ActivityId, ActivityRow, ActivityType, UnixTime};

use crate::effect::{Fault, Outcome};

pub(super) const OWN: &str = "7fda77bf-a467-441c-9fab-f71f5a2b9a41";

/// The server's time at the start of a test.
pub(super) const START: i64 = 1_795_383_587;

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A server with one feed.
pub(super) struct Model {
    pub(super) april: bool,
    pub(super) now: UnixTime,
    pub(super) rows: Vec<Stored>,
    /// How many of the next requests with `since_id` get a 410.
    pub(super) gone: u32,
    /// How many of the next requests get a 500.
    pub(super) failing: u32,
    /// The most rows of an answer that is not too large.
    pub(super) fits: usize,
    /// Whether the network makes the answer to the request with this number too large.
    pub(super) swells: fn(usize) -> bool,
    /// The server's own limit of a page.
    pub(super) cap: usize,
    /// Rows that are no valid rows.
    pub(super) broken: BTreeSet<ActivityId>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) acked: Option<i64>,
    pub(super) requests: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Stored {
    pub(super) row: ActivityRow,
    pub(super) visible_at: UnixTime,
}

pub(super) fn id(n: usize) -> ActivityId {
    // Ids do not follow the order of the rows.
    let scrambled = (n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    ActivityId::from_random(scrambled.to_be_bytes())
}

impl Model {
    pub(super) fn new(april: bool) -> Self {
        let now = UnixTime::from_secs(START);
        Self {
            april,
            now,
            rows: Vec::new(),
            gone: 0,
            failing: 0,
            fits: usize::MAX,
            swells: |_| false,
            cap: 500,
            broken: BTreeSet::new(),
            headers: Vec::new(),
            acked: None,
            requests: Vec::new(),
        }
    }

    /// Inserts a row that was created at a time and becomes visible at another.
    pub(super) fn insert(&mut self, created_at: UnixTime, visible_at: UnixTime) -> ActivityId {
        let n = self.rows.len();
        let mut row = ActivityRow::new(id(n), OWN.parse().unwrap(), ActivityType::A2aReceive, created_at);
        row.seq = (!self.april).then(|| i64::try_from(n).unwrap() + 1);
        self.rows.push(Stored { row, visible_at });
        id(n)
    }

    /// Inserts a row now, which becomes visible after a while.
    pub(super) fn write(&mut self, late: Duration) -> ActivityId {
        self.insert(self.now, self.now + late)
    }

    pub(super) fn visible(&self) -> Vec<ActivityRow> {
        let visible = self.rows.iter().filter(|stored| stored.visible_at <= self.now);
        let mut rows: Vec<_> = visible.map(|stored| stored.row.clone()).collect();
        // April leaves the order of rows of one instant open.
        rows.sort_by(|one, other| (one.created_at, one.seq, &one.id).cmp(&(other.created_at, other.seq, &other.id)));
        rows
    }

    pub(super) fn answer(&mut self, request: &Request<Bytes>) -> Outcome {
        let url = request.uri().to_string();
        self.requests.push(url.split_once("/workspaces/").unwrap().1.replace(OWN, ":id"));
        if self.failing > 0 {
            self.failing -= 1;
            return answered(500, r#"{"error":"query failed"}"#);
        }
        if request.method() == http::Method::POST {
            if self.april {
                return answered(404, "404 page not found");
            }
            let ack: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
            self.acked = self.acked.max(ack["acked_seq"].as_i64());
            return answered(200, &format!(r#"{{"last_acked_seq":{}}}"#, self.acked.unwrap()));
        }
        let query: BTreeMap<_, _> =
            request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')).collect();
        let limit = query.get("limit").map_or(100, |limit| limit.parse::<usize>().unwrap()).min(self.cap);
        let mut rows = self.visible();
        if let Some(wanted) = query.get("type") {
            rows.retain(|row| row.activity_type.as_str() == *wanted);
        }
        let mut is_ascending = false;
        if !self.april {
            if let Some(secs) = query.get("since_secs") {
                let age = Duration::from_secs(secs.parse().unwrap());
                rows.retain(|row| self.now.since(row.created_at) <= age);
            }
            if let Some(before) = query.get("before_ts") {
                let before: UnixTime = before.parse().unwrap();
                rows.retain(|row| row.created_at < before);
            }
            if let Some(since) = query.get("since_id") {
                let place = rows.iter().find(|row| row.id.as_str() == *since).map(|row| (row.created_at, row.seq));
                let lost = self.gone > 0;
                self.gone = self.gone.saturating_sub(1);
                let Some(place) = place.filter(|_| !lost) else {
                    return answered(410, r#"{"error":"since_id cursor not found (it may have been pruned)"}"#);
                };
                rows.retain(|row| (row.created_at, row.seq) > place);
                is_ascending = true;
            }
        }
        if !is_ascending {
            rows.reverse();
        }
        rows.truncate(limit);
        if rows.len() > self.fits || (self.swells)(self.requests.len()) {
            let head = Response::builder().status(200).body(()).unwrap();
            return Outcome::Failed(Fault::too_large(head));
        }
        let rows = rows.into_iter().map(|row| {
            let is_broken = self.broken.contains(&row.id);
            let mut row = serde_json::to_value(row).unwrap();
            if is_broken {
                row["source_id"] = "nobody".into();
            }
            row
        });
        let Outcome::Response(mut answer) = answered(200, &serde_json::Value::from_iter(rows).to_string()) else {
            unreachable!()
        };
        for (name, value) in &self.headers {
            answer.headers_mut().insert(*name, value.parse().unwrap());
        }
        Outcome::Response(answer)
    }

    /// The number of requests that were made since this was last asked.
    pub(super) fn count(&mut self) -> usize {
        std::mem::take(&mut self.requests).len()
    }
}

pub(super) fn answered(status: u16, body: &str) -> Outcome {
    let mut answer = Response::new(Bytes::from(body.to_owned()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    Outcome::Response(answer)
}
