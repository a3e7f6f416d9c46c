//! What stands for the log where the feature `tracing` is off: nothing.

use molecule_core::Event;
use molecule_core::effect::Effect;
use molecule_core::proto::WorkspaceId;

/// Nothing.
#[derive(Debug, Clone)]
pub struct Trace;

impl Trace {
    /// Nothing.
    pub fn new(_: &WorkspaceId) -> Self {
        Self
    }

    /// Nothing.
    pub fn span(&self, _: &'static str) -> Span {
        Span
    }

    /// Says nothing.
    pub fn event(&self, _: &Event) {}
}

/// Nothing.
#[derive(Debug, Clone)]
pub struct Span;

impl Span {
    /// Nothing.
    pub fn none() -> Self {
        Self
    }

    /// Nothing.
    pub fn effect(&self, _: &Effect) -> Self {
        Self
    }

    /// Does something.
    pub fn in_scope<T>(&self, act: impl FnOnce() -> T) -> T {
        act()
    }

    /// The work itself.
    pub fn around<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        work
    }
}
