//! The machines of an agent's life: register, heartbeat, and the token's way in and out of the store.

pub(crate) mod beat;
pub(crate) mod load_inbound;
pub(crate) mod load_token;
pub(crate) mod recover;
pub(crate) mod register;
pub(crate) mod save_token;
