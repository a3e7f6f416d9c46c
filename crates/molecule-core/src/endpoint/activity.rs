//! The endpoints of the activity feed (contract section 12; April 6.1).

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::json::{MAX_MEMORY, RawRow, RawRows, Unreadable};
use molecule_proto::{
    ActivityAckAnswer, ActivityAckRequest, ActivityId, ActivityRow, ActivityType, UnixTime, WorkspaceId, path,
};
use serde::Deserialize;

use super::date::server_time;
use super::{Endpoint, JsonEndpoint, Limits, Mismatch, Repeat};
use crate::config::Timeouts;
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Auth, Draft};

/// `GET /workspaces/:self/activity`: a page of the feed (contract section 12; April 6.1). At most 128 MiB, since one row
/// may have a request of 16 MiB and an answer of 64 MiB; and at most 40 MiB of values.
///
/// The current server answers with the newest rows first, and with the oldest first after [`since_id`](Self::since_id).
/// If it does not have that row, the error is `NotFound`. April's server always answers with the newest rows. It honours
/// only [`activity_type`](Self::activity_type), [`source`](Self::source) and [`limit`](Self::limit).
///
/// ```
/// use molecule_core::endpoint::{ActivityFeed, Endpoint};
/// use molecule_core::proto::WorkspaceId;
/// let newest = ActivityFeed::new().limit(20).peer_info();
/// assert!(format!("{:?}", newest.draft(&WorkspaceId::from_random([0; 16]))?).contains("/activity"));
/// # Ok::<(), molecule_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActivityFeed {
    /// Only rows of this type.
    pub activity_type: Option<ActivityType>,
    /// Only rows from such senders.
    pub source: Option<ActivitySource>,
    /// The most rows; 100 by default, at most 500.
    pub limit: Option<u32>,
    /// Only rows after this one, the oldest first.
    pub since_id: Option<ActivityId>,
    /// Only rows that are not older than this by the server's clock, in whole seconds, at most 30 days.
    pub since: Option<Duration>,
    /// Only rows whose sender or receiver is this workspace.
    pub peer_id: Option<WorkspaceId>,
    /// Only rows that were created before this time.
    pub before: Option<UnixTime>,
    /// Whether rows have the sender's name and role, and the list of their files.
    pub with_peer_info: bool,
    /// The cap of the answer in bytes, if it is lower than 128 MiB.
    pub max_body: Option<u64>,
}

/// The senders of the rows of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ActivitySource {
    /// People, channels and the platform.
    Canvas,
    /// Workspaces.
    Agent,
}

/// A page of the feed: the rows in the order of the answer.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ActivityPage {
    /// The rows that were read.
    pub rows: Vec<ActivityRow>,
    /// The rows that are no valid rows, or need more than 40 MiB of memory each, but can be told by their id.
    pub unreadable: Vec<RowPlace>,
    /// Why the first of these cannot be read.
    pub why_unreadable: Option<Mismatch>,
    /// The number of rows without a valid id or time.
    pub unplaced: usize,
    /// Whether rows at the end of the page were left out: all together would have needed more than 40 MiB.
    pub is_cut: bool,
    /// The server's time, from the answer's `Date`.
    pub date: Option<UnixTime>,
}

/// The place of a row in its feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct RowPlace {
    /// When the row was created.
    pub created_at: UnixTime,
    /// The counter of the server. Not on April's server.
    pub seq: Option<i64>,
    /// The row's id.
    pub id: ActivityId,
}

impl ActivityFeed {
    /// Asks for the newest rows of all types.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks only for rows of this type.
    #[must_use]
    pub fn activity_type(mut self, activity_type: ActivityType) -> Self {
        self.activity_type = Some(activity_type);
        self
    }

    /// Asks only for rows from such senders.
    #[must_use]
    pub fn source(mut self, source: ActivitySource) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets the most rows; the server's own limit is 500.
    #[must_use]
    pub fn limit(mut self, rows: u32) -> Self {
        self.limit = Some(rows);
        self
    }

    /// Asks only for rows after this one, the oldest first.
    #[must_use]
    pub fn since_id(mut self, id: ActivityId) -> Self {
        self.since_id = Some(id);
        self
    }

    /// Asks only for rows that are not older than this by the server's clock.
    #[must_use]
    pub fn since(mut self, age: Duration) -> Self {
        self.since = Some(age);
        self
    }

    /// Asks only for rows from or to this workspace.
    #[must_use]
    pub fn peer_id(mut self, id: WorkspaceId) -> Self {
        self.peer_id = Some(id);
        self
    }

    /// Asks only for rows that were created before this time.
    #[must_use]
    pub fn before(mut self, time: UnixTime) -> Self {
        self.before = Some(time);
        self
    }

