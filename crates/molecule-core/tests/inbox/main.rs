//! The loop that receives messages, on virtual time. Each file is one subject.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod answered_later;
mod attempts;
mod back_pressure;
mod compaction;
mod damaged_journal;
mod dead_letters;
mod drain;
mod duplicates;
mod entries;
mod files;
mod full_disk;
mod handed_over;
mod order;
mod paused;
mod put_off;
mod store_without_append;
mod wishes;
