//! A reply on its way: the call that carries it.

use molecule_proto::{Message, NotifyRequest, Part, WorkspaceId};

use super::verdict::{Verdict, of_call, of_notify, of_preparation};
use crate::call::Call;
use crate::config::route::Route;
use crate::effect::{EffectId, Outcome};
use crate::endpoint::NotifyOnce;
use crate::error::Result;
use crate::flow::Flow;
use crate::inbox::attachment::OutgoingFile;
use crate::inbox::send_files::{inline, upload};
use crate::inbox::sender::Sender;
use crate::inbox::stored_reply::StoredReply;
use crate::machine::{Cx, Machine, Step, pass};
use crate::peer::{CallPeer, PeerCall};

/// A reply on its way.
#[derive(Debug)]
pub(super) enum Flight {
    Message(Box<CallPeer>),
    Notice(Box<Call<NotifyOnce>>),
    Files(Box<Flow<Result<Prepared>>>),
}

/// The files of a reply that are ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Prepared {
    /// All files of a notice, each with a URI.
    Uploaded(Vec<OutgoingFile>),
    /// The files of this machine, as parts of a message to a peer.
    Inline(Vec<Part>),
}

impl Flight {
    /// Sends a message with an id to a peer, through the platform alone: the platform knows a repeated id, and a peer
    /// that is called directly may not.
    pub(super) fn message(to: &WorkspaceId, message: Message) -> Result<Self> {
        let call = PeerCall::new(message).route(Route::Proxy);
        Ok(Self::Message(Box::new(CallPeer::once(to.as_str(), call)?)))
    }

    /// Sends one request: a notice that may have arrived is not repeated before the feed was asked.
    pub(super) fn notice(notice: NotifyRequest) -> Self {
        Self::Notice(Box::new(Call::once(NotifyOnce(notice))))
    }

    /// Uploads the files of this machine, or reads them if the reply goes to a peer.
    pub(super) fn prepare(reply: &StoredReply) -> Self {
        let (files, is_to_peer) = (reply.files.clone(), matches!(reply.to, Sender::Peer { .. }));
        Self::Files(Box::new(Flow::new("reply", move |line| async move {
            if is_to_peer {
                inline(&line, &files).await.map(Prepared::Inline)
            } else {
                upload(&line, &files, Call::once).await.map(Prepared::Uploaded)
            }
        })))
    }

    pub(super) fn poll(&mut self, cx: &mut Cx<'_>) -> Step<Verdict> {
        match self {
            Self::Message(call) => match call.poll(cx) {
                Step::Done(called) => Step::Done(of_call(called, cx.session.dialect)),
                other => pass(other),
            },
            Self::Notice(call) => match call.poll(cx) {
                Step::Done(sent) => Step::Done(of_notify(sent)),
                other => pass(other),
            },
            Self::Files(flow) => match flow.poll(cx) {
                Step::Done(prepared) => Step::Done(of_preparation(prepared)),
                other => pass(other),
            },
        }
    }

    pub(super) fn feed(&mut self, cx: &mut Cx<'_>, id: EffectId, outcome: Outcome) -> Result<(), Outcome> {
        match self {
            Self::Message(call) => call.feed(cx, id, outcome),
            Self::Notice(call) => call.feed(cx, id, outcome),
            Self::Files(flow) => flow.feed(cx, id, outcome),
        }
    }

    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Message(call) => call.cancel(cx),
            Self::Notice(call) => call.cancel(cx),
            Self::Files(flow) => flow.cancel(cx),
        }
    }
}
