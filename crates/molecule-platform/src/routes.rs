//! The routes: one file for each subject of the HTTP surface, one method of the platform for each route.

mod abilities;
mod activity;
mod budget;
mod card;
mod connection;
mod create;
mod delegations;
mod discovery;
mod events;
mod heartbeat;
mod history;
mod lifecycle;
mod memories;
mod memory;
mod messages;
mod notify;
mod plugins;
mod register;
mod requests;
mod schedules;
mod secrets;
mod state;
mod tokens;
mod uploads;
mod view;

pub(crate) use memories::Note;
pub(crate) use memory::Entry;
