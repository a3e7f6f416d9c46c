//! One file for each subject of the HTTP surface; each route is a method of the platform.

mod abilities;
mod activity;
mod budget;
mod card;
mod connection;
mod create;
mod delegations;
mod discovery;
mod heartbeat;
mod lifecycle;
pub(crate) mod messages;
mod notify;
mod plugins;
mod register;
mod secrets;
mod state;
mod tokens;
mod view;
