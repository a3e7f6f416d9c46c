//! An agent's life with its platform: it registers, gets a token back, and beats.

pub(crate) mod beat;
pub(crate) mod load_token;
pub(crate) mod recover;
pub(crate) mod register;
pub(crate) mod save_token;
