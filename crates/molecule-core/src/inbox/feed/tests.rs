//! The feed against a model of both servers, whose rows become visible late and in any order.

mod lost;
mod model;
mod pace;
mod property;
mod rows;
mod start;
mod world;
