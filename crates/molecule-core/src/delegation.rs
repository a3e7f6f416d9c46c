//! Delegations: tasks that a peer takes over, and what became of them.

mod delegate;
mod fold;
mod key;
mod look;
mod shared;
mod view;
mod wait;

pub(crate) use shared::SharedLooks;

pub use delegate::{Delegate, Delegation};
pub use key::python_idempotency_key;
pub use look::{DelegationOf, Delegations};
pub use view::{DelegationEnd, DelegationView};
