//! What an agent tells `tracing`: its events, and a span for each call, each loop and each request.
//!
//! All of it has the target `molecule` and says which agent it is about. A call's span lies below its caller's own, also where a
//! task or a thread of the driver's goes on with it.

use http::Request;
use molecule_core::Event;
use molecule_core::effect::{Attempt, Effect};
use molecule_core::proto::WorkspaceId;
use tracing::{Instrument, debug, info, info_span, warn};

/// One agent, as its log names it.
#[derive(Debug, Clone)]
pub struct Trace {
    workspace_id: WorkspaceId,
}

impl Trace {
    /// Of the agent of this workspace.
    pub fn new(workspace_id: &WorkspaceId) -> Self {
        Self { workspace_id: workspace_id.clone() }
    }

    /// A call or a loop begins, below the span that the caller is in.
    pub fn span(&self, operation: &'static str) -> Span {
        Span(info_span!(target: "molecule", "call", workspace_id = %self.workspace_id, operation))
    }

    /// Says an event: its name, its fields, and its sentence as the message.
    pub fn event(&self, event: &Event) {
        /// One event of the log; its fields are known when it is compiled.
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
            Event::Warning(_) => say!(warn, "warning"),
            // One that has no fields of its own here yet is told by its sentence.
            other if other.is_warning() => say!(warn, "other"),
            _ => say!(info, "other"),
        }
    }
}

/// A span; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Span(tracing::Span);

impl Span {
    /// No span at all.
    pub fn none() -> Self {
        Self(tracing::Span::none())
    }

    /// Where an effect of the call is performed: for a request a span below this one, which says the operation that it is part of,
    /// and which attempt it is; anything else is done in this one.
    pub fn effect(&self, effect: &Effect) -> Self {
        match effect {
            Effect::Http(request, _) | Effect::Fetch(request, ..) => self.request(request),
            Effect::Host(_) | Effect::Decode(_) => self.clone(),
        }
    }

    fn request<B>(&self, request: &Request<B>) -> Self {
        let Some(Attempt { operation, number }) = request.extensions().get().copied() else { return self.clone() };
        let method = request.method().as_str();
        Self(info_span!(target: "molecule", parent: &self.0, "request", operation, attempt = number, method))
    }

    /// Does something in this span.
    pub fn in_scope<T>(&self, act: impl FnOnce() -> T) -> T {
        self.0.in_scope(act)
    }

    /// The same work, whose every step is done in this span.
    pub fn around<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        work.instrument(self.0)
    }
}
