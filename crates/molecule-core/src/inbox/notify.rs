//! A message to the user that answers nothing.

use molecule_proto::NotifyRequest;

use super::attachment::{OutgoingFile, Place};
use super::notice::request;
use super::reply::Notice;
use super::send_files::upload;
use crate::call::Call;
use crate::endpoint::{Endpoint, NotifyOnce};
use crate::error::{Error, Result};
use crate::flow::{Flow, Line, Parting, machine_of_flow};
use crate::session::notices::Words;

/// Sends a message to the user: `POST /workspaces/:self/notify` (contract section 13.2; April 6.3). It has no id on the
/// wire, so that it is not sent again if it may have arrived.
#[derive(Debug)]
#[must_use = "a machine does nothing until it is driven"]
pub struct Notify(Flow<Result<()>>);

impl Notify {
    /// Makes a message to the user.
    ///
    /// # Errors
    /// `Config` if it is empty or cannot be sent.
    pub fn new(notice: impl Into<Notice>) -> Result<Self> {
        let notice = notice.into();
        let during = |error: Error| error.during(NotifyOnce::OPERATION);
        notice.check().and_then(|()| check_request(&notice)).map_err(during)?;
        Ok(Self(Flow::new(NotifyOnce::OPERATION, move |line| async move {
            let files = upload(&line, notice.files(), Call::new).await.map_err(during)?;
            notify(&line, request(notice.text(), &files).map_err(during)?).await
        })))
    }
}

machine_of_flow!(Notify, Result<()>);

/// Refuses before any upload what could not be sent after it.
fn check_request(notice: &Notice) -> Result<()> {
    let with_uri = |file: &OutgoingFile| match &file.place {
        Place::Path(_) => OutgoingFile::uri("platform-pending:").name(file.shown_name()),
        Place::Uri(_) => file.clone(),
    };
    let files: Vec<_> = notice.files().iter().map(with_uri).collect();
    request(notice.text(), &files).map(drop)
}

async fn notify(line: &Line, notice: NotifyRequest) -> Result<()> {
    line.check()?;
    let words = Words::of(&notice);
    let mark = line.with(|cx| cx.session.notices.mark(words, None, 0));
    let sent = line.run("notify", Call::new(NotifyOnce(notice)), Parting::give_up()).await;
    // A loop must not take its row for that of a reply with the same words.
    if sent.as_ref().map_or_else(Error::may_have_acted, |_| true) {
        line.with(|cx| cx.session.notices.sent(words, mark));
    }
    sent.map(drop).map_err(unclear)
}

/// Adds the remedy for a request after which it is unknown whether the user has the message.
fn unclear(error: Error) -> Error {
    if !error.may_have_acted() {
        return error;
    }
    error.retryable(false).remedy(
        "the user may have it: look at the chat, or for a row of the method notify in the feed, before you send it again",
    )
}
