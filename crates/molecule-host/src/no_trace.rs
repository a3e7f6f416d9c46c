//! The replacement of the log without the feature `tracing`: it does nothing.

use molecule_core::Event;
use molecule_core::effect::Effect;
use molecule_core::proto::WorkspaceId;

/// The log of an agent, which does nothing.
#[derive(Debug, Clone)]
pub struct Trace;

impl Trace {
    /// Does nothing.
    pub fn new(_: &WorkspaceId) -> Self {
        Self
    }

    /// Returns an empty span.
    pub fn span(&self, _: &'static str) -> Span {
        Span
    }

    /// Does nothing.
    pub fn event(&self, _: &Event) {}
}

/// A span, which is empty.
#[derive(Debug, Clone)]
pub struct Span;

impl Span {
    /// Returns an empty span.
    pub fn none() -> Self {
        Self
    }

    /// Returns an empty span.
    pub fn effect(&self, _: &Effect) -> Self {
        Self
    }

    /// Runs a function.
    pub fn in_scope<T>(&self, act: impl FnOnce() -> T) -> T {
        act()
    }

    /// Returns the same work.
    pub fn around<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        work
    }
}
