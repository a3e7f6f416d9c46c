//! Delegations: tasks for a peer, and their ends.

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
