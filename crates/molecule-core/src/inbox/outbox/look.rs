//! The look at the feed for notices that may have arrived.

use std::time::Duration;

use molecule_proto::{ActivityType, UnixTime};

use crate::call::Call;
use crate::endpoint::{ActivityFeed, ActivitySource};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::session::notices::NoticeRow;

/// The rows of a page. A page that is too long to be read is asked for again with a tenth of it.
const PAGE: u32 = 100;

/// The longest page in bytes.
const MAX_BODY: u64 = 32 * 1024 * 1024;

/// The longest wait for a page while the rate budget is scarce.
const PATIENCE: Duration = Duration::from_secs(30);

const OPERATION: &str = "look for a notice";

/// The most pages of one look. April's server has one page alone, however many rows are newer.
const MAX_PAGES: usize = 20;

/// Reads the newest rows of the feed, back to a time, and records the notices among them in the session.
#[derive(Debug)]
pub(super) struct Look(Flow<Result<()>>);

impl Look {
    pub(super) fn back_to(since: UnixTime) -> Self {
        Self(Flow::new(OPERATION, move |line| async move {
            line.check()?;
            look(&line, since).await
        }))
    }
}

machine_of_flow!(Look, Result<()>);

async fn look(line: &Line, since: UnixTime) -> Result<()> {
    // April's server ignores `before`, and gives the newest rows alone.
    let (mut limit, mut before) = (PAGE, None);
    for _ in 0..MAX_PAGES {
        line.wait_for_budget(PATIENCE).await?;
        let notices = ActivityFeed::new().activity_type(ActivityType::A2aReceive).source(ActivitySource::Canvas);
        let mut asked = notices.limit(limit).max_body(MAX_BODY);
        asked.before = before;
        let page = match line.run("read the newest rows", Call::once(asked), Parting::give_up()).await {
            Ok(page) => page,
            Err(error) if is_too_long(&error) && limit > 1 => {
                limit = (limit / 10).max(1);
                continue;
            }
            Err(error) => return Err(error.during(OPERATION)),
        };
        let places = page.unreadable.iter().map(|place| place.created_at);
        let oldest = page.rows.iter().map(|row| row.created_at).chain(places).min();
        let rows = page.rows.len() + page.unreadable.len() + page.unplaced;
        let is_last = !page.is_cut && u32::try_from(rows).is_ok_and(|rows| rows < limit);
        line.with(|cx| {
            for row in page.rows.iter().filter_map(NoticeRow::read) {
                cx.session.notices.see(row);
            }
        });
        let goes_back = |oldest: &UnixTime| *oldest > since && before.is_none_or(|before| *oldest < before);
        match oldest.filter(goes_back) {
            Some(oldest) if !is_last => before = Some(oldest),
            Some(_) | None => break,
        }
    }
    Ok(())
}

/// Returns whether the page has more bytes or more values than are read at once.
fn is_too_long(error: &Error) -> bool {
    error.kind() == ErrorKind::TooLarge
}
