//! One file for each subject of the HTTP surface; each route is a method of the platform.

mod card;
mod connection;
mod create;
mod discovery;
mod heartbeat;
mod lifecycle;
mod plugins;
mod register;
mod secrets;
mod state;
mod tokens;
mod view;