    /// Asks for the senders' names and roles, and for the lists of files.
    #[must_use]
    pub fn peer_info(mut self) -> Self {
        self.with_peer_info = true;
        self
    }

    /// Limits the answer to this many bytes.
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.max_body = Some(bytes);
        self
    }
}

impl Endpoint for ActivityFeed {
    type Answer = ActivityPage;
    const OPERATION: &'static str = "read the feed";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a list";
    const EVERYWHERE: bool = true;
    const MAX_BODY: u64 = 128 * 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let (limit, since) = (number(self.limit.map(u64::from)), number(self.since.map(whole_seconds)));
        let before = self.before.map(|time| time.to_string());
        let source = self.source.map(|source| match source {
            ActivitySource::Canvas => "canvas",
            ActivitySource::Agent => "agent",
        });
        let pairs = [
            ("type", self.activity_type.as_ref().map(ActivityType::as_str)),
            ("source", source),
            ("limit", limit.as_deref()),
            ("since_id", self.since_id.as_ref().map(ActivityId::as_str)),
            ("since_secs", since.as_deref()),
            ("peer_id", self.peer_id.as_ref().map(WorkspaceId::as_str)),
            ("before_ts", before.as_deref()),
            ("include", self.with_peer_info.then_some("peer_info")),
        ];
        let query: Vec<_> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Ok(Draft::new(Method::GET, path::activity_page(workspace, &query), Auth::Bearer))
    }

    fn limits(&self, timeouts: &Timeouts, left: Duration) -> Limits {
        timeouts.limits(left, self.max_body.unwrap_or(Self::MAX_BODY).min(Self::MAX_BODY))
    }

    fn refine(&self, error: Error) -> Error {
        let is_cursor = error.server_message().is_some_and(|message| message.starts_with("since_id cursor not found"));
        if error.status() != Some(StatusCode::GONE) || !is_cursor {
            return error;
        }
        error
            .of_kind(ErrorKind::NotFound, "the feed does not have the row after which to read")
            .retryable(false)
            .remedy("read the newest rows without since_id, and tell by their ids which are new")
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        let mut page = ActivityPage { date: server_time(answer.headers()), ..ActivityPage::default() };
        let mut left = MAX_MEMORY;
        for row in RawRows::new(answer.body())?.iter() {
            let memory = row.memory();
            if memory <= MAX_MEMORY && memory > left {
                page.is_cut = true;
                break;
            }
            let read = if memory <= left { row.read::<ActivityRow>() } else { Err(Unreadable::TooManyValues) };
            match (read, RowPlace::read(row)) {
                (Ok(read), _) => {
                    left -= memory;
                    page.rows.push(read);
                }
                (Err(why), Some(place)) => {
                    page.unreadable.push(place);
                    page.why_unreadable.get_or_insert(why.into());
                }
                (Err(_), None) => page.unplaced += 1,
            }
        }
        Ok(page)
    }
}

/// The server reads whole seconds, and refuses 0.
fn whole_seconds(age: Duration) -> u64 {
    let up = u64::from(age.subsec_nanos() > 0);
    age.as_secs().saturating_add(up).max(1)
}

impl RowPlace {
    /// Makes a place.
    pub fn new(created_at: UnixTime, seq: Option<i64>, id: ActivityId) -> Self {
        Self { created_at, seq, id }
    }

    /// The place of a row.
    pub fn of(row: &ActivityRow) -> Self {
        Self { created_at: row.created_at, seq: row.seq, id: row.id.clone() }
    }

    /// The place of a row that cannot be read otherwise.
    fn read(row: RawRow<'_>) -> Option<Self> {
        #[derive(Deserialize)]
        struct Named {
            id: ActivityId,
            created_at: UnixTime,
        }
        #[derive(Deserialize)]
        struct Counted {
            seq: i64,
        }
        let Named { id, created_at } = row.read().ok()?;
        Some(Self { created_at, seq: row.read::<Counted>().ok().map(|row| row.seq), id })
    }
}

/// `POST /workspaces/:self/activity/ack`: tells the server up to which row the feed was read (contract section 12.4).
/// Rows older than 7 days are deleted once they are acknowledged. Not on April's server.
///
/// The mark never decreases, and the server accepts a mark beyond the newest row: send only the `seq` of a row that was
/// read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckActivity(pub i64);

impl JsonEndpoint for AckActivity {
    type Answer = ActivityAckAnswer;
    const OPERATION: &'static str = "acknowledge the feed";
    const METHOD: Method = Method::POST;
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "an object with last_acked_seq";

    fn path(&self, workspace: &WorkspaceId) -> Cow<'static, str> {
        path::activity_ack(workspace).into()
    }

    fn body(&self, draft: Draft, _: &WorkspaceId) -> Result<Draft> {
        draft.json(&ActivityAckRequest::new(self.0))
    }
}
