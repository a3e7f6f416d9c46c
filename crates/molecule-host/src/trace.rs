//! The output of an agent to `tracing`: its events, and a span for each call, each loop and each request.
//!
//! Everything has the target `molecule` and names the agent. The span of a call is a child of its caller's span, also
//! if a task or a thread of the driver continues the call.

use http::Request;
use molecule_core::effect::{Attempt, Effect};
use molecule_core::proto::WorkspaceId;
use molecule_core::{Event, InboundMessage};
use tracing::{Instrument, debug, info, info_span, warn};

/// The name of one agent in its log.
#[derive(Debug, Clone)]
pub struct Trace {
    workspace_id: WorkspaceId,
}

impl Trace {
    /// The log of the agent of this workspace.
    pub fn new(workspace_id: &WorkspaceId) -> Self {
        Self { workspace_id: workspace_id.clone() }
    }

    /// Creates the span of a call or a loop, as a child of its caller's span.
    pub fn span(&self, operation: &'static str) -> Span {
        Span(info_span!(target: "molecule", "call", workspace_id = %self.workspace_id, operation))
    }

    /// Logs an event: its name, its fields, and its sentence as the message.
    pub fn event(&self, event: &Event) {
        /// Logs one event; the fields are fixed at compile time.
        macro_rules! say {
            ($level:ident, $name:literal $(, $field:ident = $value:expr)*) => {
                $level!(
                    target: "molecule",
                    workspace_id = %self.workspace_id,
                    event = $name
                    $(, $field = $value)*,
                    "{event}"
                )
            };
        }
        match event {
            Event::Registered { delivery_mode, minted, .. } => {
                say!(info, "registered", delivery_mode = delivery_mode.as_ref().map(display), minted = *minted);
            }
            Event::Retrying { operation, attempt, wait, error, .. } => {
                let wait_secs = wait.as_secs_f64();
                say!(
                    info,
                    "retrying",
                    operation = *operation,
                    attempt = *attempt,
                    wait_secs = wait_secs,
                    error = error.as_str()
                );
            }
            Event::Online => say!(info, "online"),
            Event::Degraded { lane, failures, error, .. } => {
                say!(warn, "degraded", lane = display(lane), failures = *failures, error = error.as_str());
            }
            Event::Recovered { lane, failures, .. } => {
                say!(info, "recovered", lane = display(lane), failures = *failures);
            }
            Event::StatusChanged(status) => say!(info, "status_changed", status = display(status)),
            Event::Paused => say!(info, "paused"),
            Event::Resumed => say!(info, "resumed"),
            Event::TokenChanged => say!(info, "token_changed"),
            Event::TokenStored => say!(info, "token_stored"),
            Event::InboundSecretChanged => say!(info, "inbound_secret_changed"),
            Event::PollUnsupported { placeholder, .. } => {
                say!(warn, "poll_unsupported", placeholder = placeholder.as_str());
            }
            Event::PluginProgress { plugin, progress, .. } => {
                let (received, unpacked, entries) = (progress.received, progress.unpacked, progress.entries);
                say!(
                    debug,
                    "plugin_progress",
                    plugin = display(plugin),
                    received = received,
                    unpacked = unpacked,
                    entries = entries
                );
            }
            Event::PluginSetup(plugin) => say!(info, "plugin_setup", plugin = display(plugin)),
            Event::MessageDone { message, .. } => say!(info, "message_done", message = message.as_str()),
            Event::ReplyEnded { message, end, .. } if end.is_taken() => {
                say!(info, "reply_ended", message = message.as_str(), end = display(end));
            }
            Event::ReplyEnded { message, end, .. } => {
                say!(warn, "reply_ended", message = message.as_str(), end = display(end));
            }
            Event::ReplyDropped { message, why, .. } => {
                say!(warn, "reply_dropped", message = message.as_str(), why = why.as_str());
            }
            Event::Warning(_) => say!(warn, "warning"),
            // An event without fields of its own here is logged with its sentence only.
            other if other.is_warning() => say!(warn, "other"),
            _ => say!(info, "other"),
        }
    }
}

/// A span; a clone is the same span.
#[derive(Debug, Clone)]
pub struct Span(tracing::Span);

impl Span {
    /// Returns an empty span.
    pub fn none() -> Self {
        Self(tracing::Span::none())
    }

    /// Returns the span for an effect of the call. A request gets a child span with its operation and the number of its
    /// attempt, and a message for the handler one with its id and the number of its attempt; any other effect has this
    /// span.
    pub fn effect(&self, effect: &Effect) -> Self {
        match effect {
            Effect::Http(request, _)
            | Effect::Fetch(request, ..)
            | Effect::Upload(request, ..)
            | Effect::Watch(request, _) => self.request(request),
            Effect::Handle(handle) => self.message(&handle.message),
            Effect::Host(_) | Effect::Decode(_) => self.clone(),
        }
    }

    fn request<B>(&self, request: &Request<B>) -> Self {
        let Some(Attempt { operation, number }) = request.extensions().get().copied() else { return self.clone() };
        let method = request.method().as_str();
        Self(info_span!(target: "molecule", parent: &self.0, "request", operation, attempt = number, method))
    }

    fn message(&self, message: &InboundMessage) -> Self {
        let (message_id, attempt) = (message.id(), message.attempt());
        Self(info_span!(target: "molecule", parent: &self.0, "message", %message_id, attempt))
    }

    /// Runs a function in this span.
    pub fn in_scope<T>(&self, act: impl FnOnce() -> T) -> T {
        self.0.in_scope(act)
    }

    /// Runs work in this span: every poll of it is inside the span.
    pub fn around<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        work.instrument(self.0)
    }
}
